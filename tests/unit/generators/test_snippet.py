"""The part of a Pod's spec that uses a Secret, as Kubernetes' own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from secretsvc.errors import InputError
from secretsvc.generators import snippet
from secretsvc.generators.manifest import NewSecret, to_yaml
from secretsvc.manifest.reader import read

if TYPE_CHECKING:
    from secretsvc.manifest.model import Secret


def secret(name: str = "db.auth", kind: str = "Opaque", keys: tuple[str, ...] = ("tls.key", "1st", "y")) -> Secret:
    made = NewSecret(name, type=kind, data=dict.fromkeys(keys, b"v"), string_data={"y2": "v"} if keys else {})
    return read(to_yaml(made)).secrets[0]


def fragment(*args: Any) -> Any:
    return yaml.safe_load(snippet.snippet(*args))


def test_env_has_one_variable_for_each_key() -> None:
    assert fragment(secret(), [snippet.env]) == {
        "env": [
            {"name": variable, "valueFrom": {"secretKeyRef": {"key": key, "name": "db.auth"}}}
            for variable, key in (("_1ST", "1st"), ("TLS_KEY", "tls.key"), ("Y", "y"), ("Y2", "y2"))
        ]
    }


def test_keys_that_would_be_one_variable_are_refused() -> None:
    with pytest.raises(InputError, match=r"the keys a\.b and a_b would be one variable, A_B"):
        snippet.snippet(secret(keys=("a.b", "a_b")), [snippet.env])


def test_env_from() -> None:
    assert fragment(secret(), []) == fragment(secret(), [snippet.env_from])
    assert fragment(secret(), []) == {"envFrom": [{"secretRef": {"name": "db.auth"}}]}


def test_volume_has_an_item_for_each_key() -> None:
    items = [{"key": key, "path": key} for key in ("1st", "tls.key", "y", "y2")]
    assert fragment(secret(), [snippet.volume]) == {
        "volumeMounts": [{"mountPath": "/etc/secrets/db.auth", "name": "db-auth", "readOnly": True}],
        "volumes": [{"name": "db-auth", "secret": {"secretName": "db.auth", "items": items}}],
    }
    (empty,) = fragment(secret(keys=()), [snippet.volume])["volumes"]
    assert empty["secret"] == {"secretName": "db.auth"}


def test_what_the_type_calls_for() -> None:
    pull = fragment(secret(kind="kubernetes.io/dockerconfigjson"), [])
    assert pull == {"imagePullSecrets": [{"name": "db.auth"}]}
    ingress = fragment(secret(kind="kubernetes.io/tls"), [])
    assert ingress == {"tls": [{"hosts": ["HOST"], "secretName": "db.auth"}]}
    assert "volumes" in fragment(secret(kind="kubernetes.io/tls"), [snippet.volume])


def test_names_that_look_like_something_else_stay_texts() -> None:
    assert fragment(secret(name="123"), []) == {"envFrom": [{"secretRef": {"name": "123"}}]}


def test_a_secret_without_a_name_is_refused() -> None:
    with pytest.raises(InputError, match="without a name can't be used by a Pod"):
        snippet.snippet(secret(name=""), [])
