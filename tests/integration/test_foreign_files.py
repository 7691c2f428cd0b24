"""Files of other tools, other objects, and none at all: every command says what it found, and the way out."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.cli.main import main
from secretsvc.errors import ManifestError, NotSealedError
from secretsvc.manifest.reader import read
from secretsvc.operations.open import nothing_sealed_in

if TYPE_CHECKING:
    from pathlib import Path

SOPS_VALUE = (
    "ENC[AES256_GCM,data:8Q==,iv:VT4Z0Qgh5dKZuuP6n3fZ9M2tYdyg7F1hbDXWCQLBO3w=,tag:1aGnTSpXbhYzuS3y4/2w5g==,type:str]"
)
SECRET = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\n"
CONFLICT = "<<<<<<< HEAD\n  a: one\n=======\n  a: two\n>>>>>>> theirs\n"
FOUND: dict[str, tuple[bytes, str, str]] = {
    "a Secret of SOPS's": (
        f"{SECRET}stringData:\n  a: {SOPS_VALUE}\nsops:\n  mac: {SOPS_VALUE}\n  version: 3.9.0\n".encode(),
        "app is sealed by SOPS",
        "restore the file from Git",
    ),
    "another object of SOPS's": (
        f"kind: ConfigMap\ndata:\n  a: {SOPS_VALUE}\nsops:\n  mac: {SOPS_VALUE}\n".encode(),
        "it is sealed by SOPS",
        "restore the file from Git",
    ),
    "variables of SOPS's": (
        f"A={SOPS_VALUE}\nsops_mac={SOPS_VALUE}\n".encode(),
        "it is sealed by SOPS",
        "restore the file from Git",
    ),
    "an INI file of SOPS's": (
        f"[a]\nb = {SOPS_VALUE}\n[sops]\nmac = {SOPS_VALUE}\n".encode(),
        "it is sealed by SOPS",
        "restore the file from Git",
    ),
    "a SealedSecret": (
        b"apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\nspec: {encryptedData: {a: A}}\n",
        "it is a SealedSecret",
        "ksecret convert --sealed-secrets-key",
    ),
    "an ExternalSecret": (
        b"apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a}\n",
        "it is an ExternalSecret, which holds no value",
        "nothing in it",
    ),
    "a ConfigMap": (
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n",
        "it is a ConfigMap",
        "`kind: Secret`",
    ),
    "several objects": (
        b"kind: Service\n---\nkind: Deployment\n---\nkind: Job\n---\nkind: Ingress\n---\nkind: Job\n",
        "there is no Secret in it, but Service, Deployment, Job and 1 more",
        "`kind: Secret`",
    ),
    "a file of variables": (
        b"# for tests\nDB_HOST=a\nexport DB_PASSWORD='n0t: public'\n",
        "a file of variables (.env)",
        "--from-env-file",
    ),
    "an empty file": (b"", "it is empty", "ksecret create"),
    "comments": (b"# a\n---\n# b\n", "nothing but comments", "ksecret create"),
    "a Secret without values": (SECRET.encode(), "its Secret has no values", "stringData"),
    "a chart's values": (b"replicas: 1\nimage: {tag: a}\n", "no Kubernetes object", "`kind: Secret`"),
    "a text": (b"hello\n", "no Kubernetes object", "`kind: Secret`"),
    "conflict markers": (f"{SECRET}stringData:\n{CONFLICT}".encode(), "Git's conflict markers", "--ours|--theirs"),
    "conflict markers in JSON": (
        b'{"kind": "Secret",\r\n<<<<<<< HEAD\r\n"a": 1\r\n=======\r\n"a": 2\r\n>>>>>>> b\r\n}\r\n',
        "Git's conflict markers",
        "--ours|--theirs",
    ),
    "UTF-16": (f"{SECRET}stringData:\n  a: b\n".encode("utf-16"), "it is UTF-16", "Out-File -Encoding utf8"),
    "UTF-16 without a mark": (f"{SECRET}stringData:\n  a: b\n".encode("utf-16-le"), "it is UTF-16", "Out-File"),
    "age's file": (b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "age encrypted as a whole", "`age --decrypt`"),
    "age's binary file": (b"age-encryption.org/v1\n-> X25519 \xff\n", "age encrypted as a whole", "`age --decrypt`"),
    "gpg's file": (b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n", "gpg encrypted as a whole", "`gpg --decrypt`"),
    "Ansible Vault's": (b"$ANSIBLE_VAULT;1.1;AES256\n6138\n", "Ansible Vault", "`ansible-vault view`"),
    "git-crypt's": (b"\0GITCRYPT\0\x12\x34", "git-crypt", "`git-crypt unlock`"),
    "a key": (b"-----BEGIN PRIVATE KEY-----\nMIIE\n", "a PEM file", "ksecret create tls"),
}
NEED_SEALED = (
    ["decrypt", "F"],
    ["get", "F", "a"],
    ["set", "F", "a=b"],
    ["unset", "F", "a"],
    ["verify", "F"],
    ["inspect", "F"],
    ["keys", "list", "F"],
    ["keys", "add", "-k", "REF", "F"],
    ["keys", "remove", "-k", "REF", "F"],
    ["keys", "sync", "F"],
    ["rotate", "F"],
    ["rotate", "--rewrap", "F"],
    ["exec", "F", "--", "true"],
    ["rename", "F", "--name", "b"],
    ["convert", "F", "--to", "kubesec"],
    ["edit", "F"],
)


@pytest.fixture
def ref(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The recipient of whoever runs the commands, in a repository of their own."""
    identity = pyrage.x25519.Identity.generate()
    for name in ("KSECRET_KEYS", "KSECRET_AGE_KEY_FILE", "KSECRET_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KSECRET_AGE_KEY", str(identity))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDITOR", shutil.which("true") or "true")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".ksecret.yaml").write_text(f"version: 1\nrules:\n- keys: ['age:{identity.to_public()}']\n")
    monkeypatch.chdir(tmp_path)
    return f"age:{identity.to_public()}"


def told(words: list[str], ref: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main([{"F": "f.yaml", "REF": ref}.get(word, word) for word in words])
    out, err = capfd.readouterr()
    assert out == ""
    return code, err


@pytest.mark.parametrize("name", FOUND)
def test_every_command_says_what_it_found_and_the_way_out(
    ref: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    content, what, hint = FOUND[name]
    known = (what, "its member sops has lost a part") if "SOPS" in name else (what,)
    (tmp_path / "f.yaml").write_bytes(content)
    for words in (*NEED_SEALED, ["encrypt", "F"]):
        if words[0] == "rename" and name == "a Secret without values":
            continue  # it is there to be renamed in an editor
        code, err = told(words, ref, capfd)
        said = err.splitlines()
        assert code in ((1, 3, 5) if "SOPS" in name else (3,)), (words, err)
        assert len(said) == 2, (words, err)
        assert any(one in said[0] for one in known), (words, err)
        assert hint in said[1], (words, err)
    assert (tmp_path / "f.yaml").read_bytes() == content
    with pytest.raises((NotSealedError, ManifestError)) as caught:
        raise nothing_sealed_in(content)
    assert what in caught.value.message


def test_tokens_without_an_envelope_are_told_by_every_command(
    ref: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(f"{SECRET}stringData:\n  a: x\n")
    assert main(["encrypt", "-i", "f.yaml"]) == 0
    path.write_bytes(path.read_bytes().partition(b"ksecret:\n")[0])
    for words in (*NEED_SEALED, ["encrypt", "F"]):
        code, err = told(words, ref, capfd)
        assert code in (1, 3, 5), (words, err)
        assert 'stringData["a"] is a ksecret token, but its Secret has no envelope' in err, words
    for words in (["inspect", "-r", "."], ["keys", "list", "-r", "."], ["rotate", "-r", "."]):
        code, err = told(words, ref, capfd)
        assert (code, "its Secret has no envelope" in err) == (5, True), words


@pytest.mark.parametrize("text", ["db:\n  a: x\n", f"{SECRET}stringData:\n  a: x\n", "[db]\na = x\n", "A=x\n"])
def test_what_is_not_for_files_of_sops_says_so_and_what_is(
    ref: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    end = {"[": "ini", "A": "env"}.get(text[0], "yaml")
    path = tmp_path / f"f.{end}"
    path.write_text(text)
    assert main(["encrypt", "-i", "--format", "sops", "-k", ref, path.name]) == 0
    capfd.readouterr()
    content = path.read_bytes()
    code, err = told(["rename", "--name", "b", path.name], ref, capfd)
    assert (code, "binds a file to no name and no namespace" in err) == (3, True)
    assert "ksecret set FILE metadata.name=NAME" in err
    if "kind: Secret" not in text:
        code, err = told(["patch", path.name, "--data", "a=eA=="], ref, capfd)
        assert (code, "ksecret set FILE PATH=VALUE changes any value" in err) == (2, True)
    assert path.read_bytes() == content


def test_in_a_folder_what_others_sealed_is_passed_over_where_nothing_is_opened(
    ref: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f.yaml").write_bytes(FOUND["a Secret of SOPS's"][0])
    for words in (["inspect", "-r", "."], ["keys", "sync", "-r", "."], ["rotate", "-r", "."]):
        code, err = told(words, ref, capfd)
        assert (code, err.count("\n")) == (0, 1), err


@pytest.mark.parametrize(
    "name",
    ["conflict markers", "a file of variables", "age's file", "gpg's file", "a key", "UTF-16"],
)
def test_what_is_no_manifest_is_not_handed_to_kubectl(
    ref: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content, what, hint = FOUND[name]
    (tmp_path / "kubectl").write_text("#!/bin/sh\n")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "f.yaml").write_bytes(content)
    code, err = told(["apply", "F"], ref, capfd)
    assert (code, what in err, hint in err) == (3, True, True), err


def test_markers_that_are_part_of_a_text_are_no_conflict() -> None:
    text = f"{SECRET}stringData:\n  a: |\n    # Title\n    =======\n    <<<<<<< HEAD\n"
    assert nothing_sealed_in(text.encode()).message == "no Secret in it is sealed"
    with pytest.raises(ManifestError, match="not valid YAML"):
        read(b"a: 'b\nc: d\n# ========\n")


def test_a_secret_that_is_asked_for_by_a_wrong_name_is_told_with_the_right_ones(
    ref: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f.yaml").write_text(f"{SECRET}stringData:\n  a: x\n")
    assert main(["encrypt", "-i", "f.yaml"]) == 0
    assert told(["get", "--secret", "apq", "F", "a"], ref, capfd) == (
        3,
        "ksecret: f.yaml: there is no such Secret in it\n  it has app\n",
    )
