"""A `.sops.yaml` means to us what it means to the real sops: which rule, which keys, which leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyrage
import pytest

from secretsvc.errors import InputError
from secretsvc.policy.sops_yaml import NAME, SELECTIONS, read
from tests.sops_support import sops

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO, THREE = (str(pyrage.x25519.Identity.generate().to_public()) for _ in range(3))

RULES = {
    "a path from the folder": (f"[{{path_regex: ^sub/a, age: {ONE}}}, {{age: {TWO}}}]", "sub/a.json"),
    "a path that only looks so": (f"[{{path_regex: ^a, age: {ONE}}}, {{age: {TWO}}}]", "sub/a.json"),
    "a dot for any sign": (f"[{{path_regex: sub.a.json$, age: {ONE}}}, {{age: {TWO}}}]", "sub/a.json"),
    "upper case": (f"[{{path_regex: '(?i)A.JSON', age: {ONE}}}, {{age: {TWO}}}]", "sub/a.json"),
    "the way round": (f"[{{path_regex: ^sub/a, age: {ONE}}}, {{age: {TWO}}}]", "sub/../sub/a.json"),
    "several in a text": (f"[{{age: '{ONE}, {TWO}'}}]", "a.json"),
    "one key twice": (f"[{{key_groups: [{{age: ['{ONE}', '{ONE}']}}]}}]", "a.json"),
    "groups": (f"[{{age: {ONE}, key_groups: [{{age: [{TWO}]}}, {{age: [{THREE}]}}]}}]", "a.json"),
    "merged groups": (f"[{{key_groups: [{{merge: [{{age: [{ONE}]}}, {{age: [{TWO}]}}], age: [{TWO}]}}]}}]", "a"),
    "a selection": (f"[{{age: {ONE}, encrypted_regex: '^(b|c)$'}}]", "a.json"),
    "a suffix": (f"[{{age: {ONE}, unencrypted_suffix: a}}]", "a.json"),
    "an empty selection": (f"[{{age: {ONE}, encrypted_suffix: ''}}]", "a.json"),
    "a word for true": (f"[{{age: {ONE}, mac_only_encrypted: on}}]", "a.json"),
    "anchors and merge keys": (f"[&r {{path_regex: x, age: {ONE}}}, {{<<: *r, path_regex: a}}]", "a.json"),
}


def told(sealed: dict[str, Any]) -> tuple[list[list[str]], tuple[str, str] | None, bool]:
    """The groups, the selection, and whether the MAC is over sealed leaves only."""
    groups = sealed.get("key_groups") or [sealed]
    selection = next(((name, sealed[name]) for name in SELECTIONS if name in sealed), None)
    return (
        [sorted(key["recipient"] for key in group["age"]) for group in groups],
        selection,
        sealed.get("mac_only_encrypted", False),
    )


@pytest.mark.parametrize(("rules", "path"), RULES.values(), ids=RULES)
def test_a_rule_is_the_one_that_sops_takes(rules: str, path: str, tmp_path: Path) -> None:
    text = f"creation_rules: {rules}\n"
    (tmp_path / NAME).write_text(text)
    (tmp_path / "sub").mkdir()
    words = ("encrypt", "--filename-override", path, "--input-type", "json")
    done = sops(*words, cwd=tmp_path, stdin=b'{"a": "x", "b": "y"}')
    assert not done.returncode, done.stderr.decode()
    rule = read(text.encode(), NAME, str(tmp_path)).rule_for(str(tmp_path / path))
    assert rule
    ours = [sorted(key.name for key in group) for group in rule.groups]
    assert told(json.loads(done.stdout)["sops"]) == (ours, rule.selection, rule.mac_only_encrypted)


@pytest.mark.parametrize(
    ("rules", "match"),
    [
        ("[]", "no rule of creation_rules fits"),
        (f"[{{path_regex: ^x, age: {ONE}}}]", "no rule of creation_rules fits"),
        (f"[{{path_regex: '[', age: {ONE}}}]", "path_regex: that is no regular expression"),
        (f"[{{age: {ONE}, encrypted_regex: a, encrypted_suffix: b}}]", "in one rule"),
        ("[{age: AGE-SECRET-KEY-1QQ}]", "a private age identity"),
        (f"[{{shamir_threshold: 3, key_groups: [{{age: [{ONE}]}}, {{age: [{TWO}]}}]}}]", "not one that 2 key groups"),
    ],
    ids=range(6),  # keys are made anew in every process
)
def test_what_sops_refuses_is_refused(rules: str, match: str, tmp_path: Path) -> None:
    text = f"creation_rules: {rules}\n"
    (tmp_path / NAME).write_text(text)
    done = sops("encrypt", "--filename-override", "a.json", cwd=tmp_path, stdin=b'{"a": "x"}')
    assert done.returncode
    with pytest.raises(InputError, match=match):
        read(text.encode(), NAME, str(tmp_path)).rule_for(str(tmp_path / "a.json"))
