"""Homes of KEKs, a folder for each kind of keys, and the table of those kinds: what is told of a KeyRef offline.

`base` says what a kind of keys (`Scheme`) and its backend are; `registry` has the backends of a run. Nothing here
imports an SDK, starts a program or touches the network. Messages never show a text that is no KeyRef: it may be key
material by mistake.
"""

from __future__ import annotations

from functools import cache

from secretsvc.errors import KeyRefError
from secretsvc.keyref import MAX_LENGTH, KeyRef, refuse_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.metadata import EntryPoint

    from secretsvc.backends.base import Scheme

_OURS = {
    "age": "secretsvc.backends.age",
    "pgp": "secretsvc.backends.gnupg",
    "aws": "secretsvc.backends.aws_kms",
    "gcp": "secretsvc.backends.gcp_kms",
}
"""Scheme → module, each with a `SCHEME`.

A table and not our own entry points, because reading those costs a cold start more than everything else together.
"""

PLUGINS = "ksecret.backends"
"""The entry-point group in which other distributions have their kinds of keys: name → an object of type `Scheme`."""


def find(name: str) -> Scheme | None:
    """Return the kind of keys whose URIs start with `name:`; None where there is none here."""
    if name in _OURS:
        from importlib import import_module

        ours: Scheme = import_module(_OURS[name]).SCHEME
        return ours
    point = _plugins().get(name)
    return _loaded(point) if point else None


def names() -> tuple[str, ...]:
    """Return the names of all kinds that are installed here, ours first."""
    return (*_OURS, *_plugins())


def ours() -> Iterator[Scheme]:
    """Yield the kinds that come with ksecret."""
    yield from filter(None, map(find, _OURS))


def every() -> Iterator[Scheme]:
    """Yield all kinds that are installed here, ours first: who is content with one of them waits for no others."""
    yield from ours()
    yield from filter(None, map(find, _plugins()))


def secrets() -> frozenset[str]:
    """Return the environment variables that hold secrets of some kind of keys that is installed here."""
    return frozenset(name for scheme in every() for name in scheme.secrets)


@cache
def _plugins() -> Mapping[str, EntryPoint]:
    """Find the entry points of other distributions, once in a process. Of two of a name the one that is found first."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=PLUGINS):
        if _is_name(point.name) and point.name not in _OURS:
            found.setdefault(point.name, point)
    return found


def _loaded(point: EntryPoint) -> Scheme:
    """Load a plug-in. One that fails stands for a kind that is not installed, so that other keys still open."""
    from secretsvc.backends.base import BrokenScheme, Scheme

    try:
        scheme = point.load()
    except Exception:  # somebody else's module may raise anything
        return BrokenScheme(point.name, point.value)
    return scheme if isinstance(scheme, Scheme) and scheme.name == point.name else BrokenScheme(point.name, point.value)


def _is_name(text: str) -> bool:
    return text.isascii() and text.isalnum() and text == text.lower()


def complete(text: str) -> str:
    """Return the URI for what a person may write in its place: an ARN, age's recipient, a fingerprint.

    Plug-ins are asked only about what can't be the name of a person (`people.is_name`): finding them takes long.
    """
    bare = text.strip()
    if bare.partition(":")[0] in _OURS:
        return bare
    others = _plugins() if set(bare) & set(":/ ") else ()
    for scheme in filter(None, map(find, (*_OURS, *others))):
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
    if not rest.isprintable() or len(text) > MAX_LENGTH:
        raise KeyRefError(f"a key's name is up to {MAX_LENGTH} printable characters on one line")
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


def home(uri: str) -> str:
    """Return what fails as one with that KeyRef's key: `age`, `aws:eu-west-1`, or the scheme where nothing is known."""
    name, _, rest = uri.partition(":")
    scheme = find(name)
    where = scheme.home(KeyRef(name, rest)) if scheme else ""
    return f"{name}:{where}" if where else name
