"""The keyring of one request: whose keys it uses, and when it stops."""

from __future__ import annotations

from base64 import b64encode

import pytest

from secretsvc.api.attempts import Attempt
from secretsvc.api.keyring import CallerKeyring
from secretsvc.api.metrics import Metrics
from secretsvc.api.problems import RefusedError
from secretsvc.errors import NoKeyError
from tests.support import Lock, new_lock, wrapped_keys

DEK = bytes(range(32))


def keys_for(*locks: Lock) -> dict[str, str]:
    return {str(lock.keys[0]): b64encode(lock.keyring.wrap(lock.keys[0], DEK, {})).decode() for lock in locks}


def test_a_key_that_may_not_be_used_is_not_used(lock: Lock) -> None:
    keys = keys_for(lock, new_lock())
    (held, other) = keys
    allowed = CallerKeyring(lock.keyring, Attempt(), Metrics(), frozenset(keys), {frozenset(keys): frozenset([held])})
    assert allowed.unwrap(wrapped_keys(keys)) == DEK
    denied = CallerKeyring(lock.keyring, Attempt(), Metrics(), frozenset(keys), {frozenset(keys): frozenset([other])})
    with pytest.raises(NoKeyError, match="none of the age identities"):
        denied.unwrap(wrapped_keys(keys))
    with pytest.raises(NoKeyError, match="none of its keys"):
        CallerKeyring(lock.keyring, Attempt(), Metrics(), frozenset(keys), {}).unwrap(wrapped_keys(keys))


def test_a_data_key_is_kept_for_the_same_keys_and_context_only(lock: Lock) -> None:
    keys = keys_for(lock)
    metrics = Metrics()
    keyring = CallerKeyring(lock.keyring, Attempt(), metrics, frozenset(keys), {frozenset(keys): frozenset(keys)})
    for context in ({}, {}, {"ksecret-name": "a"}):
        keyring.unwrap(wrapped_keys(keys, context))
    assert b'result="ok"} 2.0' in metrics.text()


def test_no_call_is_made_for_a_request_that_was_given_up(lock: Lock) -> None:
    keys = keys_for(lock)
    attempt = Attempt()
    keyring = CallerKeyring(lock.keyring, attempt, Metrics(), frozenset(keys), {frozenset(keys): frozenset(keys)})
    attempt.abandoned = True
    with pytest.raises(RefusedError, match="given up"):
        keyring.unwrap(wrapped_keys(keys))
    with pytest.raises(RefusedError, match="given up"):
        keyring.wrap(lock.keys[0], DEK, {})


def test_nothing_is_wrapped_under_a_key_that_was_not_planned_for(lock: Lock) -> None:
    keys = keys_for(lock)
    keyring = CallerKeyring(lock.keyring, Attempt(), Metrics(), frozenset(keys), {})
    assert keyring.wrap(lock.keys[0], DEK, {})
    assert [str(key.ref) for key in keyring.rewrap(wrapped_keys(keys), lambda: DEK)] == list(keys)
    other = keys_for(new_lock())
    with pytest.raises(RefusedError, match="was not found to need"):
        keyring.wrap(new_lock().keys[0], DEK, {})
    with pytest.raises(RefusedError, match="was not found to need"):
        keyring.signed().rewrap(wrapped_keys(keys | other), pytest.fail)
