"""What goes wrong, and how it is told: one line, a hint, an exit code; nothing half-done, nothing secret."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import (
    CONFIG_MAP,
    ERROR,
    KSECRET,
    MANIFEST,
    MARK,
    NOT_YAML,
    SUMMARY,
    Person,
    is_sealed,
    member,
)

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("encrypt", "decrypt", "inspect", "verify")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nosuch", "unknown command"),
        (f"{MARK}", "unknown command"),
        ("--nosuch", "unknown option"),
        ("help nosuch", "unknown command"),
        ("encript a.yaml", "unknown command: did you mean encrypt?"),
        ("verify --recursiv .", "unknown option --recursiv: did you mean --recursive?"),
        ("encrypt", "no file named"),
        ("decrypt -i", "no file named"),
        (f"encrypt --nosuch={MARK} a.yaml", "unknown option --nosuch"),
        (f"encrypt -z{MARK} a.yaml", "unknown option -z"),
        ("encrypt a.yaml --key", "option --key needs a value"),
        ("encrypt a.yaml -ik", "option -k needs a value"),
        (f"decrypt --in-place={MARK} a.yaml", "option --in-place takes no value"),
        ("decrypt -i=a a.yaml", "unknown option -="),
        ("encrypt --par a.yaml a.yaml", "unknown option --par"),
        (f"encrypt --scope {MARK} a.yaml", "--scope"),
        (f"encrypt --format {MARK} a.yaml", "--format"),
        (f"completion {MARK}", "shell"),
        ("verify -i a.yaml", "unknown option -i"),
        ("decrypt .", ".: it is a folder"),
        ("encrypt -k -- a.yaml", "option -k needs a value"),
    ],
)
def test_wrong_words_are_exit_code_2_and_never_repeated(me: Person, line: str, message: str) -> None:
    me.write("a.yaml")
    err = me.fails(2, *line.split())
    assert message in err
    assert err.count("\n") == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_are_not_there_or_can_not_be_read_are_7(me: Person, command: str) -> None:
    os.symlink("loop.yaml", me.work / "loop.yaml")
    me.write("a.yaml")
    for name, reason in (
        ("absent.yaml", "No such file or directory"),
        ("a.yaml/b.yaml", "Not a directory"),
        ("loop.yaml", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
    ):
        assert me.fails(7, command, name) == f"ksecret: {name}: can't be read: {reason}\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_7(me: Person) -> None:
    me.write("a.yaml").chmod(0)
    assert me.fails(7, "encrypt", "a.yaml") == "ksecret: a.yaml: can't be read: Permission denied\n"


def test_what_is_not_sealed_or_sealed_already_or_no_manifest_is_3(me: Person) -> None:
    me.write("clear.yaml")
    me.write_sealed("sealed.yaml")
    me.write("map.yaml", CONFIG_MAP)
    me.write("empty.yaml", b"")
    me.write("broken.yaml", NOT_YAML)
    me.write("latin.yaml", MANIFEST.replace(b"a comment", b"\xfc"))
    assert "clear.yaml: no Secret in it is sealed\n  ksecret encrypt" in me.fails(3, "decrypt", "clear.yaml")
    assert "sealed.yaml: it is sealed already\n  --key" in me.fails(3, "encrypt", "sealed.yaml")
    assert "map.yaml: it is a ConfigMap" in me.fails(3, "encrypt", "map.yaml")
    assert "empty.yaml: it is empty" in me.fails(3, "encrypt", "empty.yaml")
    assert "broken.yaml:6: not valid YAML: " in me.fails(3, "encrypt", "broken.yaml")
    assert "latin.yaml:1: not UTF-8 text" in me.fails(3, "encrypt", "latin.yaml")
    assert "standard input: no Secret in it" in me.fails(3, "decrypt", "-", stdin=MANIFEST)


def test_a_good_and_a_bad_file_the_good_one_is_done(me: Person) -> None:
    me.write("broken.yaml", NOT_YAML)
    good = me.write("good.yaml")
    ran = me.run("encrypt", "-i", "broken.yaml", "absent.yaml", "good.yaml")
    assert (ran.code, ran.out) == (7, b"")
    assert is_sealed(good.read_bytes())
    first, hint, second, last = ran.err.splitlines()
    assert first.startswith("ksecret: broken.yaml:6: ")
    assert hint.startswith("  ")
    assert second == "ksecret: absent.yaml: can't be read: No such file or directory"
    assert last == "ksecret: 1 sealed, 0 unchanged, 2 failed"


def test_a_good_and_a_bad_file_nothing_is_printed_unless_it_is_to_keep_going(me: Person) -> None:
    """What follows the pipe would take a part for the whole: kubectl apply --prune deletes what is not there."""
    me.write_sealed("d/good.yaml")
    bad = me.write_sealed("d/bad.yaml")
    bad.write_bytes(bad.read_bytes().replace(b"namespace: prod", b"namespace: test"))
    for words in (["d/bad.yaml", "d/good.yaml"], ["-r", "d"]):
        ran = me.run("decrypt", *words)
        assert (ran.code, ran.out) == (5, b"")
        *_, summary, last = ran.err.splitlines(keepends=True)
        assert summary == "ksecret: 1 opened, 0 unchanged, 1 failed\n"
        assert last == "ksecret: nothing is put out where a file fails: --keep-going puts out the others\n"
        assert me.run("decrypt", "--output-format", "json", *words)[:2] == (5, b"")
        ran = me.run("decrypt", "--keep-going", *words)
        assert (ran.code, ran.out) == (5, MANIFEST)
        assert SUMMARY.fullmatch(ran.err.splitlines(keepends=True)[-1])
        ran = me.run("decrypt", "--keep-going", "--output-format", "json", *words)
        assert (ran.code, json.loads(ran.out)["metadata"]["name"]) == (5, "db")
    me.write("c/clear.yaml")
    me.write("c/broken.yaml", NOT_YAML)
    ran = me.run("encrypt", "-r", "c")
    assert (ran.code, ran.out) == (3, b"")
    assert ran.err.endswith("ksecret: nothing is put out where a file fails\n")
    assert me.run("decrypt", "-i", "-r", "d").code == 5
    assert (me.work / "d/good.yaml").read_bytes() == MANIFEST  # in place each file is a whole


def test_in_a_tree_what_fails_is_named_and_the_rest_is_done(me: Person) -> None:
    good = me.write("d/z.yaml")
    me.write("d/chart.yaml", b"kind: Secret\nmetadata:\n  name: {{ .Values.name }}\n")
    ran = me.run("encrypt", "-i", "-r", "d")
    assert ran.code == 3
    assert ran.err.startswith("ksecret: d/chart.yaml:3: ")
    assert ran.err.endswith("ksecret: 1 sealed, 0 unchanged, 1 failed\n")
    assert is_sealed(good.read_bytes())


@pytest.mark.parametrize("old", [None, b"what stood there"])
def test_a_run_that_fails_leaves_no_output_file_and_no_other_one(me: Person, old: bytes | None) -> None:
    me.write_sealed("good.yaml")
    bad = me.write_sealed("bad.yaml")
    bad.write_bytes(bad.read_bytes().replace(b"type: Opaque", b"type: other"))
    if old is not None:
        me.write("out.yaml", old)
    before = me.names()
    for names in (("bad.yaml",), ("good.yaml", "bad.yaml")):
        assert me.run("decrypt", "-o", "out.yaml", *names)[:2] == (5, b"")
    me.fails(3, "encrypt", "-o", "out.yaml", "good.yaml")
    assert me.names() == before
    assert old is None or (me.work / "out.yaml").read_bytes() == old


@pytest.mark.parametrize("out", ["absent/out.yaml", "good.yaml/out.yaml", ".", "/dev/full"])
def test_an_output_that_can_not_be_written_is_7(me: Person, out: str) -> None:
    me.write_sealed("good.yaml")
    assert me.fails(7, "decrypt", "-o", out, "good.yaml").startswith(f"ksecret: {out}: can't be written: ")
    assert me.names() == ["good.yaml"]


def test_a_failed_change_in_place_leaves_the_file_as_it_was(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    altered = path.read_bytes().replace(b"type: Opaque", b"type: other")
    path.write_bytes(altered)
    me.fails(5, "decrypt", "-i", "a.yaml")
    assert path.read_bytes() == altered
    assert me.names() == ["a.yaml"]


@pytest.mark.parametrize("words", [("decrypt", "a.yaml"), ("inspect", "a.yaml"), ("--help",), ("--version",)])
def test_a_full_standard_output_is_7(me: Person, words: tuple[str, ...]) -> None:
    me.write_sealed("a.yaml")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([KSECRET, *words], stdout=full, stderr=subprocess.PIPE, cwd=me.work, env=me.environ)
    assert (done.returncode, done.stderr) == (7, b"ksecret: can't write the output: No space left on device\n")


@pytest.mark.parametrize("words", [("verify", "absent.yaml"), ("verify", "good.yaml", "absent.yaml"), ("nonsense",)])
def test_a_full_standard_error_is_7_and_not_a_failed_check(me: Person, words: tuple[str, ...]) -> None:
    me.write_sealed("good.yaml")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([KSECRET, *words], stdout=subprocess.PIPE, stderr=full, cwd=me.work, env=me.environ)
    assert done.returncode == 7


@pytest.mark.parametrize(
    "words", [("decrypt", "a.yaml"), ("inspect", "a.yaml"), ("verify", "a.yaml"), ("--help",), ("encrypt", "--help")]
)
def test_a_reader_that_has_gone_is_nothing_to_talk_about(me: Person, words: tuple[str, ...]) -> None:
    me.write_sealed("a.yaml")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([KSECRET, *words], stdout=writing, stderr=subprocess.PIPE, cwd=me.work, env=me.environ)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode != 1


@pytest.mark.parametrize("words", ["decrypt a.yaml >&-", "verify a.yaml >&-", "--help >&-", "decrypt - <&-"])
def test_a_closed_stream_is_an_error_and_no_traceback(me: Person, words: str) -> None:
    me.write_sealed("a.yaml")
    ran = me.run("-c", f'"{KSECRET}" {words}', program="sh")
    assert ran.code == 7
    assert ERROR.fullmatch(ran.err)


def test_errors_go_nowhere_but_standard_error(me: Person) -> None:
    me.write("a.yaml")
    ran = me.run("-c", f'"{KSECRET}" decrypt a.yaml 2>&-', program="sh")
    assert (ran.code, ran.out) == (3, b"")


@pytest.mark.parametrize("order", [("--debug", "decrypt", "a.yaml"), ("decrypt", "a.yaml", "--debug")])
def test_debug_shows_where_it_happened_and_no_value(me: Person, order: tuple[str, ...]) -> None:
    path = me.write_sealed("a.yaml")
    sealed = path.read_bytes()
    for broken, code in (
        (sealed.replace(b"type: Opaque", b"type: other"), 5),
        (sealed.replace(member(sealed, "url").encode(), f"'{MARK}'".encode()), 5),
        (NOT_YAML, 3),
        (MANIFEST.replace(b"# a comment", b"\xff"), 3),
    ):
        path.write_bytes(broken)
        ran = me.run(*order)
        assert (ran.code, ran.out) == (code, b"")
        assert " raised\n" in ran.err.partition("open.py")[0]
        assert ran.err.startswith("ksecret: a.yaml")


def test_debug_shows_no_value_when_sealing_fails(me: Person) -> None:
    alias, listed = (
        MANIFEST.replace(b'url: "', b'url: *alias "'),
        MANIFEST.replace(b"\ndata:\n", b"\ndata:\n  a: [x]\n"),
    )
    for data in (NOT_YAML, alias, listed):
        me.write("a.yaml", data)
        ran = me.run("--debug", "encrypt", "a.yaml")
        assert (ran.code, ran.out) == (3, b"")
        assert " raised\n" in ran.err


def test_a_folder_that_is_no_manifest_stops_nothing_before_it_is_told(me: Person) -> None:
    first = me.write("a.yaml")
    me.write("d/b.yaml")
    assert "d: it is a folder" in me.fails(2, "encrypt", "-i", "a.yaml", "d")
    assert first.read_bytes() == MANIFEST


def test_a_bad_parent_is_blamed_itself(me: Person) -> None:
    me.write("new.yaml")
    me.fails(7, "encrypt", "--parent", "absent.yaml", "new.yaml")
    path = me.write_sealed("old.yaml")
    path.write_bytes(path.read_bytes().replace(b"type: Opaque", b"type: other"))
    assert me.fails(5, "encrypt", "--parent", "old.yaml", "new.yaml").startswith("ksecret: old.yaml:")
    path.write_bytes(NOT_YAML)
    assert me.fails(3, "encrypt", "--parent", "old.yaml", "new.yaml").startswith("ksecret: old.yaml:6: ")


@pytest.mark.parametrize("words", ["inspect /dev/zero", "inspect - </dev/zero", "encrypt --parent /dev/zero a.yaml"])
def test_an_input_without_end_is_refused_and_not_read_whole(me: Person, words: str) -> None:
    me.write("a.yaml")
    ran = me.run("-c", f'ulimit -v 2000000; "{KSECRET}" {words}', program="sh")
    assert (ran.code, ran.out) == (3, b"")
    assert "larger than 8 MiB" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        *(["encrypt", "-i", "clear.yaml"], ["encrypt", "-o", "new.yaml", "../clear.yaml"], ["decrypt", "-i", "s.yaml"]),
        *(["decrypt", "-o", "new.yaml", "s.yaml"], ["get", "s.yaml", "url", "-o", "new.yaml"], ["rotate", "s.yaml"]),
        *(["set", "s.yaml", "a=b"], ["unset", "s.yaml", "url"], ["edit", "s.yaml"], ["edit", "-f", "folder/new.yaml"]),
        ["keys", "remove", "-k", "ANN", "s.yaml"],
        *(["rename", "--name", "x", "s.yaml"], ["inspect", "s.yaml", "-o", "new.yaml"]),
        *(
            ["create", "generic", "a", "--from-literal=a=b", "-o", "folder/new.yaml"],
            ["edit", "s.yaml", "-o", "new.yaml"],
        ),
    ],
    ids=" ".join,
)
def test_no_output_follows_a_link_out_of_the_repository(me: Person, tmp_path: Path, words: list[str]) -> None:
    ann = Person(tmp_path, "ann")
    me.write_sealed("s.yaml", MANIFEST, "-k", me.ref, "-k", ann.ref)
    me.write("clear.yaml")
    outside = {path.name: path.read_bytes() for path in me.work.iterdir()}
    (me.work / "repo" / ".git").mkdir(parents=True)
    me.work = me.work / "repo"
    for name in ("s.yaml", "clear.yaml", "new.yaml"):
        (me.work / name).symlink_to(f"../{name}")
    (me.work / "folder").symlink_to("..")
    ran = me.run(*(ann.ref if word == "ANN" else word for word in words), EDITOR="sed -i s/url/uri/")
    assert (ran.code, "leads out of the repository" in ran.err) == (7, True), ran
    assert {path.name: path.read_bytes() for path in me.work.parent.iterdir() if path.is_file()} == outside
