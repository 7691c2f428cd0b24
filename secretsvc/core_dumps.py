"""Core dumps: none of a process whose memory holds values; one would lie in whatever folder it runs in.

What it starts (an editor, kubectl, gpg) makes none either, but for the command that `exec` is asked to run.
"""

from __future__ import annotations

import resource
import sys

_STARTED_WITH = resource.getrlimit(resource.RLIMIT_CORE)

_PR_SET_DUMPABLE = 4
"""prctl(2); `linux/prctl.h`."""


def forbid() -> None:
    """Make none any more (setrlimit(2), RLIMIT_CORE). The hard limit stays, for `AsStarted`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, _STARTED_WITH[1]))


class AsStarted:
    """Within the block the limit is what this process was started with, for the user's own command to be started."""

    def __enter__(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, _STARTED_WITH)

    def __exit__(self, *_: object) -> None:
        forbid()


def keep_memory_private() -> None:
    """Hide it from others of the same user (ptrace, `/proc/PID/mem`), and from what collects dumps against the limit.

    Linux; elsewhere nothing happens. For a process that has values for longer than a moment: ctypes costs a short
    command a noticeable part of its start. A program that takes its place is not affected.
    """
    if sys.platform == "linux":
        try:
            from ctypes import CDLL, c_ulong

            CDLL(None).prctl(_PR_SET_DUMPABLE, *(c_ulong(0),) * 4)
        except (ImportError, OSError, AttributeError, MemoryError):  # a hardened system may have no ctypes
            return
