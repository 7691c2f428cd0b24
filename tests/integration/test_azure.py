"""The Azure Key Vault backend, with Microsoft's real libraries, against the emulator over the wire and TLS."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyrage
import pytest

from secretsvc.backends import azure as azure_scheme
from secretsvc.backends.azure import SCHEME, backend, vault_key
from secretsvc.cli.main import main
from secretsvc.errors import AlteredError, BackendError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.emulators import azure
from tests.integration.azure_support import CONTEXT, DEK, certificates, failure, made, ref, says, vault

__all__ = ["certificates", "ref", "vault"]  # fixtures, for pytest to find here

VERSION = "0123456789abcdef" * 2
SHARE = bytes(range(33))


# Names of keys


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        (
            f" https://Shop.Vault.Azure.NET/keys/App-1/{VERSION.upper()}\n",
            f"https://shop.vault.azure.net/keys/App-1/{VERSION}",
        ),
        ("https://shop.vault.azure.net:443/keys/app/", "https://shop.vault.azure.net/keys/app"),
        (
            f"https://shop.managedhsm.azure.net/keys/app/{VERSION}",
            f"https://shop.managedhsm.azure.net/keys/app/{VERSION}",
        ),
        ("https://kv.internal.example:8443/keys/app", "https://kv.internal.example:8443/keys/app"),
    ],
)
def test_an_identifier_has_one_spelling(text: str, identifier: str) -> None:
    assert SCHEME.parse(text) == KeyRef("azure", identifier)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"http://shop.vault.azure.net/keys/app/{VERSION}", "reached over TLS only"),
        ("https://shop.vault.azure.net/secrets/app", "a secret or a certificate of Azure Key Vault, not a key"),
        ("https://user:hunter2@shop.vault.azure.net/keys/app", "not the identifier"),
        ("https://shop.vault.azure.net/keys/app?hunter2", "not the identifier"),
        ("https://shop.vault.azure.net/keys/../secrets/hunter2", "not the identifier"),
        ("https://shop.vault.azure.net\\.hunter2.example/keys/app", "not the identifier"),
        ("https://shop.vault.azure.net/keys/app/hunter2", "not the identifier"),
        (f"https://shop.vault.azure.net/keys/app/{VERSION}/hunter2", "not the identifier"),
        ("shop.vault.azure.net/keys/app", "not the identifier"),
    ],
)
def test_other_spellings_are_refused_and_not_shown(text: str, message: str) -> None:
    error = failure(SCHEME.parse, text)
    says(error, KeyRefError, message, "az keyvault key show")
    assert "hunter2" not in f"{error}{error.hint}"


def test_only_hosts_of_azures_own_domains_need_no_scheme() -> None:
    assert SCHEME.is_bare(f"https://shop.vault.azure.net/keys/app/{VERSION}")
    for text in (
        "https://shop.example/keys/app",
        "https://vault.azure.net/keys/app",
        "https://a.b.vault.azure.net/keys/x",
    ):
        assert not SCHEME.is_bare(text)
    for host in ("vault.azure.net.evil.example", "evilvault.azure.net", "a.b.vault.azure.net", ".vault.azure.net"):
        assert not azure_scheme.is_of_azure(host)


# Wrapping and unwrapping


def test_a_dek_is_wrapped_here_by_the_public_half_that_is_fetched_once(vault: azure.Emulator, ref: KeyRef) -> None:
    ours = made()
    wrapped = [ours.wrap(ref, DEK, CONTEXT) for _ in range(3)]
    assert vault.calls == {"get": 1}
    assert all(len(one) == 256 for one in wrapped)
    assert ours.unwrap(ref, wrapped[0], {}) == DEK
    assert vault.calls == {"get": 1, "unwrapkey": 1}
    assert vault.tokens == 1


def test_it_is_rsa_oaep_with_sha_256_on_both_sides(vault: azure.Emulator, ref: KeyRef) -> None:
    version = vault.version(ref.id)
    assert version.work("unwrapkey", "RSA-OAEP-256", made().wrap(ref, SHARE, {})) == SHARE
    assert made().unwrap(ref, version.work("wrapkey", "RSA-OAEP-256", DEK), {}) == DEK


def test_a_managed_hsm_wraps_by_aes_what_an_independent_rfc_3394_opens(vault: azure.Emulator) -> None:
    ref = KeyRef("azure", vault.create_key("kek", azure.HSM, "oct-HSM"))
    ours = made()
    for dek, length in ((DEK, 40), (SHARE, 48)):
        wrapped = ours.wrap(ref, dek, CONTEXT)
        assert len(wrapped) == length
        assert vault.version(ref.id).work("unwrapkey", "A256KW", wrapped).startswith(dek)
        assert ours.unwrap(ref, wrapped, CONTEXT) == dek
        bent = bytes([wrapped[0] ^ 1]) + wrapped[1:]
        says(failure(ours.unwrap, ref, bent, CONTEXT), AlteredError, "altered, or wrapped by another key", "restore")


def test_padding_of_shares_is_taken_off_where_it_was_put_on_only() -> None:
    for length in (1, 16, 32, 33, 40):
        assert vault_key.unpadded(vault_key.padded(bytes(length))) == bytes(length)
        assert len(vault_key.padded(bytes(length))) % 8 == 0
    for odd in (b"", b"\0" * 40, b"\1" * 32, b"x" * 39 + b"\2"):
        assert vault_key.unpadded(odd) == odd or odd == b"\1" * 40


def test_foreign_and_misshapen_wrapped_deks_are_refused(vault: azure.Emulator, ref: KeyRef) -> None:
    ours, other = made(), KeyRef("azure", vault.create_key("other"))
    wrapped = ours.wrap(ref, DEK, {})
    says(failure(ours.unwrap, other, wrapped, {}), AlteredError, "altered, or wrapped by another key")
    for odd in (b"", b"\0" * (vault_key.MAX_WRAPPED_BYTES + 1)):
        says(failure(ours.unwrap, ref, odd, {}), AlteredError, "empty or too long")
    lone = KeyRef("azure", ref.id.rpartition("/")[0])
    says(failure(ours.unwrap, lone, wrapped, {}), AlteredError, "the name of its key has no version", "restore")


# Versions


def test_the_newest_version_is_found_and_older_ones_open_still(vault: azure.Emulator, ref: KeyRef) -> None:
    ours, lone = made(), KeyRef("azure", ref.id.rpartition("/")[0])
    old = ours.wrap(ours.resolve(lone), DEK, {})
    newer = KeyRef("azure", vault.create_key("app"))
    assert ours.resolve(ref) == ref
    assert made().resolve(lone) == newer
    assert made().unwrap(ref, old, {}) == DEK
    says(failure(made().wrap, lone, DEK, {}), KeyRefError, "names no version of the key", "az keyvault key show")


def test_what_a_vault_says_of_a_key_counts_for_a_minute(
    vault: azure.Emulator, ref: KeyRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = made()
    ours.wrap(ref, DEK, {})
    vault.version(ref.id).attributes["enabled"] = False
    ours.wrap(ref, DEK, {})
    monkeypatch.setattr(backend, "_FRESH", 0.0)
    says(failure(ours.wrap, ref, DEK, {}), BackendError, "is disabled", "set-attributes --enabled true")


# Whom a token is sent to


@pytest.mark.parametrize(
    "host", ["vault.example.test", "kv.vault.azure.net.evil.example", "a.b.vault.azure.net", "127.0.0.1:1"]
)
def test_no_request_is_made_of_a_host_that_is_not_azures(vault: azure.Emulator, host: str) -> None:
    stranger = KeyRef("azure", f"https://{host}/keys/app/{VERSION}")
    for work, data in ((made().wrap, DEK), (made().unwrap, b"x" * 256)):
        says(
            failure(work, stranger, data, {}),
            BackendError,
            "no token is sent to it",
            f"KSECRET_AZURE_ADDRESSES=https://{host}",
        )
    assert not vault.seen
    assert not vault.tokens


def test_a_host_that_the_operator_names_gets_one_by_its_own_challenge(vault: azure.Emulator) -> None:
    ref = KeyRef("azure", vault.create_key("app", "kv.vault.example.test"))
    ours = made(KSECRET_AZURE_ADDRESSES="https://other.example, https://KV.vault.example.test:443/")
    assert ours.unwrap(ref, ours.wrap(ref, DEK, {}), {}) == DEK
    assert {token.split(".", 1)[1] for _, _, token in vault.seen if token} == {"vault.example.test.1"}


def test_a_challenge_for_another_domains_token_gets_none(vault: azure.Emulator) -> None:
    ref = KeyRef("azure", vault.create_key("app", "unknown.vault.azure.net"))
    vault.challenge_resource = "https://graph.microsoft.com"
    says(
        failure(made().wrap, ref, DEK, {}),
        BackendError,
        "asks for a token of another domain than its own, and gets none",
    )
    assert not any(token for _, _, token in vault.seen)
    assert not vault.tokens


def test_a_redirect_is_not_followed(vault: azure.Emulator, ref: KeyRef) -> None:
    vault.faults = [azure.Fault("redirect")]
    says(failure(made().wrap, ref, DEK, {}), BackendError, "sends the call on to another address", "proxies")
    assert {host for host, _, _ in vault.seen} == {azure.VAULT, azure.LOGIN}


@pytest.mark.parametrize(
    "text", ["http://kv.example", "kv.example", "https://a:hunter2@kv.example", "https://kv.example/hunter2"]
)
def test_what_is_no_address_is_refused_and_not_shown(text: str) -> None:
    ref = KeyRef("azure", f"https://kv.example/keys/app/{VERSION}")
    error = failure(made(KSECRET_AZURE_ADDRESSES=text).wrap, ref, DEK, {})
    says(error, BackendError, "KSECRET_AZURE_ADDRESSES has what is no address", "https://HOST")
    assert "hunter2" not in f"{error}{error.hint}"


def test_the_first_request_has_neither_a_token_nor_a_dek(vault: azure.Emulator) -> None:
    """It asks for the challenge: who answers it is not known yet."""
    ref = KeyRef("azure", vault.create_key("kek", host := "first.managedhsm.azure.net", "oct-HSM"))
    vault.denied = {"get": "AccessDenied"}
    failure(made().wrap, ref, DEK, {})
    assert next(token for at, _, token in vault.seen if at == host) == ""


# Many at a time


def test_many_threads_sign_in_once_and_ask_for_one_challenge(vault: azure.Emulator, ref: KeyRef) -> None:
    ours = made()
    wrapped = vault.version(ref.id).work("wrapkey", "RSA-OAEP-256", DEK)
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: ours.unwrap(ref, wrapped, {}), range(32))) == {DEK}
    assert vault.tokens == 1
    assert [token for host, _, token in vault.seen if host == azure.VAULT].count("") <= 1


def test_a_token_is_renewed_before_its_end(vault: azure.Emulator, ref: KeyRef, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = made()
    wrapped = ours.wrap(ref, DEK, {})
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3500)
    monkeypatch.setattr("secretsvc.backends.azure.client.time", lambda: now() + 3500)
    assert ours.unwrap(ref, wrapped, {}) == DEK
    assert vault.tokens == 2


def test_the_emulator_by_hand() -> None:
    command = [sys.executable, "-m", "tests.emulators.azure", "--fault", "throttle:1000"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told: dict[str, Any] = {}
            while "KSECRET_KEYS" not in told:
                name, _, told_value = process.stdout.readline().strip().removeprefix("export ").partition("=")
                told[name] = told_value
            assert told["HTTPS_PROXY"].startswith("http://127.0.0.1:")
            assert told["KSECRET_KEYS"].startswith(f"azure:https://{azure.VAULT}/keys/demo/")
        finally:
            process.terminate()


def test_a_name_without_version_is_looked_up_when_sealing_and_check_knows_which_version_it_stands_for(
    vault: azure.Emulator,
    ref: KeyRef,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    lone = f"azure:{ref.id.rpartition('/')[0]}"
    policy = "version: 1\npeople: {{app: '{0}'}}\nrules: [{{keys: [app]}}]\n"
    (tmp_path / ".ksecret.yaml").write_text(policy.format(lone))
    manifest = tmp_path / "s.yaml"
    manifest.write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: prod}\nstringData: {a: hunter2}\n"
    )
    assert main(["encrypt", "-i", "s.yaml"]) == 0
    assert f"azure:{ref.id}: " in manifest.read_text()
    newer = vault.create_key("app")
    assert main(["check", "s.yaml"]) == 0
    assert main(["inspect", "s.yaml"]) == 0
    assert f"app (azure:{ref.id})" in capfd.readouterr().out
    assert main(["decrypt", "s.yaml"]) == 0
    assert "hunter2" in capfd.readouterr().out
    assert main(["keys", "sync", "s.yaml"]) == 0  # to the newest, by a new data key
    assert f"azure:{newer}: " in manifest.read_text()
    assert f"azure:{ref.id}: " not in manifest.read_text()
    assert main(["doctor"]) == 0
    assert f"ok    app (azure:{newer}): seals and opens" in capfd.readouterr().out
    other = lone.replace("/app", "/other")
    (tmp_path / ".ksecret.yaml").write_text(f"version: 1\nrules: [{{keys: ['{other}']}}]\n")
    assert main(["check", "s.yaml"]) == 1
    assert f"not sealed to {other}; sealed to azure:{newer} as well" in capfd.readouterr().out
    assert main(["keys", "sync", "s.yaml"]) == 2
    assert ".ksecret.yaml:2: there is no such key" in capfd.readouterr().err


def test_a_name_without_version_takes_each_version_away_and_asks_no_vault(
    vault: azure.Emulator,
    ref: KeyRef,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    identity = pyrage.x25519.Identity.generate()
    monkeypatch.setenv("KSECRET_AGE_KEY", str(identity))
    own = str(identity.to_public())
    lone = f"azure:{ref.id.rpartition('/')[0]}"
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: prod}\nstringData: {a: hunter2}\n"
    (tmp_path / "clear.yaml").write_text(text)
    assert main(["encrypt", "-k", own, "-k", f"azure:{ref.id}", "-o", "older.yaml", "clear.yaml"]) == 0
    vault.create_key("app")
    assert main(["encrypt", "-k", own, "-k", lone, "-o", "newer.yaml", "clear.yaml"]) == 0
    sops = ["encrypt", "--format", "sops", "-k", own, "-k", f"azure:{ref.id}", "-o", "sops.yaml", "clear.yaml"]
    assert main(sops) == 0
    files = ["older.yaml", "newer.yaml", "sops.yaml"]
    before = vault.calls.total()
    assert main(["keys", "remove", "-k", lone, *files]) == 0
    assert "nothing here was sealed to" not in capfd.readouterr().err
    assert vault.calls.total() == before
    for name in files:
        assert azure.VAULT not in (tmp_path / name).read_text()
        assert main(["decrypt", name]) == 0
    assert main(["keys", "remove", "-k", lone, *files]) == 0
    assert f"nothing here was sealed to {lone}" in capfd.readouterr().err
