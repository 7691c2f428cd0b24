"""The part of a Pod's (or an Ingress's) spec that uses a Secret. Needs names only, so a sealed manifest will do."""

from __future__ import annotations

import re

from secretsvc.errors import InputError
from secretsvc.manifest.scalars import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretsvc.manifest.model import Secret

MOUNT_PATH = "/etc/secrets/"


def env(secret: Secret) -> list[str]:
    """`env`, one `valueFrom.secretKeyRef` for each key; the variable's name is the key in capitals."""
    name = _name(secret)
    lines = ["env:"]
    taken: dict[str, str] = {}
    for key in _keys(secret):
        variable = re.sub(r"[^A-Z0-9_]", "_", key.upper())
        variable = f"_{variable}" if variable[0].isdigit() else variable
        if variable in taken:
            raise InputError(
                f"the keys {taken[variable]} and {key} would be one variable, {variable}", hint="use --volume or rename"
            )
        taken[variable] = key
        lines += [
            f"- name: {_text(variable)}",
            "  valueFrom:",
            "    secretKeyRef:",
            f"      key: {_text(key)}",
            f"      name: {name}",
        ]
    return lines


def env_from(secret: Secret) -> list[str]:
    """`envFrom` with the whole Secret, each key as it is."""
    return ["envFrom:", "- secretRef:", f"    name: {_name(secret)}"]


def volume(secret: Secret) -> list[str]:
    """A container's `volumeMounts` and the Pod's `volumes` with an item for each key."""
    name = _name(secret)
    volume_name = re.sub(r"[^-a-z0-9]+", "-", (secret.name or "").lower())[:63].strip("-") or "secret"
    lines = [
        "volumeMounts:",
        f"- mountPath: {_text(MOUNT_PATH + (secret.name or ''))}",
        f"  name: {_text(volume_name)}",
        "  readOnly: true",
        "volumes:",
        f"- name: {_text(volume_name)}",
        "  secret:",
        f"    secretName: {name}",
    ]
    keys = _keys(secret)
    lines += ["    items:"] if keys else []
    for key in keys:
        lines += [f"    - key: {_text(key)}", f"      path: {_text(key)}"]
    return lines


def image_pull(secret: Secret) -> list[str]:
    """A Pod's `imagePullSecrets`."""
    return ["imagePullSecrets:", f"- name: {_name(secret)}"]


def ingress(secret: Secret) -> list[str]:
    """An Ingress's `tls`; the host is for the reader to fill in."""
    return ["tls:", "- hosts:", "  - HOST", f"  secretName: {_name(secret)}"]


BY_TYPE: dict[str, Callable[[Secret], list[str]]] = {
    "kubernetes.io/dockerconfigjson": image_pull,
    "kubernetes.io/dockercfg": image_pull,
    "kubernetes.io/tls": ingress,
}
"""Forms that a type calls for, where none is asked for."""


def snippet(secret: Secret, forms: Sequence[Callable[[Secret], list[str]]]) -> str:
    """The forms' YAML, one under the other; none given means what the type calls for, else `env_from`.

    Raises InputError for a Secret without a name.
    """
    chosen = forms or [BY_TYPE.get(secret.type, env_from)]
    return "".join("\n".join(form(secret)) + "\n" for form in chosen)


def _name(secret: Secret) -> str:
    if not secret.name:
        raise InputError("a Secret without a name can't be used by a Pod", line=secret.line)
    return _text(secret.name)


def _keys(secret: Secret) -> list[str]:
    """Keys in the manifest's order; one under data and stringData counts once."""
    return list(dict.fromkeys(entry.key for entry in secret.entries))


def _text(text: str) -> str:
    return canonical(text, flow=False)
