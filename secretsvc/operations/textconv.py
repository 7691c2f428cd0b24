"""A manifest as `git diff` and `git log -p` show it: its own text, each token shortened to a fingerprint.

A token that changed is a line that changed, labels and comments are shown as they are, and no value is.
Nothing here imports cryptography, unless values are to be shown.
"""

from __future__ import annotations

from secretsvc import formats
from secretsvc.errors import KsecretError
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import inside
from secretsvc.manifest.splice import Edit, apply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.operations.keyring import Keyring

    Values = dict[tuple[str, str], str]
    """(field, key) → the value's text in the manifest."""

IN_THE_CLEAR = "<in the clear>"


def structure(data: bytes) -> bytes:
    """The text with tokens, wrapped DEKs and seals shortened, and values in the clear left out.

    Never fails: what is no manifest comes back as it is, but for tokens in it.
    """
    try:
        tree = _tree(data, None)
        if tree is not None:
            return tree
        manifest = read(data)
        return manifest.encoded(_shortened(manifest, lambda _: {}))
    except (KsecretError, ValueError):
        return _swept(data.decode("latin-1")).encode("latin-1")


def with_values(data: bytes, keyring: Callable[[], Keyring], name: Callable[[str], str] = lambda _: "") -> bytes:
    """The same with the values of each Secret that opens, as text where they are text.

    `keyring` is asked for once something is to be opened. `name`: KeyRef → what it is called; may be empty.
    Never fails.
    """
    try:
        tree = _tree(data, keyring)
        if tree is not None:
            return tree
        manifest = read(data)
        return manifest.encoded(_shortened(manifest, lambda index: _values(manifest, index, keyring), name))
    except (KsecretError, ValueError):
        return structure(data)


def _tree(data: bytes, keyring: Callable[[], Keyring] | None) -> bytes | None:
    """The same of a file in SOPS's format, its values shown where there is a keyring that opens it; None of others."""
    if b"sops" not in data:
        return None
    from secretsvc.operations import documents  # few files are

    sealed = documents.find(data)
    if not sealed:
        return None
    return documents.structure(sealed, _mark, documents.opened_or_none(sealed, keyring) if keyring else None)


def _shortened(manifest: Manifest, values: Callable[[int], Values], name: Callable[[str], str] = lambda _: "") -> str:
    secrets = enumerate(manifest.secrets)
    edits = [edit for index, secret in secrets for edit in _edits(manifest, secret, values(index), name)]
    return _swept(apply(manifest.text, edits))


def _edits(manifest: Manifest, secret: Secret, values: Values, name: Callable[[str], str]) -> Iterator[Edit]:
    format_ = formats.of(manifest)
    for entry in secret.entries:
        at = entry.place
        if at in values:
            yield replaced(manifest, entry, values[at])
        elif format_.is_token(entry.value):
            place = inside(manifest.text, entry)
            yield Edit(place.start, place.end, " " * place.indent + _mark("sealed", entry.value.rstrip("\n")))
        elif entry.value:
            yield replaced(manifest, entry, f'"{IN_THE_CLEAR}"' if manifest.is_json else IN_THE_CLEAR)
    yield from format_.shortened(secret, _mark, name)


def replaced(manifest: Manifest, entry: Entry, scalar: str) -> Edit:
    """The whole scalar, but not the line break after a block."""
    end = inside(manifest.text, entry).end if entry.scalar.style in ("|", ">") else entry.scalar.end
    return Edit(entry.scalar.start, end, scalar)


def _mark(what: str, text: str) -> str:
    """`<sealed 3f9a1c20d5e1>`: the first 48 bits of SHA-256, of text that is no secret."""
    from secretsvc.formats.primitives import sha256

    return f"<{what} {sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}>"


def _swept(text: str) -> str:
    """Tokens and wrapped data keys wherever else they stand: in comments, in what does not parse."""
    for format_ in formats.in_text(text):
        text = format_.swept(text, _mark)
    return text


def _values(manifest: Manifest, index: int, keyring: Callable[[], Keyring]) -> Values:
    """Return what the Secret's entries hold, as YAML and JSON both take it; nothing where it does not open."""
    text, secret = manifest.text, manifest.secrets[index]
    entries = {entry.place: entry for entry in secret.entries}
    if not formats.of(manifest).is_sealed(manifest, secret):
        return {place: shown(text, entry, entry.value) for place, entry in entries.items()}
    from secretsvc.operations.open import open_secret

    try:
        texts = open_secret(manifest, index, keyring()).texts
        return {place: shown(text, entry, texts[place]) for place, entry in entries.items()}
    except (KsecretError, ValueError):
        return {}


def shown(text: str, entry: Entry, value: str) -> str:
    """`data` decoded where that is text; a text of several lines line by line, so that a diff tells the line."""
    from secretsvc.manifest.scalars import canonical, literal_block

    value = _decoded(value) if entry.field == "data" else value
    if "\n" not in value[:-1]:
        return canonical(value, flow=entry.flow or entry.scalar.style in ("'", '"'))
    block = None if entry.flow or _is_followed(text, entry) else literal_block(value, entry.column + 2, "\n")
    return block or _quoted_lines(value, 2 if entry.flow else entry.column + 2)


def _decoded(value: str) -> str:
    from secretsvc.manifest.model import decode_base64

    try:
        return decode_base64(value).decode()
    except ValueError:
        return value  # bytes that are no text stay base64


def _is_followed(text: str, entry: Entry) -> bool:
    """Tell whether a comment stands behind the value, which a block would take in."""
    from secretsvc.manifest.lines import line_end

    rest = text[entry.scalar.end : line_end(text, entry.scalar.end)]
    return entry.scalar.style not in ("|", ">") and bool(rest.strip())


def _quoted_lines(text: str, indent: int) -> str:
    """Quote it, with a line break after each line's end: for people, where no block can hold it, as in JSON."""
    from secretsvc.manifest.scalars import quoted

    pieces = [quoted(line)[1:-1] for line in text.splitlines(keepends=True)]
    return '"' + f"\n{' ' * indent}".join(pieces) + '"'
