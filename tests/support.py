"""What several tests need: a keyring with a throw-away age identity, and the two operations with it."""

from __future__ import annotations

import os
import re
import socket
import time
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyrage
import yaml

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.formats.base import decoded
from secretsvc.keyref import KeyRef, Keyset, KeysetChange, WrappedKey
from secretsvc.manifest.reader import read
from secretsvc.operations.open import open_manifest, open_parents
from secretsvc.operations.request import Request
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DATA = Path(__file__).parent / "data"
NIGHT = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
"""Whether everything is tried: before a change lands, a part of what is many times the same."""
CREATED = "2026-11-23T03:10:20Z"
TOKEN = r"ksecret\.v1\.[A-Za-z0-9+/]+={0,2}"
NO_CHANGE = KeysetChange((), (), ())


def wrapped_keys(texts: Mapping[str, str], context: Mapping[str, str] | None = None) -> tuple[WrappedKey, ...]:
    """KeyRef → base64, as envelopes have it, for a keyring."""
    uris = {uri: uri.partition(":") for uri in texts}
    return tuple(
        WrappedKey(KeyRef(scheme, name), decoded(texts[uri]), context or {}, source=texts[uri])
        for uri, (scheme, _, name) in uris.items()
    )


def wait_until(true: Callable[[], bool], seconds: float = 15.0, *, every: float = 0.05) -> None:
    """Asks `every` so many seconds until it is true; AssertionError if that takes longer."""
    last = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < last
        time.sleep(every)


def is_gone(pid: int) -> bool:
    """Whether no such process is there any more: an ended one stays until its parent has looked."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def spoilt(text: str, at: int) -> str:
    """Another letter of base64 at that place, whatever stands there: a fixed one would be the same at times."""
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


@contextmanager
def quiet_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections; nobody else is given it, but a server that asks for it may have it.

    It is bound and not listened at: a port that was merely free a moment ago may be another test's by now.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


class Lock(NamedTuple):
    """One identity, the Backends that hold it, and the keyset of its recipient."""

    keyring: Backends
    keys: Keyset
    identity: str = ""

    def seal(self, data: bytes, *, parent: bytes = b"", scope: str = "", created: str = CREATED) -> bytes:
        request = Request(NO_CHANGE, lambda *_: self.keys, scope, created, allow_repeated=True)  # as made-up ones do
        parents = open_parents(parent, self.keyring) if parent else None
        return seal_manifest(data, request, self.keyring, parents).data

    def open_(self, data: bytes) -> bytes:
        return open_manifest(data, self.keyring).data


def new_lock() -> Lock:
    """A lock with an identity made now; it finds no other identity, whoever runs the tests."""
    return lock_of(str(pyrage.x25519.Identity.generate()))


def lock_of(identity: str) -> Lock:
    """A lock with that age identity."""
    environ = {"KSECRET_AGE_KEY": identity, "XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull}
    keyring = Backends(Settings(environ, lambda what: None))
    recipient = pyrage.x25519.Identity.from_str(identity).to_public()
    return Lock(keyring, (KeyRef("age", str(recipient)),), identity)


LOCK = new_lock()
"""For tests that Hypothesis runs many times, where a fixture per example is none."""


def seal(data: bytes) -> bytes:
    return LOCK.seal(data)


def open_(data: bytes) -> bytes:
    return LOCK.open_(data)


def text_values(data: bytes) -> list[str]:
    """Every entry's value as it stands in the manifest (base64 under `data`), in the text's order of Secrets."""
    return [entry.value for secret in read(data).secrets for entry in secret.entries]


def kubernetes_values(data: bytes) -> list[dict[tuple[str, str], bytes]]:
    """Every Secret's entries as Kubernetes would store them: `data` decoded."""
    return [
        {
            (entry.field, entry.key): b64decode(entry.value) if entry.field == "data" else entry.value.encode()
            for entry in secret.entries
        }
        for secret in read(data).secrets
    ]


class CarefulDumper(yaml.SafeDumper):
    """PyYAML's printer, but with quotes around `y` and `n`, which it takes for strings and Kubernetes for booleans."""


CarefulDumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]"), list("yYnN"))
