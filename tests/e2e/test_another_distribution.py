"""A kind of keys from another distribution (tests/toy, installed as any is) is as much at home as ours everywhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MANIFEST, PASSWORD, Person
from tests.service import EVERY, Service, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

TOY = str(Path(__file__).parents[1] / "toy")
REF, OTHER, GONE = "toy:one.example/k", "toy:two.example/k", "toy:gone.example/k"


@pytest.fixture
def me(me: Person) -> Person:
    """With the toy's distribution and token."""
    me.environ |= {"PYTHONPATH": TOY, "TOY_TOKEN": "a-toys-token"}
    return me


def write(me: Person, name: str, text: str | bytes) -> Path:
    path = me.work / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_it_seals_and_opens_and_its_short_form_needs_no_scheme(me: Person) -> None:
    write(me, "s.yaml", MANIFEST)
    me.ok("encrypt", "-i", "-k", "https://One.Example/K", "s.yaml")
    assert f"{REF}: " in (me.work / "s.yaml").read_text()
    assert me.ok("decrypt", "s.yaml").out == MANIFEST
    assert b"a toy" in me.ok("inspect", "s.yaml").out
    me.ok("keys", "add", "-k", me.ref, "s.yaml")
    del me.environ["TOY_TOKEN"]
    assert me.ok("decrypt", "s.yaml").out == MANIFEST


def test_a_policy_may_spell_its_keys_otherwise_and_check_finds_no_difference(me: Person) -> None:
    write(
        me, ".ksecret.yaml", f"version: 1\nrules:\n- keys: ['toy:ONE.example/K', 'https://two.example/k', {me.ref!r}]\n"
    )
    write(me, "s.yaml", MANIFEST)
    me.ok("encrypt", "-i", "s.yaml")
    assert "0 findings" in me.ok("check", "s.yaml").err
    write(me, ".ksecret.yaml", f"version: 1\nrules:\n- keys: ['toy:ONE.example/K', {me.ref!r}]\n")
    done = me.run("check", "s.yaml")
    assert b"KS008" in done.out
    assert f"sealed to {OTHER} as well".encode() in done.out
    write(me, ".ksecret.yaml", "version: 1\nrules:\n- keys: ['toy:no name', toy:x]\n")
    assert "that is not the name of a Toy KMS key" in me.run("check", "s.yaml").err


def test_doctor_lists_it_and_tells_of_its_keys_by_its_name(me: Person) -> None:
    done = me.run("doctor", "-k", REF, "-k", GONE, "-k", "toy:hunter2")
    assert b"ok    toy: the toy is here" in done.out
    assert f"ok    {REF}: seals and opens".encode() in done.out
    assert f"FAIL  {GONE}: can't seal to it: the toy KMS can't be reached".encode() in done.out
    assert "FAIL  toy:…: can't seal to it: that is not the name of a Toy KMS key".encode() in done.out
    assert b"hunter2" not in done.out


def test_hints_name_it(me: Person) -> None:
    write(me, "s.yaml", MANIFEST)
    told = me.run("encrypt", "-k", "no key", "s.yaml").err
    assert "azure:https://NAME.vault.azure.net/keys/KEY, " in told
    assert " or toy:HOST/NAME" in told
    assert "age, pgp, aws, gcp, azure, vault, toy" in me.run("encrypt", "-k", "x9:y", "s.yaml").err


def test_its_token_is_not_handed_on_to_commands(me: Person) -> None:
    write(me, "s.yaml", MANIFEST)
    me.ok("encrypt", "-i", "-k", REF, "s.yaml")
    program = "import os; print('TOY_TOKEN' in os.environ, os.environ['password'])"
    done = me.ok("exec", "s.yaml", "--", sys.executable, "-c", program)
    assert done.out.decode().split() == ["False", PASSWORD]


@pytest.mark.parametrize("entry", ["toy_gone:SCHEME", "toy_keys:NONE", "toy_keys:re", "toy_sdk:LENGTH"])
def test_one_that_is_broken_keeps_nobody_from_other_keys(me: Person, tmp_path: Path, entry: str) -> None:
    write(me, "s.yaml", MANIFEST)
    me.ok("encrypt", "-i", "-k", REF, "-k", me.ref, "s.yaml")
    site = tmp_path / "site"
    (site / "broken-1.dist-info").mkdir(parents=True)
    (site / "broken-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (site / "broken-1.dist-info" / "entry_points.txt").write_text(f"[ksecret.backends]\ntoy = {entry}\n")
    for module in ("toy_keys", "toy_sdk.py"):
        os.symlink(Path(TOY) / module, site / module)
    me.environ["PYTHONPATH"] = str(site)
    assert me.ok("decrypt", "s.yaml").out == MANIFEST
    assert "0 findings" in me.ok("check", "s.yaml").err
    done = me.run("doctor", "-k", me.ref)
    assert b"no    toy: the plug-in for keys that start with toy: can't be loaded" in done.out
    done = me.run("encrypt", "-k", REF, "-", stdin=MANIFEST)
    assert done.code == 6
    assert "the plug-in for keys that start with toy: can't be loaded" in done.err
    assert entry in done.err


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, PYTHONPATH=TOY, TOY_TOKEN="a-toys-token")
    made.key_rules = [{"namespace": "prod", "keys": [REF]}, {"keys": [GONE]}]
    made.config["rules"] = [rule("root", *EVERY, keys=["*"])]
    with made:
        yield made


def test_the_service_counts_it_by_its_name_and_a_host_that_is_gone_takes_no_other_down(service: Service) -> None:
    sealed = service.post("/v1/encrypt", MANIFEST)
    assert sealed.status == 200
    assert service.post("/v1/decrypt", sealed.body).body == MANIFEST
    assert service.post("/v1/encrypt", MANIFEST.replace(b"namespace: prod", b"namespace: dev")).status == 503
    assert service.post("/v1/decrypt", sealed.body).body == MANIFEST
    metrics = service.get("/metrics").body.decode()
    assert 'backend="toy",operation="unwrap",result="ok"' in metrics
    assert 'backend="toy",operation="wrap",result="unavailable"' in metrics
    assert "one.example" not in metrics
    assert 'backend="other"' not in metrics
