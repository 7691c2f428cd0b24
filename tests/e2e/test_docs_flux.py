"""docs/flux.md: the repository that it shows, made by its own commands, opened by sops with the cluster's key."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pyrage
import pytest
import yaml

from tests.e2e.cli import MARK, Person
from tests.e2e.documents import blocks, command_blocks, run_in_order
from tests.sops_support import sops

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "docs/flux.md"
AGE_KEYGEN = f"""#!{sys.executable}
import sys, pyrage
option, path = sys.argv[1:]
if option == "-o":
    with open(path, "x") as file:
        file.write(f"# age-keygen's comment\\n{{pyrage.x25519.Identity.generate()}}\\n")
else:
    print(pyrage.x25519.Identity.from_str(open(path).read().split()[-1]).to_public())
"""
"""What of age's own program the page uses."""
DATA = ("apps/prod/db.yaml", "apps/prod/mail.env", "apps/prod/api.json")
PARTS = ("Keys", "The application", "Every day", "Rotation: both", "Rotation: the old one gone")


def opened(person: Person, identity: str, name: str) -> str:
    """What the real sops makes of a file with that identity, the MAC checked; nothing where it does not open."""
    key = (person.work.parent / identity).read_text().split()[-1]
    return sops("decrypt", person.work / name, identities=(key,)).stdout.decode()


@pytest.fixture
def repository(me: Person, tmp_path: Path) -> Person:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "age-keygen").write_text(AGE_KEYGEN)
    (programs / "kubectl").write_text("#!/bin/sh\n[ -t 0 ] || cat >/dev/null\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    me.environ |= {"PATH": f"{programs}:{me.environ['PATH']}", "EDITOR": "true"}
    me.environ |= {"SMTP_PASSWORD": f"smtp {MARK}", "API_TOKEN": f"api {MARK}"}
    for name in ("user.name", "user.email"):
        me.ok("config", "--global", name, "me@example.org", program="git")
    me.ok("init", "-q", ".", program="git")
    return me


def written(me: Person) -> None:
    """The files that the page shows, each named by its first line, its people's keys filled in."""
    cluster = pyrage.x25519.Identity.from_str((me.work.parent / "prod.agekey").read_text().split()[-1]).to_public()
    for language, text in blocks(PAGE):
        if language == "yaml":
            (name,) = re.findall(r"\A# (\S+)\n", text)
            filled = text.replace("[CLUSTER]", f"[{cluster}]").replace("[ALICE]", f"[{me.ref.removeprefix('age:')}]")
            me.write(name, filled.encode())


def test_the_pages_commands_make_a_repository_that_the_clusters_key_opens_and_rotate_it(
    repository: Person, tmp_path: Path
) -> None:
    me, steps = repository, dict(zip(PARTS, command_blocks(PAGE), strict=True))

    def does(part: str) -> None:
        folder = tmp_path / part.replace(" ", "-")
        folder.mkdir()
        for ran in run_in_order(me, [steps[part]], folder):
            assert ran.code == 0, f"$ {ran.line}\n{ran.err}"

    does("Keys")
    written(me)
    does("The application")
    does("Every day")
    before = {name: opened(me, "prod.agekey", name) for name in DATA}
    secret, mail, api = before.values()
    assert yaml.safe_load(secret)["metadata"] == {"name": "db", "namespace": "shop"}
    assert mail == f"SMTP_USER=store\nSMTP_PASSWORD=smtp {MARK}\n"
    assert json.loads(api) == {"token": f"api {MARK}"}
    assert MARK not in "".join((me.work / name).read_text() for name in me.names() if not name.startswith(".git/"))
    does("Rotation: both")
    for identity in ("prod.agekey", "prod-2.agekey"):
        assert opened(me, identity, DATA[1]) == mail
    does("Rotation: the old one gone")
    assert {name: opened(me, "prod-2.agekey", name) for name in DATA} == before
    assert opened(me, "prod.agekey", DATA[1]) == ""
    assert me.ok("status", "--porcelain", program="git").out == b""
