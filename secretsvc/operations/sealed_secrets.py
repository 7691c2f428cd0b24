"""SealedSecrets → Secrets sealed in our formats, offline: each document in the place of the one that it comes from.

A value opens for the name and the namespace that its scope binds it to, as its controller has it. What is outside of
`encryptedData` was never authenticated: whoever could change the file chose the template.

Source: pkg/apis/sealedsecrets/v1alpha1/sealedsecret_expansion.go of Sealed Secrets, `Unseal`.
"""

from __future__ import annotations

from secretsvc.errors import KsecretError, ManifestError, NoKeyError, NotSealedError, UsageError
from secretsvc.generators.manifest import NewSecret, to_json, to_yaml
from secretsvc.manifest import nodes
from secretsvc.manifest.kubernetes_objects import built
from secretsvc.manifest.model import decode_base64
from secretsvc.manifest.nodes import Mapping, text_of
from secretsvc.manifest.reader import MAX_BYTES, read
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations.go_template import WritingRoom
from secretsvc.operations.live_secrets import SEALED_SECRETS, as_written
from secretsvc.operations.repeats import lines_of
from secretsvc.operations.seal import seal_manifest
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretsvc.manifest.nodes import Node
    from secretsvc.operations import Result
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request
    from secretsvc.operations.sealed_secret_keys import SealedSecretKeys

KIND = "SealedSecret"
_GROUP = "bitnami.com/"
_CLUSTER_WIDE, _NAMESPACE_WIDE = (f"{SEALED_SECRETS}{scope}-wide" for scope in ("cluster", "namespace"))
_IMPORT = "ksecret import secret/NAME -n NAMESPACE takes what the controller made of it"


def from_sealed_secrets(data: bytes, keys: SealedSecretKeys, request: Request, keyring: Keyring) -> Result:
    """The manifest with each SealedSecret's Secret in its place, sealed. What stands between documents stays.

    Raises NotSealedError where there is no SealedSecret, NoKeyError for a value that none of the keys opens,
    ManifestError, and what sealing raises.
    """
    manifest = read(data)
    found = [root for root in manifest.documents if _is_sealed_secret(root)]
    if not found:
        raise NotSealedError("no SealedSecret is a document of it", hint="one in a List has to be taken out of that")
    room = WritingRoom(MAX_BYTES)
    edits = [_edit(manifest.text, root, keys, room) for root in found]
    clear = manifest.encoded(apply(manifest.text, edits))
    del manifest, found, edits  # sealing reads it again
    with lines_of(data, clear):
        return seal_manifest(clear, request, keyring)


def _is_sealed_secret(root: Node) -> bool:
    if not isinstance(root, Mapping):
        return False
    kind, version = (text_of(nodes.value(root, name)) for name in ("kind", "apiVersion"))
    return kind == KIND and version.startswith(_GROUP)


def _edit(text: str, root: Node, keys: SealedSecretKeys, room: WritingRoom) -> Edit:
    """Put the Secret in the document's place, with its line breaks."""
    assert isinstance(root, Mapping)
    try:
        secret = _Sealed(built(root)).opened(keys, room)
    except KsecretError as error:
        error.line = error.line or root.line
        raise
    new = (to_json if root.flow else to_yaml)(secret).decode().rstrip("\n")
    old = text[root.start : root.end]
    new = new.replace("\n", "\r\n") if "\r\n" in old else new
    return Edit(root.start, root.start + len(old.rstrip()), new)


class _Sealed(Record):
    """A SealedSecret as an object of Kubernetes."""

    whole: dict[str, Any]

    def opened(self, keys: SealedSecretKeys, room: WritingRoom) -> NewSecret:
        """The Secret that its controller would make, without its marks. `room`: for what its templates write."""
        spec, metadata = self._mapping(self.whole, "spec"), self._mapping(self.whole, "metadata")
        name = {"name": metadata.get("name"), "namespace": metadata.get("namespace")}
        label = "/".join(str(part) for part in (name["namespace"], name["name"]) if part)
        bound = _label(label, metadata, self._mapping(metadata, "annotations"))
        if spec.get("data"):
            return self._whole(keys, label, bound, name)
        template = self._mapping(spec, "template")
        made = {**template, "data": {}, "metadata": {**self._mapping(template, "metadata"), **name}}
        secret = as_written(made, (SEALED_SECRETS,))
        opened = {
            key: _opened(label, key, bound, text, keys) for key, text in self._mapping(spec, "encryptedData").items()
        }
        return secret._replace(data=_values(label, opened, template, room))

    def _whole(self, keys: SealedSecretKeys, label: str, bound: bytes, name: dict[str, Any]) -> NewSecret:
        """Of the first versions: the whole Secret as JSON, sealed as one value."""
        from json import loads

        whole = _opened(label, "spec.data", bound, self.whole["spec"]["data"], keys)
        try:
            made = loads(whole)
        except (ValueError, RecursionError):
            made = None
        if not isinstance(made, dict):
            raise ManifestError(f"{label}: spec.data is no Secret")
        return as_written({**made, "metadata": {**self._mapping(made, "metadata"), **name}}, (SEALED_SECRETS,))

    def _mapping(self, holder: dict[str, Any], field: str) -> dict[str, Any]:
        found = holder.get(field) if isinstance(holder, dict) else None
        if found is not None and not isinstance(found, dict):
            raise ManifestError(f"its {field} is no mapping")
        return found or {}


def _label(label: str, metadata: dict[str, Any], annotations: dict[str, Any]) -> bytes:
    """What the scope, by the SealedSecret's own annotations, binds its values to. Raises ManifestError."""
    if annotations.get(_CLUSTER_WIDE) == "true":
        return b""
    namespace = metadata.get("namespace")
    if not namespace:
        hint = "write the one that it was sealed for into its metadata"
        raise ManifestError(f"{label}: its values are bound to a namespace, and it names none", hint=hint)
    return (str(namespace) if annotations.get(_NAMESPACE_WIDE) == "true" else label).encode()


def _values(label: str, opened: dict[str, bytes], template: dict[str, Any], room: WritingRoom) -> dict[str, bytes]:
    """What was sealed, and what the template has beside it."""
    given = template.get("data") or {}
    if not isinstance(given, dict):
        raise ManifestError(f"{label}: the template: data is no mapping")
    plain = {key: text for key, text in given.items() if isinstance(text, str)}
    if set(plain) & set(opened):
        what = "a key stands in both encryptedData and template.data, of which controllers choose differently"
        raise ManifestError(f"{label}: {what}", hint=_IMPORT)
    values: dict[str, Any] = {**plain, **opened}
    found = opened | {key: _rendered(label, key, text, values, room) for key, text in plain.items()}
    return {key: value for key, value in found.items() if key not in given or given[key] is not None}


def _rendered(label: str, key: str, text: str, values: dict[str, Any], room: WritingRoom) -> bytes:
    """A template of Go's with the values; raises ManifestError for more than its plain part, or than there is room."""
    if "{{" not in text:
        return text.encode()
    from secretsvc.operations.go_template import render

    try:
        return render(text, values, room)
    except UsageError:
        what = f'template.data["{key}"] asks for more than values by their names'
        raise ManifestError(f"{label}: {what}", hint=_IMPORT) from None


def _opened(label: str, key: str, bound: bytes, text: Any, keys: SealedSecretKeys) -> bytes:
    try:
        sealed = decode_base64(text if isinstance(text, str) else "?")
    except ValueError:
        raise ManifestError(f"{label}: {key} is not base64") from None
    found = keys.open(sealed, bound)
    if found is None:
        each = "the key does not open it" if len(keys) == 1 else f"none of {len(keys)} keys opens it"
        hint = "another key sealed it, or for another name, namespace or scope; or it was altered"
        raise NoKeyError(f"{label}: {key}: {each}", hint=hint)
    return found
