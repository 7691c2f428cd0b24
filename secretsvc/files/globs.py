"""Patterns of `.gitignore` files and of a policy's paths (gitignore(5)), matched in linear steps whatever they are.

Libraries turn a pattern into one regular expression, and with many stars in it those try a hostile path in more ways
than there is time for. Here a path's names are matched one by one, and a star is never tried again once it has fitted.
"""

from __future__ import annotations

from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern

MAX_LENGTH = 500
"""Characters in a pattern."""


class Name:
    """The pattern of one name, as fnmatch has it. Stars are told here: fnmatch imports `re`, which takes 4 ms."""

    def __init__(self, plain: str) -> None:
        self.plain = plain
        self._pieces = None if "?" in plain or "[" in plain else plain.split("*")
        """What stands between the stars."""
        self._pattern: Pattern[str] | None = None

    def fits(self, name: str) -> bool:
        """Tell whether it fits the whole name."""
        if self._pieces is None:
            return self._compiled().match(name) is not None
        first, *others = self._pieces
        if not others:
            return name == first
        *between, last = others
        if not name.startswith(first) or not name.endswith(last):
            return False
        at, end = len(first), len(name) - len(last)
        for piece in between:
            found = name.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return at <= end

    def _compiled(self) -> Pattern[str]:
        if self._pattern is None:
            import re
            from fnmatch import translate

            self._pattern = re.compile(translate(self.plain))
        return self._pattern


class Glob(Record):
    """One pattern."""

    include: bool
    """False for one that starts with `!`."""
    folders_only: bool
    names: tuple[Name | None, ...]
    """One for each name on the way, from the folder where the pattern counts; None for `**`."""

    def fits(self, path: str, *, inside: bool) -> bool:
        """Tell whether it fits a relative path, which ends in a slash if it is a folder's.

        `inside`: a folder's pattern fits all that is in it.
        """
        bare = path.rstrip("/")
        names = bare.split("/")
        is_folder = bare != path
        at = done = 0  # names that fit, and patterns that have fitted
        star = tried = -1  # the last `**`, and how many names were before what is tried after it
        while True:
            if done == len(self.names) and (inside or at == len(names)):
                return at < len(names) or is_folder or not self.folders_only
            if at == len(names):
                return False
            wanted = self.names[done] if done < len(self.names) else None
            if done < len(self.names) and wanted is None:
                if done == len(self.names) - 1:  # all that is inside, but not the folder itself
                    at, done = (at + 1 if inside else len(names)), done + 1
                else:
                    star, tried, done = done, at, done + 1
            elif wanted and wanted.fits(names[at]):
                at, done = at + 1, done + 1
            elif star >= 0:
                tried += 1
                at, done = tried, star + 1
            else:
                return False


def parse(line: str) -> Glob | None:
    """The pattern on a line; None for a comment and for nothing. ValueError for what never fits or is too long."""
    text = line.rstrip(" ")
    if text != line and (len(text) - len(text.rstrip("\\"))) % 2:
        text += " "  # which was escaped
    if not text or text.startswith("#"):
        return None
    include = not text.startswith("!")
    text = text if include else text[1:]
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    parts = text.removeprefix("/").split("/")
    if len(text) > MAX_LENGTH or "" in parts:
        raise ValueError("not a pattern that fits anything")
    if "/" not in text:
        parts = ["**", *parts]
    names = tuple(None if part[1:] and not part.strip("*") else Name(_plain(part)) for part in parts)
    return Glob(include, folders_only, names)


def _plain(part: str) -> str:
    """The pattern of one name as fnmatch has it: no backslash, and `!` where a set is turned round."""
    made, at = "", 0
    while at < len(part):
        end = part.find("]", at + 2 + (part[at + 1 : at + 2] in ("!", "^"))) if part[at] == "[" else -1
        if end >= 0:
            made += "[" + ("!" if part[at + 1] in "!^" else part[at + 1]) + part[at + 2 : end + 1]
            at = end + 1
        elif part[at] == "\\":
            if at + 1 == len(part):
                raise ValueError("a backslash with nothing after it")
            made += f"[{part[at + 1]}]" if part[at + 1] in "*?[" else part[at + 1]
            at += 2
        else:
            made += part[at]
            at += 1
    return made
