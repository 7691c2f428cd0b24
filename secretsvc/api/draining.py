"""An end of listening that loses no connection.

Closing a listening socket resets the connections that the kernel has set up and nobody has accepted yet: callers that
had reason to think they were heard. So for a moment before that, new ones are kept from being set up at all: a filter
on the socket drops their first packet (SYN), which the callers' kernels send again, to find the port closed or another
replica behind it.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTLES = 0.2
"""Seconds for handshakes under way to end, and for what they made to be accepted."""

_SO_ATTACH_FILTER = 26
# Classic BPF (linux/filter.h); a TCP socket's filter sees packets from the TCP header on (RFC 9293, section 3.1).
_DROP_SYN = (
    (0x30, 0, 0, 13),  # ldb [13]: the flags
    (0x54, 0, 0, 0x12),  # and #0x12: SYN and ACK
    (0x15, 0, 1, 0x02),  # jeq #0x02: SYN alone
    (0x06, 0, 0, 0),  # ret #0: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: take
)


def refuse_new(sockets: Iterable[socket.socket]) -> None:
    """No new connection from now on; those that are there can still be accepted. Where that can't be had: nothing."""
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    described = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(program))
    for listener in sockets:
        with suppress(OSError):  # a sandbox may forbid it
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
