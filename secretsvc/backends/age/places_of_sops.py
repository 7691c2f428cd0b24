"""Places where SOPS finds age identities: https://getsops.io/docs/, "Encrypting using age".

Whoever has their identity there needs no other place for it. Read only where one of these is there.
"""

from __future__ import annotations

import os
import sys

from secretsvc.errors import BackendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECONDS = 120
"""How long a command may take: somebody may have to touch a token, or unlock a store of passwords."""

_FILES = ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_KEY_FILE")
COMMANDS = ("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "SOPS_AGE_KEY_CMD")
TEXT = "SOPS_AGE_KEY"

_ORDER = (_FILES[0], COMMANDS[0], TEXT, _FILES[1], COMMANDS[1])


def default_path(environ: Mapping[str, str]) -> str:
    """Return where SOPS keeps a user's identities: `sops/age/keys.txt` in the folder for settings."""
    home = environ.get("HOME") or os.path.expanduser("~")
    usual = ("Library", "Application Support") if sys.platform == "darwin" else (".config",)
    return os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, *usual), "sops", "age", "keys.txt")


def files(environ: Mapping[str, str]) -> list[str]:
    """Return the files that count, the default one last, be it there or not."""
    return [*filter(None, map(environ.get, _FILES)), default_path(environ)]


def variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that are set, in SOPS's order, and what each says."""
    for name in _ORDER:
        if environ.get(name):
            yield name, environ[name]


def output(name: str, environ: Mapping[str, str]) -> bytes:
    """Return what the command in that variable puts out. Its words are parted as a shell's; no shell runs it.

    Raises BackendError.
    """
    import shlex
    import subprocess

    from secretsvc import programs

    hint = f"run the command in {name} by hand"
    try:
        words = shlex.split(environ[name])
        words[0] = words[0] if os.sep in words[0] else programs.find(words[0], environ)
        done = subprocess.run(  # noqa: S603  the user's own words, from their own environment
            words,
            env=programs.environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_SECONDS,
            check=True,
        )
    except (ValueError, IndexError, OSError, subprocess.SubprocessError) as error:
        status = getattr(error, "returncode", None)
        why = "failed" if status is None else f"failed with exit status {status}"
        raise BackendError(f"the command in {name} {why}", hint=hint) from None
    return done.stdout
