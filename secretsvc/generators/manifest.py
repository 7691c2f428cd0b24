"""A new Secret as a manifest: YAML and JSON in kubectl's order of members, and the hash of `--append-hash`."""

from __future__ import annotations

import re
from base64 import b64encode

from secretsvc.errors import InputError, UsageError
from secretsvc.generators.golang.json import go_json
from secretsvc.manifest.rules import MAX_SECRET_BYTES
from secretsvc.manifest.scalars import canonical, literal_block
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeVar

    from secretsvc.generators.entries import Warn

    V = TypeVar("V")

_DNS_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_NO_VOWELS = str.maketrans("013ae", "ghkmt")


class NewSecret(Record):
    """A Secret to be printed. Empty fields are left out, as kubectl leaves them out."""

    name: str
    namespace: str = ""
    type: str = ""
    data: Mapping[str, bytes] = {}
    string_data: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    immutable: bool = False

    def __repr__(self) -> str:
        return f"NewSecret({self.name!r}, masked)"


def check(secret: NewSecret, warn: Warn) -> None:
    """Refuses what no API server takes and no manifest can hold; tells what this one would refuse by its rules.

    Raises UsageError for labels, annotations and text that is not UTF-8, InputError for over 1 MiB of values
    (Kubernetes counts the decoded values and no keys).
    """
    for what, text in (("NAME", secret.name), ("--namespace", secret.namespace), ("--type", secret.type)):
        _check_text(text, what)
    for key, text in secret.labels.items():
        if not _is_qualified(key) or len(text) > 63 or (text and not re.fullmatch(_LABEL_NAME, text)):
            raise UsageError("--label: not a valid label", hint="[PREFIX/]NAME=VALUE of up to 63 letters, digits, -_.")
    for key, text in secret.annotations.items():
        if not _is_qualified(key):
            raise UsageError("--annotation: not a valid key", hint="[PREFIX/]NAME of up to 63 letters, digits, -_.")
        _check_text(text, "--annotation")
    size = sum(map(len, secret.data.values())) + sum(len(text.encode()) for text in secret.string_data.values())
    if size > MAX_SECRET_BYTES:
        raise InputError(
            f"{size} bytes of values, over Kubernetes' limit of {MAX_SECRET_BYTES} (1 MiB) for one Secret",
            hint="split it into several Secrets",
        )
    if len(secret.name) > 253 or not re.fullmatch(_DNS_NAME, secret.name):
        warn("NAME is not a DNS subdomain (lower-case letters, digits, - and .): Kubernetes will refuse it")
    if secret.namespace and (len(secret.namespace) > 63 or not re.fullmatch(_DNS_LABEL, secret.namespace)):
        warn("--namespace is not a DNS label: Kubernetes will refuse it")


def _check_text(text: str, what: str) -> None:
    if any("\ud800" <= mark <= "\udfff" for mark in text):
        raise UsageError(f"{what}: not UTF-8")


def _is_qualified(key: str) -> bool:
    """Kubernetes' qualified names: an optional DNS subdomain, and a name of up to 63 characters."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not re.fullmatch(_DNS_NAME, prefix)):
        return False
    return len(name) <= 63 and bool(re.fullmatch(_LABEL_NAME, name))


def with_hash(secret: NewSecret) -> NewSecret:
    """The same, its name ending in kubectl's hash of kind, name, type and values (design KUBECTL, section 6)."""
    from hashlib import sha256

    parts: dict[str, object] = {"data": _encoded(secret), "kind": "Secret", "name": secret.name, "type": secret.type}
    if secret.immutable:
        parts["immutable"] = True
    if secret.string_data:
        parts["stringData"] = _sorted(secret.string_data)
    digest = sha256(go_json(dict(sorted(parts.items()))).encode()).hexdigest()
    return secret._replace(name=f"{secret.name}-{digest[:10].translate(_NO_VOWELS)}")


def to_json(secret: NewSecret) -> bytes:
    """Four spaces of indentation and a final line break; the members in the order of the Go types."""
    metadata = {
        "name": secret.name,
        "namespace": secret.namespace,
        "labels": _sorted(secret.labels),
        "annotations": _sorted(secret.annotations),
    }
    members: dict[str, object] = {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {name: member for name, member in metadata.items() if member},
        "immutable": secret.immutable,
        "data": _encoded(secret),
        "stringData": _sorted(secret.string_data),
        "type": secret.type,
    }
    kept = {name: member for name, member in members.items() if member or name == "metadata"}
    return (go_json(kept, indent=4) + "\n").encode()


def to_yaml(secret: NewSecret) -> bytes:
    """Every mapping sorted, two spaces, no `---`; quotes wherever Kubernetes would read something else."""
    lines = ["apiVersion: v1"]
    lines += _mapping("data", _encoded(secret), "")
    lines += ["immutable: true"] if secret.immutable else []
    lines += ["kind: Secret"]
    metadata = [
        *_mapping("annotations", _sorted(secret.annotations), "  "),
        *_mapping("labels", _sorted(secret.labels), "  "),
        *([f"  name: {canonical(secret.name, flow=False)}"] if secret.name else []),
        *([f"  namespace: {canonical(secret.namespace, flow=False)}"] if secret.namespace else []),
    ]
    lines += ["metadata:", *metadata] if metadata else ["metadata: {}"]
    lines += _mapping("stringData", _sorted(secret.string_data), "")
    lines += [f"type: {canonical(secret.type, flow=False)}"] if secret.type else []
    return ("\n".join(lines) + "\n").encode()


def _mapping(name: str, members: Mapping[str, str], indent: str) -> Iterator[str]:
    if members:
        yield f"{indent}{name}:"
    for key, text in members.items():
        value = literal_block(text, len(indent) + 4, "\n") or canonical(text, flow=False)
        yield f"{indent}  {canonical(key, flow=False)}: {value}"


def _encoded(secret: NewSecret) -> dict[str, str]:
    return {key: b64encode(value).decode() for key, value in _sorted(secret.data).items()}


def _sorted(members: Mapping[str, V]) -> dict[str, V]:
    return dict(sorted(members.items(), key=lambda member: member[0].encode()))
