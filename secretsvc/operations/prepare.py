"""What may be done to a manifest in the clear before it is sealed or after it is opened."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from secretsvc import formats
from secretsvc.errors import ManifestError
from secretsvc.manifest import rules
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import canonical, literal_block, replaced
from secretsvc.manifest.splice import apply, line_break

if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry, Manifest


def encode_cleartext(data: bytes) -> bytes:
    """Clear text under `data` becomes base64; what is tagged `!!binary` is base64 already. Raises ManifestError."""
    manifest = read(data, allow_binary_tag=True)
    format_ = formats.of(manifest)
    edits = [
        replaced(manifest.text, entry, canonical(_encoded(entry), flow=entry.flow))
        for secret in manifest.secrets
        if not secret.envelope
        for entry in secret.entries
        if entry.field == "data" and not (format_.is_sealed(manifest, secret) and format_.is_token(entry.value))
    ]
    return manifest.encoded(apply(manifest.text, edits))


def _encoded(entry: Entry) -> str:
    if entry.scalar.tag:
        return "".join(entry.value.split())
    try:
        return b64encode(entry.value.encode()).decode()
    except UnicodeEncodeError:
        raise ManifestError(f"{entry.path} holds half of a surrogate pair", line=entry.scalar.line) from None


def decode_data(data: bytes) -> bytes:
    """Values under `data` as the text that they encode, for people; bytes that are no text become `!!binary`.

    `encode_cleartext` undoes it as data, not byte for byte. Raises ManifestError.
    """
    manifest = read(data)
    edits = [
        replaced(manifest.text, entry, _decoded(manifest, entry))
        for secret in manifest.secrets
        if not secret.envelope
        for entry in secret.entries
        if entry.field == "data"
    ]
    return manifest.encoded(apply(manifest.text, edits))


def _decoded(manifest: Manifest, entry: Entry) -> str:
    try:
        raw = rules.decode_base64(entry.value)
    except ValueError:
        raise ManifestError(f"{entry.path} is not base64", line=entry.scalar.line) from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        if manifest.is_json:
            hint = "JSON has no way to show them; decrypt without --cleartext"
            raise ManifestError(
                f"{entry.path} holds bytes that are no text", hint=hint, line=entry.scalar.line
            ) from None
        return f"!!binary {canonical(b64encode(raw).decode(), flow=entry.flow)}"  # `null` would be none
    ends = not manifest.text[entry.scalar.end :].partition("\n")[0].strip()  # no comment that would become text
    block = literal_block(text, entry.column + 2, line_break(manifest.text)) if ends and not entry.flow else None
    return block or canonical(text, flow=entry.flow)
