"""Static tokens: who holds one, and until when."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest

from secretsvc.api.auth.authenticator import Authenticator
from secretsvc.api.auth.caller import Caller, UnauthenticatedError
from secretsvc.api.auth.jwt import Issuers
from secretsvc.api.settings import Token

TEXT = "kst_ci-0123456789"
HASH = sha256(TEXT.encode()).hexdigest()


def caller(header: str, *, expires: str = "") -> str:
    token = Token(name="ci", sha256=HASH, expires=expires)
    found = Authenticator([token], Issuers([])).look(header)
    assert isinstance(found, Caller)
    return found.token


def in_seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_a_token_serves_until_it_expires() -> None:
    for expires in ("", in_seconds(86400)):
        assert caller(f"Bearer {TEXT}", expires=expires) == "ci"
    for expires in (in_seconds(-86400), in_seconds(-1)):  # the clock of whole seconds is a tick behind the other one
        with pytest.raises(UnauthenticatedError, match="the token has expired") as caught:
            caller(f"Bearer {TEXT}", expires=expires)
        assert caught.value.reason == "expired"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "missing"),
        ("Bearer", "malformed"),
        (f"Basic {TEXT}", "malformed"),
        (f"Bearer {'x' * 4096}", "unknown"),
        (f"Bearer {'x' * 4096}x", "malformed"),
        ("Bearer a.b.c", "issuer"),
        ("Bearer a.b", "unknown"),
        ("Bearer a.b.c.d", "unknown"),
        ("Bearer kst_other", "unknown"),
        (f"Bearer {TEXT}x", "unknown"),
        (f"Bearer {HASH}", "unknown"),
    ],
    ids=range(11),
)
def test_what_is_no_token_is_told_apart_in_a_word(header: str, reason: str) -> None:
    with pytest.raises(UnauthenticatedError, match=r"token|JWT|issuer") as caught:
        caller(header)
    assert caught.value.reason == reason
    assert TEXT not in f"{caught.value} {caught.value.hint}"


def test_the_audit_log_names_a_token_or_an_issuers_subject() -> None:
    assert Caller(token="ci").as_json() == {"token": "ci"}
    assert Caller(issuer="gitlab", subject="job").as_json() == {"issuer": "gitlab", "subject": "job"}
