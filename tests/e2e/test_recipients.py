"""`-R FILE`, as age has it: one recipient a line, and nothing of a line that is none in any message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from secretsvc.cli.recipients import MOST_BYTES
from secretsvc.keyref import MOST_KEYS
from tests.e2e.cli import MANIFEST, MARK, Person, key_refs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World

ECDSA = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI me@host"


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path, "ann")


def ssh_key() -> tuple[str, str]:
    """The public key's line, and the private key."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return public, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def test_an_ssh_key_needs_no_prefix(me: Person) -> None:
    public, private = ssh_key()
    for written in (public, f"{public} me@host: at work", f"age:{public}", f" {public}\n"):
        sealed = me.ok("encrypt", "-k", written, "-", stdin=MANIFEST).out
        assert public.encode() in sealed
        assert b"me@host" not in sealed
        assert me.ok("decrypt", "-", stdin=sealed, KSECRET_AGE_KEY=private).out == MANIFEST
    sealed = me.ok("encrypt", "-", stdin=MANIFEST, KSECRET_KEYS=public).out
    assert me.ok("decrypt", "-", stdin=sealed, KSECRET_AGE_KEY=private).out == MANIFEST


def test_a_file_of_recipients_is_a_keyset(me: Person, ann: Person, world: World) -> None:
    public, _ = ssh_key()
    bare = ann.ref.removeprefix("age:")
    lines = ["\ufeff# the team", "", bare, f"  {me.ref}  ", f"{public} ann@laptop", f"age:{bare.upper()}"]
    alice = str(world.ref("alice"))
    me.write("team.txt", "\r\n".join([*lines, alice]).encode())
    sealed = me.ok("encrypt", "--recipients-file=team.txt", "-", stdin=MANIFEST, GNUPGHOME=world.alice.path).out
    listed = me.ok("keys", "list", "-", stdin=sealed).out.decode()
    assert all(f"  {ref}" in listed for ref in (ann.ref, me.ref, f"age:{public}", alice))
    assert len(listed.splitlines()) == 4
    assert ann.ok("decrypt", "-", stdin=sealed).out == MANIFEST


def test_it_goes_with_k_and_with_every_command_that_has_it(me: Person, ann: Person) -> None:
    me.write("ann.txt", f"{ann.ref}\n".encode())
    both = sorted([ann.ref, me.ref])
    assert key_refs(me.ok("encrypt", "-k", me.ref, "-R", "ann.txt", "-", stdin=MANIFEST).out) == both
    assert key_refs(me.ok("create", "generic", "x", "--random", "a=9", "-R", "ann.txt").out) == [ann.ref]
    path = me.write_sealed("a.yaml")
    me.ok("keys", "add", "-R", "ann.txt", "a.yaml")
    assert key_refs(path.read_bytes()) == both
    me.ok("keys", "remove", "-R", "ann.txt", "a.yaml")
    assert key_refs(path.read_bytes()) == [me.ref]
    assert key_refs(me.ok("encrypt", "-R", "/dev/stdin", "a.yaml", stdin=ann.ref.encode()).out) == [ann.ref]
    assert f"part  {ann.ref}: seals, but does not open here" in me.run("doctor", "-R", "ann.txt").out.decode()


def test_ssh_keys_that_age_does_not_take_are_passed_over_with_a_word(me: Person, ann: Person) -> None:
    me.write("forge.keys", f"{ECDSA}\n{ann.ref}\n".encode())
    ran = me.ok("encrypt", "-R", "forge.keys", "-k", me.ref, "-", stdin=MANIFEST)
    assert key_refs(ran.out) == sorted([ann.ref, me.ref])
    assert ran.err == (
        "ksecret: warning: forge.keys:1: passed over: an SSH key of a type that age does not encrypt to\n"
    )
    me.write("forge.keys", ECDSA.encode())
    assert "forge.keys: no recipient is in it" in me.run("encrypt", "-R", "forge.keys", "-", stdin=MANIFEST).err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": no recipient is in it"),
        (b"# only\n\n", ": no recipient is in it"),
        (f"# x\n{MARK}\n".encode(), ":2: a key is written SCHEME:NAME"),
        (f"age1{MARK}\n".encode(), ":1: that is not an age recipient"),
        (f"ssh-ed25519 {MARK}!\n".encode(), ":1: that is not an age recipient"),
        (f"pgp:{MARK}\n".encode(), ":1: a PGP key is named by its full fingerprint"),
        (f"-age:{MARK}\n".encode(), ":1: a key is written SCHEME:NAME"),
        (f"age:AGE-SECRET-KEY-1{MARK}\n".encode(), ":1: that is a private age identity"),
        (b"\xff\xfe" + MARK.encode(), ": recipients are UTF-8 text"),
        (f"{MARK}\x1b[2J".encode(), ":1: a key is written SCHEME:NAME"),
        (b"#" * MOST_BYTES + b"\n", ": more than 256 KiB of recipients"),
        (
            "".join(f"pgp:{number:040X}\n" for number in range(MOST_KEYS + 1)).encode(),
            f": more than the {MOST_KEYS} recipients",
        ),
    ],
)
def test_what_is_no_list_of_recipients_is_told_by_line_and_not_shown(me: Person, content: bytes, message: str) -> None:
    me.write("bad.txt", content)
    assert me.fails(2, "encrypt", "-R", "bad.txt", "-", stdin=MANIFEST).startswith(f"ksecret: bad.txt{message}")


def test_a_file_that_is_not_there(me: Person) -> None:
    assert "gone.txt: the recipients can't be read" in me.fails(7, "encrypt", "-R", "gone.txt", "-", stdin=MANIFEST)
    assert "the recipients can't be read" in me.fails(7, "encrypt", "-R", ".", "-", stdin=MANIFEST)
    assert "option --recipients-file needs a value" in me.fails(2, "encrypt", "a.yaml", "--recipients-file")
