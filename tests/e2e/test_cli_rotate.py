"""`rotate`: new data keys over whole trees, in shards, by age, and on after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, KSECRET, MANIFEST, Person, key_refs, member
from tests.support import spoilt

if TYPE_CHECKING:
    from pathlib import Path

OLD = "2020-01-01T00:00:00Z"


@pytest.fixture
def tree(me: Person) -> Path:
    for number in range(12):
        me.write(f"d/{number % 3}/{number}.yaml", MANIFEST.replace(b"name: db", f"name: db-{number}".encode()))
    me.write("d/plain.yaml", CONFIG_MAP)
    me.ok("encrypt", "-i", "-r", "d")
    return me.work / "d"


def contents(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*.yaml")}


def report(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rotated(path: Path) -> set[str]:
    return {str(line["file"]) for line in report(path) if line.get("outcome") == "rotated"}


def age_tree(tree: Path, names: list[str], me: Person) -> None:
    """Seals these again as of long ago: through the library, since the command takes the clock's time."""
    from secretsvc.backends.base import Settings
    from secretsvc.backends.registry import Backends
    from secretsvc.keyref import KeysetChange
    from secretsvc.operations.open import open_manifest
    from secretsvc.operations.request import Request
    from secretsvc.operations.seal import seal_manifest

    keyring = Backends(Settings({"KSECRET_AGE_KEY": me.identity, "HOME": os.devnull}, lambda _: None))
    request = Request(KeysetChange((), (), ()), lambda *_: (keyring.parse(me.ref),), "", OLD)
    for name in names:
        clear = open_manifest((tree / name).read_bytes(), keyring).data
        (tree / name).write_bytes(seal_manifest(clear, request, keyring).data)


def test_rotate_gives_a_new_data_key_and_new_tokens(me: Person) -> None:
    path = me.write_sealed("s.yaml")
    before = path.read_bytes()
    assert me.ok("rotate", "s.yaml").out == b""
    after = path.read_bytes()
    for name in ("username", "password", "url", me.ref, "seal"):
        assert member(before, name) != member(after, name)
    assert me.ok("decrypt", "s.yaml").out == MANIFEST
    spliced = after.replace(member(after, "password").encode(), member(before, "password").encode())
    assert "altered" in me.fails(5, "decrypt", "-", stdin=spliced)


def test_rewrap_changes_the_wrapped_data_keys_only(me: Person, tmp_path: Path) -> None:
    ann = Person(tmp_path, "ann")
    path = me.write_sealed("s.yaml", MANIFEST, "-k", me.ref, "-k", ann.ref)
    before = path.read_text().splitlines()
    me.ok("rotate", "--rewrap", "s.yaml")
    after = path.read_text().splitlines()
    different = [old for old, new in zip(before, after, strict=True) if old != new]
    assert [line.strip().split(": ")[0] for line in different] == sorted([me.ref, ann.ref])
    assert me.ok("decrypt", "s.yaml").out == ann.ok("decrypt", "s.yaml").out == MANIFEST
    assert "--rewrap changes no data key" in me.fails(2, "rotate", "--rewrap", "--older-than", "1d", "s.yaml")


def test_rewrap_gives_the_data_key_to_nobody_who_added_their_key_by_hand(me: Person, tmp_path: Path) -> None:
    eve = Person(tmp_path, "eve")
    path = me.write_sealed("s.yaml")
    wrapped = member(path.read_bytes(), me.ref)
    path.write_bytes(path.read_bytes().replace(b"  keys:\n", f"  keys:\n    {eve.ref}: {wrapped}\n".encode()))
    before = path.read_bytes()
    assert "the seal does not fit" in me.fails(5, "rotate", "--rewrap", "s.yaml")
    assert path.read_bytes() == before


def test_only_those_that_are_old(me: Person, tree: Path) -> None:
    age_tree(tree, ["0/3.yaml", "1/7.yaml"], me)
    before = contents(tree)
    told = me.ok("rotate", "-r", "--older-than", "90d", "--dry-run", "d")
    assert told.out.decode().splitlines() == [
        f"d/0/3.yaml: prod/db-3: data key made {OLD}",
        f"d/1/7.yaml: prod/db-7: data key made {OLD}",
    ]
    assert contents(tree) == before
    assert (
        me.ok("rotate", "-r", "--older-than", "90d", "d").err
        == "ksecret: 2 rotated, 10 unchanged, 1 skipped, 0 failed\n"
    )
    after = contents(tree)
    assert sorted(name for name in before if before[name] != after[name]) == ["0/3.yaml", "1/7.yaml"]
    assert (
        me.ok("rotate", "-r", "--older-than", "90d", "d").err
        == "ksecret: 0 rotated, 12 unchanged, 1 skipped, 0 failed\n"
    )
    me.ok("rotate", "--older-than", "90d", "d/0/3.yaml")  # named, and young: nothing to do is no failure
    assert "hours, days or weeks" in me.fails(2, "rotate", "--older-than", "3 months", "d/0/3.yaml")


def test_of_several_secrets_in_one_file_only_those_that_are_old(me: Person, tree: Path) -> None:
    age_tree(tree, ["0/3.yaml"], me)
    old, young = ((tree / "0" / name).read_bytes() for name in ("3.yaml", "6.yaml"))
    clear = MANIFEST.replace(b"name: db", b"name: clear")
    path = me.write("s.yaml", b"---\n".join((young, old, clear)))
    words = ("rotate", "--older-than", "90d")
    assert me.ok(*words, "-n", "s.yaml").out.decode() == f"s.yaml: prod/db-3: data key made {OLD}\n"
    me.ok(*words, "s.yaml")
    first, second, third = path.read_bytes().split(b"---\n")
    assert (first, third) == (young, clear)
    assert member(second, "password") != member(old, "password")
    assert OLD.encode() not in second


def test_what_is_not_sealed_is_not_wrapped_anew(me: Person) -> None:
    path = me.write("clear.yaml")
    assert "no Secret in it is sealed" in me.fails(3, "rotate", "--rewrap", "clear.yaml")
    path.write_bytes(me.ok("encrypt", "-", stdin=MANIFEST.replace(b"name: db", b"name: x")).out + b"---\n" + MANIFEST)
    me.ok("rotate", "--rewrap", "clear.yaml")
    assert path.read_bytes().endswith(b"---\n" + MANIFEST)


def test_the_dry_run_needs_no_key(me: Person, tmp_path: Path, tree: Path) -> None:
    nobody = Person(tmp_path, "nobody", identity=False)
    assert len(nobody.ok("rotate", "-r", "-n", "d").out.splitlines()) == 12


def test_shards_cover_every_file_once_wherever_the_tree_lies(me: Person, tree: Path) -> None:
    before = contents(tree)
    done: list[set[str]] = []
    for part in range(4):
        me.ok("rotate", "-r", "--shard", f"{part}/4", "--report", f"r{part}.jsonl", "d")
        done.append(
            {str(line["file"]) for line in report(me.work / f"r{part}.jsonl") if line.get("outcome") == "rotated"}
        )
    after = contents(tree)
    assert sum(map(len, done)) == len(set().union(*done)) == 12
    assert all((before[name] != after[name]) == (name != "plain.yaml") for name in before)
    (me.work / "d").rename(me.work / "elsewhere")
    me.ok("rotate", "-r", "--shard", "2/4", "--report", "again.jsonl", f"{me.work}/elsewhere")
    again = rotated(me.work / "again.jsonl")
    assert {name.partition("elsewhere/")[2] for name in again} == {name.partition("d/")[2] for name in done[2]}
    for bad in ("4/4", "x/4", "1", "-1/4"):
        assert "--shard takes I/N" in me.fails(2, "rotate", "-r", f"--shard={bad}", "elsewhere")


def test_a_report_tells_of_every_file(me: Person, tree: Path) -> None:
    broken = tree / "0" / "3.yaml"
    text = broken.read_text()
    broken.write_text(spoilt(text, text.index("seal: ") + len("seal: ")))
    ran = me.run("rotate", "-r", "--report", "r.jsonl", "d")
    assert ran.code == 5
    first, *files, last = report(me.work / "r.jsonl")
    assert (first["run"], first["shard"]) == ("rotate", "")
    assert last["counts"] == {"rotated": 11, "skipped": 1, "failed": 1}
    (failed,) = [line for line in files if line["outcome"] == "failed"]
    assert failed["file"] == "d/0/3.yaml"
    assert "seal" in str(failed["error"])


def test_a_report_may_be_a_pipe(me: Person, tree: Path) -> None:
    """Nothing is read back from what is no file: that would wait forever."""
    lines = me.ok("rotate", "-r", "--report", "/dev/stdout", "d").out.splitlines()
    assert json.loads(lines[-1])["counts"] == {"rotated": 12, "skipped": 1}


def test_a_report_follows_no_link_out_of_the_repository(me: Person, tree: Path) -> None:
    (me.work / ".git").mkdir()
    before = contents(tree)
    (me.work / "r.jsonl").symlink_to(me.home / ".profile")
    assert "the link r.jsonl leads out of the repository" in me.fails(7, "rotate", "-r", "--report", "r.jsonl", "d")
    assert (contents(tree), (me.home / ".profile").exists()) == (before, False)


def test_a_report_names_the_key_that_failed(me: Person, tree: Path) -> None:
    assert me.run("rotate", "-r", "--report", "r.jsonl", "d", XDG_CONFIG_HOME="/none").code == 4
    failed = [line for line in report(me.work / "r.jsonl") if line.get("outcome") == "failed"]
    assert len(failed) == 12
    assert {line["error"] for line in failed} == {f"{me.ref}: no age identity is at hand"}


def test_an_interrupted_run_goes_on_where_it_stopped(me: Person, tree: Path) -> None:
    me.ok("rotate", "-r", "--report", "r.jsonl", "d")
    lines = (me.work / "r.jsonl").read_text().splitlines(keepends=True)
    (me.work / "r.jsonl").write_text("".join(lines[:7]) + lines[7][:10])  # cut off in the middle of a line
    done = {str(json.loads(line)["file"]) for line in lines[1:7]}
    before = contents(tree)
    ran = me.ok("rotate", "-r", "--report", "r.jsonl", "d")
    assert "going on with the run that began at" in ran.err
    changed = {f"d/{name}" for name, data in contents(tree).items() if data != before[name]}
    assert not changed & done
    finished = me.ok("rotate", "-r", "--report", "r.jsonl", "d")  # that one was finished: this is a new run
    assert "going on" not in finished.err


def test_a_report_is_not_written_over_other_files_or_runs(me: Person, tree: Path) -> None:
    me.write("notes.txt", b'{"a": 1}\n')
    assert "not a report of ksecret's" in me.fails(2, "rotate", "-r", "--report", "notes.txt", "d")
    (me.work / "r.jsonl").write_text('{"run": "rewrap", "shard": "", "started": "2026-01-01T00:00:00Z"}\n')
    assert "interrupted run of another kind" in me.fails(2, "rotate", "-r", "--report", "r.jsonl", "d")


def test_a_report_that_was_tampered_with_is_read_as_far_as_it_makes_sense(me: Person, tree: Path) -> None:
    first = '{"run": "rotate", "shard": "", "started": "2026-01-01T00:00:00Z"}\n'
    for odd in ('{"outcome": "rotated"}', "[" * 100_000, '{"file": {}, "outcome": []}'):
        (me.work / "r.jsonl").write_text(f"{first}{odd}\n")
        ran = me.run("rotate", "-r", "--report", "r.jsonl", "d")
        assert (ran.code, "Traceback" in ran.err) == (0, False)


def test_rotate_survives_kill_9_and_a_rerun_completes(me: Person) -> None:
    """The long form, 2,000 files and 20 kills: KSECRET_TEST_FILES=2000 KSECRET_TEST_KILLS=20."""
    files, kills = int(os.environ.get("KSECRET_TEST_FILES", "150")), int(os.environ.get("KSECRET_TEST_KILLS", "4"))
    clear = {f"d/{n % 9}/{n}.yaml": MANIFEST.replace(b"name: db", f"name: db-{n}".encode()) for n in range(files)}
    for name, data in clear.items():
        me.write(name, data)
    me.ok("encrypt", "-i", "-r", "d")
    words = [KSECRET, "rotate", "-r", "--report", "r.jsonl", "d"]
    began = time.monotonic()
    me.ok("rotate", "-r", "d")
    whole = time.monotonic() - began
    for kill in range(kills):
        process = subprocess.Popen(words, cwd=me.work, env=me.environ, stderr=subprocess.DEVNULL)
        time.sleep(whole * (kill + 1) / (kills + 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        opened = me.ok("verify", "-r", "d")
        assert opened.err == f"ksecret: {files} verified, 0 unchanged, 0 failed\n"
        if kill % 2:  # half of them go on, half of them begin anew
            (me.work / "r.jsonl").unlink(missing_ok=True)
    me.ok("rotate", "-r", "--report", "r.jsonl", "d")
    assert "counts" in report(me.work / "r.jsonl")[-1]
    left = [path for path in (me.work / "d").rglob("*") if path.name.startswith(".ksecret-")]
    assert len(left) <= kills
    for name, data in list(clear.items())[:: max(1, files // 60)]:
        assert me.ok("decrypt", name).out == data


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_leaves_the_originals(me: Person, tree: Path) -> None:
    before = contents(tree)
    (tree / "0").chmod(0o500)
    try:
        ran = me.run("rotate", "-r", "d")
    finally:
        (tree / "0").chmod(0o700)
    assert ran.code == 7
    assert "can't be written" in ran.err
    assert all(contents(tree)[name] == before[name] for name in before if name.startswith("0/"))


def test_rotate_keeps_keyset_scope_and_clear_secrets(me: Person, tmp_path: Path) -> None:
    ann = Person(tmp_path, "ann")
    path = me.write_sealed("s.yaml", MANIFEST, "-k", me.ref, "-k", ann.ref, "--scope", "namespace")
    clear = MANIFEST.replace(b"name: db", b"name: clear")
    path.write_bytes(path.read_bytes() + b"---\n" + clear)
    me.ok("rotate", "s.yaml")
    after = path.read_bytes()
    assert key_refs(after) == sorted([me.ref, ann.ref])
    assert member(after, "sealedFor") == '"prod/*"'
    assert after.endswith(clear)
