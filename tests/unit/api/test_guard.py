"""The keyring of one request: whose keys it uses, and when it stops."""

from __future__ import annotations

from base64 import b64encode

import pytest

from secretsvc.api.guard import Guard, Watch
from secretsvc.api.metrics import Metrics
from secretsvc.api.problems import RefusedError
from secretsvc.errors import NoKeyError
from tests.support import Lock, new_lock

DEK = bytes(range(32))


def keys_for(*locks: Lock) -> dict[str, str]:
    return {str(lock.keys[0]): b64encode(lock.keyring.wrap(lock.keys[0], DEK, {})).decode() for lock in locks}


def test_a_key_that_may_not_be_used_is_not_used(lock: Lock) -> None:
    keys = keys_for(lock, new_lock())
    (held, other) = keys
    allowed = Guard(lock.keyring, Watch(), Metrics(), frozenset(keys), {frozenset(keys): frozenset([held])})
    assert allowed.unwrap(keys, {}) == DEK
    denied = Guard(lock.keyring, Watch(), Metrics(), frozenset(keys), {frozenset(keys): frozenset([other])})
    with pytest.raises(NoKeyError, match="none of the age identities"):
        denied.unwrap(keys, {})
    with pytest.raises(NoKeyError, match="none of its keys"):
        Guard(lock.keyring, Watch(), Metrics(), frozenset(keys), {}).unwrap(keys, {})


def test_a_data_key_is_kept_for_the_same_keys_and_context_only(lock: Lock) -> None:
    keys = keys_for(lock)
    metrics = Metrics()
    guard = Guard(lock.keyring, Watch(), metrics, frozenset(keys), {frozenset(keys): frozenset(keys)})
    for context in ({}, {}, {"ksecret-name": "a"}):
        guard.unwrap(keys, context)
    assert b'result="ok"} 2.0' in metrics.text()


def test_no_call_is_made_for_a_request_that_was_given_up(lock: Lock) -> None:
    keys = keys_for(lock)
    watch = Watch()
    guard = Guard(lock.keyring, watch, Metrics(), frozenset(keys), {frozenset(keys): frozenset(keys)})
    watch.abandoned = True
    with pytest.raises(RefusedError, match="given up"):
        guard.unwrap(keys, {})
    with pytest.raises(RefusedError, match="given up"):
        guard.wrap(lock.keys[0], DEK, {})


def test_nothing_is_wrapped_under_a_key_that_was_not_planned_for(lock: Lock) -> None:
    keys = keys_for(lock)
    guard = Guard(lock.keyring, Watch(), Metrics(), frozenset(keys), {})
    assert guard.wrap(lock.keys[0], DEK, {})
    assert list(guard.rewrap(keys, {}, lambda: DEK)) == list(keys)
    other = keys_for(new_lock())
    with pytest.raises(RefusedError, match="was not found to need"):
        guard.wrap(new_lock().keys[0], DEK, {})
    with pytest.raises(RefusedError, match="was not found to need"):
        guard.signed().rewrap(keys | other, {}, pytest.fail)
