"""Secrets as a cluster shows them → new manifests of what somebody wrote into them, without what others added.

Other tools stamp what they apply, and do so again: their labels and annotations are left out, and so is all that the
API server sets (Kubernetes API conventions, "Metadata").
"""

from __future__ import annotations

from secretsvc.errors import InputError, ManifestError
from secretsvc.generators.manifest import NewSecret, to_yaml
from secretsvc.manifest.copies import is_known
from secretsvc.manifest.model import decode_base64
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

_NAME = pattern(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
"""A DNS subdomain, as Secrets and namespaces are named: it is a file's name, too, so nothing else passes."""
_LONGEST_NAME = 253

_OF_THE_CLUSTER = {
    "kubernetes.io/service-account-token": "a service account's token, which the cluster makes",
    "helm.sh/release.v1": "Helm's own record of a release",
    "bootstrap.kubernetes.io/token": "a bootstrap token, by which nodes join",
}
"""Types of Secrets that belong to one cluster, and what to call one of them."""

SEALED_SECRETS = "sealedsecrets.bitnami.com/"
_STAMPS = (
    "kapp.k14s.io/",
    "objectset.rio.cattle.io/",
    "argocd.argoproj.io/tracking-id",
    "argocd.argoproj.io/installation-id",
    "argocd.argoproj.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/checksum",
    "helm.toolkit.fluxcd.io/name",
    "meta.helm.sh/release-name",
    "applyset.kubernetes.io/part-of",
    SEALED_SECRETS,
)
"""Beginnings of labels and annotations with which kapp, Rancher, Argo CD, Flux, Helm, kubectl's ApplySets and the
controller of Sealed Secrets mark what they applied."""
_BY_HELM = ("app.kubernetes.io/managed-by", "Helm")
_RELEASE = "meta.helm.sh/release-name"
_SEALED_SECRET = "SealedSecret"  # noqa: S105 - a kind


class Live(Record):
    """A Secret that a cluster has, and why it is left there; empty where it is taken."""

    secret: NewSecret
    left: str = ""
    warning: str = ""
    """What to know of one that is taken."""

    @property
    def label(self) -> str:
        """Return it as messages name it."""
        return "/".join(filter(None, (self.secret.namespace, self.secret.name)))

    @property
    def holds_values(self) -> bool:
        """Whether there is anything to seal."""
        return bool(self.secret.data)

    def manifest(self) -> bytes:
        """Return it as kubectl prints it, in the clear."""
        return to_yaml(self.secret)


def live_secrets(objects: Iterable[Any], *, named: bool) -> list[Live]:
    """The Secrets among objects of Kubernetes, Lists unpacked. Objects of other kinds are left out.

    `named`: whether somebody asked for these very Secrets, so that only those are left which no manifest should hold.
    Raises ManifestError for what no API server prints, InputError where no Secret is among them.
    """
    found = [_live(one, named=named) for one in _unpacked(objects) if _is_secret(one)]
    if not found:
        raise InputError("there is no Secret to import", hint="kubectl get secrets -n NAMESPACE lists them")
    return found


def _unpacked(objects: Iterable[Any]) -> Iterator[Any]:
    left = list(reversed(list(objects)))
    while left:
        one = left.pop()
        items = one.get("items") if isinstance(one, dict) and str(one.get("kind")).endswith("List") else None
        if isinstance(items, list):
            left.extend(reversed(items))  # kubectl takes apart Lists in Lists, too
        else:
            yield one


def _is_secret(one: Any) -> bool:
    return isinstance(one, dict) and one.get("kind") == "Secret" and one.get("apiVersion") == "v1"


def as_written(one: Mapping[str, Any], stamps: tuple[str, ...] = _STAMPS) -> NewSecret:
    """A Secret's object without what clusters set in it. Raises ManifestError.

    `stamps`: beginnings of labels and annotations that were not written by people.
    """
    metadata = _mapping(one, "metadata", "a Secret without a name")
    name = _name(metadata.get("name"), "metadata.name")
    namespace = _name(metadata["namespace"], "metadata.namespace") if metadata.get("namespace") else ""
    label = f"{namespace}/{name}" if namespace else name
    labels, annotations = (_texts(metadata, field, label) for field in ("labels", "annotations"))
    if _RELEASE in annotations and _RELEASE.startswith(stamps):
        labels = {key: text for key, text in labels.items() if (key, text) != _BY_HELM}
    return NewSecret(
        name,
        namespace,
        _text(one.get("type") or "", label, "type"),
        _values(one, label),
        {},
        {key: text for key, text in labels.items() if not key.startswith(stamps)},
        {key: text for key, text in annotations.items() if not (key.startswith(stamps) or is_known(key))},
        one.get("immutable") is True,
    )


def _live(one: Mapping[str, Any], *, named: bool) -> Live:
    secret, metadata = as_written(one), one["metadata"]
    owner = _owner(metadata)
    left = _OF_THE_CLUSTER.get(secret.type, "")
    if not left and not named:
        left = "being deleted" if metadata.get("deletionTimestamp") else f"made by {owner}" if owner else ""
    release = (metadata.get("annotations") or {}).get(_RELEASE)
    by = f"{owner}, which may change it or take it along" if owner else f"Helm's release {release}" if release else ""
    return Live(secret, left, f"made by {by}: have that leave it alone, or write it again" if by else "")


def _owner(metadata: Mapping[str, Any]) -> str:
    """The kind of object that the Secret hangs on; a SealedSecret is none: who imports comes from there."""
    found = metadata.get("ownerReferences")
    for one in found if isinstance(found, list) else ():
        kind = one.get("kind") if isinstance(one, dict) else None
        if isinstance(kind, str) and kind != _SEALED_SECRET:
            return f"a {kind}"
    return ""


def _values(one: Mapping[str, Any], label: str) -> dict[str, bytes]:
    """Both fields' values as the API server has them: `stringData` wins."""
    found = {}
    for key, text in _texts(one, "data", label).items():
        try:
            found[key] = decode_base64(text)
        except ValueError:
            raise ManifestError(
                f"{label}: a value under data is not base64", hint="import takes what kubectl prints"
            ) from None
    return found | {key: text.encode() for key, text in _texts(one, "stringData", label).items()}


def _texts(holder: Mapping[str, Any], field: str, label: str) -> dict[str, str]:
    found = holder.get(field) or {}
    if not isinstance(found, dict):
        raise ManifestError(f"{label}: {field} is no mapping")
    return {key: _text("" if text is None else text, label, field) for key, text in found.items()}


def _text(found: Any, label: str, field: str) -> str:
    if not isinstance(found, str) or any("\ud800" <= mark <= "\udfff" for mark in found):
        raise ManifestError(f"{label}: {field} holds what is no text")
    return found


def _mapping(holder: Mapping[str, Any], field: str, otherwise: str) -> dict[str, Any]:
    found = holder.get(field)
    if not isinstance(found, dict):
        raise ManifestError(otherwise)
    return found


def _name(found: Any, field: str) -> str:
    if not isinstance(found, str) or len(found) > _LONGEST_NAME or not _NAME.fullmatch(found):
        raise ManifestError(f"a Secret whose {field} is no name that Kubernetes gives")
    return found
