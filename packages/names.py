"""The single file's name for this Python and this machine, without its ending; `python -m packages.names` prints it."""

from __future__ import annotations

import os
import sys

from secretsvc import __version__


def single_file() -> str:
    """Return `ksecret-0.2.0-cp311-linux_x86_64`: a wheel's words for Pythons and machines (PEP 425)."""
    return "ksecret-{}-cp{}{}-{}_{}".format(__version__, *sys.version_info[:2], sys.platform, os.uname().machine)


if __name__ == "__main__":
    print(single_file())
