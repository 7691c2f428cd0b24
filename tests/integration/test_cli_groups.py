"""Groups of keys by the command line, policies, and all that tells of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
import yaml

from secretsvc.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

KEYS = tuple(pyrage.x25519.Identity.generate() for _ in range(4))
REFS = tuple(f"age:{key.to_public()}" for key in KEYS)
CLEAR = """\
apiVersion: v1
kind: Secret
metadata:
  name: a
stringData:
  password: not-a-real-password
"""
ONE_OPENS = "split among 3 groups of keys, and any one of these would open it"
TWO_OF_THREE = ("--group", "-k", REFS[0], "-k", REFS[1], "--group", "-k", REFS[2], "--group", "-k", REFS[3])


class Shell:
    """The command line, in a folder, with some of the keys."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def holds(self, *numbers: int) -> None:
        self._monkeypatch.setenv("KSECRET_AGE_KEY", "\n".join(str(KEYS[number]) for number in numbers))

    def run(self, *words: str, code: int = 0) -> str:
        """What is printed, where it ends with that code."""
        self._capsys.readouterr()
        ended = main(list(words))
        said = self._capsys.readouterr()
        assert ended == code, said.err
        return said.out + said.err


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    for name in ("XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.delenv("KSECRET_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(CLEAR)
    made = Shell(monkeypatch, capsys)
    made.holds(0, 1, 2, 3)
    return made


def envelope(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_bytes())["ksecret"]
    return found


def groups_of(file: Path) -> list[set[str]]:
    return [set(group) for group in envelope(file)["groups"]]


def test_group_starts_a_group_and_any_threshold_of_them_opens(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    shell.run("encrypt", "-i", *TWO_OF_THREE, "--threshold", "2", "a.yaml")
    assert groups_of(file) == [{REFS[0], REFS[1]}, {REFS[2]}, {REFS[3]}]
    assert envelope(file)["threshold"] == 2
    shell.holds(1, 3)
    assert shell.run("decrypt", "a.yaml") == CLEAR
    shell.holds(0, 1)
    said = shell.run("decrypt", "a.yaml", code=4)
    assert "of its 3 groups of keys 2 must open, and group 1 did" in said
    assert "group 2: " in said
    assert "group 3: " in said


def test_without_a_threshold_all_groups_are_needed(shell: Shell, tmp_path: Path) -> None:
    shell.run("encrypt", "-i", *TWO_OF_THREE, "a.yaml")
    assert envelope(tmp_path / "a.yaml")["threshold"] == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-k", REFS[0], "--group", "-k", REFS[1]), 2, "a key stands before the first --group"),
        (("--group", "-k", REFS[0]), 2, "keys are in 2 to 16 groups"),
        (("--group", "-k", REFS[0], "--group"), 2, "a group of keys has no key"),
        (("--group", "-k", REFS[0], "--group", "-k", f"+{REFS[1]}"), 2, "--group names all keys outright"),
        (("--threshold", "2", "-k", REFS[0]), 2, "a key stands before the first --group"),
        (("--threshold", "2"), 2, "a threshold is one of groups of keys"),
        (("--threshold", "3", "--group", "-k", REFS[0], "--group", "-k", REFS[1]), 2, "a threshold of 3 is none"),
        (("--threshold", "1", "--group", "-k", REFS[0], "--group", "-k", REFS[1]), 2, "a threshold is a number from"),
        (("--threshold", "x", "--group", "-k", REFS[0], "--group", "-k", REFS[1]), 2, "threshold"),
    ],
    ids=range(9),
)  # fmt: skip
def test_words_that_make_no_groups_are_refused(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in shell.run("encrypt", "-i", *words, "a.yaml", code=code)
    assert (tmp_path / "a.yaml").read_text() == CLEAR


def test_inspect_and_keys_list_tell_the_groups(shell: Shell) -> None:
    shell.run("encrypt", "-i", *TWO_OF_THREE, "--threshold", "2", "a.yaml")
    shell.holds()
    told = shell.run("inspect", "a.yaml")
    assert "key groups   2 of 3 are needed to open it" in told
    for number, ref in ((1, REFS[0]), (1, REFS[1]), (2, REFS[2]), (3, REFS[3])):
        assert f"key          group {number}: {ref}\n" in told
    as_json = json.loads(shell.run("inspect", "--json", "a.yaml"))
    assert as_json["threshold"] == 2
    assert {key["ref"]: key["group"] for key in as_json["keys"]} == dict(zip(REFS, "1123", strict=True))
    listed = shell.run("keys", "list", "a.yaml")
    assert f"a.yaml: a  group 2: {REFS[2]}\n" in listed
    assert "a.yaml: a  2 of its 3 groups of keys are needed\n" in listed
    assert json.loads(shell.run("keys", "list", "--json", "a.yaml"))["threshold"] == 2


def test_doctor_tells_which_groups_open_here_and_which_are_missing(shell: Shell) -> None:
    shell.run("encrypt", "-i", *TWO_OF_THREE, "--threshold", "2", "a.yaml")
    assert "groups that open here: 1, 2, 3; 2 are needed" in shell.run("doctor", "a.yaml")
    shell.holds(2)
    main(["doctor", "a.yaml"])
    said = shell._capsys.readouterr().out
    assert "a.yaml: a: groups that open here: 2; that do not: 1, 3; 2 are needed" in said


def test_keys_add_and_remove_change_one_group(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    shell.run("encrypt", "-i", "--group", "-k", REFS[0], "--group", "-k", REFS[1], "a.yaml")
    sealed = yaml.safe_load(file.read_bytes())["stringData"]
    assert "keys add --group N" in shell.run("keys", "add", "-k", REFS[2], "a.yaml", code=2)
    assert f"a.yaml: a, group 2: +{REFS[2]}" in shell.run("keys", "add", "-n", "--group", "2", "-k", REFS[2], "a.yaml")
    shell.run("keys", "add", "--group", "2", "-k", REFS[2], "a.yaml")
    assert groups_of(file) == [{REFS[0]}, {REFS[1], REFS[2]}]
    assert yaml.safe_load(file.read_bytes())["stringData"] == sealed
    shell.run("keys", "remove", "-k", REFS[1], "a.yaml")
    assert groups_of(file) == [{REFS[0]}, {REFS[2]}]
    assert yaml.safe_load(file.read_bytes())["stringData"] != sealed
    shell.holds(0, 2)
    assert shell.run("decrypt", "a.yaml") == CLEAR
    shell.run("keys", "remove", "-k", REFS[2], "a.yaml", code=2)


POLICY = """\
version: 1
people: {{ann: {0}, ops: [{1}, {2}]}}
rules:
  - path: a.yaml
    threshold: 2
    groups:
      - [ann]
      - [ops]
      - - {3}
  - keys: [ann]
"""


def test_a_policy_s_groups_count_for_encrypt_check_and_keys_sync(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    (tmp_path / ".ksecret.yaml").write_text(POLICY.format(*REFS))
    shell.run("encrypt", "-i", "a.yaml")
    assert groups_of(file) == [{REFS[0]}, {REFS[1], REFS[2]}, {REFS[3]}]
    assert envelope(file)["threshold"] == 2
    shell.run("check", "a.yaml")
    assert not shell.run("keys", "sync", "-n", "a.yaml")

    shell.run("rotate", "a.yaml")
    shell.run("rotate", "--rewrap", "a.yaml")
    assert groups_of(file) == [{REFS[0]}, {REFS[1], REFS[2]}, {REFS[3]}]

    sealed_alone = tmp_path / "b.yaml"
    sealed_alone.write_text(CLEAR.replace("name: a", "name: b"))
    shell.run("encrypt", "-i", "b.yaml")
    sealed_alone.rename(file)
    assert "KS008" in shell.run("check", "a.yaml", code=1)
    planned = shell.run("keys", "sync", "-n", "a.yaml")
    assert f"a.yaml: b, group 3: +{REFS[3]}" in planned
    assert "a.yaml: b: +threshold 2" in planned
    shell.run("keys", "sync", "a.yaml")
    shell.run("check", "a.yaml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("threshold: 2", "threshold: 3", "3 of its groups of keys open it and not 2"),
        ("      - [ops]\n", "      - [ops, ann]\n", "group 2 sealed to ann"),
        ("      - [ops]\n", "", "its keys are in 2 groups and not in 3 groups"),
    ],
)
def test_check_tells_how_groups_differ_from_the_policy(
    shell: Shell, tmp_path: Path, old: str, new: str, said: str
) -> None:
    policy = POLICY.format(*REFS)
    (tmp_path / ".ksecret.yaml").write_text(policy.replace(old, new))
    shell.run("encrypt", "-i", "a.yaml")
    (tmp_path / ".ksecret.yaml").write_text(policy)
    told = shell.run("check", "a.yaml", code=1)
    assert "KS008" in told
    assert said in told
    shell.run("keys", "sync", "a.yaml")
    shell.run("check", "a.yaml")


def test_groups_go_with_sops_s_format_too(shell: Shell, tmp_path: Path) -> None:
    shell.run("encrypt", "-i", "--format", "sops", *TWO_OF_THREE, "--threshold", "2", "a.yaml")
    member = yaml.safe_load((tmp_path / "a.yaml").read_bytes())["sops"]
    assert member["shamir_threshold"] == 2
    assert [len(group["age"]) for group in member["key_groups"]] == [2, 1, 1]
    assert "key groups   2 of 3" in shell.run("inspect", "a.yaml")
    shell.holds(0, 3)
    assert shell.run("decrypt", "a.yaml") == CLEAR


def test_no_command_lets_one_key_open_what_groups_of_keys_opened(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "sed -i s/not-a-real/another/")
    (tmp_path / "new.yaml").write_text(CLEAR)
    file = tmp_path / "a.yaml"
    shell.run("encrypt", "-i", *TWO_OF_THREE, "--threshold", "2", "a.yaml")
    before = file.read_bytes()
    for words in (
        ("encrypt", "-i"),
        ("encrypt", "-i", "--format", "ksecret"),
        ("convert", "--to", "sops"),
        ("convert", "--to", "kubesec"),
        ("edit",),
        ("patch", "-i", "-s", "password=other"),
        ("rename", "--name", "b"),
    ):
        assert ONE_OPENS in shell.run(*words, "-k", REFS[0], "a.yaml", code=2)
        assert file.read_bytes() == before
    for words in (("encrypt", "--parent"), ("merge",)):
        assert ONE_OPENS in shell.run(*words, "a.yaml", "-k", REFS[0], "new.yaml", code=2)
    said = shell.run("convert", "--to", "kubesec", "a.yaml", code=2)
    assert "decrypt it, and seal it anew" in said
    assert file.read_bytes() == before


def test_no_policy_lets_one_key_open_what_groups_of_keys_opened_unless_keys_sync_says_so(
    shell: Shell, tmp_path: Path
) -> None:
    file, ours, sops_s = tmp_path / "a.yaml", tmp_path / ".ksecret.yaml", tmp_path / ".sops.yaml"
    shell.run("encrypt", "-i", *TWO_OF_THREE, "--threshold", "2", "a.yaml")
    flat = f"creation_rules: [{{age: '{REFS[0][4:]}', encrypted_regex: ^stringData$}}]\n"
    sops_s.write_text(flat)
    before = file.read_bytes()
    assert ONE_OPENS in shell.run("convert", "--to", "sops", "a.yaml", code=2)
    assert file.read_bytes() == before
    sops_s.unlink()
    said = shell.run("convert", "--to", "sops", "a.yaml")
    assert "SOPS's format binds no Secret" in said
    assert "kubesec" not in said
    before = file.read_bytes()
    assert yaml.safe_load(before)["sops"]["shamir_threshold"] == 2
    assert ONE_OPENS in shell.run("convert", "--to", "ksecret", "-k", REFS[0], "a.yaml", code=2)
    ours.write_text(f"version: 1\nrules: [{{keys: ['{REFS[0]}']}}]\n")
    assert ONE_OPENS in shell.run("convert", "--to", "ksecret", "a.yaml", code=2)
    assert file.read_bytes() == before
    ours.rename(tmp_path / "flat")
    shell.run("convert", "--to", "ksecret", "a.yaml")
    assert (groups_of(file), envelope(file)["threshold"]) == ([{REFS[0], REFS[1]}, {REFS[2]}, {REFS[3]}], 2)
    (tmp_path / "flat").rename(ours)
    assert "a.yaml:1: any one key opens a now: its data key was split" in shell.run("keys", "sync", "a.yaml")
    sops_s.write_text(flat)
    file.write_bytes(before)
    assert "any one key opens it now: its data key was split" in shell.run("keys", "sync", "a.yaml")


def test_create_seals_to_groups(shell: Shell, tmp_path: Path) -> None:
    words = ("--group", "-k", REFS[0], "--group", "-k", REFS[1])
    shell.run("create", "generic", "new", "--from-literal=a=b", *words, "-o", "new.yaml")
    assert groups_of(tmp_path / "new.yaml") == [{REFS[0]}, {REFS[1]}]


def test_who_holds_too_few_groups_is_warned_when_sealing(shell: Shell) -> None:
    shell.holds(0, 1)
    said = shell.run("encrypt", "-i", *TWO_OF_THREE, "--threshold", "2", "a.yaml")
    assert "too few groups of keys that are on this machine" in said
