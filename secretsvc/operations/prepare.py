"""Changes of a manifest in the clear before it is sealed or after it is opened."""

from __future__ import annotations

from base64 import b64encode

from secretsvc import formats
from secretsvc.errors import ManifestError
from secretsvc.manifest.model import decode_base64
from secretsvc.manifest.reader import read, refuse_shared
from secretsvc.manifest.scalars import canonical, literal_block, replaced
from secretsvc.manifest.splice import apply, line_break

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.manifest.splice import Edit


def encode_cleartext(data: bytes) -> bytes:
    """Clear text under `data` becomes base64; what is tagged `!!binary` is base64 already. Raises ManifestError."""
    manifest = with_typed_encoded(read(data, allow_binary_tag=True))
    return manifest.encoded(apply(manifest.text, encodings(manifest)))


def with_typed_encoded(manifest: Manifest) -> Manifest:
    """The manifest with the texts under `data` of Secrets in the clear read as base64; `encodings` writes it so.

    Raises ManifestError, also for a `!!binary` on anything else.
    """
    return manifest._replace(secrets=tuple(_with_typed_encoded(manifest, secret) for secret in manifest.secrets))


def _with_typed_encoded(manifest: Manifest, secret: Secret) -> Secret:
    entries = []
    for entry in secret.entries:
        if _is_typed(manifest, secret, entry):
            entries.append(entry._replace(scalar=entry.scalar._replace(value=_encoded(entry))))
        else:
            refuse_shared(entry.scalar, entry.path)
            entries.append(entry)
    return secret._replace(entries=tuple(entries))


def encodings(manifest: Manifest) -> list[Edit]:
    """The edits that put base64 where clear text stands. Of a manifest `with_typed_encoded`."""
    return [
        replaced(manifest.text, entry, canonical(entry.value, flow=entry.flow))
        for secret in manifest.secrets
        for entry in secret.entries
        if _is_typed(manifest, secret, entry)
    ]


def _is_typed(manifest: Manifest, secret: Secret, entry: Entry) -> bool:
    format_ = formats.of(manifest)
    return entry.field == "data" and not (format_.is_sealed(manifest, secret) and format_.is_token(entry.value))


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
    return manifest.encoded(apply(manifest.text, decodings(manifest)))


def decodings(manifest: Manifest) -> list[Edit]:
    """The edits that `decode_data` makes. Raises ManifestError."""
    return [
        replaced(manifest.text, entry, _decoded(manifest, entry))
        for secret in manifest.secrets
        if not formats.of(manifest).is_sealed(manifest, secret)
        for entry in secret.entries
        if entry.field == "data"
    ]


def _decoded(manifest: Manifest, entry: Entry) -> str:
    try:
        raw = decode_base64(entry.value)
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
