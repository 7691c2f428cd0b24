"""Looking for many texts at once, in a time that grows with what is looked through and not with how many they are."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from bisect import bisect_right

from secretsvc import patience
from secretsvc.operations.unpacked import TooMuchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEAST = 8
"""Bytes of a text that is looked for: shorter ones stand anywhere by chance."""

_FEW = 40
"""Texts up to which one search for each is faster than one pass for all."""
_HEAD = 64
"""Bytes by which texts are told apart in that pass."""
_MOST_COMPARED = 1 << 28
"""Bytes that may be compared behind equal heads: only made-up manifests come near."""
_STEP = 1 << 16
"""Bytes after which it is asked anew whether anybody still waits for them."""
_MOST_ENCODED = 3072
"""Bytes of a value that are looked for in base64."""
_BOILERPLATE = (
    rb"([^A-Za-z0-9])\1*|#.*|//.*|;.*|-----(?:BEGIN|END) [A-Z0-9 ]+-----|(?:apiVersion|kind):.*|[\w.\"'-]+\s*[:={\[(]+"
)
"""Lines of files that tell nothing: rulers, comments, headers of PEM and of manifests, keys without a value."""
_PUBLIC = (
    rb"(?i:production|development|postgres|postgresql|mariadb|rabbitmq|elasticsearch|administrator|anonymous|kubernetes"
    rb"|username|password|disabled|required|optional|internal|external|localhost"
    rb"|(?:localhost|127\.0\.0\.1|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\.svc(?:\.cluster\.local)?)(?::\d{1,5})?"
    rb"|https?://[a-z0-9.-]{1,253}(?::\d{1,5})?/?"
    rb"|[a-z]{2,9}(?:-gov)?-(?:central|(?:north|south)?(?:east|west)|north|south)-?\d{1,2})"
)
"""Texts that keep nobody out: what anybody tries first, regions, addresses of this machine, a cluster, a site."""
_CERTIFICATES = rb"(?:-----BEGIN (CERTIFICATE|PUBLIC KEY)-----[A-Za-z0-9+/=\s]++-----END \1-----\s*+)++"
_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def spellings(value: bytes) -> set[bytes]:
    """The texts by which a value is found: itself, its lines, its base64 at each of three offsets, in both alphabets.

    And the same of what it is the base64 of. None for what is no secret by itself; what many files hold alike, such as
    a PEM header, is left out.
    """
    core = value.strip()
    if len(core) < LEAST or _is_ruler(core) or is_public(core):
        return set()
    found = _lines(core) or {core}
    found |= _encoded(core)
    inner = _decoded(core).strip()
    if len(inner) >= LEAST:
        found |= _lines(inner) or {inner}
        found |= _encoded(inner)
    return found


def is_public(text: bytes) -> bool:
    """Tell whether it is no secret by itself, whatever it is for."""
    return bool(re.fullmatch(_PUBLIC, text) or re.fullmatch(_CERTIFICATES, text))


def _is_ruler(text: bytes) -> bool:
    return text.count(text[:1]) == len(text) and not text[:1].isalnum()


def _lines(text: bytes) -> set[bytes]:
    """The lines of a text of several that tell something; the whole of any other text."""
    if b"\n" not in text and b"\r" not in text:
        return {text}
    lines = (line.strip() for line in text.splitlines())
    return {line for line in lines if len(line) >= LEAST and not re.fullmatch(_BOILERPLATE, line)}


def _encoded(text: bytes) -> set[bytes]:
    """Base64 without the characters that hang on what stands before and behind (RFC 4648, sections 4 and 5)."""
    found = set()
    for before in range(3):
        whole = b64encode(b"\0" * before + text[:_MOST_ENCODED])
        end = (before + min(len(text), _MOST_ENCODED)) * 8 // 6
        own = whole[-(-before * 8 // 6) : end]
        found |= {own, own.translate(_SAFE)}
    return found


def _decoded(text: bytes) -> bytes:
    try:
        return b64decode(text.translate(_STANDARD, b"\r\n"), validate=True)
    except ValueError:
        return b""


class Needles:
    """Texts to look for, each with the name of what it tells."""

    def __init__(self, owners: Mapping[bytes, str]) -> None:
        """Words of letters alone count as whole words: `postgres` is not found in `postgresql`."""
        self._words = _Texts({text: owner for text, owner in owners.items() if text.isalpha()})
        self._others = _Texts({text: owner for text, owner in owners.items() if not text.isalpha()})

    def found(self, hay: bytes) -> Iterator[tuple[int, int, str]]:
        """Start, end and name of what stands in a text, in any order. Raises TooMuchError."""
        yield from self._others.found(hay)
        for start, end, owner in self._words.found(hay):
            if not (hay[start - 1 : start].isalnum() or hay[end : end + 1].isalnum()):
                yield start, end, owner


class _Texts:
    """Texts none of which begins with another one, sorted by their heads: at any place at most one head can stand."""

    def __init__(self, owners: Mapping[bytes, str]) -> None:
        self._owners = owners
        self._by_head: dict[bytes, list[bytes]] = {}
        shortest = b""
        for text in sorted(owners):
            if not (shortest and text.startswith(shortest)):
                self._by_head.setdefault(text[:_HEAD], []).append(text)
                shortest = text
        self._heads = sorted(self._by_head)
        self._starts = frozenset(head[:LEAST] for head in self._heads)
        self._left = _MOST_COMPARED

    def found(self, hay: bytes) -> Iterator[tuple[int, int, str]]:
        if len(self._owners) <= _FEW:
            for text, owner in self._owners.items():
                at = hay.find(text)
                while at >= 0:
                    yield at, at + len(text), owner
                    at = hay.find(text, at + len(text))
            return
        starts, last = self._starts, len(hay) - LEAST
        for begin in range(0, last + 1, _STEP):
            patience.check()
            for at in range(begin, min(begin + _STEP, last + 1)):
                if hay[at : at + LEAST] in starts:
                    yield from self._at(hay, at)

    def _at(self, hay: bytes, at: int) -> Iterator[tuple[int, int, str]]:
        head = self._heads[bisect_right(self._heads, hay[at : at + _HEAD]) - 1]
        if hay.startswith(head, at):
            for text in self._by_head[head]:
                self._left -= max(len(text), 256)
                if self._left < 0:
                    raise TooMuchError
                if hay.startswith(text, at):
                    yield at, at + len(text), self._owners[text]
