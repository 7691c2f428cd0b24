"""Colours: for people at a terminal, and for nobody else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import KSECRET, MANIFEST, Person

if TYPE_CHECKING:
    from pathlib import Path

ESCAPE = re.compile(r"\x1b\[\d*m")


@pytest.fixture
def me(tmp_path: Path) -> Person:
    person = Person(tmp_path)
    person.write("a.yaml", MANIFEST)
    return person


def on_a_terminal(me: Person, *words: str, **environ: str) -> str:
    """What it shows on a terminal as standard output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [KSECRET, *words], cwd=me.work, env=me.environ | environ, stdout=theirs, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how a terminal's other end says that it is closed
        pass
    os.close(ours)
    process.wait(30)
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_findings_and_grades_in_colour(me: Person) -> None:
    assert "a.yaml:9: \x1b[31mKS001\x1b[0m " in on_a_terminal(me, "check", "a.yaml", TERM="xterm")
    told = on_a_terminal(me, "doctor", "-k", me.ref, "-k", "age:nonsense", TERM="xterm")
    assert f"\x1b[32mok   \x1b[0m {me.ref}: seals and opens\n" in told
    assert "\x1b[31mFAIL \x1b[0m age:…: can't seal to it: " in told


@pytest.mark.parametrize("words", [["check", "a.yaml"], ["doctor"]])
def test_nobody_else_does(me: Person, words: list[str]) -> None:
    plain = me.run(*words, TERM="xterm").out.decode()
    assert not ESCAPE.search(plain)
    for environ in ({"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}, {}):
        assert on_a_terminal(me, *words, **environ) == plain
    coloured = on_a_terminal(me, *words, TERM="xterm", NO_COLOR="")
    assert coloured != plain
    assert ESCAPE.sub("", coloured) == plain


def test_what_programs_read_is_never_coloured(me: Person) -> None:
    for words in (["check", "--json", "a.yaml"], ["check", "--sarif", "a.yaml"]):
        assert "\x1b" not in on_a_terminal(me, *words, TERM="xterm")
