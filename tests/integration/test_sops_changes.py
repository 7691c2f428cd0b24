"""Changes of files that SOPS sealed: the real sops opens them, goes on with them, and only what changed differs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import AlreadySealedError, AlteredError, InputError, UsageError
from secretsvc.keyref import KeyRef, KeysetChange
from secretsvc.operations import documents
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.documents import keysets
from secretsvc.operations.request import ANY_TIME, Changes, Request
from secretsvc.operations.rotate import overdue
from tests.sops_support import IDENTITY, NOW, RECIPIENT, by_sops, changed_keys, sops

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.gpg_home import GpgHome

KEYRING = Backends(Settings({"KSECRET_AGE_KEY": IDENTITY, "XDG_CONFIG_HOME": "/nonexistent"}, lambda _: None))
OTHER = str(pyrage.x25519.Identity.generate().to_public())
VALUES = """\
# of the database
db:
  user: admin   # inline
  port: 5432
  hosts: [a, b]
  pem: |
    one
    two
  ratio: 1.5
more:
- x
- y: z
"""
SECRET = "kind: Secret\nmetadata:\n  name: app\ndata:\n  password: eA==\nstringData:\n  user: me\n"


def request(change: KeysetChange | None = None) -> Request:
    return Request(change or KeysetChange((), (), ()), lambda *_: (), "", NOW, rotate_before=ANY_TIME)


@pytest.fixture
def theirs(tmp_path: Path) -> bytes:
    """A file that the real sops sealed."""
    path = tmp_path / "values.yaml"
    path.write_text(VALUES)
    return by_sops(path)


def tree(data: bytes) -> documents.SealedTree:
    found = documents.find(data)
    assert found
    return found


def set_(data: bytes, **values: bytes | None) -> bytes:
    named = {word.replace("__", "."): value for word, value in values.items()}
    return document_changes.set_values(tree(data), Changes(named), request(), KEYRING).data


def in_sops(data: bytes, tmp_path: Path) -> bytes:
    (tmp_path / "made.yaml").write_bytes(data)
    done = sops("decrypt", tmp_path / "made.yaml")
    assert not done.returncode, done.stderr.decode()
    return done.stdout


def changed_lines(before: bytes, after: bytes) -> list[bytes]:
    old = before.splitlines()
    return [line.split(b":")[0].strip() for line in after.splitlines() if line not in old]


def test_a_changed_value_changes_its_line_and_the_mac_and_its_time(theirs: bytes, tmp_path: Path) -> None:
    made = set_(theirs, db__user=b"root", db__port=b"6543")
    assert changed_lines(theirs, made) == [b"user", b"port", b"lastmodified", b"mac"]
    clear = in_sops(made, tmp_path)
    assert b"user: root" in clear
    assert b"port: 6543\n" in clear  # a number, as it was
    assert set_(made, db__user=b"root").count(b"\n") == made.count(b"\n")
    assert b'port: "x"' in in_sops(set_(made, db__port=b"x"), tmp_path) or b"port: x" in in_sops(
        set_(made, db__port=b"x"), tmp_path
    )


def test_values_come_and_go_wherever_they_stand(theirs: bytes, tmp_path: Path) -> None:
    made = set_(theirs, db__new=b"fresh", a__b__c=b"deep", db__pem=b"one\nthree\n", db__ratio=None)
    for values in ({"db.hosts[2]": b"c", "more[2]": b"w"}, {"db.hosts[0]": None, "more[0]": None, "more[2]": None}):
        made = document_changes.set_values(tree(made), Changes(values), request(), KEYRING).data
    clear = in_sops(made, tmp_path)
    for line in (b"    new: fresh\n", b"three\n", b"- b\n", b"- c\n", b"c: deep\n", b"# of the database\n"):
        assert line in clear
    assert b"ratio" not in clear
    assert b"- a\n" not in clear
    assert b"- x\n" not in clear
    assert b"- w\n" not in clear
    assert documents.open_file(tree(made), KEYRING).data


def test_an_entry_of_a_secret_is_set_as_in_every_secret(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SECRET)
    made = set_(by_sops(path, "--encrypted-regex", "^(data|stringData)$"), password=b"new", user=b"you", more=b"m")
    clear = in_sops(made, tmp_path)
    assert b"password: bmV3\n" in clear
    assert b"user: you\n" in clear
    assert b"more: m\n" in clear
    assert b"ENC[" in re.findall(rb"(?m)^ +more: .*$", made)[0]


def test_a_rotated_file_has_another_data_key_and_no_token_of_the_old(theirs: bytes, tmp_path: Path) -> None:
    made = document_changes.rotate(tree(theirs), request(), KEYRING).data
    tokens = set(re.findall(rb"ENC\[[^]]*\]", theirs))
    assert not tokens & set(re.findall(rb"ENC\[[^]]*\]", made))
    assert in_sops(made, tmp_path) == in_sops(theirs, tmp_path)
    assert documents.data_key(tree(made).metadata, KEYRING) != documents.data_key(tree(theirs).metadata, KEYRING)


def test_who_is_added_opens_and_who_is_taken_away_has_no_part_in_what_comes(theirs: bytes, tmp_path: Path) -> None:
    other = KeyRef("age", OTHER)
    added = changed_keys(tree(theirs), request(KeysetChange((), (other,), ())), KEYRING).data
    assert in_sops(added, tmp_path) == in_sops(theirs, tmp_path)
    assert re.findall(rb"ENC\[[^]]*\]", added) == re.findall(rb"ENC\[[^]]*\]", theirs)  # the MAC too
    assert [str(key.ref) for key in tree(added).metadata.keys] == [f"age:{RECIPIENT}", f"age:{OTHER}"]
    metadata = tree(added).metadata
    planned = keysets.key_changes(metadata, keysets.by_change(metadata, KeysetChange((), (), (other,))))
    assert planned == [("a tree", f"age:{OTHER}", False)]
    taken = changed_keys(tree(added), request(KeysetChange((), (), (other,))), KEYRING).data
    assert OTHER.encode() not in taken
    assert documents.data_key(tree(taken).metadata, KEYRING) != documents.data_key(tree(theirs).metadata, KEYRING)
    assert in_sops(taken, tmp_path) == in_sops(theirs, tmp_path)
    rewrapped = document_changes.rewrap(tree(added), NOW, KEYRING).data
    assert re.findall(rb"ENC\[[^]]*\]", rewrapped) == re.findall(rb"ENC\[[^]]*\]", theirs)
    assert in_sops(rewrapped, tmp_path) == in_sops(theirs, tmp_path)


def test_ten_edits_of_both_in_turn_open_in_both(theirs: bytes, tmp_path: Path) -> None:
    path = tmp_path / "turns.yaml"
    path.write_bytes(theirs)
    for turn in range(5):
        path.write_bytes(set_(path.read_bytes(), db__user=f"ours {turn}".encode()))
        done = sops("set", path, '["db"]["pem"]', f'"theirs {turn}"')
        assert not done.returncode, done.stderr.decode()
    clear = documents.open_file(tree(path.read_bytes()), KEYRING).data
    assert b"user: ours 4" in clear
    assert b"theirs 4" in clear
    assert documents.get_value(tree(path.read_bytes()), "db.user", KEYRING).data == b"ours 4"


def test_nothing_is_written_of_a_file_whose_mac_does_not_fit_and_nobody_vouches(theirs: bytes) -> None:
    broken = re.sub(rb'(lastmodified: "20)..', rb"\g<1>11", theirs)
    for change in (
        lambda: set_(broken, db__user=b"x"),
        lambda: document_changes.rotate(tree(broken), request(), KEYRING),
        lambda: document_changes.rewrap(tree(broken), NOW, KEYRING),
        lambda: changed_keys(tree(broken), request(KeysetChange((), (KeyRef("age", OTHER),), ())), KEYRING),
    ):
        with pytest.raises(AlteredError, match="its MAC, or the time beside it, was altered"):
            change()
    vouched = request()._replace(trust=lambda _: True)
    made = document_changes.set_values(tree(broken), Changes({"db.user": b"x"}), vouched, KEYRING).data
    assert documents.open_file(tree(made), KEYRING).data


def test_slips_are_told_of_before_a_key_is_used(theirs: bytes) -> None:
    nobody = Backends(Settings({"XDG_CONFIG_HOME": "/nonexistent"}, lambda _: None))
    with pytest.raises(InputError, match=r"it has no such value: did you mean db\.user\?"):
        document_changes.set_values(tree(theirs), Changes({"db.usr": None}), request(), nobody)
    with pytest.raises(UsageError, match="a tree that SOPS's format seals"):
        document_changes.set_values(tree(theirs), Changes({"db.user": b"x"}), request(), nobody, "prod/db")
    for word in ("sops.mac", "[", "sops"):
        with pytest.raises(UsageError, match="no path"):
            document_changes.set_values(tree(theirs), Changes({word: b"x"}), request(), KEYRING)
    with pytest.raises(InputError, match="in the way"):
        document_changes.set_values(tree(theirs), Changes({"db.user.x": b"x"}), request(), KEYRING)


def test_a_key_that_nothing_here_wraps_with_keeps_a_file_from_being_rotated(theirs: bytes) -> None:
    entry = b'    hckms:\n        - key_id: "region:1"\n          enc: "x"\n'
    held = theirs.replace(b"sops:\n", b"sops:\n" + entry)
    assert documents.open_file(tree(held), KEYRING).data
    with pytest.raises(InputError, match="hckms:region:1: a key of a kind"):
        document_changes.rotate(tree(held), request(), KEYRING)
    made = set_(held, db__user=b"x")
    assert entry in made


def test_what_is_wrapped_to_a_pgp_key_is_unsigned_so_that_who_lacks_the_signers_key_opens_it(
    tmp_path: Path, new_home: Callable[[], GpgHome]
) -> None:
    mine, theirs_home = new_home(), new_home()
    me, them = mine.make_pair("Me <me@example.org>"), theirs_home.make_pair("Them <them@example.org>")
    mine.learn(theirs_home)  # and they know nothing of me
    path = tmp_path / "pgp.yaml"
    path.write_text(VALUES)
    done = sops("encrypt", "-i", "--pgp", f"{them},{me}", path, GNUPGHOME=mine.path)
    assert not done.returncode, done.stderr.decode()
    keyring = Backends(Settings(mine.environ, lambda _: None))
    made = document_changes.rotate(tree(path.read_bytes()), request(), keyring).data
    path.write_bytes(made)
    for home in (mine, theirs_home):
        done = sops("decrypt", path, identities=(), GNUPGHOME=home.path)
        assert not done.returncode, done.stderr.decode()
        assert b"user: admin" in done.stdout
        opened = documents.open_file(tree(made), Backends(Settings(home.environ, lambda _: None)))
        assert b"user: admin" in opened.data


KINDS = {
    "a.json": (b'{\n\t"a": "x",\n\t"n": 1,\n\t"l": [\n\t\t"y"\n\t]\n}\n', "l[0]", b'"new"'),
    "a.env": (b"# c\nA=x\nB=y\n", "B", b"B=new\n"),
    "a.ini": (b"[s]\nb = x\nc = y\n", "s.c", b"= new\n"),
    "a.bin": (b"\xff\x00any bytes", "data", b"new"),
}


@pytest.mark.parametrize("name", KINDS)
def test_files_of_every_kind_change_and_sops_opens_them(name: str, tmp_path: Path) -> None:
    text, path, line = KINDS[name]
    file = tmp_path / name
    file.write_bytes(text)
    theirs = by_sops(file)
    held = documents.find(theirs, name)
    assert held
    made = document_changes.set_values(held, Changes({path: b"new"}), request(), KEYRING).data
    again = documents.find(made, name)
    assert again
    rotated = document_changes.rotate(again, request(), KEYRING).data
    for data in (made, rotated):
        file.write_bytes(data)
        done = sops("decrypt", file)
        assert not done.returncode, done.stderr.decode()
        assert line in done.stdout


def test_a_file_of_key_groups_keeps_its_groups_and_its_threshold(tmp_path: Path) -> None:
    keys = [pyrage.x25519.Identity.generate() for _ in range(3)]
    groups = [{"age": [str(key.to_public())]} for key in keys]
    (tmp_path / ".sops.yaml").write_text(
        json.dumps({"creation_rules": [{"key_groups": groups, "shamir_threshold": 2}]})
    )
    file = tmp_path / "groups.yaml"
    file.write_text(VALUES)
    done = sops("encrypt", "-i", file, cwd=tmp_path)
    assert not done.returncode, done.stderr.decode()
    two = {"KSECRET_AGE_KEY": "\n".join(map(str, keys[1:])), "XDG_CONFIG_HOME": "/nonexistent"}
    keyring = Backends(Settings(two, lambda _: None))
    made = document_changes.set_values(tree(file.read_bytes()), Changes({"db.user": b"x"}), request(), keyring).data
    for data in (
        made,
        document_changes.rotate(tree(made), request(), keyring).data,
        document_changes.rewrap(tree(made), NOW, keyring).data,
    ):
        file.write_bytes(data)
        for pair in ((0, 1), (0, 2), (1, 2)):
            done = sops("decrypt", file, identities=tuple(str(keys[at]) for at in pair))
            assert not done.returncode, done.stderr.decode()
            assert b"user: x" in done.stdout
        assert sops("decrypt", file, identities=(str(keys[0]),)).returncode == 128
    with pytest.raises(InputError, match="split among 3 groups"):
        changed_keys(tree(made), request(KeysetChange((), (KeyRef("age", OTHER),), ())), keyring)


def test_a_data_key_is_as_old_as_its_oldest_entry_tells(
    theirs: bytes, tmp_path: Path, new_home: Callable[[], GpgHome]
) -> None:
    gpg_home = new_home()
    fingerprint = gpg_home.make_pair("Me <me@example.org>")
    file = tmp_path / "pgp.yaml"
    file.write_text(VALUES)
    done = sops("encrypt", "-i", "--pgp", fingerprint, file, GNUPGHOME=gpg_home.path)
    assert not done.returncode, done.stderr.decode()
    dated = tree(file.read_bytes())
    stated = re.findall(rb'created_at: "(.*)"', dated.document.data)[0].decode()
    assert overdue(dated.document.data, stated) == []
    assert [made for _, made in overdue(dated.document.data, f"{stated}~")] == [stated]
    keyring = Backends(Settings(gpg_home.environ, lambda _: None))
    with pytest.raises(AlreadySealedError, match="not that old"):
        document_changes.rotate(dated, request()._replace(rotate_before=stated), keyring)
    assert overdue(theirs, "2000") == [("a tree", "")]  # age's entries tell no time
