"""What the tests of the GnuPG backend share: homes with keys of every kind, and a gpg that notes how it is called.

tests/conftest.py names this module as a plugin, so that its fixtures are found everywhere and `world` is made once.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from secretsvc.backends.gnupg import backend as gnupg
from secretsvc.keyref import KeyRef
from tests.integration.gpg_home import LONG_AGO, GpgHome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEK = bytes(range(32))
PASSPHRASE = b"correct horse: battery"
ROOT = Path(gnupg.__file__).parents[3]


class World(NamedTuple):
    """Homes with the keys that they are named after, and the fingerprints of the public keys in alice's."""

    alice: GpgHome
    bob: GpgHome  # his key has PASSPHRASE
    maker: GpgHome  # has the secret keys of all others
    public: GpgHome  # has everybody's public keys and no secret one
    key: dict[str, str]
    signed_by_revoked: bytes

    def ref(self, name: str) -> KeyRef:
        return KeyRef("pgp", self.key[name])


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    alice, bob, maker, public = homes = (GpgHome(), GpgHome(), GpgHome(), GpgHome())
    try:
        key = {"alice": alice.make_pair("Alice <alice@example.org>"), "bob": bob.make_pair("Bob", PASSPHRASE.decode())}
        past = ("--faked-system-time", LONG_AGO)
        key["rsa"] = maker.make_key("Rsa", "rsa3072", "sign")
        maker.add_encryption(key["rsa"], "rsa3072")
        key["expired"] = maker.make_key("Expired", "ed25519", "sign", "seconds=1", *past)
        key["sign"] = maker.make_key("Signer: odd \\ name \u00e9")
        key["stale"] = maker.make_key("Stale", "ed25519", "sign", "never", *past)
        maker.add_encryption(key["stale"], "cv25519", "seconds=1", *past)
        key["disabled"] = maker.make_pair("Disabled")
        key["two"] = maker.make_key("Two", "ed25519", "sign", "never", *past)
        key["two-old"] = maker.add_encryption(key["two"], "cv25519", "never", *past)
        key["two-new"] = maker.add_encryption(key["two"])
        future = ("--faked-system-time", "20990101T000000")
        key["future"] = maker.make_key("Future", "ed25519", "sign")
        maker.add_encryption(key["future"], "cv25519", "never", *future)
        key["revoked"] = maker.make_pair("Revoked")
        signed = maker.gpg("-z", "0", "--local-user", key["revoked"], "--sign", data=DEK)
        maker.revoke(key["revoked"])
        for home in (alice, bob, public):
            for other in (alice, bob, maker):
                if other is not home:
                    home.learn(other)
        alice.disable(key["disabled"])
        yield World(alice, bob, maker, public, key, signed)
    finally:
        for home in homes:
            home.close()


@pytest.fixture
def new_home() -> Iterator[Callable[[], GpgHome]]:
    """Makes homes that live as long as one test."""
    homes: list[GpgHome] = []

    def make() -> GpgHome:
        homes.append(GpgHome())
        return homes[-1]

    yield make
    for home in homes:
        home.close()


@pytest.fixture
def locked(world: World) -> GpgHome:
    """Bob's home, with nothing in his agent's cache."""
    world.bob.forget()
    return world.bob


def recording_gpg(folder: Path, *before: str) -> str:
    """A PATH on which gpg is a script that notes its arguments and environment, and becomes the real gpg."""
    real = shutil.which("gpg")
    assert real
    script = folder / "gpg"
    note = f'{{ printf "%s\\n" "$@"; env; }} >> {shlex.quote(str(folder / "log"))}'
    script.write_text("\n".join(["#!/bin/sh", note, *before, f'exec {shlex.quote(real)} "$@"', ""]))
    script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
