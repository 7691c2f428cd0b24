"""Whom files of SOPS's are sealed to, by `.sops.yaml` or a command: the real sops opens them, and changes nothing."""

from __future__ import annotations

import json
import os
from itertools import combinations
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.cli.main import main
from secretsvc.operations import documents
from tests.sops_support import sops

if TYPE_CHECKING:
    from pathlib import Path

KEYS = tuple(pyrage.x25519.Identity.generate() for _ in range(4))
NAMES = tuple(str(key.to_public()) for key in KEYS)
TEXT = "db:\n  password: not-a-secret\n  port: 5432\n"
FLAT = ({"age": NAMES[0]}, {"age": ",".join(NAMES[:2])}, {"age": NAMES[1]})


def groups(*members: tuple[int, ...], threshold: int = 0) -> dict[str, object]:
    """A rule with groups of these keys."""
    listed = [{"age": [NAMES[at] for at in group]} for group in members]
    return {"key_groups": listed, **({"shamir_threshold": threshold} if threshold else {})}


@pytest.fixture(autouse=True)
def _holds_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KSECRET_AGE_KEY", "\n".join(map(str, KEYS)))
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    monkeypatch.chdir(tmp_path)


def ruled(folder: Path, rule: dict[str, object]) -> None:
    (folder / ".sops.yaml").write_text(json.dumps({"creation_rules": [rule]}))


def by_sops(folder: Path, rule: dict[str, object]) -> Path:
    """A file that the real sops sealed by that rule."""
    ruled(folder, rule)
    file = folder / "v.yaml"
    file.write_text(TEXT)
    done = sops("encrypt", "-i", file, cwd=folder)
    assert not done.returncode, done.stderr.decode()
    return file


def opens(file: Path, *held: int) -> bool:
    """Whether the real sops opens it with these keys alone."""
    done = sops("decrypt", file, identities=tuple(str(KEYS[at]) for at in held))
    assert done.returncode in (0, 128), done.stderr.decode()
    return not done.returncode and b"not-a-secret" in done.stdout


def data_key(file: Path, *held: int) -> bytes:
    from secretsvc.backends.base import Settings
    from secretsvc.backends.registry import Backends

    tree = documents.find(file.read_bytes())
    assert tree
    identities = {"KSECRET_AGE_KEY": "\n".join(str(KEYS[at]) for at in held), "XDG_CONFIG_HOME": os.devnull}
    return documents.data_key(tree.metadata, Backends(Settings(identities, lambda _: None)))


def is_up_to_date(file: Path) -> bool:
    """Whether sops would change nothing."""
    done = sops("updatekeys", "-y", file, cwd=file.parent, identities=tuple(map(str, KEYS)))
    return b"already up to date" in done.stdout + done.stderr


CHANGES = {
    "a key comes": ({"age": NAMES[0]}, {"age": ",".join(NAMES[:2])}, True),
    "a key goes": ({"age": ",".join(NAMES[:2])}, {"age": NAMES[1]}, False),
    "one becomes groups": ({"age": NAMES[0]}, groups((0,), (1, 2)), False),
    "groups become one": (groups((0,), (1,)), {"age": ",".join(NAMES[:2])}, True),
    "a group gets a key": (groups((0,), (1,)), groups((0,), (1, 2)), True),
    "a group loses a key": (groups((0,), (1, 2)), groups((0,), (2,)), False),
    "a group comes": (groups((0,), (1,), threshold=2), groups((0,), (1,), (2,), threshold=2), True),
    "the threshold falls": (groups((0,), (1,), (2,)), groups((0,), (1,), (2,), threshold=2), True),
    "the threshold rises": (groups((0,), (1,), (2,), threshold=2), groups((0,), (1,), (2,)), False),
}


@pytest.mark.parametrize(("before", "after", "keeps"), CHANGES.values(), ids=CHANGES)
def test_keys_sync_gives_a_file_the_keys_of_its_rule_and_a_new_data_key_where_somebody_lost_access(
    before: dict[str, object], after: dict[str, object], keeps: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = by_sops(tmp_path, before)
    held = data_key(file, 0, 1, 2)
    sealed = file.read_bytes()
    assert main(["keys", "sync", "v.yaml"]) == 0
    assert file.read_bytes() == sealed
    ruled(tmp_path, after)
    assert main(["keys", "sync", "--dry-run", "-r", "."]) == 0
    planned = capsys.readouterr().out
    assert "v.yaml: " in planned
    assert file.read_bytes() == sealed
    assert main(["keys", "sync", "-r", "."]) == 0
    assert is_up_to_date(file)
    assert (data_key(file, 0, 1, 2) == held) is keeps
    assert main(["keys", "sync", "--dry-run", "v.yaml"]) == 0
    assert not capsys.readouterr().out
    wanted = after.get("key_groups")
    if isinstance(wanted, list):
        needed = after.get("shamir_threshold") or len(wanted)
        for chosen in combinations(wanted, needed):
            assert opens(file, *(NAMES.index(group["age"][-1]) for group in chosen))
        assert not opens(file, NAMES.index(wanted[0]["age"][0]))
    else:
        assert all(opens(file, NAMES.index(name)) for name in str(after["age"]).split(","))


def test_keys_come_and_go_in_one_group_or_all_and_no_group_is_left_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = by_sops(tmp_path, groups((0, 3), (1, 3)))
    sealed = file.read_bytes()
    for words, code, said in (
        (["add", "-k", f"age:{NAMES[2]}"], 3, "say with --group N into which one the key goes"),
        (["add", "-k", f"age:{NAMES[2]}", "--group", "3"], 3, "it has no group 3 of keys, but 2"),
        (["add", "-k", f"age:{NAMES[2]}", "--group", "0"], 2, "--group"),
    ):
        assert main(["keys", *words, "v.yaml"]) == code
        assert said in capsys.readouterr().err
    assert file.read_bytes() == sealed
    assert main(["keys", "add", "-k", f"age:{NAMES[2]}", "--group", "2", "v.yaml"]) == 0
    assert opens(file, 0, 2)
    assert not opens(file, 2)
    assert main(["keys", "remove", "-k", f"age:{NAMES[3]}", "v.yaml"]) == 0
    assert not opens(file, 0, 3)
    assert opens(file, 0, 1)
    sealed = file.read_bytes()
    assert main(["keys", "remove", "-k", f"age:{NAMES[0]}", "--group", "1", "v.yaml"]) != 0
    assert "would leave none" in capsys.readouterr().err
    assert file.read_bytes() == sealed


def test_nothing_is_synced_of_a_file_whose_mac_does_not_fit_nor_without_a_rule_with_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = by_sops(tmp_path, FLAT[0])
    sealed = file.read_bytes()
    ruled(tmp_path, {"encrypted_regex": "p"})
    assert main(["keys", "sync", "v.yaml"]) == 3
    assert "the rule for this file names no keys" in capsys.readouterr().err
    ruled(tmp_path, FLAT[1])
    altered = sealed.replace(b'lastmodified: "20', b'lastmodified: "19')
    assert altered != sealed
    file.write_bytes(altered)
    assert main(["keys", "sync", "v.yaml"]) == 5
    assert file.read_bytes() == altered
