"""Files that were made to cost: refused with the bound's name, or worked on in time that grows with their bytes."""

from __future__ import annotations

import gc
import random
from contextlib import suppress
from time import thread_time

import pytest

from benchmarks.hostile_bodies import ENVELOPE, FAMILIES, LIST, SEALED, SECRET
from secretsvc.errors import AlteredError, KsecretError, ManifestError
from secretsvc.manifest.nodes import MAX_DEPTH
from secretsvc.manifest.reader import read
from secretsvc.operations.check import check_file
from secretsvc.operations.inspect import describe_manifest
from secretsvc.operations.merge_entries import _order
from secretsvc.operations.nothing import nothing_to_seal
from secretsvc.operations.textconv import structure

TOO_SHORT = 0.02
"""Seconds, under which a time tells nothing."""


def described(text: str) -> int:
    return len(describe_manifest(text.encode(), lambda _uri: ""))


def base(members: int, items: int) -> str:
    return f"{LIST}x: &b {{{','.join(f'a{at}: 1' for at in range(members))}}}\nitems:\n" + "- {<<: *b}\n" * items


def ksecret_keys(number: int) -> str:
    keys = "".join(f'    "gcp:projects/p/locations/l/keyRings/r/cryptoKeys/{at}": AAAA\n' for at in range(number))
    return f"{SEALED}{ENVELOPE}{keys}  seal: AAAA\n"


def kubesec_lines(number: int) -> str:
    keys = "".join(f"# kubesec:gcp:projects/p/locations/l/keyRings/r/cryptoKeys/{at}:AAAA\n" for at in range(number))
    return f"{SECRET}data: {{}}\n# kubesec:v:1\n{keys}"


@pytest.mark.parametrize(
    ("fitting", "too_much", "message"),
    [
        (base(1000, 90), base(1000, 110), "bring in more than 100000 members"),
        (SECRET + f"x: [{'a,' * 80_000}a]\n", SECRET + f"x: [{'a,' * 300_000}a]\n", "more keys, values and lists"),
        ("---\nkind: Secret\n" * 5_000, "---\nkind: Secret\n" * 5_001, "more than 5000 Secrets"),
        (
            SECRET + "stringData: {" + ",".join(f"k{at}: a" for at in range(10_000)) + "}\n",
            SECRET + "stringData: {" + ",".join(f"k{at}: a" for at in range(10_001)) + "}\n",
            "more than 10000 values under stringData",
        ),
        (ksecret_keys(100), ksecret_keys(101), "more than 100 keys"),
        (kubesec_lines(100), kubesec_lines(103), "more than 100 keys"),
        ("%TAG !a! !b\n" + "---\n" + SECRET, "".join(f"\n%TAG !a{at}! !b\n" for at in range(101)), "%TAG"),
    ],
    ids=["merges", "nodes", "Secrets", "values", "keys", "kubesec's lines", "directives"],
)
def test_a_bound_is_told_by_its_name(fitting: str, too_much: str, message: str) -> None:
    described(fitting)
    with pytest.raises((ManifestError, AlteredError), match=message):
        described(too_much)


NESTED = {
    "flow lists": lambda deepest: f"x: {'[' * deepest}{']' * deepest}\n",
    "flow mappings": lambda deepest: f"x: {'{a: ' * (deepest - 1)}1{'}' * (deepest - 1)}\n",
    "keys of flow mappings": lambda deepest: f"x: {'{' * (deepest - 1)}1{': 1}' * (deepest - 1)}\n",
    "block lists": lambda deepest: f"x:\n{'- ' * (deepest - 1)}1\n",
    "block mappings": lambda deepest: "".join(f"{' ' * at}x:\n" for at in range(deepest)) + " " * deepest + "1\n",
    "JSON lists": lambda deepest: f'{{"x": {"[" * deepest}{"]" * deepest}}}',
    "JSON objects": lambda deepest: '{"x": ' * deepest + "1" + "}" * deepest,
}
"""A text whose deepest node has that many levels above it."""


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, MAX_DEPTH + 6, 500])
@pytest.mark.parametrize("form", NESTED)
def test_what_is_nested_too_deep_is_refused_with_its_line(form: str, levels: int) -> None:
    read(NESTED[form](MAX_DEPTH).encode())
    with pytest.raises(ManifestError, match=f"nested deeper than {MAX_DEPTH} levels") as caught:
        read(NESTED[form](levels).encode())
    assert caught.value.line == {"block lists": 2, "block mappings": MAX_DEPTH + 1}.get(form, 1)


@pytest.mark.uncounted
@pytest.mark.parametrize("family", FAMILIES)
def test_eight_times_the_bytes_take_no_sixty_four_times_as_long(family: str) -> None:
    """In process, by this thread's processor time, at sizes at which a square shows: midway between 8 and 64.

    The least of a few times counts: what shares the processor's caches with this one makes it slower, never faster.
    """
    bodies = [FAMILIES[family](size) for size in (12_500, 100_000)]
    least = [float("inf")] * 2
    for _ in range(8):
        least = [min(before, seconds(body)) for before, body in zip(least, bodies, strict=True)]
        if least[1] < 24 * max(least[0], TOO_SHORT):
            return
    assert least[1] < 24 * max(least[0], TOO_SHORT)


def seconds(body: bytes) -> float:
    gc.disable()  # it looks through all that the tests before this one have left: none of that is the body's
    try:
        return _seconds(body)
    finally:
        gc.enable()


def _seconds(body: bytes) -> float:
    before = thread_time()
    with suppress(KsecretError):
        describe_manifest(body, lambda _uri: "")
    with suppress(KsecretError):
        nothing_to_seal(read(body))
    check_file(body, "a.yaml", None, 0)
    structure(body)
    return thread_time() - before


def test_a_merge_orders_keys_as_told_simply_and_many_in_no_time() -> None:
    names = "abcdefgh"
    for seed in range(500):
        chance = random.Random(seed)
        base, ours, theirs = (chance.sample(names, chance.randint(0, 8)) for _ in range(3))
        assert _order(base, ours, theirs) == order_by_insertion(base, ours, theirs)
    many = [f"k{at}" for at in range(40_000)]
    before = thread_time()
    assert len(_order([], many, [f"t{at}" for at in range(40_000)])) == 80_000
    assert thread_time() - before < 5


def order_by_insertion(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    """What that order is, told simply."""

    def among(keys: list[str], others: list[str]) -> list[str]:
        return [key for key in keys if key in others]

    kept = among(ours, base) == among(base, ours)
    spine, other = (theirs, ours) if kept and among(theirs, base) != among(base, theirs) else (ours, theirs)
    result = list(spine)
    for index, key in enumerate(other):
        if key not in spine:
            at = result.index(other[index - 1]) + 1 if index else 0
            while at < len(result) and result[at] not in other:
                at += 1
            result.insert(at, key)
    return result
