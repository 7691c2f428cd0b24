"""What a service answers is taken where it is what was asked for, however a file is written; and nothing else is."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from secretsvc.errors import BackendError, KsecretError
from secretsvc.manifest.reader import read
from secretsvc.operations.answers import check_encrypted, check_opened, check_rewrapped, check_rotated, check_set
from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.request import ANY_TIME, Changes, Request
from secretsvc.operations.rotate import rewrap_manifest, rotate_manifest
from tests import kubesec_support as kubesec
from tests.support import CREATED, DATA, LOCK, NIGHT, NO_CHANGE, TOKEN, new_lock, spoilt
from tests.unit.strategies import Written, manifests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from secretsvc.keyref import Keyset
    from secretsvc.operations.keyring import Keyring

FILES = sorted(path for path in (DATA / "manifests").iterdir() if path.suffix in (".yaml", ".yml", ".json"))
REQUEST = Request(NO_CHANGE, lambda *_: LOCK.keys, "", CREATED, allow_repeated=True)
HOWS: list[dict[str, bool]] = [{}, {"blind": False}, {"renews": True}]
CLEAR = b"""\
apiVersion: v1
kind: Secret
metadata: {name: a, namespace: prod}
stringData:
  k: value
  l: |  # a note
    two
    lines
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {image: good}
---
apiVersion: v1
kind: Secret
metadata: {name: b}
data: {m: eHg=}
"""


def rotated(data: bytes, keyring: Keyring = LOCK.keyring) -> bytes:
    return rotate_manifest(data, REQUEST._replace(rotate_before=ANY_TIME), keyring).data


def changed(data: bytes, changes: Changes, which: str = "", *, blind: bool = True, renews: bool = False) -> bytes:
    request = REQUEST._replace(blind=blind, renews=lambda _: renews)
    return patch_manifest(data, changes, request, LOCK.keyring, which).data


def take_everything(clear: bytes, sealed: bytes, keys: Keyset, format_: str, keyring: Keyring) -> None:
    """Every operation's own result passes."""
    before = read(sealed)
    check_encrypted(read(clear, allow_binary_tag=True), sealed, keys, "", format_)
    check_opened(before, kubesec.open_(sealed, keyring))
    check_rotated(before, rotated(sealed, keyring))
    if keyring is LOCK.keyring:
        check_rewrapped(before, rewrap_manifest(sealed, keyring).data)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_operations_make_of_the_corpus_is_taken(path: Path) -> None:
    sealed = LOCK.seal(path.read_bytes())
    take_everything(path.read_bytes(), sealed, LOCK.keys, "", LOCK.keyring)
    secret = next(secret for secret in read(sealed).secrets if secret.entries)
    which = secret.label if secret.name else ""
    key = secret.entries[0].key
    old = LOCK.open_(sealed)
    opened = next(one for one in read(old, allow_binary_tag=True).secrets if one.label == secret.label)
    same = opened.entries[0].value.encode()
    asked = ({key: b"new\nlines\n"}, {key: b"new", "another.key": b"x"}, {key: same})
    for (number, values), (turn, how) in product(enumerate(asked), enumerate(HOWS)):
        if not NIGHT and (number + turn + FILES.index(path)) % len(HOWS):
            continue  # by day each in one way, and in another one with the next file
        try:
            answer = changed(sealed, Changes(values), which, **how)
        except KsecretError:  # several that could be meant, stringData that is no text, a layout that is too odd
            continue
        check_set(read(sealed), answer, Changes(values), which)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(manifests())
def test_what_operations_make_of_any_manifest_is_taken(written: Written) -> None:
    try:
        sealed = LOCK.seal(written.data)
    except KsecretError:  # what is refused, other tests are about
        return
    take_everything(written.data, sealed, (), "", LOCK.keyring)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_kubesecs_format_is_taken_too(path: Path) -> None:
    try:
        sealed = kubesec.seal(path.read_bytes())
    except KsecretError:  # several documents, or what that format can't hold
        pytest.skip("not for kubesec's format")
    take_everything(path.read_bytes(), sealed, (kubesec.PGP,), "kubesec", kubesec.ALL)  # type: ignore[arg-type]


def test_what_was_half_sealed_is_taken_with_its_own_key_and_with_a_new_one() -> None:
    sealed = LOCK.seal(CLEAR)
    half = sealed.replace(tokens(sealed)[0].encode(), b"another")
    check_encrypted(read(half), LOCK.seal(half), (), "", "")
    one = half.partition(b"---")[0]
    check_encrypted(read(one), rotated(LOCK.seal(one)), (), "", "")


def tokens(data: bytes) -> list[str]:
    return re.findall(TOKEN, data.decode())


def swapped(data: bytes, one: int, other: int) -> bytes:
    """With two tokens in each other's place."""
    found = [token.encode() for token in tokens(data)]
    return data.replace(found[one], b"\0").replace(found[other], found[one]).replace(b"\0", found[other])


def with_wrapped_of(data: bytes, other: bytes) -> bytes:
    """With the wrapped DEK of that other file in place of its first."""
    wrapped = [re.search(rb"    age:\w+: (\S+)", text) for text in (data, other)]
    assert wrapped[0]
    assert wrapped[1]
    return data.replace(wrapped[0][1], wrapped[1][1], 1)


SEALED = LOCK.seal(CLEAR)
WRONG_TEXT = {
    "another name": lambda data: data.replace(b"name: b", b"name: d"),
    "another namespace": lambda data: data.replace(b"namespace: prod", b"namespace: dev"),
    "another type": lambda data: data.replace(b"kind: Secret\n", b"kind: Secret\ntype: kubernetes.io/tls\n", 1),
    "a label": lambda data: data.replace(b"metadata: {name: b}", b"metadata: {name: b, labels: {a: b}}"),
    "another object changed": lambda data: data.replace(b"image: good", b"image: evil"),
    "a value in a comment": lambda data: data.replace(b"# a note", b"# two lines"),
    "a comment more": lambda data: data.replace(b"data: {m", b"# value\ndata: {m"),
    "a line break more": lambda data: data + b"\n",
    "an entry more": lambda data: data.replace(b"  k: ", f"  z: {tokens(SEALED)[0]}\n  k: ".encode()),
    "a Secret less": lambda data: data.rpartition(b"---\n")[0],
    "nothing": lambda data: b"",
    "no manifest": lambda data: b"\xff",
    "not even YAML": lambda data: b"a: [",
}
WRONG_SEAL = {
    "the clear text": lambda data: CLEAR,
    "one value in the clear": lambda data: data.replace(tokens(data)[0].encode(), b"hunter2"),
    "a value that begins as a token does": lambda data: data.replace(tokens(data)[0].encode(), b"ksecret.v1.hunter2"),
    "sealed for something else": lambda data: data.replace(b"sealedFor: prod/a", b"sealedFor: dev/a"),
    "sealed for everything": lambda data: data.replace(b"sealedFor: prod/a", b'sealedFor: "*/*"'),
    "sealed to another": lambda data: data.replace(str(LOCK.keys[0]).encode(), str(new_lock().keys[0]).encode(), 1),
    "a data key that is no base64": lambda data: re.sub(rb"(    age:\w+: )\S+", rb"\1x", data, count=1),
    "an envelope of another version": lambda data: data.replace(b"version: 1", b"version: 7", 1),
}
STALE = {
    "what was sent": lambda data: SEALED,
    "its old token": lambda data: data.replace(tokens(data)[1].encode(), tokens(SEALED)[1].encode()),
    "its old data key": lambda data: with_wrapped_of(data, SEALED),
}
MIXED = {
    "another token changed": lambda data: data.replace(tokens(data)[1].encode(), spoilt(tokens(data)[1], 40).encode()),
    "two tokens in each other's place": lambda data: swapped(data, 0, 1),
    "another data key, the tokens as they were": lambda data: with_wrapped_of(data, rotated(SEALED)),
    "another seal": lambda data: re.sub(rb"seal: ....", b"seal: ++++", data, count=1),
    "another Secret rotated": lambda data: data.partition(b"---")[0] + b"---" + rotated(SEALED).partition(b"---")[2],
}
REFUSED = r"the service's answer is (no manifest|not this manifest|this manifest with other changes|not what was asked)"


def _named(name: str, check: Callable[[bytes], None], answer: bytes) -> None:
    check(answer)
    pytest.fail(f"taken: {name}")


def refuses(check: Callable[[bytes], None], honest: bytes, wrongs: dict[str, Callable[[bytes], bytes]]) -> None:
    check(honest)
    for name, wrong in wrongs.items():
        answer = wrong(honest)
        assert answer != honest, name
        with pytest.raises(BackendError, match=REFUSED) as raised:
            _named(name, check, answer)
        assert "hunter2" not in str(raised.value)
        assert raised.value.hint.startswith("nothing of it was written")
        assert not raised.value.line, "the line would be one of the answer"


def test_answers_to_encrypt_that_are_refused() -> None:
    refuses(lambda answer: check_encrypted(read(CLEAR), answer, LOCK.keys, "", ""), SEALED, WRONG_TEXT | WRONG_SEAL)
    half = SEALED.replace(tokens(SEALED)[0].encode(), b"another")
    refuses(lambda answer: check_encrypted(read(half), answer, (), "", ""), LOCK.seal(half), WRONG_SEAL | MIXED)


def test_the_scope_and_the_format_that_were_asked_for_are_looked_at() -> None:
    wide = LOCK.seal(CLEAR.partition(b"---")[0], scope="namespace")
    clear = read(CLEAR.partition(b"---")[0])
    check_encrypted(clear, wide, (), "namespace", "ksecret")
    for scope, format_ in (("", ""), ("strict", ""), ("any", ""), ("namespace", "kubesec")):
        with pytest.raises(BackendError, match=r"sealed for something else|in another format"):
            check_encrypted(clear, wide, (), scope, format_)


def test_answers_to_decrypt_that_are_refused() -> None:
    wrong = {name: one for name, one in WRONG_TEXT.items() if name != "a value in a comment"}
    wrong |= {
        "what was sent": lambda _: SEALED,
        "a token left": lambda data: data.replace(b"eHg=", tokens(SEALED)[2].encode()),
    }
    refuses(lambda answer: check_opened(read(SEALED), answer), CLEAR, wrong)


def test_answers_to_rotate_that_are_refused() -> None:
    refuses(lambda answer: check_rotated(read(SEALED), answer), rotated(SEALED), WRONG_TEXT | WRONG_SEAL | STALE)


def test_answers_to_rewrap_that_are_refused() -> None:
    honest = rewrap_manifest(SEALED, LOCK.keyring).data
    wrong = {name: one for name, one in MIXED.items() if not name.startswith("another data key")}
    refuses(lambda answer: check_rewrapped(read(SEALED), answer), honest, WRONG_TEXT | WRONG_SEAL | wrong)


def test_answers_to_set_that_are_refused() -> None:
    changes = Changes({"k": b"new"})

    def check(answer: bytes) -> None:
        check_set(read(SEALED), answer, changes, "prod/a")

    swap = {name: one for name, one in MIXED.items()}
    refuses(check, changed(SEALED, changes, "prod/a"), WRONG_TEXT | WRONG_SEAL | swap)
    more = {"an entry that was not asked for": lambda data: changed(SEALED, Changes({"z": b"new"}), "prod/a")}
    refuses(check, changed(SEALED, changes, "prod/a"), more)


def test_a_secret_in_the_clear_beside_it_stays_as_it_was() -> None:
    """In each operation but encrypt."""
    mixed = SEALED.rpartition(b"---\n")[0] + b"---\n" + CLEAR.rpartition(b"---\n")[2]
    evil = {
        "its value": lambda data: data.replace(b"eHg=", b"ZXZpbA=="),
        "sealed": lambda data: data.rpartition(b"---\n")[0] + b"---\n" + SEALED.rpartition(b"---\n")[2],
    }
    before, changes = read(mixed), Changes({"k": b"new"})
    refuses(lambda answer: check_rotated(before, answer), rotated(mixed), evil)
    refuses(lambda answer: check_rewrapped(before, answer), rewrap_manifest(mixed, LOCK.keyring).data, evil)
    refuses(lambda answer: check_set(before, answer, changes, "prod/a"), changed(mixed, changes, "prod/a"), evil)
    refuses(lambda answer: check_opened(before, answer), LOCK.open_(mixed), evil)
