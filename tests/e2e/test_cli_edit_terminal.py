"""`ksecret edit` with somebody at a terminal: questions, signals, real editors, and what none of them leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
from pathlib import Path

import pytest

from tests.e2e.cli import MANIFEST, MARK, MARKS, PASSWORD, b64, is_sealed, member
from tests.e2e.editing import MEMORY, Writer, me, nothing_secret
from tests.support import is_gone, wait_until

__all__ = ["me"]  # a fixture, for pytest to find here

pytestmark = pytest.mark.skipif(not os.path.isdir(MEMORY), reason="this system has no memory file system")

UNTIL_TOLD = 'echo "$1" > $NOTES/started; while [ ! -e $NOTES/go ]; do sleep 0.02 || :; done'
BREAK_THEN_MEND = f"""\
if [ -e $NOTES/second ]; then cp $1 $NOTES/third; sed -i "s/password: .*/password: {MARK}-mended/" $1
else cp $1 $NOTES/second; sed -i 's/password: .*/password: "{MARK}/' $1; fi"""


def test_a_mistake_is_shown_and_edited_again(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor(BREAK_THEN_MEND)
    running = me.start("edit", "a.yaml")
    running.read("[Y/n]")
    running.type("\n")
    code, screen = running.end()
    assert code == 0
    assert nothing_secret(screen)
    assert "a.yaml (as edited):" in screen
    third = me.note("third")
    assert re.match(r"# ksecret: \d+: not valid YAML: .*\n# ksecret: ", third)
    assert f'password: "{MARK}\n' in third  # what was typed is still there
    assert third.count("# ksecret: ") == me.note("second").count("# ksecret: ")
    opened = me.ok("decrypt", "-x", "a.yaml").out
    assert member(opened, "password") == f"{MARK}-mended"
    assert b"# ksecret" not in opened


@pytest.mark.parametrize("answer", ["n\n", "No\n", "\x04", "\x03"])
def test_only_a_no_gives_up_what_was_typed(me: Writer, answer: str) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(BREAK_THEN_MEND)
    running = me.start("edit", "a.yaml")
    running.read("[Y/n]")
    running.type(answer)
    code, screen = running.end()
    assert code == (130 if answer == "\x03" else 3)
    assert nothing_secret(screen)
    assert path.read_bytes() == before


def test_an_editor_that_breaks_off_after_something_was_typed_is_started_again(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor(f'[ -e $NOTES/second ] && exit 0; touch $NOTES/second; sed -i "s/{PASSWORD}/{MARK}-2/" $1; kill -9 $$')
    running = me.start("edit", "a.yaml")
    running.read("was ended by signal 9")
    running.read("[Y/n]")
    running.type("y\n")
    assert running.end()[0] == 0
    assert member(me.ok("decrypt", "-x", "a.yaml").out, "password").startswith(f"{MARK}-2")


def test_a_manifest_in_a_pipe_leaves_the_terminal_to_editor_and_questions(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    me.editor(f"[ -t 0 ] && [ -t 1 ]; echo on-the-screen; {BREAK_THEN_MEND}")
    wrapper = me.home / "piped"
    wrapper.write_text(f"#!/bin/sh\nexec ksecret edit - < {path} > $NOTES/out\n")
    wrapper.chmod(0o755)
    running = me.start("edit", "-", program=str(wrapper))
    running.read("[Y/n]")
    running.type("y\n")
    code, screen = running.end()
    assert code == 0, screen
    assert "on-the-screen" in screen
    sealed = (me.notes / "out").read_bytes()
    assert is_sealed(sealed)
    assert b"on-the-screen" not in sealed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM])
def test_signals_that_end_it_remove_the_folder_and_end_the_editor(me: Writer, number: int) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(f'echo $$ > $NOTES/pid; echo "{MARK}" >> $1; {UNTIL_TOLD}')
    running = me.start("edit", "a.yaml")
    running.wait_for(me.notes / "started")
    assert len(me.left()) == 1
    running.process.send_signal(number)
    code, screen = running.end()
    assert code == 128 + number
    assert nothing_secret(screen)
    assert me.left() == []
    assert path.read_bytes() == before
    wait_until(lambda: is_gone(int(me.note("pid"))))


ENDING = ["TERM", "HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "ALRM", "XCPU", "PWR", "RTMIN"]


@pytest.mark.parametrize("number", [signal.Signals[f"SIG{name}"] for name in ENDING])
def test_signals_while_it_asks_remove_the_folder_too(me: Writer, number: int) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(BREAK_THEN_MEND)
    running = me.start("edit", "a.yaml")
    running.read("[Y/n]")
    assert len(me.left()) == 1
    running.process.send_signal(number)
    assert running.end()[0] == 128 + number
    assert path.read_bytes() == before


def test_an_editor_that_does_not_listen_does_not_keep_the_folder(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor(f"trap '' TERM; {UNTIL_TOLD}")
    running = me.start("edit", "a.yaml")
    running.wait_for(me.notes / "started")
    running.process.send_signal(signal.SIGTERM)
    assert running.end()[0] == 128 + signal.SIGTERM


def test_ctrl_c_is_the_editors_business(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor(f"trap 'touch $NOTES/interrupted $NOTES/go' INT; {UNTIL_TOLD}; sed -i s/{PASSWORD}/{MARK}-2/ $1")
    running = me.start("edit", "a.yaml")
    running.wait_for(me.notes / "started")
    running.type("\x03")
    running.wait_for(me.notes / "interrupted")
    assert running.end()[0] == 0
    assert member(me.ok("decrypt", "-x", "a.yaml").out, "password").startswith(f"{MARK}-2")


def test_what_kill_9_left_is_removed_by_the_next_edit_unless_it_is_in_use(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor(f"trap '' HUP; {UNTIL_TOLD}; touch $NOTES/done")
    running = me.start("edit", "a.yaml")
    running.wait_for(me.notes / "started")
    running.process.kill()
    assert running.end()[0] == -signal.SIGKILL
    (left,) = me.left()
    me.editor("true", name="other")
    me.ok("edit", "a.yaml")
    assert me.left() == [left]  # the editor still has it open
    assert (Path(me.memory) / left / "a.yaml").exists()
    (me.notes / "go").touch()
    wait_until((me.notes / "done").exists)
    wait_until(lambda: me.ok("edit", "a.yaml").code == 0 and not me.left())


def test_a_file_that_somebody_else_changed_stays_and_what_was_typed_is_kept_sealed(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    me.editor(f"{UNTIL_TOLD}; sed -i s/{PASSWORD}/{MARK}-typed/ $1")
    running = me.start("edit", "a.yaml")
    running.wait_for(me.notes / "started")
    theirs = path.read_bytes() + b"# theirs\n"
    path.write_bytes(theirs)
    (me.notes / "go").touch()
    code, screen = running.end()
    assert code == 7
    assert nothing_secret(screen)
    assert "changed while ksecret worked on it" in screen
    assert path.read_bytes() == theirs
    found = re.search(r"what you typed is kept, sealed, in (\S+)", screen)
    assert found
    kept = Path(found[1])
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert is_sealed(kept.read_bytes())
    assert member(me.ok("decrypt", "-x", str(kept)).out, "password").startswith(f"{MARK}-typed")


@pytest.mark.parametrize(
    ("words", "meanwhile"),
    [
        ("edit sub/a.yaml", "rm -r sub"),
        ("edit -f sub/new.yaml", "echo theirs > sub/new.yaml"),
        ("edit -o sub/out.yaml sub/a.yaml", "rm -r sub"),
        ("edit -o /dev/full sub/a.yaml", "true"),
    ],
)
def test_what_can_not_be_written_is_kept_sealed(me: Writer, words: str, meanwhile: str) -> None:
    me.write_sealed("sub/a.yaml")
    me.editor(f"cd {me.work}; {meanwhile}; sed -i '/password:/d; s/^data:.*/data:\\n  password: {MARK}/' $1")
    err = me.fails(7, *words.split())
    found = re.search(r"what you typed is kept, sealed, in (\S+)", err)
    assert found, err
    assert member(me.ok("decrypt", found[1]).out, "password") == b64(MARK)
    assert me.names() in ([], ["sub/a.yaml"], ["sub/a.yaml", "sub/new.yaml"])
    if "new" in words:
        assert (me.work / "sub/new.yaml").read_text() == "theirs\n"


def test_a_disk_as_the_runtime_folder_is_not_taken_for_memory(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor('dirname "$1" > $NOTES/folder')
    me.ok("edit", "a.yaml", XDG_RUNTIME_DIR=str(me.temporary))
    assert me.note("folder").startswith(f"{MEMORY}/ksecret-")
    assert list(me.temporary.iterdir()) == []


HOSTILE = """\
set swapfile updatecount=1 directory=$NOTES backup writebackup backupdir=$NOTES undofile undodir=$NOTES
set viminfo='100,<1000,h
"""


@pytest.mark.skipif(not shutil.which("vim"), reason="vim is not installed")
@pytest.mark.parametrize("name", ["vim", "vi"])
def test_vim_leaves_no_copies_whatever_its_settings_say(me: Writer, name: str) -> None:
    me.write_sealed("a.yaml", MANIFEST[:-1])
    settings = me.home / ".vimrc"
    settings.write_text(HOSTILE)
    me.environ["EDITOR"] = f"{name} -u {settings} -c 'autocmd VimEnter * call writefile([], $NOTES . \"/started\")'"
    running = me.start("edit", "a.yaml")
    running.wait_for(me.notes / "started")
    running.type(f":%s/{PASSWORD}/{MARK}-vim/\rihello \x1bu:w\r:call writefile([], $NOTES . '/saved')\r")
    running.wait_for(me.notes / "saved")
    (folder,) = me.left()
    assert [path for path in os.listdir(Path(me.memory) / folder) if path != "a.yaml"] in ([], ["v"])
    assert sorted(os.listdir(me.notes)) == ["saved", "started"]
    running.type(":q\r")
    code, screen = running.end()
    assert code == 0, screen
    assert me.ok("decrypt", "a.yaml").out == MANIFEST[:-1].replace(b64(PASSWORD).encode(), b64(f"{MARK}-vim").encode())
    assert sorted(os.listdir(me.notes)) == ["saved", "started"]
    assert not [path for path in (*me.home.rglob("*"), *me.temporary.rglob("*")) if holds_a_mark(path)]


@pytest.mark.skipif(not shutil.which("nano"), reason="nano is not installed")
def test_nano_leaves_no_copies_whatever_its_settings_say(me: Writer) -> None:
    me.write_sealed("a.yaml", MANIFEST[:-1])
    backups = me.home / "backups"
    backups.mkdir()
    settings = me.home / "nanorc"
    settings.write_text(f'set backup\nset backupdir "{backups}"\nset locking\n')
    me.environ["EDITOR"] = f"nano --rcfile={settings}"
    running = me.start("edit", "a.yaml")
    running.read("# ksecret: ")
    running.type("\x1b/")  # to the last line
    running.type(f"\x05\r  nano: {MARK}-nano\x13")
    running.read("Wrote ")
    running.type("\x18")
    code, screen = running.end()
    assert code == 0, screen
    assert member(me.ok("decrypt", "a.yaml").out, "nano") == f"{MARK}-nano"
    assert list(backups.iterdir()) == []
    assert not [path for path in (*me.home.rglob("*"), *me.temporary.rglob("*")) if holds_a_mark(path)]


def holds_a_mark(path: Path) -> bool:
    return path.is_file() and any(mark.encode() in path.read_bytes() for mark in MARKS)
