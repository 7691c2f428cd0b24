"""`ksecret inspect` and `ksecret verify`: what they tell, and with which exit code."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, ERROR, MANIFEST, MARKS, NOT_YAML, Person, b64, member
from tests.support import spoilt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stranger(tmp_path: Path) -> Person:
    return Person(tmp_path, "stranger", identity=False)


@pytest.mark.parametrize("command", ["inspect", "introspect", "i"])
def test_what_can_be_told_without_a_key(me: Person, stranger: Person, command: str) -> None:
    sealed = me.write_sealed("a.yaml").read_bytes()
    ran = stranger.ok(command, "a.yaml")
    created = member(sealed, "created").strip('"')
    assert ran.out.decode().splitlines() == [
        "a.yaml: prod/db (Opaque)",
        "  format       ksecret v1",
        "  sealed for   prod/db",
        f"  data key     made {created} (0 days ago)",
        f"  key          {me.ref}",
        "  data         username, password",
        "  stringData   url",
    ]
    assert ran.err == ""


def test_the_same_as_json_a_line_for_each_secret(me: Person, stranger: Person) -> None:
    second = MANIFEST.replace(b"name: db", b"name: two").replace(b"  namespace: prod\n", b"")
    sealed = me.write_sealed("a.yaml", MANIFEST + b"---\n" + second).read_bytes()
    first, last = (json.loads(line) for line in stranger.ok("inspect", "--json", "a.yaml").out.splitlines())
    (created,) = set(re.findall(r'created: "(.*)"', sealed.decode()))
    assert first == {
        "file": "a.yaml",
        "namespace": "prod",
        "name": "db",
        "type": "Opaque",
        "line": 2,
        "sealed": True,
        "format": "ksecret v1",
        "sealedFor": "prod/db",
        "created": created,
        "ageDays": 0,
        "keys": [{"ref": me.ref, "owner": ""}],
        "entries": {"data": ["username", "password"], "stringData": ["url"]},
        "inTheClear": [],
    }
    assert (last["name"], last["namespace"], last["sealedFor"]) == ("two", None, "two")


def test_a_value_in_the_clear_in_a_sealed_secret_is_named_and_not_shown(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    sealed = path.read_bytes()
    path.write_bytes(sealed.replace(member(sealed, "url").encode(), f"'{MARKS[0]}'".encode()))
    out = me.ok("inspect", "a.yaml").out.decode()
    assert out.endswith("  IN THE CLEAR stringData/url\n")
    assert not any(mark in out for mark in MARKS)


def test_inspect_of_what_is_not_sealed(me: Person) -> None:
    me.write("clear.yaml")
    me.write("map.yaml", CONFIG_MAP)
    assert me.fails(3, "inspect", "clear.yaml").startswith("ksecret: clear.yaml: no Secret in it is sealed\n")
    assert me.fails(3, "inspect", "map.yaml").startswith("ksecret: map.yaml: it is a ConfigMap")
    assert me.ok("inspect", "-r", ".").err == "ksecret: 0 inspected, 0 unchanged, 2 skipped, 0 failed\n"


def test_verify_says_that_it_is_sound_and_shows_nothing(me: Person) -> None:
    me.write_sealed("d/a.yaml", MANIFEST + b"---\n" + MANIFEST.replace(b": db", b": two"))
    me.write_sealed("d/b.yaml")
    me.write("d/map.yaml", CONFIG_MAP)
    ran = me.ok("verify", "-r", "d")
    assert ran.out == b"d/a.yaml: 2 sealed, all sound\nd/b.yaml: 1 sealed, all sound\n"
    assert ran.err == "ksecret: 2 verified, 0 unchanged, 1 skipped, 0 failed\n"


def test_verify_of_an_altered_or_moved_file_is_1_where_decrypt_is_5(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    sealed = path.read_bytes()
    swapped = sealed.replace(b"  username:", b"  x:").replace(b"  password:", b"  username:")
    for altered in (sealed.replace(b"namespace: prod", b"namespace: test"), swapped.replace(b"  x:", b"  password:")):
        path.write_bytes(altered)
        assert "ksecret: a.yaml:" in me.fails(1, "verify", "a.yaml")
        assert "ksecret: a.yaml:" in me.fails(5, "decrypt", "a.yaml")


def test_verify_names_the_line_of_an_altered_token(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    sealed = path.read_bytes()
    token = member(sealed, "url").encode()
    path.write_bytes(sealed.replace(token, spoilt(token.decode(), 40).encode()))
    assert me.fails(1, "verify", "a.yaml").startswith('ksecret: a.yaml:13: stringData["url"] was altered')


def test_verify_without_the_key_can_not_tell(me: Person, stranger: Person) -> None:
    me.write_sealed("a.yaml")
    stranger.fails(4, "verify", "a.yaml")
    me.write("clear.yaml")
    me.fails(3, "verify", "clear.yaml")
    me.fails(7, "verify", "absent.yaml")


def test_verify_goes_on_behind_a_bad_file_and_takes_the_worst_code(me: Person) -> None:
    me.write_sealed("good.yaml")
    bad = me.write_sealed("bad.yaml")
    bad.write_bytes(bad.read_bytes().replace(b"type: Opaque", b"type: other"))
    ran = me.run("verify", "bad.yaml", "good.yaml")
    assert (ran.code, ran.out) == (1, b"good.yaml: 1 sealed, all sound\n")
    assert ran.err.endswith("ksecret: 1 verified, 0 unchanged, 1 failed\n")
    me.write("broken.yaml", NOT_YAML)
    for names in (("bad.yaml", "broken.yaml", "good.yaml"), ("broken.yaml", "good.yaml", "bad.yaml")):
        assert me.run("verify", *names).code == 3


def test_an_envelope_of_a_later_version_says_to_upgrade(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    path.write_bytes(path.read_bytes().replace(b"  version: 1\n", b"  version: 2\n"))
    for command in ("inspect", "verify", "decrypt"):
        assert me.fails(3, command, "a.yaml").endswith("\n  upgrade ksecret\n")


def test_control_sequences_in_names_reach_no_terminal(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    path.write_bytes(path.read_bytes().replace(b"name: db", b'name: "\\e[31mred\\n"'))
    assert b"\x1b" not in me.ok("inspect", "a.yaml").out
    err = me.fails(5, "decrypt", "a.yaml")
    assert "\x1b" not in err


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_a_file_name_that_is_no_utf_8_is_no_obstacle(me: Person, locale: str) -> None:
    name = b"\xff.yaml"
    os.rename(me.write_sealed("a.yaml"), os.fsencode(me.work) + b"/" + name)
    for command in ("verify", "inspect", "decrypt"):
        assert me.ok(command, name, LC_ALL=locale).err == ""
        assert ERROR.fullmatch(me.run(command, b"absent-\xff.yaml", LC_ALL=locale).err)


def test_a_name_that_the_outputs_encoding_lacks_is_no_obstacle(me: Person) -> None:
    os.rename(me.write_sealed("a.yaml"), me.work / "ü.yaml")
    for command in ("verify", "inspect", "decrypt"):
        me.ok(command, "ü.yaml", PYTHONIOENCODING="ascii")


def test_values_are_in_no_output_of_either(me: Person) -> None:
    me.write_sealed("a.yaml")
    for words in (("inspect",), ("inspect", "--json"), ("verify",)):
        out = me.ok(*words, "a.yaml").out.decode()
        assert not any(mark in out for mark in [*MARKS, b64("n0t")])
