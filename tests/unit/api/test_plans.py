"""How much a manifest may hold before anybody's rules are asked."""

from __future__ import annotations

import os

import pytest

from secretsvc.api.auth.caller import Caller
from secretsvc.api.authorisation import AccessRules
from secretsvc.api.operations import INSPECT as LOOK
from secretsvc.api.operations import Call
from secretsvc.api.plans import LONGEST, MOST_KEYS, Planner
from secretsvc.api.problems import RefusedError
from secretsvc.api.settings import Rule
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.operations.inspect import Description

CI = Caller(token="ci")
INSPECT = Call(LOOK, b"")


@pytest.fixture
def planner() -> Planner:
    rule = {"callers": [{"token": "ci"}], "operations": ["inspect"], "namespaces": ["*"], "names": ["*"], "keys": ["*"]}
    names = Backends(Settings({"HOME": os.devnull}, lambda _: None))
    return Planner(AccessRules([Rule.model_validate(rule)]), (), names, documents=3)


def sealed(name: str = "db", keys: range = range(1), namespace: str = "prod") -> Description:
    refs = [{"ref": f"pgp:{number:040X}"} for number in keys]
    held = (frozenset(key["ref"] for key in refs),)
    told = ("Opaque", 1, True, "ksecret.v1", f"{namespace}/{name}", "", 0, refs, {}, [])
    return Description(namespace, name, *told, openers=held)


def test_as_many_keys_as_are_taken_are_taken_counted_once_each(planner: Planner) -> None:
    some, more = range(60), range(40, MOST_KEYS)
    plan = planner.plan(CI, INSPECT, [sealed("a", some), sealed("b", more)])
    assert len(plan.uris) == MOST_KEYS
    with pytest.raises(RefusedError, match="more than 100 keys in one manifest"):
        planner.plan(CI, INSPECT, [sealed("a", some), sealed("b", range(40, MOST_KEYS + 1))])


def test_as_many_secrets_and_as_long_names_as_are_taken(planner: Planner) -> None:
    planner.plan(CI, INSPECT, [sealed("a" * LONGEST, namespace="b" * LONGEST)] * 3)
    with pytest.raises(RefusedError, match="more than 3 Secrets in one manifest"):
        planner.plan(CI, INSPECT, [sealed()] * 4)
    for long in (sealed("a" * (LONGEST + 1)), sealed(namespace="b" * (LONGEST + 1))):
        with pytest.raises(RefusedError, match="a name of more than 253 characters"):
            planner.plan(CI, INSPECT, [long])
