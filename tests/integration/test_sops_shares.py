"""Shares of a data key with the real sops: it opens ours, and we open its."""

from __future__ import annotations

import json
from base64 import b64decode
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretsvc.shamir import combine, split
from tests.sops_support import sops

if TYPE_CHECKING:
    from pathlib import Path

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
