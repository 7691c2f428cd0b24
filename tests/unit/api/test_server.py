"""What processes of the service share."""

from __future__ import annotations

import os
import socket

from secretsvc.api.server import same


def test_a_worker_that_starts_makes_no_other_one_wait_in_accepting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_blocking(listener.fileno(), False)  # as another process did, of which this one's object knows nothing
        with same(listener) as another:
            assert not os.get_blocking(listener.fileno())
            assert another.getsockname() == listener.getsockname()
