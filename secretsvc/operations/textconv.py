"""A manifest as `git diff` and `git log -p` show it: its own text, each token shortened to a fingerprint.

A token that changed is a line that changed, labels and comments are shown as they are, and no value is.
Nothing here imports cryptography, unless values are to be shown.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from secretsvc import formats
from secretsvc.errors import KsecretError
from secretsvc.manifest.lines import line_end
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import inside
from secretsvc.manifest.splice import Edit, apply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.operations.keys import Keyring

    Values = dict[tuple[str, str], str]
    """(field, key) → the value's text in the manifest."""

IN_THE_CLEAR = "<in the clear>"


def structure(data: bytes) -> bytes:
    """The text with tokens, wrapped DEKs and seals shortened, and values in the clear left out.

    Never fails: what is no manifest comes back as it is, but for tokens in it.
    """
    try:
        manifest = read(data)
        return manifest.encoded(_shortened(manifest, lambda _secret: {}))
    except (KsecretError, ValueError):
        return _swept(data.decode("latin-1")).encode("latin-1")


def with_values(data: bytes, keyring: Callable[[], Keyring], name: Callable[[str], str] = lambda _: "") -> bytes:
    """The same with the values of each Secret that opens, as text where they are text.

    `keyring` is asked for once something is to be opened. `name`: KeyRef → what it is called; may be empty.
    Never fails.
    """
    try:
        manifest = read(data)
        values = _kubesec_values(manifest, keyring()) if manifest.is_kubesec else None
        return manifest.encoded(
            _shortened(manifest, lambda secret: values or _values(manifest.text, secret, keyring), name)
        )
    except (KsecretError, ValueError):
        return structure(data)


def _shortened(
    manifest: Manifest, values: Callable[[Secret], Values], name: Callable[[str], str] = lambda _: ""
) -> str:
    edits = [edit for secret in manifest.secrets for edit in _edits(manifest, secret, values(secret), name)]
    return _swept(apply(manifest.text, edits))


def _edits(manifest: Manifest, secret: Secret, values: Values, name: Callable[[str], str]) -> Iterator[Edit]:
    format_ = formats.of(manifest)
    for entry in secret.entries:
        at = (entry.field, entry.key)
        if at in values:
            yield _replaced(manifest, entry, values[at])
        elif format_.is_token(entry.value):
            place = inside(manifest.text, entry)
            yield Edit(place.start, place.end, " " * place.indent + _mark("sealed", entry.value.rstrip("\n")))
        elif entry.value:
            yield _replaced(manifest, entry, f'"{IN_THE_CLEAR}"' if manifest.is_json else IN_THE_CLEAR)
    yield from format_.shortened(secret, _mark, name)


def _replaced(manifest: Manifest, entry: Entry, scalar: str) -> Edit:
    """The whole scalar, but not the line break after a block."""
    end = inside(manifest.text, entry).end if entry.scalar.style in ("|", ">") else entry.scalar.end
    return Edit(entry.scalar.start, end, scalar)


def _mark(what: str, text: str) -> str:
    """`<sealed 3f9a1c20d5e1>`: the first 48 bits of SHA-256, of text that is no secret."""
    from hashlib import sha256

    return f"<{what} {sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}>"


def _swept(text: str) -> str:
    """Tokens and wrapped data keys wherever else they stand: in comments, in what does not parse."""
    for format_ in formats.in_text(text):
        text = format_.swept(text, _mark)
    return text


def _values(text: str, secret: Secret, keyring: Callable[[], Keyring]) -> Values:
    """What the Secret's entries hold, as YAML and JSON both take it; nothing where it does not open."""
    if not secret.envelope:
        return {(entry.field, entry.key): _shown(text, entry, entry.value) for entry in secret.entries}
    from secretsvc.formats.ksecret.values import value_of
    from secretsvc.operations.open import open_secret

    try:
        payloads = open_secret(secret, keyring()).payloads
        return {
            (entry.field, entry.key): _shown(text, entry, value_of(payloads[entry.field, entry.key]))
            for entry in secret.entries
        }
    except (KsecretError, ValueError):
        return {}


def _kubesec_values(manifest: Manifest, keyring: Keyring) -> Values:
    """The same of kubesec's format, whose envelope is not in the Secret. Raises as `open_file`."""
    from secretsvc.operations.kubesec import open_file

    texts = open_file(manifest, keyring, None).texts
    entries = {(entry.field, entry.key): entry for entry in manifest.secrets[0].entries}
    return {place: _shown(manifest.text, entries[place], value) for place, value in texts.items()}


def _shown(text: str, entry: Entry, value: str) -> str:
    """`data` decoded where that is text; a text of several lines line by line, so that a diff tells the line."""
    from secretsvc.manifest.rules import decode_base64
    from secretsvc.manifest.scalars import canonical, literal_block

    with suppress(ValueError):  # bytes that are no text stay base64
        value = decode_base64(value).decode() if entry.field == "data" else value
    if "\n" not in value[:-1]:
        return canonical(value, flow=entry.flow or entry.scalar.style in ("'", '"'))
    block = None if entry.flow or _is_followed(text, entry) else literal_block(value, entry.column + 2, "\n")
    return block or _quoted_lines(value, 2 if entry.flow else entry.column + 2)


def _is_followed(text: str, entry: Entry) -> bool:
    """Whether a comment stands behind the value, which a block would take in."""
    rest = text[entry.scalar.end : line_end(text, entry.scalar.end)]
    return entry.scalar.style not in ("|", ">") and bool(rest.strip())


def _quoted_lines(text: str, indent: int) -> str:
    """In double quotes, with a line break after each line's end: for people, where no block can hold it, as in JSON."""
    from secretsvc.manifest.scalars import quoted

    pieces = [quoted(line)[1:-1] for line in text.splitlines(keepends=True)]
    return '"' + f"\n{' ' * indent}".join(pieces) + '"'
