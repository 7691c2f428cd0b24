"""`ksecret render`, and `decrypt --if-needed`: sealed or not, all of it is handed on, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.operations.output import as_data
from tests.e2e.cli import CONFIG_MAP, MANIFEST, NOT_YAML, Person, is_sealed
from tests.e2e.test_cli_apply import Kubectl
from tests.e2e.test_lost_tokens import LOST, lost

if TYPE_CHECKING:
    from pathlib import Path


def other(name: str) -> bytes:
    return MANIFEST.replace(b"name: db", f"name: {name}".encode())


def named(name: str) -> bytes:
    return CONFIG_MAP.replace(b"plain", name.encode())


def test_a_folder_is_rendered_as_apply_hands_it_on(me: Person, tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path, me)
    me.write("d/00-map.yaml", CONFIG_MAP)
    me.write_sealed("d/a.yaml")
    me.write("d/clear.yml", other("clear"))
    me.write("d/.ksecret.yaml", b"version: 1\n")
    me.write("d/README.md", b"# ksecret\n")
    ran = me.ok("render", "-r", "d")
    assert ran == (0, b"---\n".join([CONFIG_MAP, as_data(MANIFEST), as_data(other("clear"))]), "")
    me.ok("apply", "-r", "d")
    assert kubectl.stdin == ran.out


def test_a_folders_files_come_in_the_order_in_which_kubectl_walks(me: Person) -> None:
    order = ["01-first.yaml", "02-dir/b.yaml", "02-dir/sub/a.yaml", "02-dir/z.yaml", "02-dir.yaml", "03-last.yaml"]
    for name in reversed(order):
        me.write(f"d/{name}", named(name.replace("/", ".")))
    expected = b"---\n".join(named(name.replace("/", ".")) for name in order)
    assert me.ok("render", "-r", "d").out == expected
    me.ok("-c", "git init -q .", program="sh")
    assert me.ok("render", "-r", "d").out == expected


def test_a_stream_from_helm_or_kustomize_passes_through_it(me: Person) -> None:
    rendered = CONFIG_MAP + b"---\n" + me.write_sealed("a.yaml").read_bytes() + b"---\n" + named("last")
    expected = as_data(CONFIG_MAP + b"---\n" + MANIFEST + b"---\n" + named("last"))
    assert me.ok("render", "-", stdin=rendered) == (0, expected, "")
    assert me.ok("render", "-", stdin=CONFIG_MAP).out == CONFIG_MAP
    me.ok("render", "-o", "out.yaml", "-", stdin=rendered)
    out = me.work / "out.yaml"
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (expected, 0o600)


def test_one_file_that_does_not_open_and_nothing_is_rendered(me: Person) -> None:
    moved = me.write_sealed("d/a.yaml").read_bytes().replace(b"name: db", b"name: moved")
    me.write("d/moved.yaml", moved)
    me.write("d/map.yaml", CONFIG_MAP)
    assert "d/moved.yaml" in me.fails(5, "render", "-r", "d")
    assert "d/moved.yaml" in me.fails(5, "render", "-o", "out.yaml", "-r", "d")
    assert not (me.work / "out.yaml").exists()
    assert "standard input" in me.fails(5, "render", "-", stdin=moved)
    assert "no file named" in me.fails(2, "render")
    (me.work / "empty").mkdir()
    assert "no manifest is there" in me.fails(3, "render", "-r", "empty")


@pytest.mark.parametrize("words", [["render"], ["decrypt", "--if-needed"]], ids=["render", "decrypt"])
@pytest.mark.parametrize("name", LOST)
def test_sealed_text_that_nothing_opens_is_not_passed_on(me: Person, name: str, words: list[str]) -> None:
    said = lost(me, name)
    assert said in me.fails(5, *words, "deploy/f.yaml")
    assert said in me.run(*words, "-r", "deploy").err
    assert said in me.fails(5, *words, "-", stdin=(me.work / "deploy/f.yaml").read_bytes())


@pytest.mark.parametrize("words", [["render"], ["decrypt", "--if-needed"]], ids=["render", "decrypt"])
def test_an_input_that_is_too_large_is_refused_and_not_cut_off(me: Person, words: list[str]) -> None:
    large = b"# " + b"x" * MAX_BYTES
    assert "standard input: larger than 8 MiB" in me.fails(3, *words, "-", stdin=large)


def test_where_it_is_needed_a_file_is_opened_and_else_passed_on(me: Person) -> None:
    sealed = me.write_sealed("a.yaml")
    for clear in (MANIFEST, CONFIG_MAP, b"", b"{{ not: yaml"):
        me.write("clear.yaml", clear)
        assert me.ok("decrypt", "--if-needed", "clear.yaml") == (0, clear, "")
        assert me.ok("decrypt", "--if-needed", "-", stdin=clear).out == clear
    assert me.ok("decrypt", "--if-needed", "a.yaml").out == MANIFEST
    me.write("clear.yaml", other("clear"))
    ran = me.ok("decrypt", "--if-needed", "-i", "a.yaml", "clear.yaml")
    assert ran.err == "ksecret: 1 opened, 1 unchanged, 0 failed\n"
    assert sealed.read_bytes() == MANIFEST
    assert b"n0t-public-password" in me.ok("decrypt", "--if-needed", "-x", "clear.yaml").out
    assert me.ok("decrypt", "--if-needed", "--output-format", "env", "a.yaml").out.startswith(b"username=")


def test_where_it_is_needed_a_folder_is_passed_on_whole(me: Person) -> None:
    me.write_sealed("d/a.yaml")
    me.write("d/clear.yaml", other("clear"))
    me.write("d/map.yaml", CONFIG_MAP)
    me.write("d/.ksecret.yaml", b"version: 1\n")
    ran = me.ok("decrypt", "--if-needed", "-r", "d")
    assert ran.out == b"---\n".join([MANIFEST, other("clear"), CONFIG_MAP])
    assert ran.err == "ksecret: 1 opened, 2 unchanged, 0 failed\n"
    me.write("d/broken.yaml", NOT_YAML + b"# ksecret\n")
    assert me.run("decrypt", "--if-needed", "-r", "d")[:2] == (3, b"")


def test_where_it_is_needed_hidden_files_are_opened_in_place_as_ever(me: Person) -> None:
    hidden = me.write_sealed("d/.hidden.yaml")
    assert is_sealed(hidden.read_bytes())
    me.ok("decrypt", "-i", "--if-needed", "-r", "d")
    assert hidden.read_bytes() == MANIFEST
