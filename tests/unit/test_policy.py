"""`.ksecret.yaml`: what it says, where it counts, and what is told of a mistake in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from time import process_time
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from secretsvc.backends import canonical
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.cli.policies import FilePolicies
from secretsvc.errors import FileError, InputError, KsecretError
from secretsvc.keyref import Principal
from secretsvc.policy import reader
from secretsvc.policy.policies import MISNAMED, NAME, Policies, starter
from tests.unit.policy_support import AGE, AWS, FULL, GCP, PGP, SCHEMA, keys, repository

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["repository"]  # fixtures, for pytest to find here


def test_a_folder_without_a_policy_above_it_is_looked_at_once_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: looked.append(path) or exists(path))
    policies = FilePolicies(Backends(Settings({}, lambda _: None)))
    for number in range(3):
        file = str(tmp_path / f"{number}.yaml")
        assert policies.find(file) is None
        assert policies.sops_rule(file) is None
    assert looked
    assert len(looked) == len(set(looked))


def test_the_first_rule_that_fits_counts(repository: Path) -> None:
    assert keys(repository, "prod/db.yaml", "team-a", "db") == (GCP, PGP)
    assert keys(repository, "prod/deep/er/db.yaml") == (GCP, PGP)
    assert keys(repository, "other/prod/db.yaml") == (AGE,)
    assert keys(repository, "x.yaml", "team-a", "db") == (AWS,)
    assert keys(repository, "x.yaml", "team-a", "db2") == (AGE,)
    assert keys(repository, "x.yaml", "Team-a", "db") == (AGE,)
    assert keys(repository, "x.yaml", None, "db") == (AGE,)
    assert keys(repository, "top.yaml") == ("pgp:0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567",)
    assert keys(repository, "deep/top.yaml") == (AGE,)


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("prod/", ["prod/a.yaml", "x/prod/y/a.yaml"], ["prod.yaml", "prod"]),
        ("*.prod.yaml", ["a.prod.yaml", "x/a.prod.yaml"], ["a.yaml"]),
        ("/*.yaml", ["a.yaml"], ["x/a.yaml"]),
        ("**/prod/*.yaml", ["prod/a.yaml", "x/y/prod/a.yaml"], ["prod/x/a.yaml"]),
        ("a\\*b", ["a*b"], ["axb"]),
        ("[ab].yaml", ["a.yaml", "x/b.yaml"], ["c.yaml"]),
        ("prod/**", ["prod/a\nb.yaml", "prod/\udc80.yaml", "prod/ü.yaml"], ["prod"]),
    ],
)
def test_paths_fit_as_in_a_gitignore(tmp_path: Path, pattern: str, fitting: list[str], others: list[str]) -> None:
    (tmp_path / NAME).write_text(f"version: 1\nrules:\n- path: {json.dumps(pattern)}\n  keys: ['{AGE}']\n")
    assert [path for path in fitting if keys(tmp_path, path) is None] == []
    assert [path for path in others if keys(tmp_path, path)] == []


def test_the_paths_of_a_policy_count_from_its_own_folder(repository: Path) -> None:
    (repository / "apps").mkdir()
    (repository / "apps" / NAME).write_text(f"version: 1\nrules: [{{path: prod/**, keys: ['{AWS}']}}]\n")
    assert keys(repository, "apps/prod/a.yaml") == (AWS,)
    assert keys(repository, "apps/a.yaml") is None, "the nearest file counts alone"


def test_what_else_a_policy_says(repository: Path) -> None:
    policy = Policies().find(str(repository / "deep" / "a.yaml"))
    assert policy
    assert (policy.max_age, policy.require_signature) == (90 * 86400, True)
    assert policy.is_fresh("a.yaml", "prod", "db")
    assert not policy.is_fresh("a.yaml", "team-a", "db"), "its rule says so"
    assert policy.source == os.path.relpath(repository / NAME)
    (repository / NAME).write_text("version: 1\n")
    policy = Policies().find(str(repository / "a.yaml"))
    assert policy
    assert (policy.max_age, policy.require_signature, policy.content.rules) == (None, False, ())
    assert not policy.is_fresh("a.yaml", "prod", "db")


def test_a_policy_is_read_once_and_from_several_threads(repository: Path) -> None:
    read: list[str] = []

    def reader(path: str) -> bytes | None:
        read.append(path)
        return FULL.encode() if path == "/r/.ksecret.yaml" else None

    policies = Policies(reader, "/r")
    paths = [f"/r/{folder}/x/{number}.yaml" for folder in ("a", "b") for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(policies.find, paths))
    assert {policy.folder for policy in found if policy} == {"/r"}
    assert sorted(read) == sorted(set(read))
    below = {f"/r/{folder}{name}" for folder in ("a/", "a/x/", "b/", "b/x/") for name in (NAME, MISNAMED)}
    assert set(read) == {f"/r/{NAME}"} | below


@pytest.mark.timeout(10)
def test_a_policy_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(FileError, match="is no file"):
        Policies().find(str(tmp_path / "a.yaml"))
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to("/dev/zero")
    with pytest.raises(FileError, match="is no file"):
        Policies().find(str(tmp_path / "a.yaml"))


BROKEN = {
    "a slip": ("version: 1\nrule: []\n", False),
    "no text": (b"\xff\xfe\x00", False),
    "a signature": ("version: 1\nrule: []\nrequireSignature: true\n", True),
    "in other letters": ("version: 1\nrequire-signature: true\n", True),
    "in UTF-16": ("version: 1\nrequireSignature: true\n".encode("utf-16"), True),
    "no signature": ("version: 1\nrule: []\nrequireSignature: false\n", False),
    "too large": (b"#" * 2_000_000, False),
}


@pytest.mark.parametrize("name", BROKEN)
def test_opening_goes_on_without_a_broken_policy_unless_it_speaks_of_signatures(tmp_path: Path, name: str) -> None:
    text, is_refused = BROKEN[name]
    (tmp_path / NAME).write_bytes(text.encode() if isinstance(text, str) else text)
    told: list[KsecretError] = []
    policies = Policies()
    for _ in range(2):
        if is_refused:
            with pytest.raises(InputError, match=r"unknown key|not UTF-8"):
                policies.find_for_opening(str(tmp_path / "a.yaml"), told.append)
        else:
            assert policies.find_for_opening(str(tmp_path / "a.yaml"), told.append) is None
    assert [error.file for error in told] == ([] if is_refused else [os.path.relpath(tmp_path / NAME)] * 2)


def test_a_policy_that_cant_be_read(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(FileError, match="can't be read: Is a directory"):
        Policies().find(str(tmp_path / "a.yaml"))


def test_a_folder_of_a_name_that_is_not_read_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / MISNAMED).mkdir()
    assert Policies().find(str(tmp_path / "a.yaml")) is None
    (tmp_path / MISNAMED).rmdir()
    (tmp_path / MISNAMED).write_text(FULL)
    found = Policies().find(str(tmp_path / "a.yaml"))
    assert found
    assert (found.is_misnamed, found.content.rules, found.source) == (True, (), os.path.relpath(tmp_path / MISNAMED))


def test_a_key_may_name_its_aws_profile() -> None:
    role = "arn:aws:iam::111122223333:role/team/Sealer"
    text = f"version: 1\nrules:\n- keys: [{{key: '{AWS}', profile: a, role: '{role}'}}, '{AGE}']\n- keys: ['{AWS}']\n"
    content = reader.read(text.encode(), NAME)
    assert [rule.keys for rule in content.rules] == [(AWS, AGE), (AWS,)]
    assert content.principals == {AWS: Principal("a", role)}
    jsonschema.validate(yaml.safe_load(text), SCHEMA)
    with pytest.raises(InputError, match="one key has two profiles"):
        reader.read(f"{text}- keys: [{{key: '{AWS[4:]}', profile: b}}]\n".encode(), NAME)
    with pytest.raises(InputError, match="that is no role of IAM"):
        reader.read(text.replace(":role/", ":user/").encode(), NAME)


PEOPLE = f"""\
version: 1
rules:
- path: prod/
  keys: [alice, '{GCP}', bob@example.org]
- keys: [alice, '{PGP}']
people:
  alice: {AGE[4:]}
  bob@example.org: ["pgp:0x{PGP[4:].lower()}", '{AWS}', {AGE}]
"""


def test_rules_name_people_in_place_of_their_keys(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(PEOPLE)
    assert keys(tmp_path, "prod/a.yaml") == (AGE, GCP, PGP, AWS)
    assert keys(tmp_path, "a.yaml") == (AGE, PGP)
    jsonschema.validate(yaml.safe_load(PEOPLE), SCHEMA)


def test_a_name_stands_beside_its_key_and_never_in_its_place(tmp_path: Path) -> None:
    people = reader.read(PEOPLE.encode(), NAME).people
    assert people.named(PGP) == f"bob@example.org ({PGP})"
    assert people.named(AGE) == f"alice ({AGE})", "the first name that has it"
    assert people.named(GCP) == GCP
    told = people.named_in(f"none opens: {AGE}: no identity; {GCP}: denied; {AWS}-2: denied; see alice ({AGE})")
    assert told == f"none opens: alice ({AGE}): no identity; {GCP}: denied; {AWS}-2: denied; see alice ({AGE})"


def test_a_first_policy_names_the_keys(tmp_path: Path) -> None:
    ssh = "age:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"
    (tmp_path / NAME).write_text(starter([AGE, ssh]))
    assert keys(tmp_path, "a.yaml") == (AGE, ssh)
    jsonschema.validate(yaml.safe_load(starter([AGE])), SCHEMA)


@pytest.mark.parametrize(
    "key",
    [
        AGE,
        AGE.replace("age1", "AGE1"),
        "age:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN me@here",
        PGP,
        "pgp:0x0123456789abcdef0123456789abcdef01234567",
        "pgp:0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567",
        AWS,
        "aws:ARN:aws:kms:eu-west-1:111122223333:KEY/11111111-2222-3333-4444-55555555555A",
        GCP,
    ],
    ids=["age", "AGE", "ssh", "pgp", "pgp 0x", "pgp spaces", "aws", "AWS", "gcp"],
)
def test_keys_are_compared_in_the_spelling_that_backends_give_them(key: str) -> None:
    known = Backends(Settings({}, lambda what: None))
    content = reader.read(f"version: 1\nrules:\n- keys: [{json.dumps(key)}]\n".encode(), NAME)
    assert content.rules[0].keys == (key,)
    assert canonical(key) == known.parse(key)


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43200), ("90d", 7776000), ("6w", 3628800)])
def test_ages(text: str, seconds: int) -> None:
    assert reader.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "90", "-1d", "1.5d", "90D", "9999999d", "90d ", "٩d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="not an age"):
        reader.seconds(text)


def test_a_policy_needs_neither_cryptography_nor_backends(repository: Path) -> None:
    find = f"p = Policies().find({str(repository / 'a.yaml')!r})"
    code = f"import sys; from secretsvc.policy.policies import Policies; {find}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; assert p; print(*sys.modules)"], check=True, text=True, stdout=subprocess.PIPE
    )
    loaded = done.stdout.split()
    assert "secretsvc.policy.policies" in loaded
    assert not [name for name in loaded if name.startswith(("cryptography", "pyrage", "boto", "google", "grpc"))]
    assert not [
        name for name in loaded if name.startswith("secretsvc.backends.") and name.endswith((".backend", ".registry"))
    ]


def test_a_thousand_rules_compile_their_patterns_once() -> None:
    """Not for each Secret: more of them than the standard library keeps took a second for five Secrets."""
    rules = "".join(f"- namespace: '{'[ab]' * 60}{number}'\n  keys: [{AWS}]\n" for number in range(1000))
    content = reader.read(f"version: 1\nrules:\n{rules}".encode(), NAME)
    assert not any(rule.fits(None, "prod", "a") for rule in content.rules)
    before = process_time()
    for _ in range(5):
        assert not any(rule.fits(None, "prod", "a") for rule in content.rules)
    assert process_time() - before < 0.5
