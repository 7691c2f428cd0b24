"""JWTs that anybody may send: what is bad costs little, and what is good is checked once."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import jwt as pyjwt
import pytest

from secretsvc.api import settings
from secretsvc.api.auth import jwt
from secretsvc.api.auth.authenticator import MAX_TOKEN, Authenticator
from secretsvc.api.auth.caller import Caller
from secretsvc.api.auth.jwt import MOST_AT_A_TIME, MOST_REMEMBERED, Issuers
from secretsvc.api.problems import RefusedError
from tests.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def unasked() -> Issuer:
    """One whose keys come from a file."""
    made = Issuer()
    made._server.server_close()
    return made


KNOWN = unasked()


@pytest.fixture
def issuers(tmp_path: Path) -> Issuers:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(KNOWN.jwks()))
    told = {"name": "ci", "issuer": KNOWN.url, "audience": "ksecret", "jwksFile": str(path), "leeway": 0}
    return Issuers([settings.Issuer.model_validate(told)])


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads of what PyJWT was asked."""
    found: list[str] = []
    decode = pyjwt.decode

    def counted(*words: Any, **more: Any) -> Any:
        found.append(threading.current_thread().name)
        return decode(*words, **more)

    monkeypatch.setattr(jwt.pyjwt, "decode", counted)
    monkeypatch.setattr(jwt.pyjwt, "get_unverified_header", lambda _: pytest.fail("read by PyJWT"))
    return found


async def asked(issuers: Issuers, token: str) -> Caller:
    """As a request asks."""
    authenticator = Authenticator([], issuers)
    found = authenticator.look(f"Bearer {token}")
    return found if isinstance(found, Caller) else await authenticator.verified(found)


def part(content: object) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def made(head: object, body: object) -> str:
    return f"{part(head)}.{part(body)}.{'A' * 342}"


HEAD = {"alg": "RS256", "kid": "rsa"}


@pytest.mark.parametrize(
    "token",
    [
        made(HEAD, {"iss": "https://other.example", "pad": "x" * 2000}),
        made(HEAD, {"iss": [KNOWN.url]}),
        made(HEAD, {}),
        made(HEAD, [KNOWN.url]),
        made({**HEAD, "alg": "HS256"}, {"iss": KNOWN.url}),
        made({**HEAD, "alg": ["RS256"]}, {"iss": KNOWN.url}),
        made({**HEAD, "alg": {}}, {"iss": KNOWN.url}),
        made({**HEAD, "kid": 1}, {"iss": KNOWN.url}),
        made({**HEAD, "kid": "other"}, {"iss": KNOWN.url}),
        made({**HEAD, "crit": []}, {"iss": KNOWN.url}),
        made("RS256", {"iss": KNOWN.url}),
        f"{part(HEAD)}.{urlsafe_b64encode(b'[' * 2900).decode()}.x",
        f"{part(HEAD)}.\xe9.x",
        f"{part(HEAD)}.{urlsafe_b64encode(bytes(range(128, 256))).decode()}.x",
        "..",
    ],
    ids=range(15),
)
def test_what_names_nothing_that_is_known_is_turned_away_before_a_signature_is_looked_at(
    issuers: Issuers, checks: list[str], token: str
) -> None:
    with pytest.raises(RefusedError, match=r"issuer|algorithm|not a JWT") as caught:
        asyncio.run(asked(issuers, token))
    assert caught.value.kind.status == 401
    assert not checks


def test_without_an_issuer_no_jwt_is_read(checks: list[str]) -> None:
    with pytest.raises(RefusedError, match="no issuer of JWTs is known"):
        asyncio.run(asked(Issuers([]), KNOWN.token()))
    assert not checks


def test_a_jwt_has_4_kib_at_most(issuers: Issuers, checks: list[str]) -> None:
    long = KNOWN.token(pad="x" * 2500)
    assert 3800 < len(long) <= MAX_TOKEN == 4096
    assert asyncio.run(asked(issuers, long)).issuer == "ci"
    with pytest.raises(RefusedError, match="not a bearer token"):
        asyncio.run(asked(issuers, KNOWN.token(pad="x" * 3000)))
    assert len(checks) == 1


def test_signatures_are_checked_off_the_event_loop_and_good_ones_once(issuers: Issuers, checks: list[str]) -> None:
    good, bad = KNOWN.token(), KNOWN.token()[:-20] + "A" * 20

    async def ask() -> None:
        for _ in range(3):
            assert (await asked(issuers, good)).subject == "job"
            with pytest.raises(RefusedError, match="signature does not fit"):
                await asked(issuers, bad)

    asyncio.run(ask())
    assert len(checks) == 4
    assert {name.partition("_")[0] for name in checks} == {"jwt"}


def test_a_good_token_is_good_until_it_expires_or_its_key_is_no_more(issuers: Issuers, monkeypatch: Any) -> None:
    token = KNOWN.token(exp=int(time.time()) + 60)
    keys = issuers._issuers[KNOWN.url][1]

    async def ask() -> None:
        await asked(issuers, token)
        now = time.time() + 61
        with monkeypatch.context() as later:
            later.setattr(jwt.time, "time", lambda: now)
            later.setattr(jwt, "_checked", lambda *_: pytest.fail("checked anew"))
            with pytest.raises(pytest.fail.Exception, match="checked anew"):
                await asked(issuers, token)
        await asked(issuers, token)
        other = unasked().jwks()["keys"]
        monkeypatch.setattr(keys, "_keys", jwt_keys({"keys": other}))
        with pytest.raises(RefusedError, match="signature does not fit"):
            await asked(issuers, token)
        monkeypatch.setattr(keys, "_keys", {})
        with pytest.raises(RefusedError, match="its issuer does not show"):
            await asked(issuers, token)

    asyncio.run(ask())


def jwt_keys(jwks: object) -> Any:
    from secretsvc.api.auth.jwks import parsed

    return parsed(json.dumps(jwks).encode())


def waiting(issuers: Issuers, work: Callable[[], Any]) -> None:
    """Has `work` called while all places for checks are taken."""

    async def all_of_it() -> None:
        bad = [asyncio.create_task(asked(issuers, KNOWN.token(sub=str(at)))) for at in range(MOST_AT_A_TIME)]
        await asyncio.sleep(0.05)
        try:
            await work()
        finally:
            until.set()
            await asyncio.gather(*bad)

    until = threading.Event()
    checked = jwt._checked

    def slow(*words: Any) -> Any:
        until.wait(10)
        return checked(*words)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jwt, "_checked", slow)
        asyncio.run(all_of_it())


def test_so_many_signatures_wait_and_no_more_but_who_was_found_good_gets_in(issuers: Issuers) -> None:
    good = KNOWN.token(sub="known")

    async def ask() -> None:
        with pytest.raises(RefusedError, match="too many tokens") as caught:
            await asked(issuers, KNOWN.token(sub="new"))
        assert caught.value.kind.status == 503
        assert "retry-after" in caught.value.headers
        assert (await asked(issuers, good)).subject == "known"

    asyncio.run(asked(issuers, good))
    waiting(issuers, ask)
    assert asyncio.run(asked(issuers, KNOWN.token(sub="new"))).subject == "new", "places come back"


def test_good_tokens_that_are_remembered_are_bounded(issuers: Issuers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt, "_checked", lambda *_: {"exp": time.time() + 100, "sub": "x"})
    body = {"iss": KNOWN.url}

    async def many() -> None:
        for at in range(MOST_REMEMBERED + 10):
            await asked(issuers, made(HEAD, {**body, "at": at}))

    asyncio.run(many())
    assert len(issuers._good) == MOST_REMEMBERED


def test_bad_signatures_take_little_of_the_processor(issuers: Issuers) -> None:
    bad = KNOWN.token()[:-20] + "A" * 20

    async def many() -> None:
        for _ in range(50):
            with pytest.raises(RefusedError, match="signature does not fit"):
                await asked(issuers, bad)

    began = time.monotonic()
    asyncio.run(many())
    assert time.monotonic() - began > 50 * jwt.REST


def test_while_all_places_are_taken_no_token_is_even_read(issuers: Issuers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        monkeypatch.setattr(jwt, "_object", lambda _: pytest.fail("read"))
        with pytest.raises(RefusedError, match="too many tokens"):
            await asked(issuers, made(HEAD, {"iss": "https://other.example"}))

    waiting(issuers, ask)
