"""The GnuPG backend against the gpg that is installed here: how keys are named, and which of them are known.

A missing gpg fails these tests; it does not skip them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.gnupg import SCHEME
from secretsvc.errors import KeyNotHeldError, KeyRefError, UsageError
from secretsvc.keyref import KeyRef
from tests.integration.gnupg_support import DEK, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.gpg_home import GpgHome


class TestNames:
    FINGERPRINT = "62065555D9A284FDC65BE046C05A65F849CC558D"

    @pytest.mark.parametrize(
        "text",
        [
            FINGERPRINT,
            FINGERPRINT.lower(),
            f"0x{FINGERPRINT}",
            "6206 5555 D9A2 84FD C65B  E046 C05A 65F8 49CC 558D",
            f" {FINGERPRINT} ",
        ],
    )
    def test_a_full_fingerprint_becomes_upper_case_without_spaces(self, text: str) -> None:
        assert str(SCHEME.parse(text)) == f"pgp:{self.FINGERPRINT}"

    def test_a_version_5_fingerprint_has_64_digits(self) -> None:
        assert SCHEME.parse("ab" * 32).id == "AB" * 32

    @pytest.mark.parametrize(
        "text",
        ["", "49CC558D", "0x49CC558DC65BE046", "bob@example.org", "G" * 40, "A" * 41, "\u0661" * 40, "A" * 40 + "!"],
    )
    def test_anything_else_is_refused_without_being_quoted(self, text: str) -> None:
        with pytest.raises(KeyRefError, match="full fingerprint, 40 hex digits") as caught:
            SCHEME.parse(text)
        assert "gpg --list-keys --fingerprint" in caught.value.hint
        assert not text or text not in caught.value.message + caught.value.hint

    def test_default_is_the_own_key(self, world: World) -> None:
        assert world.alice.backend().default_ref() == world.ref("alice")

    def test_default_is_the_default_key_of_gpg_conf(self, new_home: Callable[[], GpgHome]) -> None:
        home = new_home()
        home.make_pair("First")
        second = home.make_pair("Second")
        home.configure(f"default-key {second}")
        assert home.backend().default_ref().id == second

    def test_default_without_a_secret_key_is_refused(self, world: World) -> None:
        with pytest.raises(KeyRefError, match="no secret PGP key here can be the default"):
            world.public.backend().default_ref()

    def test_describe_gives_the_owner(self, world: World) -> None:
        backend = world.alice.backend()
        assert backend.describe(world.ref("alice")) == "Alice <alice@example.org>"
        assert backend.describe(world.ref("sign")) == "Signer: odd \\ name \u00e9"

    def test_describe_never_fails(self, world: World) -> None:
        assert world.alice.backend().describe(KeyRef("pgp", "A" * 40)) == ""
        assert world.alice.backend(PATH="").describe(world.ref("alice")) == ""


class TestKeyring:
    """--keyring stands in place of the default public keyring."""

    def keyring(self, world: World, folder: Path, *names: str) -> str:
        path = str(folder / "team.kbx")
        keys = world.public.gpg("--export", *(world.key[name] for name in names))
        world.public.gpg("--no-default-keyring", "--keyring", path, "--import", data=keys)
        return path

    def test_only_its_keys_are_known(self, world: World, tmp_path: Path) -> None:
        keyring = self.keyring(world, tmp_path, "alice", "rsa")
        backend = world.alice.backend(keyring=keyring)
        wrapped = backend.wrap(world.ref("alice"), DEK, {})
        assert (
            world.alice.backend(keyring=keyring, require_signature=True).unwrap(world.ref("alice"), wrapped, {}) == DEK
        )
        with pytest.raises(KeyRefError, match="no public key with that fingerprint"):
            backend.wrap(world.ref("bob"), DEK, {})

    def test_without_the_own_public_key_the_hint_says_so(self, world: World, tmp_path: Path) -> None:
        wrapped = world.alice.backend().wrap(world.ref("alice"), DEK, {})
        backend = world.alice.backend(keyring=self.keyring(world, tmp_path, "rsa"))
        with pytest.raises(KeyNotHeldError, match="its secret PGP key is not on this machine") as caught:
            backend.unwrap(world.ref("alice"), wrapped, {})
        assert "your own public key must be in the keyring" in caught.value.hint

    def test_one_that_does_not_exist_is_not_made(self, world: World, tmp_path: Path) -> None:
        for keyring in (str(tmp_path / "none.kbx"), "none.kbx"):
            with pytest.raises(UsageError, match=r"none\.kbx does not exist"):
                world.alice.backend(keyring=keyring).wrap(world.ref("alice"), DEK, {})
        assert list(tmp_path.iterdir()) == []

    def test_a_bare_name_is_in_gpgs_home(self, world: World) -> None:
        assert world.alice.backend(keyring="pubring.kbx").wrap(world.ref("bob"), DEK, {})
