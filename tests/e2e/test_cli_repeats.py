"""Values that stand once more in the clear, as people meet them at the command line and in their editor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MANIFEST, MARK, PASSWORD, Person, b64
from tests.e2e.editing import Writer, me
from tests.service import Service, token

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["me"]  # a fixture, for pytest to find here

NOTED = MANIFEST.replace(b"  # between", f"  # it was {PASSWORD}".encode())
JSON = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "labels": {"note": PASSWORD}},
        "data": {"password": b64(PASSWORD)},
    },
    indent=2,
).encode()
COMMENT = 'a comment repeats the value of data["password"] of prod/db in the clear\n'
LABEL = 'the label note repeats the value of data["password"] of db in the clear\n'


@pytest.mark.parametrize(
    ("name", "data", "said"), [("a.yaml", NOTED, f":10: {COMMENT}"), ("a.json", JSON, f":7: {LABEL}")]
)
def test_encrypt_refuses_what_would_stay_and_leaves_the_file(me: Person, name: str, data: bytes, said: str) -> None:
    path = me.write(name, data)
    assert me.fails(3, "encrypt", "-i", name).startswith(f"ksecret: {name}{said}")
    assert path.read_bytes() == data
    me.ok("encrypt", "-i", "--allow-repeated", name)
    assert me.ok("decrypt", name).out == data


def test_the_rest_of_a_tree_is_sealed(me: Person) -> None:
    me.write("tree/a.yaml", NOTED)
    me.write("tree/b.yaml")
    ran = me.run("encrypt", "-i", "-r", "tree")
    assert ran.code == 3
    assert ran.err.count("in the clear") == 1
    assert "1 sealed, 0 unchanged, 1 failed" in ran.err


def test_the_line_is_that_of_the_file_as_it_was_before_it_was_prepared(me: Person) -> None:
    block = "data:\n  pem: |\n    one\n    two\n    three\n"
    clear = MANIFEST.replace(b"data:\n", block.encode(), 1).replace(b64(PASSWORD).encode(), PASSWORD.encode())
    me.write("a.yaml", clear + f"# {PASSWORD}\n".encode())
    line = clear.count(b"\n") + 1
    assert f"a.yaml:{line}: a comment" in me.fails(3, "encrypt", "-x", "-i", "a.yaml")


def test_every_command_that_seals_refuses_and_can_be_told_to_pass(me: Person) -> None:
    sealed = me.write_sealed("a.yaml", NOTED, "--allow-repeated").read_bytes()
    line = 1 + sealed[: sealed.index(b"# it was")].count(b"\n")
    me.write_sealed("old.yaml")
    for words in (("set", "a.yaml", f"other={PASSWORD}"), ("patch", "-i", "a.yaml", "-d", f"other={PASSWORD}")):
        assert me.fails(3, *words).startswith(f"ksecret: a.yaml:{line}: a comment repeats the value of ")
        me.ok(*words, "--allow-repeated")
        me.write("a.yaml", sealed)
    me.write("a.yaml", NOTED)
    assert me.fails(3, "merge", "old.yaml", "a.yaml").startswith(f"ksecret: a.yaml:10: {COMMENT}")
    me.ok("merge", "--allow-repeated", "old.yaml", "a.yaml")


def test_a_repeat_that_was_let_pass_once_stops_no_later_change_of_another_entry(me: Writer) -> None:
    me.write_sealed("a.yaml", NOTED, "--allow-repeated")
    me.ok("set", "a.yaml", "other=x")
    me.ok("unset", "a.yaml", "username")
    me.ok("patch", "-i", "a.yaml", "-d", "another=yea", "-l", "app=web")
    me.editor("sed -i 's/another: yea/another: yes-it-is/' $1")
    me.ok("edit", "a.yaml")
    assert b"another: yes-it-is" in me.ok("decrypt", "-x", "a.yaml").out
    assert "the annotation note repeats" in me.fails(3, "patch", "-i", "a.yaml", "-a", f"note={PASSWORD}")


def test_what_changes_no_value_is_let_pass(me: Person) -> None:
    me.write_sealed("a.yaml", NOTED, "--allow-repeated")
    for words in (("rotate", "a.yaml"), ("rename", "a.yaml", "--name", "db2"), ("verify", "a.yaml")):
        me.ok(*words)


def test_a_value_is_added_that_stands_there_already(me: Person) -> None:
    me.write_sealed("a.yaml", MANIFEST.replace(b"# a comment", f"# {MARK}-new".encode()))
    said = me.fails(3, "set", "a.yaml", "password=-", stdin=f"{MARK}-new".encode())
    assert said.startswith(f"ksecret: a.yaml:1: {COMMENT}")
    assert "the annotation note repeats" in me.fails(3, "patch", "-i", "a.yaml", "-a", f"note={PASSWORD}")


OUT = "s/^  password: \\(.*\\)/  # password: \\1\\n  password: brand-new/"


def test_an_old_value_that_an_editor_leaves_in_a_comment(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(f"sed -i '{OUT}' $1")
    said = me.fails(3, "edit", "a.yaml")
    assert said.startswith("ksecret: a.yaml (as edited):15: a line that held a value is a comment now")
    assert path.read_bytes() == before
    me.ok("edit", "--allow-repeated", "a.yaml")
    assert f"# password: {PASSWORD}".encode() in path.read_bytes()


def test_somebody_at_a_terminal_is_asked_to_go_on(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    me.editor(f"if [ -e $NOTES/again ]; then sed -i '/# password/d' $1; else touch $NOTES/again; sed -i '{OUT}' $1; fi")
    running = me.start("edit", "a.yaml")
    running.read("Edit again?")
    running.type("y\n")
    code, screen = running.end()
    assert code == 0, screen
    assert PASSWORD.encode() not in path.read_bytes()
    assert "brand-new" in me.ok("decrypt", "-x", "a.yaml").out.decode()


def test_copies_are_stripped_from_what_is_sealed_already(me: Person) -> None:
    sealed = me.write_sealed("a.yaml").read_bytes()
    copy = '    kapp.k14s.io/original: \'{"data":{"a":"' + b64(MARK) + "\"}}'\n"
    noted = sealed.replace(b"type: Opaque", f"  annotations:\n    keep: me\n{copy}type: Opaque".encode())
    me.write("a.yaml", noted)
    ran = me.run("check", "a.yaml")
    assert (ran.code, ran.out.decode()) == (
        1,
        "a.yaml:9: KS005 the annotation kapp.k14s.io/original of prod/db repeats its data in the clear\n",
    )
    me.ok("encrypt", "-i", "--strip-last-applied", "a.yaml")
    assert (me.work / "a.yaml").read_bytes() == noted.replace(copy.encode(), b"")
    assert "sealed already" in me.fails(3, "encrypt", "-i", "--strip-last-applied", "a.yaml")


def test_the_same_by_a_service(tmp_path: Path) -> None:
    person = Person(tmp_path, identity=False)
    with Service(tmp_path) as service:
        person.environ |= {"KSECRET_SERVER": f"http://127.0.0.1:{service.port}", "KSECRET_TOKEN": token("root")}
        person.write("a.yaml", NOTED)
        said = person.fails(3, "encrypt", "-i", "a.yaml")
        assert said.startswith(f"ksecret: a.yaml:10: {COMMENT}")
        assert "--allow-repeated" in said
        person.ok("encrypt", "-i", "--allow-repeated", "a.yaml")
        person.ok("set", "a.yaml", "password=other-value")  # the service tells nothing of what is sealed already
        said = person.fails(3, "set", "a.yaml", "password=-", stdin=PASSWORD.encode())
        assert "a comment repeats the value" in said
        person.ok("set", "--allow-repeated", "a.yaml", "password=-", stdin=PASSWORD.encode())
        note = f"note={PASSWORD}"
        words = ("create", "generic", "new", "-n", "prod", f"--from-literal=a={PASSWORD}", "-a", note)
        assert "the annotation note" in person.fails(3, *words)
        person.ok(*words, "--allow-repeated")
