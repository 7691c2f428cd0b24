"""What every format does, ours and one that is none of ours: sealed, opened, rotated, checked, merged, served."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from secretsvc import formats
from secretsvc.api.auth.caller import Caller
from secretsvc.api.authorisation import AccessRules
from secretsvc.api.operations import OPERATIONS, Call
from secretsvc.api.plans import Planner
from secretsvc.api.problems import RefusedError
from secretsvc.api.settings import Rule
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import AlreadySealedError, AlteredError, BackendError, KeyNotHeldError
from secretsvc.formats.base import token_of
from secretsvc.manifest.reader import read
from secretsvc.operations import answers
from secretsvc.operations.check import check_file
from secretsvc.operations.convert import convert_manifest
from secretsvc.operations.edit import open_draft, seal_draft
from secretsvc.operations.get import get_value
from secretsvc.operations.inspect import describe_manifest
from secretsvc.operations.keysets import change_keys
from secretsvc.operations.merge import merge_manifests
from secretsvc.operations.open import open_manifest
from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.request import Changes
from secretsvc.operations.rotate import rewrap_manifest, rotate_manifest
from secretsvc.operations.seal import seal_manifest
from secretsvc.operations.textconv import structure, with_values
from secretsvc.programs.git import merge_lines
from tests.kubesec_support import ALL, AWS, GCP, Keys, Want

if TYPE_CHECKING:
    from secretsvc.formats.base import Place

CLEAR = b"""\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
data:
  a: YWE=
  b: YmI=
stringData:
  c: "the third"
"""
VALUES = {("data", "a"): "YWE=", ("data", "b"): "YmI=", ("stringData", "c"): "the third"}
CI = Caller(token="ci")


def want(name: str, **words: object) -> Want:
    return Want(**({"keys": (GCP, AWS), "format": name} | words))  # type: ignore[arg-type]


def sealed(name: str, clear: bytes = CLEAR) -> bytes:
    return seal_manifest(clear, want(name).request, ALL).data


def values(data: bytes) -> dict[Place, str]:
    return {(entry.field, entry.key): entry.value for secret in read(data).secrets for entry in secret.entries}


def tokens(data: bytes) -> set[str]:
    return {token_of(entry) for secret in read(data).secrets for entry in secret.entries}


def wrapped(data: bytes) -> set[str]:
    manifest = read(data)
    return {key.source for key in formats.of(manifest).read(manifest, manifest.secrets[0]).keys}


def test_what_is_sealed_opens_to_what_it_was(name: str) -> None:
    data = sealed(name)
    assert formats.of(read(data)).name == name
    assert not any(value in data.decode() for value in VALUES.values())
    opened = open_manifest(data, ALL)
    assert values(opened.data) == VALUES
    assert opened.bound is formats.named(name).binds
    with pytest.raises(AlreadySealedError, match="it is sealed already"):
        seal_manifest(data, want(name).request, ALL)


def test_a_changed_value_leaves_the_others_their_tokens_and_the_keys(name: str) -> None:
    before = sealed(name)
    after = patch_manifest(before, Changes(values={"a": b"new"}), want(name).request, ALL).data
    assert len(tokens(before) & tokens(after)) == 2
    assert wrapped(after) == wrapped(before)
    assert get_value(after, "a", ALL).data == b"new"
    answers.check_set(read(before), after, Changes(values={"a": b"new"}), "")
    with pytest.raises(BackendError, match=r"is not what was asked for|other changes|other tokens"):
        answers.check_set(read(before), after, Changes(values={"b": b"new"}), "")


def test_who_lost_a_key_gets_no_data_key_that_they_knew(name: str) -> None:
    before = sealed(name)
    fewer = change_keys(before, want(name, remove=(AWS,)).request, ALL).data
    assert not tokens(before) & tokens(fewer)
    assert not wrapped(before) & wrapped(fewer)
    assert values(open_manifest(fewer, Keys([GCP])).data) == VALUES
    with pytest.raises(KeyNotHeldError, match="no such key here"):
        open_manifest(fewer, Keys([AWS]))


def test_who_came_gets_the_data_key_that_is_there(name: str) -> None:
    before = seal_manifest(CLEAR, want(name, keys=(GCP,)).request, ALL).data
    after = change_keys(before, want(name, add=(AWS,)).request, ALL).data
    assert tokens(after) == tokens(before)
    assert wrapped(after) > wrapped(before)
    assert values(open_manifest(after, Keys([AWS])).data) == VALUES


def test_rotating_makes_all_new_and_rewrapping_the_wrapped_keys_alone(name: str) -> None:
    before = sealed(name)
    rotated = rotate_manifest(before, want("", rotate=True).request, ALL).data
    assert not tokens(before) & tokens(rotated)
    answers.check_rotated(read(before), rotated)
    rewrapped = rewrap_manifest(before, ALL).data
    assert (tokens(rewrapped), wrapped(rewrapped) & wrapped(before)) == (tokens(before), set())
    answers.check_rewrapped(read(before), rewrapped)
    assert values(open_manifest(rotated, ALL).data) == values(open_manifest(rewrapped, ALL).data) == VALUES


def test_every_format_becomes_every_other(name: str) -> None:
    for other in formats.names():
        if other != name:
            converted = convert_manifest(sealed(name), want(other).request, ALL).data
            assert formats.of(read(converted)).name == other
            assert values(open_manifest(converted, ALL).data) == VALUES


@pytest.mark.parametrize("spoil", ["cut", "swapped"])
def test_a_token_that_is_not_where_it_was_made_does_not_open(name: str, spoil: str) -> None:
    data = sealed(name).decode()
    one, other, _ = (entry.value for entry in read(data.encode()).secrets[0].entries)
    wrong = data.replace(one, one[:-5] + one[-4:]) if spoil == "cut" else data.replace(one, "-").replace(other, one)
    with pytest.raises(AlteredError, match=r"altered|copied|is none|is not sealed"):
        open_manifest(wrong.replace(": -", f": {other}").encode(), ALL)


def test_a_value_in_the_clear_is_told_by_inspect_and_check_and_sealed_again(name: str) -> None:
    data = sealed(name)
    (one,) = describe_manifest(data, lambda _: "")
    assert (one.sealed, one.format_name, one.bound) == (True, name, formats.named(name).binds)
    assert {key["ref"] for key in one.keys} == {str(GCP), str(AWS)}
    assert check_file(data, "s.yaml", None, 0).findings == []
    half = data.replace(read(data).secrets[0].entries[0].value.encode(), b"bmV3")
    assert [found.code for found in check_file(half, "s.yaml", None, 0).findings] == ["KS002"]
    assert describe_manifest(half, lambda _: "")[0].in_the_clear == ["data/a"]
    with pytest.raises(AlteredError, match="is not sealed, in a Secret that is"):
        open_manifest(half, ALL)


def test_an_edit_that_changes_nothing_changes_no_byte(name: str) -> None:
    data = sealed(name)
    draft = open_draft(data, want(name).request, ALL)
    assert b"aa" in draft.shown
    assert seal_draft(draft, draft.shown, want(name).request, ALL).data == data
    changed = seal_draft(draft, draft.shown.replace(b"the third", b"the fourth"), want(name).request, ALL).data
    assert len(tokens(changed) & tokens(data)) == 2
    assert values(open_manifest(changed, ALL).data)["stringData", "c"] == "the fourth"


def test_a_service_s_answer_is_told_from_another(name: str) -> None:
    before = read(CLEAR)
    answers.check_encrypted(before, sealed(name), (GCP, AWS), "", name)
    with pytest.raises(BackendError, match="is sealed in another format"):
        answers.check_encrypted(before, sealed(name), (GCP, AWS), "", "ksecret" if name != "ksecret" else "kubesec")
    with pytest.raises(BackendError, match="is sealed to other keys"):
        answers.check_encrypted(before, sealed(name), (GCP,), "", name)
    answers.check_opened(read(sealed(name)), open_manifest(sealed(name), ALL).data)


def test_values_that_two_sides_changed_merge(name: str) -> None:
    base = sealed(name)
    ours, theirs = (
        patch_manifest(base, Changes(values={key: b"new"}), want(name).request, ALL).data for key in ("a", "c")
    )
    merged = merge_manifests(base, ours, theirs, "s.yaml", merge_lines)
    assert tokens(merged.data) == tokens(ours) & tokens(merged.data) | tokens(theirs) & tokens(merged.data)
    assert len(tokens(merged.data) - tokens(base)) == 2
    if not merged.conflicts:  # a MAC over values is left to somebody with a key
        assert get_value(merged.data, "c", ALL).data == get_value(merged.data, "a", ALL).data == b"new"


def test_a_diff_shows_no_token_and_with_a_key_the_values(name: str) -> None:
    data = sealed(name)
    shown = structure(data).decode()
    assert shown.count("<sealed ") == 3
    assert not any(token in shown for token in tokens(data))
    assert "the third" in with_values(data, lambda: ALL).decode()  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("unbound", [False, True])
def test_the_service_opens_what_binds_no_name_by_a_rule_that_says_so(name: str, unbound: bool) -> None:
    rule = {"callers": [{"token": "ci"}], "operations": ["decrypt"], "namespaces": ["prod"], "names": ["db"]}
    rules = AccessRules([Rule.model_validate(rule | {"keys": ["*"], "unbound": unbound})])
    planner = Planner(rules, (), Backends(Settings({"HOME": os.devnull}, lambda _: None)), documents=3)
    call, seen = Call(OPERATIONS["decrypt"], sealed(name)), describe_manifest(sealed(name), lambda _: "")
    if formats.named(name).binds or unbound:
        assert values(planner.plan(CI, call, seen).work(ALL).data) == VALUES  # type: ignore[arg-type]
    else:
        with pytest.raises(RefusedError, match=re.escape("which binds it to no name")):
            planner.plan(CI, call, seen)


def test_a_text_is_searched_for_its_format_once_and_not_for_each_of_its_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten thousand Secrets in a text of megabytes would take minutes."""
    manifest = read(b"---\n".join([CLEAR.replace(b"name: db", b"name: db%d" % number) for number in range(50)]))
    assert formats.sealed_in(manifest) == []
    monkeypatch.setattr(formats, "TABLE", {"ksecret": formats.TABLE["ksecret"], "kubesec": None})
    for secret in manifest.outline().secrets:
        assert not formats.of(manifest.outline()).is_sealed(manifest, secret)
