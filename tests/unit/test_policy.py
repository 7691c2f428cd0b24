"""`.ksecret.yaml`: what it says, where it counts, and what is told of a mistake in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import process_time
from typing import Any

import jsonschema
import pytest
import yaml

from secretsvc.backends import canonical
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import FileError, InputError, KsecretError
from secretsvc.policy import reader
from secretsvc.policy.policies import MISNAMED, NAME, Policies, starter
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


def test_the_search_ends_at_the_top_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(FULL)
    inner = tmp_path / "clone"
    (inner / "deep").mkdir(parents=True)
    assert Policies().find(str(inner / "deep" / "a.yaml"))
    (inner / ".git").write_text("gitdir: elsewhere\n")  # as in a submodule or another work tree
    assert Policies().find(str(inner / "deep" / "a.yaml")) is None


def test_a_path_is_taken_where_its_folder_really_is(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "prod").mkdir()
    elsewhere = repository.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(repository / "prod")
    assert keys(elsewhere, "link/a.yaml") == (GCP, PGP)
    monkeypatch.chdir(repository / "prod")
    assert keys(Path(), "a.yaml") == (GCP, PGP)
    policy = Policies().find("a.yaml")
    assert policy
    assert policy.source == f"../{NAME}"


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


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away takes root")
ANN, BOB = 12345, 12346


def test_a_policy_in_a_folder_for_everybodys_files_counts_there_only(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no policy at all")
    (tmp_path / "mine").mkdir()
    tmp_path.chmod(0o1777)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml")) is None
    with pytest.raises(InputError, match="a policy is not a mapping"):
        Policies().find(str(tmp_path / "a.yaml"))


@ROOT_ONLY
def test_what_others_put_into_a_folder_that_is_open_to_all_does_not_count(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "mine").mkdir()
    (tmp_path / NAME).write_text(FULL)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml"))
    os.chown(tmp_path / NAME, ANN, -1)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml")) is None
    assert Policies().find(str(tmp_path / "a.yaml")) is None
    (tmp_path / "target").write_text(FULL)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to("target")
    os.chown(tmp_path / NAME, ANN, -1, follow_symlinks=False)
    assert Policies().find(str(tmp_path / "a.yaml")) is None, "nor where they have a link lead"


@ROOT_ONLY
@pytest.mark.parametrize("names", [{NAME}, {".git"}, {".git", NAME}])
def test_a_repository_that_others_put_above_ones_own_folders_is_none(tmp_path: Path, names: set[str]) -> None:
    (tmp_path / "mine").mkdir()
    for name in (".git", NAME):
        (tmp_path / name).write_text(FULL)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml"))
    tmp_path.chmod(0o1777)
    for name in names:
        os.chown(tmp_path / name, ANN, -1)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml")) is None


@ROOT_ONLY
def test_outside_of_git_the_search_ends_where_folders_are_not_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    deep = tmp_path / "theirs" / "mine" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "theirs" / NAME).write_text(FULL)
    assert Policies().find(str(deep / "a.yaml"))
    os.chown(tmp_path / "theirs", ANN, -1)
    assert Policies().find(str(deep / "a.yaml")) is None
    assert Policies().find(str(tmp_path / "theirs" / "a.yaml")), "who works in a folder of theirs works with theirs"
    assert Policies().find(str(deep / "not" / "there" / "yet" / "a.yaml")) is None
    for caller, is_own in ((str(ANN), True), (str(BOB), False), ("x", False)):
        monkeypatch.setenv("SUDO_UID", caller)
        assert bool(Policies().find(str(deep / "a.yaml"))) is is_own
    monkeypatch.delenv("SUDO_UID")
    (deep / NAME).write_text(FULL)
    assert Policies().find(str(deep / "not" / "there" / "yet" / "a.yaml"))


@ROOT_ONLY
def test_a_checkout_that_belongs_to_somebody_else_as_a_whole_has_its_policy(repository: Path) -> None:
    """As in a container whose user is not the one who checked out."""
    (repository / "deep" / "er").mkdir(parents=True)
    for folder in (repository, repository / ".git", repository / "deep", repository / "deep" / "er"):
        os.chown(folder, ANN, -1)
    assert Policies().find(str(repository / "deep" / "er" / "a.yaml"))
    os.chown(repository / "deep", BOB, -1)
    assert Policies().find(str(repository / "deep" / "er" / "a.yaml")), "who owns folders on the way plays no part"


@ROOT_ONLY
def test_the_policy_of_another_users_repository_is_not_taken_unless_git_is_told_to_trust_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.delenv("SUDO_UID", raising=False)
    top = tmp_path / "it's theirs"
    (top / "mine" / "deep").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    manifest = str(top / "mine" / "deep" / "a.yaml")
    os.chown(top, ANN, -1)
    assert Policies().find(manifest) is None
    (top / NAME).write_text(FULL)
    with pytest.raises(InputError, match="this policy is not taken: its repository belongs to another user") as caught:
        Policies().find(manifest)
    assert caught.value.file == os.path.relpath(top / NAME)
    monkeypatch.setenv("SUDO_UID", str(ANN))
    assert Policies().find(manifest), "by sudo in a repository of one's own, as Git has it"
    monkeypatch.setenv("SUDO_UID", "")
    subprocess.run(["sh", "-c", caught.value.hint.partition(": ")[2]], check=True)
    assert Policies().find(manifest)


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


MISTAKES = {
    "nothing": ("", 1, "one YAML document"),
    "a list": ("- version: 1\n", 1, "not a mapping"),
    "two documents": ("version: 1\n---\nversion: 1\n", 3, "one YAML document"),
    "no YAML": ("version: 1\nrules: [\n", 3, "not valid YAML"),
    "not UTF-8": (b"version: 1\n# \xff\n", 2, "not UTF-8"),
    "too large": (b"#" * 2_000_000, 0, "larger than 1024 KiB"),
    "no version": ("rules: []\n", 1, "states no version"),
    "another version": ("\nversion: 2\n", 2, "version is not 1"),
    "a version in quotes": ("version: '1'\n", 1, "version is not 1"),
    "an unknown key": ("version: 1\nrule: []\n", 2, "unknown key"),
    "a key twice": ("version: 1\nversion: 1\n", 2, "version is there twice"),
    "rules no list": ("version: 1\nrules: {keys: []}\n", 2, "rules is not a list"),
    "a rule no mapping": ("version: 1\nrules:\n- age:age1\n", 3, "a rule is not a mapping"),
    "an unknown key in a rule": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  paths: x\n", 4, "unknown key"),
    "a rule without keys": ("version: 1\nrules:\n- path: x\n", 3, "a rule without keys"),
    "a rule with no keys": ("version: 1\nrules:\n- path: x\n  keys: []\n", 3, "a rule without keys"),
    "keys no list": (f"version: 1\nrules:\n- keys: {AGE}\n", 3, "keys is not a list"),
    "a key no text": ("version: 1\nrules:\n- keys: [1]\n", 3, "a key is not a text"),
    "a key without scheme": ("version: 1\nrules:\n- keys:\n  - alice\n", 4, "SCHEME:NAME"),
    "half a recipient": ("version: 1\nrules:\n- keys:\n  - age1x\n", 4, "not an age recipient"),
    "people no mapping": (f"version: 1\npeople: [{AGE}]\n", 2, "people is not a mapping"),
    "a name without keys": ("version: 1\npeople:\n  alice: []\n", 3, "alice has no key"),
    "a name for a name": (f"version: 1\npeople:\n  alice: {AGE}\n  bob: alice\n", 4, "SCHEME:NAME"),
    "a name for a mapping": (f"version: 1\npeople:\n  alice: {{key: {AGE}}}\n", 3, "a key is not a text"),
    "a name twice": (f"version: 1\npeople:\n  alice: {AGE}\n  Alice: {PGP}\n", 4, "Alice is there twice"),
    "a recipient for a name": (f"version: 1\npeople:\n  {AGE[4:]}: {AGE}\n", 3, "not a name for a key"),
    "a KeyRef for a name": (f"version: 1\npeople:\n  {AGE}: {AGE}\n", 3, "not a name for a key"),
    "a fingerprint for a name": (f"version: 1\npeople:\n  {'DEADBEEF' * 5}: {AGE}\n", 3, "not a name for a key"),
    "an SSH key for a name": (f"version: 1\npeople:\n  ssh-rsa: {AGE}\n", 3, "not a name for a key"),
    "an identity for a name": (f"version: 1\npeople:\n  AGE-SECRET-KEY-1QQ: {AGE}\n", 3, "not a name for a key"),
    "a path for a name": (f"version: 1\npeople:\n  keys/alice.pub: {AGE}\n", 3, "not a name for a key"),
    "a name that looks like a KeyRef": (f"version: 1\npeople:\n  'age:alice': {AGE}\n", 3, "not a name for a key"),
    "a name with a sign": (f"version: 1\npeople:\n  '-alice': {AGE}\n", 3, "not a name for a key"),
    "a name with a space": (f"version: 1\npeople:\n  'alice (admin)': {AGE}\n", 3, "not a name for a key"),
    "a name that controls": (f'version: 1\npeople:\n  "al\\eice": {AGE}\n', 3, "not a name for a key"),
    "a name in look-alike letters": (f"version: 1\npeople:\n  аlice: {AGE}\n", 3, "not a name for a key"),
    "a name too long": (f"version: 1\npeople:\n  {'a' * 65}: {AGE}\n", 3, "not a name for a key"),
    "a name that is no text": (f"version: 1\npeople:\n  yes: {AGE}\n", 3, "a name is not a text"),
    "an unknown name": (f"version: 1\npeople: {{alice: {AGE}}}\nrules:\n- keys: [alcie]\n", 4, "did you mean alice?"),
    "a PGP key by e-mail": ("version: 1\nrules:\n- keys:\n  - pgp:me@example.org\n", 4, "by its full fingerprint"),
    "pgp:default": ("version: 1\nrules:\n- keys: ['pgp:default']\n", 3, "by its full fingerprint"),
    "an alias of AWS's": ("version: 1\nrules:\n- keys: ['aws:alias/prod']\n", 3, "by its full ARN"),
    "keys inside themselves": ("version: 1\nrules:\n- keys: &k [*k]\n", 3, "an alias inside what it"),
    "rules inside themselves": ("version: 1\nrules: &r\n- path: x\n- *r\n", 4, "an alias inside what it"),
    "a mapping for a key": ("version: 1\nrules:\n- keys: [age: age1x]\n", 3, "has an unknown key `age`"),
    "a profile without a key": ("version: 1\nrules:\n- keys: [{profile: p}]\n", 3, "has `key` and `profile`"),
    "a profile of another kind": (f"version: 1\nrules:\n- keys: [{{key: '{AGE}', profile: p}}]\n", 3, "AWS KMS only"),
    "no name of a profile": (f'version: 1\nrules:\n- keys: [{{key: "{AWS}", profile: "a;b"}}]\n', 3, "an AWS profile"),
    "a namespace that is a number": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  namespace: 1\n", 4, "not a text"),
    "an empty path": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  path: ''\n", 4, "path is not a text"),
    "a negation": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  path: '!x'\n", 4, "path is not one"),
    "a comment for a path": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  path: '#x'\n", 4, "path is not one"),
    "two lines for a path": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  path: 'x\\'\n", 4, "path is not one"),
    "rotation no mapping": ("version: 1\nrotation: 90d\n", 2, "rotation is not a mapping"),
    "an unknown key in rotation": ("version: 1\nrotation: {\n  max_age: 90d}\n", 3, "unknown key"),
    "an age without unit": ("version: 1\nrotation:\n  maxAge: 90\n", 3, "maxAge is not an age"),
    "an age in months": ("version: 1\nrotation:\n  maxAge: 3m\n", 3, "maxAge is not an age"),
    "an age of nothing": ("version: 1\nrotation:\n  maxAge: 0d\n", 3, "maxAge is not an age"),
    "a signature perhaps": ("version: 1\nrequireSignature: yes\n", 2, "neither true nor false"),
    "a signature in quotes": ("version: 1\nrequireSignature: 'true'\n", 2, "neither true nor false"),
    "a data key perhaps": ("version: 1\ndataKey: new\n", 2, "neither `fresh` nor `kept`"),
    "a data key in a list": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  dataKey: [fresh]\n", 4, "dataKey is neither"),
    "a tag": ("version: 1\nrotation: !x {maxAge: 90d}\n", 2, "a tag"),
}  # fmt: skip


def schema_refuses(text: str) -> bool:
    try:
        document: Any = yaml.safe_load(text)
        jsonschema.validate(document, SCHEMA)
    except (yaml.YAMLError, jsonschema.ValidationError):
        return True
    return False


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_with_file_and_line(tmp_path: Path, name: str) -> None:
    text, line, message = MISTAKES[name]
    path = tmp_path / NAME
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    policies = Policies()
    for _ in range(2):  # the second time from memory
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            policies.find(str(tmp_path / "a.yaml"))
        assert (caught.value.file, caught.value.line) == (os.path.relpath(path), line)
        caught.value.file = "spoilt"


def test_a_key_may_name_its_aws_profile() -> None:
    text = f"version: 1\nrules:\n- keys: [{{key: '{AWS}', profile: a}}, '{AGE}']\n- keys: ['{AWS}']\n"
    content = reader.read(text.encode(), NAME)
    assert [rule.keys for rule in content.rules] == [(AWS, AGE), (AWS,)]
    assert content.profiles == {AWS: "a"}
    jsonschema.validate(yaml.safe_load(text), SCHEMA)
    with pytest.raises(InputError, match="one key has two profiles"):
        reader.read(f"{text}- keys: [{{key: '{AWS[4:]}', profile: b}}]\n".encode(), NAME)


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


def test_an_unknown_name_is_not_repeated() -> None:
    with pytest.raises(InputError, match=r"^people has no such name$") as caught:
        reader.read(f"version: 1\npeople: {{alice: {AGE}}}\nrules: [{{keys: [hunter2]}}]\n".encode(), NAME)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_an_identity_in_a_policy_is_not_repeated(tmp_path: Path) -> None:
    identity = "AGE-SECRET-KEY-1" + "Q" * 58
    (tmp_path / NAME).write_text(f"version: 1\nrules:\n- keys:\n  - age:{identity}\n")
    with pytest.raises(InputError, match="private age identity") as caught:
        Policies().find(str(tmp_path / "a.yaml"))
    assert identity not in caught.value.message + caught.value.hint
    (tmp_path / NAME).write_text(f"version: 1\nrules:\n- {identity}: [x]\n")
    with pytest.raises(InputError, match="unknown key") as caught:
        Policies().find(str(tmp_path / "a.yaml"))
    assert identity not in caught.value.message + caught.value.hint


FINER = {  # what the schema leaves to ksecret: repeated keys, spellings that YAML libraries hide, the ids of keys
    "a key twice", "two documents", "not UTF-8", "too large", "a signature perhaps",
    "a PGP key by e-mail", "pgp:default", "an alias of AWS's", "two lines for a path", "a key without scheme",
    "a name for a name", "a name twice", "a fingerprint for a name", "a name that is no text", "an unknown name",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MISTAKES.keys() - FINER))
def test_the_schema_refuses_the_same(name: str) -> None:
    text = MISTAKES[name][0]
    assert isinstance(text, str)
    assert schema_refuses(text)


def test_the_schema_takes_what_ksecret_takes() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    for text in (FULL, "version: 1\n", starter([AGE, PGP])):
        jsonschema.validate(yaml.safe_load(text), SCHEMA)
        reader.read(text.encode(), NAME)


def test_the_documented_policies_are_policies() -> None:
    text = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    examples = re.findall(r"(?s)```yaml\n(version: 1\n.*?)```", text)
    assert examples
    for example in examples:
        assert reader.read(example.encode(), NAME).rules
        jsonschema.validate(yaml.safe_load(example), SCHEMA)


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


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (f"[{', '.join([f'{{keys: [{AGE!r}]}}'] * 1001)}]", "rules has more than 1000 items"),
        (f"[{{keys: [{', '.join([repr(AGE)] * 101)}]}}]", "keys has more than 100 items"),
        (f"[{{name: {'a' * 501}, keys: [{AGE!r}]}}]", "name is longer than 500 characters"),
        (f"[{{path: {'a' * 501}, keys: [{AGE!r}]}}]", "path is not one"),
    ],
)
def test_a_policy_that_would_take_long_to_look_through_is_refused(tmp_path: Path, rules: str, message: str) -> None:
    (tmp_path / NAME).write_text(f"version: 1\nrules: {rules}\n")
    with pytest.raises(InputError, match=message):
        Policies().find(str(tmp_path / "a.yaml"))


def test_people_are_bounded(tmp_path: Path) -> None:
    many = ", ".join(f"a{number}: {AGE}" for number in range(1001))
    listed = ", ".join(f"gcp:projects/p/locations/l/keyRings/r/cryptoKeys/k{number}" for number in range(60))
    more = listed.replace("cryptoKeys/k", "cryptoKeys/m")
    for people, message in (
        (many, "people has more than 1000 names"),
        (f"a: [{listed}, {more}]", "the keys of a name has more than 100 items"),
        (f"a: [{listed}], b: [{more}]", "the names in keys stand for more than 100 keys"),
    ):
        (tmp_path / NAME).write_text(f"version: 1\npeople: {{{people}}}\nrules: [{{keys: [a, b]}}]\n")
        with pytest.raises(InputError, match=message):
            Policies().find(str(tmp_path / "a.yaml"))


def test_patterns_of_many_stars_are_tried_in_no_time(tmp_path: Path) -> None:
    rule = f"{{path: '{'*a' * 100}b', name: '{'*a' * 100}b', keys: ['{AGE}']}}"
    (tmp_path / NAME).write_text(f"version: 1\nrules: [{', '.join([rule] * 50)}]\n")
    before = process_time()
    assert keys(tmp_path, "a" * 200, "prod", "a" * 200 + "b") is None
    assert process_time() - before < 5  # longer than the age of the universe


def test_a_name_longer_than_any_fits_the_rule_for_all_only(tmp_path: Path) -> None:
    for pattern, fitting in (("a*", None), ("'*'", (AGE,))):
        (tmp_path / NAME).write_text(f"version: 1\nrules: [{{name: {pattern}, keys: ['{AGE}']}}]\n")
        assert keys(tmp_path, "a.yaml", "prod", "a" * 100_000) == fitting
