"""Choosing a key of one's own among those that a backend offers, or having one made."""

from __future__ import annotations

import sys

from secretsvc.backends import find
from secretsvc.backends.offers import MOST_OFFERS, Makes, Offers
from secretsvc.cli.report import printable
from secretsvc.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.backends.base import Scheme
    from secretsvc.backends.offers import Offer
    from secretsvc.backends.registry import Backends
    from secretsvc.keyref import KeyRef

_SHOWN = 5
"""Keys in a hint."""


def chosen(known: Backends, text: str) -> KeyRef:
    """Return the key that is meant by the name of a kind, such as `pgp`, or by a KeyRef.

    Of a kind it is the one that the person chooses, or has made; without a terminal the only one that there is. Raises
    UsageError, KeyRefError and BackendError.
    """
    scheme = find(text)
    if not scheme:
        return known.parse(text)
    backend = known.backend(scheme.name)
    offers = backend.offers()[:MOST_OFFERS] if isinstance(backend, Offers) else []
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return _only(scheme, offers)
    ref = _answered(scheme, offers, or_make=isinstance(backend, Makes)) if offers else None
    if ref:
        return ref
    return backend.make(_read(f"{backend.wanted}: ")) if isinstance(backend, Makes) else _only(scheme, offers)


def _only(scheme: Scheme, offers: Sequence[Offer]) -> KeyRef:
    """The only key of a list. Raises UsageError where there are none or several."""
    if len(offers) == 1:
        print(printable(_line(offers[0])), file=sys.stderr)
        return offers[0].ref
    if not offers:
        hint = f"name one: ksecret init --key {scheme.name}:{scheme.example}"
        raise UsageError(f"there is no {scheme.title} key to choose", hint=hint)
    more = ", …" if len(offers) > _SHOWN else ""
    hint = f"name one by ksecret init --key KEYREF: {', '.join(str(offer.ref) for offer in offers[:_SHOWN])}{more}"
    raise UsageError(f"there are {len(offers)} {scheme.title} keys to choose from, and nobody to ask", hint=hint)


def _answered(scheme: Scheme, offers: Sequence[Offer], *, or_make: bool = False) -> KeyRef | None:
    """The key whose number the person types; None for a new one. Raises UsageError for anything else."""
    for number, offer in enumerate(offers, 1):
        print(printable(f"{number:3}  {_line(offer)}"), file=sys.stderr)
    new = ", or n for a new one" if or_make else ""
    answer = _read(f"which {scheme.title} key is yours to seal to? 1 to {len(offers)}{new}: ")
    if or_make and answer == "n":
        return None
    if answer.isascii() and answer.isdecimal() and 0 < int(answer) <= len(offers):
        return offers[int(answer) - 1].ref
    raise UsageError("that is none of the numbers", hint="ksecret init --key KEYREF names a key outright")


def _line(offer: Offer) -> str:
    return f"{offer.ref}  {offer.about}".rstrip()


def _read(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline(1000).strip()
