"""Scalars ↔ payloads of format *ksecret v1*: which form a value is sealed in, and how it is written back."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from secretsvc.formats.ksecret.crypto import FORM_BASE64, FORM_BODY, FORM_TEXT, Payload
from secretsvc.manifest.scalars import Inside, dedented, indented, inside
from secretsvc.tokens import decode_strict

if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry


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
        text = b64encode(payload.content).decode()
        return " " * place.indent + text if block else text
    return payload.content.decode()


def value_of(payload: Payload) -> str:
    """Return the sealed value: what the parser makes of the content in the shell that it was sealed in."""
    if payload.form == FORM_BASE64:
        return b64encode(payload.content).decode()
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
    from secretsvc.errors import ManifestError
    from secretsvc.manifest.nodes import Mapping, Scalar
    from secretsvc.manifest.yaml_reader import read_documents

    try:
        (node,) = read_documents(text)
    except ManifestError:
        raise ValueError("a value that does not parse") from None
    while isinstance(node, Mapping):
        node = node.members[-1].value
    if not isinstance(node, Scalar):
        raise ValueError("a value that is no scalar")
    return node.value
