"""`git setup` and what undoes it: which programs Git calls for sealed files, for which files, and after a merge.

Git takes the programs from its configuration and its hooks' folder, which every clone has of its own, and the files
from `.gitattributes`, which is committed (gitattributes(5), "Defining a custom merge driver").
"""

from __future__ import annotations

import os

from secretsvc.errors import FileError, UsageError
from secretsvc.git import attributes, hook
from secretsvc.git.drivers import CONFIG
from secretsvc.programs.git import git, work_tree
from secretsvc.record import Record

_KEPT = "refs/notes/textconv/ksecret"
"""Ref under which Git keeps what the textconv printed; the commit there says by which command (Git's notes-cache.c)."""


class Report(Record):
    """Lines for people: what was done, and what to look after."""

    done: list[str]
    warnings: list[str]


def setup(patterns: list[str], *, everywhere: bool) -> Report:
    """Registers the drivers in this clone and names the files in `.gitattributes`; twice is as good as once.

    `everywhere`: in the user's own configuration, for all clones; `.gitattributes` and hooks are left alone then.
    Raises UsageError, InputError outside a work tree, FileError; also for a `.gitattributes` that leads out of it.
    """
    if everywhere and patterns:
        raise UsageError("--global is about all repositories: patterns belong to one")
    top = "" if everywhere else work_tree()
    scope = "--global" if everywhere else "--local"
    if top:
        attributes.path_in(top)  # before anything is changed
    warnings = _forget()
    for name, value in CONFIG.items():
        _checked("config", scope, "--replace-all", name, value)
    done = [f"git config {scope}: diff.ksecret and merge.ksecret are set"]
    if top:
        added = attributes.add(top, patterns)
        done.append(f".gitattributes: {_lines(added)} added" + ("; commit it" if added else ""))
        warnings += _uncovered(top)
        installed = hook.install()
        done += installed.done
        warnings += installed.warnings
    return Report(done, warnings)


def unsetup(*, everywhere: bool) -> Report:
    """Takes out what `setup` put in, and nothing else. Raises InputError outside a work tree, FileError."""
    top = "" if everywhere else work_tree()
    if top:
        attributes.path_in(top)
    scope = "--global" if everywhere else "--local"
    for name in CONFIG:
        git("config", scope, "--unset-all", name)  # fails where it is not set, which is as good
    done = [f"git config {scope}: diff.ksecret and merge.ksecret are unset"]
    warnings = _forget()
    if top:
        done.append(f".gitattributes: {_lines(attributes.remove(top))} removed")
        done += hook.remove()
    return Report(done, warnings)


def keeps_shown_values() -> bool:
    """Tell whether Git would keep what a textconv with `--show` prints: values, in a ref that can be pushed.

    As the configuration is for this process, which has `git -c …` in its environment where Git started it. True, too,
    where Git can't say. Raises BackendUnavailableError.
    """
    listed = git("config", "-z", "--get-regexp", r"^diff\..*\.textconv$")
    if listed.returncode > 1:
        return True
    commands = dict(record.split(b"\n", 1) for record in listed.stdout.split(b"\0") if b"\n" in record)
    showing = [name.removesuffix(b"textconv") for name, command in commands.items() if b"--show" in command]
    return any(_is_on(os.fsdecode(driver + b"cachetextconv")) for driver in showing)


def _is_on(name: str) -> bool:
    """A value that is neither true nor false counts as true."""
    done = git("config", "--type=bool", "--get", name)
    return done.returncode > 1 or done.stdout == b"true\n"


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def _checked(*words: str) -> None:
    done = git(*words)
    if done.returncode:
        raise FileError("git could not write its configuration", hint=f"see why: git {' '.join(words[:2])} --list")


def _forget() -> list[str]:
    """Removes what Git kept of diffs, so that none is shown that another command made, and tells of values in it."""
    command = git("cat-file", "commit", _KEPT).stdout
    git("update-ref", "-d", _KEPT)
    if b"--show" not in command:
        return []
    return [f"values shown by --show had been kept in {_KEPT}, which is removed; if it was pushed, they are known"]


def _uncovered(top: str) -> list[str]:
    """A word about sealed files that no line could be made to mean."""
    missed = attributes.uncovered(top)
    if not missed:
        return []
    files = f"{len(missed)} sealed file{'' if len(missed) == 1 else 's'}"
    return [f"{files} not covered, {os.fsdecode(missed[0])} first: another line of .gitattributes says otherwise"]
