"""Groups of keys through the service: a caller's allowed keys count for every key of every group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
import yaml

from tests.e2e.cli import Person
from tests.service import EVERY, Service, entry, rule, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = tuple(pyrage.x25519.Identity.generate() for _ in range(4))
REFS = tuple(f"age:{key.to_public()}" for key in KEYS)
STRANGER = f"age:{pyrage.x25519.Identity.generate().to_public()}"
CLEAR = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: prod\nstringData:\n  a: not-a-real-value\n"
GROUPS = [REFS[0], f"{REFS[1]},{REFS[2]}", REFS[3]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """It holds all four keys, and seals prod's Secrets to two groups where nobody says to which keys."""
    made = Service(tmp_path_factory.mktemp("service"), KSECRET_AGE_KEY="\n".join(map(str, KEYS)))
    made.key_rules = [{"namespace": "prod", "groups": [[REFS[0]], [REFS[1], REFS[2]]]}, {"keys": [REFS[0]]}]
    rules = {
        "one": rule("one", *EVERY, keys=[REFS[0]]),
        "two": rule("two", *EVERY, keys=[REFS[0], REFS[1]]),
        "three": rule("three", *EVERY, keys=list(REFS[:3])),
    }
    made.config["tokens"] += [entry(name) for name in rules]
    made.config["rules"] += rules.values()
    with made:
        yield made


def envelope(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(data)["ksecret"]
    return found


def groups_of(data: bytes) -> list[set[str]]:
    return [set(group) for group in envelope(data)["groups"]]


@pytest.fixture(scope="module")
def sealed(service: Service) -> bytes:
    return service.sealed(CLEAR, groups=GROUPS, threshold="2")


def test_groups_and_a_threshold_are_asked_for_and_key_rules_have_them(service: Service, sealed: bytes) -> None:
    assert groups_of(sealed) == [{REFS[0]}, {REFS[1], REFS[2]}, {REFS[3]}]
    assert envelope(sealed)["threshold"] == 2
    ruled = service.sealed(CLEAR)
    assert groups_of(ruled) == [{REFS[0]}, {REFS[1], REFS[2]}]
    assert service.post("/v1/decrypt", ruled).body == service.post("/v1/decrypt", sealed).body == CLEAR
    (told,) = service.post("/v1/inspect", sealed).json()["secrets"]
    assert told["threshold"] == 2
    assert [key["group"] for key in told["keys"]] == ["1", "2", "2", "3"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"groups": [REFS[0]]}, "in 2 to 16 groups"),
        ({"groups": [REFS[0], ""]}, "written SCHEME:NAME"),
        ({"groups": GROUPS, "key": REFS[0]}, "do not go together"),
        ({"groups": GROUPS, "threshold": "4"}, "a threshold of 4 is none"),
        ({"key": REFS[0], "threshold": "2"}, "one of groups of keys"),
        ({"groups": GROUPS, "format": "kubesec"}, "no groups of keys"),
    ],
    ids=range(6),
)
def test_groups_that_no_secret_can_have_are_refused(service: Service, query: dict[str, Any], said: str) -> None:
    answer = service.post("/v1/encrypt", CLEAR, **query)
    assert answer.status == 400
    assert said in answer.json()["detail"]


def test_a_caller_may_seal_to_groups_of_keys_only_all_of_which_are_allowed(service: Service) -> None:
    for caller, groups, problem in (
        ("two", [REFS[0], REFS[1]], ""),
        ("two", [REFS[0], f"{REFS[1]},{REFS[2]}"], "forbidden"),
        ("three", GROUPS[:2], ""),
        ("three", GROUPS, "forbidden"),
        ("one", GROUPS[:2], "forbidden"),
    ):
        answer = service.post("/v1/encrypt", CLEAR, caller, groups=groups)
        assert (answer.problem if answer.status >= 400 else "") == problem, (caller, groups)
    assert service.post("/v1/encrypt", CLEAR, "two").problem == "forbidden", "the key rules' groups"
    assert service.post("/v1/encrypt", CLEAR, "three").status == 200


def test_a_caller_opens_by_allowed_keys_only_of_as_many_groups_as_are_needed(service: Service, sealed: bytes) -> None:
    for operation in ("decrypt", "verify"):
        assert service.post(f"/v1/{operation}", sealed, "one").problem == "forbidden"
        assert service.post(f"/v1/{operation}", sealed, "two").status == 200
    all_needed = service.sealed(CLEAR, groups=GROUPS)
    assert service.post("/v1/decrypt", all_needed, "three").problem == "forbidden"


def test_rotation_and_changes_need_every_key_of_every_group(service: Service, sealed: bytes) -> None:
    body = {"manifest": sealed.decode(), "values": {"a": "new"}}
    for caller in ("two", "three"):
        for mode in ("rotate", "rewrap"):
            assert service.post("/v1/rotate", sealed, caller, mode=mode).problem == "forbidden"
        assert service.post("/v1/set", body, caller).problem == "forbidden"
    for mode in ("rotate", "rewrap"):
        rotated = service.post("/v1/rotate", sealed, mode=mode)
        assert rotated.status == 200, rotated.body
        assert groups_of(rotated.body) == groups_of(sealed)
        assert service.post("/v1/decrypt", rotated.body, "two").body == CLEAR
    changed = service.post("/v1/set", body)
    assert changed.status == 200, changed.body
    assert envelope(changed.body) == envelope(sealed)


def test_rotation_changes_one_group(service: Service, sealed: bytes) -> None:
    assert "split among 3 groups" in service.post("/v1/rotate", sealed, add=REFS[3]).json()["detail"]
    added = service.post("/v1/rotate", sealed, add=REFS[3], group="1")
    assert added.status == 200, added.body
    assert groups_of(added.body) == [{REFS[0], REFS[3]}, {REFS[1], REFS[2]}, {REFS[3]}]
    taken = service.post("/v1/rotate", added.body, remove=REFS[3], group="1")
    assert taken.status == 200, taken.body
    assert groups_of(taken.body) == groups_of(sealed)
    assert service.post("/v1/rotate", sealed, "three", add=STRANGER, group="1").problem == "forbidden"


def test_a_batch_seals_to_groups(service: Service) -> None:
    line = {"op": "encrypt", "manifest": CLEAR.decode(), "groups": GROUPS, "threshold": 2}
    answer = service.post("/v1/batch", json.dumps(line).encode(), kind="application/jsonl")
    (told,) = map(json.loads, answer.body.splitlines())
    assert groups_of(told["manifest"].encode()) == [{REFS[0]}, {REFS[1], REFS[2]}, {REFS[3]}]


def test_the_command_line_asks_for_groups_and_checks_the_answer(service: Service, tmp_path: Path) -> None:
    job = Person(tmp_path, "job", identity=False)
    job.environ |= {"KSECRET_SERVER": f"http://127.0.0.1:{service.port}", "KSECRET_TOKEN": token("root")}
    file = job.write("a.yaml", CLEAR)
    words = ["--group", "-k", REFS[0], "--group", "-k", REFS[1], "--group", "-k", REFS[3], "--threshold", "2"]
    job.ok("encrypt", "-i", *words, "a.yaml")
    assert groups_of(file.read_bytes()) == [{REFS[0]}, {REFS[1]}, {REFS[3]}]
    assert envelope(file.read_bytes())["threshold"] == 2
    job.ok("rotate", "a.yaml")
    job.ok("set", "a.yaml", "a=-", stdin=b"other")
    assert b"other" in job.ok("decrypt", "a.yaml").out
