"""Patterns are what Go makes of them, and none takes long."""

from __future__ import annotations

from time import process_time

import pytest

from secretsvc.errors import InputError
from secretsvc.go_regexp import MOST_CHARACTERS, GoRegexp


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(data|stringData)$", b"data"),
        ("(?i)PASS", b"my_password"),
        (r"\.enc\.ya?ml$", b"a/b.enc.yml"),
        ("", b""),
        ("é", "café".encode()),
        (r"\p{Greek}", "λ".encode()),
        (r"\Qa.b\E$", b"a.b"),
        (r"(?s)^a.b\z", b"a\nb"),
        (r"^.{3}$", b"\xff\xe2\x82"),
        (r"(?P<a>x)(?P<b>y)", b"xy"),
        (r"\\C", rb"\C"),
        (r"\Q\C\E", rb"\C"),
    ],
)
def test_a_pattern_fits_where_it_does_for_go(pattern: str, text: bytes) -> None:
    assert GoRegexp(pattern).finds(text)


@pytest.mark.parametrize(("pattern", "text"), [("^data$", b"data\n"), ("data", b"Data"), (r"\d", "٣".encode())])
def test_a_pattern_does_not_fit_where_pythons_re_would_have_it(pattern: str, text: bytes) -> None:
    assert not GoRegexp(pattern).finds(text)


@pytest.mark.parametrize(
    "pattern",
    ["[", "(?=a)", r"(a)\1", r"\Z", "a++", "(?P=a)", "(?#x)", "(?x)a", "a{1001}", r"\C", "(?P<n>a)(?<n>b)", "\ud800"],
)
def test_what_go_lacks_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="no regular expression that SOPS would take: "):
        GoRegexp(pattern)


def test_the_error_does_not_repeat_the_pattern_nor_is_it_printed_by_re2(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"take: missing \]$"):
        GoRegexp("hunter2[")
    assert capfd.readouterr() == ("", "")


def test_a_pattern_that_keeps_pythons_re_busy_takes_no_time() -> None:
    started = process_time()
    assert not GoRegexp("^(a*)*(a|aa)+$").finds(b"a" * 100_000 + b"b")
    assert process_time() - started < 1


def test_a_pattern_has_a_bound() -> None:
    with pytest.raises(InputError, match="longer than 1000 characters"):
        GoRegexp("a" * (MOST_CHARACTERS + 1))
