"""The library: what `from secretsvc import …` gives. Each function is the command of that name, from bytes to bytes.

Nothing here reads or writes a file, asks anybody or prints. Every error is a KsecretError, whose text may be shown.
"""

from __future__ import annotations

import os
import sys
import time

if sys.platform == "win32":
    raise ImportError("secretsvc needs Linux or macOS; on Windows it runs in WSL")

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import KeyRefError, UsageError
from secretsvc.keyref import KeyGroups, KeyRef, KeysetChange, Recipients, keyset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.findings import Finding
    from secretsvc.operations.inspect import Description
    from secretsvc.operations.request import Request

    To = Recipients | Iterable[KeyRef | str]


class Keyring(Backends):
    """The keys that this process can use, of every backend. It keeps clients and identities, and never a DEK.

    One serves any number of calls, from several threads.
    """

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str] = os.environ, *, passphrase: Callable[[str], bytes | None] = lambda _: None
    ) -> Keyring:
        """The keyring that the variables describe, as for the command line (docs/backends/).

        `passphrase` is asked with what is to be unlocked, its kind first (`pgp`); None where it can't tell.
        """
        return cls(Settings(environ, passphrase))


def encrypt(
    data: bytes,
    keyring: Keyring,
    *,
    to: To = (),
    scope: str = "",
    format: str = "",
    parent: bytes = b"",
    allow_repeated: bool = False,
) -> bytes:
    """Return the manifest (YAML or JSON) with the values of its Secrets sealed, and every other byte as it was.

    `to`: recipients, which a Secret that is sealed already may go without: it keeps its keyset then. `scope`: "strict"
    (the default), "namespace" or "any". `format`: "ksecret" (the default) or "kubesec". `parent`: a sealed manifest
    that lends data keys and unchanged tokens. `allow_repeated`: whether a value may stand in the clear elsewhere.
    Raises InputError for what is no manifest or has no value to seal, AlreadySealedError, KeyRefError, BackendError.
    """
    from secretsvc.operations.open import open_parents
    from secretsvc.operations.seal import seal_manifest

    wanted = _recipients(to, keyring)
    request = _request(wanted, scope=scope, format=format, allow_repeated=allow_repeated)
    parents = open_parents(parent, keyring) if parent else None
    return seal_manifest(data, request, keyring, parents).data


def decrypt(data: bytes, keyring: Keyring) -> bytes:
    """Return the manifest with every sealed Secret in the clear, byte for byte what was sealed.

    Raises NotSealedError, AlteredError for what was changed or moved, NoKeyError, BackendError.
    """
    from secretsvc.operations.open import open_manifest

    return open_manifest(data, keyring).data


def verify(data: bytes, keyring: Keyring) -> int:
    """Open every sealed Secret, give no value back, and return how many they are. Raises as `decrypt`."""
    from secretsvc.operations.open import open_manifest

    return open_manifest(data, keyring).secrets


def rotate(data: bytes, keyring: Keyring, *, to: To = ()) -> bytes:
    """Return the manifest with new data keys and tokens, for the same keyset or for the recipients `to`.

    Raises as `decrypt` and `encrypt`.
    """
    from secretsvc.operations.request import ANY_TIME
    from secretsvc.operations.rotate import rotate_manifest

    request = _request(_recipients(to, keyring))._replace(rotate_before=ANY_TIME)
    return rotate_manifest(data, request, keyring).data


def rewrap(data: bytes, keyring: Keyring) -> bytes:
    """Return the manifest with the same data keys wrapped anew, by the newest versions of their KEKs; tokens stay.

    Raises as `decrypt`.
    """
    from secretsvc.operations.rotate import rewrap_manifest

    return rewrap_manifest(data, keyring).data


def set_values(data: bytes, keyring: Keyring, values: Mapping[str, bytes | None], *, secret: str = "") -> bytes:
    """Return the manifest with these entries of one sealed Secret changed, made, or (None) taken out.

    `secret`: NAME or NAMESPACE/NAME, where several are sealed. A value that is there already keeps its token.
    Raises as `decrypt`, and InputError for a name that no entry may have.
    """
    from secretsvc.operations.patch import patch_manifest
    from secretsvc.operations.request import Changes

    return patch_manifest(data, Changes(values), _request(()), keyring, secret).data


def inspect(data: bytes) -> list[Description]:
    """Return what the manifest tells of its Secrets without a key: nothing of it was checked against a seal.

    Raises InputError, AlteredError.
    """
    from secretsvc.operations.inspect import describe_manifest

    return describe_manifest(data, lambda _: "")


def check(data: bytes, file: str = "-") -> list[Finding]:
    """Return what must not go into Git, by line: values in the clear, tokens that nothing opens (docs/policy.md).

    `file` is the name that findings give. No policy is looked for. Nothing that stands in the data raises.
    """
    from secretsvc.operations.check import check_file

    return check_file(data, file, None, time.time()).findings


def generate(
    name: str,
    data: Mapping[str, bytes],
    *,
    namespace: str = "",
    type: str = "Opaque",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    immutable: bool = False,
) -> bytes:
    """Return a new Secret as YAML in the clear, as `kubectl create secret generic -o yaml` prints it.

    Raises UsageError for a key, a label or an annotation that no API server takes, InputError for over 1 MiB of values.
    """
    from secretsvc.generators.entries import NewEntry, collect
    from secretsvc.generators.manifest import NewSecret, to_yaml
    from secretsvc.generators.manifest import check as check_secret

    entries = collect(NewEntry(key, value, "data") for key, value in data.items())
    secret = NewSecret(name, namespace, type, entries, {}, labels or {}, annotations or {}, immutable)
    check_secret(secret, _refused)
    return to_yaml(secret)


def _refused(said: str) -> None:
    raise UsageError(said)


def _recipients(to: To, keyring: Keyring) -> Keyset:
    groups = to.groups if isinstance(to, Recipients) else (tuple(to),)
    parsed = [[keyring.parse(str(one)) for one in group] for group in groups]
    if len(parsed) > 1 and isinstance(to, Recipients):
        return KeyGroups(parsed, to.threshold)
    return keyset(ref for group in parsed for ref in group)


def _request(wanted: Keyset, *, scope: str = "", format: str = "", allow_repeated: bool = False) -> Request:
    from secretsvc.operations.request import Request, stated

    created = stated()
    change = KeysetChange(wanted, (), ())
    return Request(change, _nobody, scope, created, format=format, allow_repeated=allow_repeated)


def _nobody(secret: Secret, _format: str) -> Keyset:
    raise KeyRefError(f"{secret.label} has no recipient", hint="name recipients: to=[…]")
