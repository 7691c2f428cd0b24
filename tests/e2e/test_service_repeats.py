"""What the service says of values that a manifest repeats in the clear: of the caller's own, and of nobody else's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MANIFEST, PASSWORD, USER, b64
from tests.service import Service, entry, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTED = MANIFEST.replace(b"# between", f"# {PASSWORD}".encode())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service"))
    made.config["tokens"].append(entry("setter"))
    made.config["rules"].append(rule("setter", "set", namespaces=["prod"]))
    with made:
        yield made


def test_a_manifest_that_repeats_a_value_is_refused_with_its_line(service: Service) -> None:
    answer = service.post("/v1/encrypt", NOTED)
    assert (answer.status, answer.problem) == (400, "repeated")
    told = answer.json()
    assert (told["line"], "allowRepeated" in told["hint"]) == (10, True)
    assert told["detail"] == 'a comment repeats the value of data["password"] of prod/db in the clear'
    assert service.post("/v1/encrypt", NOTED, allowRepeated="false").problem == "repeated"
    assert service.post("/v1/encrypt", NOTED, allow_repeated="true").problem == "request"
    assert service.post("/v1/encrypt", NOTED, allowRepeated="true").status == 200


def test_so_is_a_new_secret_that_does(service: Service) -> None:
    body = {"name": "new", "namespace": "prod", "data": {"a": b64(PASSWORD)}, "annotations": {"note": PASSWORD}}
    assert service.post("/v1/generate/generic", body).problem == "repeated"
    assert service.post("/v1/generate/generic", body, allowRepeated="true").status == 200
    body["appendHash"] = "true"  # which would put a hash of the values into the name
    assert service.post("/v1/generate/generic", body).problem == "request"


def test_set_and_batches_have_it_as_a_member(service: Service) -> None:
    sealed = service.sealed(MANIFEST.replace(b"# between", b"# new-value-1")).decode()
    body = {"manifest": sealed, "values": {"password": "new-value-1"}}
    lines = [{"op": "set", **body}, {"op": "encrypt", "manifest": NOTED.decode()}]
    for more, statuses in (({}, [400, 400]), ({"allowRepeated": True}, [200, 200])):
        assert service.post("/v1/set", body | more).status == statuses[0]
        batch = "\n".join(json.dumps(line | more) for line in lines).encode()
        answer = service.post("/v1/batch", batch, kind="application/jsonl")
        assert [json.loads(line)["status"] for line in answer.body.splitlines()] == statuses


@pytest.mark.parametrize("guess", [PASSWORD, b64(PASSWORD), USER, "wrong-guess"])
def test_who_may_not_open_a_secret_learns_nothing_of_it_by_guesses_in_comments(service: Service, guess: str) -> None:
    guessing = service.sealed(MANIFEST).replace(b"# between", f"# {guess}\n  # password: {guess}".encode())
    body = {"manifest": guessing.decode(), "values": {"other": "x"}}
    assert service.post("/v1/set", body, "setter").status == 200
    assert service.post("/v1/rotate", guessing).status == 200
