"""The Azure Key Vault backend when Azure refuses, fails, throttles, hangs, or isn't there."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import pytest

from secretsvc.backends.azure import choosing
from secretsvc.errors import AlteredError, BackendError, BackendUnavailableError, KeyRefError, KsecretError
from secretsvc.keyref import KeyRef
from tests.emulators import azure
from tests.integration.azure_support import DEK, certificates, failure, made, ref, says, vault
from tests.support import quiet_port

__all__ = ["certificates", "ref", "vault"]  # fixtures, for pytest to find here


@pytest.fixture
def wrapped(vault: azure.Emulator, ref: KeyRef) -> bytes:
    return vault.version(ref.id).work("wrapkey", "RSA-OAEP-256", DEK)


# What a vault refuses


@pytest.mark.parametrize(
    ("inner", "message", "hint"),
    [
        (
            "ForbiddenByRbac",
            "denied by its role assignments: keys/unwrapKey is missing",
            "Crypto Service Encryption User",
        ),
        ("AccessDenied", "denied by the vault's access policy: keys/unwrapKey is missing", "az keyvault set-policy"),
        ("ForbiddenByFirewall", "the firewall of demo.vault.azure.net does not let", "network-rule add"),
        ("ForbiddenByConnection", "takes no calls from public networks", "private endpoint"),
        ("Other", "access to demo.vault.azure.net is denied: keys/unwrapKey is missing", "az account show"),
    ],
)
def test_who_is_kept_out_and_by_what(
    vault: azure.Emulator, ref: KeyRef, wrapped: bytes, inner: str, message: str, hint: str
) -> None:
    vault.denied = {"*": inner}
    says(failure(made().unwrap, ref, wrapped, {}), BackendError, message, hint)


def test_who_may_not_look_at_a_key_has_it_wrap_and_unwrap(vault: azure.Emulator, ref: KeyRef) -> None:
    vault.denied = {"get": "AccessDenied"}
    ours = made()
    assert ours.unwrap(ref, ours.wrap(ref, DEK, {}), {}) == DEK
    lone = KeyRef("azure", ref.id.rpartition("/")[0])
    says(failure(ours.resolve, lone), BackendError, "access .* is denied: keys/get is missing", "assign the role")


def test_who_was_granted_what_sops_asks_for_opens_by_that(vault: azure.Emulator, ref: KeyRef, wrapped: bytes) -> None:
    vault.denied = {"unwrapkey": "AccessDenied", "wrapkey": "AccessDenied", "get": "AccessDenied"}
    ours = made()
    assert ours.unwrap(ref, wrapped, {}) == ours.unwrap(ref, ours.wrap(ref, DEK, {}), {}) == DEK
    assert vault.calls == {"unwrapkey": 1, "decrypt": 2, "get": 1, "wrapkey": 1, "encrypt": 1}


@pytest.mark.parametrize(
    ("attributes", "message", "hint"),
    [
        ({"enabled": False}, "is disabled", "set-attributes --enabled true"),
        ({"exp": 1_600_000_000}, "has expired", "az keyvault key rotate"),
        ({"nbf": 4_000_000_000}, "is not valid yet", "not-before"),
    ],
)
@pytest.mark.parametrize("may_look", [True, False])
def test_nothing_is_sealed_to_a_key_that_may_not_be_used(
    vault: azure.Emulator, ref: KeyRef, attributes: dict[str, Any], message: str, hint: str, may_look: bool
) -> None:
    vault.version(ref.id).attributes |= attributes
    if not may_look:
        vault.denied = {"get": "AccessDenied"}
    if may_look or "enabled" not in attributes:  # a vault wraps under a key that is disabled
        says(failure(made().wrap, ref, DEK, {}), BackendError, message, hint)


def test_what_a_disabled_version_wrapped_does_not_open_and_an_expired_one_does(
    vault: azure.Emulator, ref: KeyRef, wrapped: bytes
) -> None:
    vault.version(ref.id).attributes |= {"exp": 1_600_000_000}
    assert made().unwrap(ref, wrapped, {}) == DEK
    vault.version(ref.id).attributes |= {"enabled": False}
    says(failure(made().unwrap, ref, wrapped, {}), BackendError, "that version .* is disabled", "--enabled true")


def test_a_key_that_is_not_there_or_was_deleted(vault: azure.Emulator, ref: KeyRef, wrapped: bytes) -> None:
    other = KeyRef("azure", ref.id.replace("/app/", "/other/"))
    says(failure(made().wrap, other, DEK, {}), KeyRefError, "there is no such key", "az keyvault key list-versions")
    says(failure(made().unwrap, other, wrapped, {}), BackendError, "no such version of it, in demo.vault.azure.net")
    vault.delete_key(ref.id)
    for work, data in ((made().wrap, DEK), (made().unwrap, wrapped)):
        says(
            failure(work, ref, data, {}),
            BackendError,
            "was deleted, and can still be recovered",
            "key recover --name app",
        )


def test_a_key_that_is_not_for_wrapping(vault: azure.Emulator, ref: KeyRef) -> None:
    vault.version(ref.id).operations = ["sign", "verify"]
    says(failure(made().wrap, ref, DEK, {}), KeyRefError, "operations leave out", "az keyvault key create --kty RSA")
    curve = KeyRef("azure", vault.create_key("curve", kty="EC"))
    says(failure(made().wrap, curve, DEK, {}), KeyRefError, "neither an RSA key nor an AES key", "--kty RSA")


@pytest.mark.parametrize("kind", ["garbage", "list", "odd", "404"])
def test_what_is_no_answer_of_key_vaults(vault: azure.Emulator, ref: KeyRef, wrapped: bytes, kind: str) -> None:
    vault.faults = [azure.Fault(kind)]
    for work, data in ((made().wrap, DEK), (made().unwrap, wrapped)):
        says(failure(work, ref, data, {}), BackendError, "something that is not Azure Key Vault answers at", "proxies")


def test_no_answer_is_read_without_an_end(vault: azure.Emulator, ref: KeyRef, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = made()
    assert ours.wrap(ref, DEK, {})
    monkeypatch.setattr("secretsvc.backends.bounded.MOST_BYTES", 50)
    says(failure(made().wrap, ref, DEK, {}), BackendError, "something that is not Azure Key Vault answers at")


class Says:
    """In a connection's place: gives every call the same answer."""

    hosts = (azure.VAULT,)

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def ask(self, *_: object) -> Any:
        return self.answer


def test_a_list_of_keys_may_be_anything_and_names_no_other_vault_s() -> None:
    own, other = (f"https://{host}/keys/app" for host in (azure.VAULT, "other.vault.azure.net"))
    items = [None, 1, {}, {"kid": 1}, {"kid": other}, {"kid": own, "attributes": 1}]
    items.append({"kid": f"{own}2", "attributes": {"enabled": False}})
    found = choosing.offers(Says({"value": items, "nextLink": "https://[?x"}))  # type: ignore[arg-type]
    assert [offer.ref.id for offer in found] == [own]
    assert not choosing.offers(Says({"value": "x"}))  # type: ignore[arg-type]


# Credentials


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("AADSTS7000215", "does not accept the client secret", "the secret's value, not its id"),
        ("AADSTS7000222", "the client secret has expired", "credential reset"),
        ("AADSTS700016", "knows no application of that client id", "AZURE_CLIENT_ID"),
        ("AADSTS99999", "were refused, or can't be used", "az login"),
    ],
)
def test_what_entra_id_refuses(vault: azure.Emulator, ref: KeyRef, code: str, message: str, hint: str) -> None:
    vault.token_error = code
    ours = made()
    says(failure(ours.wrap, ref, DEK, {}), BackendError, message, hint)
    again = failure(ours.wrap, ref, DEK, {})
    says(again, BackendError, r"\(as earlier in this run\)", hint)
    assert vault.tokens == 1


def test_no_credentials_at_all(vault: azure.Emulator, ref: KeyRef, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name)
    says(failure(made().wrap, ref, DEK, {}), BackendError, "there are no Azure credentials here", "az login")


def test_a_token_that_the_vault_does_not_take(vault: azure.Emulator, ref: KeyRef) -> None:
    vault.faults = [azure.Fault("401")]
    says(failure(made().wrap, ref, DEK, {}), BackendError, "does not accept the Azure credentials", "AZURE_TENANT_ID")


def test_the_service_that_gives_out_tokens_is_down(vault: azure.Emulator, ref: KeyRef) -> None:
    vault.down = {azure.LOGIN}
    error = failure(made().wrap, ref, DEK, {})
    says(error, BackendUnavailableError, "gives out Azure access tokens can't be reached", "AZURE_AUTHORITY_HOST")


# Silence, and what passes


def test_every_seventh_call_that_fails_and_fifth_that_is_throttled_is_tried_again(
    vault: azure.Emulator, ref: KeyRef, wrapped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secretsvc.backends.tries._FIRST_PAUSE", 0.001)
    ours = made()
    vault.faults = [azure.Fault("unavailable", 7), azure.Fault("throttle", 5), azure.Fault("drop", 11)]
    for _ in range(30):
        assert ours.unwrap(ref, wrapped, {}) == DEK
    assert vault.total > 35


def test_a_throttling_vault_is_waited_for_as_it_asks_and_then_given_up(
    vault: azure.Emulator, ref: KeyRef, wrapped: bytes
) -> None:
    ours = made(0.3)
    ours._connection._patience = 10.0  # for answers, which a busy machine may be slow to give
    ours.unwrap(ref, wrapped, {})
    vault.faults, vault.retry_after = [azure.Fault("throttle")], "1"
    began = time.monotonic()
    says(failure(ours.unwrap, ref, wrapped, {}), BackendError, r"throttles \(it asks to wait 1 s\)", "lower --jobs")
    assert time.monotonic() - began >= 0.8
    vault.faults = []
    assert ours.unwrap(ref, wrapped, {}) == DEK


def test_a_vault_that_drips_is_given_up(vault: azure.Emulator, ref: KeyRef, wrapped: bytes) -> None:
    ours = made(2.0)
    assert ours.unwrap(ref, wrapped, {}) == DEK
    vault.faults = [azure.Fault("drip")]
    began = time.monotonic()
    says(failure(ours.unwrap, ref, wrapped, {}), BackendUnavailableError, "it did not answer in time", "try again")
    assert time.monotonic() - began < 9  # it goes on for a minute


def test_a_vault_that_hangs_is_given_up_for_the_run_and_others_are_not(vault: azure.Emulator, ref: KeyRef) -> None:
    other = KeyRef("azure", vault.create_key("app", "other.vault.azure.net"))
    ours = made(3.0)
    vault.hung, vault.slow = {azure.VAULT}, 5.0
    says(failure(ours.wrap, ref, DEK, {}), BackendUnavailableError, "it did not answer in time", "try again")
    before = len(vault.seen)
    says(failure(ours.wrap, ref, DEK, {}), BackendUnavailableError, r"\(as earlier in this run\)")
    assert len(vault.seen) == before
    assert ours.wrap(other, DEK, {})


def test_why_a_vault_can_not_be_reached(vault: azure.Emulator, ref: KeyRef, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.down = {azure.VAULT}
    says(failure(made(2.0).wrap, ref, DEK, {}), BackendUnavailableError, "the proxy refuses or fails", "proxies")
    vault.down = set()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    fresh = KeyRef("azure", ref.id.replace(azure.VAULT, "untrusted.vault.azure.net"))
    says(failure(made(2.0).wrap, fresh, DEK, {}), BackendUnavailableError, "nobody that is trusted here vouches")
    monkeypatch.delenv("HTTPS_PROXY")
    with quiet_port() as port:
        here = KeyRef("azure", f"https://localhost:{port}/keys/app/{'0' * 32}")
        environ = {"KSECRET_AZURE_ADDRESSES": f"https://localhost:{port}"}
        says(failure(made(0.4, **environ).wrap, here, DEK, {}), BackendUnavailableError, "can't be reached: ")


def test_the_library_is_not_installed(vault: azure.Emulator, ref: KeyRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "azure.keyvault.keys", None)
    says(failure(made().wrap, ref, DEK, {}), BackendUnavailableError, "is not installed", r"secretsvc\[azure\]")


# Nothing of a credential gets out


def test_no_credential_and_no_dek_is_in_any_log(
    vault: azure.Emulator, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """However much a program that embeds ksecret logs, from its root logger on."""
    caplog.set_level(logging.DEBUG)
    hsm = KeyRef("azure", vault.create_key("kek", azure.HSM, "oct-HSM"))
    dek = os.urandom(32)
    ours = made()
    assert ours.unwrap(hsm, ours.wrap(hsm, dek, {}), {}) == dek
    vault.token_error = "AADSTS7000215"
    with pytest.raises(KsecretError, match="client secret"):
        made().wrap(hsm, dek, {})
    told = caplog.text + "".join(capfd.readouterr())
    from tests.emulators.azure import _text

    for known in (azure.CLIENT_SECRET, azure.ACCESS_TOKEN, _text(dek), dek.hex(), repr(dek)):
        assert known not in told
        assert known not in repr(ours.__dict__)


def test_an_altered_dek_is_told_as_that(vault: azure.Emulator, ref: KeyRef, wrapped: bytes) -> None:
    bent = bytes([wrapped[0] ^ 1]) + wrapped[1:]
    says(failure(made().unwrap, ref, bent, {}), AlteredError, "altered, or wrapped by another key", "restore the file")
