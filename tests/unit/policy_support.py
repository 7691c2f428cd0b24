"""What the tests of policies share: a repository with one, and keys of each backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from secretsvc.policy.policies import NAME, Policies
from tests.support import new_lock

AGE = str(new_lock().keys[0])
PGP = "pgp:0123456789ABCDEF0123456789ABCDEF01234567"
AWS = "aws:arn:aws:kms:eu-west-1:111122223333:alias/Prod"
GCP = "gcp:projects/p/locations/global/keyRings/r/cryptoKeys/k"
FULL = f"""\
version: 1
rules:
  - path: "prod/**"
    keys: [{GCP}, {PGP}]
  - {{namespace: "team-*", name: db, keys: ['{AWS}'], dataKey: kept}}
  - {{path: /top.yaml, keys: ["pgp:0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567"]}}
  - keys: &ours
      - {AGE}
  - keys: *ours
rotation: {{maxAge: 90d}}
requireSignature: true
dataKey: fresh
"""
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "ksecret-yaml.schema.json").read_text())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / NAME).write_text(FULL)
    return tmp_path


def keys(folder: Path, path: str, namespace: str | None = None, name: str | None = None) -> tuple[str, ...] | None:
    policy = Policies().find(str(folder / path))
    assert policy
    rule = policy.rule_for(str(folder / path), namespace, name)
    return rule.keys if rule else None
