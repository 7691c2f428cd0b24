"""What `kubectl diff` found, object by object, with fingerprints or values where it puts asterisks.

kubectl masks the values of Secrets itself, but not the copies of them that annotations keep. A fingerprint is keyed
anew in each run: it tells equal values from unequal ones within that run, and nothing else.
"""

from __future__ import annotations

import re

from secretsvc.errors import ManifestError
from secretsvc.manifest.copies import copies
from secretsvc.manifest.kubernetes_objects import documents
from secretsvc.manifest.model import decode_base64, encode_base64
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations.textconv import shown
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from secretsvc.manifest.model import Entry, Manifest, Secret

    Values = Mapping[str, str]
    """The values of one Secret: key → base64, as it stands under `data`."""
    Form = Callable[[str, Entry, str], str]
    """The text, an entry of it, and its value in base64 → what stands there for people."""

SAME, BEFORE, AFTER = "***", "*** (before)", "*** (after)"
"""kubectl's masks (pkg/cmd/diff/diff.go)."""
COPY = "<a copy of the Secret>"
MOST_SHOWN = 64 * 1024
"""Characters of base64 up to which a value is shown; a larger one has its fingerprint."""

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_FILE = re.compile(r"(?:(.*)\.)?(v[0-9]+(?:(?:alpha|beta)[0-9]+)?)\.([A-Z][A-Za-z0-9]*)\.([a-z0-9-]*)\.(.*)")
_CONTEXT = 3
_NOTHING = ("null\n", "{}\n")
"""What kubectl writes of a Secret that is not there: it masks even that."""


class Identity(Record):
    """An object's name, as kubectl names its file."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def is_secret(self) -> bool:
        """Whether it is a Secret of Kubernetes' own."""
        return not self.group and self.kind == "Secret"

    @property
    def label(self) -> str:
        """Return it as messages name it."""
        return "/".join(filter(None, (self.namespace, self.name)))


class Difference(Record):
    """An object as the cluster has it, and as it would be: YAML; a side is empty where there is none."""

    file: str
    identity: Identity
    before: str
    after: str

    def __repr__(self) -> str:
        return f"Difference({self.file!r}, masked)"

    @property
    def is_new(self) -> bool:
        """Whether the cluster has no such object."""
        return not self.before

    @property
    def is_pruned(self) -> bool:
        """Whether the cluster would lose it."""
        return not self.after

    @property
    def differs(self) -> bool:
        """Whether anything is left of it: of a copy in an annotation alone, which kubectl keeps up to date, nothing."""
        return self.before != self.after

    def unified(self) -> str:
        """Return it as `diff -u` prints it."""
        from difflib import unified_diff

        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        lines = unified_diff(before, after, f"LIVE/{self.file}", f"MERGED/{self.file}", n=_CONTEXT)
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


class Drift(Record):
    """What a Secret in a cluster lacks or has otherwise, by the names of its entries."""

    differ: tuple[str, ...]
    missing: tuple[str, ...]
    to_go: tuple[str, ...]
    """Those that the manifest had once, when it was applied."""
    elsewhere: bool
    """Whether labels, annotations or other fields differ."""


def differences(text: str) -> list[Difference]:
    """Read what `diff -N` printed with all lines as context. Raises ManifestError, which shows nothing of it."""
    lines = iter(text.split("\n"))
    return [_difference(lines, line) for line in lines if line and not line.startswith("diff ")]


def _difference(lines: Iterator[str], first: str) -> Difference:
    second, hunk = next(lines, ""), _HUNK.match(next(lines, ""))
    file = second.removeprefix("+++ ").partition("\t")[0].rpartition("/")[2]
    identity = _FILE.fullmatch(file)
    if not (first.startswith("--- ") and second.startswith("+++ ") and hunk and identity):
        raise ManifestError("kubectl diff printed what is no unified diff", hint="which programs are kubectl and diff?")
    left = [int(count or 1) for count in hunk.groups()]
    sides: tuple[list[str], list[str]] = ([], [])
    while any(left):
        line = next(lines, "\\")
        for number, marks in enumerate((" -", " +")):
            if line[:1] in marks and line:
                sides[number].append(line[1:] + "\n")
                left[number] -= 1
        if line == "\\" or min(left) < 0:
            raise ManifestError("kubectl diff printed a part only")
    group, _, kind, namespace, name = identity.groups()
    before, after = ("" if text in _NOTHING else text for text in map("".join, sides))
    return Difference(file, Identity(group or "", kind, namespace, name), before, after)


class Fingerprints:
    """Fingerprints by a key that nobody keeps."""

    def __init__(self) -> None:
        from secrets import token_bytes

        self._key = token_bytes(32)

    def of(self, _text: str, _entry: object, value: str) -> str:
        """`<3f9a1c20d5e1>`: the first 48 bits of HMAC-SHA-256 (RFC 2104) of a value."""
        from hmac import digest

        return f"<{digest(self._key, value.encode(), 'sha256').hex()[:12]}>"

    def or_value(self, text: str, entry: Entry, value: str) -> str:
        """The value itself, decoded where it is text, unless it is very large."""
        return shown(text, entry, value) if len(value) <= MOST_SHOWN else self.of(text, entry, value)


def filled(found: Difference, live: Values, ours: Values, form: Form | None) -> Difference:
    """A Secret's difference with what `form` makes of the values that are known, and no copy of them.

    Without a `form` kubectl's masks stay. `ours`: what the manifest has; what it lacks and stays is as it was.
    Raises ManifestError.
    """
    before, after = _read(found.before), _read(found.after)
    same = _unchanged(before) & _unchanged(after)
    known = {**live, **ours}
    stay = {key: live.get(key, known[key]) for key in same & set(known)}
    return found._replace(before=_filled(before, {**live, **stay}, form), after=_filled(after, {**known, **stay}, form))


def _read(text: str) -> Manifest:
    return read(text.encode())


def _unchanged(manifest: Manifest) -> set[str]:
    return {entry.key for secret in manifest.secrets for entry in secret.entries if entry.value == SAME}


def _filled(manifest: Manifest, values: Values, form: Form | None) -> str:
    edits = [edit for secret in manifest.secrets for edit in _edits(secret, manifest.text, values, form)]
    return apply(manifest.text, edits)


def _edits(secret: Secret, text: str, values: Values, form: Form | None) -> Iterator[Edit]:
    for entry in secret.entries:
        if form and entry.key in values and entry.value in (SAME, BEFORE, AFTER):
            yield Edit(entry.scalar.start, entry.scalar.end, form(text, entry, values[entry.key]))
    for copy in copies(secret):
        scalar = copy.member.value
        yield Edit(scalar.start, scalar.start + len(text[scalar.start : scalar.end].rstrip()), COPY)


def drift_of(found: Difference) -> Drift:
    """What is otherwise in a Secret that the cluster has, by kubectl's masks. Raises ManifestError."""
    sides = [documents(text.encode()) for text in (found.before, found.after)]
    if not all(len(side) == 1 and isinstance(side[0], dict) for side in sides):
        raise ManifestError("kubectl diff printed what is no Secret", hint="which programs are kubectl and diff?")
    (before,), (after,) = sides
    old, new = (one.pop("data", None) or {} for one in (before, after))
    return Drift(
        tuple(key for key, mask in new.items() if mask == AFTER),
        tuple(key for key in new if key not in old),
        tuple(key for key in old if key not in new),
        before != after,
    )


def identities(text: bytes) -> list[Identity]:
    """The objects of a manifest, those in Lists too; nothing where it can't be told what Kubernetes reads in it."""
    try:
        found = [item for one in documents(text) for item in _items(one)]
    except ManifestError:
        return []
    return [_identity(one) for one in found if isinstance(one, dict) and isinstance(one.get("metadata"), dict)]


def _items(one: Any) -> list[Any]:
    items = one.get("items") if isinstance(one, dict) and one.get("kind") == "List" else None
    return items if isinstance(items, list) else [one]


def _identity(one: dict[str, Any]) -> Identity:
    group = str(one.get("apiVersion", "")).rpartition("/")[0]
    metadata = one["metadata"]
    return Identity(
        group, *(str(text or "") for text in (one.get("kind"), metadata.get("namespace"), metadata.get("name")))
    )


def live_values(printed: Any) -> dict[str, Values]:
    """The values of the Secret, or the List of them, that `kubectl get -o json` printed, by namespace and name.

    Raises ManifestError for anything else.
    """
    found: dict[str, Values] = {}
    try:
        for one in printed["items"] if printed["kind"] == "List" else [printed]:
            found[f"{one['metadata']['namespace']}/{one['metadata']['name']}"] = dict(one.get("data") or {})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ManifestError("kubectl get printed what is no Secret", hint="leave out -o behind --") from None
    return found


def clear_values(text: bytes) -> dict[str, Values]:
    """The values of the Secrets of an opened manifest, by namespace, where they have one, and name; none of others."""
    try:
        secrets = read(text).secrets
        return {secret.label: dict(map(_canonical, secret.entries)) for secret in secrets}
    except (ManifestError, ValueError):
        return {}


def _canonical(entry: Entry) -> tuple[str, str]:
    raw = decode_base64(entry.value) if entry.field == "data" else entry.value.encode()
    return entry.key, encode_base64(raw)
