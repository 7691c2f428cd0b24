"""Rules for a Secret in the clear before it is sealed: that Kubernetes would take it, and that nothing leaks."""

from __future__ import annotations

from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.model import FIELDS, decode_base64
from secretsvc.manifest.nodes import Mapping, Member, Scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.manifest.model import Entry, Manifest, Secret

MAX_SECRET_BYTES = 1024 * 1024
"""Kubernetes' limit for the values of one Secret together, decoded (`MaxSecretSize`)."""

_LONGEST_TYPED = 128
"""Characters; a token in hex of 64 bytes has as many."""

KNOWN = ("apiVersion", "kind", "metadata", "type", "immutable", *FIELDS, "ksecret", "sops")
"""Members of a Secret that Kubernetes knows, and those that have messages of their own."""


def check_text(manifest: Manifest) -> None:
    """Refuses what YAML's versions disagree on, and what kubectl reads otherwise than YAML. Raises ManifestError."""
    from secretsvc.manifest.characters import refuse_odd_characters
    from secretsvc.manifest.kubectl_stream import divided_otherwise

    if not manifest.is_json:
        refuse_odd_characters(manifest.text)
        line = divided_otherwise(manifest.text)
        if line:
            raise another_division(line)


def another_division(line: int) -> ManifestError:
    """Return the error for a text in which kubectl meets other documents than YAML does."""
    hint = "write `---` and nothing else on a line between documents"
    return ManifestError("kubectl starts or ends a document here, and YAML does not", hint=hint, line=line)


def check_secret(secret: Secret, sealed_bytes: int = 0) -> None:
    """Refuses a Secret that must not be sealed as it stands. Raises ManifestError.

    `sealed_bytes`: of values that it has beside its entries, as far as their tokens tell. Not what they hold is
    counted: who may add a value, but open none, would learn its length by what still fits.
    """
    _check_names(secret)
    for slip in misspelled(secret):
        raise no_field(slip)
    for entry in secret.entries:
        _check_readable(entry)
    size = sealed_bytes + sum(_size(entry) for entry in secret.entries)
    if size > MAX_SECRET_BYTES:
        more = " or more" if sealed_bytes else ""
        raise ManifestError(
            f"{secret.label} holds {size} bytes of data{more}, over Kubernetes' limit of {MAX_SECRET_BYTES} (1 MiB)",
            hint="split it into several Secrets",
            line=secret.line,
        )
    from secretsvc.manifest.copies import copies

    for copy in copies(secret):
        raise ManifestError(
            f"the annotation {copy.name} repeats the data in the clear",
            hint="ksecret encrypt --from-cluster removes it",
            line=copy.line,
        )


def _check_names(secret: Secret) -> None:
    for what, text in (("name", secret.name), ("namespace", secret.namespace), ("type", secret.type)):
        if text is None:
            continue
        if not text.isprintable() or (what != "type" and (not text or "/" in text or "*" in text)):
            raise ManifestError(
                f"the Secret's {what} can't be bound: it is empty, or holds '/', '*' or a control character",
                hint=f"write the {what} that Kubernetes will see",
                line=_line_of(secret, what),
            )


def _line_of(secret: Secret, what: str) -> int:
    metadata = nodes.value(secret.root, "metadata")
    holder = metadata if what != "type" and isinstance(metadata, Mapping) else secret.root
    found = nodes.member(holder, what)
    return found.key.line if found else secret.line


def misspelled(secret: Secret) -> Iterator[Member]:
    """Members that are no field of a Secret and may hold a value, which nobody would seal where they stand.

    Those that are `data` or `stringData` but for capitals, '-' and '_'; texts, as under a field whose entries lost
    their indentation; and a field that slipped into the metadata.
    """
    names = {member.key.value for member in secret.root.members if isinstance(member.key, Scalar)}
    is_written = not names.isdisjoint(("apiVersion", "metadata", *FIELDS))
    for member in fields(secret.root):
        name = member.key.value if isinstance(member.key, Scalar) else ""
        is_text = isinstance(member.value, Scalar) and member.value.value != ""
        if name not in FIELDS and (is_like_a_field(name) or (is_written and is_stray(name) and is_text)):
            yield member
    metadata = nodes.value(secret.root, "metadata")
    for member in fields(metadata) if isinstance(metadata, Mapping) else ():
        if isinstance(member.key, Scalar) and is_like_a_field(member.key.value):
            yield member


def is_stray(name: str) -> bool:
    """Tell whether no Secret has such a member; `$patch` and its like are Kustomize's."""
    return name not in KNOWN and not name.startswith("$")


def is_like_a_field(name: str) -> bool:
    """Tell whether it is `data` or `stringData`, but for capitals, '-' and '_'."""
    return name.replace("-", "").replace("_", "").lower() in ("data", "stringdata")


def fields(root: Mapping) -> Iterator[Member]:
    """The members that hold something, of a Secret or its metadata."""
    for member in root.members:
        if not (nodes.is_null(member.value) or (isinstance(member.value, Mapping) and not member.value.members)):
            yield member


def no_field(member: Member) -> ManifestError:
    """Return the error for a member unknown to Kubernetes. Its name is not told: it may be a slipped value."""
    hint = "values go under data or stringData; here they would stay in the clear"
    return ManifestError("this is no field of a Secret", hint=hint, line=member.key.line)


def _check_readable(entry: Entry) -> None:
    try:
        entry.value.encode()
    except UnicodeEncodeError:
        raise ManifestError(
            f"{entry.path} holds half of a surrogate pair", hint="write both escapes", line=entry.scalar.line
        ) from None


def _size(entry: Entry) -> int:
    if entry.field == "stringData":
        return len(entry.value.encode())
    try:
        return len(decode_base64(entry.value))
    except ValueError:
        raise ManifestError(
            f"{entry.path} is not base64",
            hint=_base64_hint(entry),
            line=entry.scalar.line,
        ) from None


def _base64_hint(entry: Entry) -> str:
    if " " in entry.value.strip() and is_base64(entry.value.replace(" ", "")):
        if entry.scalar.style == ">":
            return "write `|` in place of `>`, which joins lines by blanks, and base64 holds none"
        return "write it in one line, or under `|`: its lines are joined by blanks, and base64 holds none"
    return "put clear text under stringData, or say --cleartext"


def is_base64(text: str) -> bool:
    """Tell whether Kubernetes takes it under `data`."""
    try:
        decode_base64(text)
    except ValueError:
        return False
    return True


def seems_typed(entry: Entry) -> bool:
    """Tell whether a value under `data` is likely clear text that decodes as base64 by chance: `hunter22` does.

    It does not decode to text, has no padding, and letters of one case alone, after the first, as no key made at random
    has them. Only a guess, for a warning.
    """
    text = entry.value
    if entry.field != "data" or not (text.isascii() and text.isalnum()) or len(text) > _LONGEST_TYPED:
        return False
    if text[1:] not in (text[1:].lower(), text[1:].upper()):
        return False
    try:
        return not all(letter.isprintable() or letter.isspace() for letter in decode_base64(text).decode())
    except UnicodeDecodeError:
        return True
    except ValueError:
        return False
