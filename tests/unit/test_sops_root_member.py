"""Whether a text that can't be read was meant to be a file of SOPS's: of any kind, and of megabytes in a moment."""

from __future__ import annotations

import random
import re
import time

import pytest

from secretsvc.operations.documents import _AT_ONCE, _has_root_member

PLAIN = re.compile(rb"(?m)^(?:[\"']?sops[\"']?[ \t]*:|sops_mac=|[ \t]*\[sops\])|\"sops\"[ \t\r\n]*:")
"""The same in one pattern, which looks at every line's start."""
PARTS = (b"sops", b"\n", b" ", b"\t", b'"', b"'", b":", b"[", b"]", b"_mac=", b"a", b"\r")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a: 1\nsops:\n  mac: x\n", True),
        (b"'sops' :", True),
        (b'{"a": 1, "sops"\n :', True),
        (b"a=1\nsops_mac=x", True),
        (b"\t [sops]\n", True),
        (b"a: sops\n", False),
        (b"a sops: b\n", False),
        (b"a=[sops]\n", False),
        (b"a_sops_mac=x\n", False),
    ],
)
def test_it_is_told_by_the_member_at_the_root(text: bytes, found: bool) -> None:
    assert _has_root_member(text) == found == bool(PLAIN.search(text))


def test_it_is_told_as_by_one_pattern_of_any_text() -> None:
    chosen = random.Random(1)
    for _ in range(20_000):
        text = b"".join(chosen.choices(PARTS, k=chosen.randint(1, 9)))
        assert _has_root_member(text) == bool(PLAIN.search(text)), text


@pytest.mark.parametrize("member", [b"\nsops:", b"\n  [sops]", b'\n"sops"  \n :', b"\nsops_mac="])
def test_it_is_told_wherever_it_stands_in_a_large_text(member: bytes) -> None:
    for before in range(_AT_ONCE - len(member) - 1, _AT_ONCE + 2):
        assert _has_root_member(b"x" * before + member + b"y" * _AT_ONCE)


def test_megabytes_are_looked_through_without_keeping_other_threads_waiting() -> None:
    """One search lets no other thread work while it lasts: a twelfth of a second for a service's largest body."""

    def seconds(look: object) -> float:
        began = time.thread_time()
        assert look(text)  # type: ignore[operator]
        return time.thread_time() - began

    text = b"- x\n" * (1 << 20) + b"sops: 1\n"
    assert min(seconds(_has_root_member) for _ in range(3)) * 3 < min(seconds(PLAIN.search) for _ in range(3))
