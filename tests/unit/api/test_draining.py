from __future__ import annotations

import socket
import sys
from contextlib import ExitStack

import pytest

from secretsvc.api.transport.draining import waiting


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells, others do not")
def test_connections_that_nobody_has_accepted_are_counted() -> None:
    with ExitStack() as stack:
        one, other = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        assert waiting([one, other]) == 0
        for listener in (one, one, other):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        assert waiting([one, other]) == 3
        stack.enter_context(one.accept()[0])
        assert waiting([one, other]) == 2
