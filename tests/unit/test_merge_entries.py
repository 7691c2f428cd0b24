"""Random changes on two sides: what only one side touched merges and opens, what both touched is kept twice."""

from __future__ import annotations

from typing import TypeAlias

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from secretsvc.errors import AlteredError
from secretsvc.manifest.reader import read
from secretsvc.operations.merge import merge_manifests
from secretsvc.programs.git import merge_lines
from tests.support import LOCK, NIGHT, open_

Values: TypeAlias = dict[str, str]
"""Key → value, in the order of the file."""

HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n"
KEYS = ("a", "b", "c", "d", "e")
STYLES = ("{}", "'{}'", '"{}"  # behind', "|-\n      {}", ">\n      {}")


def written(values: Values, newline: str = "\n") -> bytes:
    """Each key with a style and, for some, a comment of its own, so that only values, keys and order differ."""
    lines = []
    for key, value in values.items():
        number = sum(key.encode())
        comment = f"  # about {key}\n\n" if number % 3 == 0 else ""
        lines.append(f"{comment}  {key}: {STYLES[number % len(STYLES)].format(value)}\n")
    return (HEAD + "".join(lines)).replace("\n", newline).encode()


def values_of(data: bytes) -> Values:
    return {entry.key: entry.value.rstrip("\n") for entry in read(data).secrets[0].entries}


@st.composite
def edited(draw: st.DrawFn, base: Values, side: str) -> Values:
    """Some values changed, some entries removed (never `keep`), some added anywhere; `x` may be added by both."""
    values = dict(base)
    for key in base:
        what = draw(st.sampled_from(("leave", "leave", "change", "same change", "remove")))
        if key == "keep" or what == "leave":
            continue
        if what == "remove":
            del values[key]
        else:
            values[key] = f"{key} of {side}" if what == "change" else f"{key} of both"
    for new in draw(st.lists(st.sampled_from((f"{side}1", f"{side}2", "x")), unique=True)):
        items = list(values.items())
        items.insert(draw(st.integers(0, len(items))), (new, f"{new} of {side}"))
        values = dict(items)
    return values


@st.composite
def histories(draw: st.DrawFn) -> tuple[Values, Values, Values]:
    names = draw(st.lists(st.sampled_from(KEYS), unique=True))
    names.insert(draw(st.integers(0, len(names))), "keep")
    base = {name: f"{name} of base" for name in names}
    return base, draw(edited(base, "ours")), draw(edited(base, "theirs"))


@settings(max_examples=settings().max_examples if NIGHT else 50)
@given(histories(), st.sampled_from(("\n", "\r\n")))
def test_random_changes(history: tuple[Values, Values, Values], newline: str) -> None:
    base, ours, theirs = history
    sealed = [LOCK.seal(written(base, newline))]
    sealed += [LOCK.seal(written(side, newline), parent=sealed[0]) for side in (ours, theirs)]
    outcome = merge_manifests(sealed[0], sealed[1], sealed[2], "f.yaml", merge_lines)
    expected, in_conflict = {}, set()
    for key in {**base, **ours, **theirs}:
        before, left, right = base.get(key), ours.get(key), theirs.get(key)
        # Two people who write the same value seal it into two tokens, and nobody can tell without a key.
        if left == before or right == before:
            value = right if left == before else left
            expected |= {} if value is None else {key: value}
        elif left is not None or right is not None:
            in_conflict.add(key)
    assert len(outcome.conflicts) == len(in_conflict)
    if not in_conflict:
        assert values_of(open_(outcome.data)) == expected
        assert outcome.data.count(b"\r\n") == (outcome.data.count(b"\n") if newline == "\r\n" else 0)
        if theirs == base:
            assert outcome.data == sealed[1]
        if ours == base:
            assert outcome.data == sealed[2]
        return
    found = yaml.safe_load(outcome.data)["stringData"]
    assert {key.removesuffix(".CONFLICT") for key in found if key.endswith(".CONFLICT")} == in_conflict
    assert set(found) >= set(expected)
    with pytest.raises(AlteredError, match=r"CONFLICT.* was altered, or copied from another place"):
        open_(outcome.data)


def test_an_order_that_one_side_changed_is_taken() -> None:
    base = {name: name for name in KEYS}
    sealed = LOCK.seal(written(base))
    turned = LOCK.seal(written(dict(reversed(base.items()))), parent=sealed)
    more = LOCK.seal(written(base | {"c": "changed", "z": "new"}), parent=sealed)
    for sides in ((turned, more), (more, turned)):
        outcome = merge_manifests(sealed, *sides, "f.yaml", merge_lines)
        assert outcome.conflicts == []
        values = values_of(open_(outcome.data))
        assert values == base | {"c": "changed", "z": "new"}
        assert [key for key in values if key != "z"] == list(reversed(KEYS))
