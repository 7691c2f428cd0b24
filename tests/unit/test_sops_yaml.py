"""A `.sops.yaml` gives the keys and the selection that SOPS would take; what SOPS passes over in silence is told."""

from __future__ import annotations

import os
import subprocess
from time import process_time
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import FileError, InputError
from secretsvc.policy.policies import Policies
from secretsvc.policy.sops_configs import SopsConfigs
from secretsvc.policy.sops_yaml import DEFAULT_SELECTION, NAME, CreationRule, SopsConfig, SopsKey, read

if TYPE_CHECKING:
    from pathlib import Path

AGE = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun"
ARN = "arn:aws:kms:eu-west-1:111122223333:alias/Prod"
ROLE = "arn:aws:iam::111122223333:role/Sealer"
GCP = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
PGP = "0123456789ABCDEF0123456789ABCDEF01234567"


def config(text: str) -> SopsConfig:
    return read(text.encode(), ".sops.yaml", "/repo")


def rule_for(path: str) -> CreationRule | None:
    return SopsConfigs(Policies()).rule_for_new(path)


def groups(text: str) -> list[list[str]]:
    (rule,) = config(text).rules or ()
    return [[key.text for key in group] for group in rule.groups]


def single_key(text: str) -> SopsKey:
    (rule,) = config(text).rules or ()
    ((key,),) = rule.groups
    return key


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        (r"\.enc\.yaml$", "/repo/a/b.enc.yaml", True),
        (r"^a\.yaml$", "/repo/a.yaml", True),
        (r"^a\.yaml$", "/repo/b/a.yaml", False),
        (r"^a\.yaml$", "/repo/b/../a.yaml", True),
        (r"^repo", "/repo/a.yaml", False),
        (r"^/other/", "/other/a.yaml", True),
        (r"^/repository/", "/repository/a.yaml", True),
        (r"(?i)PROD", "/repo/prod/a.yaml", True),
        ('""', "/repo/a.yaml", True),
    ],
)
def test_a_rule_fits_by_the_path_from_the_folder_and_by_the_whole_one_outside(
    pattern: str, path: str, fits: bool
) -> None:
    found = config(f"creation_rules:\n- path_regex: {pattern}\n  age: {AGE}\n- pgp: {PGP}\n").rule_for(path)
    assert found
    assert found.line == (2 if fits else 4)


def test_the_first_rule_that_fits_counts() -> None:
    found = config(f"creation_rules:\n- {{path_regex: a, age: {AGE}}}\n- {{path_regex: a, pgp: {PGP}}}\n")
    rule = found.rule_for("/repo/a")
    assert rule
    assert rule.line == 2


@pytest.mark.parametrize("rules", ["[]", f"[{{path_regex: b, age: {AGE}}}]"])
def test_rules_of_which_none_fits_are_an_error(rules: str) -> None:
    with pytest.raises(InputError, match="no rule of creation_rules fits this file") as caught:
        config(f"creation_rules: {rules}\n").rule_for("/repo/a.yaml")
    assert caught.value.file == ".sops.yaml"


@pytest.mark.parametrize("text", ["stores: {json: {indent: 2}}\n", "creation_rules:\n"])
def test_a_file_without_rules_has_no_say(text: str) -> None:
    assert config(text).rule_for("/repo/a.yaml") is None


def test_flat_lists_are_one_group_of_texts_with_commas_or_lists() -> None:
    text = f"""\
creation_rules:
- kms: {ARN}+{ROLE}, arn:aws:kms:us-east-1:111122223333:key/k
  aws_profile: prod
  age: >-
    {AGE},
    {AGE}
  pgp: [{PGP}]
  gcp_kms: {GCP}
  azure_keyvault: https://v.vault.azure.net/keys/k/1
  hc_vault_transit_uri: https://vault.example.org:8200/v1/transit/keys/k
  hckms: ["region:1"]
"""
    assert groups(text) == [
        [
            f"age:{AGE}",
            f"pgp:{PGP}",
            f"aws:{ARN}",
            "aws:arn:aws:kms:us-east-1:111122223333:key/k",
            f"gcp:{GCP}",
            "azure:https://v.vault.azure.net/keys/k/1",
            "vault:https://vault.example.org:8200/v1/transit/keys/k",
            "hckms:region:1",
        ]
    ]
    (rule,) = config(text).rules or ()
    assert [(key.role, key.profile) for key in rule.groups[0] if key.kind == "kms"] == [(ROLE, "prod"), ("", "prod")]


@pytest.mark.parametrize("key", ["age1pq1" + "q" * 1952, "ssh-rsa " + "A" * 716])
def test_one_long_key_is_read_as_sops_does(key: str) -> None:
    for spelled in (key, f"[{key}]"):
        assert groups(f"creation_rules:\n- age: {spelled}\n") == [[f"age:{key}"]]
    with pytest.raises(InputError, match="age is longer than 4096 characters"):
        config(f"creation_rules:\n- age: {key}{'q' * 4096}\n")


def test_key_groups_have_every_kind_of_entry_and_flat_lists_beside_them_are_nothing() -> None:
    text = f"""\
creation_rules:
- age: {AGE}
  shamir_threshold: 2
  key_groups:
  - kms: [{{arn: "{ARN}", role: "{ROLE}", context: {{app: x}}, aws_profile: prod}}]
    gcp_kms: [{{resource_id: {GCP}}}]
  - azure_keyvault: [{{vaultUrl: "https://v.vault.azure.net/", key: k, version: 1}}]
    hc_vault: ["https://vault.example.org/v1/a/b/keys/k"]
    hckms: [{{key_id: "region:1"}}]
  - pgp: [{PGP}]
"""
    (rule,) = config(text).rules or ()
    assert groups(text) == [
        [f"aws:{ARN}", f"gcp:{GCP}"],
        [
            "azure:https://v.vault.azure.net/keys/k/1",
            "vault:https://vault.example.org/v1/a/b/keys/k",
            "hckms:region:1",
        ],
        [f"pgp:{PGP}"],
    ]
    aws = rule.groups[0][0]
    assert (rule.threshold, aws.role, aws.context, aws.profile) == (2, ROLE, {"app": "x"}, "prod")


def test_merged_groups_come_first_and_each_key_once() -> None:
    text = f"creation_rules:\n- key_groups:\n  - pgp: [{PGP}]\n    merge:\n    - age: [{AGE}]\n    - pgp: [{PGP}]\n"
    assert groups(text) == [[f"age:{AGE}", f"pgp:{PGP}"]]


def test_one_key_under_two_contexts_is_two_keys() -> None:
    entries = ", ".join(f'{{arn: "{ARN}", context: {{app: {app}}}}}' for app in "xyx")
    assert groups(f"creation_rules:\n- key_groups: [{{kms: [{entries}]}}]\n") == [[f"aws:{ARN}", f"aws:{ARN}"]]


def test_keys_listed_at_the_top_for_aliases_are_taken_and_merge_keys_are_followed() -> None:
    text = f"""\
keys:
- &alice {AGE}
defaults: &defaults {{pgp: {PGP}, encrypted_regex: ^data$}}
creation_rules:
- <<: *defaults
  age: *alice
  encrypted_regex: ^x$
"""
    assert groups(text) == [[f"age:{AGE}", f"pgp:{PGP}"]]
    (rule,) = config(text).rules or ()
    assert rule.selection == ("encrypted_regex", "^x$")


@pytest.mark.parametrize(
    ("line", "selection"),
    [
        ("encrypted_regex: ^(data|stringData)$", ("encrypted_regex", "^(data|stringData)$")),
        ("unencrypted_regex: ^kind$", ("unencrypted_regex", "^kind$")),
        ("encrypted_suffix: _enc", ("encrypted_suffix", "_enc")),
        ("unencrypted_suffix: '['", ("unencrypted_suffix", "[")),
        ("encrypted_comment_regex: seal", ("encrypted_comment_regex", "seal")),
        ("unencrypted_comment_regex: clear", ("unencrypted_comment_regex", "clear")),
        ("encrypted_regex: ''", DEFAULT_SELECTION),
        ("unencrypted_suffix:", DEFAULT_SELECTION),
    ],
)
def test_each_of_the_six_selections_is_read_and_without_one_sops_default_is(
    line: str, selection: tuple[str, str]
) -> None:
    (rule,) = config(f"creation_rules:\n- age: {AGE}\n  {line}\n").rules or ()
    assert rule.selection == selection


@pytest.mark.parametrize(("word", "is_so"), [("true", True), ("yes", True), ("off", False), ("", False)])
def test_mac_only_encrypted_is_what_gos_yaml_takes_for_a_boolean(word: str, is_so: bool) -> None:
    (rule,) = config(f"creation_rules:\n- age: {AGE}\n  mac_only_encrypted: {word}\n").rules or ()
    assert rule.mac_only_encrypted is is_so


def test_a_rule_without_keys_leaves_them_to_who_seals() -> None:
    assert groups("creation_rules:\n- path_regex: x\n") == []


def test_an_arn_in_a_flat_list_has_no_context() -> None:
    assert single_key(f"creation_rules:\n- kms: {ARN}\n").context == {}


def test_indents_of_stores_are_read() -> None:
    assert config("stores:\n  yaml: {indent: 2}\n  json: {indent: 0}\n  dotenv: {}\n").indents == {"yaml": 2, "json": 0}


RULE = f"creation_rules:\n- age: {AGE}\n  "

MISTAKES = {
    "nothing": ("", 1, "one YAML document"),
    "a list": ("- creation_rules\n", 1, "not a mapping"),
    "a slip at the top": ("creation_rule: [{age: &a x}]\n", 1, "unknown key `creation_rule`"),
    "an unknown key at the top": ("keys: [x]\n", 1, "unknown key `keys`"),
    "a key twice": ("creation_rules: []\ncreation_rules: []\n", 2, "creation_rules is there twice"),
    "an unknown key in a rule": (RULE + "hc_vault_uris: x\n", 3, "unknown key `hc_vault_uris`"),
    "an unknown key in a group": ("creation_rules:\n- key_groups:\n  - aeg: x\n", 3, "unknown key `aeg`"),
    "an unknown key in an entry": ("creation_rules:\n- key_groups:\n  - kms: [{arm: x}]\n", 3, "unknown key `arm`"),
    "an unknown store": ("stores: {toml: {}}\n", 1, "unknown key `toml`"),
    "a store's unknown key": ("stores: {yaml: {width: 1}}\n", 1, "unknown key `width`"),
    "an indent that is none": ("stores: {yaml: {indent: wide}}\n", 1, "indent is not a number from 0 to 100"),
    "a pattern that is none": (RULE + "path_regex: '['\n", 3, r"path_regex: that is no regular .*: missing \]"),
    "a selection that is none": (RULE + "encrypted_regex: '['\n", 3, "encrypted_regex: that is no regular expression"),
    "a selection of Python's": (RULE + "encrypted_regex: (?=a)\n", 3, "encrypted_regex: that is no regular expression"),
    "two selections": (
        RULE + "encrypted_regex: a\n  encrypted_suffix: b\n",
        4,
        "encrypted_regex and encrypted_suffix in",
    ),
    "a flag that is none": (RULE + "mac_only_encrypted: maybe\n", 3, "neither true nor false"),
    "a flag in quotes": (RULE + "mac_only_encrypted: 'true'\n", 3, "neither true nor false"),
    "a threshold that is none": (RULE + "shamir_threshold: two\n", 3, "shamir_threshold is not a number"),
    "a threshold too high": (
        f"creation_rules:\n- key_groups: [{{age: [{AGE}]}}, {{pgp: [{PGP}]}}]\n  shamir_threshold: 3\n",
        3,
        "not one that 2 key groups can have",
    ),
    "a threshold of one": (
        f"creation_rules:\n- key_groups: [{{age: [{AGE}]}}, {{pgp: [{PGP}]}}]\n  shamir_threshold: 1\n",
        3,
        "not one that 2 key groups can have",
    ),
    "an empty group": (
        f"creation_rules:\n- key_groups:\n  - age: [{AGE}]\n  - pgp: []\n",
        4,
        "a key group without keys",
    ),
    "a comma too many": (f"creation_rules:\n- age: {AGE},\n", 2, "a comma with no key beside it"),
    "a private key": ("creation_rules:\n- age: AGE-SECRET-KEY-1QQ\n", 2, "private age identity"),
    "an entry without its name": ("creation_rules:\n- key_groups:\n  - kms: [{role: x}]\n", 3, "without `arn`"),
    "half a key of Azure": (
        "creation_rules:\n- key_groups:\n  - azure_keyvault: [{key: x}]\n",
        3,
        "`vaultUrl` and `key`",
    ),
    "a key no text": ("creation_rules:\n- age: [[x]]\n", 2, "an item of age is not a text"),
    "a pattern too long": (RULE + f"path_regex: {'a' * 501}\n", 3, "longer than 500 characters"),
}


@pytest.mark.parametrize(("text", "line", "match"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_file_and_line(text: str, line: int, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        config(text)
    assert (caught.value.file, caught.value.line) == (".sops.yaml", line)


def test_groups_that_merge_one_another_without_end_are_refused_soon() -> None:
    lines = [f"a0: &a0 {{age: [{AGE}]}}"]
    lines += [f"a{n}: &a{n} {{merge: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    started = process_time()
    with pytest.raises(InputError, match="more than 100000 values, aliases followed"):
        config("\n".join([*lines, "creation_rules: [{key_groups: [*a29]}]", ""]))
    assert process_time() - started < 5


def test_merge_keys_that_multiply_are_refused_soon() -> None:
    lines = [f"a0: &a0 {{age: [{AGE}]}}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    with pytest.raises(InputError, match="more than 100000 values, aliases followed"):
        config("\n".join([*lines, "creation_rules: [*a29]", ""]))


def written(folder: Path, key: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_text(f"creation_rules:\n- {{path_regex: ^(sub/)?a, age: {key}}}\n")


def test_the_nearest_file_upwards_counts_up_to_the_top_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "outer")
    written(tmp_path / "top", "inner")
    (tmp_path / "top" / "sub").mkdir()
    rule = rule_for(str(tmp_path / "top" / "sub" / "a.yaml"))
    assert rule
    assert rule.groups[0][0].name == "inner"
    monkeypatch.chdir(tmp_path / "top")
    assert rule_for("sub/a.yaml")
    with pytest.raises(InputError, match="no rule of creation_rules fits") as caught:
        rule_for("b.yaml")
    assert caught.value.file == NAME
    (tmp_path / "top" / NAME).unlink()
    (tmp_path / "top" / ".git").mkdir()
    assert rule_for("sub/a.yaml") is None


def test_a_file_in_a_folder_for_everybodys_files_counts_there_only(tmp_path: Path) -> None:
    written(tmp_path, AGE)
    (tmp_path / "sub").mkdir()
    assert rule_for(str(tmp_path / "sub" / "a.yaml"))
    tmp_path.chmod(0o1777)
    assert rule_for(str(tmp_path / "sub" / "a.yaml")) is None
    assert rule_for(str(tmp_path / "a.yaml"))


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away takes root")
def test_what_is_not_ones_own_counts_where_git_is_told_to_trust_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    top = tmp_path / "theirs"
    written(top, AGE)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    (top / "sub").mkdir()
    for path in (top, top / ".git", top / NAME):
        os.chown(path, 12345, -1)
    with pytest.raises(InputError, match="belongs to another user"):
        rule_for(str(top / "sub" / "a.yaml"))
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {top}\n")
    assert rule_for(str(top / "sub" / "a.yaml"))
    (top / NAME).unlink()
    assert rule_for(str(top / "sub" / "a.yaml")) is None


def test_of_two_policies_the_nearer_one_decides_and_in_one_folder_ours_which_is_told_once(tmp_path: Path) -> None:
    top, sub = tmp_path / "top", tmp_path / "top" / "sub"
    written(top, AGE)
    written(sub, AGE)
    ours = top / ".ksecret.yaml"
    ours.write_text(f"version: 1\nrules: [{{keys: ['age:{AGE}']}}]\n")
    told: list[str] = []
    configs = SopsConfigs(Policies(), tell=told.append)
    assert configs.rule_for_new(str(sub / "a.yaml"))
    assert configs.rule_for_new(str(top / "a.yaml")) is None
    assert configs.rule_for_new(str(top / "a1.yaml")) is None
    assert [line.count("ksecret.yaml says how files are sealed") for line in told] == [1]
    assert configs.rule_for_sealed(str(top / "a.yaml"))
    ours.rename(sub / ".ksecret.yaml")
    assert rule_for(str(sub / "a.yaml")) is None
    assert rule_for(str(top / "a.yaml"))
    (sub / ".ksecret.yaml").write_text("version: 1\nrequireSignature: true\n")
    assert rule_for(str(sub / "a.yaml"))


def test_a_policy_that_sops_config_names_counts_for_every_file_but_those_under_ours(tmp_path: Path) -> None:
    named, other = tmp_path / "named", tmp_path / "other"
    written(named, "named")
    written(other, "other")
    configs = SopsConfigs(Policies(), str(named / NAME))
    rule = configs.rule_for_new(str(named / "a.yaml"))
    assert rule
    assert rule.groups[0][0].name == "named"
    with pytest.raises(InputError, match="no rule of creation_rules fits"):
        configs.rule_for_new(str(other / "a.yaml"))
    (other / ".ksecret.yaml").write_text(f"version: 1\nrules: [{{keys: ['age:{AGE}']}}]\n")
    assert SopsConfigs(Policies(), str(named / NAME)).rule_for_new(str(other / "a.yaml")) is None
    with pytest.raises(FileError, match="SOPS_CONFIG names it, and it can't be read"):
        SopsConfigs(Policies(), str(named / "nowhere")).rule_for_new(str(other / "a.yaml"))
