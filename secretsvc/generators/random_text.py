"""Random texts for passwords and the like, from the operating system's source (Python's `secrets`)."""

from __future__ import annotations

import secrets
import string
from math import log2

ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "digits": string.digits,
    "lower": string.ascii_lowercase + string.digits,
    "hex": string.hexdigits[:16],
    "url": string.ascii_letters + string.digits + "-_",
    "symbols": string.ascii_letters + string.digits + "!#%&()*+,-./:;<=>?@[]^_{|}~",
}
"""Alphabets by name; `symbols` lacks quotes, `$`, backtick, backslash and space, which shells and URLs trip over."""

MAX_LENGTH = 65536


def random_text(words: str) -> str:
    """`LENGTH` or `LENGTH:ALPHABET` → that many characters, each drawn evenly from the alphabet of that name.

    Letters and digits give 5.95 bits each, so 32 of them are 190 bits. Raises ValueError.
    """
    length, characters = _parsed(words)
    return "".join(secrets.choice(characters) for _ in range(length))


def random_bits(words: str) -> float:
    """Number of bits that nobody can guess of a text made so. Raises ValueError."""
    length, characters = _parsed(words)
    return length * log2(len(characters))


def _parsed(words: str) -> tuple[int, str]:
    length, _, name = words.partition(":")
    characters = ALPHABETS.get(name or "alnum", "")
    if not (characters and length.isascii() and length.isdecimal() and 0 < int(length) <= MAX_LENGTH):
        raise ValueError("neither a length nor an alphabet")
    return int(length), characters
