"""Names that are private to other packages have their documented ones behind them, and both do the same."""

from __future__ import annotations

import hashlib
import hmac
import runpy
import sys
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secretsvc.formats import primitives
from secretsvc.manifest import scalars

KEYS = [b"", b"k", bytes(range(32)), b"b" * 64, b"l" * 65, b"x" * 500]
PRIVATE = ["cryptography.hazmat.bindings._rust", "_sha256", "_sha512", "_sha2", "_operator", "_json"]


@pytest.fixture(params=[[], PRIVATE[1:], PRIVATE], ids=["inner", "documented", "without the core's name"])
def names(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the module has where these can't be imported by it. (cryptography itself has imported its core.)"""
    if PRIVATE[0] in request.param:
        import cryptography.hazmat.bindings as bindings

        monkeypatch.delattr(bindings, "_rust")
    for name in request.param:
        monkeypatch.setitem(sys.modules, name, None)
    return runpy.run_path(str(primitives.__file__))


@pytest.mark.parametrize("key", KEYS, ids=len)
def test_hmac_is_the_standard_librarys(names: Any, key: bytes) -> None:
    assert names["hmac_sha256"](key, b"a", b"", b"bc") == hmac.digest(key, b"abc", "sha256")


@pytest.mark.parametrize("key", KEYS, ids=len)
def test_hkdf_is_cryptographys(names: Any, key: bytes) -> None:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"purpose").derive(key)
    assert names["hkdf_sha256"](key, b"purpose") == [derived]


def test_hmac_and_hkdf_give_what_the_rfcs_say(names: Any) -> None:
    """RFC 4231, test cases 1 and 6; RFC 5869, A.3, of which 32 bytes are one block."""
    first = names["hmac_sha256"](b"\x0b" * 20, b"Hi There")
    assert first.hex() == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    sixth = names["hmac_sha256"](b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First")
    assert sixth.hex() == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    (derived,) = names["hkdf_sha256"](b"\x0b" * 22, b"")
    assert derived.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


def test_aes_gcm_and_its_error_are_cryptographys(names: Any) -> None:
    box = names["aes_gcm"](bytes(32)).encrypt(bytes(12), b"clear", b"aad")
    assert primitives.aes_gcm(bytes(32)).decrypt(bytes(12), box, b"aad") == b"clear"
    with pytest.raises(names["invalid_tag"](), match=r"^$"):
        names["aes_gcm"](bytes(32)).decrypt(bytes(12), box, b"other")
    assert names["invalid_tag"]() is InvalidTag
    assert names["equal"](b"a", b"a")
    assert not names["equal"](b"a", b"b")


@pytest.mark.parametrize("hidden", [[], ["_sha256", "_sha512"], ["_sha256", "_sha512", "_sha2"]], ids=len)
def test_sha2_is_the_standard_librarys_by_each_name(monkeypatch: pytest.MonkeyPatch, hidden: list[str]) -> None:
    for name in hidden:
        monkeypatch.setitem(sys.modules, name, None)
    names = runpy.run_path(str(primitives.__file__))
    assert names["sha256"](b"abc").digest() == hashlib.sha256(b"abc").digest()
    digest = names["sha512"](b"a")
    digest.update(b"bc")
    assert digest.hexdigest() == hashlib.sha512(b"abc").hexdigest()


@pytest.mark.parametrize("hidden", [[], ["_json"]], ids=["inner", "documented"])
def test_quotes_are_the_same_without_the_inner_name(monkeypatch: pytest.MonkeyPatch, hidden: list[str]) -> None:
    for name in hidden:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, "json.encoder", raising=False)
    quoted = runpy.run_path(str(scalars.__file__))["quoted"]
    for text in ("", 'a"\\\n\t\x00', "\x7f\x85\u2028\ufeff\uffff", "é€😀"):
        assert quoted(text) == scalars.quoted(text)
    assert quoted('a"\n\x7fé') == '"a\\"\\n\\u007fé"'
