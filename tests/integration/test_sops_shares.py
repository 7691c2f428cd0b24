"""Shares of a data key with the real sops: it opens ours, and we open its."""

from __future__ import annotations

import json
from base64 import b64decode
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretsvc.errors import AlteredError, BackendError, KsecretError, NoKeyError
from secretsvc.operations import documents
from secretsvc.shamir import combine, split
from tests.sops_support import sops

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from secretsvc.keyref import WrappedKey

KEYS = tuple(pyrage.x25519.Identity.generate() for _ in range(3))


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> dict[str, Any]:
    """What sops seals to three groups, of which two open it."""
    groups = [{"age": [str(key.to_public())]} for key in KEYS]
    rules = {"creation_rules": [{"key_groups": groups, "shamir_threshold": 2}]}
    (tmp_path / ".sops.yaml").write_text(json.dumps(rules))
    sealed = sops("encrypt", "--filename-override", "a.json", stdin=b'{"a": "secret"}', cwd=tmp_path)
    tree: dict[str, Any] = json.loads(sealed.stdout)
    return tree


def _entry(tree: dict[str, Any], group: int) -> dict[str, str]:
    found: dict[str, str] = tree["sops"]["key_groups"][group]["age"][0]
    return found


def test_two_of_three_shares_that_sops_made_give_its_data_key(tree: dict[str, Any]) -> None:
    armoured = [_entry(tree, group)["enc"].encode() for group in range(3)]
    shares = [pyrage.decrypt(text, [key]) for text, key in zip(armoured, KEYS, strict=True)]
    token = dict(part.split(":", 1) for part in tree["a"].removeprefix("ENC[AES256_GCM,").split(","))
    data, nonce, tag = (b64decode(token[name]) for name in ("data", "iv", "tag"))
    for pair in combinations(shares, 2):
        assert AESGCM(combine(pair)).decrypt(nonce, data + tag, b"a:") == b"secret"


@pytest.mark.parametrize("pair", [(0, 1), (2, 1)])
def test_sops_opens_what_two_of_our_shares_open(tree: dict[str, Any], pair: tuple[int, int], tmp_path: Path) -> None:
    theirs = [pyrage.decrypt(_entry(tree, group)["enc"].encode(), [KEYS[group]]) for group in range(2)]
    for group, share in enumerate(split(combine(tuple(theirs)), 2, 3)):
        _entry(tree, group)["enc"] = pyrage.encrypt(share, [KEYS[group].to_public()], armored=True).decode()
    (tmp_path / "ours.json").write_text(json.dumps(tree))
    own = tuple(str(KEYS[group]) for group in pair)
    assert json.loads(sops("decrypt", "ours.json", cwd=tmp_path, identities=own).stdout) == {"a": "secret"}
    assert sops("decrypt", "ours.json", cwd=tmp_path, identities=own[:1]).returncode == 128


class Held:
    """A keyring that holds some of the identities, and counts how often it is asked."""

    def __init__(self, *numbers: int, failure: KsecretError | None = None) -> None:
        self._held = {str(KEYS[number].to_public()): KEYS[number] for number in numbers}
        self._failure = failure
        self.asked = 0

    def unwrap(self, keys: Sequence[WrappedKey]) -> bytes:
        self.asked += 1
        for key in keys:
            if key.ref.id in self._held:
                return bytes(pyrage.decrypt(key.wrapped, [self._held[key.ref.id]]))
        raise self._failure or NoKeyError("none of the age identities at hand opens it", hint="add one")


def opened(tree: dict[str, Any], keyring: Held) -> bytes:
    found = documents.find(json.dumps(tree).encode(), "a.json")
    assert found
    return documents.open_file(found, keyring).data  # type: ignore[arg-type]


@pytest.mark.parametrize(("held", "asked"), [((0, 1), 2), ((1, 2), 3), ((0, 2), 3), ((0, 1, 2), 2)])
def test_as_many_groups_as_are_needed_open_a_file_and_no_more_are_asked(
    tree: dict[str, Any], held: tuple[int, ...], asked: int
) -> None:
    keyring = Held(*held)
    assert json.loads(opened(tree, keyring)) == {"a": "secret"}
    assert keyring.asked == asked


def test_groups_that_need_no_network_are_asked_first(tree: dict[str, Any]) -> None:
    kms = {"arn": "arn:aws:kms:eu-west-1:111122223333:key/k", "created_at": "2024-01-01T00:00:00Z", "enc": "AAAA"}
    tree["sops"]["key_groups"][0] = {"kms": [kms]}
    keyring = Held(1, 2)
    assert json.loads(opened(tree, keyring)) == {"a": "secret"}
    assert keyring.asked == 2


def test_where_too_few_groups_open_each_is_told_with_its_reason(tree: dict[str, Any]) -> None:
    with pytest.raises(NoKeyError, match="of its 3 groups of keys 2 must open, and group 2 did") as caught:
        opened(tree, Held(1))
    assert [reason.partition(":")[0] for reason in caught.value.reasons] == ["group 1", "group 3"]
    assert caught.value.hint == "add one"
    with pytest.raises(BackendError, match="and none did"):
        opened(tree, Held(failure=BackendError("no answer")))


def test_groups_that_do_not_give_the_data_key_are_refused(tree: dict[str, Any]) -> None:
    first, second = (_entry(tree, group) for group in (0, 1))
    share = pyrage.decrypt(first["enc"].encode(), [KEYS[0]])
    second["enc"] = pyrage.encrypt(share, [KEYS[1].to_public()], armored=True).decode()
    with pytest.raises(AlteredError, match="two have the same number"):
        opened(tree, Held(0, 1))
    second["enc"] = pyrage.encrypt(bytes(32) + b"\7", [KEYS[1].to_public()], armored=True).decode()
    with pytest.raises(AlteredError, match="altered"):
        opened(tree, Held(0, 1))
    tree["sops"]["shamir_threshold"] = 4
    with pytest.raises(AlteredError, match="wants 4 groups of keys opened, and has 3"):
        opened(tree, Held(0, 1, 2))


def test_a_share_in_the_place_of_a_data_key_is_refused(tree: dict[str, Any]) -> None:
    tree["sops"] |= {"age": tree["sops"]["key_groups"][0]["age"], "key_groups": []}
    with pytest.raises(AlteredError, match="its data key is not 32 bytes"):
        opened(tree, Held(0))
