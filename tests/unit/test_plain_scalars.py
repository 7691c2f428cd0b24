"""Tables of plain scalars and how Kubernetes reads them. tests/e2e/test_kubectl_plain.py asks kubectl itself."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from secretsvc.manifest.scalars import is_string

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = """
    ~ null Null NULL y Y yes Yes YES on On ON true True TRUE n N no No NO off Off OFF false False FALSE
    .nan .NaN .NAN .inf .Inf .INF +.inf +.Inf +.INF -.inf -.Inf -.INF
"""

NUMBERS = """
    0 7 42 -0 +0 +1 -1 00 007 010 017 08 09 0800 -08 +09 1_000 1_ 1__0 0_ 0__ -_1 +_1 -1_ 1_2_3_ 0_8
    0x1F 0X1f 0xDEADBEEF -0x1 +0x1 0_x1F 0x_1 0x1_ -_0x1 0o17 0O17 -0o17 +0o7 0o_1 0b1 0B1 0b10 -0b1 +0b1 0b_1
    0b-1 0b+1 0b-_1 0_b-1
    2147483648 4294967296 9007199254740993
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
    18446744073709551615 18446744073709551616 -18446744073709551616 +18446744073709551616
    0x7fffffffffffffff 0xffffffffffffffff -0x8000000000000000 01777777777777777777777 02000000000000000000000
    0o1777777777777777777777 123456789012345678901234567890 0777777777777777777777777
    12e3 1e10 27E5 1E5 9e99 0e0 0e12 1e+5 1e-5 -1e5 +1e5 1e1_0 1_e1 1e_1 1e308 1e-400 0e999
    1. 1.0 .5 .5e3 .5E-3 0.1 00.1 08.5 1.e5 1._ 1_.5 1._5 -.5 +.5 -._1 -.1_ +_.5 -1.5e-10 3.14159 .0 .1_2 .1_2e1_0
    0e462097431906509019562988736854 1234 1111 0000 5e10 2e05
"""

# Strings to kubectl so far; numbers here.
TOO_BIG = """
    0x10000000000000000 0X1ffffffffffffffff -0x8000000000000001 -0xffffffffffffffff +0xffffffffffffffff
    +0x8000000000000000 0x52908400098527886E0F7030069857D2E4169EE7
    0o2000000000000000000000 -0o1000000000000000000001 0o777777777777777777777777
    1e309 1e400 -1e400 1.5e999 .1e400 12345e678901
"""
LONG = ["9" * 400, "0b1" + "0" * 64, "-0b1" + "0" * 63 + "1"]

STRINGS = """
    nUll nULL NUll Nulls nil None yEs yES YEs yess nO nOO oN oFF OFf tRUE tRue fALSE fAlse t f T F
    nan NaN NAN .Nan .nAN +.nan -.nan .nan_ inf Inf INF infinity Infinity +inf -inf +Inf +Infinity .iNF +.iNF
    .infinity .Infinity ++.inf = < <<< _ __ _1 _0 _1e5 - -- + ++ . .. ... +. -. ._ ._1 .1_ .1__2 .1_e5 .1e_5 .1e5_
    .e5 .1e .1e+ .1.2 .1x -e5 +e5 e5 E5 1e 1E 1e+ 1e- 12e3e4 1e5.5 1..0 1.2.3 1.2.3.4 1-2 1+2 --1 ++1 +-1 -+1
    0x 0X 0x_ 0xg 0x1G 0x1p-2 0x1.8 0x-1 -0x 0o 0o8 0o18 0o-1 0b 0B 0b2 0b12 0b_ 0B-1 0b--1 -0b-1 -0b+1 +0b-1 0b+ 0d1
    1f 1F 10L 1e5f 1j 1,000 1:30 190:20:30 20:30.15 12:30:45 0:0 1/2 1=
    2001-01-01 2001-1-1 2001-02-30 2001-13-45 2001-01-01T00:00:00Z 2001-12-14t21:59:43.10-05:00 2001- 2001-01
    MTIz YWJj YWJjZA== 12e= 12== 1e10= 12e3+ +12e3a /12e 12/3 0x1= aaaa AAAA //// ++++ hunter2 y= no== 1A2B 123a
"""
WITH_SPACES = ["1 2", "1e5 ", " 1", "2001-12-14 21:59:43.10", "1\n", "1e5\n", "null\n"]
OTHER_DIGITS = ["\u0661\u0662", "1\u0662", "\uff11", "\u00b2"]


def test_words_are_not_strings() -> None:
    for text in ["", *WORDS.split()]:
        assert not is_string(text), f"{text!r} is a null, a boolean or a float"


def test_numbers_are_not_strings() -> None:
    for text in NUMBERS.split():
        assert not is_string(text), f"{text!r} is a number"


def test_numbers_beyond_64_bits_count_as_numbers() -> None:
    for text in [*TOO_BIG.split(), *LONG]:
        assert not is_string(text), f"{text!r} has the shape of a number"


def test_everything_else_is_a_string() -> None:
    for text in [*STRINGS.split(), *WITH_SPACES, *OTHER_DIGITS]:
        assert is_string(text), f"{text!r} is a string"


def test_the_merge_key_needs_quotes() -> None:
    assert not is_string("<<"), "'<<' merges where it is a key"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda n: "A" * n, True),
        (lambda n: "1" * n, False),
        (lambda n: "1" * n + "=", True),
        (lambda n: "1_" * (n // 2) + "x", True),
        (lambda n: "." + "1_" * (n // 2) + "x", True),
        (lambda n: "." + "1" * n + "e" + "1" * n + "x", True),
        (lambda n: "1" * n + "." + "1" * n + "e" + "1" * n + "x", True),
        (lambda n: "0x" + "f" * n + "g", True),
        (lambda n: "+" * n, True),
    ],
    ids=["letters", "digits", "digits=", "underscores", "fraction", "exponent", "float", "hex", "signs"],
)
def test_long_text_takes_linear_time(make: Callable[[int], str], expected: bool) -> None:
    text = make(1_400_000)
    start = perf_counter()
    assert is_string(text) is expected, f"{text[:20]!r}... of {len(text)} characters"
    assert perf_counter() - start < 5, f"{text[:20]!r}... is slow"
