"""The exception tree as callers rely on it: names, parents, exit codes, HTTP statuses."""

from __future__ import annotations

import inspect

import pytest

from secretsvc import errors
from secretsvc.api.problems import status_of
from secretsvc.errors import AlteredError, KsecretError

TREE = {
    "KsecretError": ("Exception", 7, 500),
    "UsageError": ("KsecretError", 2, 400),
    "KeyRefError": ("UsageError", 2, 400),
    "InputError": ("KsecretError", 3, 400),
    "ManifestError": ("InputError", 3, 400),
    "NotSealedError": ("InputError", 3, 400),
    "AlreadySealedError": ("InputError", 3, 400),
    "BoundError": ("ManifestError", 3, 400),
    "RepeatedError": ("ManifestError", 3, 400),
    "NothingToSealError": ("InputError", 3, 400),
    "NoKeyError": ("KsecretError", 4, 422),
    "KeyNotHeldError": ("NoKeyError", 4, 422),
    "AlteredError": ("KsecretError", 5, 409),
    "BackendError": ("KsecretError", 6, 502),
    "BackendUnavailableError": ("BackendError", 6, 503),
    "FileError": ("KsecretError", 7, 500),
}


def classes() -> dict[str, type[KsecretError]]:
    found = inspect.getmembers(errors, inspect.isclass)
    return {name: one for name, one in found if issubclass(one, BaseException)}


def test_the_tree_is_the_one_that_is_promised() -> None:
    found = {name: (one.__bases__[0].__name__, one.exit_code, status_of(one)) for name, one in classes().items()}
    assert found == TREE


def test_the_tree_is_the_one_that_the_module_draws() -> None:
    assert errors.__doc__
    for name, (_, exit_code, _status) in TREE.items():
        (line,) = (line for line in errors.__doc__.splitlines() if f" {name} " in f" {line.lstrip('│├└─ ')} ")
        if name != "KsecretError":
            assert line.split()[line.split().index(name) + 1] == str(exit_code)


@pytest.mark.parametrize("kind", list(classes().values()), ids=list(classes()))
def test_each_says_what_is_wrong_and_where(kind: type[KsecretError]) -> None:
    error = kind("what", hint="do", file="f.yaml", line=3, entry="data/a", key_ref="age:x")
    assert (str(error), error.message, error.hint) == ("what", "what", "do")
    assert (error.file, error.line, error.entry, error.key_ref) == ("f.yaml", 3, "data/a", "age:x")
    bare = kind("what")
    assert (bare.hint, bare.file, bare.line, bare.entry, bare.key_ref) == ("", "", 0, "", "")
    assert kind.__doc__


@pytest.mark.parametrize(("file", "line", "where"), [("f", 3, "f:3"), ("f", 0, "f"), ("", 3, "line 3"), ("", 0, "")])
def test_the_place_is_as_much_as_is_known(file: str, line: int, where: str) -> None:
    assert AlteredError("what", file=file, line=line).where == where


def test_only_wrong_words_end_a_run_over_many_files() -> None:
    """A KeyRef may be wrong by one file's policy only."""
    assert {name for name, one in classes().items() if one.ends_run} == {"UsageError"}
