"""What `check` finds in what kubesec and SOPS sealed, and in what only looks as if they had."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.integration.check_support import CLEAR, KUBESEC, OTHER, SEALED, SOPS, found, sops_token
from tests.support import DATA

if TYPE_CHECKING:
    from pathlib import Path


def test_the_base64_of_anybodys_token() -> None:
    kubesec = f"{'QUJD' * 16}.{'QUJD' * 4}.{'QUJD' * 5}QQ=="
    for token in (kubesec, sops_token()):
        encoded = b64encode(token.encode()).decode()
        assert found(CLEAR.replace(b"stringData:", f"  c: {encoded}\nstringData:".encode()))[1] == (8, "KS004")
        assert found(SEALED.replace(b"\ndata:", f"\ndata:\n  c: {encoded}".encode(), 1))[0] == (7, "KS004")
    assert found(f"apiVersion: v1\nkind: Secret\ndata:\n  a: {kubesec}\n".encode()) == [(4, "KS003")]


def test_what_kubesec_sealed_is_sealed() -> None:
    assert found(KUBESEC.encode()) == []
    assert found(KUBESEC.replace("  a: ", "  b: eA==\n  a: ").encode()) == [(5, "KS002")]
    rules = "version: 1\nrules: [{keys: ['%s', 'aws:arn:aws:kms:eu-west-1:111122223333:alias/Prod']}]\n"
    assert found(KUBESEC.encode(), rules % "pgp:0123 456789ABCDEF0123456789ABCDEF01234567") == []
    assert found(KUBESEC.encode(), rules % OTHER) == [(7, "KS008")]


@pytest.mark.parametrize("path", sorted((DATA / "kubesec").glob("*.yaml")), ids=lambda path: path.name)
def test_files_that_kubesec_itself_sealed(path: Path) -> None:
    codes = [code for _, code in found(path.read_bytes())]
    assert codes == ([] if path.name.endswith(".enc.yaml") else ["KS001"])


@pytest.mark.parametrize(
    ("old", "new"),
    [("v:3", "v:9"), ("# kubesec:mac", "# mac"), ("QUJD\n", "$\n"), ("LS0tLS1C", ""), ("# kubesec:v:3", "# ksec:v:3")],
)
def test_kubesecs_lines_that_cant_be_right(old: str, new: str) -> None:
    codes = [code for _, code in found(KUBESEC.replace(old, new).encode())]
    assert codes == (["KS003"] if "ksec:" in new else ["KS006"])


def test_what_sops_sealed_is_sealed() -> None:
    assert found(SOPS.encode()) == []
    assert found(SOPS.replace('""', "eA==").encode()) == [(5, "KS002")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sops:", "sop:"),
        ("  age:", "  agee:"),
        ("[{recipient: age1x, enc: x}]", "[]"),
        ("  mac:", "  mack:"),
        ("  mac: ENC", "  mac: CNE"),
        ("  lastmodified:", "  modified:"),
        ("sops:\n  age", "sops: {}\nx:\n  age"),
    ],
)
def test_what_sops_could_not_open_is_not_sealed_by_it(old: str, new: str) -> None:
    assert (4, "KS001") in found(SOPS.replace(old, new).encode())


@pytest.mark.parametrize(
    "token",
    [
        "ENC[AES256_GCM,hunter2]",
        "ENC[AES256_GCM,data:aHVudGVyMg==]",
        sops_token() + "hunter2",
        "hunter2" + sops_token(),
        sops_token().replace("AES256", "AES128"),
        sops_token().replace(",type:str", ""),
        re.sub("iv:[^,]*", "iv:aHVudGVyMg==", sops_token()),
        re.sub("tag:[^,]*", "tag:aHVudGVyMg==", sops_token()),
        re.sub("data:[^,]*", "data:hunter2$", sops_token()),
    ],
)
def test_what_only_looks_like_a_token_of_sops_is_a_value(token: str) -> None:
    assert found(SOPS.replace(f"  a: {sops_token()}", f'  a: "{token}"').encode()) == [(4, "KS002")]
