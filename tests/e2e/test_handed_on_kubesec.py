"""Files in kubesec's format, opened for other programs: by exec, apply, the generator for kustomize, and as JSON."""

from __future__ import annotations

import json
import os
import stat
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import BIN, Person
from tests.integration.gpg_home import GpgHome

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "data" / "kubesec"
PASSWORD = b"rootpassword"


@pytest.fixture(scope="module")
def home() -> Iterator[GpgHome]:
    home = GpgHome()
    home.gpg("--import", data=(FOLDER / "pgp-secret-keys.asc").read_bytes())
    yield home
    home.close()


@pytest.fixture
def me(tmp_path: Path, home: GpgHome) -> Person:
    """Somebody who has kubesec's key and a file of kubesec's."""
    me = Person(tmp_path)
    me.environ["GNUPGHOME"] = home.path
    me.write("a.yaml", (FOLDER / "opaque.rsa.enc.yaml").read_bytes())
    return me


def test_exec_runs_and_says_nothing(me: Person) -> None:
    assert me.ok("exec", "a.yaml", "--", "printenv", "password") == (0, PASSWORD + b"\n", "")


def test_apply_hands_it_on_and_says_that_it_is_not_bound(me: Person) -> None:
    program = me.home / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    ran = me.ok("apply", "a.yaml", PATH=os.pathsep.join((str(program.parent), me.environ["PATH"])))
    assert b"password: cm9vdHBhc3N3b3Jk\n" in ran.out
    assert b"kubesec" not in ran.out
    assert ran.err.count("kubesec's format, which binds no Secret") == 1


def test_the_generator_takes_it(me: Person) -> None:
    config = me.write("config.yaml", b"apiVersion: ksecret.dev/v1alpha1\nkind: KsecretGenerator\nfiles: [a.yaml]\n")
    ran = me.ok(str(config), program=os.path.join(BIN, "ksecret-krm"))
    assert b64decode(json.loads(ran.out)["data"]["password"]) == PASSWORD
    assert ran.err.count("kubesec's format, which binds no Secret") == 1


def test_json_takes_it_from_a_folder(me: Person) -> None:
    ran = me.ok("decrypt", "--output-format=json", "-r", ".")
    assert b64decode(json.loads(ran.out)["data"]["password"]) == PASSWORD
    assert ran.err.count("kubesec's format, which binds no Secret") == 1
