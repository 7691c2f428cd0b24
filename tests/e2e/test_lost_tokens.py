"""Sealed text without its envelope, encoded in base64, or of SOPS's: no command hands it on as if it were a value."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import Person, b64, is_sealed
from tests.e2e.test_cli_apply import Kubectl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLEAR = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\n  namespace: prod\nstringData:\n  a: x\n"
SOPS_VALUE = (
    "ENC[AES256_GCM,data:8Q==,iv:VT4Z0Qgh5dKZuuP6n3fZ9M2tYdyg7F1hbDXWCQLBO3w=,tag:1aGnTSpXbhYzuS3y4/2w5g==,type:str]"
)
SOPS_METADATA = f'sops:\n  lastmodified: "2026-01-01T00:00:00Z"\n  mac: {SOPS_VALUE}\n  version: 3.9.0\n'
KUBESEC_TOKEN = f"{b64('hidden')}.{b64(bytes(12))}.{b64(bytes(16))}"


def without_envelope(sealed: bytes) -> bytes:
    return re.sub(rb"(?ms)^ksecret:.*?(?=^---|\Z)", b"", sealed)


def with_token(sealed: bytes, shown: bytes) -> bytes:
    """A Secret in the clear with the token of `password` in a value."""
    (token,) = re.findall(rb"password: (\S+)", sealed)
    return CLEAR.replace(b"a: x", b"a: " + shown.replace(b"TOKEN", token))


def token(sealed: bytes) -> bytes:
    (found,) = re.findall(rb"password: (\S+)", sealed)
    return bytes(found)


def with_encoded_token(sealed: bytes) -> bytes:
    """The token of `password` put under `data` as kubectl wants values there, in a Secret of its own."""
    return CLEAR.replace(b"stringData:\n  a: x", b"data:\n  password: " + b64encode(token(sealed)))


def in_json(sealed: bytes) -> bytes:
    value = token(sealed).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"a": value}}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [secret]}).encode()


LOST: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "the envelope is gone": ("is a ksecret token, but its Secret has no envelope", without_envelope),
    "an item of a list in JSON": ("is a ksecret token, but its Secret has no envelope", in_json),
    "a blank before it": (
        "is a ksecret token, but its Secret has no envelope",
        lambda sealed: with_token(sealed, b'" TOKEN "'),
    ),
    "blank lines around it": (
        "is a ksecret token, but its Secret has no envelope",
        lambda sealed: with_token(sealed, b"|+\n\n    TOKEN\n\n"),
    ),
    "beside a Secret that is sealed": (
        "is a ksecret token, but its Secret has no envelope",
        lambda sealed: sealed + b"---\n" + without_envelope(sealed).replace(b"name: db", b"name: other"),
    ),
    "base64 of a token": ("is a token that was base64-encoded", with_encoded_token),
    "in the middle of a value": (
        "has a ksecret token in it, and nothing opens it there",
        lambda sealed: CLEAR.replace(b"a: x", b"a: |\n    USER=me\n    PASSWORD=" + token(sealed)),
    ),
    "kubesec's lines are gone": (
        "is a token of kubesec's",
        lambda _: CLEAR.replace(b"a: x", b"a: " + KUBESEC_TOKEN.encode()),
    ),
    "base64 of kubesec's": (
        "is a token that was base64-encoded",
        lambda _: CLEAR.replace(b"stringData:\n  a: x", b"data:\n  a: " + b64(KUBESEC_TOKEN).encode()),
    ),
    "sealed by SOPS": (
        "is sealed by SOPS",
        lambda _: CLEAR.replace(b"a: x", b"a: " + SOPS_VALUE.encode()) + SOPS_METADATA.encode(),
    ),
    "SOPS's member is gone": ("is a token of SOPS's", lambda _: CLEAR.replace(b"a: x", b"a: " + SOPS_VALUE.encode())),
    "beside a Secret that is sealed, in an object of another kind": (
        "a is a token of SOPS's",
        lambda sealed: (
            sealed
            + b"---\n"
            + CLEAR.replace(b"kind: Secret", b"kind: ConfigMap").replace(b"a: x", b"a: " + SOPS_VALUE.encode())
        ),
    ),
    "base64 of SOPS's": (
        "is a token that was base64-encoded",
        lambda _: CLEAR.replace(b"stringData:\n  a: x", b"data:\n  a: " + b64(SOPS_VALUE).encode()),
    ),
}


def lost(me: Person, name: str) -> str:
    """Writes that case's file, which holds no value in the clear; the words that every command is to use."""
    sealed = me.write_sealed("deploy/f.yaml").read_bytes()
    assert is_sealed(sealed)
    words, make = LOST[name]
    me.write("deploy/f.yaml", make(sealed))
    return words


@pytest.mark.parametrize("name", LOST)
def test_nothing_is_handed_to_kubectl(me: Person, tmp_path: Path, name: str) -> None:
    kubectl, words = Kubectl(tmp_path, me), lost(me, name)
    me.write("deploy/fine.yaml", CLEAR)
    for arguments in (["deploy/f.yaml"], ["-r", "deploy"]):
        assert words in me.fails(5, "apply", *arguments)
        assert not kubectl.ran


@pytest.mark.parametrize("name", LOST)
def test_nothing_is_printed_run_or_called_sound(me: Person, name: str) -> None:
    words = lost(me, name)
    decrypt = (["decrypt"], ["decrypt", "-x"], ["decrypt", "--output-format", "json"])
    for words_of_command in (*decrypt, ["exec"]):
        more = ["--", "env"] if words_of_command == ["exec"] else []
        ran = me.run(*words_of_command, "deploy/f.yaml", *more)
        assert (ran.code, ran.out) == (5, b""), ran.err
        assert words in ran.err
    assert words in me.fails(1, "verify", "deploy/f.yaml")
    if name != "beside a Secret that is sealed":
        key = me.ok("get", "deploy/f.yaml").out.split()[0].decode()
        assert words in me.fails(5, "get", "deploy/f.yaml", key)
    before = (me.work / "deploy/f.yaml").read_bytes()
    me.fails(5, "decrypt", "-i", "deploy/f.yaml")
    assert (me.work / "deploy/f.yaml").read_bytes() == before


@pytest.mark.parametrize("name", [name for name in LOST if name != "base64 of kubesec's"])
def test_a_walk_through_folders_meets_it(me: Person, name: str) -> None:
    words = lost(me, name)
    ran = me.run("verify", "-r", "deploy")
    assert (ran.code, words in ran.err) == (1, True), ran.err
    ran = me.run("decrypt", "-r", "deploy")
    assert (ran.code, words in ran.err, ran.out) == (5, True, b""), ran.err


@pytest.mark.parametrize("name", LOST)
def test_kustomize_gets_nothing(me: Person, name: str) -> None:
    words = lost(me, name)
    config = {"apiVersion": "ksecret.dev/v1alpha1", "kind": "KsecretGenerator", "files": ["deploy/f.yaml"]}
    me.write("config.yaml", json.dumps(config).encode())
    ran = me.run("config.yaml", program=me.environ["PATH"].split(":")[0] + "/ksecret-krm")
    assert (ran.code, ran.out) == (1, b"")
    assert words in ran.err


@pytest.mark.parametrize("name", [name for name in LOST if not name.startswith("beside a Secret that is sealed")])
def test_encrypt_uses_the_same_words(me: Person, name: str) -> None:
    assert lost(me, name) in me.fails(3, "encrypt", "deploy/f.yaml")


def test_any_object_that_sops_has_sealed_is_kept_from_the_cluster(me: Person, tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path, me)
    config_map = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: '{SOPS_VALUE}'}}\n"
    me.write("c.yaml", config_map.encode() + SOPS_METADATA.encode())
    assert "it is sealed by SOPS" in me.fails(5, "apply", "c.yaml")
    assert not kubectl.ran


def test_a_token_in_utf_16_is_met_too(me: Person, tmp_path: Path) -> None:
    kubectl, text = Kubectl(tmp_path, me), without_envelope(me.write_sealed("f.yaml").read_bytes()).decode()
    me.write("f.yaml", text.encode("utf-16"))
    assert "not UTF-8" in me.fails(3, "apply", "f.yaml")
    assert not kubectl.ran


def test_sealed_text_that_is_spelled_in_escapes_is_opened_and_not_taken_for_clear(me: Person, tmp_path: Path) -> None:
    kubectl, sealed = Kubectl(tmp_path, me), me.ok("encrypt", "-k", me.ref, "-", stdin=CLEAR).out
    tokens = re.sub(rb": k(secret\.v1\.\S+)", rb': "\\x6b\1"', sealed)
    for name, member in (("a", rb'"\x6bsecret":'), ("b", b'? "k\\\n    secret"\n:')):
        me.write(f"deploy/{name}.yaml", tokens.replace(b"\nksecret:", b"\n" + member))
        assert b"ksecret" not in (me.work / f"deploy/{name}.yaml").read_bytes()
    assert "2 verified" in me.run("verify", "-r", "deploy").err
    me.ok("apply", "deploy/a.yaml", "deploy/b.yaml")
    assert kubectl.ran
    assert b".v1." not in (tmp_path / "kubectl" / "stdin").read_bytes()


def test_what_only_looks_a_little_like_it_is_handed_on(me: Person, tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path, me)
    me.write("f.yaml", CLEAR.replace(b"a: x", b"a: ENC[no]\n  b: see ksecret.v1\n  c: AAAA.BBBB"))
    me.write(
        "sops-docs.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {sops: 'ENC[AES256_GCM,'}\n"
    )
    me.ok("apply", "f.yaml", "sops-docs.yaml")
    assert kubectl.ran
    assert b64("see ksecret.v1").encode() in (tmp_path / "kubectl" / "stdin").read_bytes()


@pytest.mark.parametrize("name", ["values.yaml", "values.json"])
def test_a_tree_that_lost_its_metadata_is_not_passed_on(me: Person, name: str) -> None:
    """Helm, say, would take its tokens for values."""
    tree = {"db": {"hosts": ["a", SOPS_VALUE]}}
    me.write(name, json.dumps(tree).encode())
    for words in (["decrypt"], ["decrypt", "--if-needed"], ["render"], ["inspect"]):
        message = me.fails(5, *words, name)
        assert "hosts is a token of SOPS's" in message, words
    me.write(name, json.dumps(tree).replace(SOPS_VALUE, f"see {SOPS_VALUE}").encode())
    assert me.ok("decrypt", "--if-needed", name).out
