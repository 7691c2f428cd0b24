"""Configuration of `ksecret serve --dev`: one token with every right, sealed to the user's own age identity."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsvc.api.auth.authenticator import new_token
from secretsvc.api.operations import OPERATIONS
from secretsvc.api.settings import Config

if TYPE_CHECKING:
    from collections.abc import Mapping


def dev_config(recipient: str, listen: Mapping[str, object], folder: str) -> tuple[Config, str]:
    """Make a configuration for trying things out, and its token. `folder` gets the key rules."""
    token, digest = new_token()
    rules = os.path.join(folder, "rules.yaml")
    with open(rules, "w", encoding="utf-8") as stream:
        stream.write(f"version: 1\nrules:\n  - keys: ['{recipient}']\n")
    every = {
        "callers": [{"token": "dev"}],
        "operations": list(OPERATIONS),
        "namespaces": ["*"],
        "names": ["*"],
        "keys": ["*"],
        "unbound": True,
    }
    tree = {
        "version": 1,
        "listen": dict(listen),
        "tokens": [{"name": "dev", "sha256": digest}],
        "rules": [every],
        "keyRules": rules,
        "audit": {"stdout": True},
        "page": True,
        "withoutCaller": ["metrics", "docs"],
    }
    return Config.model_validate(tree), token
