"""The GnuPG backend against the gpg that is installed here: what it opens and what it refuses, signatures among it.

A missing gpg fails these tests; it does not skip them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.gnupg.backend import GnuPG
from secretsvc.errors import AlteredError, BackendUnavailableError, KeyNotHeldError
from secretsvc.keyref import KeyRef
from tests.integration.gnupg_support import DEK, World
from tests.integration.gpg_home import LONG_AGO, Asked, GpgHome

if TYPE_CHECKING:
    from collections.abc import Callable


def inside(home: GpgHome, key: str, packets: bytes, *options: str) -> bytes:
    """A message whose encrypted content is exactly those packets."""
    return home.gpg(*options, "--no-literal", "-z", "0", "--recipient", key, "--encrypt", data=packets)


def literal(home: GpgHome, data: bytes = DEK) -> bytes:
    return home.gpg("-z", "0", "--store", data=data)


class TestUnwrap:
    def test_armoured_text_opens(self, world: World) -> None:
        message = world.alice.gpg("--armor", "--recipient", world.key["alice"], "--sign", "--encrypt", data=DEK)
        assert world.alice.backend(require_signature=True).unwrap(world.ref("alice"), message, {}) == DEK

    def test_hidden_recipients_open(self, world: World) -> None:
        message = world.alice.gpg("--hidden-recipient", world.key["alice"], "--encrypt", data=DEK)
        assert world.alice.backend().unwrap(world.ref("alice"), message, {}) == DEK

    def test_a_key_that_is_not_here(self, world: World) -> None:
        wrapped = world.alice.backend().wrap(world.ref("bob"), DEK, {})
        with pytest.raises(KeyNotHeldError, match="its secret PGP key is not on this machine"):
            world.alice.backend().unwrap(world.ref("bob"), wrapped, {})

    def test_a_service_opens_by_the_key_that_is_named_and_by_no_other(self, world: World) -> None:
        """Whoever may use one of its keys could write that one's name beside what is wrapped under another."""
        service = GnuPG(Settings(world.maker.environ, lambda _what: None, named_only=True))
        wrapped = world.maker.backend().wrap(world.ref("two"), DEK, {})
        for name in ("two", "two-new"):
            assert service.unwrap(world.ref(name), wrapped, {}) == DEK
        for name in ("two-old", "rsa"):
            assert world.maker.backend().unwrap(world.ref(name), wrapped, {}) == DEK
            with pytest.raises(AlteredError, match="another key's than the file says"):
                service.unwrap(world.ref(name), wrapped, {})

    def test_no_agent_is_not_the_same_as_no_key(self, world: World, new_home: Callable[[], GpgHome]) -> None:
        home = new_home()
        home.make_pair("Own")
        ref = home.backend().default_ref()
        wrapped = home.backend().wrap(ref, DEK, {})
        home.configure("agent-program /nonexistent")
        with pytest.raises(BackendUnavailableError, match="gpg-agent can't be reached"):
            home.backend().unwrap(ref, wrapped, {})
        with pytest.raises(BackendUnavailableError, match="gpg-agent can't be reached"):
            home.backend().wrap(ref, DEK, {})

    @pytest.mark.parametrize("name", ["alice", "rsa"])
    def test_no_altered_byte_gets_through(self, world: World, name: str) -> None:
        home = world.alice if name == "alice" else world.maker
        wrapped = home.backend().wrap(world.ref(name), DEK, {})
        for at in (30, 60, len(wrapped) // 2, len(wrapped) - 60, len(wrapped) - 5):
            altered = bytearray(wrapped)
            altered[at] ^= 0x10
            with pytest.raises(AlteredError, match=r"its wrapped data key (was altered|is bad)"):
                home.backend().unwrap(world.ref(name), bytes(altered), {})

    @pytest.mark.parametrize("message", [b"", b"garbage", b"\x85", b"-----BEGIN PGP MESSAGE-----\n\n", bytes(16384)])
    def test_what_is_no_message(self, world: World, message: bytes) -> None:
        with pytest.raises(AlteredError, match="its wrapped data key was altered"):
            world.alice.backend().unwrap(world.ref("alice"), message, {})

    def test_a_shortened_message(self, world: World) -> None:
        wrapped = world.alice.backend().wrap(world.ref("alice"), DEK, {})
        for end in (20, 100, len(wrapped) - 1):
            with pytest.raises(AlteredError, match="its wrapped data key was altered"):
                world.alice.backend().unwrap(world.ref("alice"), wrapped[:end], {})

    def test_more_than_any_wrapped_key_is_not_even_given_to_gpg(self, world: World) -> None:
        with pytest.raises(AlteredError, match="too long"):
            world.alice.backend(PATH="").unwrap(world.ref("alice"), bytes(16385), {})

    @pytest.mark.parametrize("size", [0, 31, 34, 1025, 10_000_000])
    def test_neither_a_data_key_nor_a_share_of_one(self, world: World, size: int) -> None:
        message = world.alice.gpg("-z", "9", "--recipient", world.key["alice"], "--encrypt", data=bytes(size))
        with pytest.raises(AlteredError, match="not 32 bytes"):
            world.alice.backend().unwrap(world.ref("alice"), message, {})

    def test_without_integrity_protection(self, world: World, new_home: Callable[[], GpgHome]) -> None:
        message = world.alice.gpg("--rfc2440", "-z", "0", "--recipient", world.key["alice"], "--encrypt", data=DEK)
        with pytest.raises(AlteredError, match="has no integrity protection"):
            world.alice.backend().unwrap(world.ref("alice"), message, {})

    def test_ignoring_integrity_in_gpg_conf_does_not_help(self, new_home: Callable[[], GpgHome]) -> None:
        home = new_home()
        ref = KeyRef("pgp", home.make_pair("Own"))
        home.configure("ignore-mdc-error")
        bare = home.gpg("--rfc2440", "-z", "0", "--recipient", ref.id, "--encrypt", data=DEK)
        with pytest.raises(AlteredError, match="has no integrity protection"):
            home.backend().unwrap(ref, bare, {})
        altered = bytearray(home.backend().wrap(ref, DEK, {}))
        altered[-5] ^= 1
        with pytest.raises(AlteredError, match="was altered"):
            home.backend().unwrap(ref, bytes(altered), {})

    def test_not_encrypted_at_all(self, world: World) -> None:
        for message in (literal(world.alice), world.alice.gpg("--sign", data=DEK)):
            with pytest.raises(AlteredError, match="its wrapped data key was altered"):
                world.alice.backend().unwrap(world.ref("alice"), message, {})

    def test_a_second_text_beside_the_first(self, world: World) -> None:
        alice, key = world.alice, world.key["alice"]
        one = literal(alice)
        messages = {
            "two inside": inside(alice, key, one + one),
            "after": inside(alice, key, one) + one,
            "before": one + inside(alice, key, one),
            "twice": inside(alice, key, one) * 2,
        }
        for message in messages.values():
            with pytest.raises(AlteredError, match="was altered"):
                alice.backend().unwrap(world.ref("alice"), message, {})

    def test_locked_with_a_passphrase_instead_of_a_key(self, world: World) -> None:
        message = world.alice.gpg("--pinentry-mode", "loopback", "--passphrase", "x", "--symmetric", data=DEK)
        asked = Asked(b"x")
        with pytest.raises(AlteredError, match="locked with a passphrase, not to a key"):
            world.alice.backend(asked).unwrap(world.ref("alice"), message, {})
        assert asked == []


class TestSignatures:
    def test_a_bad_one_is_always_refused(self, world: World) -> None:
        signed = bytearray(world.alice.gpg("-z", "0", "--sign", data=DEK))
        signed[bytes(signed).index(DEK)] ^= 1
        message = inside(world.alice, world.key["alice"], bytes(signed))
        for require in (False, True):
            with pytest.raises(AlteredError, match="the signature on its wrapped data key is bad"):
                world.alice.backend(require_signature=require).unwrap(world.ref("alice"), message, {})

    def test_a_good_one_satisfies(self, world: World) -> None:
        wrapped = world.alice.backend(require_signature=True).wrap(world.ref("alice"), DEK, {})
        assert world.alice.backend(require_signature=True).unwrap(world.ref("alice"), wrapped, {}) == DEK

    def check(self, world: World, message: bytes, reason: str) -> None:
        assert world.alice.backend().unwrap(world.ref("alice"), message, {}) == DEK
        with pytest.raises(AlteredError, match=f"a signature is required on its wrapped data key: {reason}"):
            world.alice.backend(require_signature=True).unwrap(world.ref("alice"), message, {})

    def test_absent(self, world: World) -> None:
        self.check(world, world.public.backend().wrap(world.ref("alice"), DEK, {}), "it is not signed")

    def test_by_a_key_that_is_not_in_the_keyring(self, world: World, new_home: Callable[[], GpgHome]) -> None:
        stranger = new_home()
        key = stranger.make_pair("Stranger")
        stranger.learn(world.alice)
        wrapped = stranger.backend().wrap(world.ref("alice"), DEK, {})
        self.check(world, wrapped, f"it is signed with the key {key[-16:]}, which is not in the keyring")

    def test_by_a_revoked_key(self, world: World) -> None:
        message = inside(world.alice, world.key["alice"], world.signed_by_revoked)
        self.check(world, message, "it is signed with a key that was revoked")

    def test_by_an_expired_key(self, world: World) -> None:
        signed = world.maker.gpg(
            *("--faked-system-time", LONG_AGO, "-z", "0", "--local-user", world.key["expired"], "--sign"), data=DEK
        )
        message = inside(world.alice, world.key["alice"], signed)
        self.check(world, message, "it is signed with a key that has expired")

    def test_expired(self, world: World) -> None:
        signed = world.maker.gpg(
            *("--faked-system-time", LONG_AGO, "-z", "0", "--local-user", world.key["stale"]),
            *("--default-sig-expire", "seconds=1", "--sign"),
            data=DEK,
        )
        message = inside(world.alice, world.key["alice"], signed)
        for require in (False, True):
            with pytest.raises(AlteredError, match="the signature on its wrapped data key has expired"):
                world.alice.backend(require_signature=require).unwrap(world.ref("alice"), message, {})
