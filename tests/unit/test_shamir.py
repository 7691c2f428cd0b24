"""A DEK in shares: any as many as the threshold give it back, and what can't belong together is refused."""

from __future__ import annotations

from itertools import combinations
from os import urandom

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secretsvc.errors import AlteredError
from secretsvc.shamir import combine, split

DEK = bytes(range(32))


@settings(max_examples=30)
@given(st.data(), st.binary(min_size=1, max_size=40), st.integers(2, 9))
def test_as_many_shares_as_the_threshold_give_the_secret_back(data: st.DataObject, secret: bytes, count: int) -> None:
    threshold = data.draw(st.integers(2, count))
    shares = split(secret, threshold, count)
    chosen = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, count))]
    assert combine(tuple(chosen)) == secret


def test_shares_are_a_byte_longer_and_end_with_the_number_of_their_group() -> None:
    assert [(len(share), share[-1]) for share in split(DEK, 2, 4)] == [(33, 1), (33, 2), (33, 3), (33, 4)]


def test_as_many_shares_as_the_field_has_numbers_are_made() -> None:
    shares = split(DEK, 2, 255)
    assert combine((shares[0], shares[254])) == DEK


def test_fewer_shares_than_the_threshold_give_something_else() -> None:
    secret = urandom(32)
    assert all(combine(pair) != secret for pair in combinations(split(secret, 3, 4), 2))


def test_shares_of_two_secrets_give_neither() -> None:
    first, second = urandom(32), urandom(32)
    assert combine((split(first, 2, 2)[0], split(second, 2, 2)[1])) not in (first, second)


def test_each_split_draws_other_polynomials() -> None:
    assert split(DEK, 2, 2) != split(DEK, 2, 2)


def test_the_value_of_a_known_polynomial_is_known() -> None:
    """0x53 + 0xca x: 0xca * 2 = 0x8f and 0xca * 3 = 0x45 in AES' field."""
    assert combine((bytes([0x53 ^ 0x8F, 2]), bytes([0x53 ^ 0x45, 3]))) == b"\x53"


@pytest.mark.parametrize(("threshold", "count"), [(1, 3), (3, 2), (2, 256), (0, 0)])
def test_a_threshold_that_no_shares_can_have_is_refused(threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="no threshold for that many shares"):
        split(DEK, threshold, count)


def test_nothing_has_no_shares() -> None:
    with pytest.raises(ValueError, match="no secret to share"):
        split(b"", 2, 2)


@pytest.mark.parametrize(
    "shares",
    [(), (b"a\1",), (b"a\1", b"ab\2"), (b"", b""), (b"\1", b"\2")],
    ids=["none", "one", "two lengths", "empty", "only numbers"],
)
def test_shares_of_the_wrong_size_are_refused(shares: tuple[bytes, ...]) -> None:
    with pytest.raises(AlteredError, match="too few, too short, or not of one length"):
        combine(shares)


@pytest.mark.parametrize("shares", [(b"a\1", b"b\1"), (b"a\0", b"b\1")], ids=["twice", "zero"])
def test_shares_of_one_group_and_of_none_are_refused(shares: tuple[bytes, ...]) -> None:
    with pytest.raises(AlteredError, match="two have the same number, or one has none"):
        combine(shares)
