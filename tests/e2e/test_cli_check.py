"""`ksecret check` as users meet it: output, exit codes, the Git index, speed, and that it needs no key."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import jsonschema
import pytest

from benchmarks import check as benchmark
from secretsvc.cli.verbs.check import _content as content_of
from secretsvc.errors import FileError
from secretsvc.operations.findings import RULES
from tests.e2e.cli import CONFIG_MAP, MANIFEST, NOT_YAML, Person, Ran
from tests.e2e.test_start import HEAVY, modules_after

if TYPE_CHECKING:
    from pathlib import Path

CLEAR = re.compile(r"(?m)^(.*):(\d+): KS001 prod/db is not sealed; in the clear: (.*)$")
ODD = b"odd \xff\n\x1b[31m\xc3\xbc:#?%.yaml"


@pytest.fixture
def nobody(tmp_path: Path) -> Person:
    """Somebody who holds no key."""
    return Person(tmp_path, "nobody", identity=False)


def checks(person: Person, code: int, *words: str | bytes, stdin: bytes = b"", **environ: str) -> Ran:
    """A run that ends with that code, and a summary; MARK is neither in its output nor in its errors."""
    ran = person.run("check", *words, stdin=stdin, **environ)
    assert ran.code == code, ran.err
    assert b"n0t-public" not in ran.out
    assert re.search(r"(?m)^ksecret: \d+ checked, \d+ findings?, \d+ allowed, \d+ failed$", ran.err)
    return ran


def git(person: Person, *words: str | bytes) -> bytes:
    return subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words],
        cwd=person.work,
        env=person.environ,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


def test_findings_on_standard_output_and_the_count_on_standard_error(me: Person, nobody: Person) -> None:
    me.write_sealed("sealed.yaml")
    me.write("deep/clear.yaml")
    me.write("deep/config.yaml", CONFIG_MAP)
    me.write("notes.txt")
    ran = checks(nobody, 1)
    names = 'data["username"], data["password"], stringData["url"]'
    assert ran.out.decode() == f"deep/clear.yaml:9: KS001 prod/db is not sealed; in the clear: {names}\n"
    assert ran.err == "ksecret: 3 checked, 1 finding, 0 allowed, 0 failed\n"
    assert checks(nobody, 0, "sealed.yaml").out == b""
    assert checks(nobody, 1, "notes.txt").out.startswith(b"notes.txt:9: KS001 "), "it was named"


@pytest.mark.parametrize("name", ["db.YAML", "db.Yml", "DB.JSON", "deep/DB.yAML"])
def test_a_suffix_in_capitals_is_one_too(nobody: Person, name: str) -> None:
    """`kubectl apply -f FOLDER` takes others by their names in small letters only, but `-f FILE` takes any."""
    nobody.write(name)
    assert checks(nobody, 1).out.startswith(name.encode() + b":9: KS001 ")
    git(nobody, "init", "-q")
    git(nobody, "add", name)
    assert checks(nobody, 1, "--staged").out.startswith(name.encode() + b":9: KS001 ")


def test_standard_input(nobody: Person) -> None:
    assert checks(nobody, 1, "-", stdin=MANIFEST).out.startswith(b"standard input:9: KS001 ")
    assert checks(nobody, 0, "-", stdin=CONFIG_MAP).out == b""


def test_a_file_that_does_not_parse_is_a_finding(nobody: Person) -> None:
    nobody.write("broken.yaml", NOT_YAML)
    assert re.match(rb"broken\.yaml:6: KS010 .*not valid YAML", checks(nobody, 1).out)


def test_json_is_one_object_a_line(nobody: Person) -> None:
    nobody.write("a.yaml", MANIFEST + b"---\n" + MANIFEST)
    nobody.write(os.fsdecode(ODD))
    found = [json.loads(line) for line in checks(nobody, 1, "--json").out.splitlines()]
    assert [(one["line"], one["code"], one["rule"]) for one in found] == [
        (9, "KS001", "plaintext-secret"),
        (23, "KS001", "plaintext-secret"),
        (9, "KS001", "plaintext-secret"),
    ]
    assert [os.fsencode(one["file"]) for one in found] == [b"a.yaml", b"a.yaml", ODD]


SARIF: dict[
    str, Any
] = {  # what the standard's sections 3.13, 3.14, 3.18, 3.19, 3.27, 3.28, 3.30, 3.49 and 3.51 require
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "pattern": "sarif-schema-2.1.0.json$"},
        "version": {"const": "2.1.0"},
        "runs": {
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "invocations": {"items": {"required": ["executionSuccessful"]}},
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "uniqueItems": True,
                                        "items": {
                                            "required": ["id", "shortDescription", "help"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "name": {"type": "string", "pattern": "^[A-Za-z]+$"},
                                                "shortDescription": {"$ref": "#/definitions/message"},
                                                "fullDescription": {"$ref": "#/definitions/message"},
                                                "help": {"$ref": "#/definitions/message"},
                                                "defaultConfiguration": {
                                                    "properties": {"level": {"$ref": "#/definitions/level"}}
                                                },
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "required": ["message", "ruleId", "ruleIndex", "level", "locations"],
                            "properties": {
                                "message": {"$ref": "#/definitions/message"},
                                "level": {"$ref": "#/definitions/level"},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "locations": {
                                    "minItems": 1,
                                    "items": {
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation", "region"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "required": ["uri"],
                                                        "properties": {
                                                            "uri": {"pattern": r"^(file:///)?[A-Za-z0-9%._~/-]+$"}
                                                        },
                                                    },
                                                    "region": {"properties": {"startLine": {"minimum": 1}}},
                                                },
                                            }
                                        }
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
    "definitions": {
        "message": {"required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
        "level": {"enum": ["none", "note", "warning", "error"]},
    },
}


def test_sarif_holds_what_the_standard_requires(nobody: Person) -> None:
    nobody.write("a.yaml", MANIFEST)
    nobody.write(os.fsdecode(ODD))
    nobody.write("utf16.yaml", MANIFEST.decode().encode("utf-16"))
    log = json.loads(checks(nobody, 1, "--sarif", ".", str(nobody.work / "a.yaml")).out)
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    assert run["invocations"] == [{"executionSuccessful": True}]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    places = []
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert ("uriBaseId" in place["artifactLocation"]) != place["artifactLocation"]["uri"].startswith("file:")
        places.append(
            (unquote(place["artifactLocation"]["uri"], errors="surrogateescape"), place["region"]["startLine"])
        )
    assert places == [
        ("a.yaml", 9),
        (os.fsdecode(ODD), 9),
        ("utf16.yaml", 1),
        (f"file://{nobody.work / 'a.yaml'}", 9),
    ]


def test_sarif_is_a_log_where_nothing_is_found_too(nobody: Person) -> None:
    nobody.write("a.yaml", CONFIG_MAP)
    log = json.loads(checks(nobody, 0, "--sarif").out)
    jsonschema.validate(log, SARIF)
    assert log["runs"][0]["results"] == []


def test_two_forms_at_once_are_refused(nobody: Person) -> None:
    assert "choose one" in nobody.fails(2, "check", "--json", "--sarif")


def test_folders_are_walked_with_r_as_without(me: Person) -> None:
    me.write("deploy/clear.yaml")
    assert checks(me, 1, "-r", "deploy").out == checks(me, 1, "deploy").out != b""


def test_what_cant_be_checked_is_an_error_beside_the_findings(me: Person) -> None:
    me.write_sealed("a.yaml")
    me.write_sealed("b.yaml")
    me.write("clear.yaml")
    me.write(".ksecret.yaml", b"version: 1\nruls: []\n")
    ran = checks(me, 3)
    assert ran.err.count("ksecret: .ksecret.yaml:2: a policy has an unknown key `ruls`\n") == 1
    assert ran.err.endswith("ksecret: 1 checked, 1 finding, 0 allowed, 3 failed\n")
    assert CLEAR.search(ran.out.decode())
    assert json.loads(checks(me, 3, "--sarif").out)["runs"][0]["invocations"] == [{"executionSuccessful": False}]
    assert "gone.yaml: can't be read" in checks(me, 7, "gone.yaml", "clear.yaml").err


def test_a_broken_policy_is_told_where_nothing_is_sealed_yet(nobody: Person) -> None:
    nobody.write("deep/.ksecret.yaml", b"version: 1\nruls: []\n")
    assert "deep/.ksecret.yaml:2: " in checks(nobody, 3).err


def test_the_policy_is_held_against_what_is_sealed(me: Person) -> None:
    me.write_sealed("prod/a.yaml")
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{path: prod/, keys: ['{me.ref}']}}]\n".encode())
    checks(me, 0)
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{path: prod/, keys: ['{me.ref}', 'pgp:{'A' * 40}']}}]\n".encode())
    assert f"differs from .ksecret.yaml: not sealed to pgp:{'A' * 40}\n" in checks(me, 1).out.decode()
    old = re.sub(rb'created: ".*"', b'created: "2020-01-01T00:00:00Z"', (me.work / "prod/a.yaml").read_bytes())
    me.write("prod/a.yaml", old)
    me.write(".ksecret.yaml", b"version: 1\nrotation: {maxAge: 90d}\n")
    assert re.search(rb"KS009 .* is \d{4} days old, and \.ksecret\.yaml allows 90\n", checks(me, 1).out)


def test_names_show_no_control_sequences(nobody: Person) -> None:
    nobody.write(os.fsdecode(ODD))
    assert checks(nobody, 1).out.startswith("odd ???[31mü:#?%.yaml:9: KS001".encode())


def test_what_git_ignores_and_what_a_comment_allows(nobody: Person) -> None:
    nobody.write("fixture.yaml", MANIFEST.replace(b"a comment", b"ksecret:allow made up"))
    nobody.write("local/clear.yaml")
    assert "1 allowed, 0 failed" in checks(nobody, 1, ".").err
    nobody.write(".gitignore", b"local/\n")
    git(nobody, "init", "-q")
    ran = checks(nobody, 0, ".")
    assert (ran.out, ran.err) == (b"", "ksecret: 1 checked, 0 findings, 1 allowed, 0 failed\n")


def test_the_index_is_checked_and_not_the_work_tree(me: Person) -> None:
    git(me, "init", "-q")
    me.write("a.yaml")
    git(me, "add", ".")
    me.run("encrypt", "-i", "a.yaml")
    checks(me, 0)
    assert CLEAR.findall(checks(me, 1, "--staged").out.decode())[0][:2] == ("a.yaml", "9")
    git(me, "add", ".")
    me.write("a.yaml")
    checks(me, 0, "--staged")
    (me.work / "a.yaml").unlink()
    checks(me, 0, "--staged")
    git(me, "commit", "-qm", "x")
    ran = checks(me, 0, "--staged")
    assert ran.err.startswith("ksecret: 0 checked"), "what HEAD has is not looked at again"


@pytest.mark.parametrize("staged", [False, True])
def test_age_identities_are_found_in_files_of_every_name(me: Person, nobody: Person, *, staged: bool) -> None:
    git(nobody, "init", "-q")
    identity = me.identity.encode()
    nobody.write("backup/age.key", b"# created: today\n# public key\n" + identity + b"\n")
    nobody.write("ci.yaml", b"env:\n  KSECRET_AGE_KEY: " + identity + b"\n")
    nobody.write("db.yaml", MANIFEST + b"# " + identity + b"\n")
    nobody.write("binary", b"\0\xff\n" + identity)
    nobody.write("README.md", b"export KSECRET_AGE_KEY=AGE-SECRET-KEY-1QQQ...\n" + MANIFEST)
    nobody.write("tests.py", b"# ksecret:allow a key for tests\nKEY = '" + identity + b"'\n")
    nobody.write("large", b"\n" * (1 << 20) + identity)
    git(nobody, "add", ".")
    ran = checks(nobody, 1, *(["--staged"] if staged else []))
    said = "KS013 an age identity (a private key) stands here in the clear"
    secret = 'KS001 prod/db is not sealed; in the clear: data["username"], data["password"], stringData["url"]'
    assert sorted(ran.out.decode().splitlines()) == [
        f"backup/age.key:3: {said}",
        f"binary:2: {said}",
        f"ci.yaml:2: {said}",
        f"db.yaml:14: {said}",
        f"db.yaml:9: {secret}",
    ]
    assert ran.err == "ksecret: 5 checked, 5 findings, 1 allowed, 0 failed\n"


def test_only_what_may_be_a_manifest_must_be_readable(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert content_of(gone, manifest=False) is None
    with pytest.raises(FileError, match="can't be read"):
        content_of(gone, manifest=True)


def test_names_of_every_kind_in_the_index(nobody: Person) -> None:
    git(nobody, "init", "-q")
    names = [ODD, b"-r.yaml", b"sp ace.yml", b"q\"uo'te.json", b"*.yaml", b":(top)x.yaml", b"deep/er/\n.yaml"]
    for name in names:
        nobody.write(os.fsdecode(name), MANIFEST + name.hex().encode().join((b"# ", b"\n")))
    nobody.write("other.txt")
    git(nobody, "add", ".")
    found = [json.loads(line) for line in checks(nobody, 1, "--staged", "--json").out.splitlines()]
    assert sorted(os.fsencode(one["file"]) for one in found) == sorted(names)
    for name in names:
        (one,) = [json.loads(line) for line in checks(nobody, 1, "--staged", "--json", "--", name).out.splitlines()]
        assert os.fsencode(one["file"]) == name
    assert len(checks(nobody, 1, "--staged", "deep").out.splitlines()) == 1


def test_deleted_renamed_and_changed_files_in_the_index(nobody: Person) -> None:
    git(nobody, "init", "-q")
    for name in ("deleted.yaml", "renamed.yaml", "changed.yaml", "same.yaml", "link.yaml"):
        nobody.write(name, CONFIG_MAP if name == "changed.yaml" else MANIFEST + name.encode().join((b"# ", b"\n")))
    git(nobody, "add", ".")
    git(nobody, "commit", "-qm", "x")
    git(nobody, "rm", "-q", "deleted.yaml")
    git(nobody, "mv", "renamed.yaml", "new.yaml")
    nobody.write("changed.yaml")
    (nobody.work / "link.yaml").unlink()
    (nobody.work / "link.yaml").symlink_to("same.yaml")
    nobody.write("intended.yaml")
    git(nobody, "add", "changed.yaml", "link.yaml")
    git(nobody, "add", "--intent-to-add", "intended.yaml")
    found = CLEAR.findall(checks(nobody, 1, "--staged").out.decode())
    assert [name for name, _, _ in found] == ["changed.yaml", "new.yaml"]


def test_what_a_link_in_the_index_leads_to_is_checked_by_its_name(nobody: Person) -> None:
    """`kubectl -f FOLDER` reads it, whatever it is called; the work tree has nothing to say about it."""
    git(nobody, "init", "-q")
    (nobody.work / "a.yaml").symlink_to("b")
    (nobody.work / "b").symlink_to("s.txt")
    nobody.write("s.txt", CONFIG_MAP)
    git(nobody, "add", ".")
    git(nobody, "commit", "-qm", "x")
    nobody.write("s.txt", MANIFEST)
    git(nobody, "add", ".")
    nobody.write("s.txt", CONFIG_MAP)
    (nobody.work / "a.yaml").unlink()
    assert [name for name, _, _ in CLEAR.findall(checks(nobody, 1, "--staged").out.decode())] == ["a.yaml"]
    git(nobody, "commit", "-qm", "x")
    (nobody.work / "b").unlink()
    (nobody.work / "b").symlink_to("/s.txt")
    git(nobody, "add", "b")
    assert checks(nobody, 0, "--staged").out == b""
    (nobody.work / "b").unlink()
    (nobody.work / "b").symlink_to("s.txt")
    git(nobody, "add", "b", "s.txt")
    git(nobody, "commit", "-qm", "x")
    nobody.write("t.txt", MANIFEST)
    (nobody.work / "b").unlink()
    (nobody.work / "b").symlink_to("t.txt")
    git(nobody, "add", "b", "t.txt")
    assert [name for name, _, _ in CLEAR.findall(checks(nobody, 1, "--staged").out.decode())] == ["a.yaml"]


def test_submodules_in_the_index_are_passed_over(nobody: Person) -> None:
    git(nobody, "init", "-q", "inner.yaml")
    nobody.write("inner.yaml/a.yaml")
    git(nobody, "-C", "inner.yaml", "add", ".")
    git(nobody, "-C", "inner.yaml", "commit", "-qm", "x")
    git(nobody, "init", "-q")
    git(nobody, "-c", "advice.addEmbeddedRepo=false", "add", "inner.yaml")
    assert git(nobody, "diff", "--cached", "--raw").startswith(b":000000 160000")
    assert checks(nobody, 0, "--staged").err.startswith("ksecret: 0 checked")


def test_settings_and_subfolders_do_not_change_what_is_staged(nobody: Person) -> None:
    git(nobody, "init", "-q")
    nobody.write("deep/a.yaml")
    nobody.write("b.yaml", MANIFEST + b"# b\n")
    git(nobody, "add", ".")
    for setting in ("diff.relative=true", "diff.noprefix=true", "color.ui=always", "core.quotePath=true"):
        git(nobody, "config", *setting.split("="))
    nobody.work = nobody.work / "deep"
    for environ in ({}, {"GIT_LITERAL_PATHSPECS": "1"}, {"GIT_EXTERNAL_DIFF": "false"}):
        found = CLEAR.findall(checks(nobody, 1, "--staged", **environ).out.decode())
        assert [name for name, _, _ in found] == ["../b.yaml", "a.yaml"]
    assert len(checks(nobody, 1, "--staged", ".").out.splitlines()) == 1


def test_policies_come_from_the_index_too(me: Person) -> None:
    git(me, "init", "-q")
    me.write_sealed("deep/a.yaml")
    fitting, other = (
        f"version: 1\nrules: [{{path: /deep/, keys: ['{key}']}}]\n" for key in (me.ref, f"pgp:{'A' * 40}")
    )
    me.write(".ksecret.yaml", fitting.encode())
    git(me, "add", ".")
    me.write(".ksecret.yaml", other.encode())
    me.write("deep/.ksecret.yaml", other.replace("path: /deep/, ", "").encode())
    checks(me, 0, "--staged")
    checks(me, 1)
    git(me, "commit", "-qm", "x")
    git(me, "add", ".ksecret.yaml")
    me.write("deep/a.yaml", (me.work / "deep/a.yaml").read_bytes() + b"# c\n")
    git(me, "add", "deep/a.yaml")
    me.write(".ksecret.yaml", fitting.encode())
    for folder in (me.work, me.work / "deep"):
        me.work = folder
        ran = checks(me, 1, "--staged", ".")
        assert b"KS008" in ran.out
        assert b".ksecret.yaml" in ran.out
    git(me, "rm", "-qf", "--cached", "../.ksecret.yaml")
    checks(me, 0, "--staged")


def test_a_hook_runs_with_the_index_of_its_commit(me: Person) -> None:
    """`git commit FILE` makes an index of its own, which GIT_INDEX_FILE names."""
    git(me, "init", "-q")
    hook = me.write(".git/hooks/pre-commit", b"#!/bin/sh\nexec ksecret check --staged\n")
    hook.chmod(0o755)
    me.write_sealed("a.yaml")
    git(me, "add", ".")
    git(me, "commit", "-qm", "sealed")
    me.write("a.yaml")
    with pytest.raises(subprocess.CalledProcessError, match="returned non-zero exit status 1"):
        git(me, "commit", "-qm", "clear", "a.yaml")
    assert git(me, "log", "--format=%s") == b"sealed\n"


def test_outside_of_a_repository_and_without_git(nobody: Person) -> None:
    assert "--staged needs a Git repository" in nobody.fails(2, "check", "--staged")
    git(nobody, "init", "-q")
    assert "git can't be started" in nobody.fails(7, "check", "--staged", PATH=os.devnull)


def test_check_imports_no_cryptography_and_no_sdk(me: Person) -> None:
    me.write_sealed("a.yaml")
    me.write("b.yaml")
    me.write("c.json", b'{"kind": "Secret", "apiVersion": "v1", "data": {"a": "eA=="}}')
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{path: '*', keys: ['{me.ref}']}}]\n".encode())
    git(me, "init", "-q")
    git(me, "add", ".")
    for option in ("--json", "--sarif", "--staged"):
        words = ["check", option, *([] if option == "--staged" else [str(me.work)])]
        code = (
            f"import os; from secretsvc.cli.main import main\nos.chdir({str(me.work)!r})\nassert main({words!r}) == 1"
        )
        loaded = modules_after(code)
        assert "secretsvc.operations.check" in loaded
        assert not loaded & (HEAVY | {"cryptography", "pyrage", "_cffi_backend", "secretsvc.formats.ksecret.crypto"})
        offline = {"secretsvc.backends", "secretsvc.backends.base", "secretsvc.backends.age"}
        assert {name for name in loaded if name.startswith("secretsvc.backends")} <= offline


@pytest.mark.alone
def test_the_bar_for_five_thousand_files_holds() -> None:
    assert any(benchmark.main(slack=1.5) == 0 for _ in range(2)), "missed twice"


def test_every_rule_is_documented() -> None:
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "policy.md"), encoding="utf-8") as stream:
        documented = dict(re.findall(r"(?m)^\| (KS\d+) \| ([a-z-]+) \|", stream.read()))
    assert documented == {rule.code: rule.name for rule in RULES.values()}
