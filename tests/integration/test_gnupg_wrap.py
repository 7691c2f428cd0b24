"""The GnuPG backend against the gpg that is installed here: what it wraps, for whom, and in what shape.

A missing gpg fails these tests; it does not skip them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import BackendError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.integration.gnupg_support import DEK, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.gpg_home import GpgHome


def key_ids(home: GpgHome, message: bytes) -> list[str]:
    """The key ids that a message is encrypted to."""
    lines = home.gpg("--list-only", "--list-packets", data=message, fails=True).decode().splitlines()
    return [line.rsplit(" ", 1)[1] for line in lines if line.startswith(":pubkey enc packet:")]


class TestWrap:
    @pytest.mark.parametrize("name", ["alice", "rsa", "two"])
    def test_there_and_back(self, world: World, name: str) -> None:
        holder = world.alice if name == "alice" else world.maker
        wrapped = world.alice.backend().wrap(world.ref(name), DEK, {})
        assert holder.backend().unwrap(world.ref(name), wrapped, {}) == DEK

    def test_the_message_is_binary_to_one_subkey_and_not_compressed(self, world: World) -> None:
        wrapped = world.alice.backend().wrap(world.ref("bob"), DEK, {})
        assert wrapped[0] & 0x80
        assert key_ids(world.alice, wrapped) == [world.bob.fingerprints("Bob")[1][-16:]]
        own = world.alice.backend().wrap(world.ref("alice"), DEK, {})
        assert ":compressed packet:" not in world.alice.gpg("--list-packets", data=own).decode()

    def test_it_is_signed_with_the_own_key(self, world: World) -> None:
        status = world.alice.status("--decrypt", data=world.alice.backend().wrap(world.ref("alice"), DEK, {}))
        assert f"VALIDSIG {world.key['alice']}" in status

    def test_without_a_secret_key_it_is_unsigned(self, world: World) -> None:
        backend = world.public.backend()
        for _ in range(2):
            status = world.alice.status("--decrypt", data=backend.wrap(world.ref("alice"), DEK, {}))
            assert "DECRYPTION_OKAY" in status
            assert "SIG" not in status

    def test_without_a_secret_key_it_fails_where_a_signature_is_required(self, world: World) -> None:
        backend = world.public.backend(require_signature=True)
        for _ in range(2):
            with pytest.raises(BackendError, match="a signature is required, and there is no secret PGP key here"):
                backend.wrap(world.ref("alice"), DEK, {})

    def test_a_signing_key_that_is_named_but_missing_is_no_reason_to_drop_the_signature(
        self, world: World, new_home: Callable[[], GpgHome]
    ) -> None:
        home = new_home()
        home.learn(world.alice, world.key["alice"])
        home.configure(f"local-user {'F' * 40}")
        with pytest.raises(BackendError, match="gpg could not sign and encrypt"):
            home.backend().wrap(world.ref("alice"), DEK, {})

    @pytest.mark.parametrize("name", ["two-old", "two-new"])
    def test_a_subkey_that_is_named_is_the_one_that_is_used(self, world: World, name: str) -> None:
        wrapped = world.alice.backend().wrap(world.ref(name), DEK, {})
        assert key_ids(world.alice, wrapped) == [world.key[name][-16:]]
        assert world.maker.backend().unwrap(world.ref(name), wrapped, {}) == DEK

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("expired", r"^the key expired on 2020-01-01$"),
            ("stale", r"^the key's encryption subkey expired on 2020-01-01$"),
            ("revoked", r"^the key was revoked$"),
            ("sign", r"^the key can't encrypt: it is for signing only$"),
            ("disabled", r"^the key is disabled in your keyring$"),
            ("future", r"^gpg does not encrypt to the key$"),
        ],
    )
    def test_keys_that_can_not_be_used_are_told_apart(self, world: World, name: str, message: str) -> None:
        with pytest.raises(KeyRefError, match=message) as caught:
            world.alice.backend().wrap(world.ref(name), DEK, {})
        assert caught.value.hint

    def test_the_hint_for_an_expired_key_names_what_is_to_be_extended(self, world: World) -> None:
        main, *subkeys = world.alice.fingerprints(world.key["stale"])
        with pytest.raises(KeyRefError, match="subkey expired") as caught:
            world.alice.backend().wrap(world.ref("stale"), DEK, {})
        assert f"`gpg --quick-set-expire {main} 1y {subkeys[-1]}`" in caught.value.hint
        with pytest.raises(KeyRefError, match="the key expired") as caught:
            world.alice.backend().wrap(world.ref("expired"), DEK, {})
        assert f"`gpg --quick-set-expire {world.key['expired']} 1y`" in caught.value.hint

    def test_an_unknown_key_is_told_apart(self, world: World) -> None:
        with pytest.raises(KeyRefError, match="no public key with that fingerprint") as caught:
            world.alice.backend().wrap(KeyRef("pgp", "A" * 40), DEK, {})
        assert "gpg --import" in caught.value.hint


class TestHostileConfiguration:
    """What gpg.conf says must neither add readers nor change the message."""

    def test_it_changes_nothing(self, world: World, new_home: Callable[[], GpgHome], tmp_path: Path) -> None:
        home = new_home()
        own, eve = home.make_pair("Own"), world.key["alice"]
        home.learn(world.alice)
        home.learn(world.bob)
        home.configure(
            *(f"encrypt-to {eve}", f"hidden-encrypt-to {eve}", f"default-recipient {eve}", f"group {own}={eve}"),
            *("armor", "throw-keyids", "textmode", "compress-level 9", "comment hello", "default-sig-expire 1d"),
            *(
                f"output {tmp_path / 'leak'}",
                "use-embedded-filename",
                "verbose",
                "keyid-format none",
                "with-fingerprint",
            ),
        )
        newlines = b"\r\n\n\r" * 8
        backend = home.backend()
        wrapped = backend.wrap(KeyRef("pgp", own), newlines, {})
        assert key_ids(home, wrapped) == [home.fingerprints(own)[1][-16:]]
        assert backend.unwrap(KeyRef("pgp", own), wrapped, {}) == newlines
        signature = next(line for line in home.status("--decrypt", data=wrapped).splitlines() if " VALIDSIG " in line)
        assert signature.split()[5] == "0", "the signature expires"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("line", ["recipient {eve}", "hidden-recipient {eve}", "rfc2440"])
    def test_what_can_not_be_undone_is_refused(self, world: World, new_home: Callable[[], GpgHome], line: str) -> None:
        home = new_home()
        own = home.make_pair("Own")
        home.learn(world.alice)
        home.configure(line.format(eve=world.key["alice"]))
        with pytest.raises(BackendError, match="not to exactly that key, or lacks integrity protection"):
            home.backend().wrap(KeyRef("pgp", own), DEK, {})
