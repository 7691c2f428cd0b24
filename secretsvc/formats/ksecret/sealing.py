"""Opening, sealing and restoring Secrets of format *ksecret v1*, the DEK being at hand.

And which form a value is sealed in, as a payload, and how it is written back (design FORMAT).
"""

from __future__ import annotations

from secretsvc import patience
from secretsvc.errors import AlteredError, ManifestError
from secretsvc.formats.base import Made, Opened, token_of
from secretsvc.formats.ksecret import envelope
from secretsvc.formats.ksecret.crypto import (
    BLOCK,
    FORM_BASE64,
    FORM_BODY,
    FORM_TEXT,
    Dek,
    Payload,
    altered_seal,
)
from secretsvc.formats.ksecret.envelope import TOKEN_PREFIX
from secretsvc.formats.primitives import NONCE_BYTES, TAG_BYTES
from secretsvc.manifest.model import decode_strict, encode_base64
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import (
    Inside,
    before_blank_lines,
    block_indent,
    canonical,
    dedented,
    indented,
    inside,
)
from secretsvc.manifest.splice import Edit, apply, remove_member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import TypeAlias

    from secretsvc.formats.base import Format, Place, Plan, Sealed
    from secretsvc.manifest.model import Entry, Manifest, Secret

    _Attempt: TypeAlias = Callable[[str, Entry, Payload], Edit]
    _All: TypeAlias = Mapping[int, Opened]


def open_secret(format_: Format, secret: Secret, sealed: Sealed, dek: bytes, *, retyped: bool) -> Opened:
    """Return its payloads, the seal and every token checked. Raises AlteredError with the line of what does not fit.

    `retyped`: pass over a type that is not the one it was sealed for, where that is one of Kubernetes' own.
    """
    key = Dek(dek)
    before = _sealed_type(key, secret, sealed)
    if before != secret.type and not retyped:
        raise AlteredError(
            f"{secret.label} was sealed as a Secret of type {before}: its type was changed",
            hint="if that was meant: ksecret rename --type TYPE FILE seals it for its new type",
            line=secret.line,
        )
    payloads, tokens = _opened(key, secret, sealed)
    return Opened(format_, sealed, dek, payloads, tokens)


def _sealed_type(key: Dek, secret: Secret, sealed: Sealed) -> str:
    """Return the type that the seal was made for: the Secret's, or another one of Kubernetes' own.

    Raises AlteredError where it was made for none of them.
    """
    for type_ in (secret.type, *envelope.TYPES):
        if _seal_fits(key, sealed.own, type_):
            return type_
    raise altered_seal(sealed.line)


def is_dek(secret: Secret, sealed: Sealed, dek: bytes) -> bool:
    """Tell whether the seal was made with it, be it for another type of Secret."""
    key = Dek(dek)
    return any(_seal_fits(key, sealed.own, type_) for type_ in (secret.type, *envelope.TYPES))


def _seal_fits(key: Dek, own: envelope.Envelope, type_: str) -> bool:
    return key.seal_fits(own.seal, own.sealed_for, type_, own.created, own.sealed_keys)


def _opened(key: Dek, secret: Secret, sealed: Sealed) -> tuple[dict[Place, Payload], dict[Place, str]]:
    payloads: dict[Place, Payload] = {}
    tokens: dict[Place, str] = {}
    line, own = sealed.line, sealed.own
    try:
        for entry in secret.entries:
            patience.check()
            line = entry.scalar.line
            if envelope.is_token(entry.value):
                place = entry.place
                tokens[place] = token_of(entry)
                payloads[place] = key.open_value(tokens[place], own.sealed_for, *place)
    except AlteredError as error:
        error.line = line
        from secretsvc.tokens import SUFFIX, UNMERGED

        if error.entry.endswith(SUFFIX):
            error.hint = (
                f"{UNMERGED}: ksecret git resolve --ours or --theirs; or keep one of the two, under its own name"
            )
        raise
    return payloads, tokens


def is_retyped(opened: Opened, secret: Secret) -> bool:
    """Tell whether it was given another type since it was opened."""
    return not _seal_fits(Dek(opened.dek), opened.sealed.own, secret.type)


def joined(opened: Opened, other: Sealed, secret: Secret) -> Opened:
    """Return it with the other envelope's keys too, under which its DEK is wrapped already.

    Raises AlteredError unless the DEK itself sealed that list: nobody else's may get into the keyset.
    """
    own = other.own
    Dek(opened.dek).check_seal(own.seal, own.sealed_for, secret.type, own.created, own.sealed_keys)
    if other.threshold > 1 or opened.sealed.threshold > 1:
        what = "two lists of keys in groups can't become one: each has shares of its own"
        raise AlteredError(what, hint="ksecret keys sync, or ksecret git resolve --ours or --theirs", line=other.line)
    keys = {key.ref: key for key in (*other.keys, *opened.sealed.keys)}
    return opened._replace(sealed=opened.sealed._replace(keys=tuple(keys.values())))


def least_bytes(entry: Entry) -> int:
    """Return how many bytes a token stands for at least.

    A block more, or a third more where it is base64, may be in it.
    """
    encoded = len(token_of(entry)) - len(TOKEN_PREFIX)
    padded = max(0, encoded // 4 * 3 - NONCE_BYTES - TAG_BYTES - BLOCK)
    return padded if entry.field == "stringData" else padded // 4 * 3


def seal_secret(format_: Format, manifest: Manifest, secret: Secret, plan: Plan) -> Made:
    """Return the edits that put tokens and envelope in their places, and what the envelope says then."""
    key = Dek(plan.dek)
    own = envelope.made(plan.sealed_for, plan.created, plan.keys, plan.threshold)
    own = own._replace(seal=key.seal(plan.sealed_for, secret.type, plan.created, own.sealed_keys))
    edits = [*_token_edits(manifest, secret, plan, key), *format_.put(manifest, secret, own)]
    return Made(edits, own)


def _token_edits(manifest: Manifest, secret: Secret, plan: Plan, key: Dek) -> Iterator[Edit]:
    for entry in secret.entries:
        patience.check()
        at = entry.place
        payload = plan.before.values.get(at) if plan.before else None
        if payload is None:
            payload = payload_of(manifest.text, entry)
        token = plan.kept(at, payload) or key.seal_value(payload, plan.sealed_for, *at)
        if token != token_of(entry):
            place = inside(manifest.text, entry)
            yield Edit(place.start, place.end, " " * place.indent + token)


def restored(manifest: Manifest, opened: _All) -> Manifest:
    """Return the manifest with these Secrets' envelopes taken out and their values back in place, read again.

    The shell in the file is not trusted: the text is read again and must hold exactly the sealed values.
    Where a shell was changed meanwhile, its value is written in a canonical style instead.
    Raises AlteredError where even that does not give the sealed values.
    """
    for attempt in (_as_sealed, _canonical_where_restyled, _canonical):
        try:
            clear = read(manifest.encoded(_attempted(manifest, opened, attempt)))
            if _held(clear, {}) == _held(manifest, opened):
                return clear
        except (ManifestError, ValueError):
            continue
    raise AlteredError(
        "the sealed values can't be written back where the tokens stand", hint="restore the file from Git"
    )


def prove(sealed: Manifest, opened: _All, clear: Manifest, before: _All, changed: Collection[int]) -> None:
    """Refuse a sealed manifest that would not be restored to the bytes of the clear one. Raises ManifestError."""
    try:
        if _restore_alike(sealed, opened, clear, before):
            return
    except AlteredError:
        pass
    for index in changed:
        for entry in clear.secrets[index].entries:
            payload = opened[index].values.get(entry.place)
            if not envelope.is_token(entry.value) and not _restorable(entry, payload):
                raise ManifestError(
                    f"{entry.path} is written in a style that can't be restored exactly",
                    hint="write it as a double-quoted value or a simple block",
                    line=entry.scalar.line,
                )
    raise ManifestError(
        "the manifest could not be restored byte for byte once sealed", hint="simplify the layout around its Secrets"
    )


def _restorable(entry: Entry, payload: Payload | None) -> bool:
    try:
        return payload is not None and value_of(payload) == entry.value
    except ValueError:
        return False


def _restore_alike(sealed: Manifest, opened: _All, clear: Manifest, before: _All) -> bool:
    """Tell whether both restore to the same bytes. Raises AlteredError where one can't be restored.

    Where the first attempt gives both the same text, that is not read where it holds nothing but what was read as it
    stands: clear text in `clear`, and the tokens' when they were sealed.
    """
    return _attempts_alike(sealed, opened, clear, before) or (
        restored(sealed, opened).data == restored(clear, before).data
    )


def _attempts_alike(sealed: Manifest, opened: _All, clear: Manifest, before: _All) -> bool:
    try:
        text, other = (_attempted(*side, _as_sealed) for side in ((sealed, opened), (clear, before)))
        held = _held(sealed, opened)
        if text != other or held != _held(clear, before):
            return False
        was_read = all(_stand_as_sealed(clear, index, one) for index, one in before.items())
        return was_read or _held(read(clear.encoded(text)), {}) == held
    except (ManifestError, ValueError):
        return False


def _stand_as_sealed(manifest: Manifest, index: int, opened: Opened) -> bool:
    """Tell whether a Secret's tokens stand in what its values were sealed in.

    Then they are read where they are put back as they were when that was read, to prove the sealing.
    """
    values = ((entry, opened.values.get(entry.place)) for entry in manifest.secrets[index].entries)
    return all(_stands_as_sealed(manifest.text, entry, payload) for entry, payload in values if payload)


def _stands_as_sealed(text: str, entry: Entry, payload: Payload) -> bool:
    """Tell whether the value is read alike in any place that has the shell that the token has now."""
    shell, content = inside(text, entry).shell, payload.content
    if shell != payload.shell or "+" in shell:  # that one holds blank lines which may have come since
        return False
    if payload.form != FORM_TEXT:
        return True
    if shell in ("'", '"'):
        return b"\\ud" not in content.lower()  # surrogates, which JSON has and YAML has not
    return not shell and not entry.flow and b"\n" not in content and b"\r" not in content


def _attempted(manifest: Manifest, opened: _All, attempt: _Attempt) -> str:
    edits = (edit for index, one in opened.items() for edit in _edits(manifest, index, one, attempt))
    return apply(manifest.text, edits)


def _edits(manifest: Manifest, index: int, opened: Opened, attempt: _Attempt) -> Iterator[Edit]:
    secret = manifest.secrets[index]
    for entry in secret.entries:
        payload = opened.values.get(entry.place)
        if payload:
            yield attempt(manifest.text, entry, payload)
    member = envelope.member_of(secret)
    if member:
        yield remove_member(manifest.text, secret.root, member)


def _as_sealed(text: str, entry: Entry, payload: Payload) -> Edit:
    place = inside(text, entry)
    return Edit(place.start, place.end, written(payload, place))


def _canonical_where_restyled(text: str, entry: Entry, payload: Payload) -> Edit:
    same = inside(text, entry).shell.rstrip("+-") == payload.shell.rstrip("+-")
    return (_as_sealed if same else _canonical)(text, entry, payload)


def _canonical(text: str, entry: Entry, payload: Payload) -> Edit:
    place = inside(text, entry)
    end = place.end + (1 if place.shell in ("'", '"') else 0)
    return Edit(entry.scalar.start, end, canonical(value_of(payload), flow=entry.flow))


def _held(manifest: Manifest, opened: _All) -> list[tuple[object, ...]]:
    """Return who each Secret is and the value of each entry, in place of a token what it holds.

    Raises ValueError for a token's that can't be told.
    """
    return [
        (secret.namespace, secret.name, secret.type, _texts(secret, opened.get(index)))
        for index, secret in enumerate(manifest.secrets)
    ]


def _texts(secret: Secret, opened: Opened | None) -> dict[Place, str]:
    texts = {entry.place: entry.value for entry in secret.entries}
    return texts | (opened.texts if opened else {})


def payload_of(text: str, entry: Entry) -> Payload:
    """Return what is sealed for an entry in the clear: the first of the forms 1, 2 and 0 that is exact."""
    place = inside(text, entry)
    source = text[place.start : place.end]
    if place.shell[:1] in ("|", ">"):
        return _block_payload(source, place)
    try:
        return Payload(FORM_BASE64, place.shell, decode_strict(source))
    except ValueError:
        return Payload(FORM_TEXT, place.shell, source.encode())


def _block_payload(source: str, place: Inside) -> Payload:
    digit = place.shell.strip("|>+-")
    # Without a digit, a body of blanks alone has no indentation that could be told from its text.
    body = dedented(source, place.indent) if digit or source.strip() or not source.strip("\r\n") else None
    if body is not None:
        return Payload(FORM_BODY, place.shell, body.encode())
    # The source keeps its indentation, so the digit must count from column 0 to mean the same.
    shell = place.shell.replace(digit, str(place.indent)) if digit else place.shell
    return Payload(FORM_TEXT, shell, source.encode())


def written(payload: Payload, place: Inside) -> str:
    """Return the text that goes back inside the shell that the file has now.

    Raises ValueError where there is no such text.
    """
    block = place.shell[:1] in ("|", ">")
    if payload.form == FORM_BODY:
        if not block:
            raise ValueError("the body of a block in another shell")
        return indented(payload.content.decode(), place.indent)
    if payload.form == FORM_BASE64:
        text = encode_base64(payload.content)
        return " " * place.indent + text if block else text
    return payload.content.decode()


def value_of(payload: Payload) -> str:
    """Return the sealed value: what the parser makes of the content in the shell that it was sealed in."""
    if payload.form == FORM_BASE64:
        return encode_base64(payload.content)
    text = payload.content.decode()
    style = payload.shell[:1]
    if style in ("|", ">"):
        return _block_value(payload, text)
    simple = "\n" not in text and "\r" not in text
    if style == "" and simple:
        return text
    if style == "'" and simple:
        return text.replace("''", "'")
    if style == '"':
        return _quoted_value(text, simple)
    return _parsed(f" {text}\n" if style == "" else f"'{text}'\n")


def blank_lines(payload: Payload) -> str:
    """Return the blank lines at the end of a block's content, which are no part of its value."""
    if payload.shell[:1] not in ("|", ">") or "+" in payload.shell:
        return ""
    content = payload.content.decode()
    indent = block_indent(content, payload.shell, 0) if payload.form == FORM_TEXT else 0
    return content[before_blank_lines(content, Inside(0, len(content), payload.shell, indent)) :]


def _quoted_value(text: str, simple: bool) -> str:
    if simple and "\\" not in text:
        return text
    from json import loads  # as JSON first: its surrogate pairs are no YAML, all else in it means the same in both

    try:
        return str(loads(f'"{text}"'))
    except ValueError:
        return _parsed(f'"{text}"\n')


def _block_value(payload: Payload, text: str) -> str:
    style, chomping = payload.shell[0], payload.shell.strip("0123456789|>")
    column = 2 if payload.form == FORM_BODY else int(payload.shell.strip("|>+-") or 0)
    body = indented(text, 2) if payload.form == FORM_BODY else text
    # A digit counts from the parent and goes up to 9; content further right needs a parent further right.
    parent = f"k:\n{' ' * (column - 9)}" if column > 9 else ""
    return _parsed(f"{parent}k: {style}{min(column, 9) or ''}{chomping}\n{body}\n")


def _parsed(text: str) -> str:
    """Return the last scalar of a small YAML text. Raises ValueError where there is none."""
    from secretsvc.manifest import nodes
    from secretsvc.manifest.line_reader import yaml_documents

    try:
        (node,) = yaml_documents(text)
    except ManifestError:
        raise ValueError("a value that does not parse") from None
    while isinstance(node, nodes.Mapping):
        node = node.members[-1].value
    if not isinstance(node, nodes.Scalar):
        raise ValueError("a value that is no scalar")
    return node.value
