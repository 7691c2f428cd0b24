"""Recipients `age1pq1…` and `age1tagpq1…`, of 2,000 characters: how files spell them, and who opens what is sealed.

`age1pq1…` goes through a program of ours in the place of age's own; that one takes part where it is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import mlkem

import secretsvc
from secretsvc.api.settings import Rule
from secretsvc.backends import canonical, stated, verify
from secretsvc.cli.report import report
from secretsvc.client.problems import HttpAnswer, problem
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyGroups, WrappedKey, keyset
from secretsvc.operations.merge import merge_manifests
from secretsvc.operations.rotate import rewrap_manifest
from secretsvc.programs.git import merge_lines
from tests.integration.test_age_plugins import Device
from tests.integration.test_age_tags import KEY, agreed, bech32, opened_by_key, uncompressed
from tests.support import LOCK

if TYPE_CHECKING:
    from pathlib import Path

    from secretsvc.keyref import KeyRef, Keyset

LATTICE = mlkem.MLKEM768PrivateKey.from_seed_bytes(bytes(64))
TAG_PQ = canonical("age:" + bech32("age1tagpq", LATTICE.public_key().public_bytes_raw() + uncompressed(KEY)))
PQ = canonical("age:" + bech32("age1pq", b"\x28" + bytes(1215)))
NATIVE = bech32("age-secret-key-pq-", b"\x28" + bytes(31)).upper()
HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n"
BLOCK = f"{HEAD}stringData:\n  k: not-a-real-value\n"
FLOW = '{kind: Secret, "metadata": {"name": "a"}, "stringData": {"k": "not-a-real-value"}}\n'
LINES = '{kind: Secret,\n  "metadata": {"name": "a"},\n  "stringData": {"k": "not-a-real-value"}\n}\n'
JSON = '{"kind": "Secret", "metadata": {"name": "a"}, "stringData": {"k": "not-a-real-value"}}\n'


def secret_of_both(sent: bytes) -> bytes:
    """MLKEM768-P256 of draft-ietf-hpke-pq, from what was sent to both keys."""
    lattice, point = sent[:1088], sent[1088:]
    parts = (LATTICE.decapsulate(lattice), agreed(KEY, point), point, uncompressed(KEY), b"MLKEM768-P256")
    return hashlib.sha3_256(b"".join(parts)).digest()


def test_what_is_wrapped_to_a_hardware_key_s_recipient_opens_by_both_its_keys_alone() -> None:
    dek = os.urandom(32)
    wrapped = LOCK.keyring.wrap(TAG_PQ, dek, {})
    assert opened_by_key(wrapped, b"mlkem768p256tag", b"\0\x50", secret_of_both) == dek


def sealed(text: str, keys: Keyset) -> bytes:
    return LOCK._replace(keys=keys).seal(text.encode())


BESIDE = keyset([TAG_PQ, *LOCK.keys])


@pytest.mark.parametrize("text", [BLOCK, FLOW, LINES], ids=["block", "flow", "lines"])
def test_its_name_is_an_explicit_key_which_every_reader_of_yaml_takes(text: str) -> None:
    made = sealed(text, BESIDE)
    assert made.count(b"? ") == 1
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):  # kubectl's and yq's is the latter, in Go
        assert set(yaml.load(made, loader)["ksecret"]["keys"]) == set(map(str, BESIDE))
    assert LOCK.open_(made).decode() == text


def test_in_json_it_is_a_member_as_others_are() -> None:
    made = sealed(JSON, BESIDE)
    assert set(json.loads(made)["ksecret"]["keys"]) == set(map(str, BESIDE))
    assert LOCK.open_(made).decode() == JSON


def test_it_stands_in_groups_of_keys_too() -> None:
    made = sealed(BLOCK, KeyGroups([[TAG_PQ], LOCK.keys, BESIDE], 2))
    assert f"  groups:\n    - ? {TAG_PQ}\n      : ".encode() in made
    assert LOCK.open_(made).decode() == BLOCK


def test_a_sealed_secret_is_rewrapped_line_for_line() -> None:
    made = sealed(BLOCK, BESIDE)
    again = rewrap_manifest(made, LOCK.keyring).data
    assert [line[:40] for line in again.split(b"\n")] == [line[:40] for line in made.split(b"\n")]
    assert again != made
    assert LOCK.open_(again).decode() == BLOCK


def test_it_is_merged_as_other_keys_are() -> None:
    base = sealed(BLOCK, BESIDE)
    rewrapped = rewrap_manifest(base, LOCK.keyring).data
    changed = BLOCK.replace("not-a-real", "another").encode()
    edited = LOCK._replace(keys=BESIDE).seal(changed, parent=base)
    outcome = merge_manifests(base, rewrapped, edited, "f.yaml", merge_lines)
    assert outcome.conflicts == []
    assert outcome.data.partition(b"ksecret:")[2] == rewrapped.partition(b"ksecret:")[2]
    assert LOCK.open_(outcome.data) == changed


def test_a_program_seals_to_it_and_opens_what_is_sealed(tmp_path: Path) -> None:
    lock = LOCK._replace(keyring=Device(tmp_path, "pq").backends(NATIVE), keys=(PQ,))
    made = lock.seal(BLOCK.encode())
    assert f"\n    ? {PQ}\n    : ".encode() in made
    assert lock.open_(made).decode() == BLOCK


@pytest.mark.parametrize("ref", [PQ, TAG_PQ])
def test_it_has_one_spelling_one_length_and_a_checksum(ref: KeyRef) -> None:
    assert canonical(f"age:{ref.id.upper()}") == ref == stated(str(ref))
    verify(str(ref))
    changed = ref.id[:40] + ("q" if ref.id[40] != "q" else "p") + ref.id[41:]
    with pytest.raises(KeyRefError, match="it was cut, or a letter of it changed"):
        verify(f"age:{changed}")
    for wrong in (ref.id[:-1], f"{ref.id}q", ref.id[:300]):
        with pytest.raises(KeyRefError, match="that is not an age recipient"):
            canonical(f"age:{wrong}")
    with pytest.raises(KeyRefError, match="up to 2048 printable characters"):
        canonical(f"{ref}{'q' * 100}")


def test_a_library_or_a_service_seals_to_a_hardware_key_s_and_starts_no_program() -> None:
    made = secretsvc.encrypt(BLOCK.encode(), LOCK.keyring, to=[str(TAG_PQ), *map(str, LOCK.keys)])
    assert secretsvc.decrypt(made, LOCK.keyring).decode() == BLOCK
    with pytest.raises(KeyRefError, match="no program age-plugin-pq is started here"):
        secretsvc.encrypt(BLOCK.encode(), LOCK.keyring, to=[str(PQ)])


def test_a_service_s_rules_and_answers_have_it_whole_and_people_are_told_its_beginning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    everything = {"callers": [{"token": "t"}], "operations": ["decrypt"], "namespaces": ["*"], "names": ["*"]}
    assert Rule.model_validate(everything | {"keys": [str(TAG_PQ)]}).keys == [str(TAG_PQ)]
    told = json.dumps({"detail": f"{TAG_PQ} can't be removed: so it is", "keyRef": str(TAG_PQ)}).encode()
    error = problem(HttpAnswer(400, "application/problem+json", 0, told))
    assert (error.key_ref, error.message) == (str(TAG_PQ), f"{TAG_PQ} can't be removed: so it is")
    report(error)
    assert capsys.readouterr().err == f"ksecret: {str(TAG_PQ)[:26]}… can't be removed: so it is\n"


@pytest.mark.skipif(not shutil.which("age-plugin-pq"), reason="age's own programs are not installed")
def test_age_s_own_programs_open_what_is_sealed(tmp_path: Path) -> None:
    def ran(*words: str, given: bytes = b"") -> bytes:
        return subprocess.run(words, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

    made = ran("age-keygen", "-pq")
    (recipient,) = re.findall(r"age1pq1[a-z0-9]+", made.decode())
    (tmp_path / "key").write_bytes(made)
    device = Device(tmp_path)
    backends = device.backends(PATH=os.environ["PATH"], KSECRET_AGE_PLUGINS="pq")
    ref = canonical(f"age:{recipient}")
    wrapped = backends.wrap(ref, bytes(32), {})
    assert ran("age", "-d", "-i", str(tmp_path / "key"), given=wrapped) == bytes(32)
    own = device.backends(PATH=os.environ["PATH"], KSECRET_AGE_KEY_FILE=str(tmp_path / "key"))
    assert own.unwrap([WrappedKey(ref, wrapped)]) == bytes(32)


def test_an_identity_of_age_s_own_is_the_plug_in_s_and_one_with_a_slip_is_none(tmp_path: Path) -> None:
    slip = NATIVE[:-1] + ("Q" if NATIVE[-1] != "Q" else "P")
    backends = Device(tmp_path, "pq").backends(NATIVE, slip)
    places = [one for _, age in backends.with_identities() for one in age.places()]
    assert "1 of plug-ins: pq; KSECRET_AGE_KEY holds a line that is not an age identity" in places[0].found
