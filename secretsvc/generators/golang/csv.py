"""The list syntax of kubectl's `--from-file` and `--from-env-file`: the first record of a CSV text.

Source: design KUBECTL, section 3.2, which is Go's encoding/csv as pflag's StringSlice uses it. Python's csv module
takes what Go refuses (a quote inside a plain field), and tells no place.
"""

from __future__ import annotations

from secretsvc.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.generators.entries import Warn


def fields(text: str, flag: str, warn: Warn) -> list[str]:
    """The fields of one occurrence of a flag. Raises UsageError, without the text."""
    if not text:
        return []
    body = text.replace("\r\n", "\n").removesuffix("\r")
    record = body.lstrip("\n")
    if not record:
        raise UsageError(f"{flag}: it holds line breaks only")
    found, end = _record(record, flag)
    if record[end:].strip("\n"):
        warn(f"{flag}: everything after its first line is ignored, as kubectl does")
    return found


def _record(text: str, flag: str) -> tuple[list[str], int]:
    """The fields up to the first line break outside quotes, and where that is."""
    found: list[str] = []
    at = 0
    while True:
        field, at = _quoted(text, at + 1, flag) if text.startswith('"', at) else _plain(text, at, flag)
        found.append(field)
        if not text.startswith(",", at):
            return found, at
        at += 1


def _plain(text: str, at: int, flag: str) -> tuple[str, int]:
    ends = [place for place in (text.find(",", at), text.find("\n", at)) if place >= 0]
    end = min(ends, default=len(text))
    if '"' in text[at:end]:
        raise UsageError(f'{flag}: a bare " in a part that does not begin with one', hint=_HINT)
    return text[at:end], end


def _quoted(text: str, at: int, flag: str) -> tuple[str, int]:
    pieces = []
    while True:
        end = text.find('"', at)
        if end < 0:
            raise UsageError(f'{flag}: extraneous or missing "', hint=_HINT)
        pieces.append(text[at:end])
        at = end + 1
        if not text.startswith('"', at):
            break
        pieces.append('"')
        at += 1
    if at < len(text) and text[at] not in ",\n":
        raise UsageError(f'{flag}: extraneous or missing "', hint=_HINT)
    return "".join(pieces), at


_HINT = "kubectl reads it as CSV: a name with a comma is written '\"KEY=a,b\"', quotes around the whole"
