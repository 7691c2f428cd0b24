"""Values that are typed at a terminal, or shown on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import KSECRET, MARK, PASSWORD, Person
from tests.e2e.editing import Running

if TYPE_CHECKING:
    from pathlib import Path

NEW = f"new-{MARK}"


@pytest.fixture
def file(me: Person) -> Path:
    return me.write_sealed("s.yaml")


def start(me: Person, *words: str) -> Running:
    return Running(me, [KSECRET, *words])


def asked(running: Running, what: str) -> None:
    """Waits for the question; by then nothing that is typed is shown."""
    running.read(f"{what} (what you type is not shown): ")


def test_what_is_typed_is_not_shown_and_ends_before_the_enter_key(me: Person, file: Path) -> None:
    running = start(me, "set", "s.yaml", "password=-")
    asked(running, "value of password")
    running.type(f" {NEW} \n")
    code, screen = running.end()
    assert (code, NEW in screen) == (0, False)
    assert me.ok("get", "s.yaml", "password").out.decode() == f" {NEW} "


def test_two_values_are_asked_for_one_after_the_other(me: Person, file: Path) -> None:
    running = start(me, "set", "s.yaml", "username=-", "url=-")
    asked(running, "value of username")
    running.type(f"{NEW}1\n")
    asked(running, "value of url")
    running.type(f"{NEW}2\n")
    assert running.end()[0] == 0
    assert me.ok("get", "s.yaml", "username").out.decode() == f"{NEW}1"
    assert me.ok("get", "s.yaml", "url").out.decode() == f"{NEW}2"


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("\x03", 130, ""),
        ("\n", 2, "nothing was typed"),
        ("\x04", 2, "nothing was typed"),
        ("x" * 5000 + "\n", 2, "a terminal hands on 4095 bytes of a line and drops the rest"),
    ],
    ids=["ctrl-c", "enter", "ctrl-d", "too long"],
)
def test_a_value_that_is_not_typed_changes_nothing(me: Person, file: Path, typed: str, code: int, said: str) -> None:
    before = file.read_bytes()
    running = start(me, "set", "s.yaml", "password=-")
    asked(running, "value of password")
    running.type(typed)
    ended, screen = running.end()
    assert ended == code
    assert said in screen
    assert screen.endswith("\n")
    assert "Traceback" not in screen
    assert file.read_bytes() == before


def test_ctrl_c_leaves_a_terminal_that_shows_what_is_typed(me: Person, file: Path) -> None:
    script = f"{KSECRET} set s.yaml password=-; stty -a; sleep 0.1"
    running = Running(me, ["/bin/sh", "-c", f"trap : INT; {script}"])
    asked(running, "value of password")
    running.type("\x03")
    _, screen = running.end()
    assert " echo " in screen.replace("\r\n", " ").replace(";", " ")


def test_a_password_of_create_is_typed_the_same_way(me: Person) -> None:
    running = start(me, "create", "basic-auth", "git", "--username=me", "--password-stdin", "-o", "git.yaml")
    asked(running, "--password-stdin")
    running.type(f"{NEW}\n")
    code, screen = running.end()
    assert (code, NEW in screen) == (0, False)
    assert me.ok("get", "git.yaml", "password").out.decode() == NEW


def test_on_a_terminal_a_value_ends_its_line(me: Person, file: Path) -> None:
    ended = me.write("value", f"{PASSWORD}\n".encode())
    for key, value in (("password", PASSWORD), ("ended", PASSWORD)):
        if key == "ended":
            me.ok("set", "s.yaml", f"ended=@{ended.name}")
        running = start(me, "get", "s.yaml", key)
        assert running.end() == (0, f"{value}\r\n")
    assert me.ok("get", "s.yaml", "password").out == PASSWORD.encode()
    assert me.ok("get", "s.yaml", "ended").out == ended.read_bytes()
