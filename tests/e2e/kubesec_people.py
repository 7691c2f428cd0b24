"""People who come from kubesec: with a GNUPGHOME, `KSECRET_FORMAT=kubesec`, and no age identity.

tests/conftest.py names this module as a plugin, so that its homes are made once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests import kubesec_reader
from tests.e2e.cli import MANIFEST, MARK, MARKS, PASSWORD, URL, USER, Person, b64
from tests.integration.gpg_home import GpgHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNBOUND = (
    "ksecret: {} opened in kubesec's format, which binds no Secret to its name and namespace: "
    "ksecret convert --to ksecret does\n"
)
ONE_UNBOUND = UNBOUND.format("1 file")
ARGV = (
    "ksecret: everybody on this machine can read --passphrase among the running processes\n"
    "  --passphrase-file FILE, KSECRET_AGE_PASSPHRASE or KSECRET_GPG_PASSPHRASE keep it private\n"
)
PASSPHRASE = f"{MARK} passphrase"
VALUES = {
    "data": {"username": b64(USER), "password": b64(PASSWORD)},
    "stringData": {"url": URL},
}


class Homes(NamedTuple):
    """My own keys, a friend's, and those of somebody whose key is locked; everybody knows everybody's public keys."""

    mine: GpgHome
    friends: GpgHome
    locked: GpgHome
    me: str
    friend: str
    locked_key: str


@pytest.fixture(scope="session")
def homes() -> Iterator[Homes]:
    made = (GpgHome(), GpgHome(), GpgHome())
    try:
        mine, friends, locked = made
        keys = (mine.make_pair("Me"), friends.make_pair("Friend"), locked.make_pair("Locked", PASSPHRASE))
        for home in made:
            for other in made:
                if other is not home:
                    home.learn(other)
        yield Homes(*made, *keys)
    finally:
        for home in made:
            home.close()


def person(folder: Path, name: str, home: GpgHome, *, identity: bool = False) -> Person:
    found = Person(folder, name, identity=identity)
    found.environ |= {"GNUPGHOME": home.path, "KSECRET_FORMAT": "kubesec"}
    return found


def is_kubesecs(data: bytes) -> bool:
    """Sealed in its format, with nothing of a value in it."""
    return b"\n# kubesec:v:" in data and b"\nksecret:" not in data and not any(mark.encode() in data for mark in MARKS)


def keys_of(sealed: bytes) -> list[str]:
    return re.findall(r"(?m)^# kubesec:pgp:([0-9A-F]{40}):", sealed.decode())


def by_the_other_reader(sealed: bytes, home: GpgHome | str) -> dict[str, dict[str, str]]:
    """The values, by the reader that shares no code with us."""
    assert kubesec_reader.misplaced(sealed) == []
    secret = kubesec_reader.read(sealed, kubesec_reader.unwrap_with_gpg(getattr(home, "path", home)))
    return {field: secret[field] for field in ("data", "stringData") if field in secret}


def seal(me: Person, name: str = "secret.yml", data: bytes = MANIFEST, *options: str) -> Path:
    path = me.write(name, data)
    me.ok("encrypt", "-i", *options, name)
    return path


def changed_lines(before: bytes, after: bytes) -> list[str]:
    return [line.decode().split(": ")[0] for line in after.split(b"\n") if line not in before.split(b"\n")]
