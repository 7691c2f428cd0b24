"""Secrets from ksecret's format into SOPS's and back: the real sops opens them, bytes and keys stay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyrage
import pytest
import yaml

from secretsvc.cli.main import main
from tests.sops_support import IDENTITY, RECIPIENT, by_sops, home, sops  # noqa: F401 - `home` for every test

if TYPE_CHECKING:
    from pathlib import Path

OTHER = str(pyrage.x25519.Identity.generate().to_public())
SECRETS = """\
# of the shop
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: prod}
data:
  one: bjB0LXB1YmxpYw==   # behind
  # above
  two: "bjB0LXB1YmxpYy0y"
---
apiVersion: v1
kind: Secret
metadata:
  name: other
stringData:
  text: |
    n0t-public
    line
  empty: ""
"""


def run(*words: str | Path) -> int:
    return main([str(word) for word in words])


def recipients(path: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    capsys.readouterr()
    assert run("keys", "list", "--json", path) == 0
    out = capsys.readouterr().out
    return {key for key in (RECIPIENT, OTHER) if key in out}


def test_there_and_back_keeps_bytes_and_keys_and_sops_opens_what_is_between(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d" / "secrets.yaml"
    path.parent.mkdir()
    path.write_text(SECRETS)
    assert run("encrypt", "-i", "-k", f"age:{RECIPIENT}", "-k", f"age:{OTHER}", path) == 0
    assert run("convert", "--to", "sops", "-r", path.parent) == 0
    assert "binds no Secret to its name" in capsys.readouterr().err
    done = sops("decrypt", "--output-type", "yaml", path)
    assert not done.returncode, done.stderr
    assert b"n0t-public\n" in done.stdout
    assert b"n0t-public" not in path.read_bytes()
    assert b"encrypted_regex: ^(data|stringData)$" in path.read_bytes().replace(b'"', b"")
    assert recipients(path, capsys) == {RECIPIENT, OTHER}
    assert run("convert", "--to", "sops", path) == 3
    assert run("convert", "--to", "ksecret", "-r", path.parent) == 0
    assert b"sops" not in path.read_bytes()
    assert capsys.readouterr().err.count("a sealed comment, which stands in the clear now") == 2
    assert recipients(path, capsys) == {RECIPIENT, OTHER}
    assert run("decrypt", "-i", path) == 0
    assert path.read_text() == SECRETS


def test_a_secret_of_sops_in_json_becomes_ours_with_its_mac_checked_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secret.json"
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}, "stringData": {"b": "n0t-public"}}
    path.write_text(json.dumps(secret, indent=2))
    made = by_sops(path, "--encrypted-regex", "^(data|stringData)$")
    path.write_bytes(made.replace(b'"name": "a"', b'"name": "b"'))
    assert run("convert", "--to", "ksecret", path) == 5
    assert "its MAC does not fit" in capsys.readouterr().err
    path.write_bytes(made)
    assert run("convert", "--to", "ksecret", path) == 0
    assert run("decrypt", path) == 0
    assert json.loads(capsys.readouterr().out) == secret


@pytest.mark.parametrize(
    ("text", "rule", "message"),
    [
        ("a: n0t-public\n", "^a$", "it is a tree, and no Secret"),
        ("kind: ConfigMap\ndata: {a: n0t-public}\n", "^data$", "not all of its documents are Secrets"),
        ("kind: Secret\ndata: {a: YQ==}\n---\nkind: ConfigMap\ndata: {a: n0t}\n", "^data$", "not all of its documents"),
        ("kind: Secret\nmetadata: {name: n0t-public}\ndata: {a: YQ==}\n", "^(data|name)$", "metadata.name is sealed"),
    ],
)
def test_trees_that_are_no_secrets_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, rule: str, message: str
) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text(text)
    made = by_sops(path, "--encrypted-regex", rule)
    path.write_bytes(made)
    assert run("convert", "--to", "ksecret", path) == 3
    assert message in capsys.readouterr().err
    assert path.read_bytes() == made


def test_sops_yaml_says_whom_and_what_unless_a_value_would_be_in_the_clear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text(SECRETS.partition("---")[0])
    assert run("encrypt", "-i", "-k", f"age:{RECIPIENT}", path) == 0
    rules = tmp_path / ".sops.yaml"
    rules.write_text(f"creation_rules: [{{age: '{RECIPIENT},{OTHER}', encrypted_regex: ^one$}}]\n")
    before = path.read_bytes()
    assert run("convert", "--to", "sops", path) == 3
    assert "data.two would stand in the clear: encrypted_regex does not mean it" in capsys.readouterr().err
    assert path.read_bytes() == before
    rules.write_text(f"creation_rules: [{{age: '{RECIPIENT},{OTHER}', encrypted_regex: ^data$}}]\n")
    assert run("convert", "--to", "sops", path) == 0
    assert recipients(path, capsys) == {RECIPIENT, OTHER}


def test_groups_of_keys_go_over_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text(SECRETS.partition("---")[0])
    groups = f"[{{age: [{RECIPIENT}]}}, {{age: [{RECIPIENT}, {OTHER}]}}, {{age: [{RECIPIENT}]}}]"
    rules = tmp_path / ".sops.yaml"
    rules.write_text(f"creation_rules: [{{encrypted_regex: ^data$, shamir_threshold: 2, key_groups: {groups}}}]\n")
    assert run("encrypt", "-i", path) == 0
    assert run("convert", "--to", "kubesec", path) != 0
    assert "kubesec's format" in capsys.readouterr().err
    assert run("convert", "--to", "ksecret", path) == 0
    envelope = yaml.safe_load(path.read_bytes())["ksecret"]
    assert envelope["threshold"] == 2
    assert [set(group) for group in envelope["groups"]] == [
        {f"age:{RECIPIENT}"},
        {f"age:{RECIPIENT}", f"age:{OTHER}"},
        {f"age:{RECIPIENT}"},
    ]
    rules.unlink()
    assert run("convert", "--to", "sops", path) == 0
    member = yaml.safe_load(path.read_bytes())["sops"]
    assert member["shamir_threshold"] == 2
    assert [len(group["age"]) for group in member["key_groups"]] == [1, 2, 1]


def test_a_manifest_with_more_than_secrets_or_several_lists_of_keys_is_not_sops_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.yaml"
    config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"
    path.write_text(SECRETS.partition("---")[0] + config)
    assert run("encrypt", "-i", "-k", f"age:{RECIPIENT}", path) == 0
    assert run("convert", "--to", "sops", path) == 3
    assert "split the file" in capsys.readouterr().err
    first, _, second = SECRETS.partition("---\n")
    path.write_text(first)
    assert run("encrypt", "-i", "-k", f"age:{RECIPIENT}", path) == 0
    sealed = path.read_text()
    path.write_text(second)
    assert run("encrypt", "-i", "-k", f"age:{RECIPIENT}", "-k", f"age:{OTHER}", path) == 0
    path.write_text(f"{sealed}---\n{path.read_text()}")
    assert run("convert", "--to", "sops", path) == 3
    assert "its Secrets are sealed to different keys" in capsys.readouterr().err
    assert run("convert", "--to", "sops", "-k", f"age:{RECIPIENT}", path) == 0
    assert not sops("decrypt", path).returncode
