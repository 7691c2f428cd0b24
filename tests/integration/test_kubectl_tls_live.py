"""`create tls` beside the kubectl of this machine: kinds of keys, layouts of PEM, which key fits which certificate."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.integration import tls_support as tls
from tests.integration.kubectl_support import FEWER, STEP, agree, ksecret, kubectl, needs_kubectl
from tests.support import NIGHT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_kubectl

KINDS = ["rsa1024", "rsa2048", "p224", "p256", "p384", "p521", "ed25519", "ed448", "secp256k1", "brainpool", "dsa"]
LABELS = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "FOO PRIVATE KEY", "KEY", "CERTIFICATE"]
TAKEN = ["rsa1024", "rsa2048", "p224", "p256", "p384", "p521", "ed25519"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def pairs() -> dict[str, tls.Pair]:
    return {kind: tls.new_pair(kind) for kind in KINDS}


def both(folder: Path, cert: bytes, key: bytes) -> bool:
    """Whether kubectl and ksecret take the pair; they must agree."""
    (folder / "c.pem").write_bytes(cert)
    (folder / "k.pem").write_bytes(key)
    return agree(folder, "tls", "s", "--cert=c.pem", "--key=k.pem") is not None


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_keys_in_every_encoding(folder: Path, pairs: dict[str, tls.Pair], kind: str) -> None:
    pair = pairs[kind]
    assert both(folder, pair.cert, pair.key) == (kind in TAKEN)
    forms = [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]
    forms += [PrivateFormat.OpenSSH] if kind != "dsa" else []
    for form, encoding in product(forms, (Encoding.PEM, Encoding.DER)):
        try:
            text = pair.private.private_bytes(encoding, form, NoEncryption())
        except ValueError:
            continue  # the kind has no such form
        both(folder, pair.cert, text)
        if encoding is Encoding.DER:
            for label in LABELS if NIGHT else LABELS[KINDS.index(kind) % 2 :: 2]:
                both(folder, pair.cert, tls.pem(label, text))
    locked = pair.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    assert not both(folder, pair.cert, locked)


def test_which_key_fits_which_certificate(folder: Path, pairs: dict[str, tls.Pair]) -> None:
    every = enumerate(product(KINDS, KINDS))
    tried = [(one, two) for number, (one, two) in every if one == two or number % STEP == 0]
    fitting = [(one, two) for one, two in tried if both(folder, pairs[one].cert, pairs[two].key)]
    assert fitting == [(kind, kind) for kind in TAKEN]
    assert not both(folder, tls.new_pair("p256").cert, pairs["p256"].key)
    agreement = x25519.X25519PrivateKey.generate()
    assert not both(
        folder, pairs["p256"].cert, agreement.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


@pytest.mark.parametrize("field", range(1, 9))
def test_rsa_keys_with_a_damaged_number(folder: Path, pairs: dict[str, tls.Pair], field: int) -> None:
    """The CRT numbers may be anything, as Go works them out anew."""
    key = tls.damaged(pairs["rsa2048"].private, field)
    assert both(folder, pairs["rsa2048"].cert, key) == (field > 5)


@pytest.mark.skipif(tls.OPENSSL is None, reason="openssl is not on this machine")
@pytest.mark.parametrize(
    ("name", "words", "serial"),
    [
        ("explicit", "ecparam -name prime256v1 -genkey -noout -param_enc explicit", "5"),
        ("named", "ecparam -name prime256v1 -genkey", "5"),
        ("pss", "genpkey -algorithm RSA-PSS", "5"),
        ("negative", "genpkey -algorithm ED25519", "-5"),
        ("zero", "genpkey -algorithm ED25519", "0"),
    ],
)
def test_what_openssl_makes(folder: Path, name: str, words: str, serial: str) -> None:
    cert, key = tls.by_openssl(folder, name, *words.split(), serial=serial)
    assert both(folder, cert, key) == (name in ("named", "zero"))


def test_a_key_under_the_oid_of_rsa_pss(folder: Path, pairs: dict[str, tls.Pair]) -> None:
    assert not both(folder, pairs["rsa2048"].cert, tls.as_rsa_pss(pairs["rsa2048"].private))


@pytest.mark.skipif(tls.OPENSSL is None, reason="openssl is not on this machine")
def test_a_key_with_its_curve_in_numbers(folder: Path, pairs: dict[str, tls.Pair]) -> None:
    (folder / "p256.pem").write_bytes(pairs["p256"].key)
    for encoding in ("named_curve", "explicit"):
        tls.openssl(folder, "ec", "-in", "p256.pem", "-param_enc", encoding, "-out", "again.pem")
        assert both(folder, pairs["p256"].cert, (folder / "again.pem").read_bytes()) == (encoding == "named_curve")


@pytest.mark.skipif(tls.OPENSSL is None, reason="openssl is not on this machine")
def test_rsa_of_three_primes_is_the_one_known_difference(folder: Path) -> None:
    """kubectl takes it; cryptography can't read it, and so ksecret says that it can't."""
    cert, key = tls.by_openssl(folder, "three", "genrsa", "-primes", "3", "-traditional", "3072")
    (folder / "c.pem").write_bytes(cert)
    (folder / "k.pem").write_bytes(key)
    words = ["tls", "s", "--cert=c.pem", "--key=k.pem"]
    assert kubectl(folder, ["create", "secret", *words, "--dry-run=client"]).returncode == 0
    answer = ksecret(folder, ["create", *words])
    assert answer.code == 3
    assert "--key: failed to parse the private key" in answer.err


PAIR = tls.new_pair("p256")
OTHER = tls.new_pair("ed25519", "other")
BITS = [
    *(b"\xef\xbb\xbf", b" ", b"\t", b"\n", b"\r\n", b"\r", b"text\n", b"X: y\n", b"X: y\n\n", b":\n", b"=", b"A"),
    *(b"-----BEGIN ", b"-----BEGIN CERTIFICATE-----\n", b"-----END ", b"-----END CERTIFICATE-----\n", b"-----"),
    *(b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----", OTHER.cert, OTHER.key, PAIR.cert, PAIR.key),
]


@FEWER
@given(st.data())
def test_pem_with_things_put_in_and_taken_out(folder: Path, data: st.DataObject) -> None:
    texts = []
    for text in (PAIR.cert, PAIR.key):
        lines = text.splitlines(keepends=True)
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(lines)))
            what = data.draw(st.sampled_from(["put in", "take out", "trail", "join"]))
            if what == "put in":
                lines.insert(at, data.draw(st.sampled_from(BITS)))
            elif what == "take out":
                del lines[at : at + 1]
            elif at < len(lines):
                ending = (
                    data.draw(st.sampled_from([b" \n", b"\r\n", b"", b"\r", b"\t\r\n"])) if what == "trail" else b""
                )
                lines[at] = lines[at].rstrip(b"\n") + ending
        texts.append(b"".join(lines))
    both(folder, *texts)


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        (lambda text: b"\xef\xbb\xbf" + text, False),
        (lambda text: b"\xef\xbb\xbf\n" + text, True),
        (lambda text: b" " + text, False),
        (lambda text: text.replace(b"\n", b"\r"), False),
        (lambda text: text.replace(b"\n", b"\r\n"), True),
        (lambda text: text.replace(b"CERTIFICATE", b"X509 CERTIFICATE"), False),
        (lambda text: text.replace(b"BEGIN CERT", b"begin CERT"), False),
        (lambda text: text.replace(b"-----\n", b"-----\nProc-Type: 4\n", 1), True),
        (lambda text: text.rstrip(), True),
        (lambda text: text.rstrip() + b" \t", True),
        (lambda text: b"-----BEGIN CERTIFICATE-----\nA\n" + text, True),
        (lambda text: b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + text, False),
    ],
)
def test_layouts_of_pem(folder: Path, change: object, taken: bool) -> None:
    assert callable(change)
    assert both(folder, change(PAIR.cert), PAIR.key) == taken
