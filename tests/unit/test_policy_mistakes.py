"""What is no policy is told with file and line, by the schema too, and what would cost too much is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from time import process_time
from typing import Any

import jsonschema
import pytest
import yaml

from secretsvc.errors import InputError
from secretsvc.policy import reader
from secretsvc.policy.people import People
from secretsvc.policy.policies import NAME, Policies, starter
from tests.unit.policy_support import AGE, AWS, FULL, PGP, SCHEMA, keys

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
    "keys and groups": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  groups: [['{AGE}'], ['{AGE}']]\n", 3, "or groups"),
    "a threshold of keys": (f"version: 1\nrules:\n- keys: ['{AGE}']\n  threshold: 2\n", 3, "or groups of keys"),
    "one group": (f"version: 1\nrules:\n- groups: [['{AGE}']]\n", 3, "in 2 to 16 groups"),
    "too many groups": (f"version: 1\nrules:\n- groups: {[[AGE]] * 17}\n", 3, "more than 16 items"),
    "a group without keys": (f"version: 1\nrules:\n- groups: [['{AGE}'], []]\n", 3, "a group of keys has no key"),
    "a threshold of 1": (f"version: 1\nrules:\n- {{threshold: 1, groups: [['{AGE}'], ['{AGE}']]}}\n", 3, "of 1 is"),
    "a threshold no number": (f"version: 1\nrules:\n- groups: [['{AGE}'], ['{AGE}']]\n  threshold: x\n", 4, "number"),
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
    "a profile without a key": ("version: 1\nrules:\n- keys: [{profile: p}]\n", 3, "and `profile` or `role`"),
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


def test_names_of_many_keys_are_found_in_no_time() -> None:
    """A policy has room for 20,000 keys, a file for 100,000, and each of the file's is looked for."""
    key = "azure:https://v.vault.azure.net/keys/"
    people = People({f"p{number}": (f"{key}k{number}",) for number in range(20_000)})
    before = process_time()
    assert people.name(f"{key}k19999/{'a' * 32}") == "p19999"
    assert not any(people.name(f"{key}other{number}/{'a' * 32}") for number in range(1000))
    assert not any(people.name(f"age:age1{number}") for number in range(1000))
    assert process_time() - before < 2


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
