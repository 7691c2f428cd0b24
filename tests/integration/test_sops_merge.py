"""Merges of files that SOPS sealed, value by value: what comes out, the real sops opens."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.cli.main import main
from secretsvc.errors import NoKeyError
from secretsvc.formats.sops.sealing import named
from secretsvc.keyref import KeyRef, KeysetChange
from secretsvc.operations import documents
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.documents.keysets import by_change
from secretsvc.operations.documents.merge import Tools, merge_files
from secretsvc.operations.request import ANY_TIME, Changes, Request
from secretsvc.programs.git import merge_hunks, merge_lines
from tests.sops_support import IDENTITY, RECIPIENT, by_sops, home, sops  # noqa: F401 - `home` for every test
from tests.sops_support import sealed as sealed_by_us

if TYPE_CHECKING:
    from pathlib import Path

    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.merge import Outcome

KEYRING = Backends(Settings({"KSECRET_AGE_KEY": IDENTITY, "XDG_CONFIG_HOME": "/nonexistent"}, lambda _: None))
YAML = "values.yaml"
OTHERS = tuple(KeyRef("age", str(pyrage.x25519.Identity.generate().to_public())) for _ in range(2))
THIRD = KeyRef("age", str(pyrage.x25519.Identity.generate().to_public()))
LATER = "2026-05-06T07:08:09Z"
CLEAR = {
    "values.yaml": "# of it\ndb:\n  user: admin   # inline\n  port: 5432\n  hosts:\n  - a\n  - b\n  last: z\n",
    "values.json": '{\n\t"db": {\n\t\t"user": "admin",\n\t\t"port": 5432,\n\t\t"last": "z"\n\t}\n}\n',
    "app.env": "# of it\nUSER=admin\nPORT=5432\nLAST=z\n",
    "app.ini": "[db]\nuser = admin\nport = 5432\nlast = z\n",
}
NAMES = {
    "values.yaml": ("db.user", "db.port", "db.last", "db.new", "db.other"),
    "values.json": ("db.user", "db.port", "db.last", "db.new", "db.other"),
    "app.env": ("USER", "PORT", "LAST", "NEW", "OTHER"),
    "app.ini": ("db.user", "db.port", "db.last", "db.new", "db.other"),
}


def no_keyring() -> Keyring:
    raise NoKeyError("none of its keys is here")


@pytest.fixture(params=CLEAR)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def base(name: str, tmp_path: Path) -> bytes:
    return sealed(name, tmp_path)


def sealed(name: str, tmp_path: Path, clear: str = "") -> bytes:
    path = tmp_path / name
    path.write_text(clear or CLEAR[name])
    return by_sops(path)


def set_(sealed_text: bytes, name: str, /, **values: str | None) -> bytes:
    """With these values, given by their number's word in NAMES, or by their paths with `__` for a point."""
    tree = documents.find(sealed_text, name)
    assert tree
    words = {word.replace("__", "."): value.encode() if value is not None else None for word, value in values.items()}
    return document_changes.set_values(tree, Changes(words), request(), KEYRING).data


def merged(base: bytes, ours: bytes, theirs: bytes, name: str, *, key: bool = True) -> Outcome:
    tools = Tools(merge_lines, merge_hunks, (lambda: KEYRING) if key else no_keyring, LATER)
    return merge_files(base, ours, theirs, name, tools)


def in_sops(data: bytes, name: str, tmp_path: Path) -> str:
    (tmp_path / f"made-{name}").write_bytes(data)
    done = sops("decrypt", tmp_path / f"made-{name}")
    assert not done.returncode, done.stderr.decode()
    return done.stdout.decode()


def test_values_side_by_side_are_merged_and_sops_opens_it(base: bytes, name: str, tmp_path: Path) -> None:
    user, port, last, new, other = NAMES[name]
    ours = set_(base, name, **{user: "root", new: "mine"})
    theirs = set_(base, name, **{port: "1", last: None, other: "yours"})
    outcome = merged(base, ours, theirs, name)
    assert outcome.conflicts == []
    clear = in_sops(outcome.data, name, tmp_path)
    assert [word in clear for word in ("root", "5432", "mine", "yours", "admin")] == [True, False, True, True, False]
    assert "z" not in clear.replace("yours", "")
    tokens = {line for line in outcome.data.splitlines() if b"ENC[" in line and b"mac" not in line}
    assert len(tokens - {*ours.splitlines(), *theirs.splitlines()}) <= 1  # a comma of JSON's beside it


def request() -> Request:
    return Request(KeysetChange((), (), ()), lambda *_: (), "", LATER, rotate_before=ANY_TIME)


def with_keys(data: bytes, add: tuple[KeyRef, ...] = (), remove: tuple[KeyRef, ...] = ()) -> bytes:
    """Without a new data key, unless one goes."""
    tree = documents.find(data, YAML)
    assert tree
    return document_changes.change_keys(
        tree, by_change(tree.metadata, KeysetChange((), add, remove)), request(), KEYRING
    ).data


def rotated(data: bytes) -> bytes:
    tree = documents.find(data, YAML)
    assert tree
    return document_changes.rotate(tree, request(), KEYRING).data


def recipients(data: bytes) -> list[str]:
    tree = documents.find(data, YAML)
    assert tree
    return [key.ref.id for key in tree.metadata.keys]


@pytest.fixture
def yaml(tmp_path: Path) -> bytes:
    return sealed(YAML, tmp_path)


@pytest.mark.parametrize("key", [True, False])
def test_keys_of_both_sides_are_a_set_and_values_of_the_other_side_need_no_new_mac(
    yaml: bytes, key: bool, tmp_path: Path
) -> None:
    ours = with_keys(yaml, (OTHERS[0],))
    both = merged(yaml, ours, with_keys(yaml, (OTHERS[1],)), YAML, key=key)
    assert both.conflicts == []
    assert recipients(both.data) == [RECIPIENT, OTHERS[0].id, OTHERS[1].id]
    theirs = set_(yaml, YAML, db__port="1")
    values = merged(yaml, ours, theirs, YAML, key=key)
    assert values.conflicts == []
    assert recipients(values.data) == [RECIPIENT, OTHERS[0].id]
    assert next(line for line in values.data.splitlines() if b"mac:" in line) in theirs
    assert "port: 1" in in_sops(values.data, YAML, tmp_path)


def test_a_side_with_a_new_data_key_and_one_with_new_values(yaml: bytes, tmp_path: Path) -> None:
    theirs = set_(yaml, YAML, db__port="1")
    for sides in ((rotated(yaml), theirs), (theirs, rotated(yaml)), (rotated(theirs), rotated(yaml))):
        outcome = merged(yaml, *sides, YAML)
        assert outcome.conflicts == []
        assert in_sops(outcome.data, YAML, tmp_path).count("port: 1\n") == 1
        alone = merged(yaml, *sides, YAML, key=False)
        assert "merged line by line, not value by value: its sides have different data keys" in alone.conflicts[-1]
        assert b"<<<<<<<" in alone.data


def test_nobody_whom_a_side_took_away_knows_the_data_key_that_comes_out(yaml: bytes, tmp_path: Path) -> None:
    base = with_keys(yaml, OTHERS)
    ours, theirs = (with_keys(base, (), (one,)) for one in OTHERS)
    outcome = merged(base, ours, theirs, YAML)
    assert outcome.conflicts == []
    assert recipients(outcome.data) == [RECIPIENT]
    found = [documents.find(data, YAML) for data in (base, ours, theirs, outcome.data)]
    deks = {documents.data_key(tree.metadata, KEYRING) for tree in found if tree}
    assert len(deks) == 4
    in_sops(outcome.data, YAML, tmp_path)


def test_a_key_that_a_branch_added_gets_no_other_data_key_by_a_merge(yaml: bytes) -> None:
    """Whoever opens a merge request can write a key into the list, and needs none for it."""
    ours, theirs = rotated(yaml), with_keys(yaml, (THIRD,))
    for sides in ((ours, theirs), (theirs, ours)):
        outcome = merged(yaml, *sides, YAML)
        assert f"age:{THIRD.id} was added, under another data key" in outcome.conflicts[-1]
        assert b"<<<<<<<" in outcome.data


def test_one_value_on_both_sides_is_no_conflict_with_a_key_and_another_one_is(yaml: bytes, tmp_path: Path) -> None:
    ours, theirs = set_(yaml, YAML, db__user="root"), set_(yaml, YAML, db__user="root", db__port="1")
    outcome = merged(yaml, ours, theirs, YAML)
    assert outcome.conflicts == []
    assert "user: root" in in_sops(outcome.data, YAML, tmp_path)
    for key in (True, False):
        other = merged(yaml, ours, set_(yaml, YAML, db__user=None), YAML, key=key)
        assert other.conflicts[0] == "1 marked with <<<<<<<"
        assert b"<<<<<<< ours\n    user: ENC[" in other.data
        assert b"=======\n>>>>>>> theirs" in other.data


def test_neighbours_that_come_and_go_on_both_sides_are_no_conflict(base: bytes, name: str, tmp_path: Path) -> None:
    user, port, last, new, other = NAMES[name]
    ours, theirs = set_(base, name, **{user: None, new: "mine"}), set_(base, name, **{port: None, other: "yours"})
    outcome = merged(base, ours, theirs, name)
    assert outcome.conflicts == []
    tree = documents.find(outcome.data, name)
    assert tree
    paths = [path for path in documents.paths(tree) if "hosts" not in path]
    assert sorted(paths) == sorted((last, new, other))
    in_sops(outcome.data, name, tmp_path)


def test_what_is_merged_is_what_both_sides_did_and_nothing_else() -> None:
    """Random changes on both sides: what comes out without a conflict holds each of them, and no other."""
    clean = 0
    for seed in range(24):
        draw = random.Random(seed)
        before = {f"k{number // 3}.m{number}": f"v{number}" for number in range(draw.randint(4, 9))}
        groups = {key.split(".")[0] for key in before}
        text = "".join(
            f"{group}:\n" + "".join(f"  {key[3:]}: {before[key]}\n" for key in before if key.startswith(group))
            for group in sorted(groups)
        )
        base = sealed_by_us(text.encode())
        sides = []
        for tag in ("ours", "theirs"):
            kept = [key for key in before if key[-1] not in "036"]  # no mapping is emptied
            changes: dict[str, str | None] = {
                key: f"{tag}{draw.randint(0, 9)}" for key in before if draw.random() < 0.2
            }
            changes |= {key: None for key in kept if draw.random() < 0.2}
            changes |= {f"k0.{tag}{number}": "new" for number in range(draw.randint(0, 2))}
            sides.append(changes or {"k0.m0": tag})
        ours, theirs = sides
        outcome = merged(base, set_(base, YAML, **ours), set_(base, YAML, **theirs), YAML)
        is_conflict = any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys())
        assert bool(outcome.conflicts) is is_conflict, seed
        if not is_conflict:
            clean += 1
            tree = documents.find(outcome.data, YAML)
            assert tree
            values = documents.open_sealed(tree, KEYRING).values
            held = {
                named(leaf.path): value.text.decode() for leaf, value in zip(tree.document.leaves, values, strict=True)
            }
            assert held == {key: value for key, value in (before | ours | theirs).items() if value is not None}
    assert clean > 5


def test_lists_are_merged_in_their_order(yaml: bytes, tmp_path: Path) -> None:
    ours = set_(yaml, YAML, **{"db.hosts[0]": None})
    theirs = set_(yaml, YAML, db__port="1", **{"db.hosts[2]": "c"})
    outcome = merged(yaml, ours, theirs, YAML)
    assert outcome.conflicts == []
    clear = in_sops(outcome.data, YAML, tmp_path)
    assert [line.strip() for line in clear.splitlines() if "- " in line] == ["- b", "- c"]
    both = merged(yaml, set_(yaml, YAML, **{"db.hosts[2]": "d"}), theirs, YAML)
    assert both.conflicts[0] == "1 marked with <<<<<<<"


def test_documents_comments_and_clear_values_are_merged_as_git_does(tmp_path: Path) -> None:
    path = tmp_path / YAML
    path.write_text("a: x\nb_unencrypted: 1\nc: y\n---\na: z\nd: w\n")
    base = by_sops(path)
    ours = set_(base, YAML, c="yy")
    theirs = set_(base, YAML, b_unencrypted="2").replace(b"\n---\n", b"\n---\n# of the second\n")
    outcome = merged(base, ours, theirs, YAML)
    assert outcome.conflicts == []
    clear = in_sops(outcome.data, YAML, tmp_path)
    assert clear.split() == [
        "a:",
        "x",
        "b_unencrypted:",
        "2",
        "c:",
        "yy",
        "---",
        "#",
        "of",
        "the",
        "second",
        "a:",
        "z",
        "d:",
        "w",
    ]
    clash = merged(base, set_(base, YAML, b_unencrypted="3"), theirs, YAML)
    assert clash.conflicts[0] == "1 marked with <<<<<<<"
    assert b"<<<<<<< ours\nb_unencrypted: 3\n=======\nb_unencrypted: 2\n>>>>>>> theirs\n" in clash.data


def test_a_file_of_any_bytes_is_one_value(tmp_path: Path) -> None:
    path = tmp_path / "blob.bin"
    path.write_bytes(b"\xff\x00one")
    base = by_sops(path)
    tree = documents.find(base, "blob.bin")
    assert tree
    theirs = document_changes.rewrap(tree, LATER, KEYRING).data
    ours = set_(base, "blob.bin", data="two")
    outcome = merged(base, ours, theirs, "blob.bin")
    assert outcome.conflicts == []
    assert in_sops(outcome.data, "blob.bin", tmp_path) == "two"
    clash = merged(base, ours, set_(base, "blob.bin", data="three"), "blob.bin")
    assert clash.conflicts[0] == "1 marked with <<<<<<<"


def test_a_side_whose_mac_does_not_fit_is_not_vouched_for(yaml: bytes) -> None:
    ours = set_(yaml, YAML, db__user="root").replace(b"db:\n", b"clear_unencrypted: true\ndb:\n")
    outcome = merged(yaml, ours, set_(yaml, YAML, db__port="1"), YAML)
    assert "its MAC can't be made: its MAC does not fit" in outcome.conflicts[-1]
    assert outcome.data.count(b"<<<<<<<") == 1


def test_a_data_key_that_is_split_among_groups_is_merged_too(tmp_path: Path) -> None:
    path = tmp_path / YAML
    path.write_text(CLEAR[YAML])
    groups = ", ".join(f"{{age: [{one}]}}" for one in (RECIPIENT, RECIPIENT, OTHERS[0].id))
    (tmp_path / "rules").write_text(f"creation_rules: [{{shamir_threshold: 2, key_groups: [{groups}]}}]\n")
    done = sops("--config", tmp_path / "rules", "encrypt", path)
    assert not done.returncode, done.stderr.decode()
    base = done.stdout
    for ours in (set_(base, YAML, db__user="root"), rotated(set_(base, YAML, db__user="root"))):
        outcome = merged(base, ours, set_(base, YAML, db__port="1"), YAML)
        assert outcome.conflicts == []
        clear = in_sops(outcome.data, YAML, tmp_path)
        assert ["user: root" in clear, "port: 1" in clear] == [True, True]


def test_rules_and_groups_that_both_changed_are_left_to_a_person(yaml: bytes) -> None:
    def ruled(rule: bytes) -> bytes:
        return yaml.replace(b"unencrypted_suffix: _unencrypted", rule)

    outcome = merged(yaml, ruled(b"encrypted_regex: db"), ruled(b"unencrypted_suffix: _clear"), YAML)
    assert outcome.conflicts[-1].endswith("both sides changed its rule")
    assert b"<<<<<<<" in outcome.data


def test_a_side_that_sops_wrote_anew_in_its_own_layout_is_merged_in_that(tmp_path: Path) -> None:
    path = tmp_path / YAML
    base = sealed_by_us(b"# of it\ndb:\n  user:   'n0t'  # inline\n\n  port: 5432\n  list: [a, b]\n")
    path.write_bytes(base)
    assert not sops("set", path, '["db"]["port"]', "1").returncode
    theirs = path.read_bytes()
    ours = set_(base, YAML, db__user="root", db__new="x")
    for sides, key in (((ours, theirs), True), ((theirs, ours), True), ((ours, theirs), False)):
        outcome = merged(base, *sides, YAML, key=key)
        assert [line for line in outcome.conflicts if "its MAC" not in line] == []
        assert bool(outcome.conflicts) is not key
        if key:
            clear = in_sops(outcome.data, YAML, tmp_path)
            assert [word in clear for word in ("user: root", "port: 1", "new: x", "# inline")] == [True] * 4
    clash = merged(base, set_(base, YAML, db__port="2"), theirs, YAML)
    assert clash.conflicts[0] == "1 marked with <<<<<<<"


@pytest.mark.parametrize("words", [("decrypt",), ("set", "x=y")])
def test_a_file_with_its_mac_in_conflict_says_what_mends_it_and_is_mended(
    base: bytes, name: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user, port, *_ = NAMES[name]
    path = tmp_path / name
    path.write_bytes(
        merged(base, set_(base, name, **{user: "root"}), set_(base, name, **{port: "1"}), name, key=False).data
    )
    assert main([words[0], str(path), *words[1:]]) == 3
    said = capsys.readouterr().err
    assert "Git's conflict markers stand in it\n  ksecret verify --mend FILE settles its MAC" in said
    assert main(["verify", "--mend", "--yes", "-r", "."]) == 0
    assert "1 mended, 0 unchanged" in capsys.readouterr().err
    assert main(["verify", str(path)]) == 0
    assert "root" in in_sops(path.read_bytes(), name, tmp_path)


def test_merge_seals_a_clear_file_with_the_values_that_a_sealed_one_has(base: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(base)
    clear = CLEAR[name].replace("admin", "other").replace("last", "fresh").replace("LAST", "FRESH")
    (tmp_path / f"new-{name}").write_text(clear)
    made = tmp_path / f"merged-{name}"
    assert main(["merge", name, f"new-{name}", "-o", str(made)]) == 0
    tree, source = documents.find(made.read_bytes(), name), documents.find(base, name)
    assert tree
    assert source
    words = documents.paths(tree)
    fresh = next(word for word in words if word.lower().endswith("fresh"))
    assert documents.get_value(tree, NAMES[name][0], KEYRING).data == b"admin"
    assert documents.get_value(tree, fresh, KEYRING).data == b"z"
    tokens = {leaf.path: leaf.value.text for leaf in source.document.leaves if leaf.value.kind != "comment"}
    kept = [leaf for leaf in tree.document.leaves if tokens.get(leaf.path) == leaf.value.text]
    assert len(kept) == len(tokens) - 1
    assert "admin" in in_sops(made.read_bytes(), name, tmp_path)
    assert main(["merge", name, name]) == 3
    assert main(["merge", "-k", f"age:{OTHERS[0].id}", name, f"new-{name}"]) == 2


def test_what_is_sealed_on_one_side_only_is_merged_by_lines(yaml: bytes) -> None:
    clear = CLEAR[YAML].encode()
    outcome = merged(clear, yaml, clear.replace(b"5432", b"1"), YAML)
    assert outcome.conflicts != []
