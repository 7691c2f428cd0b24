"""age: recipients in one spelling, those that are none, and the wrapped DEK as a file of age's own."""

from __future__ import annotations

import os
from base64 import b64decode
from time import process_time
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.backends import verify
from secretsvc.backends.age import SCHEME
from secretsvc.errors import AlteredError, KeyRefError
from tests.e2e.cli import MANIFEST, Person, member
from tests.integration.age_support import DEK, age, parsed, ssh_key, x25519

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_wrapped_for_many_recipients_is_refused_before_age_looks_at_it() -> None:
    identity, ref = x25519()
    own = pyrage.x25519.Recipient.from_str(ref.id)
    others = [pyrage.x25519.Identity.generate().to_public() for _ in range(700)]
    backend = age(KSECRET_AGE_KEY=identity)
    for few in ([own], [*others[:3], own]):
        assert backend.unwrap(ref, pyrage.encrypt(DEK, few), {}) == DEK
    for many in (pyrage.encrypt(DEK, [own, *others]), pyrage.encrypt(DEK, [own, *others[:12]]), bytes(10_000_000)):
        before = process_time()
        with pytest.raises(AlteredError, match="its wrapped data key is too long"):
            backend.unwrap(ref, many, {})
        assert process_time() - before < 1  # 20 for 98 KB, and no other thread runs meanwhile


def test_a_recipient_has_one_spelling() -> None:
    _, ref = x25519()
    for text in (ref.id, ref.id.upper(), f" {ref.id}\n"):
        assert parsed(text) == ref


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age1qqqq",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-dss AAAA me",
        "-----BEGIN X",
        "x",
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(KeyRefError, match=r"^that is not an age recipient(: it was cut|$)"):
        parsed(text)


def test_a_recipient_with_a_wrong_letter_is_refused() -> None:
    _, ref = x25519()
    letter = "q" if ref.id[10] != "q" else "p"
    with pytest.raises(KeyRefError, match="that is not an age recipient"):
        parsed(ref.id[:10] + letter + ref.id[11:])


def agree(text: str) -> bool:
    """Whether pyrage takes it; without it the same must be told."""
    try:
        age().wrap(SCHEME.parse(text), DEK, {})
    except KeyRefError:
        with pytest.raises(KeyRefError, match="that is not an age recipient"):
            verify(f"age:{text}")
        return False
    verify(f"age:{text}")
    return True


def test_a_recipient_with_a_slip_is_told_from_a_whole_one_without_the_backend(tmp_path: Path) -> None:
    _, ref = x25519()
    assert agree(ref.id)
    for at in range(4, len(ref.id)):
        assert not agree(ref.id[:at] + ("q" if ref.id[at] != "q" else "p") + ref.id[at + 1 :])
    for kind in ("ed25519", "rsa"):
        public = parsed(ssh_key(tmp_path / kind, kind).strip()).id
        assert agree(public)
        for wrong in (
            public[:-8],
            f"ssh-{kind} AAAA",
            public.replace(f"ssh-{kind}", "ssh-rsa" if kind == "ed25519" else "ssh-ed25519"),
        ):
            assert not agree(wrong)


def test_a_private_identity_is_refused_and_not_shown() -> None:
    identity, _ = x25519()
    for text in (identity, identity.lower(), "AGE-SECRET-KEY-PQ-1QQ"):
        with pytest.raises(KeyRefError, match=r"^that is a private age identity, not a recipient$") as caught:
            parsed(text)
        assert identity[20:40].lower() not in (caught.value.message + caught.value.hint).lower()


def test_the_wrapped_key_is_an_age_file_that_age_itself_opens() -> None:
    identity, ref = x25519()
    wrapped = age().wrap(ref, DEK, {"ksecret-name": "x"})
    assert wrapped.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert pyrage.decrypt(wrapped, [pyrage.x25519.Identity.from_str(identity)]) == DEK
    by_age = pyrage.encrypt(
        DEK, [pyrage.x25519.Recipient.from_str(ref.id), pyrage.x25519.Recipient.from_str(x25519()[1].id)]
    )
    assert age(KSECRET_AGE_KEY=identity).unwrap(ref, by_age, {}) == DEK
    assert age().wrap(ref, DEK, {}) != wrapped


def test_the_key_in_a_sealed_file_is_an_age_file_of_32_bytes(tmp_path: Path) -> None:
    me = Person(tmp_path)
    wrapped = b64decode(member(me.write_sealed("a.yaml").read_bytes(), me.ref), validate=True)
    assert len(pyrage.decrypt(wrapped, [pyrage.x25519.Identity.from_str(me.identity)])) == 32


def test_an_ssh_key_as_sealing_key_on_the_command_line(tmp_path: Path) -> None:
    me = Person(tmp_path)
    ssh = me.home / "id"
    public = ssh_key(ssh, "ed25519").strip()
    path = me.write_sealed("a.yaml", MANIFEST, "-k", f"age:{public}", "-k", me.ref)
    canonical = " ".join(public.split()[:2])
    assert f"\n    age:{canonical}: ".encode() in path.read_bytes()
    for environ in ({}, {"KSECRET_AGE_KEY_FILE": str(ssh), "XDG_CONFIG_HOME": os.devnull}):
        assert me.ok("decrypt", "a.yaml", **environ).out == MANIFEST
    me.ok("encrypt", "-i", "-k", f"-age:{public} another comment", "a.yaml")
    assert canonical.encode() not in path.read_bytes()
    assert me.ok("inspect", "a.yaml").out.count(b"  key ") == 1
