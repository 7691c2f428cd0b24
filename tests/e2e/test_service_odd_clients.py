"""Clients of the service that are odd and within their rights, and some that are neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MANIFEST, MARK
from tests.e2e.test_service_manifests import JSON_MANIFEST
from tests.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as made:
        yield made


def test_the_log_holds_nothing_of_a_form_that_cannot_be_read(service: Service) -> None:
    before = len(service.log.read_text())
    broken = b"--XX\r\nContent-Disposition: form-data; name=a\r\n" + MARK.encode() + b"\0: x\r\n\r\n"
    for body in (b"--XY", MARK.encode(), broken):
        assert service.post("/v1/set", body, kind="multipart/form-data; boundary=XX").problem == "request"
    assert service.log.read_text()[before:] == ""


def test_an_encoding_that_changes_nothing_is_no_compression(service: Service) -> None:
    headers = {**service.bearer("root"), "Content-Type": "application/yaml"}
    for encoding in ("Identity", ""):
        assert service.send("POST", "/v1/encrypt", MANIFEST, {**headers, "Content-Encoding": encoding}).status == 200


@pytest.mark.parametrize(
    "kind",
    ['application/yaml; charset="utf-8"; x=y', 'Application/YAML ; a="charset=utf-16"', "text/yaml;charset=UTF-8"],
    ids=["quoted and more", "in another parameter", "without a space"],
)
def test_a_media_type_may_have_parameters(service: Service, kind: str) -> None:
    assert service.post("/v1/encrypt", MANIFEST, kind=kind).status == 200


def test_a_charset_that_is_not_taken_is_named_as_what_is_wrong(service: Service) -> None:
    refused = service.post("/v1/encrypt", MANIFEST, kind="application/yaml; charset=iso-8859-1")
    assert (refused.status, refused.json()["detail"]) == (415, "a charset that is not taken")


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/set", '{"manifest": SEALED, "values": {"password": "a", "password": "b"}}', "application/json"),
        ("/v1/set", '{"manifest": SEALED, "values": {"password": "a"}, "values": {"b": "c"}}', "application/json"),
        ("/v1/generate/generic", '{"name": "a", "stringData": {"a": "b", "a": "c"}}', "application/json"),
        ("/v1/batch", '{"op": "verify", "op": "decrypt", "manifest": SEALED}', "application/jsonl"),
    ],
    ids=["entry", "member", "generate", "batch"],
)
def test_json_that_names_a_member_twice_is_refused(service: Service, path: str, body: str, kind: str) -> None:
    """As in forms, in queries and in manifests: one of the two would be lost."""
    sealed = json.dumps(service.sealed(MANIFEST).decode())
    answer = service.post(path, body.replace("SEALED", sealed).encode(), kind=kind).json()
    told = answer.get("problem", answer)
    assert (told["type"], told["detail"]) == ("/problems/request", "a member that is there twice")


def test_json_with_long_numbers_or_deep_is_json_still(service: Service) -> None:
    more = JSON_MANIFEST.rstrip().removesuffix(b"}")
    long = service.post("/v1/encrypt", more + b', "x": [' + b"1" * 5000 + b"]}", kind="application/json")
    assert long.status == 200, long.body
    deep = service.post("/v1/encrypt", more + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", kind="application/json")
    assert (deep.status, deep.json()["detail"]) == (400, "nested deeper than 64 levels")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("scope=fly", "scope: Input should be 'strict', 'namespace' or 'any'"),
        ("&".join(["key=age:x"] * 11), "key: List should have at most 10 items after validation, not 11"),
        ("key=age:" + "x" * 5000, "key: String should have at most 2048 characters"),
    ],
    ids=["a word", "too many", "too long"],
)
def test_a_parameter_that_is_off_is_told_what_it_takes(service: Service, query: str, said: str) -> None:
    assert service.post(f"/v1/encrypt?{query}", MANIFEST).json()["detail"] == said


def test_advice_names_parameters_and_not_options(service: Service) -> None:
    nameless = MANIFEST.replace(b"  name: db\n", b"")
    said = [service.post(f"/v1/encrypt?{query}", nameless).json()["hint"] for query in ("", "format=kubesec&scope=any")]
    assert said == [
        "name it, or use scope=namespace or scope=any (generateName needs one of them)",
        "leave scope away, or use format=ksecret",
    ]


def test_what_is_sealed_already_is_sent_to_the_right_path(service: Service) -> None:
    refused = service.post("/v1/encrypt", service.sealed(MANIFEST))
    assert refused.problem == "already-sealed"
    assert refused.json()["hint"] == "POST /v1/rotate changes keysets, by add= and remove="
