"""`.gitattributes`: which files Git calls ksecret for. Lines are added and taken away; all other bytes stay.

Source: https://git-scm.com/docs/gitattributes, "DESCRIPTION" (patterns, quotes), and gitignore(5), "PATTERN FORMAT".
"""

from __future__ import annotations

import os
import re

from secretsvc import formats
from secretsvc.errors import FileError, UsageError
from secretsvc.files import workspace
from secretsvc.programs.git import git

PATTERNS = (b"*secret*.yaml", b"*secret*.yml", b"*secret*.json")
"""The files that are meant where nothing is said, and nothing was said before."""

_OURS = (b"diff=ksecret", b"merge=ksecret")
_ATTRIBUTES = b" " + b" ".join(_OURS)
_PATTERN = rb'("(?:\\.|[^"\\])*"|[^\s"#]\S*)'
_OUR_LINE = _PATTERN + _ATTRIBUTES + rb"[\r\n]*"
_LINE = rb"[ \t]*" + _PATTERN + rb"[ \t]+(.*)"
_FILES = (":(icase)*.yaml", ":(icase)*.yml", ":(icase)*.json")
_MAC = r"""mac["']\{0,1\}[ ]*[:=][ ]*["']\{0,1\}ENC\[AES256_GCM,"""
"""The MAC of a file that SOPS sealed, as grep's basic expression: no other line need be in all of them."""
_NAMED = (b".yaml", b".yml", b".json", b".env", b".ini")
"""Ends of names by which SOPS has a kind; a file by another name is JSON once it is sealed."""


def path_in(top: str) -> str:
    """Path of the file in a work tree. Raises FileError where a link there leads out of it."""
    path = os.path.join(top, ".gitattributes")
    workspace.destination(path, top)
    return path


def add(top: str, words: list[str]) -> int:
    """Adds patterns, and those that sealed files lack still; how many lines. Nothing is written where none is.

    Without words: PATTERNS, unless the repository has chosen some already. Raises UsageError, FileError.
    """
    patterns = [_pattern(word) for word in words]
    if not words and not _told_of(_content(top)) and (uncovered(top) or not _sealed(top)):
        patterns += PATTERNS
    return _append(top, patterns) + _append(top, _patterns_for(top, uncovered(top)))


def uncovered(top: str) -> list[bytes]:
    """The sealed files in the index, in any format, that no attributes mean, here or in another folder's file."""
    answer = git("-C", top, "check-attr", "--stdin", "-z", "merge", stdin=_sealed(top)).stdout.split(b"\0")
    return [path for path, value in zip(answer[::3], answer[2::3], strict=False) if value != b"ksecret"]


def remove(top: str) -> int:
    """Takes away every line that is just as `add` writes them, and a file that has no other; how many."""
    path = path_in(top)
    if not os.path.exists(path):
        return 0
    before = workspace.read(path)
    lines = before.data.splitlines(keepends=True)
    kept = [line for line in lines if not re.fullmatch(_OUR_LINE, line)]
    if len(kept) == len(lines):
        return 0
    if not kept:
        try:
            os.unlink(path)
        except OSError as error:
            raise FileError(f"can't be removed: {error.strerror}", file=path) from error
        return len(lines)
    if not lines[-1].endswith(b"\n"):
        kept[-1] = kept[-1].rstrip(b"\r\n")
    workspace.replace(before, b"".join(kept))
    return len(lines) - len(kept)


def _content(top: str) -> bytes:
    path = path_in(top)
    return workspace.content(path) if os.path.exists(path) else b""


def _sealed(top: str) -> bytes:
    """The paths of the sealed files, added to Git or not yet, each with a NUL behind it."""
    patterns = [row.pattern for row in formats.TABLE.values()]
    found = _matching(top, patterns, *_FILES)
    found += [path for path in _matching(top, [_MAC]) if path.endswith(_NAMED) or _begins_as_json(top, path)]
    return b"".join(path + b"\0" for path in dict.fromkeys(found))


def _matching(top: str, patterns: list[str], *files: str) -> list[bytes]:
    """The paths of the files, added to Git or not yet, with a line that one of the patterns fits."""
    options = ("-lzIG", "--no-color", "--no-recurse-submodules")  # whatever the configuration says
    words = [word for one in patterns for word in ("-e", one)]
    texts = [
        git("-C", top, "grep", where, *options, *words, "--", *files).stdout for where in ("--cached", "--untracked")
    ]
    return [path for text in texts for path in text.split(b"\0") if path]


def _begins_as_json(top: str, path: bytes) -> bool:
    """Tell a sealed file from a text that shows one. One that is not in the work tree is left alone."""
    try:
        with open(os.path.join(os.fsencode(top), path), "rb") as stream:
            return stream.read(1) == b"{"
    except OSError:
        return False


def _told_of(text: bytes) -> dict[bytes, set[bytes]]:
    """Return which of the two attributes a line gives, by its pattern as it is written, with others or without."""
    found = [line for line in (re.fullmatch(_LINE, line) for line in text.splitlines()) if line]
    told = {line[1]: set(_OURS) & set(line[2].split()) for line in found}
    return {pattern: attributes for pattern, attributes in told.items() if attributes}


def _append(top: str, patterns: list[bytes]) -> int:
    path = path_in(top)
    before = workspace.read(path) if os.path.exists(path) else None
    text = before.data if before else b""
    told = _told_of(text)
    new = [pattern + _ATTRIBUTES for pattern in dict.fromkeys(patterns) if told.get(pattern) != set(_OURS)]
    if not new:
        return 0
    ends = b"\r\n" if text.partition(b"\n")[0].endswith(b"\r") else b"\n"
    if not text or text.endswith(b"\n"):
        text += ends.join(new) + ends
    else:  # a last line that does not end: the new one does not either, so that `unsetup` gives the old bytes back
        text += ends + ends.join(new)
    if before:
        workspace.replace(before, text)
    else:
        workspace.create(path, text, private=False)
    return len(new)


def _pattern(word: str) -> bytes:
    """A user's pattern as the file takes it."""
    if not word or "\n" in word or word.startswith("!"):
        raise UsageError("a pattern of .gitattributes is one line, not empty, and does not begin with '!'")
    return _quoted(os.fsencode(word))


def _quoted(pattern: bytes) -> bytes:
    """Quote as C does what holds blanks, quotes or what controls a terminal, or begins as no pattern does."""
    if not (pattern.startswith((b"#", b"!", b"[attr]")) or re.search(rb'[\x00-\x20"\x7f]', pattern)):
        return pattern
    escaped = re.sub(rb'[\\"]', rb"\\\g<0>", pattern)
    return b'"' + re.sub(rb"[\x00-\x1f\x7f]", lambda found: b"\\%03o" % found[0][0], escaped) + b'"'


def _patterns_for(top: str, paths: list[bytes]) -> list[bytes]:
    """A pattern for each folder's files of one ending, where all of them are such; else for each file by its name."""
    listed = (
        git("-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split(b"\0")
        if paths
        else []
    )
    others = {_kind(path) for path in set(listed) - set(paths)}
    patterns: list[bytes] = []
    for path in paths:
        folder, ending = _kind(path)
        is_alone = (folder, ending) in others or not ending
        name = _literal(os.path.basename(path)) if is_alone else b"*" + _literal(ending)
        patterns.append(_quoted(os.path.join(b"/", _literal(folder), name)))
    return list(dict.fromkeys(patterns))


def _kind(path: bytes) -> tuple[bytes, bytes]:
    """The folder, and how the name ends, in the case that it has: patterns tell `.YAML` from `.yaml`."""
    return os.path.dirname(path), os.path.splitext(path)[1]


def _literal(path: bytes) -> bytes:
    """A path that stands for itself alone: `*`, `?`, `[` and a backslash as no more than they are."""
    return re.sub(rb"[*?\[\\]", rb"\\\g<0>", path)
