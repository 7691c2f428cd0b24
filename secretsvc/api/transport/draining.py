"""An end that is announced, and what an end of listening needs that loses no connection.

Closing a listening socket resets the connections that the kernel has set up and nobody has accepted yet: callers that
had reason to think they were heard. So it is closed in an instant when there are none. What is lost then is a handshake
that is under way in that very instant; a filter in the kernel could keep these away too, but it wants CAP_NET_ADMIN,
which a service should not have.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNACKED = slice(24, 28)
"""Bytes of struct tcp_info (linux/tcp.h, tcp(7)): of a listening socket, the connections to be accepted."""


class Draining:
    """A flag that the service is about to stop: then it takes what comes, but asks for no more on a connection."""

    def __init__(self) -> None:
        self.on = False


def waiting(sockets: Iterable[socket.socket]) -> int:
    """Count the connections that the kernel has set up and nobody has accepted yet; 0 where it does not tell."""
    if not sys.platform.startswith("linux"):
        return 0
    told = [listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.stop) for listener in sockets]
    return sum(int.from_bytes(info[_UNACKED], sys.byteorder) for info in told)
