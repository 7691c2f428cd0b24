"""Names of keys that a hostile file, policy or option makes up: none of them ever reaches gpg.

gpg takes a word that starts with a dash for an option: `--homedir=.g` makes it run the agent that `.g/gpg.conf` names,
`--status-file=PATH` empties that file. The gpg here is the real one, behind a script that notes its arguments.
"""

from __future__ import annotations

import shutil
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import Person
from tests.integration.gpg_home import GpgHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZEROS = b64encode(bytes(32)).decode()
KSECRET = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: prod}}
data:
  password: ksecret.v1.{b64encode(bytes(92)).decode()}
ksecret:
  version: 1
  sealedFor: prod/db
  created: "2026-01-01T00:00:00Z"
  keys:
    "pgp:@": WRAPPED
  seal: {ZEROS}
"""
KUBESEC = """\
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: prod}
data:
  password: AAAA.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA==
# kubesec:v:3
# kubesec:pgp:@:WRAPPED
# kubesec:mac:AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA==
"""
FORMATS = {"ksecret": KSECRET, "kubesec": KUBESEC}
SOMEBODY = "age:age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"

COMMANDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "inspect": (5, ("inspect", "f.yaml")),
    "inspect as JSON": (5, ("inspect", "--json", "f.yaml")),
    "keys list": (5, ("keys", "list", "f.yaml")),
    "keys add": (5, ("keys", "add", "-k", SOMEBODY, "f.yaml")),
    "keys sync": (5, ("keys", "sync", "f.yaml")),
    "decrypt": (5, ("decrypt", "f.yaml")),
    "decrypt a folder": (5, ("decrypt", "-r", ".")),
    "verify": (1, ("verify", "f.yaml")),
    "get": (5, ("get", "f.yaml", "password")),
    "set": (5, ("set", "f.yaml", "password=x")),
    "patch": (5, ("patch", "-i", "f.yaml", "-s", "password=x")),
    "rotate": (5, ("rotate", "f.yaml")),
    "rotate --rewrap": (5, ("rotate", "--rewrap", "f.yaml")),
    "rename": (5, ("rename", "--name", "other", "f.yaml")),
    "encrypt": (5, ("encrypt", "-i", "f.yaml")),
    "encrypt --parent": (5, ("encrypt", "--parent", "f.yaml", "-k", SOMEBODY, "clear.yaml")),
    "merge": (5, ("merge", "f.yaml", "clear.yaml")),
    "edit": (5, ("edit", "f.yaml")),
    "exec": (5, ("exec", "f.yaml", "--", "true")),
    "apply": (5, ("apply", "f.yaml")),
    "convert": (5, ("convert", "--to", "OTHER", "f.yaml")),
    "check": (1, ("check", ".")),
    "doctor": (5, ("doctor", "f.yaml")),
    "git textconv": (0, ("git", "textconv", "f.yaml")),
    "git textconv --show": (0, ("git", "textconv", "--show", "f.yaml")),
}
"""What it ends with, and the words."""


class Victim(Person):
    """A person in a repository that Mallory has made, whose gpg notes with what it is called."""

    def __init__(self, folder: Path, home: GpgHome, wrapped: str) -> None:
        super().__init__(folder)
        self.wrapped = wrapped
        self.calls, self.ran, self.precious = folder / "calls", folder / "ran", folder / "precious"
        self.precious.write_text("precious")
        programs = folder / "bin"
        programs.mkdir()
        gpg = programs / "gpg"
        gpg.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {self.calls}\nexec {shutil.which("gpg")} "$@"\n')
        gpg.chmod(0o755)
        self.environ |= {"PATH": f"{programs}:{self.environ['PATH']}", "GNUPGHOME": home.path, "EDITOR": "true"}
        self._trap()

    def _trap(self) -> None:
        folder = self.work / ".g"
        folder.mkdir(mode=0o700)
        (folder / "gpg.conf").write_text("with-secret\nagent-program .g/agent\n")
        (folder / "agent").write_text(f"#!/bin/sh\ntouch {self.ran}\n")
        (folder / "agent").chmod(0o755)

    def finds(self, text: str, word: str) -> None:
        """A file in which that word stands where the fingerprint of a PGP key belongs."""
        self.write("f.yaml", text.replace("@", word).replace("WRAPPED", self.wrapped).encode())

    def nothing_happened(self) -> None:
        assert not self.ran.exists()
        assert self.precious.read_text() == "precious"
        assert not self.calls.exists(), self.calls.read_text()


@pytest.fixture(scope="module")
def gpg_home() -> Iterator[tuple[GpgHome, str]]:
    """The victim's keyring, and a message to a key that is not in it."""
    home, mallorys = GpgHome(), GpgHome()
    try:
        key = mallorys.make_pair("mallory@example.org")
        yield home, b64encode(mallorys.gpg("--encrypt", "--recipient", key, data=bytes(32))).decode()
    finally:
        home.close()
        mallorys.close()


@pytest.fixture
def victim(tmp_path: Path, gpg_home: tuple[GpgHome, str]) -> Victim:
    made = Victim(tmp_path, *gpg_home)
    made.write("clear.yaml", b"apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: prod}\ndata: {a: YQ==}\n")
    (made.work / "clear.yaml").rename(made.work / ".clear.yaml")
    return made


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_hands_a_made_up_name_to_gpg(victim: Victim, name: str, format_: str) -> None:
    (victim.work / ".clear.yaml").rename(victim.work / "clear.yaml")
    code, words = COMMANDS[name]
    other = next(iter(FORMATS.keys() - {format_}))
    words = tuple(other if word == "OTHER" else word for word in words)
    if "clear.yaml" not in words:
        (victim.work / "clear.yaml").unlink()
    for word in ("--homedir=.g", f"--status-file={victim.precious}", "-o", "me@example.org", "default", "ab" * 20):
        victim.finds(FORMATS[format_], word)
        ran = victim.run(*words)
        assert ran.code == code, ran.err
        victim.nothing_happened()


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_file_with_a_fingerprint_is_asked_of_gpg(victim: Victim, format_: str) -> None:
    victim.finds(FORMATS[format_], "AB" * 20)
    assert "AB" * 20 in victim.ok("inspect", "f.yaml").out.decode()
    assert victim.calls.read_text().splitlines()[-2:] == ["--", "AB" * 20]
    assert victim.run("decrypt", "f.yaml").code == 4


@pytest.mark.parametrize("format_", FORMATS)
def test_check_tells_where_a_made_up_name_stands(victim: Victim, format_: str) -> None:
    victim.finds(FORMATS[format_], "--homedir=.g")
    found = victim.run("check", "f.yaml").out.decode()
    assert "KS006" in found
    assert "full fingerprint" in found
    assert "homedir" not in found


@pytest.mark.parametrize("word", ["--homedir=.g", "-o"])
def test_options_and_policies_name_keys_only(victim: Victim, word: str) -> None:
    (victim.work / ".clear.yaml").rename(victim.work / "clear.yaml")
    assert "full fingerprint" in victim.fails(2, "encrypt", "-k", f"pgp:{word}", "clear.yaml")
    victim.write(".ksecret.yaml", f"version: 1\nrules:\n- keys: ['pgp:{word}']\n".encode())
    assert "full fingerprint" in victim.fails(3, "encrypt", "clear.yaml")
    victim.nothing_happened()
