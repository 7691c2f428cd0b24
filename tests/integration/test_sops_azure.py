"""Keys of Azure Key Vault in SOPS files: the real sops and we open each other's, on the same emulator, which both reach
under Azure's own names.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.cli.main import main
from secretsvc.errors import AlteredError, BackendError
from secretsvc.keyref import KeyRef
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.request import Changes
from tests.emulators import azure
from tests.integration.azure_support import certificates, vault
from tests.integration.sops_world import CLEAR, World, request, tree
from tests.sops_support import NOW, RECIPIENT, changed_keys, sops

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["certificates", "vault"]  # fixtures, for pytest to find here


class KeyVault(World):
    def __init__(self, folder: Path, server: azure.Emulator) -> None:
        super().__init__(folder, server.environ, Backends(Settings({}, lambda _: None)))
        self.vault = server
        self.ref = KeyRef("azure", server.create_key("key"))
        self.other = KeyRef("azure", server.create_key("other", azure.HSM, "RSA-HSM"))


@pytest.fixture
def world(tmp_path: Path, vault: azure.Emulator) -> KeyVault:
    return KeyVault(tmp_path, vault)


def test_what_either_seals_opens_in_the_other_and_what_is_changed_as_well(world: KeyVault) -> None:
    lone = world.ref.id.rpartition("/")[0]
    theirs, ring = world.sealed_by_sops("encrypt", "--azure-kv", lone), world.keyring
    assert world.opened(theirs) == CLEAR
    changed = document_changes.set_values(tree(theirs), Changes({"db.user": b"other"}), request(), ring).data
    shared = changed_keys(tree(changed), request(KeyRef("age", RECIPIENT), world.other), ring).data
    for data in (changed, document_changes.rewrap(tree(shared), NOW, ring).data):
        assert b"user: other" in world.opened_by_sops(data)
    assert b"user: other" in sops("decrypt", world.folder / "ours.yaml").stdout  # by the age identity
    ours = world.sealed(world.other)
    assert world.opened_by_sops(ours) == CLEAR
    (entry,) = yaml.safe_load(ours)["sops"]["azure_kv"]
    assert list(entry) == ["vault_url", "name", "version", "created_at", "enc"]
    assert re.fullmatch("[A-Za-z0-9_-]{342}", entry["enc"])
    world.sops("rotate", "-i", world.folder / "ours.yaml")
    assert world.opened((world.folder / "ours.yaml").read_bytes()) == CLEAR


def test_a_share_of_a_data_key_is_wrapped_and_unwrapped(world: KeyVault) -> None:
    entries = [ref.id.removeprefix("https://").split("/") for ref in (world.ref, world.other)]
    groups = [
        {"azure_keyvault": [{"vaultUrl": f"https://{host}/", "key": key, "version": version}]}
        for host, _, key, version in entries
    ]
    config = world.folder / ".sops.yaml"
    config.write_text(json.dumps({"creation_rules": [{"key_groups": groups}]}))
    assert world.opened(world.sealed_by_sops("--config", str(config), "encrypt")) == CLEAR
    assert world.opened_by_sops(world.sealed(world.ref, world.other)) == CLEAR


def test_a_rule_and_a_variable_of_sops_name_keys_for_us_as_for_sops(
    world: KeyVault, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("HOME", str(world.folder))
    lone = world.ref.id.rpartition("/")[0]
    (world.folder / ".sops.yaml").write_text(f"creation_rules: [{{azure_keyvault: '{lone}'}}]\n")
    (world.folder / "v.yaml").write_bytes(CLEAR)
    assert main(["encrypt", "-i", "v.yaml"]) == 0
    assert main(["check", "v.yaml"]) == 0
    assert world.sops("decrypt", world.folder / "v.yaml").stdout == CLEAR
    assert main(["convert", "--policy", ".sops.yaml"]) == 0
    assert f'- "azure:{lone}"\n' in capfd.readouterr().out
    monkeypatch.setenv("SOPS_AZURE_KEYVAULT_URLS", world.other.id)
    (world.folder / "w.yaml").write_bytes(CLEAR)
    assert main(["encrypt", "-i", "--format", "sops", "w.yaml"]) == 0
    assert azure.HSM in (world.folder / "w.yaml").read_text()


def test_a_key_that_fails_is_named_with_the_reason_and_no_stranger_gets_a_token(world: KeyVault) -> None:
    data = world.sealed(world.ref)
    elsewhere = data.replace(azure.VAULT.encode(), b"vault.example.test")
    world.vault.seen.clear()
    with pytest.raises(BackendError, match="no token is sent to it") as refused:
        world.opened(elsewhere)
    assert refused.value.key_ref == f"azure:{world.ref.id.replace(azure.VAULT, 'vault.example.test')}"
    assert not world.vault.seen
    (enc,) = re.findall(rb"enc: ([\w-]+)", data)
    with pytest.raises(AlteredError, match="altered, or wrapped by another key"):
        world.opened(data.replace(enc, enc[::-1]))
    with pytest.raises(AlteredError, match="not base64"):
        world.opened(data.replace(enc, enc[:-1] + b"*"))
    world.vault.denied = {"*": "ForbiddenByRbac"}
    with pytest.raises(BackendError, match="denied by its role assignments"):
        world.opened(data)
