"""Files that no sops would write, of every kind: one error that names the file, and nothing written."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.main import main
from tests.integration.test_sops_kinds import sealed
from tests.sops_support import IDENTITY, RECIPIENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "n0t-public"
CLEAR = {
    "a.yaml": f"user: {SECRET}\nport: 5432\nlist:\n  - one\n".encode(),
    "a.json": f'{{"user": "{SECRET}", "port": 5432, "list": ["one"]}}\n'.encode(),
    "a.env": f"USER={SECRET}\nPORT=5432\n".encode(),
    "a.ini": f"[s]\nuser = {SECRET}\nport = 5432\n".encode(),
    "a.bin": f"\x00{SECRET}".encode(),
}
SEALED = {name: sealed(name, data) for name, data in CLEAR.items()}


def changed(name: str, pattern: bytes, new: bytes | Callable[[re.Match[bytes]], bytes]) -> bytes:
    """A sealed file with the first of what the pattern finds put otherwise."""
    data, count = re.subn(pattern, new, SEALED[name], count=1)
    assert count, name
    assert data != SEALED[name]
    return data


TOKEN = rb"ENC\[AES256_GCM,data:[^\]]*type:str\]"
MAC = {"a.yaml": rb'(mac: "?)', "a.json": rb'("mac": ")', "a.env": rb"(sops_mac=)", "a.ini": rb"(mac *= )"}
MAC["a.bin"] = MAC["a.json"]
TIME = rb"2026-01-02T03:04:05Z"
VERSION = rb"3\.13\.3"
EVERY = tuple(CLEAR)

OF_EVERY_KIND: dict[str, tuple[bytes, bytes]] = {
    "a token cut short": (rb"(ENC\[AES256_GCM,data:[^\]]{5})[^\]]*\]", rb"\1"),
    "a token without its tag": (rb",tag:[^,]*,", rb","),
    "a token of another cipher": (rb"AES256_GCM", rb"ROT13_GCM"),
    "a token of no known kind": (rb"type:str\]", rb"type:what]"),
    "base64 that is none": (rb"(ENC\[AES256_GCM,data:)..", rb"\1%%"),
    "an IV of nothing": (rb"iv:[^,]*,", rb"iv:,"),
    "a value in the clear": (TOKEN, rb"CLEAR"),
    "a time that is none": (TIME, rb"yesterday"),
    "a time of the thirteenth month": (TIME, rb"2026-13-02T03:04:05Z"),
    "no time": (TIME, rb""),
    "no version": (VERSION, rb""),
    "a version that is none": (VERSION, rb"new"),
    "an armour cut short": (rb"-----END AGE ENCRYPTED FILE-----", rb""),
    "a recipient that is none": (RECIPIENT.encode(), b"age1nobody"),
}
OF_ONE_KIND: dict[str, tuple[str, bytes]] = {
    "YAML, sops is a text": ("a.yaml", re.sub(rb"(?ms)^sops:.*", b"sops: text\n", SEALED["a.yaml"])),
    "YAML, sops is a list": ("a.yaml", re.sub(rb"(?ms)^sops:.*", b"sops: [a, b]\n", SEALED["a.yaml"])),
    "YAML, sops is nothing": ("a.yaml", re.sub(rb"(?ms)^sops:.*", b"sops:\n", SEALED["a.yaml"])),
    "YAML, sops twice": ("a.yaml", SEALED["a.yaml"] + b"sops: {}\n"),
    "YAML, a number for a key": ("a.yaml", b"1: x\n" + SEALED["a.yaml"]),
    "YAML, a key twice": ("a.yaml", b"user: x\n" + SEALED["a.yaml"]),
    "YAML, a bomb": (
        "a.yaml",
        b"b0: &b0 [x, x]\n" + b"".join(b"b%d: &b%d [%s]\n" % (n, n, b"*b%d, " % (n - 1) * 9) for n in range(1, 9))
        + SEALED["a.yaml"],
    ),
    "YAML, too deep": ("a.yaml", b"deep: " + b"[" * 2000 + b"]" * 2000 + b"\n" + SEALED["a.yaml"]),
    "YAML, a number that is too large": ("a.yaml", b"big: 9" + b"9" * 40 + b"e99999999999\n" + SEALED["a.yaml"]),
    "YAML, a NUL": ("a.yaml", b"nul: a\0b\n" + SEALED["a.yaml"]),
    "YAML, no UTF-8": ("a.yaml", b"bad: \xff\xfe\n" + SEALED["a.yaml"]),
    "YAML, a tab for a blank": ("a.yaml", b"\ta: b\n" + SEALED["a.yaml"]),
    "YAML, age is a mapping": ("a.yaml", changed("a.yaml", rb"(?m)^( +)age:", rb"\1age: {a: b}\n\1was:")),
    "YAML, mac is a list": ("a.yaml", changed("a.yaml", rb'mac: .*', b"mac: [a]")),
    "YAML, mac is a number": ("a.yaml", changed("a.yaml", rb'mac: .*', b"mac: 12")),
    "YAML, version is a mapping": ("a.yaml", changed("a.yaml", rb'version: .*', b"version: {a: b}")),
    "JSON, sops is a text": ("a.json", re.sub(rb'(?s)"sops": \{.*\}', b'"sops": "sops_mac"}', SEALED["a.json"])),
    "JSON, sops is a list": ("a.json", re.sub(rb'(?s)"sops": \{.*\}', b'"sops": [1]}', SEALED["a.json"])),
    "YAML, no MAC": ("a.yaml", changed("a.yaml", rb" *mac: .*\n", b"")),
    "JSON, no MAC": ("a.json", changed("a.json", rb',\s*"mac": "[^"]*"', b"")),
    "JSON, sops twice": ("a.json", SEALED["a.json"].replace(b"{", b'{"sops": {}, ', 1)),
    "JSON, cut short": ("a.json", SEALED["a.json"][:-30]),
    "JSON, a comma too many": ("a.json", SEALED["a.json"].replace(b"{", b"{,", 1)),
    "JSON, too deep": ("a.json", SEALED["a.json"].replace(b"{", b'{"d": ' + b"[" * 2000 + b"]" * 2000 + b", ", 1)),
    "JSON, a number that is too large": ("a.json", SEALED["a.json"].replace(b"{", b'{"n": 1e999, ', 1)),
    "JSON, NaN": ("a.json", SEALED["a.json"].replace(b"{", b'{"n": NaN, ', 1)),
    "JSON, a NUL": ("a.json", SEALED["a.json"].replace(b"{", b'{"n": "\0", ', 1)),
    "JSON, a mark of bytes": ("a.json", b"\xef\xbb\xbf" + SEALED["a.json"]),
    "JSON, a list": ("a.json", b"[" + SEALED["a.json"] + b"]"),
    "dotenv, a line without =": ("a.env", b"nothing\n" + SEALED["a.env"]),
    "dotenv, no MAC": ("a.env", re.sub(rb"sops_mac=.*\n", b"", SEALED["a.env"])),
    "dotenv, lines that end otherwise": ("a.env", SEALED["a.env"].replace(b"\n", b"\r\n")),
    "dotenv, a list without a number": ("a.env", SEALED["a.env"].replace(b"list_0", b"list_x")),
    "dotenv, a list of numbers that are too large": ("a.env", SEALED["a.env"].replace(b"list_0", b"list_99999999")),
    "dotenv, a value where a mapping is": ("a.env", SEALED["a.env"] + b"sops_age=x\n"),
    "INI, a line without =": ("a.ini", b"nothing\n" + SEALED["a.ini"]),
    "INI, no MAC": ("a.ini", re.sub(rb"(?m)^mac *=.*\n", b"", SEALED["a.ini"])),
    "INI, a section without an end": ("a.ini", b"[s\nk = v\n" + SEALED["a.ini"]),
    "INI, a quote without an end": ("a.ini", b'[s]\nk = """v\n' + SEALED["a.ini"]),
    "binary, no value": ("a.bin", changed("a.bin", rb'"data"', b'"date"')),
    "binary, a value more": ("a.bin", SEALED["a.bin"].replace(b"{", b'{"more": "x", ', 1)),
    "binary, a list for a value": ("a.bin", changed("a.bin", rb'"data": "[^"]*"', b'"data": ["a"]')),
}  # fmt: skip
CASES = OF_ONE_KIND | {
    f"{name}, {what}": (name, changed(name, *how)) for what, how in OF_EVERY_KIND.items() for name in EVERY
}
ONE = re.compile(r"ksecret: [^\n]+\n(  \S[^\n]+\n)?")


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_error_that_names_the_file_and_nothing_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file, data = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KSECRET_AGE_KEY", IDENTITY)
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    (tmp_path / file).write_bytes(data)
    for words in (["decrypt", file], ["rotate", file]):
        code = main(words)
        out, err = capfd.readouterr()
        assert (code in (3, 5), out) == (True, ""), err
        assert ONE.fullmatch(err), err
        assert err.startswith(f"ksecret: {file}:")
        assert "Kubernetes" not in err, "which nobody promised"
        assert not any(secret in err for secret in (SECRET, "CLEAR", IDENTITY))
        assert os.listdir() == [file]
        assert (tmp_path / file).read_bytes() == data
