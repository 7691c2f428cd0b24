"""A policy of SOPS's and one of ksecret's say the same of the same files, or what can't be carried is told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.main import main
from secretsvc.errors import InputError
from secretsvc.files.globs import parse
from secretsvc.go_regexp import GoRegexp
from secretsvc.keyref import Principal
from secretsvc.policy import conversion, reader, sops_yaml
from secretsvc.policy.path_patterns import globs_of, regexp_of

if TYPE_CHECKING:
    from pathlib import Path

AGE = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun"
ARN = "arn:aws:kms:eu-west-1:111122223333:alias/prod"
ROLE = "arn:aws:iam::111122223333:role/Sealer"
PGP = "0123456789ABCDEF0123456789ABCDEF01234567"
_names = random.Random(7)
WORDS = ("prod", "dev", "a", "b.yaml", "x.enc.yaml", "x.enc.yml", "secrets", "nonprod", ".env", "Prod", "a[1]", "prods")
PATHS = ["/".join(_names.choices(WORDS, k=_names.randint(1, 4))) for _ in range(600)]
"""In folders of any name, some of them that of a file."""


def is_plain(path: str) -> bool:
    """Whether no folder is called as a file is, in which a pattern for files would fit."""
    return not any("." in folder for folder in path.split("/")[:-1])


@pytest.mark.parametrize(
    "regexp",
    [
        r"\.enc\.yaml$",
        r"^prod/",
        "prod/",
        r"prod/.*\.yaml$",
        r"^prod/.*\.ya?ml$",
        r"^(dev|prod)/.*",
        r"^prod",
        r".*/secrets/.*",
        r"^a/[^/]*\.enc\.ya?ml$",
        r"s.*d/.*x\.(enc\.yaml|env)$",
        ".*.yaml$",
        ".*",
        r"secrets/[^/]+\.yaml$",
        r"a\[1\]",
        r"^dev/a/b\.yaml$",
    ],
)
def test_a_pattern_becomes_such_as_fit_the_same_files(regexp: str) -> None:
    go, globs = GoRegexp(regexp), [parse(glob) for glob in globs_of(regexp)]
    for path in filter(is_plain, PATHS):
        assert go.finds(path.encode()) == any(glob and glob.fits(path, inside=True) for glob in globs), path


@pytest.mark.parametrize(
    "glob",
    ["*.yaml", "prod/**", "/prod", "prod", "prod/", "**/secrets/*.env", "a[[]1]", "?.yaml", "**", "[!a-m]*.yml", "a/*"],
)
def test_a_gitignore_style_pattern_becomes_one_of_gos_that_fits_the_same_files(glob: str) -> None:
    parsed = parse(glob)
    assert parsed
    go = GoRegexp(regexp_of(parsed))
    for path in PATHS:
        assert go.finds(path.encode()) == parsed.fits(path, inside=True), path


@pytest.mark.parametrize("regexp", ["(?i)prod", "a{2}", "^(a|b", "[ab]c", "a+", "a|b", "(a.*|b)", r"\bx", "//"])
def test_a_pattern_without_a_like_is_refused(regexp: str) -> None:
    with pytest.raises(InputError, match="no like among gitignore's patterns"):
        globs_of(regexp)


def test_what_can_be_carried_is_the_same_there_and_back() -> None:
    told: list[tuple[int, str]] = []

    def tell(line: int, what: str) -> None:
        told.append((line, what))

    theirs = f"""\
creation_rules:
  - path_regex: ^prod/
    encrypted_regex: ^(data|stringData)$
    key_groups: [{{age: [{AGE}], kms: [{{arn: '{ARN}', aws_profile: prod, role: '{ROLE}'}}]}}]
  - path_regex: \\.ya?ml$
    encrypted_regex: ^(data|stringData)$
    pgp: {PGP}
"""
    ours = conversion.to_ours(theirs.encode(), ".sops.yaml", tell)
    content = reader.read(ours.encode(), ".ksecret.yaml")
    assert [rule.keys for rule in content.rules] == [(f"age:{AGE}", f"aws:{ARN}"), (f"pgp:{PGP}",), (f"pgp:{PGP}",)]
    assert content.principals == {f"aws:{ARN}": Principal("prod", ROLE)}
    first = sops_yaml.read(theirs.encode(), ".sops.yaml", "/r")
    again = sops_yaml.read(conversion.to_sops(ours.encode(), ".ksecret.yaml", tell).encode(), ".sops.yaml", "/r")
    for path in filter(is_plain, PATHS):
        try:
            wanted = first.rule_for(f"/r/{path}")
        except InputError:
            with pytest.raises(InputError, match="no rule of creation_rules fits"):
                again.rule_for(f"/r/{path}")
            continue
        made = again.rule_for(f"/r/{path}")
        assert wanted
        assert made
        assert [key.identity for key in made.groups[0]] == [key.identity for key in wanted.groups[0]]
        assert made.selection == wanted.selection
    assert not told


THEIRS = {
    "different roles": f"{{kms: '{ARN}+{ROLE},{ARN}'}}",
    "of a kind": "{hckms: ['region:1']}",
    "without keys": "{encrypted_regex: a}",
}


@pytest.mark.parametrize("what", THEIRS)
def test_what_would_have_others_open_files_is_an_error(what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        conversion.to_ours(f"creation_rules:\n- {THEIRS[what]}\n".encode(), ".sops.yaml", lambda *_: None)
    assert (caught.value.file, caught.value.line) == (".sops.yaml", 2)


def test_groups_of_keys_are_the_same_there_and_back() -> None:
    listed = f"[{{age: [{AGE}], pgp: [{PGP}]}}, {{pgp: [{PGP}]}}, {{age: [{AGE}]}}]"
    rules = f"creation_rules:\n- {{path_regex: ^prod/, shamir_threshold: 2, key_groups: {listed}}}\n"
    ours = conversion.to_ours(rules.encode(), ".sops.yaml", lambda *_: None)
    (rule,) = reader.read(ours.encode(), ".ksecret.yaml").rules
    assert rule.groups == ((f"age:{AGE}", f"pgp:{PGP}"), (f"pgp:{PGP}",), (f"age:{AGE}",))
    assert rule.threshold == 2
    again = conversion.to_sops(ours.encode(), ".ksecret.yaml", lambda *_: None)
    wanted, made = (sops_yaml.read(text.encode(), ".sops.yaml", "/r").rule_for("/r/prod/a") for text in (rules, again))
    assert wanted
    assert made
    assert made.threshold == wanted.threshold
    identities = [[sorted(key.identity for key in group) for group in one.groups] for one in (made, wanted)]
    assert identities[0] == identities[1]


def test_a_rule_by_name_is_none_of_sopss() -> None:
    data = f"version: 1\nrules:\n- {{name: db, keys: ['age:{AGE}']}}\n".encode()
    with pytest.raises(InputError, match="SOPS's rules go by the file's path alone"):
        conversion.to_sops(data, ".ksecret.yaml", lambda *_: None)


def test_what_is_left_out_is_told_with_its_line_and_no_policy_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".sops.yaml").write_text(f"creation_rules:\n- {{age: {AGE}, mac_only_encrypted: true}}\n")
    assert main(["convert", "--policy", ".sops.yaml"]) == 0
    told = capsys.readouterr()
    assert reader.read(told.out.encode(), "x").rules[0].keys == (f"age:{AGE}",)
    assert ".sops.yaml:2: left out: unencrypted_suffix" in told.err
    assert ".sops.yaml:2: left out: mac_only_encrypted" in told.err
    assert main(["convert", "--policy", "-o", ".ksecret.yaml", ".sops.yaml"]) == 0
    assert main(["convert", "--policy", "-o", ".sops.yaml", ".ksecret.yaml"]) == 7
    assert main(["convert", "--policy", "-r", "."]) == 2
    with (tmp_path / ".ksecret.yaml").open("a") as policy:
        policy.write("rotation: {maxAge: 90d}\nrequireSignature: true\ndataKey: fresh\n")
    capsys.readouterr()
    assert main(["convert", "--policy", ".ksecret.yaml"]) == 0
    told = capsys.readouterr()
    assert sops_yaml.read(told.out.encode(), "x", "/").rules
    for word in ("rotation.maxAge", "requireSignature", "dataKey"):
        assert f".ksecret.yaml:1: left out: {word}" in told.err
