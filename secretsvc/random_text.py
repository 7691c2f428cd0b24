"""Random texts for passwords and the like, from the operating system's source (Python's `secrets`)."""

from __future__ import annotations

import secrets
import string

ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "digits": string.digits,
    "hex": string.hexdigits[:16],
    "url": string.ascii_letters + string.digits + "-_",
    "symbols": string.ascii_letters + string.digits + "!#%&()*+,-./:;<=>?@[]^_{|}~",
}
"""By name; `symbols` lacks quotes, `$`, backtick, backslash and space, which shells and URLs trip over."""

MAX_LENGTH = 65536


def random_text(length: int, alphabet: str = "alnum") -> str:
    """That many characters, each drawn evenly from the alphabet of that name. Raises ValueError, KeyError."""
    characters = ALPHABETS[alphabet]
    if not 0 < length <= MAX_LENGTH:
        raise ValueError("length")
    return "".join(secrets.choice(characters) for _ in range(length))
