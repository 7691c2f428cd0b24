"""Keys of a cloud or of Vault in SOPS files: the real sops and we seal and open with the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.keyref import KeyRef, KeysetChange
from secretsvc.operations import documents
from secretsvc.operations.documents.keysets import SopsKeyset
from secretsvc.operations.documents.seal import SopsRule, seal_file
from secretsvc.operations.request import ANY_TIME, Request
from tests.sops_support import NOW, sops

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from secretsvc.operations.keyring import Keyring

CLEAR = b"db:\n    user: admin\n    port: 5432\n"


class World:
    """How each of the two comes to the keys: sops by its environment, and no age identity; we by a keyring."""

    def __init__(self, folder: Path, environ: Mapping[str, str], keyring: Keyring) -> None:
        self.folder = folder
        self.environ = environ
        self.keyring = keyring

    def sops(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        done = sops(*words, identities=(), **self.environ)
        assert not done.returncode, done.stderr.decode()
        return done

    def sealed_by_sops(self, *words: str) -> bytes:
        path = self.folder / "theirs.yaml"
        path.write_bytes(CLEAR)
        return self.sops(*words, path).stdout

    def opened_by_sops(self, data: bytes) -> bytes:
        (self.folder / "ours.yaml").write_bytes(data)
        return self.sops("decrypt", self.folder / "ours.yaml").stdout

    def sealed(self, *groups: KeyRef) -> bytes:
        keys = SopsKeyset(tuple(((ref, {}),) for ref in groups))
        return seal_file(CLEAR, keys, SopsRule(), self.keyring, name="a.yaml", now=NOW).data

    def opened(self, data: bytes) -> bytes:
        return documents.open_file(tree(data), self.keyring).data


def tree(data: bytes) -> documents.SealedTree:
    found = documents.find(data)
    assert found
    return found


def request(*add: KeyRef) -> Request:
    return Request(KeysetChange((), add, ()), lambda *_: (), "", NOW, rotate_before=ANY_TIME)
