"""Which files of any name are taken for ones that SOPS sealed, before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.formats.sops.search import is_sealed_file
from tests.sops_support import RECIPIENT, by_sops, sops

if TYPE_CHECKING:
    from pathlib import Path

CLEAR = {
    "dotenv": b"# c\nA=x\n",
    "ini": b"[s]\na = x\n",
    "yaml": b"a: x\nb:\n  - y\n",
    "json": b'{"a": "x"}\n',
    "binary": b"\xff\x00any",
}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What SOPS makes of each kind, under a name that tells of none."""
    path = tmp_path_factory.mktemp("clear") / "file"
    made = {}
    for kind, text in CLEAR.items():
        path.write_bytes(text)
        made[kind] = by_sops(path, "--input-type", kind, "--output-type", "json" if kind == "binary" else kind)
    return made


def is_sealed(folder: Path, name: str, data: bytes) -> bool:
    path = folder / name
    path.write_bytes(data)
    return is_sealed_file(str(path))


@pytest.mark.parametrize("kind", CLEAR)
def test_a_sealed_file_of_every_kind_is_found_whatever_its_name(
    kind: str, sealed: dict[str, bytes], tmp_path: Path
) -> None:
    for name in ("a.env", "a.ini", ".env.prod", "prod.tfvars", "key.enc"):
        fits = name[-4:] not in (".env", ".ini") or name[-3:] == kind[-3:]
        assert is_sealed(tmp_path, name, sealed[kind]) is fits
        assert not is_sealed(tmp_path, name, CLEAR[kind])


def test_a_page_that_quotes_a_sealed_file_is_none(sealed: dict[str, bytes], tmp_path: Path) -> None:
    for data in sealed.values():
        for page in (b"# SOPS\n```\n%b```\nand so on\n" % data, b'TEXT = """\n%b"""\n' % data):
            assert not is_sealed(tmp_path, "README.md", page)
    assert not is_sealed(tmp_path, "a.py", b'A = """\n%b"""\nsops: none\n' % sealed["yaml"])
    assert not is_sealed(tmp_path, "a.ipynb", b'{"cells": ["\\"mac\\": \\"ENC[AES256_GCM,\\"", "sops"]}' + b" " * 200)


def test_of_a_large_file_both_ends_are_looked_at(sealed: dict[str, bytes], tmp_path: Path) -> None:
    clear = b"A=" + b"x" * 3_000_000 + b"\n"
    assert not is_sealed(tmp_path, "large.env", clear)
    assert is_sealed(tmp_path, "large.env", clear + sealed["dotenv"])
    (tmp_path / "large.bin").write_bytes(b"\xff" * 9_000_000)
    done = sops("encrypt", "-i", "--age", RECIPIENT, tmp_path / "large.bin")
    assert not done.returncode, done.stderr.decode()
    assert is_sealed_file(str(tmp_path / "large.bin"))


def test_what_can_not_be_read_is_none(tmp_path: Path) -> None:
    assert not is_sealed_file(str(tmp_path / "missing"))
    assert not is_sealed_file(str(tmp_path))
