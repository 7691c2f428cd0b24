"""Terraform with ksecret: the data source of examples/terraform, and the ephemeral variable of docs/terraform.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cli import MARK, PASSWORD, USER, Person
from tests.e2e.documents import ROOT, blocks
from tests.e2e.kubernetes import tool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli import Ran

EXAMPLE = ROOT / "examples" / "terraform"
ODD = f"""apiVersion: v1
kind: Secret
metadata: {{name: odd}}
data: {{bin: /wAB}}
stringData: {{nfd: "e\\u0301{MARK}"}}
"""
QUIET = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull}
USES = """
resource "terraform_data" "db" {
  lifecycle {
    precondition {
      condition     = strcontains(var.password, "password")
      error_message = "another password"
    }
  }
}
"""


@pytest.fixture
def module(me: Person) -> Path:
    """The example's folder, with a Secret to open."""
    shutil.copytree(EXAMPLE, me.work, dirs_exist_ok=True)
    me.write_sealed("secrets/db.yaml")
    return me.work


def asked(me: Person, query: dict[str, Any] | str, **environ: str) -> Ran:
    """What the data source's program does, called as main.tf calls it."""
    stdin = query if isinstance(query, str) else json.dumps(query)
    return me.run("-I", "ksecret-external", program="python3", stdin=stdin.encode(), **environ)


def test_a_query_is_answered_by_a_flat_object_of_strings(me: Person, module: Path) -> None:
    ran = asked(me, {"file": "secrets/db.yaml", "only": "username,password"})
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == {"username": USER, "password": PASSWORD}


def test_what_no_text_of_terraforms_can_hold_comes_as_base64_where_that_is_asked_for(me: Person, module: Path) -> None:
    """Terraform makes é of e and a combining accent, in silence."""
    me.write_sealed("odd.yaml", ODD.encode() + b"---\n" + ODD.replace("name: odd", "name: other").encode())
    kept = "is no text that Terraform keeps as it is"
    for query, told in (
        ({"only": "nfd"}, f"nfd {kept}"),
        ({"only": "bin"}, f"bin {kept}"),
        ({"name": ""}, "0 Secrets"),
    ):
        ran = asked(me, {"file": "odd.yaml", "name": "odd"} | query)
        assert (ran.code, ran.out, told in ran.err) == (1, b"", True), ran.err
    found = json.loads(asked(me, {"file": "odd.yaml", "name": "odd", "encoding": "base64"}).out)
    assert found == {"bin": "/wAB", "nfd": "ZcyB" + "bjB0LXB1YmxpYw=="}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"file": "../db.yaml"}, "has to be a path to a file in"),
        ({"file": "secrets/../../db.yaml"}, "has to be a path to a file in"),
        ({"file": "/etc/passwd"}, "has to be a path to a file in"),
        ({"file": "link.yaml"}, "has to be a path to a file in"),
        ({"file": "a\0b"}, "has to be a path to a file in"),
        ({"file": ""}, "has to be a path to a file in"),
        ({"file": "."}, "has to be a path to a file in"),
        ({}, "has to be a path to a file in"),
        ({"file": "secrets/db.yaml", "command": "x"}, "the query has 'command'"),
        ({"file": "secrets/db.yaml", "encoding": "hex"}, "encoding is text or base64"),
        ({"file": ["secrets/db.yaml"]}, "no JSON object of strings"),
        ("[" * 60_000, "no JSON object of strings"),
        ('{"file": "' + "x" * 70_000 + '"}', "no JSON object of strings"),
        ("", "no JSON object of strings"),
    ],
    ids=lambda value: "",
)
def test_a_hostile_query_is_refused(me: Person, module: Path, query: dict[str, Any] | str, said: str) -> None:
    outside = me.write_sealed("../db.yaml")
    (module / "link.yaml").symlink_to(outside)
    ran = asked(me, query)
    assert (ran.code, ran.out) == (1, b"")
    assert said in ran.err
    assert len(ran.err) < 1000


def test_a_path_is_no_option_and_no_standard_input(me: Person, module: Path) -> None:
    for name in ("-i", "-"):
        shutil.copy(module / "secrets" / "db.yaml", module / name)
        assert json.loads(asked(me, {"file": name, "only": "password"}).out) == {"password": PASSWORD}


def test_what_ksecret_says_reaches_terraform(me: Person, module: Path) -> None:
    ran = asked(me, {"file": "secrets/db.yaml", "only": "passwort"})
    assert (ran.code, ran.err) == (
        1,
        "ksecret-external: the Secret has no 'passwort'; it has username, password, url\n",
    )
    (module / "secrets" / "db.yaml").unlink()
    ran = asked(me, {"file": "secrets/db.yaml"})
    assert (ran.code, ran.out) == (1, b"")
    assert "secrets/db.yaml: can't be read" in ran.err


def test_terraform_gets_the_values_by_its_real_provider(me: Person, module: Path) -> None:
    terraform = tool("terraform", "install Terraform")
    provider = tool("terraform-provider-external", "build it from its source")
    override = (
        f'provider_installation {{\n dev_overrides {{ "hashicorp/external" = "{os.path.dirname(provider)}" }}\n}}\n'
    )
    quiet = QUIET | {"TF_CLI_CONFIG_FILE": str(me.write("../terraformrc", override.encode()))}
    me.ok("apply", "-auto-approve", "-no-color", program=terraform, **quiet)
    assert me.ok("output", "-raw", "password", program=terraform, **quiet).out.decode() == PASSWORD
    assert PASSWORD in (module / "terraform.tfstate").read_text(), "as docs/terraform.md says"
    (module / "secrets" / "db.yaml").write_bytes(b"kind: Secret\n")
    ran = me.run("plan", "-no-color", program=terraform, **quiet)
    assert (ran.code, "secrets/db.yaml" in ran.err) == (1, True)


def test_an_ephemeral_variable_is_neither_in_state_nor_in_plan(me: Person) -> None:
    """The page's variable and its command line, with a resource that needs no provider."""
    terraform = tool("terraform", "install Terraform")
    page = dict.fromkeys(text for language, text in blocks("docs/terraform.md") if language in ("hcl", "console"))
    (declared,) = (found[0] for text in page if (found := re.findall(r'(?ms)^variable "password" \{.*?^\}\n', text)))
    (typed,) = (text for text in page if text.startswith("$ ksecret exec"))
    words = typed.removeprefix("$ ksecret ").replace("terraform apply", terraform).split()
    me.write("main.tf", (declared + USES).encode())
    me.write_sealed("secrets/db.yaml")
    me.ok(*words, "plan", "-no-color", "-out", "saved", **QUIET)
    me.ok(*words, "apply", "-no-color", "saved", **QUIET)
    with zipfile.ZipFile(me.work / "saved") as saved:
        kept = [saved.read(name) for name in saved.namelist()] + [(me.work / "terraform.tfstate").read_bytes()]
    assert b"terraform_data" in kept[-1]
    assert not [one for one in kept if MARK.encode() in one]
