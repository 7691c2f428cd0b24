"""Opened manifests in other shapes than their own: Kubernetes JSON, and lines that a shell reads."""

from __future__ import annotations

import re

from secretsvc.document.kinds import TEXTS_ONLY, kind_of
from secretsvc.errors import ManifestError
from secretsvc.manifest.kubernetes_objects import secret_object, with_data
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations.values import by_name, values, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from secretsvc.manifest.model import Secret

_NOT_PRINTABLE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
"""What YAML or a terminal takes for more than a letter: C1, line separators, marks that turn the direction of text."""


def as_json(texts: Iterable[tuple[str, bytes]], *, all_sealed: bool = False) -> bytes:
    """The Secrets of opened manifests as Kubernetes' JSON, several in a List. Takes pairs of file name and text.

    `data` and `stringData` stay apart as they are in the manifests; what is no Secret is left out. `all_sealed`: each
    file was, so that one without a Secret is refused: what was sealed in it would be missing. Raises ManifestError.
    """
    found = [one for file, text in texts for one in _objects(file, text, all_sealed)]
    whole = found[0] if len(found) == 1 else {"apiVersion": "v1", "kind": "List", "items": found}
    return dumped(whole, indent=4)


def _objects(file: str, text: bytes, all_sealed: bool) -> list[dict[str, Any]]:
    try:
        found = [secret_object(secret) for secret in ([] if kind_of(file) in TEXTS_ONLY else read(text).secrets)]
    except ManifestError as error:
        error.file = error.file or file
        raise
    if not found and all_sealed:
        hint = "`ksecret-sops decrypt --output-type json` prints a file of any kind as JSON"
        raise ManifestError("it holds no Secret, which is what JSON is made of", hint=hint, file=file)
    return found


def as_env(texts: Iterable[tuple[str, bytes]]) -> bytes:
    """The values of opened manifests (pairs of file name and text) as `KEY=value` lines, quoted for a POSIX shell.

    `set -a; . FILE` gives each variable exactly the value's bytes. Docker's `--env-file` knows no quotes and no line
    breaks and so reads something else. Raises UsageError for names that a shell can't assign to, ManifestError.
    """
    from shlex import quote

    named = by_name(value for file, text in texts for value in values(text, file))
    lines = (f"{name}={quote(data.decode(errors='surrogateescape'))}\n" for name, data in variables(named).items())
    return "".join(lines).encode(errors="surrogateescape")


def as_data(text: bytes) -> bytes:
    """An opened manifest whose Secrets have under `data` what they had under `stringData`, as the API server has it.

    Server-side apply takes an entry away that the manifest lost, but only from `data`: what came as `stringData` it
    forgets who set. All but those Secrets keep their bytes; one that can't be told as an object is left as it is.
    """
    try:
        manifest = read(text)
        edits = [edit for secret in manifest.secrets for edit in _moved(manifest.text, secret)]
        if not edits:
            return text
        changed = manifest.encoded(apply(manifest.text, edits))
        read(changed)  # where an anchor went with a Secret, an alias elsewhere may have lost it
    except ManifestError:
        return text
    return changed


def _moved(text: str, secret: Secret) -> list[Edit]:
    if not any(entry.field == "stringData" for entry in secret.entries):
        return []
    try:
        whole = dumped(with_data(secret_object(secret))).decode()
    except (ManifestError, ValueError):
        return []
    start, end = secret.root.start, secret.root.end
    return [Edit(start, end, whole.rstrip() + text[start + len(text[start:end].rstrip()) : end])]


def dumped(whole: Any, indent: int | None = None) -> bytes:
    """JSON that is YAML too: no surrogate pairs, which YAML's escapes lack, and no control characters as they are.

    Ends in a line break. Raises ManifestError for half of a surrogate pair.
    """
    from json import dumps

    text = dumps(whole, ensure_ascii=False, indent=indent)
    try:
        return _NOT_PRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode() + b"\n"
    except UnicodeEncodeError:
        raise ManifestError("it holds half of a surrogate pair", hint="write both escapes") from None
