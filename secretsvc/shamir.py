"""Shamir's secret sharing as SOPS has it: a DEK in as many shares as there are key groups; `threshold` of them open it.

Byte by byte over GF(2^8), with the polynomial of AES (FIPS 197, section 4.2: x^8 + x^4 + x^3 + x + 1). A share is the
value of a random polynomial at its group's number, which is its last byte; the DEK is the value at 0. The layout is
that of https://github.com/getsops/sops/blob/main/shamir/shamir.go (Split).

No table and no branch depends on a secret: all bytes of a share are worked on at once, as one number, and the factors
are the groups' numbers, which anybody may know.
"""

from __future__ import annotations

import secrets

from secretsvc.errors import AlteredError

SHARE_BYTES = 33
"""Of a DEK's share: a byte longer than the DEK."""

MOST_SHARES = 255
"""The field has no more numbers than these, and 0 is where the secret is."""


def split(secret: bytes, threshold: int, count: int) -> tuple[bytes, ...]:
    """Return `count` shares of the secret, each a byte longer; any `threshold` of them give it back, fewer nothing.

    Raises ValueError unless 2 <= threshold <= count <= 255.
    """
    if not 2 <= threshold <= count <= MOST_SHARES:
        raise ValueError("no threshold for that many shares")
    if not secret:
        raise ValueError("no secret to share")
    size = len(secret)
    coefficients = [int.from_bytes(secret, "big"), *(secrets.randbits(8 * size) for _ in range(threshold - 1))]
    shares = []
    for number in range(1, count + 1):
        value = 0
        for coefficient in reversed(coefficients):
            value = _times(value, number, size) ^ coefficient
        shares.append(value.to_bytes(size, "big") + bytes([number]))
    return tuple(shares)


def combine(shares: tuple[bytes, ...]) -> bytes:
    """Return the secret that these shares, as many as the threshold or more, were made of.

    One that is of another secret, and too few of them, give bytes that open nothing: only what the secret opens tells.
    Raises AlteredError for shares that can't belong together.
    """
    sizes, numbers = {len(share) for share in shares}, [share[-1] for share in shares if share]
    if len(shares) < 2 or len(sizes) > 1 or min(sizes) < 2:
        raise _broken("they are too few, too short, or not of one length")
    if 0 in numbers or len(set(numbers)) < len(numbers):
        raise _broken("two have the same number, or one has none")
    size, secret = min(sizes) - 1, 0
    for share, number in zip(shares, numbers, strict=True):
        factor = 1
        for other in numbers:
            if other != number:
                factor = _times(factor, _times(other, _inverse(other ^ number), 1), 1)
        secret ^= _times(int.from_bytes(share[:-1], "big"), factor, size)
    return secret.to_bytes(size, "big")


def _times(value: int, factor: int, size: int) -> int:
    """Multiply each of the `size` bytes of a number by one byte, in the field."""
    ones = int.from_bytes(b"\1" * size, "big")
    product = 0
    for bit in range(8):
        product ^= value * (factor >> bit & 1)
        value = (value & 0x7F * ones) << 1 ^ (value >> 7 & ones) * 0x1B
    return product


def _inverse(number: int) -> int:
    """Return what gives 1 with that number: its 254th power."""
    power = number
    for _ in range(6):  # 3, 7, 15, 31, 63, 127
        power = _times(_times(power, power, 1), number, 1)
    return _times(power, power, 1)


def _broken(why: str) -> AlteredError:
    what = f"the shares of the data key that its key groups hold do not belong together: {why}"
    return AlteredError(what, hint="restore the file from Git")
