"""The installed `ksecret` run as a real process by somebody with a home folder, and files to run it on.

Every value that tests seal holds MARK, and every run's standard error is searched for it, in the clear and in base64.
"""

from __future__ import annotations

import os
import re
import sys
import time
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

import pyrage

from tests.e2e import forks
from tests.support import lock_of

if TYPE_CHECKING:
    from pathlib import Path

BIN = os.path.dirname(sys.executable)
KSECRET = os.path.join(BIN, "ksecret")
MARK = "n0t-public"
ERROR = re.compile(r"ksecret: [^\n]+\n(    [^\n]+\n)*(  [^\n]+\n)?")
SUMMARY = re.compile(r"ksecret: (\d+ [a-z]+, )+\d+ failed\n")


def b64(text: str | bytes) -> str:
    return b64encode(text.encode() if isinstance(text, str) else text).decode()


def marks() -> list[str]:
    """MARK, and what is left of it in the base64 of any text around it: one spelling for each of three offsets."""
    found = [MARK]
    for before in range(3):
        text = b64(b"x" * before + MARK.encode())
        found.append(text[-(-before * 8 // 6) : (before + len(MARK)) * 8 // 6])
    return found


MARKS = marks()
USER = f"admin-{MARK}"
PASSWORD = f"{MARK}-password"
URL = f"postgres://db/{MARK}"
MANIFEST = f"""\
# a comment
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
type: Opaque
data:
  username: {b64(USER)}
  # between
  password: {b64(PASSWORD)}   # behind
stringData:
  url: "{URL}"
""".encode()
CONFIG_MAP = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\ndata:\n  a: b\n"
NOT_YAML = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: '{MARK}\n".encode()


class Ran(NamedTuple):
    """What a process left."""

    code: int
    out: bytes
    err: str


class Person:
    """Somebody with an age identity in their config folder, at work in `work`."""

    def __init__(self, folder: Path, name: str = "me", *, identity: bool = True) -> None:
        self.work = folder / "work"
        self.work.mkdir(exist_ok=True)
        self.home = folder / f"home-{name}"
        self.home.mkdir()
        self.key_file = self.home / "ksecret" / "age.key"
        self.identity = str(pyrage.x25519.Identity.generate())
        if identity:
            self.key_file.parent.mkdir()
            self.key_file.write_text(f"{self.identity}\n")
            self.key_file.chmod(0o600)
        self.lock = lock_of(self.identity)
        (key,) = self.lock.keys
        self.ref = str(key)
        kept = {name: text for name, text in os.environ.items() if name.startswith("PYTHON")}
        self.environ = kept | {
            "PATH": os.pathsep.join((BIN, os.environ.get("PATH", os.defpath))),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
        }

    def run(self, *words: str | bytes, stdin: bytes = b"", program: str = KSECRET, **environ: str) -> Ran:
        """Runs it, whatever comes of it; but nothing of a value may be on standard error, nor a traceback."""
        command, environ, count = [program, *words], self.environ | environ, forks.counted(words)
        if program == KSECRET and not forks.from_nothing(words) and forks.can_fork(command, environ):
            code, out, err = forks.run(command, stdin, self.work, environ, count=count)
        else:
            environ |= forks.measuring() if count else {}
            code, out, err = forks.start(command, stdin, self.work, environ)
        ran = Ran(code, out, err.decode())
        for mark in MARKS:
            assert mark not in ran.err
        assert self.identity not in ran.err + ran.out.decode("latin-1")
        assert "Traceback" not in ran.err, ran.err
        return ran

    def ok(self, *words: str | bytes, stdin: bytes = b"", program: str = KSECRET, **environ: str) -> Ran:
        """A run that ends well."""
        ran = self.run(*words, stdin=stdin, program=program, **environ)
        assert ran.code == 0, ran.err
        return ran

    def fails(self, code: int, *words: str | bytes, stdin: bytes = b"", **environ: str) -> str:
        """A run that ends with that code, one error, at most one hint, and nothing on standard output."""
        ran = self.run(*words, stdin=stdin, **environ)
        assert (ran.code, ran.out) == (code, b""), ran.err
        assert ERROR.fullmatch(ran.err), ran.err
        return ran.err

    def write(self, name: str, data: bytes = MANIFEST) -> Path:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def write_sealed(self, name: str, data: bytes = MANIFEST, *options: str) -> Path:
        """A file that is sealed as `encrypt -i` does; where that is to own keys alone, it is done in this process."""
        if options or self.has_settings():
            path = self.write(name, data)
            self.ok("encrypt", "-i", *options, "--", name)
            return path
        return self.write(name, self.lock.seal(data, created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))

    def has_settings(self) -> bool:
        """Whether anything but their own identity says to whom and in what format they seal."""
        told = any(name.startswith("KSECRET_") for name in self.environ)
        return told or not self.key_file.exists() or any(self.work.rglob(".ksecret.yaml"))

    def names(self) -> list[str]:
        """Every file in the work folder, hidden and temporary ones too."""
        return sorted(str(path.relative_to(self.work)) for path in self.work.rglob("*") if not path.is_dir())


def member(sealed: bytes, name: str) -> str:
    """The text after `name: ` on the one line that starts so."""
    (found,) = re.findall(rf"(?m)^ *{re.escape(name)}: (.*)$", sealed.decode())
    return str(found)


def key_refs(sealed: bytes) -> list[str]:
    """The keyset as it stands in an envelope in block style."""
    return re.findall(r"(?m)^ {4}((?:age|pgp):.+): [A-Za-z0-9+/=]+$", sealed.decode())


def is_sealed(data: bytes) -> bool:
    """Whether it is an envelope's text with no value left in the clear."""
    return b"\nksecret:\n" in data and not any(mark.encode() in data for mark in MARKS)
