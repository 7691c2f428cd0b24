"""`git setup` and what undoes it: which programs Git calls for sealed files, and for which files.

Git takes the programs from its configuration, which every clone has of its own, and the files from
`.gitattributes`, which is committed (gitattributes(5), "Defining a custom merge driver").
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from secretsvc import workspace
from secretsvc.errors import FileError, UsageError
from secretsvc.git_run import git, work_tree

# `--`: Git gives names as they are, and one may begin with a dash.
CONFIG = {
    "diff.ksecret.textconv": "ksecret git textconv --",
    # It would store what was shown in refs/notes/textconv, and with `--show` that is values.
    "diff.ksecret.cachetextconv": "false",
    "merge.ksecret.name": "sealed Secrets, key by key",
    "merge.ksecret.driver": "ksecret git merge -- %O %A %B %P",
}
PATTERNS = ("*secret*.yaml", "*secret*.yml", "*secret*.json")
"""The files that are meant where nothing is said."""

_ATTRIBUTES = b" diff=ksecret merge=ksecret"
_OUR_LINE = rb'("(\\.|[^"\\])*"|[^\s"#]\S*)' + _ATTRIBUTES + rb"[\r\n]*"


class Report(NamedTuple):
    """What was done, for people."""

    done: list[str]
    warnings: list[str]


def setup(patterns: list[str], *, everywhere: bool) -> Report:
    """Registers the drivers in this clone and names the files in `.gitattributes`; twice is as good as once.

    `everywhere`: in the user's own configuration, for all clones; `.gitattributes` is left alone then.
    Raises UsageError, InputError outside a work tree, FileError; also for a `.gitattributes` that leads out of it.
    """
    if everywhere and patterns:
        raise UsageError("--global is about all repositories: patterns belong to one")
    top = "" if everywhere else work_tree()
    scope = "--global" if everywhere else "--local"
    if top:
        workspace.destination(_attributes_of(top), top)  # before anything is changed
    warnings = _cache_warnings()
    for name, value in CONFIG.items():
        _checked("config", scope, "--replace-all", name, value)
    done = [f"git config {scope}: diff.ksecret and merge.ksecret are set"]
    if not everywhere:
        added = _add_attributes(top, [_pattern(word) for word in patterns or PATTERNS])
        done.append(f".gitattributes: {added} line{'' if added == 1 else 's'} added" + ("; commit it" if added else ""))
        warnings += _uncovered(top)
    return Report(done, warnings)


def unsetup(*, everywhere: bool) -> Report:
    """Takes out what `setup` put in, and nothing else. Raises InputError outside a work tree, FileError."""
    top = "" if everywhere else work_tree()
    if top:
        workspace.destination(_attributes_of(top), top)
    scope = "--global" if everywhere else "--local"
    for name in CONFIG:
        git("config", scope, "--unset-all", name)  # fails where it is not set, which is as good
    done = [f"git config {scope}: diff.ksecret and merge.ksecret are unset"]
    if not everywhere:
        removed = _remove_attributes(top)
        done.append(f".gitattributes: {removed} line{'' if removed == 1 else 's'} removed")
    return Report(done, [])


def _attributes_of(top: str) -> str:
    return os.path.join(top, ".gitattributes")


def _checked(*words: str) -> None:
    done = git(*words)
    if done.returncode:
        raise FileError("git could not write its configuration", hint=f"see why: git {' '.join(words[:2])} --list")


def _cache_warnings() -> list[str]:
    found = []
    if git("config", "--type=bool", "--get", "diff.ksecret.cachetextconv").stdout == b"true\n":
        found.append("diff.ksecret.cachetextconv was on: Git kept what textconv printed; it is off now")
    if git("rev-parse", "-q", "--verify", "refs/notes/textconv/ksecret").returncode == 0:
        found.append("what it kept is still there; remove it: git update-ref -d refs/notes/textconv/ksecret")
    return found


def _pattern(word: str) -> bytes:
    """A pattern as `.gitattributes` takes it: in C quotes where it holds blanks, quotes or a leading `#` or `!`."""
    if not word or "\n" in word or word.startswith("!"):
        raise UsageError("a pattern of .gitattributes is one line, not empty, and does not begin with '!'")
    if word.startswith(("#", "[attr]")) or any(letter in word for letter in ' \t"'):
        return b'"' + os.fsencode(word.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")) + b'"'
    return os.fsencode(word)


def _add_attributes(top: str, patterns: list[bytes]) -> int:
    path = _attributes_of(top)
    before = workspace.read(path) if os.path.exists(path) else None
    text = before.data if before else b""
    present = set(text.splitlines())
    new = [line for pattern in patterns if (line := pattern + _ATTRIBUTES) not in present]
    if not new:
        return 0
    lines = b"\n".join(new)
    if not text or text.endswith(b"\n"):
        text += lines + b"\n"
    else:  # a last line that does not end: the new one does not either, so that `unsetup` gives the old bytes back
        text += b"\n" + lines
    if before:
        workspace.replace(before, text)
    else:
        workspace.create(path, text, private=False)
    return len(new)


def _remove_attributes(top: str) -> int:
    path = _attributes_of(top)
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


def _uncovered(top: str) -> list[str]:
    """A word about sealed files in the index that no line of `.gitattributes` means."""
    marks = ("-e", r"ksecret\.v1\.", "-e", "^# kubesec:v:")
    sealed = git("-C", top, "grep", "--cached", "-lzI", *marks, "--", "*.yaml", "*.yml", "*.json").stdout
    answer = git("-C", top, "check-attr", "--stdin", "-z", "merge", stdin=sealed).stdout.split(b"\0")
    missed = [path for path, value in zip(answer[::3], answer[2::3], strict=False) if value != b"ksecret"]
    if not missed:
        return []
    first = os.fsdecode(missed[0])
    return [
        f"{len(missed)} sealed file{'' if len(missed) == 1 else 's'} not covered, {first} first: "
        "name them by a pattern, such as ksecret git setup 'deploy/**/*.yaml'"
    ]
