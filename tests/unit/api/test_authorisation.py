"""Rules: what fits, and that nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from secretsvc.api.auth.caller import Caller
from secretsvc.api.authorisation import EVERY, AccessRules, Target
from secretsvc.api.settings import Rule

CI = Caller(token="ci")
JOB = Caller(issuer="gitlab", claims={"path": "a/b", "flag": True, "n": 7, "k.io": {"ns": "x"}, "groups": ["p", "q"]})


def policy(**more: Any) -> AccessRules:
    rule = {
        "callers": [{"token": "ci"}],
        "operations": ["decrypt"],
        "namespaces": ["*"],
        "names": ["*"],
        "keys": ["k:*"],
    }
    return AccessRules([Rule.model_validate(rule | more)])


def test_nothing_is_allowed_that_no_rule_allows() -> None:
    assert AccessRules([]).keys(CI, "decrypt", Target("a", "b")) is None
    assert policy().keys(CI, "encrypt", Target("a", "b")) is None
    assert policy().keys(Caller(token="other"), "decrypt", Target("a", "b")) is None
    assert policy().keys(Caller(issuer="ci"), "decrypt", Target("a", "b")) is None
    assert policy().keys(CI, "decrypt", Target("a", "b")) == ["k:*"]


@pytest.mark.parametrize(
    ("patterns", "text", "fits"),
    [
        (["prod"], "prod", True),
        (["prod"], "prod2", False),
        (["prod"], "Prod", False),
        (["prod-*"], "prod-eu", True),
        (["prod-?"], "prod-10", False),
        (["*"], "", True),
        ([""], "", True),
        (["?*"], "", False),
        (["prod"], "prod\n", False),
        (["*"], EVERY, True),
        (["?"], EVERY, False),
        (["[*]"], EVERY, False),
        (["prod*"], EVERY, False),
    ],
)
def test_patterns(patterns: list[str], text: str, fits: bool) -> None:
    assert (policy(namespaces=patterns).keys(CI, "decrypt", Target(text, "b")) is not None) is fits
    assert (policy(names=patterns).keys(CI, "decrypt", Target("a", text)) is not None) is fits


@pytest.mark.parametrize(
    ("claims", "fits"),
    [
        ({"path": "a/*"}, True),
        ({"path": "b/*"}, False),
        ({"flag": "true"}, True),
        ({"flag": "True"}, False),
        ({"n": "7"}, True),
        ({"k.io.ns": "x"}, True),
        ({"k.io.other": "*"}, False),
        ({"k.io": "*"}, False),
        ({"groups": "q"}, True),
        ({"groups": "r"}, False),
        ({"path": "a/b", "groups": "r"}, False),
        ({"missing": "*"}, False),
        ({"missing.way": "*"}, False),
        ({"k.io_ns": "*"}, False),
        ({"k_io.ns": "*"}, False),
        ({"path.a": "*"}, False),
        ({"groups.0": "*"}, False),
    ],
)
def test_claims(claims: dict[str, str], fits: bool) -> None:
    rules = policy(callers=[{"issuer": "gitlab", "claims": claims}])
    assert rules.may(JOB, "decrypt") is fits
    assert not rules.may(JOB._replace(issuer="other"), "decrypt")


def test_unbound_files_need_a_rule_of_their_own() -> None:
    target = Target("a", "b", unbound=True)
    assert policy().keys(CI, "decrypt", target) is None
    assert policy(unbound=True).keys(CI, "decrypt", target) == ["k:*"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"operations": ["rotate"]}, "would let these callers open everything"),
        ({"keys": []}, "a rule without keys"),
        ({"callers": []}, "at least 1 item"),
        ({"callers": [{"issuer": "x"}]}, "need claims"),
        ({"callers": [{"token": "x", "issuer": "y", "claims": {"a": "b"}}]}, "a token, or an issuer"),
        ({"callers": [{"token": "x", "claims": {"a": "b"}}]}, "a token has no claims"),
    ],
)
def test_rules_that_would_allow_too_much_are_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        policy(**rule)


def test_keys_to_seal_to_are_those_of_encrypt_and_of_generate() -> None:
    for operation in ("encrypt", "generate"):
        assert policy(operations=[operation]).sealing_keys(CI) == ["k:*"]
    assert policy(operations=["decrypt", "verify"]).sealing_keys(CI) == []
