"""A JWKS: which keys are taken from it, and for which algorithms."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from secretsvc.api.auth import jwks
from secretsvc.api.transport import watched

if TYPE_CHECKING:
    from pathlib import Path

RSA = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
P256 = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
P384 = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
ED = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
SHARED = {"kty": "oct", "k": "c2VjcmV0"}


def parsed(*keys: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {kid: key.algorithms for kid, key in jwks.parsed(json.dumps({"keys": keys}).encode()).items()}


def test_a_key_serves_its_own_family_only() -> None:
    found = parsed({**RSA, "kid": "a"}, {**P256, "kid": "b"}, {**P384, "kid": "c"}, {**ED, "kid": "d"})
    assert found["a"] == ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    assert (found["b"], found["c"], found["d"]) == (("ES256",), ("ES384",), ("EdDSA",))


def test_a_key_that_names_its_algorithm_serves_that_one() -> None:
    assert parsed({**RSA, "kid": "a", "alg": "RS512"}) == {"a": ("RS512",)}
    with pytest.raises(ValueError, match="no usable key"):
        parsed({**RSA, "alg": "HS256"})


def test_what_is_no_signing_key_is_passed_over_and_private_parts_are_dropped() -> None:
    keys = [
        SHARED | {"kid": "a"},
        {**P256, "use": "enc", "kid": "b"},
        {"kty": "new", "kid": "c"},
        7,
        {**RSA, "kid": "d"},
    ]
    kept = jwks.parsed(json.dumps({"keys": keys}).encode())
    assert list(kept) == ["d"]
    assert not hasattr(kept["d"].key, "private_numbers")


@pytest.mark.parametrize("text", ["{}", "[]", '{"keys": {}}', '{"keys": []}', "x", json.dumps({"keys": [SHARED]})])
def test_what_is_no_jwks(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        jwks.parsed(text.encode())


def test_a_replaced_file_is_read_again_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "_LOOKS", 0.0)
    caplog.set_level(logging.INFO, "ksecret")
    path = tmp_path / "jwks.json"

    def put(text: str) -> None:
        new = tmp_path / "new"
        new.write_text(text)
        new.replace(path)

    put(json.dumps({"keys": [{**P256, "kid": "old"}]}))
    keys = jwks.FileKeys(str(path))
    assert asyncio.run(keys.key("old")) == asyncio.run(keys.key(""))
    put("no JWKS, and secret")
    for _ in range(3):
        assert asyncio.run(keys.key("old"))
    put(json.dumps({"keys": [{**RSA, "kid": "new"}]}))
    assert asyncio.run(keys.key("new"))
    with pytest.raises(jwks.UnknownKeyError, match=r"^$"):
        asyncio.run(keys.key("old"))
    path.unlink()
    assert asyncio.run(keys.key("new"))
    assert [record.getMessage() for record in caplog.records] == [
        f"a changed JWKS is not used: {path}: not a JWKS with public keys (RFC 7517)",
        f"a changed JWKS is used from now on: {path}",
        f"a changed JWKS is not used: {path}: the JWKS can't be read: No such file or directory",
    ]
