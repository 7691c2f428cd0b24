"""INI as SOPS reads it: sections of keys, all values texts, comments of keys and sections.

What counts is https://github.com/go-ini/ini (parser.go), where sections may be named twice: the first `#` or `;` starts
a comment, in quotes too; backticks and three quotes alone keep it. How SOPS uses it:
https://github.com/getsops/sops/blob/main/stores/ini/store.go.
"""

from __future__ import annotations

import re

from secretsvc.document import ini_spelling
from secretsvc.document.base import MOST_LEAVES, Comments, Leaf, Member, Value, check_lines, check_size, too_many_leaves
from secretsvc.document.flattened import flatten, unflatten
from secretsvc.document.ini_lines import DEFAULT, Comment, Lines, Pair
from secretsvc.document.places import BytePlaces
from secretsvc.document.texts import text_of
from secretsvc.errors import ManifestError
from secretsvc.manifest.splice import Edit as TextEdit
from secretsvc.manifest.splice import line_break

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as ListOf

    from secretsvc.document.base import Edit, Path, Tree

_BOM = b"\xef\xbb\xbf"


class Ini:
    """One file. Its leaves' `own` is a Pair or a Comment. `member` is the name of the metadata's section."""

    kind = "ini"
    units = 1

    def __init__(self, data: bytes, member: str, most: int = MOST_LEAVES) -> None:
        """Raises ManifestError for what go-ini does not read, and for what SOPS would read only a part of."""
        check_size(data)
        check_lines(data, most)
        self.data = data
        self._name = member
        lead = len(_BOM) if data.startswith(_BOM) else 0
        try:
            self._text = data[lead:].decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, lead + error.start) + 1
            raise ManifestError("not UTF-8 text", hint="convert the file to UTF-8", line=line) from None
        self._places = BytePlaces(self._text, lead)
        self._sections = Lines(self._text).sections(most)
        own = [section for section in self._sections if section.name == member]
        if len(own) > 1:
            raise ManifestError(f"[{member}] is there twice", hint="restore the file", line=own[1].line)
        self._own = own[0] if own else None
        self.leaves: ListOf[Leaf] = tuple(self._leaves())
        if len(self.leaves) > most:
            raise too_many_leaves(self.leaves[most].line, most)

    def _leaves(self) -> Iterator[Leaf]:
        """A section's comment comes first, a key's behind it. What SOPS drops, before the metadata and at the end of
        the file, is a leaf of the section above all the same, so that it does not stay in the clear.
        """
        comments: Comments | None = None
        above: Path = (DEFAULT,)
        for section in self._sections:
            is_own = section is self._own
            path = above if is_own else (section.name,)
            comments = comments if is_own else None
            for item in section.items:
                if isinstance(item, Comment):
                    if is_own and not item.stands_outside:
                        continue
                    leaf = Leaf(0, path, Value("comment", item.text.encode()), item.line, comments=comments, own=item)
                    comments = Comments(leaf, comments)
                    yield leaf
                elif not is_own:
                    yield Leaf(
                        0, (*path, item.key), Value("str", item.value.encode()), item.line, comments=comments, own=item
                    )
                    comments = None
            above = path

    @property
    def section_names(self) -> list[str]:
        """The names of all sections but the metadata's, those without a key too."""
        return [section.name for section in self._sections if section is not self._own]

    def spell(self, leaf: Leaf, value: Value | bytes) -> list[Edit]:
        """Return the edits that put a value or a token in the leaf's place. Raises ManifestError."""
        text = value.decode() if isinstance(value, bytes) else _checked(value, leaf.line)
        if isinstance(leaf.own, Comment):
            return self._places.edits(ini_spelling.comment(self._text, leaf.own, text))
        return self._places.edits([ini_spelling.value(self._text, leaf.own, text)])

    def source(self, leaf: Leaf) -> bytes:
        """Return a value as it stands, quotes and all, or a comment's lines."""
        return ini_spelling.source(self._text, leaf.own).encode()

    def member(self) -> Member | None:
        """Return what the metadata's section says, every scalar as a text."""
        if not self._own:
            return None
        pairs = [(pair.key, pair.value.replace("\\n", "\n"), pair.line) for pair in self._own.pairs]
        return Member(unflatten(pairs), self._own.line)

    def set_member(self, tree: dict[str, Tree]) -> list[Edit]:
        """Return the edits that change, add and take away lines of the metadata's section; a new one comes last."""
        wanted = {name: text.replace("\n", "\\n") for name, text in flatten(tree).items()}
        edits: list[TextEdit] = []
        there = self._own.pairs if self._own else []
        for pair in there:
            if pair.key not in wanted:
                edits.append(TextEdit(pair.line_start, pair.line_end, ""))
            elif pair.value.replace("\n", "\\n") != wanted[pair.key]:
                edits.append(ini_spelling.value(self._text, pair, wanted[pair.key]))
        names = {pair.key for pair in there}
        new = [ini_spelling.pair(name, wanted[name]) for name in wanted if name not in names]
        if new and self._own:
            edits.append(self._inserted(self._own.end, new))
        elif new:
            edits.append(self._appended([f"[{self._name}]", *new]))
        return self._places.edits(edits)

    def drop_member(self) -> list[Edit]:
        """Return the edit that takes the metadata's section away, and the empty line before it."""
        if not self._own:
            return []
        start, end = self._own.start, self._own.end
        ends = not self._text.endswith("\n") and end == len(self._text)
        breaks = re.search(r"(?:\r?\n)?(?:\r?\n)?\Z", self._text[max(0, start - 4) : start])
        empty = (breaks[0] if ends else breaks[0].partition("\n")[2]) if breaks else ""
        return self._places.edits([TextEdit(start - len(empty), end, "")])

    def add(self, path: Path, value: Value) -> list[Edit]:
        """Return the edit that adds a line to the section, which is made where it lacks. Raises ManifestError."""
        name, key = path if len(path) == 2 else ("", "")
        if not (isinstance(name, str) and isinstance(key, str)) or name == self._name:
            name = key = ""
        lines = [f"[{name}]", ini_spelling.pair(key, _checked(value, 0))]
        if not _is_read_again(lines, name, key):
            raise ManifestError("INI has no place for that", hint="a path is a section and a key in it, nothing nested")
        found = [section for section in self._sections if section.name == name]
        if found:
            return self._places.edits([self._inserted(found[-1].end, lines[1:])])
        if not self._own:
            return self._places.edits([self._appended(lines)])
        at, end = self._own.start, line_break(self._text)
        return self._places.edits([TextEdit(at, at, end.join([*lines, "", ""]))])

    def remove(self, leaf: Leaf) -> list[Edit]:
        """Return the edits that take a key's lines away, or a comment's."""
        if isinstance(leaf.own, Comment):
            return self._places.edits(ini_spelling.without(self._text, leaf.own))
        pair: Pair = leaf.own
        return self._places.edits([TextEdit(pair.line_start, pair.line_end, "")])

    def _inserted(self, at: int, lines: list[str]) -> TextEdit:
        """Lines behind others, which may be the last of the file, and not end."""
        end = line_break(self._text)
        if at and not self._text.startswith("\n", at - 1):
            return TextEdit(at, at, "".join(end + line for line in lines))
        return TextEdit(at, at, "".join(line + end for line in lines))

    def _appended(self, lines: list[str]) -> TextEdit:
        """Lines at the end of the file behind an empty one; the file ends as it did, with a line break or without."""
        end = line_break(self._text)
        at = len(self._text)
        if not self._text or self._text.endswith("\n"):
            return TextEdit(at, at, (end if at else "") + "".join(line + end for line in lines))
        return TextEdit(at, at, end + "".join(end + line for line in lines))

    def __repr__(self) -> str:
        return f"Ini({len(self.leaves)} leaves, masked)"


def _checked(value: Value, line: int) -> str:
    try:
        return text_of(value).decode()
    except UnicodeDecodeError:
        what = "a value that is no UTF-8 text, for which an INI file has no place"
        raise ManifestError(what, hint="encode it, as base64 does", line=line) from None


def _is_read_again(lines: list[str], name: str, key: str) -> bool:
    try:
        read = Lines("\n".join(lines)).sections()
    except ManifestError:
        return False
    return [(section.name, [pair.key for pair in section.pairs]) for section in read[1:]] == [(name, [key])]
