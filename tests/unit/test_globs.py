"""Patterns fit what they fit to Git, and hostile ones take no longer than their length asks for."""

from __future__ import annotations

import itertools
import os
import subprocess
from fnmatch import fnmatchcase
from time import process_time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsvc.files.globs import MAX_LENGTH, Glob, Name, parse

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("a", "b", "ab", "aab", "c.y", "a*b", "b]", "é b")
PATHS = ["/".join(names) for length in (1, 2, 3) for names in itertools.product(NAMES, repeat=length)]
PATTERNS = [
    *("a", "/a", "a/", "/a/", "a/b", "a/b/", "*", "**", "/*", "*/", "a*", "*b", "*a*b*", "?", "??", "a?b"),
    *("**/a", "**/a/b", "a/**", "a/**/b", "**/b/**", "/**/b", "a/**/**/b", "***", "/***/b", "*/b", "*/*/*", "/*/a/"),
    *(
        "[ab]",
        "[!a]",
        "[^a]",
        "[a-c]*",
        "a[*]b",
        "b[]]",
        "[]b]*",
        "[",
        "a\\*b",
        "\\a",
        "\\**",
        "b\\]",
        "é*",
        "a ",
        "a\\ ",
    ),
    *("#a", "\\#a", "\\!a", "a\\", "a//b", "/", "", "  "),
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("globs")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_fits_what_it_fits_to_git(repository: Path, pattern: str) -> None:
    (repository / "patterns").write_text(pattern + "\n")
    done = subprocess.run(
        ["git", "-c", "core.excludesFile=patterns", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=repository,
        env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull},
        input="\0".join(PATHS).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1)
    try:
        glob = parse(pattern)
    except ValueError:
        glob = None
    assert {path for path in PATHS if glob and glob.fits(path, inside=True)} == set(
        filter(None, done.stdout.decode().split("\0"))
    )


@given(pattern=st.text("ab*?[]\n", max_size=9), name=st.text("ab*]\n", max_size=9))
def test_a_pattern_of_one_name_fits_what_it_fits_to_fnmatch(pattern: str, name: str) -> None:
    assert Name(pattern).fits(name) == fnmatchcase(name, pattern)


HOSTILE = {
    "stars in a name": (lambda n: "*a" * n + "*b", lambda n: "a" * n * 4),
    "stars between question marks": (lambda n: "*?" * n + "b", lambda n: "a" * n * 4),
    "folders": (lambda n: "**/a/" * n + "b", lambda n: "/".join("a" * n * 4)),
    "folders of stars": (lambda n: "**/*a*/" * n + "b", lambda n: "/".join(["aaa"] * n * 2)),
    "sets": (lambda n: "*[ab]" * n + "c", lambda n: "ab" * n * 2),
    "open sets": (lambda n: "[" * n * 4, lambda n: "a" * n * 4),
}


@pytest.mark.parametrize("family", HOSTILE)
def test_many_stars_take_no_longer_than_their_length_asks_for(family: str) -> None:
    """Some of these took longer than the age of the universe."""
    pattern, path = (make(60) for make in HOSTILE[family])
    glob = parse(pattern)
    assert isinstance(glob, Glob)
    before = process_time()
    for inside in (True, False):
        assert not glob.fits(path, inside=inside)
    assert process_time() - before < 1


def test_a_pattern_has_a_length_beyond_which_it_is_none() -> None:
    assert parse("a" * MAX_LENGTH)
    with pytest.raises(ValueError, match="not a pattern"):
        parse("a" * (MAX_LENGTH + 1))
