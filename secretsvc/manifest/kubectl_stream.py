"""kubectl's way to divide a text into documents: by lines, before it parses any, and by JSON values where one leads.

YAML itself divides otherwise: to it `---#` is no separator, and what stands in quotes is none either.
Source: https://github.com/kubernetes/apimachinery/blob/master/pkg/util/yaml/decoder.go (YAMLReader, YAMLOrJSONDecoder)
"""

from __future__ import annotations

from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SEPARATOR = "\n---"
_ODD_SEPARATOR = pattern(r"\n---(?![ \t\r\n]|\Z)[^\S\n]*(?:#|\n|\Z)")
"""One to kubectl, which trims all that is blank to Unicode and takes a comment at once, and none to YAML."""
_BLANK = pattern(r"\s*")
_UNSEEN = pattern(r"(?:[ \t\r\n]|#[^\n]*)*+")
"""Blanks and comments."""


def documents(text: str) -> Iterator[tuple[int, str]]:
    """The line, from 1, and the text of each document. JSON objects that lead one are, together, one of their own.

    Whatever line starts with `---` separates; what follows that belongs to the next document.
    """
    start, line = 0, 1
    while start < len(text):
        end = text.find(_SEPARATOR, start) + 1 or len(text)
        yield from _json_apart(text[start:end], line)
        line += text.count("\n", start, end)
        start = end


def divided_otherwise(text: str) -> int:
    """The line, from 1, where kubectl starts or ends a document of a text that is no JSON, and YAML does not; or 0."""
    odd = _ODD_SEPARATOR.search("\n" + text)
    if odd:
        return text.count("\n", 0, odd.start()) + 1
    end = next(_json_ends(text), 0)
    rest = _UNSEEN.match(text, end)
    if not end or not rest or rest.end() == len(text) or text.startswith(_SEPARATOR, rest.end() - 1):
        return 0
    return text.count("\n", 0, end) + 1


def _json_apart(document: str, line: int) -> Iterator[tuple[int, str]]:
    if _ODD_SEPARATOR.match("\n" + document):
        document, line = document.partition("\n")[2], line + 1
    end = max(_json_ends(document), default=0)
    if end:
        yield line, document[:end]
    yield line + document.count("\n", 0, end), document[end:].lstrip("\ufeff")


def _json_ends(document: str) -> Iterator[int]:
    """Return where each of the JSON objects ends that lead a document, which may be YAML behind them."""
    if not document.lstrip().startswith("{"):
        return
    from json import JSONDecoder

    decoder, at = JSONDecoder(parse_int=str, parse_float=str), 0
    try:
        while document.startswith("{", at := _after_blanks(document, at)):
            _, at = decoder.raw_decode(document, at)
            yield at
    except (ValueError, RecursionError):
        return


def _after_blanks(document: str, at: int) -> int:
    found = _BLANK.match(document, at)
    return found.end() if found else at
