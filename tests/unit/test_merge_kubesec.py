"""Files in kubesec's format: values merge, and the MAC, which needs a key, is kept only where it still holds.

The tokens are made up: no key takes part in a merge.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
import yaml

from secretsvc.operations.merge import Outcome, merge_manifests
from secretsvc.programs.git import merge_lines


def token(what: str, parts: int = 3) -> str:
    sizes = (12,) * (parts - 1) + (16,)
    digests = (hashlib.sha256(f"{what}{part}".encode()).digest() for part in range(parts))
    return ".".join(b64encode(digest[:size]).decode() for digest, size in zip(digests, sizes, strict=True))


def wrapped(what: str) -> str:
    return b64encode(what.encode()).decode()


AA, BB = f"pgp:{'A' * 40}", f"pgp:{'B' * 40}"
GCP = "gcp:projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k"


def sealed(values: dict[str, str], mac: str, keys: tuple[str, ...] = (AA,), dek: str = "dek") -> bytes:
    lines = [f"  {key}: {token(f'{dek} {value}')}\n" for key, value in values.items()]
    envelope = [f"# kubesec:{key}:{wrapped(f'{dek} {key}')}\n" for key in keys]
    return (
        "apiVersion: v1\ndata:\n" + "".join(lines) + "kind: Secret\nmetadata:\n  name: a\ntype: Opaque\n"
        "# kubesec:v:3\n" + "".join(envelope) + f"# kubesec:mac:{token(mac, 2)}\n"
    ).encode()


def merged(base: bytes, ours: bytes, theirs: bytes) -> Outcome:
    outcome = merge_manifests(base, ours, theirs, "f.yaml", merge_lines)
    yaml.safe_load(outcome.data)
    return outcome


BASE = {"a": "1", "b": "2", "c": "3"}


def test_values_of_both_sides_merge_and_the_mac_is_left_to_somebody_with_a_key() -> None:
    base = sealed(BASE, "base")
    ours = sealed(BASE | {"a": "ours", "x": "9"}, "ours")
    outcome = merged(base, ours, sealed(BASE | {"b": "theirs", "z": "9"}, "theirs"))
    expected = sealed(BASE | {"a": "ours", "b": "theirs", "x": "9", "z": "9"}, "ours")
    note = [line for line in outcome.data.decode().splitlines(keepends=True) if line.startswith("# ")][:3]
    version = b"# kubesec:v:3\n"
    assert outcome.data == expected.replace(version, "".join(note).encode() + version)
    assert note[0].startswith("# ksecret: CONFLICT: the MAC below")
    assert note[2] == "# ksecret encrypt -i --recompute-mac f.yaml\n"
    assert outcome.conflicts == ["a: the MAC fits neither side's values and keys"]


def test_a_side_that_has_it_all_brings_its_mac() -> None:
    base, ours = sealed(BASE, "base"), sealed(BASE | {"a": "ours"}, "ours")
    label = ours.replace(b"  name: a\n", b"  name: a\n  labels: {x: y}\n").replace(
        b"type: Opaque\n", b"type: Opaque\n\n"
    )
    assert merged(base, ours, base.replace(b"  name: a\n", b"  name: a\n  labels: {x: y}\n")) == (
        ours.replace(b"  name: a\n", b"  name: a\n  labels: {x: y}\n"),
        [],
    )
    assert merged(base, base, ours) == (ours, [])
    assert merged(base, label, base) == (label, [])


def test_keys_of_both_sides_are_kept_in_kubesecs_order() -> None:
    base = sealed(BASE, "base")
    outcome = merged(base, sealed(BASE, "ours", (AA, GCP)), sealed(BASE, "theirs", (AA, BB)))
    lines = [line.split(":")[1] for line in outcome.data.decode().splitlines() if line.startswith("# kubesec")]
    assert lines == ["v", "pgp", "pgp", "gcp", "mac"]
    assert len(outcome.conflicts) == 1


@pytest.mark.parametrize("side", [0, 1])
def test_a_new_data_key_is_taken_whole_or_conflicts(side: int) -> None:
    base, rotated = sealed(BASE, "base"), sealed(BASE, "rotated", dek="new")
    commented = base.replace(b"kind:", b"# why\nkind:")
    sides = [rotated, commented]
    outcome = merged(base, sides[side], sides[1 - side])
    assert outcome == (rotated.replace(b"kind:", b"# why\nkind:"), [])
    sides[1] = sealed(BASE | {"a": "4"}, "changed")
    outcome = merged(base, sides[side], sides[1 - side])
    values = yaml.safe_load(outcome.data)["data"]
    assert (values["a"], values["a.CONFLICT"]) == (token("new 1"), token("dek 4"))
    assert len(outcome.conflicts) == 2


def test_the_same_value_changed_twice_is_kept_twice() -> None:
    outcome = merged(sealed(BASE, "b"), sealed(BASE | {"a": "x"}, "o"), sealed(BASE | {"a": "y"}, "t"))
    assert yaml.safe_load(outcome.data)["data"]["a.CONFLICT"] == token("dek y")
    assert [line.partition(" ")[2][:9] for line in outcome.conflicts] == ['data["a"]', "the MAC f"]


def test_two_new_data_keys_are_left_to_git() -> None:
    outcome = merge_manifests(
        sealed(BASE, "b"), sealed(BASE, "o", dek="o"), sealed(BASE, "t", dek="t"), "f", merge_lines
    )
    assert b"<<<<<<< ours" in outcome.data
    assert outcome.conflicts
