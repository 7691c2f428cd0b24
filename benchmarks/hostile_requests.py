"""Requests that were made to cost, beside manifests: JSON, forms, lines of batches and new Secrets.

Each is a function of a size, in bytes, that gives a path, a media type, and a body of about that size.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

from benchmarks.hostile_bodies import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    Made = tuple[str, str, bytes]

JSON = "application/json"
FORM = "multipart/form-data; boundary=XX"
LINES = "application/jsonl"


YAML = "application/yaml"
BYTES = "application/octet-stream"
TOKEN = "ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]"
MEMBER = (
    f"sops:\n  mac: {TOKEN}\n  lastmodified: '2026-01-01T00:00:00Z'\n  version: 3.13.3\n"
    "  age:\n  - {recipient: age1x, enc: x}\n"
).encode()


def _repeated(part: str, size: int) -> str:
    return part * max(1, size // len(part))


def _members(part: str, size: int) -> str:
    return ",".join(part.replace("{}", f"{at:06}") for at in range(max(1, size // (len(part) + 5))))


def _sops_lines(asked: str, part: str) -> Callable[[int], Made]:
    """Lines of a kind that has lines only, with what tells a file that SOPS sealed, and is none."""
    mark = {"dotenv": f"sops_mac={TOKEN}\n", "ini": f"[sops]\nmac = {TOKEN}\n"}[asked.rpartition("=")[2]]

    def made(size: int) -> Made:
        count = max(1, size // (len(part) + 4))
        lines = "".join(part.replace("{}", f"{at:06}") for at in range(count))
        return f"/v1/{asked}", BYTES, (lines + (mark if asked.startswith("verify") else "")).encode()

    return made


def _in_json(path: str, before: str, part: str, after: str) -> Callable[[int], Made]:
    return lambda size: (path, JSON, f"{before}{_members(part, size)}{after}".encode())


def _text_in_json(path: str, before: str, part: str, after: str) -> Callable[[int], Made]:
    return lambda size: (path, JSON, f"{before}{_repeated(part, size)}{after}".encode())


def _part(name: str, content: bytes, file: str = '; filename="f"') -> bytes:
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


def _form(path: str, *parts: Callable[[int], bytes]) -> Callable[[int], Made]:
    return lambda size: (path, FORM, b"".join(part(size) for part in parts) + b"--XX--\r\n")


def _filled(name: str, fill: bytes, file: str = '; filename="f"') -> Callable[[int], bytes]:
    return lambda size: _part(name, fill * (size // len(fill)), file)


def _many_parts(size: int) -> bytes:
    one = len(_part("values.a000000", b"x"))
    return b"".join(_part(f"values.a{at:06}", b"x") for at in range(size // one))


def _sealed(size: int, values: str) -> bytes:
    """A body for `set` with a manifest that has the envelope's shape, and many entries."""
    entries = "".join(f"  k{at:06}: ksecret.v1.AAAA\\n" for at in range(max(1, size // 28)))
    head = SECRET.replace("\n", "\\n")
    tail = (
        'ksecret:\\n  version: 1\\n  sealedFor: dev/db\\n  created: \\"2026-01-01T00:00:00Z\\"\\n'
        '  keys:\\n    \\"age:age1x\\": AAAA\\n  seal: AAAA\\n'
    )
    return f'{{"manifest": "{head}data:\\n{entries}{tail}", "values": {{{values}}}}}'.encode()


def _pem_lines(line: str) -> Callable[[int], Made]:
    return lambda size: (
        "/v1/generate/tls",
        JSON,
        json.dumps({"name": "a", "cert": _repeated(line, size // 2), "key": _repeated(line, size // 2)}).encode(),
    )


def _certificate() -> str:
    """A certificate, of nobody in particular."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _big_key(size: int) -> Made:
    """An RSA key (PKCS#1) of numbers that take a long time to check."""

    def number(length: int) -> bytes:
        return b"\x02\x84" + length.to_bytes(4, "big") + b"\x7f" * length

    numbers = (b"\x02\x01\x00", number(size // 4), b"\x02\x03\x01\x00\x01", *(number(size // 12) for _ in range(6)))
    body = b"".join(numbers)
    der = b64encode(b"\x30\x84" + len(body).to_bytes(4, "big") + body).decode()
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{der}\n-----END RSA PRIVATE KEY-----\n"
    return "/v1/generate/tls", JSON, json.dumps({"name": "a", "cert": _certificate(), "key": key}).encode()


def _lines(part: str) -> Callable[[int], Made]:
    return lambda size: ("/v1/batch", LINES, _repeated(part, size).encode())


def _wide_lines(size: int) -> Made:
    line = json.dumps({"op": "inspect", "manifest": SECRET + f"x: [{'a,' * (size // 16)}a]\n"}) + "\n"
    return "/v1/batch", LINES, line.encode() * 8


REQUESTS: dict[str, Callable[[int], Made]] = {
    "json-manifest-numbers": _in_json("/v1/encrypt", '{"kind": "Secret", "x": [', "1", "]}"),
    "json-manifest-lists": _in_json("/v1/encrypt", '{"kind": "Secret", "x": [', "[]", "]}"),
    "json-manifest-objects": _in_json("/v1/encrypt", '{"kind": "Secret", "x": [', '{"a":0}', "]}"),
    "json-manifest-strings": _in_json("/v1/encrypt", '{"kind": "Secret", "x": [', '""', "]}"),
    "json-manifest-keys": _in_json(
        "/v1/encrypt", '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{', '"k{}":"YQ=="', "}}"
    ),
    "json-manifest-escapes": _text_in_json(
        "/v1/encrypt", '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"a":"', "\\n", '"}}'
    ),
    "json-manifest-quotes": _text_in_json("/v1/encrypt", "[", '""', "]"),
    "json-manifest-blanks": _text_in_json("/v1/encrypt", "{", " ", "}"),
    "json-manifest-deep": lambda size: ("/v1/encrypt", JSON, b"[" * (size // 2) + b"]" * (size // 2)),
    "set-unknown-members": _in_json("/v1/set", "{", '"a{}":0', "}"),
    "set-many-values": _in_json("/v1/set", '{"manifest": "", "values": {', '"a{}":""', "}}"),
    "set-many-numbers": _in_json("/v1/set", '{"manifest": "", "values": {', '"a{}":0', "}}"),
    "set-nested": _in_json("/v1/set", '{"manifest": "", "values": [', "[[]]", "]}"),
    "set-long-manifest": _text_in_json("/v1/set", '{"values": {"a": "b"}, "manifest": "', "a: b\\n", '"}'),
    "set-long-value": _text_in_json("/v1/set", '{"manifest": "", "values": {"a": "', "\\u0061", '"}}'),
    "set-long-base64": _text_in_json("/v1/set", '{"manifest": "", "base64Values": {"a": "', "AAAA", '"}}'),
    "set-into-many-entries": lambda size: ("/v1/set", JSON, _sealed(size, '"k000001": "x"')),
    "set-many-into-many-entries": lambda size: (
        *("/v1/set", JSON),
        _sealed(size // 2, _members('"n{}":"x"', min(size // 2, 1500))),
    ),
    "form-parts": _form("/v1/set", _filled("manifest", b"a: b\n"), _many_parts),
    "form-manifest": _form("/v1/set", _filled("manifest", b"a: b\n"), _filled("values.a", b"x")),
    "form-boundaries": _form("/v1/set", _filled("manifest", b"\r\n--XXa")),
    "form-returns": _form("/v1/set", _filled("manifest", b"\r\n--X")),
    "form-field": _form("/v1/set", _filled("manifest", b"\r", "")),
    "form-headers": lambda size: ("/v1/set", FORM, b"--XX\r\n" + b"a: b\r\n" * (size // 6)),
    "form-long-header": lambda size: ("/v1/set", FORM, b"--XX\r\nContent-Disposition: " + b"a" * size),
    "generate-random": _in_json("/v1/generate/generic", '{"name": "a", "random": {', '"k{}":65536', "}}"),
    "generate-data": _in_json("/v1/generate/generic", '{"name": "a", "data": {', '"k{}":"YQ=="', "}}"),
    "generate-labels": _in_json(
        "/v1/generate/generic", '{"name": "a", "data": {"a": "YQ=="}, "labels": {', '"k{}":"a"', "}}"
    ),
    "generate-groups": _in_json(
        "/v1/generate/bootstrap-token",
        '{"name": "bootstrap-token-abc123", "groups": [',
        '"system:bootstrappers:a{}"',
        "]}",
    ),
    "generate-long-name": _text_in_json("/v1/generate/generic", '{"data": {"a": "YQ=="}, "name": "', "a-", '"}'),
    "generate-pem-begins": _pem_lines("-----BEGIN A-----\n"),
    "generate-pem-headers": _pem_lines("-----BEGIN A:-----\n"),
    "generate-pem-pairs": _pem_lines("-----BEGIN A-----\n-----END B-----\n"),
    "generate-key-of-many-bits": _big_key,
    "query-of-many-names": lambda size: (
        *("/v1/inspect?" + "&".join(f"{at:x}" for at in range(min(size, 56_000) // 5)), "application/yaml"),
        SECRET.encode(),
    ),
    "query-of-many-keys": lambda size: (
        *("/v1/encrypt?" + "&".join("key" for _ in range(min(size, 56_000) // 4)), "application/yaml"),
        SECRET.encode(),
    ),
    "content-type-of-many-quotes": lambda size: (
        *("/v1/set", f'multipart/form-data; boundary="{";" * min(size, 56_000)}'),
        SECRET.encode(),
    ),
    "content-type-of-many-parts": lambda size: (
        *("/v1/set", f"multipart/form-data{';a=b' * (min(size, 56_000) // 4)}; boundary=XX"),
        SECRET.encode(),
    ),
    "sops-list": lambda size: ("/v1/verify", YAML, b"l_unencrypted:\n" + b"- x\n" * (size // 4) + MEMBER),
    "sops-comments": lambda size: ("/v1/verify", YAML, b"# c\n" * (size // 4) + MEMBER),
    "sops-words": lambda size: ("/v1/verify", YAML, b"sops \n" * (size // 6) + MEMBER),
    "sops-sections": lambda size: ("/v1/verify", YAML, b"a[sops]" * (size // 7) + b"\n" + MEMBER),
    "sops-encrypt-list": lambda size: ("/v1/encrypt?format=sops", YAML, b"l:\n" + b"- x\n" * (size // 4)),
    "sops-encrypt-comments": lambda size: ("/v1/encrypt?format=sops", YAML, b"# c\n" * (size // 4) + b"a: x\n"),
    "sops-encrypt-dotenv": _sops_lines("encrypt?format=sops&kind=dotenv", "K{}=x\n"),
    "sops-encrypt-ini": _sops_lines("encrypt?format=sops&kind=ini", "[s{}]\na=x\n"),
    "sops-dotenv-blank-lines": _sops_lines("verify?kind=dotenv", "\n"),
    "sops-dotenv-metadata": _sops_lines("verify?kind=dotenv", "sops_age__list_{}__map_enc=x\n"),
    "sops-ini-sections": _sops_lines("verify?kind=ini", "[s{}]\n"),
    "batch-empty-lines": _lines("\n"),
    "batch-broken-lines": _lines("{\n"),
    "batch-small-lines": _lines('{"op":"verify","manifest":""}\n'),
    "batch-keys": lambda size: (
        *("/v1/batch", LINES),
        f'{{"op": "encrypt", "manifest": "", "key": [{_members(chr(34) + "age:a{}" + chr(34), size)}]}}'.encode(),
    ),
    "batch-wide-lines": _wide_lines,
}
