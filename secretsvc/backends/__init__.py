"""Homes of KEKs, a folder for each kind of keys, and the table of those kinds: what is told of a KeyRef offline.

`base` says what a kind of keys (`Scheme`) and its backend are; `registry` has the backends of a run. Nothing here
imports an SDK, starts a program or touches the network. Messages never show a text that is no KeyRef: it may be key
material by mistake.
"""

from __future__ import annotations

import sys

from secretsvc.errors import KeyRefError
from secretsvc.keyref import LONGEST, MAX_LENGTH, KeyRef, is_long, refuse_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.backends.base import Scheme

_OURS = {
    "age": "secretsvc.backends.age",
    "pgp": "secretsvc.backends.gnupg",
    "aws": "secretsvc.backends.aws_kms",
    "gcp": "secretsvc.backends.gcp_kms",
    "azure": "secretsvc.backends.azure",
    "vault": "secretsvc.backends.vault",
}
"""Scheme → module, each with a `SCHEME`.

A table and not our own entry points, because reading those costs a cold start more than everything else together.
"""

_NAMED_BY_A_WORD = ("age", "pgp")
"""Those of them whose keys may be called by a word without a colon, a slash or a space in it (`Scheme.is_bare`)."""

WITH_IDENTITIES = ("age",)
"""Those of them that have them (`Scheme.has_identities`), told without importing the others."""


def find(name: str) -> Scheme | None:
    """Return the kind of keys whose URIs start with `name:`; None where there is none here."""
    if name in _OURS:
        __import__(_OURS[name])
        ours: Scheme = sys.modules[_OURS[name]].SCHEME
        return ours
    from secretsvc.backends import plugins

    return plugins.find(name) if _is_name(name) else None


def names() -> tuple[str, ...]:
    """Return the names of all kinds that are installed here, ours first."""
    return (*_OURS, *_others())


def ours() -> Iterator[Scheme]:
    """Yield the kinds that come with ksecret."""
    yield from filter(None, map(find, _OURS))


def every() -> Iterator[Scheme]:
    """Yield all kinds that are installed here, ours first: who is content with one of them waits for no others."""
    yield from ours()
    yield from filter(None, map(find, _others()))


def secrets() -> frozenset[str]:
    """Return the environment variables that hold secrets of some kind of keys that is installed here."""
    return frozenset(name for scheme in every() for name in scheme.secrets)


def _others() -> tuple[str, ...]:
    """Of other distributions."""
    from secretsvc.backends import plugins

    return tuple(name for name in plugins.found() if _is_name(name) and name not in _OURS)


def _is_name(text: str) -> bool:
    return text.isascii() and text.isalnum() and text == text.lower()


def complete(text: str) -> str:
    """Return the URI for what a person may write in its place: an ARN, age's recipient, a fingerprint.

    Most kinds, and plug-ins, which take long to be found, are asked only about what can't be the name of a person
    (`people.is_name`): every name in a policy comes here.
    """
    bare = text.strip()
    if bare.partition(":")[0] in _OURS:
        return bare
    asked = (*_OURS, *_others()) if set(bare) & set(":/ ") else _NAMED_BY_A_WORD
    for scheme in filter(None, map(find, asked)):
        if scheme.is_bare(bare):
            return f"{scheme.name}:{bare}"
    return bare


def split(text: str) -> KeyRef:
    """Return a URI's `scheme` and `id` as they stand, not made canonical.

    Raises KeyRefError where there is no scheme, no id, a control character, or too much of it.
    """
    refuse_identity(text)
    name, _, rest = text.strip().partition(":")
    if not (rest and _is_name(name)):
        *examples, last = [f"{scheme.name}:{scheme.example}" for scheme in every()]
        raise KeyRefError("a key is written SCHEME:NAME", hint=f"such as {', '.join(examples)} or {last}")
    most = LONGEST if is_long(text) else MAX_LENGTH
    if not rest.isprintable() or len(text) > most:
        raise KeyRefError(f"a key's name is up to {most} printable characters on one line")
    return KeyRef(name, rest)


def canonical(text: str) -> KeyRef:
    """Return the KeyRef of a URI, its id in the canonical spelling of its kind; as it stands where that is unknown.

    Raises KeyRefError.
    """
    ref = split(text)
    scheme = find(ref.scheme)
    return scheme.parse(ref.id) if scheme else ref


def stated(text: str) -> KeyRef:
    """Return the KeyRef that a file states. Raises KeyRefError unless it stands there in its canonical spelling.

    A file is anybody's: a text that no backend would have written there is no name of a key, whatever a program that
    is handed it might take it for.
    """
    ref = canonical(text)
    if str(ref) != text:
        raise KeyRefError(f"a key of the kind {ref.scheme}: that is not spelled as ksecret writes it")
    return ref


def verify(text: str) -> None:
    """Raise KeyRefError for what no backend would take: a slip in a recipient, or a kind of keys that none is for.

    Whether a key that is named well is there, and can be used, only its home tells.
    """
    ref = canonical(text)
    scheme = find(ref.scheme)
    if not scheme:
        raise KeyRefError(f"no backend for keys that start with {ref.scheme}:")
    scheme.verify(ref)


def unversioned(ref: KeyRef) -> KeyRef:
    """Return the name that leaves it open which version of that key is meant; its own where there is none.

    A policy's or a person's canonical name stands for the key of a file whose KeyRef, or this, it is.
    """
    scheme = find(ref.scheme)
    return scheme.unversioned(ref) if scheme else ref


def unversioned_uri(uri: str) -> str:
    """Return the same of a KeyRef's URI."""
    name, _, rest = uri.partition(":")
    return str(unversioned(KeyRef(name, rest)))


def home(uri: str) -> str:
    """Return what fails as one with that KeyRef's key: `age`, `aws:eu-west-1`, or the scheme where nothing is known."""
    name, _, rest = uri.partition(":")
    scheme = find(name)
    where = scheme.home(KeyRef(name, rest)) if scheme else ""
    return f"{name}:{where}" if where else name
