"""How many new connections a turn of the event loop takes, and that nothing is lost where that changes."""

from __future__ import annotations

import asyncio
import os
import socket

from secretsvc.api.transport.accepting import CROWD, MOST, Accepting, same
from secretsvc.api.transport.pauses import Pauses


def test_a_worker_that_starts_makes_no_other_one_wait_in_accepting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_blocking(listener.fileno(), False)  # as another process did, of which this one's object knows nothing
        with same(listener) as another:
            assert not os.get_blocking(listener.fileno())
            assert another.getsockname() == listener.getsockname()


def test_while_strangers_crowd_one_is_taken_in_a_turn_and_several_before_and_after() -> None:
    async def counts() -> list[int]:
        taking: set[asyncio.Server] = set()
        loop, pauses = asyncio.get_running_loop(), Pauses()

        async def served(one: socket.socket) -> asyncio.Server:
            made = await loop.create_server(asyncio.Protocol, sock=one)
            taking.add(made)
            return made

        with socket.create_server(("127.0.0.1", 0)) as listener:
            accepting = Accepting(listener, served, pauses)
            found = []
            for strangers in (0, CROWD, CROWD + 1, CROWD + 1, 0, 0, None, 0):
                if strangers is None:
                    accepting.end()
                for _ in range(strangers or 0):
                    pauses.seconds(0)
                for _ in range(9 * CROWD):  # of a connection that went on: they have their turn, and crowd nobody
                    pauses.seconds(1)
                await accepting.adapt()
                found.append(sum(one.is_serving() for one in taking))
            return found

    assert asyncio.run(counts()) == [MOST - 1, MOST - 1, 0, 0, MOST - 1, MOST - 1, 0, 0]
