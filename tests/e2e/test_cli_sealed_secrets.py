"""`ksecret convert --sealed-secrets-key`: files that the real kubeseal made are opened offline, and sealed at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from secretsvc.errors import InputError, KsecretError, NoKeyError
from secretsvc.operations.request import Request
from secretsvc.operations.sealed_secret_keys import SealedSecretKeys, read_keys
from secretsvc.operations.sealed_secrets import from_sealed_secrets
from tests.e2e.cli import CONFIG_MAP, MARK, PASSWORD, USER, Person, b64, is_sealed, key_refs
from tests.support import LOCK, NO_CHANGE

DATA = Path(__file__).parents[1] / "data" / "sealed-secrets"
KEYS = DATA / "keys.yaml"
OPENED = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "kubernetes.io/basic-auth",
    "metadata": {"name": "db", "namespace": "prod", "labels": {"app": "web"}, "annotations": {"team": "shop"}},
    "data": {
        "empty": "",
        "password": b64(PASSWORD),
        "raw": b64(b"\xff\x00" + MARK.encode()),
        "username": b64(f"admin {MARK}"),
    },
}
FILES = ("strict.yaml", "namespace-wide.yaml", "cluster-wide.json")


def pem(number: int) -> bytes:
    """A controller's key by itself, behind its certificate, as both may stand in one file."""
    data = yaml.safe_load(KEYS.read_text())["items"][number]["data"]
    return b64decode(data["tls.crt"]) + b64decode(data["tls.key"])


def opened(me: Person, name: str) -> dict[str, Any]:
    sealed = (me.work / name).read_bytes()
    assert b"encryptedData" not in sealed
    assert not [mark for mark in (MARK, b64(PASSWORD)) if mark.encode() in sealed]
    found: dict[str, Any] = yaml.safe_load(me.ok("decrypt", name).out)
    return found


def sealed_value(value: bytes, label: bytes = b"prod/db") -> str:
    """As kubeseal seals one, for the old key."""
    key = load_pem_private_key(pem(0).partition(b"-----END CERTIFICATE-----\n")[2], None)
    assert isinstance(key, RSAPrivateKey)
    session = os.urandom(32)
    wrapped = key.public_key().encrypt(session, OAEP(MGF1(SHA256()), SHA256(), label))
    return b64(len(wrapped).to_bytes(2, "big") + wrapped + AESGCM(session).encrypt(bytes(12), value, None))


def sealed_secret(values: dict[str, Any], template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "prod"},
        "spec": {"encryptedData": values, "template": template, **spec},
    }


def test_every_scope_opens_with_the_keys_as_kubectl_prints_them(me: Person) -> None:
    for name in FILES:
        shutil.copy(DATA / name, me.work / name)
    me.write("map.yaml", CONFIG_MAP)
    ran = me.ok("convert", "--sealed-secrets-key", "-", "-r", ".", stdin=KEYS.read_bytes())
    assert ran.err == "ksecret: 3 converted, 0 unchanged, 1 skipped, 0 failed\n"
    for name in FILES:
        assert opened(me, name) == OPENED
    assert (me.work / "strict.yaml").read_bytes().startswith(b"---\napiVersion: v1\n")
    assert json.loads((me.work / "cluster-wide.json").read_text())["kind"] == "Secret"
    assert me.names() == sorted([*FILES, "map.yaml"])


def test_pem_files_are_taken_and_what_stands_around_a_document_stays(me: Person) -> None:
    me.write("old.pem", pem(0))
    me.write("new.pem", pem(1))
    text = b"# the team's\n" + CONFIG_MAP + (DATA / "strict.yaml").read_bytes() + b"# behind\n---\n" + CONFIG_MAP
    me.write("all.yaml", text)
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{path: all.yaml, keys: ['{me.ref}']}}]\n".encode())
    words = ["--sealed-secrets-key", "new.pem", "--sealed-secrets-key", "old.pem", "all.yaml"]
    printed = me.ok("convert", *words, "-o", "-").out
    assert (me.work / "all.yaml").read_bytes() == text
    assert printed.startswith(b"# the team's\n" + CONFIG_MAP + b"---\napiVersion: v1\n")
    assert printed.endswith(b"# behind\n---\n" + CONFIG_MAP)
    assert key_refs(printed) == [me.ref]
    assert is_sealed(printed)
    assert list(yaml.safe_load_all(me.ok("decrypt", "-", stdin=printed).out))[1] == OPENED


def test_templates_types_and_the_first_versions_form(me: Person) -> None:
    values = {"password": sealed_value(PASSWORD.encode()), "gone": sealed_value(b"x")}
    template = {
        "metadata": {
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "a"},
        },
        "immutable": True,
        "data": {"plain": "as it is", "url": 'db://{{ .user }}:{{ index . "password" }}@x', "user": "me", "gone": None},
    }
    me.write("t.yaml", yaml.safe_dump(sealed_secret(values, template)).encode())
    me.ok("convert", "--sealed-secrets-key", str(KEYS), "t.yaml")
    found = opened(me, "t.yaml")
    made = {"plain": "as it is", "url": f"db://me:{PASSWORD}@x", "user": "me", "password": PASSWORD}
    assert found["data"] == {key: b64(text) for key, text in made.items()}
    assert found["immutable"] is True
    assert found["metadata"] == {"name": "db", "namespace": "prod", **template["metadata"]}
    whole = json.dumps({**OPENED, "metadata": {"name": "other", "labels": {"app": "web"}}}).encode()
    me.write("first.yaml", yaml.safe_dump(sealed_secret({}, data=sealed_value(whole))).encode())
    me.ok("convert", "--sealed-secrets-key", str(KEYS), "first.yaml")
    assert opened(me, "first.yaml")["metadata"] == {"name": "db", "namespace": "prod", "labels": {"app": "web"}}


def refused(given: dict[str, Any] | str, told: str, keys: SealedSecretKeys | None = None) -> KsecretError:
    """What is raised before anything is sealed."""
    text = given if isinstance(given, str) else yaml.safe_dump(given)
    request = Request(NO_CHANGE, lambda *_: (), "", "")
    keys = keys or read_keys([("keys.yaml", KEYS.read_bytes())])
    with pytest.raises(KsecretError, match=told) as caught:
        from_sealed_secrets(text.encode(), keys, request, LOCK.keyring)
    assert MARK not in f"{caught.value.told}{caught.value.hint}"
    return caught.value


def test_what_is_bound_elsewhere_altered_or_another_key_s_does_not_open() -> None:
    strict, wide = ((DATA / name).read_text() for name in FILES[:2])
    value = sealed_value(b"x")
    spoilt = (value[:-8] + "AAAAAAA=", b64(b"\1"), b64(b"\xff\xff" + bytes(40)), b64(b""))
    for given in (
        strict.replace("  name: db\n  namespace", "  name: other\n  namespace"),
        strict.replace("  namespace: prod", "  namespace: dev"),
        wide.replace("prod", "dev"),
        wide.replace('namespace-wide: "true"', 'namespace-wide: "1"'),
        *(sealed_secret({"a": one}) for one in spoilt),
    ):
        error = refused(given, "none of 2 keys opens it")
        assert isinstance(error, NoKeyError)
        assert error.line
    refused(strict.replace("\n  namespace: prod", ""), "bound to a namespace, and it names none")
    old = read_keys([("old.pem", pem(0))])
    refused(wide, "prod/db: empty: the key does not open it", old)


def test_what_is_not_taken_is_refused_with_a_way_out() -> None:
    value = {"b": sealed_value(MARK.encode())}
    for given, told in (
        (sealed_secret(value, {"data": {"a": "{{ .b | b64enc }}"}}), "asks for more than values by their names"),
        (sealed_secret(value, {"data": {"b": "x"}}), "stands in both"),
        (sealed_secret({"b": "!"}), "b is not base64"),
        ({**sealed_secret({}), "spec": {"encryptedData": [MARK]}}, "encryptedData is no mapping"),
        (sealed_secret({}, data=sealed_value(MARK.encode())), "spec.data is no Secret"),
        (sealed_secret({}, data=sealed_value(b'["' + MARK.encode() + b'"]')), "spec.data is no Secret"),
        *((sealed_secret(value, {"data": wrong}), "template: data is no mapping") for wrong in ([MARK], MARK, 1)),
        (CONFIG_MAP.decode(), "no SealedSecret is a document of it"),
    ):
        refused(given, told)


def test_templates_that_were_made_to_cost_are_refused_whatever_one_of_them_writes() -> None:
    """Whoever may write to the repository chose them."""
    keys = read_keys([("keys.yaml", KEYS.read_bytes())])
    values = {f"v{number}": "x" * 100 for number in range(30)}
    for deep, body in ((5, "{{ $k }}"), (40, "")):
        bomb = "{{ range $k, $v := $ }}" * deep + body + "{{ end }}" * deep
        assert refused(sealed_secret({}, {"data": {**values, "a": bomb}}), "write more than 8 MiB", keys).hint
    each = "{{ range $v := $ }}{{ $v }}{{ end }}"
    many = {f"v{number}": each for number in range(400)}
    refused(sealed_secret({}, {"data": many}), "write more than 8 MiB", keys)


def test_what_holds_no_key_is_refused(me: Person) -> None:
    for data, told in (
        (CONFIG_MAP, "no private key of a controller is in it"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged, or not of RSA"),
        (b"kind: Secret\ndata: {tls.key: '!'}\n", "its tls.key is not base64"),
    ):
        with pytest.raises(InputError, match=told):
            read_keys([("keys", data)])
    before = process_time()
    with pytest.raises(InputError, match="no private key of a controller is in it"):
        read_keys([("keys", b"-----BEGIN PRIVATE KEY-----\n" * 10_000)])
    assert process_time() - before < 1
    me.write("none.yaml", CONFIG_MAP)
    text = (DATA / "strict.yaml").read_bytes()
    me.write("a.yaml", text)
    assert "none.yaml: no private key" in me.fails(3, "convert", "--sealed-secrets-key", "none.yaml", "a.yaml")
    assert "once only" in me.fails(2, "convert", "--sealed-secrets-key", "-", "-")
    assert "first" in me.fails(2, "convert", "--sealed-secrets-key", "x", "--to", "sops", "a.yaml")
    assert (me.work / "a.yaml").read_bytes() == text


@pytest.mark.skipif(not shutil.which("kubeseal"), reason="scripts/go-tools builds kubeseal where there is a Go")
def test_what_the_kubeseal_of_this_machine_seals_is_opened(me: Person, tmp_path: Path) -> None:
    (tmp_path / "new.crt").write_bytes(pem(1))
    clear = yaml.safe_dump({**OPENED, "data": {"user": b64(USER)}}).encode()
    words = ("kubeseal", "--cert", str(tmp_path / "new.crt"), "-o", "yaml", "--scope")
    scopes = ("strict", "namespace-wide", "cluster-wide")
    for scope in scopes:
        made = subprocess.run([*words, scope], input=clear, stdout=subprocess.PIPE, check=True).stdout
        me.write(f"{scope}.yaml", made)
    me.ok("convert", "--sealed-secrets-key", str(KEYS), *(f"{scope}.yaml" for scope in scopes))
    for scope in scopes:
        assert opened(me, f"{scope}.yaml") == {**OPENED, "data": {"user": b64(USER)}}
