"""`ksecret edit` on files that SOPS sealed: in turns with the real sops, of every kind, only what was meant."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MARK
from tests.e2e.editing import MEMORY, Writer, another_key, me
from tests.sops_support import sops

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["me"]  # a fixture, for pytest to find here

pytestmark = pytest.mark.skipif(not os.path.isdir(MEMORY), reason="this system has no memory file system")

FILES = {
    "values.yaml": f"# of the database\ndb:\n    user: admin\n    password: {MARK}\n    port: 5432\n",
    "app.json": f'{{\n\t"db": {{\n\t\t"user": "admin",\n\t\t"password": "{MARK}"\n\t}}\n}}\n',
    "app.env": f"# of the database\nUSER=admin\nPASSWORD={MARK}\n",
    "app.ini": f"; of the database\n[db]\nuser     = admin\npassword = {MARK}\n",
    "licence.key": f"admin {MARK}\n",
}


def sealed(me: Writer, name: str, *options: str) -> Path:
    path = me.work / name
    path.write_text(FILES[name])
    done = sops("encrypt", "-i", "--age", me.ref.removeprefix("age:"), *options, path)
    assert not done.returncode, done.stderr.decode()
    return path


def by_sops(me: Writer, *words: str | Path) -> bytes:
    done = sops(*words, identities=(me.identity,))
    assert not done.returncode, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_every_kind_is_edited_and_sops_opens_it(me: Writer, name: str) -> None:
    path = sealed(me, name)
    before = path.read_bytes()
    me.editor('cp "$1" "$NOTES/shown"; basename "$1" > "$NOTES/name"')
    assert "nothing changed" in me.run("edit", name).err
    assert path.read_bytes() == before
    shown = "".join(line for line in me.note("shown").splitlines(True) if not line.startswith("# ksecret:"))
    assert shown == FILES[name]
    assert me.note("name") == f"{name}\n"
    me.editor('sed -i s/admin/root/ "$1"')
    me.ok("edit", name)
    assert by_sops(me, "decrypt", path) == FILES[name].replace("admin", "root").encode()
    lines = path.read_bytes().splitlines()
    assert sum(line not in before.splitlines() for line in lines) in (2, 3)  # the value, the MAC, its time
    assert len(lines) == len(before.splitlines())


def test_ten_edits_of_both_in_turn_open_in_both(me: Writer) -> None:
    path = sealed(me, "values.yaml")
    for turn in range(5):
        me.editor(f"""sed -i -e 's/user: .*/user: ours {turn}/' -e '/port/a\\    new{turn}: {MARK}' "$1" """)
        me.ok("edit", "values.yaml")
        by_sops(me, "set", path, '["db"]["password"]', f'"theirs {turn}"')
        by_sops(me, "set", path, f'["theirs{turn}"]["deep"]', "true")
    clear = me.ok("decrypt", "values.yaml").out
    assert clear == by_sops(me, "decrypt", path)
    for line in (
        "# of the database",
        "    user: ours 4",
        "    password: theirs 4",
        f"    new0: {MARK}",
        "    deep: true",
    ):
        assert f"{line}\n".encode() in clear


def test_what_is_emptied_or_broken_is_not_written(me: Writer) -> None:
    path = sealed(me, "values.yaml")
    before = path.read_bytes()
    for script, code, said in (
        (': > "$1"', 3, "everything was deleted"),
        ("""sed -i 's/port: .*/1: x/' "$1" """, 3, "values.yaml (as edited):9: a key that is no text"),
        ("""printf 'sops: {}\\n' >> "$1" """, 3, "a member sops stands in it"),
        ("exit 3", 7, "ended with code 3"),
    ):
        me.editor(script)
        assert said in me.fails(code, "edit", "values.yaml")
        assert path.read_bytes() == before


def test_a_value_that_would_fall_out_of_the_rule_is_refused_unless_one_says_so(me: Writer) -> None:
    path = sealed(me, "values.yaml", "--encrypted-regex", "^pass")
    before = path.read_bytes()
    me.editor('sed -i s/password:/kennwort:/ "$1"')
    assert "stays in the clear, holds the sealed value of db.password" in me.fails(3, "edit", "values.yaml")
    me.editor('sed -i "s/^    password/    # password/" "$1"')
    assert "a line that held a sealed value is a comment now" in me.fails(3, "edit", "values.yaml")
    assert path.read_bytes() == before
    me.ok("edit", "--allow-repeated", "values.yaml")
    assert f"# password: {MARK}".encode() in path.read_bytes()


def test_edit_rotates_and_prints_and_leaves_keys_to_the_command_for_them(me: Writer) -> None:
    path = sealed(me, "app.env")
    before = path.read_bytes()
    me.editor("true")
    me.ok("edit", "--rotate", "app.env")
    tokens = re.findall(rb"ENC\[[^]]*\]", path.read_bytes())
    assert not set(tokens) & set(re.findall(rb"ENC\[[^]]*\]", before))
    assert by_sops(me, "decrypt", path).decode() == FILES["app.env"]
    assert "keys add and keys remove" in me.fails(2, "edit", "-k", f"+{another_key()}", "app.env")
    me.editor('sed -i s/admin/root/ "$1"')
    printed = me.ok("edit", "-o", "-", "app.env").out
    assert b"USER=ENC[" in printed
    assert printed != path.read_bytes()


def test_of_an_altered_file_nothing_is_shown_unless_somebody_vouches(me: Writer) -> None:
    path = sealed(me, "values.yaml")
    path.write_bytes(re.sub(rb'(lastmodified: "20)..', rb"\g<1>11", path.read_bytes()))
    me.editor('cp "$1" "$NOTES/shown"')
    assert "altered" in me.fails(5, "edit", "values.yaml")
    assert not (me.notes / "shown").exists()
    me.ok("edit", "--recompute-mac", "--yes", "values.yaml")
    assert by_sops(me, "decrypt", path).decode() == FILES["values.yaml"]


def test_a_new_file_is_sealed_as_sops_yaml_says(me: Writer) -> None:
    me.write(".sops.yaml", f"creation_rules: [{{age: {me.ref.removeprefix('age:')}}}]\n".encode())
    me.editor(f"""sed -i 's/stringData:/&\\n  password: {MARK}/' "$1" """)
    me.ok("edit", "-f", "new.yaml")
    assert f"password: {MARK}".encode() in by_sops(me, "decrypt", me.work / "new.yaml")
    me.editor(f'echo "PASSWORD={MARK}" >> "$1"')
    me.ok("edit", "-f", "new.env")
    assert by_sops(me, "decrypt", me.work / "new.env") == f"PASSWORD={MARK}\n".encode()
    me.editor("true")
    assert "nothing changed" in me.run("edit", "-f", "none.env").err
    assert not (me.work / "none.env").exists()
