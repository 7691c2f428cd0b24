"""Keys of Vault's Transit in SOPS files: the real sops and we open each other's, on the same emulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import AlteredError, BackendError
from secretsvc.keyref import KeyRef
from secretsvc.operations import documents
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.documents.keysets import SopsKeyset
from secretsvc.operations.documents.seal import SopsRule, seal_file
from secretsvc.operations.request import Changes
from tests.emulators import vault
from tests.integration.sops_world import CLEAR, World, request, tree
from tests.sops_support import NOW, RECIPIENT, changed_keys, sops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Transit(World):
    def __init__(self, folder: Path, server: vault.Emulator) -> None:
        environ = {"VAULT_TOKEN": vault.ROOT, "VAULT_ADDR": server.url}
        super().__init__(folder, environ, Backends(Settings(environ, lambda _: None)))
        self.vault = server
        self.ref = KeyRef("vault", f"{server.url}/v1/transit/keys/key")
        self.other = KeyRef("vault", f"{server.url}/v1/team/transit/keys/other")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Transit]:
    with vault.Emulator() as server:
        server.create_key("key")
        server.create_key("other", mount="team/transit")
        yield Transit(tmp_path, server)


def test_what_either_seals_opens_in_the_other_and_what_is_changed_as_well(world: Transit) -> None:
    theirs, ring = world.sealed_by_sops("encrypt", "--hc-vault-transit", world.ref.id), world.keyring
    assert world.opened(theirs) == CLEAR
    changed = document_changes.set_values(tree(theirs), Changes({"db.user": b"other"}), request(), ring).data
    shared = changed_keys(tree(changed), request(KeyRef("age", RECIPIENT), world.other), ring).data
    world.vault.keys["transit"]["key"].rotate()
    rewrapped = document_changes.rewrap(tree(shared), NOW, ring).data
    assert b"vault:v2:" in rewrapped
    for data in (changed, document_changes.rotate(tree(shared), request(), ring).data, rewrapped):
        assert b"user: other" in world.opened_by_sops(data)
    assert b"user: other" in sops("decrypt", world.folder / "ours.yaml").stdout  # by the age identity
    assert world.opened_by_sops(world.sealed(world.other)) == CLEAR
    assert b"associated_data" not in b"".join(json.dumps(body).encode() for _, body in world.vault.bodies)
    world.sops("rotate", "-i", world.folder / "ours.yaml")
    assert world.opened((world.folder / "ours.yaml").read_bytes()) == CLEAR


def test_a_share_of_a_data_key_is_wrapped_and_unwrapped(world: Transit) -> None:
    groups = [{"hc_vault": [ref.id]} for ref in (world.ref, world.other)]
    config = world.folder / ".sops.yaml"
    config.write_text(json.dumps({"creation_rules": [{"key_groups": groups}]}))
    assert world.opened(world.sealed_by_sops("--config", str(config), "encrypt")) == CLEAR
    assert world.opened_by_sops(world.sealed(world.ref, world.other)) == CLEAR


def test_a_server_that_only_the_file_names_gets_no_token(world: Transit) -> None:
    data = world.sealed(world.ref)
    with vault.Emulator() as other:
        other.create_key("key")
        elsewhere = data.replace(world.vault.url.encode(), other.url.encode())
        with pytest.raises(BackendError, match="no Vault server that this machine trusts") as refused:
            world.opened(elsewhere)
        assert refused.value.key_ref == f"vault:{other.url}/v1/transit/keys/key"
        assert not other.calls
        sops("decrypt", "/dev/stdin", "--input-type", "yaml", stdin=elsewhere, identities=(), **world.environ)
        assert vault.ROOT in other.tokens_seen  # as sops does: it is why ksecret asks


def test_an_address_that_sops_took_as_it_was_written_is_the_same_server(world: Transit) -> None:
    data = world.sealed(world.ref)
    spelled = data.replace(b"http://127.0.0.1", b"HTTP://127.0.0.1")
    assert spelled != data
    assert world.opened(spelled) == CLEAR
    with pytest.raises(AlteredError, match="the name of its key is none"):
        world.opened(data.replace(b"transit", b"../transit"))


def test_a_namespace_of_the_environment_is_where_sopss_paths_are(world: Transit) -> None:
    """The emulator has namespaces as prefixes of paths, which is what a real one makes of them."""
    theirs = KeyRef("vault", world.ref.id.replace("transit/keys/key", "transit/keys/other"))
    ring = Backends(Settings({**world.environ, "VAULT_NAMESPACE": "team/"}, lambda _: None))
    keys = SopsKeyset((((theirs, {}),),))
    data = seal_file(CLEAR, keys, SopsRule(), ring, name="a.yaml", now=NOW).data
    (world.folder / "n.yaml").write_bytes(data)
    done = sops("decrypt", world.folder / "n.yaml", identities=(), VAULT_NAMESPACE="team", **world.environ)
    assert done.stdout == CLEAR, done.stderr
    assert documents.open_file(tree(data), ring).data == CLEAR
