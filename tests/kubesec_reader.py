"""A second reader of kubesec's files (v1 to v4), written from the description of the format and not from our code.

It imports nothing of ours, so that what we write is judged by something else. It refuses whatever kubesec refuses, and
where kubesec is careless it is strict: a line given twice or without all its parts, base64 that is not canonical, CR at
a line's end, an empty value in place of a token, more than twelve keys.
Public: `read`, `misplaced`, `unwrap_with_gpg`. Source: design FORMAT, "kubesec v1–v4".
"""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

START = "# kubesec:"
SCHEMES = ("pgp", "gcp", "aws")
FIELDS = ("data", "stringData")


class RefusedError(Exception):
    """The file does not open. Holds no value."""


class NotHeldError(Exception):
    """This key can't be used here; another one of the file's may do."""


class KeyLine(NamedTuple):
    scheme: str
    id: str
    wrapped: bytes


class Envelope(NamedTuple):
    """The comment lines, the keys in their order in the file."""

    version: str
    keys: list[KeyLine]
    mac: str


Unwrap = Callable[[str, str, bytes], bytes] | Mapping[tuple[str, str, bytes], bytes]
"""(scheme, id, wrapped DEK) → DEK. A function raises NotHeldError for a key that it can't use; a mapping lacks it."""


def read(data: bytes, unwrap: Unwrap) -> dict[str, Any]:
    """The Secret as plain data, its values the clear text that stood in the manifest (base64 under `data`).

    Raises RefusedError.
    """
    text = _text(data)
    secret = _first_document(text)
    envelope = envelope_of(text)
    if not envelope.mac:
        raise RefusedError("no MAC")
    cipher = AESGCM(_dek(envelope.keys, unwrap))
    covered = b""
    for field, entries in _fields(secret).items():
        opened = {key: _opened(cipher, token, key) for key, token in entries.items()}
        for key in sorted(opened, key=str.encode):
            covered += key.encode() + opened[key].encode()
        secret[field] = opened
    covered += b"".join(key.id.encode() for key in in_writing_order(envelope.keys))
    if envelope.mac.count(".") != 1 or _decrypted(cipher, envelope.mac, covered) != b"":
        raise RefusedError("the MAC is malformed")
    return secret


def misplaced(data: bytes) -> list[str]:
    """What kubesec opens and would not have written; empty for a file that it could have written itself."""
    text = _text(data)
    secret = _first_document(text)
    version, keys, _ = envelope_of(text)
    found = []
    if keys != in_writing_order(keys):
        found.append("the order of the keys")
    if len({key[:2] for key in keys}) != len(keys):
        found.append("a key that is there twice")
    if version != ("4" if secret.get("stringData") else "3"):
        found.append("the version")
    for entries in _fields(secret).values():
        for key, token in entries.items():
            if token.count(".") == 2 and len(_base64(token.partition(".")[0])) % 48:
                found.append(f"the padding of {key}")
    lines = text.rstrip("\n").split("\n")
    kinds = [line.removeprefix(START).partition(":")[0] for line in lines if line.startswith(START)]
    if kinds != ["v", *(key.scheme for key in keys), "mac"]:
        found.append("the order of the lines")
    if not all(line.startswith(START) for line in lines[-len(kinds) :]):
        found.append("the place of the lines")
    return found


def in_writing_order(keys: list[KeyLine]) -> list[KeyLine]:
    """Insertion sort by a relation that is no order, so that keys of one scheme stay as they are.

    This is what Go's sort.Sort does with up to twelve elements; beyond that it depends on Go's version, except where no
    key is less than another: those stay.
    """

    keys = list(keys)
    for end in range(1, len(keys)):
        at = end
        while at > 0 and _less(keys[at], keys[at - 1]):
            keys[at - 1], keys[at] = keys[at], keys[at - 1]
            at -= 1
    return keys


def _less(a: KeyLine, b: KeyLine) -> bool:
    return SCHEMES.index(a.scheme) < SCHEMES.index(b.scheme) and a.id.encode() < b.id.encode()


def envelope_of(text: str) -> Envelope:
    """The comment lines. Lines end at LF: kubesec takes a CR for a part of the line."""
    if f"\n{START}v:" not in text:
        raise RefusedError("not sealed")
    single: dict[str, str] = {}
    keys: list[KeyLine] = []
    for line in text.split("\n"):
        if not line.startswith(START):
            continue
        kind, colon, rest = line.removeprefix(START).partition(":")
        if "\r" in line or not colon:
            raise RefusedError("a line that does not end where it should, or has no colon")
        if kind in SCHEMES:
            name, _, wrapped = rest.rpartition(":")
            if not name or (kind == "pgp" and ":" in name):
                raise RefusedError("a key's line without its three parts")
            keys.append(KeyLine(kind, name, _base64(wrapped)))
        elif kind in ("v", "mac") and kind not in single:
            single[kind] = rest
        else:
            raise RefusedError("a line of an unknown kind, or a second one where one is allowed")
    if single["v"] not in ("1", "2", "3", "4"):
        raise RefusedError("an unknown version")
    if len(keys) > 12 and any(_less(one, other) for one in keys for other in keys):
        raise RefusedError("too many keys to tell their order in the MAC")
    return Envelope(single["v"], keys, single.get("mac", ""))


def unwrap_with_gpg(homedir: str) -> Callable[[str, str, bytes], bytes]:
    """Unwraps PGP key lines with the gpg that is installed and the secret keys of a GNUPGHOME."""

    def gpg(*arguments: str, data: bytes = b"") -> tuple[bytes, list[str]]:
        """Standard output, and the status lines, which come on a descriptor of their own."""
        reading, writing = os.pipe()
        try:
            done = subprocess.run(
                ["gpg", "--homedir", homedir, "--batch", "--no-tty", "--status-fd", str(writing), *arguments],
                input=data, capture_output=True, pass_fds=[writing], check=False, timeout=60,
            )  # fmt: skip
        finally:
            os.close(writing)
        with open(reading, encoding="utf-8", errors="replace") as stream:
            status = stream.read().splitlines()
        if done.returncode:
            raise NotHeldError("gpg failed")
        return done.stdout, status

    def unwrap(scheme: str, name: str, wrapped: bytes) -> bytes:
        if scheme != "pgp":
            raise NotHeldError(f"{scheme} is not for gpg")
        if not wrapped.startswith(b"-----BEGIN PGP MESSAGE-----\n"):
            raise NotHeldError("not armoured")
        listed, _ = gpg("--list-secret-keys", "--with-colons")
        if f"fpr:::::::::{name}:" not in listed.decode("utf-8", "replace").splitlines():
            raise NotHeldError("no such secret key")
        dek, status = gpg("--decrypt", data=wrapped)
        if not any(re.match(r"\[GNUPG:\] VALIDSIG [0-9A-F]{40} ", line) for line in status):
            raise NotHeldError("no valid signature")
        return dek

    return unwrap


def _dek(keys: list[KeyLine], unwrap: Unwrap) -> bytes:
    """From the first key that can be used."""
    for key in keys:
        try:
            dek = unwrap[key] if isinstance(unwrap, Mapping) else unwrap(*key)
        except (NotHeldError, KeyError):
            continue
        if len(dek) != 32:
            raise RefusedError("a DEK of a wrong length")
        return dek
    raise RefusedError("none of the keys could be used")


def _opened(cipher: AESGCM, token: str, key: str) -> str:
    try:
        return _decrypted(cipher, token, key.encode()).partition(b"\0")[0].decode()
    except UnicodeDecodeError as error:
        raise RefusedError("a value that is no text") from error


def _decrypted(cipher: AESGCM, token: str, aad: bytes) -> bytes:
    """`b64(ciphertext).b64(iv).b64(tag)`, without the first part where the plaintext is empty."""
    parts = [_base64(part) for part in token.split(".")]
    if len(parts) not in (2, 3) or not all(parts) or len(parts[-2]) != 12 or len(parts[-1]) != 16:
        raise RefusedError("a token that is none")
    ciphertext = parts[0] if len(parts) == 3 else b""
    try:
        return cipher.decrypt(parts[-2], ciphertext + parts[-1], aad)
    except InvalidTag as error:
        raise RefusedError("a token or the MAC does not match") from error


def _base64(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise RefusedError("malformed base64") from error
    if b64encode(data).decode() != text:
        raise RefusedError("base64 that nothing writes")
    return data


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RefusedError("not UTF-8") from error


def _fields(secret: dict[str, Any]) -> dict[str, dict[str, str]]:
    """What `data` and `stringData` hold, where they are there and hold anything."""
    return {field: secret[field] for field in FIELDS if secret.get(field)}


def _first_document(text: str) -> dict[str, Any]:
    """The Secret; later documents are not even looked at."""
    loader = _Loader(text)
    try:
        secret = loader.get_data()
    except (yaml.YAMLError, ValueError) as error:
        raise RefusedError("malformed YAML") from error
    finally:
        loader.dispose()
    if not isinstance(secret, dict) or secret.get("kind") != "Secret":
        raise RefusedError("the first document is no Secret")
    for field in FIELDS:
        entries = {} if secret.get(field) is None else secret[field]
        if not isinstance(entries, dict):
            raise RefusedError(f"{field} is no mapping")
        if not all(isinstance(part, str) for entry in entries.items() for part in entry):
            raise RefusedError(f"{field} has a key or value that is no string")
    return secret


class _Loader(yaml.SafeLoader):
    """Plain scalars as go-yaml v2 takes them: it knows more booleans and numbers than PyYAML."""


def _bool(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return loader.construct_scalar(node).lower() in ("y", "yes", "true", "on")


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).replace("_", "")
    return int(text, 0) if "o" in text else float(text)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))
_Loader.add_constructor("tag:yaml.org,2002:bool", _bool)
_Loader.add_implicit_resolver(
    "!number",
    re.compile(r"[-+]?(0o[0-7_]+|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)\Z"),
    list("-+.0123456789"),
)
_Loader.add_constructor("!number", _number)
