"""A JWKS: which keys are taken from it, and for which algorithms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from secretsvc.api.jwks import _parsed

RSA = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
P256 = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
P384 = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
ED = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
SHARED = {"kty": "oct", "k": "c2VjcmV0"}


def parsed(*keys: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {kid: key.algorithms for kid, key in _parsed(json.dumps({"keys": keys}).encode()).items()}


def test_a_key_serves_its_own_family_only() -> None:
    found = parsed({**RSA, "kid": "a"}, {**P256, "kid": "b"}, {**P384, "kid": "c"}, {**ED, "kid": "d"})
    assert found["a"] == ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    assert (found["b"], found["c"], found["d"]) == (("ES256",), ("ES384",), ("EdDSA",))


def test_a_key_that_names_its_algorithm_serves_that_one() -> None:
    assert parsed({**RSA, "kid": "a", "alg": "RS512"}) == {"a": ("RS512",)}
    with pytest.raises(ValueError, match="no usable key"):
        parsed({**RSA, "alg": "HS256"})


def test_what_is_no_signing_key_is_passed_over_and_private_parts_are_dropped() -> None:
    kept = _parsed(json.dumps({"keys": [SHARED, {**P256, "use": "enc"}, {"kty": "new"}, 7, RSA]}).encode())
    assert list(kept) == [""]
    assert not hasattr(kept[""].key, "private_numbers")


@pytest.mark.parametrize("text", ["{}", "[]", '{"keys": {}}', '{"keys": []}', "x", json.dumps({"keys": [SHARED]})])
def test_what_is_no_jwks(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        _parsed(text.encode())
