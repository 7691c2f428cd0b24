"""Where the client's token comes from, and that it is renewed and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc import errors
from secretsvc.client.remote import Remote, token_source
from tests.emulators.fake_service import TOKEN, Canned, FakeService
from tests.unit.remote_support import client, sealed_by, service

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["client", "service"]  # fixtures, for pytest to find here
URL = "https://ksecret.example"


def test_a_token_that_ran_out_is_read_anew_once(service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    client = Remote(service.url, {"KSECRET_TOKEN_FILE": str(path)})
    sealed_by(client)
    service.token = "next"
    path.write_text("next")
    sealed_by(client)
    assert [seen.token for seen in service.seen] == [TOKEN, TOKEN, "next"]
    service.token = "another"
    with pytest.raises(errors.BackendError, match="no such token") as raised:
        sealed_by(client)
    assert raised.value.hint == "has it expired, or is it for another service? (the service's request r-1)"
    assert len(service.seen) == 4
    client.close()


def test_an_identity_token_is_for_the_service_that_gets_it(service: FakeService) -> None:
    """One for a word that anybody's service may go by could be used at another."""
    service.canned = [Canned(body=b'{"value": "not-a-secret-test-token"}', media="application/json")]
    actions = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{service.url}/token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner"}
    client = Remote(f"{service.url}/", actions)
    sealed_by(client)
    assert service.seen[0].query == [("audience", service.url)]
    client.close()


def test_where_tokens_come_from_and_in_which_order(service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(" from-file \n")
    service.canned = [Canned(body=b'{"value": "from-github"}', media="application/json")] * 2
    every = {
        "KSECRET_TOKEN": "from-environment",
        "KSECRET_TOKEN_FILE": str(path),
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{service.url}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner",
    }
    assert token_source(every, URL)() == "from-environment"
    del every["KSECRET_TOKEN"]
    assert token_source(every, URL)() == "from-file"
    del every["KSECRET_TOKEN_FILE"]
    assert token_source(every, URL)() == "from-github"
    assert token_source(every | {"KSECRET_TOKEN_AUDIENCE": "mine & yours"}, URL)() == "from-github"
    assert [seen.query for seen in service.seen] == [
        [("api-version", "2.0"), ("audience", URL)],
        [("api-version", "2.0"), ("audience", "mine & yours")],
    ]
    assert {seen.token for seen in service.seen} == {"runner"}
    del every["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    with pytest.raises(errors.UsageError, match="no token for the service"):
        token_source(every, URL)


@pytest.mark.parametrize(
    "canned",
    [Canned(403, b'{"message": "pa55"}'), Canned(body=b"pa55"), Canned(body=b'["pa55"]'), Canned(body=b'{"value": 5}')],
)
def test_github_without_a_token(service: FakeService, canned: Canned) -> None:
    service.canned = [canned]
    source = token_source(
        {"ACTIONS_ID_TOKEN_REQUEST_URL": service.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner"}, URL
    )
    with pytest.raises(errors.BackendError, match="GitHub gave no identity token") as raised:
        source()
    assert "pa55" not in str(raised.value)


def test_githubs_own_token_goes_over_https_only() -> None:
    source = token_source(
        {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://a.example", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}, URL
    )
    with pytest.raises(errors.UsageError, match="not an https URL"):
        source()


@pytest.mark.parametrize("text", ["pa55 word", "pa55\r\nX: y", "pä55", " ", "pa55\x7f"])
def test_a_token_that_can_stand_in_no_header_is_not_shown(text: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(text, newline="")
    for environ in ({"KSECRET_TOKEN": text}, {"KSECRET_TOKEN_FILE": str(path)}):
        with pytest.raises(errors.UsageError, match="holds no token") as raised:
            token_source(environ, URL)()
        assert "pa55" not in str(raised.value)


def test_a_token_file_that_is_not_there() -> None:
    with pytest.raises(errors.FileError, match="the token can't be read: No such file"):
        token_source({"KSECRET_TOKEN_FILE": "/nowhere/token"}, URL)()
