"""`check` of files that SOPS seals: by their own bytes and by `.sops.yaml`, without a key."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.cli.main import main
from tests.sops_support import sops

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYS = tuple(pyrage.x25519.Identity.generate() for _ in range(3))
NAMES = tuple(str(key.to_public()) for key in KEYS)
MINE = {"path_regex": r"^sealed/", "age": NAMES[0]}
VALUES = "db:\n  user: me\n  password: not-a-secret\n"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {user: me}\n"
Checks = "Callable[..., list[str]]"


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def run(*words: str) -> list[str]:
        """The lines of what is found; the exit code fits them."""
        capsys.readouterr()
        code = main(["check", *words])
        told = capsys.readouterr()
        lines = told.out.splitlines()
        assert code == bool(lines), told.err
        return lines

    return run


def ruled(folder: Path, *rules: dict[str, object]) -> None:
    (folder / ".sops.yaml").write_text(json.dumps({"creation_rules": rules}))


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def by_sops(folder: Path, name: str, text: str, rule: dict[str, object]) -> Path:
    """A file that the real sops sealed by that rule, which is then the one of the folder."""
    ruled(folder, rule)
    path = written(folder, name, text)
    done = sops("encrypt", "-i", path, cwd=folder)
    assert not done.returncode, done.stderr.decode()
    return path


def test_what_a_rule_wants_sealed_and_stands_in_the_clear_is_told(tmp_path: Path, check: Checks) -> None:
    ruled(tmp_path, MINE)
    written(tmp_path, "sealed/values.yaml", VALUES)
    written(tmp_path, "sealed/app.env", "# c\nPASSWORD=x\n")
    written(tmp_path, "sealed/app.ini", "[db]\npassword = x\n")
    written(tmp_path, "sealed/tls.key", "----\n")
    written(tmp_path, "sealed/README.md", "what this is\n")
    written(tmp_path, "sealed/allowed.yaml", "# ksecret:allow an example\npassword: x\n")
    written(tmp_path, "sealed/map.yaml", CONFIG_MAP)
    written(tmp_path, "other/values.yaml", VALUES)
    wants = "KS001 .sops.yaml wants it sealed (line 1); in the clear:"
    assert sorted(check(".")) == [
        f"sealed/app.env:2: {wants} PASSWORD",
        f"sealed/app.ini:2: {wants} db.password",
        f"sealed/tls.key:1: {wants} data",
        f"sealed/values.yaml:2: {wants} db.user, db.password",
    ]
    for name in ("values.yaml", "app.env", "app.ini", "tls.key"):
        done = sops("encrypt", "-i", tmp_path / "sealed" / name, cwd=tmp_path)
        assert not done.returncode, done.stderr.decode()
    assert check(".") == []


@pytest.mark.parametrize("path", [{}, {"path_regex": r".*\.yaml$"}, {"path_regex": "."}], ids=["no", "kind", "any"])
def test_a_rule_for_every_file_means_what_it_says_is_secret_and_no_kubernetes_object_but_secrets(
    path: dict[str, object], tmp_path: Path, check: Checks
) -> None:
    written(tmp_path, "values.yaml", VALUES)
    written(tmp_path, "map.yaml", CONFIG_MAP)
    written(tmp_path, "chart.yaml", "name: x\nversion: 1\n")
    written(tmp_path, "notes.txt", "user: me\n")
    ruled(tmp_path, {**path, "age": NAMES[0]})
    assert check(".") == []
    ruled(tmp_path, {**path, "age": NAMES[0], "encrypted_regex": "^(data|user)$"})
    (found,) = check(".")
    assert found.endswith("in the clear: db.user")
    written(tmp_path, "secret.yaml", CONFIG_MAP.replace("ConfigMap", "Secret"))
    assert [line.split(" KS001 ")[0] for line in sorted(check("."))] == ["secret.yaml:4:", "values.yaml:2:"]


def test_where_a_policy_of_ours_decides_no_rule_of_sops_yaml_wants_anything(tmp_path: Path, check: Checks) -> None:
    ruled(tmp_path, MINE)
    written(tmp_path, "sealed/values.yaml", VALUES)
    written(tmp_path, ".ksecret.yaml", f"version: 1\nrules: [{{keys: ['age:{NAMES[0]}']}}]\n")
    assert check(".") == []


def test_a_value_in_the_clear_in_a_sealed_file_is_told_with_or_without_a_policy(tmp_path: Path, check: Checks) -> None:
    path = by_sops(tmp_path, "sealed/values.yaml", VALUES, MINE)
    path.write_text(re.sub(r"user: ENC.*", "user: other", path.read_text()))
    told = "sealed/values.yaml:2: KS002 it is sealed in SOPS's format, but not all of it; in the clear: db.user"
    assert check(".") == [told]
    (tmp_path / ".sops.yaml").unlink()
    assert check(".") == [told]


DRIFTS: dict[str, tuple[dict[str, object], str]] = {
    "a key came": ({**MINE, "age": ",".join(NAMES[:2])}, f"KS008 .*: not sealed to age:{NAMES[1]}$"),
    "another key": ({**MINE, "age": NAMES[1]}, f"KS008 .*: not sealed to .*; sealed to age:{NAMES[0]} as well$"),
    "groups": (
        {**MINE, "key_groups": [{"age": [name]} for name in NAMES], "shamir_threshold": 2},
        r"KS008 .* \(group 2\).* \(group 3\); 1 of its groups open it, and should be 2$",
    ),
    "another selection": (
        {**MINE, "encrypted_regex": "^password$"},
        r"KS019 it is sealed by unencrypted_suffix _unencrypted, and .sops.yaml says encrypted_regex \^password\$$",
    ),
    "the MAC": ({**MINE, "mac_only_encrypted": True}, "KS019 its MAC covers all values, .* covers sealed values only$"),
    "no rule": ({**MINE, "path_regex": "^other/"}, "KS015 no rule of .sops.yaml fits it"),
    "a vault": ({**MINE, "hc_vault_transit_uri": "https://v.test/v1/t/keys/k"}, "KS008 .* vault:https://v.test"),
}


@pytest.mark.parametrize(("rule", "match"), DRIFTS.values(), ids=DRIFTS)
def test_what_differs_from_the_rule_is_told(rule: dict[str, object], match: str, tmp_path: Path, check: Checks) -> None:
    by_sops(tmp_path, "sealed/values.yaml", VALUES, MINE)
    assert check(".") == []
    ruled(tmp_path, rule)
    (found,) = check(".")
    assert re.search(rf"^sealed/values.yaml:[0-9]+: {match}", found), found


def test_a_pattern_that_seals_nothing_or_is_none_is_told_of_the_file_that_sops_made_by_it(
    tmp_path: Path, check: Checks
) -> None:
    by_sops(tmp_path, "sealed/values.yaml", VALUES, {**MINE, "encrypted_regex": "^nothing$"})
    (found,) = check(".")
    assert "KS020 nothing of it is sealed, though SOPS has been at it: its encrypted_regex means no value" in found
    by_sops(tmp_path, "sealed/values.yaml", VALUES, {**MINE, "encrypted_regex": "["})
    ruled(tmp_path, MINE)
    assert any("KS006 its member sops: encrypted_regex: that is no regular expression" in line for line in check("."))


def test_a_member_that_can_not_be_right_is_told(tmp_path: Path, check: Checks) -> None:
    path = by_sops(tmp_path, "sealed/values.yaml", VALUES, MINE)
    path.write_text(re.sub(r"lastmodified: .*", "lastmodified: yesterday", path.read_text()))
    (found,) = check(".")
    assert "KS006 it seems to be sealed in SOPS's format, and can't be right" in found


def test_a_key_that_no_backend_takes_is_told_by_its_line(tmp_path: Path, check: Checks) -> None:
    other = NAMES[0][:-1] + ("q" if NAMES[0][-1] != "q" else "p")
    (tmp_path / ".sops.yaml").write_text(f"creation_rules:\n- age: {other}\n- pgp: '0123'\n- pgp: '{'0A' * 20}!'\n")
    assert [line.split(":")[1] for line in check(".")] == ["2", "3"]
    assert all("KS018 a key of the kind" in line for line in check("."))


def test_a_mistake_in_the_policy_is_an_error_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_sops(tmp_path, "sealed/values.yaml", VALUES, MINE)
    (tmp_path / ".sops.yaml").write_text("creation_rules:\n- encrypted_regexp: x\n")
    assert main(["check", "."]) == 3
    assert capsys.readouterr().err.count(".sops.yaml:2: a rule has an unknown key") == 1


def test_the_index_and_history_are_judged_by_their_own_policy(tmp_path: Path, check: Checks) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@x.test", *words], check=True, cwd=tmp_path)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    ruled(tmp_path, MINE)
    written(tmp_path, "sealed/app.env", "PASSWORD=x\n")
    git("add", ".")
    ruled(tmp_path, {**MINE, "path_regex": "^nowhere/"})
    (found,) = check("--staged")
    assert found.startswith("sealed/app.env:1: KS001 .sops.yaml wants it sealed")
    git("commit", "-q", "-m", "second")
    assert any("sealed/app.env:1: KS001" in line for line in check("--range", "HEAD~1..HEAD"))


def test_the_log_for_code_scanning_has_the_new_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_sops(tmp_path, "sealed/values.yaml", VALUES, MINE)
    ruled(tmp_path, {**MINE, "mac_only_encrypted": True})
    assert main(["check", "--sarif", "."]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["KS019"]
    assert "SelectionDiffers" in json.dumps(run["tool"])
