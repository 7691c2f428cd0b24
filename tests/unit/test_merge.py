"""Merges of odd files: what can't be merged key by key is left to Git's lines, and nothing gets lost on the way."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest
import yaml

from secretsvc.errors import AlteredError
from secretsvc.operations import merge
from secretsvc.operations.merge import Outcome, merge_manifests
from secretsvc.programs.git import merge_lines
from tests.support import LOCK, open_, seal

CLEAR = """\
apiVersion: v1
kind: Secret
metadata:
  name: a
data:
  one: YQ==
  # about two
  two: Yg==
"""


def merged(base: bytes, ours: bytes, theirs: bytes) -> Outcome:
    return merge_manifests(base, ours, theirs, "f.yaml", merge_lines)


def edit(sealed: bytes, old: str, new: str, created: str = "") -> bytes:
    """Opened, edited, and sealed: under the same data key, or one made at that time."""
    clear = open_(sealed).decode()
    assert clear.count(old) == 1
    changed = clear.replace(old, new).encode()
    return LOCK.seal(changed, created=created) if created else LOCK.seal(changed, parent=sealed)


def as_git(base: bytes, ours: bytes, theirs: bytes) -> bool:
    """Whether the outcome is that of plain lines."""
    return merged(base, ours, theirs).data == merge_lines(base, ours, theirs).data


def test_comments_and_quotes_of_one_side_and_the_value_of_the_other() -> None:
    base = seal(CLEAR.encode())
    ours = base.replace(b"# about two", b"# more about two").replace(b"two: ", b"'two':  ")
    assert ours.count(b"more") == 1
    for sides in ((ours, edit(base, "Yg==", "eA==")), (edit(base, "Yg==", "eA=="), ours)):
        outcome = merged(base, *sides)
        assert outcome.conflicts == []
        expected = CLEAR.replace("about", "more about").replace("two: Yg==", "'two':  eA==")
        assert open_(outcome.data).decode() == expected


def test_comments_that_both_sides_changed_are_git_s_matter() -> None:
    base = seal(CLEAR.encode())
    ours, theirs = (base.replace(b"# about two", b"# %s" % word) for word in (b"x", b"z"))
    assert as_git(base, ours, theirs)
    assert b"<<<<<<<" in merged(base, ours, theirs).data


def test_a_conflict_keeps_the_comments_of_both_sides() -> None:
    base = seal(CLEAR.encode())
    ours = edit(base, "# about two\n  two: Yg==", "# ours\n  two: eA==")
    theirs = edit(base, "# about two\n  two: Yg==", "# theirs\n  two: eQ==")
    outcome = merged(base, ours, theirs)
    lines = outcome.data.decode().splitlines()
    assert [line.split(": ")[0] for line in lines[6:13]] == [
        "  # ours",
        "  # ksecret",
        "  # Keep one of the two, named two; delete the other and these lines",
        "  two",
        "  # theirs",
        "  two.CONFLICT",
        "ksecret:",
    ]


def test_a_formatters_change_of_the_envelope_is_taken_from_either_side() -> None:
    base = seal(CLEAR.encode())
    formatted = base.replace(b"sealedFor: a", b"sealedFor: 'a'  # here")
    assert formatted != base
    for sides in ((formatted, edit(base, "YQ==", "eA==")), (edit(base, "YQ==", "eA=="), formatted)):
        outcome = merged(base, *sides)
        assert b"sealedFor: 'a'  # here" in outcome.data
        assert open_(outcome.data).decode() == CLEAR.replace("YQ==", "eA==")


def test_an_entry_added_under_the_old_data_key_is_set_aside() -> None:
    base = seal(CLEAR.encode())
    rotated = LOCK.seal(CLEAR.encode(), created="2027-01-01T00:00:00Z")
    outcome = merged(base, rotated, edit(base, "  one:", "  zero: MA==\n  one:"))
    assert outcome.conflicts == ['a: data["zero"], set beside it as zero.CONFLICT']
    assert b'ours has a new data key (rotate), theirs added "zero"' in outcome.data
    with pytest.raises(AlteredError, match=r"zero\.CONFLICT"):
        open_(outcome.data)


def test_an_entry_removed_under_the_old_data_key_is_set_aside() -> None:
    base = seal(CLEAR.encode())
    rotated = LOCK.seal(CLEAR.encode(), created="2027-01-01T00:00:00Z")
    outcome = merged(base, edit(base, "  one: YQ==\n", ""), rotated)
    assert b'ours removed "one", theirs changed it, or only sealed it anew (rotate)' in outcome.data
    bare = re.sub(rb"(?m)^  # (ksecret|Delete).*\n", b"", outcome.data)
    assert open_(bare.replace(b".CONFLICT", b"")).decode() == CLEAR
    assert open_(re.sub(rb".*CONFLICT.*\n", b"", bare)).decode() == CLEAR.replace("  one: YQ==\n", "")


def test_a_base_with_a_conflict_is_no_base() -> None:
    base = seal(CLEAR.encode())
    ours, theirs = edit(base, "Yg==", "eA=="), edit(base, "Yg==", "eQ==")
    conflict = merged(base, ours, theirs).data
    assert merged(conflict, ours, ours) == (ours, [])
    assert len(merged(conflict, ours, theirs).conflicts) == 1
    assert len(merged(conflict, theirs, ours).conflicts) == 1
    gone = edit(base, "  # about two\n  two: Yg==\n", "")
    assert len(merged(conflict, gone, theirs).conflicts) == 1
    assert merged(conflict, gone, gone) == (gone, [])


def test_a_value_that_ends_the_file_without_a_line_break() -> None:
    sealed = seal(CLEAR.encode())
    data = sealed[sealed.index(b"\ndata:\n") + 1 : sealed.index(b"ksecret:\n")]
    base = (sealed.replace(data, b"") + data).removesuffix(b"\n")
    ours, theirs = (base + b"\n  %s: ksecret.v1.%sAAA" % (key, key) for key in (b"x", b"z"))
    outcome = merged(base, ours, theirs)
    assert outcome.conflicts == []
    assert list(yaml.safe_load(outcome.data)["data"]) == ["one", "two", "x", "z"]
    assert not outcome.data.endswith(b"\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [("  # about two\n", "  # about\r  # two\n"), ("  one: YQ==\n  # about two\n  two:", "   one: YQ==\n   two:")],
)
def test_what_is_not_of_gits_lines_or_of_another_shape_is_left_to_git(old: str, new: str) -> None:
    base = seal(CLEAR.encode())
    turned = seal(CLEAR.replace(old, new).encode())
    assert as_git(base, turned, edit(base, "YQ==", "eA=="))
    assert as_git(turned, base, turned)


def test_a_byte_order_mark_that_one_side_took_away_is_gone() -> None:
    base = seal(b"\xef\xbb\xbf" + CLEAR.encode())
    outcome = merged(base, edit(base, "YQ==", "eA=="), base[3:])
    assert outcome.conflicts == []
    assert open_(outcome.data).decode() == CLEAR.replace("YQ==", "eA==")


def test_two_secrets_of_one_name_are_left_to_git() -> None:
    sealed = seal(CLEAR.encode())
    base = sealed + b"---\n" + sealed
    added = [sealed + b"---\n" + edit(sealed, "  one:", f"  {key}: eA==\n  one:") for key in ("x", "z")]
    assert as_git(base, *added)


def test_every_entry_removed() -> None:
    base = seal(CLEAR.encode())
    tokens = re.findall(r"  (?:one|two|#).*\n", base.decode())
    ours = base.decode().replace(tokens[0], "").encode()
    theirs = base.decode().replace("".join(tokens[1:]), "").encode()
    assert as_git(base, ours, theirs)


def test_values_in_the_clear_are_never_set_aside() -> None:
    """`encrypt -i` would seal them under the name that says CONFLICT."""
    base = seal(CLEAR.encode())
    token = re.findall(rb"one: (\S+)", base)[0]
    ours, theirs = base.replace(token, b"eA=="), base.replace(token, b"eQ==")
    assert as_git(base, ours, theirs)
    assert as_git(base, ours, edit(base, "YQ==", "eQ=="))


def test_a_conflict_that_was_committed_is_not_doubled() -> None:
    base = seal(CLEAR.encode())
    first = merged(base, edit(base, "YQ==", "eA=="), edit(base, "YQ==", "eQ==")).data
    again = merged(base, first, edit(base, "YQ==", "eg=="))
    assert again.conflicts
    assert yaml.compose(again.data) if b"<<<<<<<" not in again.data else True
    assert again.data.count(b"  one.CONFLICT: ") == 1
    assert b"CONFLICT.CONFLICT" not in again.data


def test_text_that_is_no_text() -> None:
    outcome = merged(b"\0a", b"\0b", b"\0c")
    assert outcome == (b"\0b", ["neither side's text could be merged; ours was left"])


def test_a_large_secret_merges_in_reasonable_time() -> None:
    values = "".join(f"  k{number}: {b64encode(bytes([number % 256]) * 600).decode()}\n" for number in range(500))
    base = seal(CLEAR.encode() + values.encode())
    outcome = merged(base, edit(base, "YQ==", "eA=="), edit(base, "Yg==", "eQ=="))
    assert outcome.conflicts == []
    assert open_(outcome.data).decode().startswith(CLEAR.replace("YQ==", "eA==").replace("Yg==", "eQ=="))


def test_values_that_tokens_had_no_room_for_are_merged_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three trees of them would be in memory; what is sealed never has so many."""
    base = seal(CLEAR.encode())
    ours, theirs = edit(base, "YQ==", "eA=="), edit(base, "YQ==", "eQ==")
    assert not as_git(base, ours, theirs)
    monkeypatch.setattr(merge, "_ALWAYS_MERGED", 0)
    monkeypatch.setattr(merge, "_CHARACTERS_PER_VALUE", len(base))
    assert as_git(base, ours, theirs)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"), ["aabb", "abab", "abbb", "aaaa"], ids=["theirs", "ours", "both", "none"]
)
def test_git_is_asked_only_where_both_sides_changed_something(
    monkeypatch: pytest.MonkeyPatch, base: str, ours: str, theirs: str, expected: str
) -> None:
    monkeypatch.setenv("PATH", "")
    assert merge_lines(base.encode(), ours.encode(), theirs.encode()) == (expected.encode(), 0)
