"""`ksecret edit` says on top who will be able to read: each Secret, groups, trees of SOPS. Nothing of it is written."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from secretsvc.keyref import KeyGroups
from tests.e2e.cli import MANIFEST, MARK, PASSWORD, Person, b64
from tests.e2e.editing import MEMORY, Writer, me
from tests.sops_support import sops

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["me"]  # a fixture, for pytest to find here

pytestmark = pytest.mark.skipif(not os.path.isdir(MEMORY), reason="this system has no memory file system")

TWO = MANIFEST + b"---\n" + MANIFEST.replace(b"name: db", b"name: web")
CHANGES_ONE = f"""cp "$1" "$NOTES/shown"; sed -i '0,/{PASSWORD}/s//{PASSWORD}-2/' "$1" """


def with_policy(me: Writer) -> Person:
    """A policy that names me and Ann, who is given back."""
    ann = Person(me.home, "ann")
    me.write(".ksecret.yaml", f"version: 1\npeople: {{me: {me.ref}, ann: {ann.ref}}}\n".encode())
    return ann


def header(me: Writer) -> list[str]:
    return [line[len("# ksecret: ") :] for line in me.note("shown").splitlines() if line.startswith("# ksecret: ")]


def changed(before: bytes, after: bytes) -> int:
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return sum(old != new for old, new in pairs)


def test_each_of_several_secrets_tells_who_will_read_it_by_name(me: Writer) -> None:
    ann = with_policy(me)
    both = me.lock._replace(keys=tuple(sorted(me.lock.keys + ann.lock.keys, key=str)))
    mine, ours = me.lock.seal(MANIFEST), both.seal(MANIFEST.replace(b"name: db", b"name: web"))
    path = me.write("a.yaml", mine + b"---\n" + ours)
    before = path.read_bytes()
    me.editor(CHANGES_ONE)
    me.ok("edit", "a.yaml")
    told = header(me)[2:-1]
    assert told[:2] == [
        f"Who will be able to read prod/db: me ({me.ref})",
        "Who will be able to read prod/web, each alone:",
    ]
    assert sorted(told[2:]) == sorted([f"  me ({me.ref})", f"  ann ({ann.ref})"])
    assert b"# ksecret:" not in path.read_bytes()
    assert changed(before, path.read_bytes()) == 1
    me.editor('cp "$1" "$NOTES/shown"')
    me.ok("edit", "-k", "+ann", "-o", "-", "a.yaml")
    assert header(me)[2] == "Who will be able to read all of it, each alone:"


def test_lines_of_the_header_that_were_moved_land_in_no_file(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    me.editor(f"""sed -i -e '1i # mine' -e s/{PASSWORD}/{PASSWORD}-2/ "$1"; sed -n 3,4p "$1" >> "$1" """)
    me.ok("edit", "a.yaml")
    assert b"# ksecret:" not in path.read_bytes()
    assert path.read_bytes().startswith(b"# mine\n# a comment\n")
    assert me.ok("decrypt", "a.yaml").out == b"# mine\n" + MANIFEST.replace(
        b64(PASSWORD).encode(), b64(f"{PASSWORD}-2").encode()
    )


def test_a_new_file_says_who_will_read_it(me: Writer) -> None:
    ann = with_policy(me)
    me.write(".ksecret.yaml", (me.work / ".ksecret.yaml").read_bytes() + b"rules: [{keys: [me, ann]}]\n")
    me.editor('cp "$1" "$NOTES/shown"; printf "  a: b\\n" >> "$1"')
    me.ok("edit", "-f", "new.yaml")
    assert {f"  me ({me.ref})", f"  ann ({ann.ref})"} <= set(header(me))


def test_a_file_without_comments_has_it_told_beside(me: Writer) -> None:
    with_policy(me)
    clear = '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"a": "b"}}\n'
    path = me.write_sealed("a.json", clear.encode(), "-k", "me")
    me.editor('cp "$1" "$NOTES/shown"; sed -i "s/\\"b\\"/\\"c\\"/" "$1"')
    ran = me.ok("edit", "a.json")
    assert f"ksecret: a.json: Who will be able to read it: me ({me.ref})\n" in ran.err
    assert me.note("shown") == clear
    assert me.ok("decrypt", path.name).out.decode() == clear.replace('"b"', '"c"')


def test_groups_of_keys_are_told_and_stay_also_for_a_new_secret_beside(me: Writer) -> None:
    ann = with_policy(me)
    (me.home / "ksecret/age.key").write_text(f"{me.identity}\n{ann.identity}\n")
    lock = me.lock._replace(keys=KeyGroups([me.lock.keys, ann.lock.keys], 2))
    path = me.write("a.yaml", lock.seal(MANIFEST))
    new = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: new\nstringData:\n  a: {MARK}\n"
    (me.home / "new").write_text(f"---\n{new}")
    me.editor(f'cp "$1" "$NOTES/shown"; cat {me.home}/new >> "$1"')
    before = path.read_bytes()
    me.ok("edit", "a.yaml")
    told = header(me)[2:-1]
    assert told[0] == "Who will be able to read it, keys of 2 of these 2 groups together:"
    assert told[1:] == ["  group 1:", f"    me ({me.ref})", "  group 2:", f"    ann ({ann.ref})"]
    assert path.read_bytes().startswith(before)
    assert b"threshold" in path.read_bytes()[len(before) :]
    assert path.read_bytes()[len(before) :].count(ann.ref.encode()) == 1
    assert new.encode() not in path.read_bytes()
    assert new.encode() in me.ok("decrypt", "a.yaml").out


def in_groups(me: Writer, ann: Person, name: str, clear: str) -> Path:
    """A file that sops itself sealed, its data key split among my group and Ann's."""
    groups = f"[{{age: [{me.ref[4:]}]}}, {{age: [{ann.ref[4:]}]}}]"
    me.write(".sops.yaml", f"creation_rules: [{{shamir_threshold: 2, key_groups: {groups}}}]\n".encode())
    path = me.write(name, clear.encode())
    done = sops("--config", me.work / ".sops.yaml", "encrypt", "-i", path, cwd=me.work)
    assert done.returncode == 0, done.stderr.decode()
    return path


@pytest.mark.parametrize(
    ("name", "clear"),
    [
        ("values.yaml", f"a: first {MARK}\n---\n# of the second\nb:\n    - admin\n    - {MARK}\n"),
        ("app.json", f'{{\n\t"a": "admin",\n\t"b": "{MARK}"\n}}\n'),
        ("app.env", f"A=admin\nB={MARK}\n"),
        ("app.ini", f"[db]\na = admin\nb = {MARK}\n"),
    ],
)
def test_trees_of_sops_in_groups_and_several_documents_are_edited_and_sops_opens_them(
    me: Writer, name: str, clear: str
) -> None:
    ann = with_policy(me)
    (me.home / "ksecret/age.key").write_text(f"{me.identity}\n{ann.identity}\n")
    path = in_groups(me, ann, name, clear)
    before = path.read_bytes()
    me.editor('cp "$1" "$NOTES/shown"; sed -i s/admin/root/ "$1"')
    ran = me.ok("edit", name)
    told = ran.err if name.endswith(".json") else "\n".join(header(me))
    assert "Who will be able to read it, keys of 2 of these 2 groups together:" in told
    assert f"me ({me.ref})" in told
    assert f"ann ({ann.ref})" in told
    after = path.read_bytes()
    assert b"# ksecret:" not in after
    proofs = rb"(?m)^.*(?:lastmodified|mac\b).*\n"  # the MAC and its time, in each document
    assert changed(re.sub(proofs, b"", before), re.sub(proofs, b"", after)) == 1
    assert re.findall(rb"shamir_threshold\D+2", after)
    done = sops("decrypt", path, identities=(me.identity, ann.identity))
    assert done.stdout.decode() == clear.replace("admin", "root"), done.stderr.decode()
