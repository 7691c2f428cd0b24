"""What Python's own modules lack on macOS is taken away before anything is imported, and so are Linux' file systems.

By the "Availability" of each in Python's library reference; typeshed knows them too: `mypy --platform darwin`.
"""

import builtins
import fcntl
import os
import resource
import signal
import socket
import sys

sys.platform = "darwin"
LINUX = {
    os: """
        copy_file_range eventfd fdatasync getrandom listxattr getxattr setxattr removexattr memfd_create pidfd_open
        pipe2 posix_fadvise posix_fallocate sched_getaffinity sched_setaffinity sched_setscheduler setns splice unshare
        waitid getresuid setresuid MFD_CLOEXEC O_PATH O_TMPFILE O_LARGEFILE O_DIRECT O_NOATIME O_RSYNC CLONE_NEWNS""",
    signal: "sigwaitinfo sigtimedwait SIGPOLL SIGPWR SIGSTKFLT SIGRTMIN SIGRTMAX SIGCLD",
    socket: "TCP_INFO TCP_USER_TIMEOUT TCP_DEFER_ACCEPT SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED SO_DOMAIN SO_PROTOCOL",
    fcntl: "F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_OFD_SETLK",
    resource: "prlimit RLIMIT_RTPRIO RLIMIT_SIGPENDING RLIMIT_MSGQUEUE",
}
for module, names in LINUX.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)


def without(function):
    """The same, for which there are no /proc, /sys and /dev/shm."""

    def called(path, *more, **named):
        if isinstance(path, str | bytes) and os.fsencode(path).startswith((b"/proc", b"/sys", b"/dev/shm")):
            raise FileNotFoundError(2, "No such file or directory", path)
        return function(path, *more, **named)

    return called


builtins.open, os.open, os.stat, os.lstat = (without(one) for one in (open, os.open, os.stat, os.lstat))
