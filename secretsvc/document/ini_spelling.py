"""Values and comments as lines of an INI file that go-ini reads them from again."""

from __future__ import annotations

import re

from secretsvc.document.ini_lines import SPACE, Comment
from secretsvc.errors import ManifestError
from secretsvc.manifest.splice import Edit, line_break

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.ini_lines import Pair, Piece


def pair(key: str, text: str) -> str:
    """Return a line with a key and a value."""
    return f"{name(key)} = {shelled(text)}"


def name(key: str) -> str:
    """Return a key, in quotes where it needs them."""
    if re.search(r'["=:]', key) and "`" not in key:
        key = f"`{key}`"
    elif re.search("[`=:]", key) and '"""' not in key:
        key = f'"""{key}"""'
    return key


def shelled(text: str) -> str:
    """Return a value, in quotes where it needs them. Raises ManifestError."""
    return _shelled(text, "", 0)


def value(text: str, standing: Pair, new: str) -> Edit:
    """Return the edit that puts a text in the place of a value: within what stands around that, where it can."""
    shell = "" if standing.shell == "\\" else standing.shell
    start, end = standing.start - len(shell), standing.end + len(shell)
    is_spaced = text[start - 2 : start] in (" =", " :")
    new = _shelled(new, shell, standing.line)
    return Edit(start, end, f" {new}" if new and start == end and is_spaced else new)


def source(text: str, standing: Pair | Comment) -> str:
    """Return what stands for a value, with its quotes, or for a comment, line by line."""
    if isinstance(standing, Comment):
        return "\n".join(text[piece.start : piece.end] for piece in standing.pieces)
    shell = len(standing.shell.removesuffix("\\"))
    return text[standing.start - shell : standing.end + shell]


def comment(text: str, standing: Comment, new: str) -> list[Edit]:
    """Return the edits that put another text in a comment's place: all of it where its first line is."""
    first, *others = standing.pieces
    lines = re.split("(?<=\n)", new)
    if first.inline and len(lines) > 1:
        raise ManifestError("a comment of several lines behind a value", hint="put it above", line=standing.line)
    new = "".join(
        [lines[0], *(line if line.lstrip(SPACE)[:1] in ("", "#", ";") else f"; {line}" for line in lines[1:])]
    )
    if first.inline and standing.stands_outside:  # a section's name would end at a bracket in the comment
        at = text.rfind("\n", 0, first.start) + 1
        return [Edit(at, at, f"; {new}{line_break(text)}"), _removed(text, first)]
    lead = " " if text[first.text_start - 1] in "#;" and first.text_start == first.end else ""
    edits = [Edit(first.text_start, first.end, lead + new)]
    return edits + [_removed(text, piece) for piece in others]


def without(text: str, standing: Comment) -> list[Edit]:
    """Return the edits that take a comment away."""
    return [_removed(text, piece) for piece in standing.pieces]


def _removed(text: str, piece: Piece) -> Edit:
    if piece.inline:
        start = piece.start
        while text[start - 1] in " \t":
            start -= 1
        return Edit(start, piece.end, "")
    start = text.rfind("\n", 0, piece.start) + 1
    end = text.find("\n", piece.end) + 1
    return Edit(start, end or len(text), "")


def _shelled(text: str, shell: str, line: int) -> str:
    for one in (shell, "", "`", '"""'):
        if _holds(one, text):
            return f"{one}{text}{one}"
    what = "a value with a backtick and three quotes in it, or at its end, for which INI has no quotes"
    raise ManifestError(what, hint="encode it, as base64 does", line=line)


def _holds(shell: str, text: str) -> bool:
    """Whether a text is read again from within that."""
    if shell == "`":
        return "`" not in text
    if shell == '"""':
        return '"""' not in text and not text.endswith('"')
    if set("\n#;") & set(text):
        return False
    if shell:
        return shell not in text and "\r" not in text
    is_bare = text == text.strip(SPACE) and not text.startswith(('"""', "`")) and not text.endswith("\\")
    return is_bare and not (len(text) >= 2 and text[0] in "'\"" and text.find(text[0], 1) == len(text) - 1)
