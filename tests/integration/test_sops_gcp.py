"""Keys of Google Cloud KMS in SOPS files: the real sops and we open each other's.

sops has no setting for another endpoint: it reaches the emulator by a proxy, under Google's own name. We reach one in
clear text that has the same keys.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import AlteredError, BackendError
from secretsvc.keyref import KeyRef
from secretsvc.operations import documents
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.request import Changes
from tests.emulators import gcp
from tests.emulators.gcp_relay import Relay
from tests.integration.sops_world import CLEAR, World, request, tree
from tests.sops_support import NOW, RECIPIENT, changed_keys, sops
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

REF = KeyRef("gcp", "projects/p/locations/europe-west1/keyRings/ring/cryptoKeys/key")
OTHER = KeyRef("gcp", "projects/p/locations/global/keyRings/ring/cryptoKeys/other")
HOST = "cloudkms.googleapis.com"
TOKEN = "token-of-sops"


class Kms(World):
    def __init__(self, folder: Path, ours: gcp.Emulator, proxy: Relay, roots: Path) -> None:
        of_sops = {
            "HTTPS_PROXY": proxy.endpoint,
            "SSL_CERT_FILE": str(roots),
            "GOOGLE_OAUTH_ACCESS_TOKEN": TOKEN,
        }
        environ = {"KSECRET_GCP_KMS_ENDPOINT": ours.endpoint}
        super().__init__(folder, of_sops, Backends(Settings(environ, lambda _: None)))
        self.kms = ours


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Kms]:
    authority = Authority(tmp_path / "ca")
    certificate, key = (Path(path).read_bytes() for path in authority.issue(HOST))
    with gcp.Emulator() as ours, gcp.Emulator(tls=(key, certificate)) as theirs:
        theirs.keys = ours.keys
        for ref in (REF, OTHER):
            ours.create_key(ref.id)
        with Relay(theirs.port, is_proxy=True) as proxy:
            yield Kms(tmp_path, ours, proxy, tmp_path / "ca" / "ca.pem")
        assert theirs.principals <= {TOKEN}


def test_what_either_seals_opens_in_the_other_and_what_is_changed_as_well(world: Kms) -> None:
    theirs, ring = world.sealed_by_sops("encrypt", "--gcp-kms", REF.id), world.keyring
    assert world.opened(theirs) == CLEAR
    assert documents.get_value(tree(theirs), "db.port", ring).data == b"5432"
    changed = document_changes.set_values(tree(theirs), Changes({"db.user": b"other"}), request(), ring).data
    more = request(KeyRef("age", RECIPIENT), OTHER)
    shared = changed_keys(tree(changed), more, ring).data
    for data in (
        changed,
        shared,
        document_changes.rotate(tree(shared), request(), ring).data,
        document_changes.rewrap(tree(shared), NOW, ring).data,
    ):
        assert b"user: other" in world.opened_by_sops(data)
    assert b"user: other" in sops("decrypt", world.folder / "ours.yaml").stdout  # by the age identity
    assert world.opened_by_sops(world.sealed(REF)) == CLEAR
    world.sops("rotate", "-i", world.folder / "ours.yaml")
    assert world.opened((world.folder / "ours.yaml").read_bytes()) == CLEAR


def test_a_share_of_a_data_key_is_wrapped_and_unwrapped(world: Kms) -> None:
    groups = [{"gcp_kms": [{"resource_id": ref.id}]} for ref in (REF, OTHER)]
    config = world.folder / ".sops.yaml"
    config.write_text(json.dumps({"creation_rules": [{"key_groups": groups}]}))
    assert world.opened(world.sealed_by_sops("--config", str(config), "encrypt")) == CLEAR
    assert world.opened_by_sops(world.sealed(REF, OTHER)) == CLEAR


def test_a_key_that_fails_is_named_with_the_reason(world: Kms) -> None:
    data = world.sealed(REF)
    (enc,) = re.findall(rb'enc: "?([^"\n]+)', data)
    (other,) = re.findall(rb'enc: "?([^"\n]+)', world.sealed(REF))
    world.opened(data)
    with pytest.raises(AlteredError, match=r"db\.user: a token that was altered"):  # by another file's data key
        world.opened(data.replace(enc, other))
    with pytest.raises(AlteredError, match="wrapped by another key") as foreign:
        world.opened(data.replace(REF.id.encode(), OTHER.id.encode()))
    assert foreign.value.key_ref == str(OTHER)
    world.kms.keys.deny(principal="anonymous")
    with pytest.raises(BackendError, match="denied") as denied:
        world.opened(data)
    assert denied.value.key_ref == str(REF)
    with pytest.raises(BackendError, match="denied"):
        world.sealed(REF)
