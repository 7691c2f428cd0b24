"""How many gpg processes the keys of a file cost: they are anybody's to write."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import NoKeyError
from tests.integration.gnupg_support import DEK, recording_gpg
from tests.support import wrapped_keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World

STRANGERS = [f"pgp:{number:040X}" for number in range(1, 200)]


def runs(folder: Path) -> int:
    """How many times gpg was started."""
    log = folder / "log"
    return log.read_text().count("--status-fd\n") if log.exists() else 0


def backends(world: World, folder: Path) -> Backends:
    environ = os.environ | {"GNUPGHOME": str(world.alice.path), "PATH": recording_gpg(folder)}
    return Backends(Settings(environ, lambda _what: None))


def test_the_owners_of_two_hundred_keys_are_listed_at_once(world: World, tmp_path: Path) -> None:
    keys = backends(world, tmp_path)
    assert [keys.describe(uri) for uri in STRANGERS] == [""] * len(STRANGERS)
    assert keys.describe(f"pgp:{world.key['alice']}") == "Alice <alice@example.org>"
    assert keys.describe(f"pgp:{world.key['two-new']}") == "Two"
    assert keys.describe(f"pgp:{world.key['sign']}") == "Signer: odd \\ name \u00e9"
    assert runs(tmp_path) == 4


def test_data_keys_of_strangers_are_not_each_given_to_gpg(world: World, tmp_path: Path) -> None:
    keys = backends(world, tmp_path)
    foreign = b64encode(world.alice.backend().wrap(world.ref("rsa"), DEK, {})).decode()
    with pytest.raises(NoKeyError, match="its secret PGP key is not on this machine"):
        keys.unwrap(wrapped_keys(dict.fromkeys(STRANGERS, foreign)))
    assert runs(tmp_path) <= 7
    own = b64encode(world.alice.backend().wrap(world.ref("alice"), DEK, {})).decode()
    assert keys.unwrap(wrapped_keys(dict.fromkeys(STRANGERS, foreign) | {f"pgp:{world.key['alice']}": own})) == DEK
    assert runs(tmp_path) <= 8


def test_one_data_key_of_ones_own_takes_one_gpg(world: World, tmp_path: Path) -> None:
    own = b64encode(world.alice.backend().wrap(world.ref("alice"), DEK, {})).decode()
    assert backends(world, tmp_path).unwrap(wrapped_keys({f"pgp:{world.key['alice']}": own})) == DEK
    assert runs(tmp_path) == 1
