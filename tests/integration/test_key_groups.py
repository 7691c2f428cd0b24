"""Keys in groups: as many groups as the threshold says open a Secret together, and nobody with fewer of them."""

from __future__ import annotations

import json
import os
import pickle
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
import yaml

import secretsvc
from secretsvc import shamir
from secretsvc.backends import split
from secretsvc.errors import AlteredError, BackendError, InputError, KeyRefError, ManifestError, NoKeyError
from secretsvc.keyref import KeyGroups, KeysetChange, Recipients, keyset, locks_out
from secretsvc.manifest.reader import read
from secretsvc.operations import shares
from secretsvc.operations.keysets import change_keys
from secretsvc.operations.merge import merge_manifests
from secretsvc.operations.open import open_manifest, open_secrets
from secretsvc.operations.request import Request
from secretsvc.programs.git import merge_lines
from tests.support import CREATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.keyref import KeyRef, Keyset, WrappedKey

IDENTITIES = tuple(pyrage.x25519.Identity.generate() for _ in range(4))
REFS = tuple(split(f"age:{one.to_public()}") for one in IDENTITIES)
CLEAR = b"""\
apiVersion: v1
kind: Secret
metadata:
  name: a
data:
  one: YQ==
  two: Yg==
"""


def holding(*numbers: int) -> secretsvc.Keyring:
    held = "\n".join(str(IDENTITIES[number]) for number in numbers)
    return secretsvc.Keyring.from_environ({"KSECRET_AGE_KEY": held, "XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull})


ALL = holding(0, 1, 2, 3)


def sealed_to(*groups: Sequence[int], threshold: int = 0, data: bytes = CLEAR) -> bytes:
    listed = tuple(tuple(REFS[number] for number in group) for group in groups)
    return secretsvc.encrypt(data, ALL, to=Recipients(listed, threshold))


def changed(data: bytes, wanted: Keyset) -> bytes:
    request = Request(KeysetChange((), (), ()), lambda *_: (), "", CREATED, keyset_of=lambda _: wanted)
    return change_keys(data, request, ALL).data


def dek(data: bytes) -> bytes:
    return open_secrets(read(data), ALL)[0].dek


def envelope(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(data)["ksecret"]
    return found


def tokens(data: bytes) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(data)["data"]
    return found


@pytest.fixture(scope="module")
def two_of_three() -> bytes:
    return sealed_to((0,), (1,), (2, 3), threshold=2)


@pytest.mark.parametrize("held", [(0, 1), (0, 2), (1, 3), (0, 1, 2, 3)])
def test_as_many_groups_as_the_threshold_open_it_byte_for_byte(two_of_three: bytes, held: tuple[int, ...]) -> None:
    assert secretsvc.decrypt(two_of_three, holding(*held)) == CLEAR


def test_fewer_groups_open_nothing_and_the_error_tells_which_did_and_why_others_did_not(two_of_three: bytes) -> None:
    with pytest.raises(NoKeyError, match="of its 3 groups of keys 2 must open, and group 3 did") as caught:
        secretsvc.decrypt(two_of_three, holding(2, 3))
    assert [reason.partition(":")[0] for reason in caught.value.reasons] == ["group 1", "group 2"]
    with pytest.raises(NoKeyError, match="and none did"):
        secretsvc.decrypt(two_of_three, holding())


def test_without_a_threshold_all_groups_are_needed() -> None:
    data = sealed_to((0,), (1,), (2,))
    assert envelope(data)["threshold"] == 3
    assert secretsvc.decrypt(data, holding(0, 1, 2)) == CLEAR
    with pytest.raises(NoKeyError, match="3 must open, and groups 1, 2 did"):
        secretsvc.decrypt(data, holding(0, 1))


@pytest.mark.parametrize("data", [CLEAR, CLEAR.replace(b"\n", b"\r\n"), CLEAR[:-1]], ids=["lf", "crlf", "no newline"])
def test_a_file_with_groups_comes_back_byte_for_byte(data: bytes) -> None:
    assert secretsvc.decrypt(sealed_to((0,), (1, 2), data=data), ALL) == data


def test_a_secret_of_a_list_in_json_and_in_flow_style_has_groups_too() -> None:
    one = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"k": "YQ=="}}
    for data in (
        json.dumps({"kind": "List", "apiVersion": "v1", "items": [one]}, indent=2).encode(),
        json.dumps(one).encode(),
    ):
        sealed = sealed_to((0,), (1,), data=data)
        assert json.loads(sealed)
        assert secretsvc.decrypt(sealed, ALL) == data


class Asked:
    """A keyring that notes which keys it was asked to use."""

    def __init__(self, inner: secretsvc.Keyring, failing: Sequence[KeyRef] = ()) -> None:
        self.asked: list[KeyRef] = []
        self._inner = inner
        self._failing = failing

    def unwrap(self, keys: Sequence[WrappedKey]) -> bytes:
        self.asked += [key.ref for key in keys]
        if any(key.ref in self._failing for key in keys):
            raise BackendError("no answer")
        return self._inner.unwrap(keys)


def test_opening_stops_at_the_threshold_and_asks_the_cheapest_groups_first(two_of_three: bytes) -> None:
    keyring = Asked(ALL)
    open_manifest(two_of_three, keyring)  # type: ignore[arg-type]
    assert keyring.asked == [REFS[0], REFS[1]]
    keyring = Asked(ALL, failing=REFS[:1])
    assert open_manifest(two_of_three, keyring).data == CLEAR  # type: ignore[arg-type]
    groups = [
        shares.GroupOfKeys(lambda number=number: keyring.asked.append(number) or parts[number], frozenset([scheme]))  # type: ignore[misc]
        for number, scheme in enumerate(("aws", "pgp", "age", "gcp"))
    ]
    parts = shamir.split(bytes(32), 2, 4)
    keyring.asked.clear()
    assert shares.join(groups, 2, lambda dek: dek == bytes(32)) == bytes(32)
    assert keyring.asked == [2, 1]


def with_share(data: bytes, number: int, share: bytes) -> bytes:
    """The file with another share for every member of a group."""
    for ref, old in envelope(data)["groups"][number].items():
        wrapped = ALL.wrap(split(ref), share, {"ksecret-name": "a"})
        data = data.replace(old.encode(), b64encode(wrapped))
    return data


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_broken_share_locks_nobody_out(two_of_three: bytes, number: int) -> None:
    broken = with_share(two_of_three, number, bytes(32) + bytes([number + 1]))
    assert secretsvc.decrypt(broken, ALL) == CLEAR
    others = holding(*{0: (1, 2), 1: (0, 2), 2: (0, 1)}[number])
    assert secretsvc.decrypt(broken, others) == CLEAR
    with pytest.raises(AlteredError, match="the seal does not fit"):
        secretsvc.decrypt(broken, holding(number, (number + 1) % 3))


@pytest.mark.parametrize(
    "share", [bytes(32), bytes(32) + b"\3", bytes(32) + b"\0"], ids=["a whole DEK", "another group's", "no number"]
)
def test_what_is_not_the_group_s_share_is_passed_over(two_of_three: bytes, share: bytes) -> None:
    broken = with_share(two_of_three, 0, share)
    assert secretsvc.decrypt(broken, ALL) == CLEAR
    with pytest.raises(AlteredError, match="2 must open, and group 2 did") as caught:
        secretsvc.decrypt(broken, holding(0, 1))
    assert "not this group's share" in caught.value.reasons[0]


def test_no_more_than_32_combinations_are_tried() -> None:
    parts = [bytes([number]) * 32 + bytes([number + 1]) for number in range(16)]
    tried: list[bytes] = []
    groups = [shares.GroupOfKeys(lambda part=part: part, frozenset(["age"])) for part in parts]  # type: ignore[misc]
    shares.join(groups, 8, lambda dek: bool(tried.append(dek)))
    assert len(tried) == 32


def test_a_file_whose_seal_fits_no_shares_is_altered(two_of_three: bytes) -> None:
    with pytest.raises(AlteredError, match="the seal does not fit"):
        secretsvc.decrypt(two_of_three.replace(b'created: "2', b'created: "1'), ALL)


def test_what_the_seal_is_over_can_t_be_altered(two_of_three: bytes) -> None:
    """The threshold, the order of groups, and who is in which."""
    text = two_of_three.decode()
    lines = text.splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if line.startswith("    - "))
    altered = {
        "threshold": text.replace("threshold: 2", "threshold: 3"),
        "order": "".join([*lines[:first], lines[first + 1], lines[first], *lines[first + 2 :]]),
        "a member less": "".join([*lines[: first + 3], *lines[first + 4 :]]),
        "a member in another group": text.replace(lines[first + 2], lines[first + 2].replace("    - ", "      ")),
        "a member twice": text.replace(lines[first], lines[first] + lines[first + 3]),
    }
    for what, other in altered.items():
        assert other != text, what
        with pytest.raises((AlteredError, NoKeyError), match=r"seal does not fit|groups of keys 2 must open|division"):
            secretsvc.decrypt(other.encode(), ALL)


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        (r"threshold: 2", "threshold: 1", AlteredError, "3 groups of keys with such a threshold"),
        (r"threshold: 2", "threshold: 4", AlteredError, "3 groups of keys with such a threshold"),
        (r"threshold: 2", "threshold: 02", AlteredError, "3 groups of keys with such a threshold"),
        (r"threshold: 2", "threshold: [2]", ManifestError, "made of plain texts"),
        (r"  threshold: 2\n", "", AlteredError, "with such a threshold"),
        (r"threshold: 2", "threshold: 2\n  keys: {}", AlteredError, "lacks a member, or has one too many"),
        (r"groups:", "keys:", ManifestError, "made of plain texts"),
        (r"(?s)groups:.*seal", "groups: []\n  seal", AlteredError, "0 groups of keys"),
        (r"(?s)groups:.*seal", "groups: [{}, {}]\n  seal", AlteredError, "lacks a member, or has one too many"),
        (r"(?s)groups:.*seal", "groups: [a, b]\n  seal", AlteredError, "a group of keys in the envelope is none"),
        (r"(?s)groups:.*seal", f"groups: [{', '.join(['{a: b}'] * 17)}]\n  seal", AlteredError, "17 groups of keys"),
        (r"- age:", "- AGE:", AlteredError, "a key in the envelope is none"),
    ],
)  # fmt: skip
def test_groups_that_no_envelope_has_are_refused_before_a_key_is_used(
    two_of_three: bytes, old: str, new: str, error: type[Exception], said: str
) -> None:
    other = re.sub(old, new, two_of_three.decode(), count=1)
    assert other.encode() != two_of_three
    with pytest.raises(error, match=said):
        open_manifest(other.encode(), None)  # type: ignore[arg-type]
    findings = secretsvc.check(other.encode())
    assert [finding.code for finding in findings] == ["KS006"]


def test_a_key_that_stands_twice_in_a_group_is_refused(two_of_three: bytes) -> None:
    (line,) = re.findall(rb"(?m)^      (age:.*\n)", two_of_three)
    with pytest.raises(ManifestError, match="a duplicate key in a Secret"):
        secretsvc.decrypt(two_of_three.replace(b"      " + line, 2 * (b"      " + line)), ALL)


def test_a_key_may_be_in_several_groups() -> None:
    data = sealed_to((0, 1), (0, 2), (1, 2), threshold=2)
    assert all(secretsvc.decrypt(data, holding(number)) == CLEAR for number in range(3))


def test_more_than_a_hundred_keys_in_all_groups_are_too_many() -> None:
    many = [split(f"age:{pyrage.x25519.Identity.generate().to_public()}") for _ in range(51)]
    with pytest.raises(KeyRefError, match="more than 100 keys"):
        secretsvc.encrypt(CLEAR, ALL, to=Recipients((tuple(many), tuple(many[:50]))))


def test_a_changed_value_keeps_the_envelope_and_the_other_tokens(two_of_three: bytes) -> None:
    after = secretsvc.set_values(two_of_three, holding(0, 1), {"one": b"new"})
    assert envelope(after) == envelope(two_of_three)
    assert tokens(after)["two"] == tokens(two_of_three)["two"]
    assert tokens(after)["one"] != tokens(two_of_three)["one"]
    again = secretsvc.encrypt(CLEAR, ALL, parent=two_of_three)
    assert again == two_of_three


def test_rotate_makes_a_new_data_key_for_the_same_groups(two_of_three: bytes) -> None:
    after = secretsvc.rotate(two_of_three, holding(0, 1))
    assert dek(after) != dek(two_of_three)
    assert [set(group) for group in envelope(after)["groups"]] == [set(g) for g in envelope(two_of_three)["groups"]]
    assert secretsvc.decrypt(after, holding(1, 3)) == CLEAR


def test_rewrap_divides_the_same_data_key_anew(two_of_three: bytes) -> None:
    after = secretsvc.rewrap(two_of_three, holding(0, 1))
    assert dek(after) == dek(two_of_three)
    assert tokens(after) == tokens(two_of_three)
    assert envelope(after)["seal"] == envelope(two_of_three)["seal"]
    assert secretsvc.decrypt(after, holding(2, 1)) == CLEAR
    mixed = after.decode()
    (ref, new), (_, old) = (next(iter(envelope(one)["groups"][0].items())) for one in (after, two_of_three))
    with pytest.raises(AlteredError, match="the seal does not fit"):
        secretsvc.decrypt(mixed.replace(f"{ref}: {new}", f"{ref}: {old}").encode(), holding(0, 1))


def groups(*members: Sequence[int], threshold: int = 0) -> KeyGroups:
    return KeyGroups(([REFS[number] for number in group] for group in members), threshold)


CHANGES = {
    "a group gets a key": (groups((0,), (1,)), groups((0,), (1, 2)), True),
    "a group loses a key": (groups((0,), (1, 2)), groups((0,), (2,)), False),
    "a key goes to another group": (groups((0, 2), (1,)), groups((0,), (1, 2)), False),
    "a group comes": (groups((0,), (1,)), groups((0,), (1,), (2,), threshold=2), True),
    "a group goes": (groups((0,), (1,), (2,), threshold=2), groups((0,), (1,)), False),
    "the threshold falls": (groups((0,), (1,), (2,)), groups((0,), (1,), (2,), threshold=2), True),
    "the threshold rises": (groups((0,), (1,), (2,), threshold=2), groups((0,), (1,), (2,)), False),
    "keys become groups": (keyset(REFS[:2]), groups((0,), (1,)), False),
    "groups become keys": (groups((0,), (1,)), keyset(REFS[:2]), True),
    "groups become fewer keys": (groups((0,), (1,)), (REFS[0],), False),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "keeps"), CHANGES.values(), ids=CHANGES)
def test_who_can_t_open_it_any_more_does_not_know_the_new_data_key(before: Keyset, after: Keyset, keeps: bool) -> None:
    recipients = Recipients(before.groups, before.threshold) if isinstance(before, KeyGroups) else before
    old = secretsvc.encrypt(CLEAR, ALL, to=recipients)
    new = changed(old, after)
    assert locks_out(before, after) is not keeps
    assert (dek(old) == dek(new)) is keeps
    assert open_secrets(read(new), ALL)[0].refs == after
    assert secretsvc.decrypt(new, ALL) == CLEAR
    assert changed(new, after) == new
    if isinstance(after, KeyGroups) and keeps:
        listed = [
            set(group.values()) for one in (old, new) if "groups" in envelope(one) for group in envelope(one)["groups"]
        ]
        assert len(set.union(*listed)) == sum(map(len, listed))  # every share is wrapped anew


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (KeysetChange((), (REFS[3],), ()), "split among 2 groups of keys"),
        (KeysetChange((), (REFS[3],), (), group=3), "no group 3 of keys, but 2"),
        (KeysetChange((), (), (REFS[0],)), "would leave none"),
        (KeysetChange((), (), (REFS[0],), group=2), "not in group 2 of its keys"),
        (KeysetChange((), (), (REFS[3],)), "not in the keyset"),
    ],
)  # fmt: skip
def test_a_change_of_keys_that_groups_can_t_have_is_refused(change: KeysetChange, said: str) -> None:
    with pytest.raises(KeyRefError, match=said):
        change.applied(groups((0,), (1, 2)))


def test_a_change_of_keys_is_one_of_a_group() -> None:
    held = groups((0, 2), (1, 2))
    assert KeysetChange((), (REFS[3],), (), group=2).applied(held) == groups((0, 2), (1, 2, 3))
    assert KeysetChange((), (), (REFS[2],), group=1).applied(held) == groups((0,), (1, 2))
    assert KeysetChange((), (), (REFS[2],)).applied(held) == groups((0,), (1,))
    with pytest.raises(KeyRefError, match="in no groups"):
        KeysetChange((), (REFS[3],), (), group=1).applied((REFS[0],))


@pytest.mark.parametrize(
    ("listed", "threshold", "said"),
    [
        ([[0]], 0, "in 2 to 16 groups"),
        ([[0]] * 17, 2, "in 2 to 16 groups"),
        ([[0], [1]], 1, "a threshold of 1 is none"),
        ([[0], [1]], 3, "a threshold of 3 is none"),
        ([[0], []], 0, "a group of keys has no key"),
    ],
)  # fmt: skip
def test_groups_that_the_format_has_not_are_refused(listed: list[list[int]], threshold: int, said: str) -> None:
    with pytest.raises(KeyRefError, match=said):
        groups(*listed, threshold=threshold)


def test_groups_are_a_keyset_that_equals_no_other() -> None:
    one = groups((0, 1), (1, 2))
    assert set(one) == set(REFS[:3])
    assert len(one) == 3
    assert one == groups((1, 0), (2, 1), threshold=2)
    assert one != tuple(one)
    assert tuple(one) != one
    assert pickle.loads(pickle.dumps(one)) == one
    assert len({one, groups((0, 1), (1, 2)), groups((1, 2), (0, 1))}) == 2


def test_kubesec_s_format_has_no_groups() -> None:
    with pytest.raises(KeyRefError, match="kubesec's format has no groups of keys"):
        secretsvc.encrypt(CLEAR, ALL, to=Recipients(((REFS[0],), (REFS[1],))), format="kubesec")


def merged(base: bytes, ours: bytes, theirs: bytes) -> bytes:
    return merge_manifests(base, ours, theirs, "a.yaml", merge_lines).data


def test_a_merge_takes_the_division_of_the_side_that_changed_it(two_of_three: bytes) -> None:
    with_key = changed(two_of_three, groups((0,), (1, 3), (2, 3), threshold=2))
    with_value = secretsvc.set_values(two_of_three, ALL, {"one": b"new"})
    for ours, theirs in ((with_key, with_value), (with_value, with_key)):
        result = merged(two_of_three, ours, theirs)
        assert envelope(result) == envelope(with_key)
        assert tokens(result) == tokens(with_value)
        assert b"bmV3" in secretsvc.decrypt(result, holding(1, 3))


def test_a_merge_never_mixes_the_shares_of_two_divisions(two_of_three: bytes) -> None:
    ours, theirs = (secretsvc.rewrap(two_of_three, ALL) for _ in range(2))
    result = merged(two_of_three, ours, theirs)
    assert envelope(result) in (envelope(ours), envelope(theirs))
    assert secretsvc.decrypt(result, holding(0, 1)) == CLEAR


def test_two_changes_of_groups_are_a_conflict_that_does_not_open(two_of_three: bytes) -> None:
    ours = changed(two_of_three, groups((0, 3), (1,), (2, 3), threshold=2))
    theirs = changed(two_of_three, groups((0,), (1, 3), (2, 3), threshold=2))
    result = merged(two_of_three, ours, theirs)
    assert b"# ksecret: CONFLICT: both sides changed the keys" in result
    assert b"keys sync a.yaml" in result
    with pytest.raises(AlteredError, match="two versions"):
        secretsvc.decrypt(result, ALL)
    wanted = groups((0, 3), (1, 3), (2, 3), threshold=2)
    assert open_secrets(read(changed(result, wanted)), ALL)[0].refs == wanted


def test_a_new_data_key_with_other_groups_meets_a_change_of_groups(two_of_three: bytes) -> None:
    ours = secretsvc.rotate(two_of_three, ALL)
    theirs = changed(two_of_three, groups((0,), (1, 3), (2, 3), threshold=2))
    result = merged(two_of_three, ours, theirs)
    assert b"keys add --group N" in result
    with pytest.raises(AlteredError, match="two versions"):
        secretsvc.decrypt(result, ALL)


def test_no_share_and_no_data_key_is_in_a_repr(two_of_three: bytes) -> None:
    manifest = read(two_of_three)
    opened = open_secrets(manifest, ALL)[0]
    assert "masked" in repr(opened.sealed)
    for key in opened.sealed.keys:
        assert "masked" in repr(key)


def test_an_envelope_that_says_less_than_its_division_is_refused_by_the_library(two_of_three: bytes) -> None:
    with pytest.raises(InputError, match="version is not one"):
        secretsvc.decrypt(two_of_three.replace(b"version: 1", b"version: 2"), ALL)
