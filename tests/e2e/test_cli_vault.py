"""The command line with keys of Vault: a file's life, versions, people, and that no token is ever shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MANIFEST, Person
from tests.emulators import vault

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = ("hunter2-of-a-token", "hunter2-of-a-role", "hunter2-of-a-secret", vault.SECRET_TEXT)


@pytest.fixture
def server() -> Iterator[vault.Emulator]:
    with vault.Emulator() as emulator:
        emulator.create_key("app")
        yield emulator


@pytest.fixture
def at_vault(me: Person, server: vault.Emulator) -> Person:
    me.environ |= {"VAULT_ADDR": server.url, "VAULT_TOKEN": vault.ROOT}
    return me


def test_a_files_life_by_a_key_that_a_policy_gives_a_name(at_vault: Person, server: vault.Emulator) -> None:
    me = at_vault
    ref = f"vault:{server.url}/v1/transit/keys/app"
    me.write(".ksecret.yaml", f"version: 1\npeople: {{cluster: '{ref}'}}\nrules:\n- keys: [cluster]\n".encode())
    me.write("s.yaml", MANIFEST)
    me.ok("encrypt", "-i", "s.yaml")
    assert f"cluster ({ref})  by its version 1" in me.ok("inspect", "s.yaml").out.decode()
    server.keys["transit"]["app"].rotate()
    me.ok("rotate", "--rewrap", "s.yaml")
    (told,) = [json.loads(line) for line in me.ok("inspect", "--json", "s.yaml").out.splitlines()]
    assert told["keys"] == [{"ref": ref, "owner": "", "version": "2", "name": "cluster"}]
    assert me.ok("decrypt", "s.yaml").out == MANIFEST
    assert me.ok("check", "s.yaml").out == b""


@pytest.mark.parametrize("credential", ["token", "login"])
def test_nothing_of_a_credential_is_shown(at_vault: Person, server: vault.Emulator, credential: str) -> None:
    me = at_vault
    me.write("s.yaml", MANIFEST)
    me.ok("encrypt", "-i", "-k", "vault:transit/keys/app", "s.yaml")
    sealed = (me.work / "s.yaml").read_text()
    del me.environ["VAULT_TOKEN"]
    if credential == "token":
        me.environ["VAULT_TOKEN"] = SECRETS[0]
    else:
        me.environ |= {"VAULT_ROLE_ID": SECRETS[1], "VAULT_SECRET_ID": SECRETS[2], "VAULT_AUTH_METHOD": "approle"}
    for spoilt in (sealed, sealed.replace("127.0.0.1", "127.0.0.2"), sealed.replace("keys/app", "keys/gone")):
        me.write("s.yaml", spoilt.encode())
        server.fail(400, "something new")
        for _ in range(2):
            ran = me.run("--debug", "decrypt", "s.yaml")
            assert ran.code != 0
            said = ran.out.decode() + ran.err
            assert not [secret for secret in SECRETS if secret in said]
