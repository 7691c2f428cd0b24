"""Keys of AWS KMS in SOPS files: the real sops and we open each other's, and the encryption context is always sent.

Calls of both go through the stub in front of moto, which notes them.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.cli.main import main
from secretsvc.errors import AlteredError, BackendError, InputError, NoKeyError
from secretsvc.keyref import KeyRef, KeysetChange, Principal
from secretsvc.operations import documents
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.documents.keysets import SopsKeyset
from secretsvc.operations.documents.seal import SopsRule, seal_file
from secretsvc.operations.inspect import describe_any
from secretsvc.operations.request import ANY_TIME, Changes, Request
from tests.emulators.aws import KEY, StubKms
from tests.integration.aws_support import environ, made, moto
from tests.sops_support import IDENTITY, NOW, RECIPIENT, changed_keys, sops

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.emulators.aws import Moto

__all__ = ["environ", "moto"]  # fixtures, for pytest to find here

CONTEXT = {"app": "web", "team": "a b"}
ROLE = "arn:aws:iam::123456789012:role/deployer"
CLEAR = b"db:\n    user: admin\n    port: 5432\n"


@pytest.fixture
def kms(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubKms]:
    """moto, its calls noted, of STS too."""
    with StubKms(upstream=moto.url) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        yield server


@pytest.fixture
def ref(moto: Moto) -> KeyRef:
    return made(moto)


def keyring(*, principals: dict[str, Principal] | None = None, **environ: str) -> Backends:
    return Backends(Settings({**os.environ, **environ}, lambda _: None, principals=principals or {}))


def by_sops(*words: str | Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """sops with the clouds' settings, and no age identity."""
    clouds = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    return sops(*words, identities=(), **clouds | environ)


def sealed_by_sops(folder: Path, key: str, *words: str) -> bytes:
    path = folder / "theirs.yaml"
    path.write_bytes(CLEAR)
    context = ",".join(f"{name}:{text}" for name, text in CONTEXT.items())
    done = by_sops("encrypt", "--kms", key, "--encryption-context", context, *words, path)
    assert not done.returncode, done.stderr.decode()
    return done.stdout


def opened_by_sops(data: bytes, folder: Path) -> bytes:
    (folder / "ours.yaml").write_bytes(data)
    done = by_sops("decrypt", folder / "ours.yaml")
    assert not done.returncode, done.stderr.decode()
    return done.stdout


def tree(data: bytes, name: str = "") -> documents.SealedTree:
    found = documents.find(data, name)
    assert found
    return found


def request(*add: KeyRef) -> Request:
    return Request(KeysetChange((), add, ()), lambda *_: (), "", NOW, rotate_before=ANY_TIME)


def sealed(*keys: tuple[KeyRef, dict[str, str]]) -> bytes:
    return seal_file(CLEAR, SopsKeyset((keys,)), SopsRule(), keyring(), name="a.yaml", now=NOW).data


def test_what_sops_sealed_opens_here_and_what_is_changed_here_opens_there(
    kms: StubKms, ref: KeyRef, tmp_path: Path
) -> None:
    theirs, ring = tree(sealed_by_sops(tmp_path, ref.id)), keyring()
    kms.seen.clear()
    assert documents.open_file(theirs, ring).data == CLEAR
    assert documents.get_value(theirs, "db.port", ring).data == b"5432"
    changed = document_changes.set_values(theirs, Changes({"db.user": b"other"}), request(), ring).data
    shared = changed_keys(tree(changed), request(KeyRef("age", RECIPIENT)), ring).data
    for data in (
        changed,
        shared,
        document_changes.rotate(tree(shared), request(), ring).data,
        document_changes.rewrap(tree(shared), NOW, ring).data,
    ):
        assert b"user: other" in opened_by_sops(data, tmp_path)
    assert b"user: other" in sops("decrypt", tmp_path / "ours.yaml").stdout  # by the age identity
    calls = len(kms.seen)
    assert b"user: other" in documents.open_file(tree(shared), keyring(KSECRET_AGE_KEY=IDENTITY)).data
    assert len(kms.seen) == calls  # what is on this machine comes first
    assert {action for action, _ in kms.seen} == {"Decrypt", "Encrypt"}
    for _, said in kms.seen:
        assert (said["KeyId"], said["EncryptionContext"]) == (ref.id, CONTEXT)


@pytest.mark.parametrize("context", [CONTEXT, {}], ids=["context", "none"])
def test_what_is_sealed_here_opens_in_sops_which_goes_on_with_it(
    kms: StubKms, ref: KeyRef, context: dict[str, str], tmp_path: Path
) -> None:
    assert opened_by_sops(sealed((ref, context)), tmp_path) == CLEAR
    done = by_sops("rotate", "-i", tmp_path / "ours.yaml")
    assert not done.returncode, done.stderr.decode()
    assert documents.open_file(tree((tmp_path / "ours.yaml").read_bytes()), keyring()).data == CLEAR
    assert all((said.get("EncryptionContext") or {}) == context for _, said in kms.seen)


KINDS = {"env": b"USER=admin\n", "ini": b"[db]\nuser = admin\n", "json": b'{\n\t"user": "admin"\n}\n'}


@pytest.mark.parametrize("kind", KINDS)
def test_in_files_of_other_kinds_a_context_is_found_and_kept(
    kms: StubKms, ref: KeyRef, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(KINDS[kind])
    words = ("--kms", ref.id, "--encryption-context", "app:web,team:a b")
    assert not by_sops("encrypt", "-i", *words, path).returncode
    assert documents.open_file(tree(path.read_bytes(), path.name), keyring()).data == KINDS[kind]
    made = document_changes.rotate(tree(path.read_bytes(), path.name), request(), keyring()).data
    path.write_bytes(made)
    assert by_sops("decrypt", path).stdout.strip() == KINDS[kind].strip()
    assert all(said["EncryptionContext"] == CONTEXT for _, said in kms.seen)


def test_the_command_line_seals_to_keys_and_contexts_of_sops_yaml_and_names_a_key_that_fails(
    kms: StubKms, ref: KeyRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / ".git").mkdir()
    groups = [{"kms": [{"arn": ref.id, "context": CONTEXT}]}]
    (tmp_path / ".sops.yaml").write_text(json.dumps({"creation_rules": [{"key_groups": groups}]}))
    for name, words in (("a.yaml", ()), ("b.yaml", ("-k", str(ref)))):
        (tmp_path / name).write_bytes(CLEAR)
        assert main(["encrypt", "-i", "--format", "sops", *words, name]) == 0
        assert by_sops("decrypt", tmp_path / name).stdout == CLEAR
    assert [said.get("EncryptionContext") for action, said in kms.seen if action == "Encrypt"] == [CONTEXT, None]
    assert main(["set", "a.yaml", "db.user=other"]) == 0
    capfd.readouterr()
    assert main(["get", "a.yaml", "db.user"]) == 0
    assert capfd.readouterr().out == "other"
    text = (tmp_path / "a.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text.replace("web", "api"))
    assert main(["decrypt", "a.yaml"]) == 5
    out, err = capfd.readouterr()
    assert not out
    assert f"a.yaml: {ref}: its wrapped data key was altered" in err
    assert "another encryption context" in err


def test_an_alias_is_a_key_as_well(kms: StubKms, moto: Moto, ref: KeyRef, tmp_path: Path) -> None:
    moto.client().create_alias(AliasName="alias/team/SOPS", TargetKeyId=ref.id)
    alias = KeyRef("aws", f"{ref.id.rpartition(':')[0]}:alias/team/SOPS")
    assert documents.open_file(tree(sealed_by_sops(tmp_path, alias.id)), keyring()).data == CLEAR
    assert opened_by_sops(sealed((alias, CONTEXT)), tmp_path) == CLEAR


def test_a_share_of_a_data_key_is_wrapped_and_unwrapped(kms: StubKms, moto: Moto, ref: KeyRef, tmp_path: Path) -> None:
    other, context = made(moto, "us-east-1"), {"app": "web"}
    groups = [{"kms": [{"arn": one.id, "context": context}]} for one in (ref, other)]
    (tmp_path / ".sops.yaml").write_text(json.dumps({"creation_rules": [{"key_groups": groups}]}))
    (tmp_path / "theirs.yaml").write_bytes(CLEAR)
    done = by_sops("--config", tmp_path / ".sops.yaml", "encrypt", tmp_path / "theirs.yaml")
    assert not done.returncode, done.stderr.decode()
    assert documents.open_file(tree(done.stdout), keyring()).data == CLEAR
    keys = SopsKeyset((((ref, context),), ((other, context),)), 2)
    ours = seal_file(CLEAR, keys, SopsRule(), keyring(), name="a.yaml", now=NOW).data
    assert opened_by_sops(ours, tmp_path) == CLEAR


@pytest.mark.parametrize(("before", "after"), [(b"app: web", b"app: api"), (b"team: a b", b""), (b"app:", b"apps:")])
def test_another_context_opens_nothing_and_the_error_says_which_key_has_it(
    kms: StubKms, ref: KeyRef, before: bytes, after: bytes, tmp_path: Path
) -> None:
    theirs = sealed_by_sops(tmp_path, ref.id)
    assert before in theirs
    with pytest.raises(AlteredError, match="another encryption context") as caught:
        documents.open_file(tree(theirs.replace(before, after, 1)), keyring())
    assert caught.value.key_ref == str(ref)
    assert str(ref) in caught.value.told
    assert "web" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("state", "what"),
    [("Denied", r"kms:Decrypt is missing \(encryption context: app and team\)"), ("Disabled", "is disabled")],
)
def test_a_key_that_cannot_be_used_is_named_with_the_reason(state: str, what: str, tmp_path: Path) -> None:
    ref = KeyRef("aws", KEY)
    with pytest.MonkeyPatch.context() as patch, StubKms() as kms:
        patch.setenv("AWS_ENDPOINT_URL_KMS", kms.url)
        theirs = sealed_by_sops(tmp_path, ref.id)
        kms.states[ref.id] = state
        with pytest.raises(BackendError, match=what) as caught:
            documents.open_file(tree(theirs), keyring())
        assert caught.value.key_ref == str(ref)
        before = kms.calls
        with pytest.raises(BackendError, match=r"is (missing|disabled)"):
            sealed((ref, CONTEXT))
        assert kms.calls > before


def test_a_role_that_only_a_file_names_is_taken_by_sops_alone(kms: StubKms, ref: KeyRef, tmp_path: Path) -> None:
    theirs = tree(sealed_by_sops(tmp_path, f"{ref.id}+{ROLE}"))
    (told,) = describe_any(theirs.document.data, lambda _: "")
    assert told.keys == [{"ref": str(ref), "owner": f"in the role {ROLE}"}]
    kms.seen.clear()
    with pytest.raises(NoKeyError, match="could be used here") as caught:
        documents.open_file(theirs, keyring())
    assert ROLE in str(caught.value.reasons)
    assert ref.id in str(caught.value.reasons)
    with pytest.raises(NoKeyError, match="could be used here"):
        documents.open_file(theirs, keyring(principals={str(ref): Principal(role=f"{ROLE}s")}))
    assert not kms.seen, "neither KMS was asked, nor STS"
    shared = tree(sealed_by_sops(tmp_path, f"{ref.id}+{ROLE}", "--age", RECIPIENT))
    own = keyring(KSECRET_AGE_KEY=IDENTITY)
    with pytest.raises(InputError, match=re.escape(ROLE)):
        document_changes.rotate(shared, request(), own)
    kept = document_changes.set_values(shared, Changes({"db.user": b"other"}), request(), own).data
    assert b"user: other" in opened_by_sops(kept, tmp_path)  # its role is in there still


def test_a_profile_that_a_file_names_is_not_taken_from_it_and_a_failure_says_so(
    kms: StubKms, ref: KeyRef, tmp_path: Path, environ: Path
) -> None:
    words = "aws_access_key_id = testing\naws_secret_access_key = testing\n"
    (environ / "credentials").write_text(f"[theirs]\n{words}")
    theirs = tree(sealed_by_sops(tmp_path, ref.id, "--aws-profile", "theirs"))
    assert theirs.metadata.entries[0].fields["aws_profile"] == "theirs"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(BackendError, match="there are no AWS credentials here") as caught:
            documents.open_file(theirs, keyring())
        assert "theirs" in caught.value.hint
        assert caught.value.key_ref == str(ref)
        assert documents.open_file(theirs, keyring(principals={str(ref): Principal("theirs")})).data == CLEAR
        patch.setenv("AWS_PROFILE", "theirs")
        assert documents.open_file(theirs, keyring()).data == CLEAR
        rotated = document_changes.rotate(theirs, request(), keyring()).data
    assert tree(rotated).metadata.entries[0].fields["aws_profile"] == "theirs"
    assert opened_by_sops(rotated, tmp_path) == CLEAR
