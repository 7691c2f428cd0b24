"""Ending a process together with all that it has started, and that these have."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def end(process: int) -> None:
    """Kill it and all that comes of it, but for whoever asks. What has outlived its starter is missed."""
    family = _family(process)
    for how in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none starts another meanwhile
        for one in family:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one, how)


def _family(process: int) -> list[int]:
    parents = dict(_processes())
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one and child != os.getpid()]
    return found


def _processes() -> Iterator[tuple[int, int]]:
    """Yield every process that can be seen, and its parent."""
    if not os.path.exists("/proc/self/stat"):
        yield from _listed()
        return
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stream:
            # proc(5): number, name in brackets, state, parent
            yield int(name), int(stream.read().rpartition(")")[2].split()[1])


def _listed() -> Iterator[tuple[int, int]]:
    """The same where there is no /proc, as on macOS."""
    import subprocess

    words = ["/bin/ps", "-A", "-o", "pid=,ppid="]
    for line in subprocess.run(words, stdout=subprocess.PIPE, env={}, check=True).stdout.splitlines():  # noqa: S603
        child, parent = map(int, line.split())
        yield child, parent
