"""The GnuPG backend against the gpg that is installed here: real keys, real agents, nothing faked but the pinentry.

A missing gpg fails these tests; it does not skip them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from secretsvc.backends import gnupg
from secretsvc.errors import (
    AlteredError,
    BackendError,
    BackendUnavailableError,
    KeyNotHeldError,
    KeyRefError,
    UsageError,
)
from secretsvc.keyref import KeyRef
from tests.integration.gpg_home import LONG_AGO, Asked, GpgHome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEK = bytes(range(32))
PASSPHRASE = b"correct horse: battery"
ROOT = Path(gnupg.__file__).parents[2]


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


def key_ids(home: GpgHome, message: bytes) -> list[str]:
    """The key ids that a message is encrypted to."""
    lines = home.gpg("--list-only", "--list-packets", data=message, fails=True).decode().splitlines()
    return [line.rsplit(" ", 1)[1] for line in lines if line.startswith(":pubkey enc packet:")]


def inside(home: GpgHome, key: str, packets: bytes, *options: str) -> bytes:
    """A message whose encrypted content is exactly those packets."""
    return home.gpg(*options, "--no-literal", "-z", "0", "--recipient", key, "--encrypt", data=packets)


def literal(home: GpgHome, data: bytes = DEK) -> bytes:
    return home.gpg("-z", "0", "--store", data=data)


def recording_gpg(folder: Path, *before: str) -> str:
    """A PATH on which gpg is a script that notes its arguments and environment, and becomes the real gpg."""
    real = shutil.which("gpg")
    assert real
    script = folder / "gpg"
    note = f'{{ printf "%s\\n" "$@"; env; }} >> {shlex.quote(str(folder / "log"))}'
    script.write_text("\n".join(["#!/bin/sh", note, *before, f'exec {shlex.quote(real)} "$@"', ""]))
    script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


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
        assert str(GpgHome.backend(_Nowhere(), PATH="").parse(text)) == f"pgp:{self.FINGERPRINT}"

    def test_a_version_5_fingerprint_has_64_digits(self) -> None:
        assert GpgHome.backend(_Nowhere(), PATH="").parse("ab" * 32).id == "AB" * 32

    @pytest.mark.parametrize(
        "text",
        ["", "49CC558D", "0x49CC558DC65BE046", "bob@example.org", "G" * 40, "A" * 41, "\u0661" * 40, "A" * 40 + "!"],
    )
    def test_anything_else_is_refused_without_being_quoted(self, text: str) -> None:
        with pytest.raises(KeyRefError, match="full fingerprint, 40 hex digits") as caught:
            GpgHome.backend(_Nowhere(), PATH="").parse(text)
        assert "gpg --list-keys --fingerprint" in caught.value.hint
        assert not text or text not in caught.value.message + caught.value.hint

    def test_default_is_the_own_key(self, world: World) -> None:
        assert world.alice.backend().parse("default") == world.ref("alice")

    def test_default_is_the_default_key_of_gpg_conf(self, new_home: Callable[[], GpgHome]) -> None:
        home = new_home()
        home.make_pair("First")
        second = home.make_pair("Second")
        home.configure(f"default-key {second}")
        assert home.backend().parse("default").id == second

    def test_default_without_a_secret_key_is_refused(self, world: World) -> None:
        with pytest.raises(KeyRefError, match="no secret PGP key here can be the default"):
            world.public.backend().parse("default")

    def test_describe_gives_the_owner(self, world: World) -> None:
        backend = world.alice.backend()
        assert backend.describe(world.ref("alice")) == "Alice <alice@example.org>"
        assert backend.describe(world.ref("sign")) == "Signer: odd \\ name \u00e9"

    def test_describe_never_fails(self, world: World) -> None:
        assert world.alice.backend().describe(KeyRef("pgp", "A" * 40)) == ""
        assert world.alice.backend(PATH="").describe(world.ref("alice")) == ""


class _Nowhere(GpgHome):
    """No home at all: for what must work without gpg."""

    def __init__(self) -> None:
        self.environ = {}


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

    def test_no_agent_is_not_the_same_as_no_key(self, world: World, new_home: Callable[[], GpgHome]) -> None:
        home = new_home()
        home.make_pair("Own")
        ref = home.backend().parse("default")
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

    @pytest.mark.parametrize("message", [b"", b"garbage", b"\x85", b"-----BEGIN PGP MESSAGE-----\n\n", bytes(65536)])
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
            world.alice.backend(PATH="").unwrap(world.ref("alice"), bytes(65537), {})

    @pytest.mark.parametrize("size", [0, 31, 33, 1025, 10_000_000])
    def test_other_than_32_bytes(self, world: World, size: int) -> None:
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


class TestPassphrases:
    def wrapped(self, world: World) -> bytes:
        return world.alice.backend().wrap(world.ref("bob"), DEK, {})

    def test_it_is_asked_for_once_and_opens(self, world: World, locked: GpgHome) -> None:
        asked = Asked(PASSPHRASE + b"\n")
        backend = locked.backend(asked)
        wrapped = self.wrapped(world)
        for _ in range(2):
            locked.forget()
            assert backend.unwrap(world.ref("bob"), wrapped, {}) == DEK
        assert asked == ["pgp"]

    def test_it_signs(self, world: World, locked: GpgHome) -> None:
        wrapped = locked.backend(lambda _: PASSPHRASE).wrap(world.ref("alice"), DEK, {})
        assert world.alice.backend(require_signature=True).unwrap(world.ref("alice"), wrapped, {}) == DEK

    def test_it_is_not_asked_for_when_the_agent_knows_it(self, world: World, locked: GpgHome) -> None:
        wrapped = self.wrapped(world)
        locked.backend(lambda _: PASSPHRASE).unwrap(world.ref("bob"), wrapped, {})
        asked = Asked(None)
        assert locked.backend(asked).unwrap(world.ref("bob"), wrapped, {}) == DEK
        assert asked == []

    @pytest.mark.parametrize("passphrase", [b"no such thing", b"x" * 300, b"\xff\xfe"])
    def test_a_wrong_one(self, world: World, locked: GpgHome, passphrase: bytes) -> None:
        backend = locked.backend(lambda _: passphrase)
        with pytest.raises(BackendError, match="the passphrase for the PGP key is wrong") as caught:
            backend.unwrap(world.ref("bob"), self.wrapped(world), {})
        assert passphrase.decode("latin-1") not in caught.value.message + caught.value.hint
        with pytest.raises(BackendError, match="the passphrase for the PGP key is wrong"):
            backend.wrap(world.ref("alice"), DEK, {})

    def test_threads_share_it(self, world: World, locked: GpgHome) -> None:
        asked: list[int] = []

        def ask(_what: str) -> bytes:
            asked.append(threading.get_ident())
            time.sleep(0.1)
            return PASSPHRASE

        backend, wrapped = locked.backend(ask), self.wrapped(world)
        with ThreadPoolExecutor(8) as pool:
            deks = list(pool.map(lambda _: backend.unwrap(world.ref("bob"), wrapped, {}), range(24)))
        assert deks == [DEK] * 24
        assert len(asked) == 1

    def test_without_one_and_without_a_terminal_it_fails_at_once(self, world: World, locked: GpgHome) -> None:
        code = (
            "import sys, os\n"
            "from secretsvc.backends.base import Settings\n"
            "from secretsvc.backends.gnupg import GnuPG\n"
            "from secretsvc.errors import BackendError\n"
            "backend = GnuPG(Settings(os.environ, lambda what: None))\n"
            "for call in (lambda: backend.unwrap(backend.parse(sys.argv[1]), sys.stdin.buffer.read(), {}),\n"
            "             lambda: backend.wrap(backend.parse(sys.argv[2]), bytes(32), {})):\n"
            "    try: call()\n"
            "    except BackendError as error: print(error.message, error.hint)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, world.key["bob"], world.key["alice"]],
            input=self.wrapped(world),
            env=locked.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            start_new_session=True,
            check=True,
            timeout=10,
        )
        assert done.stderr == b""
        lines = done.stdout.decode().splitlines()
        assert len(lines) == 2
        for line in lines:
            assert line.startswith("the PGP key is locked, and its passphrase could not be asked for")
            assert "KSECRET_GPG_PASSPHRASE" in line
            assert "--passphrase-file" in line

    def test_pinentry_is_told_the_terminal(self) -> None:
        leader, terminal = os.openpty()
        try:
            code = "from secretsvc.backends.gnupg import _terminal as t; print(t({}), t({'GPG_TTY': '/dev/x'}))"
            done = subprocess.run(
                [sys.executable, "-c", code],
                stdin=terminal,
                capture_output=True,
                env={"PYTHONPATH": str(ROOT)},
                check=True,
            )
            assert done.stdout.decode() == f"{ {'GPG_TTY': os.ttyname(terminal)} } {{}}\n"
        finally:
            os.close(leader)
            os.close(terminal)

    @pytest.mark.parametrize("agent", [(), ("no-allow-loopback-pinentry",)])
    def test_gpgs_own_pinentry_is_used_where_nobody_else_knows_it(
        self, world: World, new_home: Callable[[], GpgHome], tmp_path: Path, agent: tuple[str, ...]
    ) -> None:
        home, ref = self.with_pinentry(world, new_home(), tmp_path, f"echo 'D {PASSPHRASE.decode()}'; echo OK", agent)
        wrapped = home.backend(GPG_TTY="/dev/pts/987").wrap(ref, DEK, {})
        home.forget()
        assert home.backend(GPG_TTY="/dev/pts/987", require_signature=True).unwrap(ref, wrapped, {}) == DEK
        assert "ttyname=/dev/pts/987" in (tmp_path / "log").read_text()

    def test_a_cancelled_pinentry(self, world: World, new_home: Callable[[], GpgHome], tmp_path: Path) -> None:
        home, ref = self.with_pinentry(world, new_home(), tmp_path, "echo 'ERR 83886179 Operation cancelled'", ())
        wrapped = world.public.gpg("--recipient", ref.id, "--encrypt", data=DEK)
        with pytest.raises(BackendError, match="was cancelled"):
            home.backend().unwrap(ref, wrapped, {})
        with pytest.raises(BackendError, match="was cancelled"):
            home.backend().wrap(ref, DEK, {})

    def with_pinentry(
        self, world: World, home: GpgHome, folder: Path, answer: str, agent: tuple[str, ...]
    ) -> tuple[GpgHome, KeyRef]:
        """A home with a locked key and a pinentry (it speaks Assuan on its standard descriptors) that answers so."""
        script = folder / "pinentry"
        script.write_text(
            "#!/bin/sh\necho OK\nwhile read -r line; do case $line in\n"
            f"  'OPTION ttyname='*) echo \"$line\" >> {shlex.quote(str(folder / 'log'))}; echo OK ;;\n"
            f"  GETPIN*) {answer} ;;\n  BYE*) exit ;;\n  *) echo OK ;;\nesac; done\n"
        )
        script.chmod(0o755)
        ref = KeyRef("pgp", home.make_pair("Own", PASSPHRASE.decode()))
        world.public.learn(home)
        home.configure(agent=(f"pinentry-program {script}", *agent))
        return home, ref

    def test_no_secret_reaches_arguments_environment_or_files(
        self, world: World, locked: GpgHome, tmp_path: Path
    ) -> None:
        path, temporary = recording_gpg(tmp_path), tmp_path / "tmp"
        temporary.mkdir()
        backend = locked.backend(
            lambda _: PASSPHRASE, PATH=path, TMPDIR=str(temporary), KSECRET_GPG_PASSPHRASE=PASSPHRASE.decode()
        )
        assert backend.unwrap(world.ref("bob"), self.wrapped(world), {}) == DEK
        backend.wrap(world.ref("alice"), DEK, {})
        log = (tmp_path / "log").read_bytes()
        assert log.count(b"--decrypt") == 1
        assert log.count(b"--sign") == 1
        assert list(temporary.iterdir()) == []
        for secret in (PASSPHRASE, DEK, DEK.hex().encode()):
            assert secret not in log
            for file in Path(locked.path).rglob("*"):
                assert not file.is_file() or secret not in file.read_bytes()


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


class TestRunning:
    @pytest.mark.parametrize("path", ["", ".", ":"])
    def test_gpg_is_not_installed(
        self, world: World, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recording_gpg(tmp_path)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(BackendUnavailableError, match="gpg was not found on the PATH") as caught:
            world.alice.backend(PATH=path).unwrap(world.ref("alice"), b"", {})
        assert "apt install gnupg" in caught.value.hint

    def test_a_gpg_that_can_not_be_started(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "gpg").write_bytes(b"\x7fELF no program")
        (tmp_path / "gpg").chmod(0o755)
        with pytest.raises(BackendUnavailableError, match="gpg can't be started"):
            world.alice.backend(PATH=str(tmp_path)).unwrap(world.ref("alice"), b"", {})

    def test_one_that_hangs_is_ended(self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gnupg, "_LIMIT", 0.3)
        path = recording_gpg(tmp_path, f"echo $$ > {shlex.quote(str(tmp_path / 'pid'))}", "exec sleep 30")
        backend, start = world.alice.backend(PATH=path), time.monotonic()
        with pytest.raises(BackendError, match="gpg gave no answer within"):
            backend.unwrap(world.ref("alice"), b"", {})
        assert time.monotonic() - start < 10
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    @pytest.mark.parametrize("where", ["", ">&2", "| sed 's/^/[GNUPG:] X /' >&2"])
    def test_one_that_says_too_much_is_ended(self, world: World, tmp_path: Path, where: str) -> None:
        path = recording_gpg(tmp_path, f"yes {where}")
        with pytest.raises(BackendError, match="gpg's answer is too long"):
            world.alice.backend(PATH=path).unwrap(world.ref("alice"), b"", {})

    def test_one_that_says_nothing(self, world: World, tmp_path: Path) -> None:
        path = recording_gpg(tmp_path, "exit 2")
        with pytest.raises(BackendError, match=r"^gpg could not decrypt$"):
            world.alice.backend(PATH=path).unwrap(world.ref("alice"), bytes(65536), {})

    def test_no_descriptor_is_left_open(self, world: World) -> None:
        folder = Path("/dev/fd")
        before = len(list(folder.iterdir()))
        backend = world.alice.backend()
        wrapped = backend.wrap(world.ref("alice"), DEK, {})
        backend.unwrap(world.ref("alice"), wrapped, {})
        with pytest.raises(AlteredError, match="altered"):
            backend.unwrap(world.ref("alice"), b"garbage", {})
        assert len(list(folder.iterdir())) == before

    def test_it_works_with_the_standard_descriptors_closed(self, world: World, tmp_path: Path) -> None:
        code = (
            "import os, sys\n"
            "from secretsvc.backends.base import Settings\n"
            "from secretsvc.backends.gnupg import GnuPG\n"
            "os.closerange(0, 3)\n"
            "backend = GnuPG(Settings(os.environ, lambda what: None))\n"
            "ref = backend.parse(sys.argv[1])\n"
            "dek = backend.unwrap(ref, backend.wrap(ref, bytes(32), {}), {})\n"
            "open(sys.argv[2], 'wb').write(dek)\n"
        )
        subprocess.run(
            [sys.executable, "-c", code, world.key["alice"], str(tmp_path / "dek")],
            env=world.alice.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
            timeout=20,
        )
        assert (tmp_path / "dek").read_bytes() == bytes(32)

    def test_a_cold_start_imports_nothing_slow(self) -> None:
        code = "import sys, secretsvc.backends.gnupg; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True, timeout=20
        )
        slow = {"gnupg", "subprocess", "logging", "tempfile", "pathlib", "dataclasses", "threading", "signal", "shutil"}
        assert not slow & set(done.stdout.decode().split())
