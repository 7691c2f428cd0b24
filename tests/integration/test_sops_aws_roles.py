"""Keys of AWS KMS in an IAM role: it is assumed where `.sops.yaml` names it, never because a file does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.main import main
from secretsvc.operations import documents
from tests.emulators.aws import KEY, StubKms
from tests.integration.aws_support import environ, made, moto
from tests.integration.test_sops_aws import CLEAR, ROLE, by_sops, kms, ref

if TYPE_CHECKING:
    from pathlib import Path

    from secretsvc.keyref import KeyRef
    from tests.emulators.aws import Moto

__all__ = ["environ", "kms", "moto", "ref"]  # fixtures, for pytest to find here

SECRET = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: prod\nstringData:\n  user: admin\n"
OTHER = f"{ROLE}-of-others"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.yaml").write_bytes(CLEAR)


def ruled(folder: Path, *keys: dict[str, str]) -> None:
    (folder / ".sops.yaml").write_text(json.dumps({"creation_rules": [{"key_groups": [{"kms": keys}]}]}))


def entries(path: Path) -> list[tuple[object, object]]:
    found = documents.find(path.read_bytes(), path.name)
    assert found
    return [(entry.role, entry.profile) for entry in found.metadata.entries]


def roles_assumed(kms: StubKms) -> list[str]:
    """Since this was asked last. Every call of KMS was made in one, and its session has our name."""
    assert all(caller.startswith("ASIA") for caller in kms.callers), "moto's access keys of roles begin so"
    found = [said["RoleArn"] for action, said in kms.seen if action == "STS"]
    assert {said["RoleSessionName"] for action, said in kms.seen if action == "STS"} <= {"ksecret"}
    kms.seen.clear()
    kms.callers.clear()
    return found


def test_files_are_sealed_changed_and_opened_in_the_role_of_sops_yaml_which_is_assumed_once_a_run(
    kms: StubKms, ref: KeyRef, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ruled(tmp_path, {"arn": f"{ref.id}+{ROLE}"})
    file = tmp_path / "a.yaml"
    for words in ("encrypt -i a.yaml", "set a.yaml db.user=other", "rotate a.yaml", "rotate --rewrap a.yaml"):
        assert main(words.split()) == 0
        assert roles_assumed(kms) == [ROLE], words
        assert entries(file) == [(ROLE, "")]
    assert main(["keys", "sync", "--dry-run", "a.yaml"]) == 0
    assert main(["sops", "rotate", "-i", "a.yaml"]) == 0
    assert set(roles_assumed(kms)) == {ROLE}
    assert by_sops("decrypt", file).stdout == CLEAR.replace(b"admin", b"other")
    kms.seen.clear()
    kms.callers.clear()
    capfd.readouterr()
    assert main(["decrypt", "a.yaml"]) == 0
    assert capfd.readouterr().out == CLEAR.decode().replace("admin", "other")
    assert main(["get", "a.yaml", "db.port"]) == 0
    assert roles_assumed(kms) == [ROLE, ROLE]


def test_a_role_that_the_rule_does_not_name_is_not_assumed_and_sync_goes_by_the_rule(
    kms: StubKms, moto: Moto, ref: KeyRef, tmp_path: Path, environ: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second key has a profile, too, whose credentials assume the role."""
    own = made(moto).id
    ruled(tmp_path, {"arn": ref.id, "role": OTHER}, {"arn": own})
    assert not by_sops("encrypt", "-i", "a.yaml").returncode
    ruled(tmp_path, {"arn": own, "role": ROLE, "aws_profile": "p"})
    kms.seen.clear()
    (environ / "credentials").write_text("[p]\naws_access_key_id=testing\naws_secret_access_key=testing\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        assert main(["keys", "sync", "a.yaml"]) == 0
    assert {said["RoleArn"] for action, said in kms.seen if action == "STS"} == {ROLE}
    assert entries(tmp_path / "a.yaml") == [(ROLE, "p")]
    ruled(tmp_path, {"arn": own, "role": OTHER})
    kms.seen.clear()
    assert main(["decrypt", "a.yaml"]) == 4
    assert f"the file asks for the role {ROLE}, which no policy names for that key" in capfd.readouterr().err
    assert not kms.seen


def test_a_role_that_aws_does_not_give_is_told_with_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ruled(tmp_path, {"arn": KEY, "role": ROLE})
    with StubKms() as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", stub.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
        assert main(["encrypt", "-i", "a.yaml"]) == 6
    told = capfd.readouterr().err
    assert f"a.yaml: aws:{KEY}: AWS does not let these credentials assume the role {ROLE}" in told
    assert "sts:AssumeRole" in told
    assert "AccessDenied" not in told
    assert (tmp_path / "a.yaml").read_bytes() == CLEAR


def test_one_key_in_two_roles_is_refused_with_its_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ruled(tmp_path, {"arn": KEY, "role": ROLE}, {"arn": KEY, "role": OTHER})
    assert main(["encrypt", "-i", "a.yaml"]) == 3
    assert "the rule has it in different ones" in capfd.readouterr().err


def test_a_role_of_our_own_policy_counts_for_both_formats(
    kms: StubKms, ref: KeyRef, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    key = f"{{key: '{ref}', role: '{ROLE}'}}"
    rules = f"- {{path: a.yaml, keys: [{key}], format: sops}}\n- keys: [{key}]\n"
    (tmp_path / ".ksecret.yaml").write_text(f"version: 1\nrules:\n{rules}")
    (tmp_path / "b.yaml").write_bytes(SECRET)
    for name, clear in (("a.yaml", CLEAR), ("b.yaml", SECRET)):
        assert main(["encrypt", "-i", name]) == 0
        capfd.readouterr()
        assert main(["decrypt", name]) == 0
        assert capfd.readouterr().out.encode() == clear
        assert roles_assumed(kms) == [ROLE, ROLE]
    assert entries(tmp_path / "a.yaml") == [(ROLE, "")]


def test_a_role_that_is_none_is_told_as_that(
    kms: StubKms, ref: KeyRef, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ruled(tmp_path, {"arn": ref.id, "role": "sealer"})
    assert main(["encrypt", "-i", "a.yaml"]) == 6
    assert "sealer, which the policy names, is no role of IAM" in capfd.readouterr().err
