"""The Vault backend, with hvac, against the emulator over the wire. Nothing is mocked."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.vault import SCHEME, choosing
from secretsvc.backends.vault.backend import Vault
from secretsvc.errors import AlteredError, BackendError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.emulators import vault
from tests.integration.vault_support import CONTEXT, DEK, emulator, failure, made, ref, says

__all__ = ["emulator"]  # a fixture, for pytest to find here

ROOT = Path(vault.__file__).parents[2]
KEY = "https://vault.example.org:8200/v1/transit/keys/app"


# Names of keys


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        (KEY, KEY),
        ("HTTPS://Vault.Example.org:8200/v1/transit/keys/app", KEY),
        (
            "https://vault.example.org:443/v1/a/b-c/transit.x/keys/A_b.c",
            "https://vault.example.org/v1/a/b-c/transit.x/keys/A_b.c",
        ),
        ("http://[::1]:8200/v1/transit/keys/keys", "http://[::1]:8200/v1/transit/keys/keys"),
        ("https://v/v1/keys/keys/k", "https://v/v1/keys/keys/k"),
    ],
)
def test_a_keys_url_is_canonical_in_lower_case_and_without_its_schemes_port(text: str, id_: str) -> None:
    assert SCHEME.parse(f" {text}\n") == KeyRef("vault", id_)
    assert SCHEME.parse(id_).id == id_


def test_a_short_name_is_completed_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    says(
        failure(SCHEME.parse, "transit/keys/app"),
        KeyRefError,
        "names no server, and VAULT_ADDR is not set",
        "give vault:",
    )
    monkeypatch.setenv("VAULT_ADDR", "https://vault.example.org:8200/")
    assert SCHEME.parse("transit/keys/app").id == KEY
    monkeypatch.setenv("VAULT_NAMESPACE", "team-a/")
    assert SCHEME.parse("transit/keys/app").id == KEY.replace("/v1/", "/v1/team-a/")
    assert SCHEME.parse(KEY).id == KEY
    monkeypatch.setenv("BAO_ADDR", "https://bao.example.org")
    assert SCHEME.parse("transit/keys/app").id == "https://bao.example.org/v1/team-a/transit/keys/app"
    monkeypatch.setenv("BAO_ADDR", "unix:///hunter2")
    says(failure(SCHEME.parse, "transit/keys/app"), KeyRefError, "VAULT_ADDR is not the address of a server")


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@v/v1/transit/keys/k",
        "https://v/v1/transit/keys/k?hunter2",
        "https://v/v1/transit/keys/k#hunter2",
        "https://v/hunter2/v1/transit/keys/k",
        "https://v/v1/transit/keys/../hunter2",
        "https://v/v1/../keys/hunter2",
        "https://v/v1/./x/keys/hunter2",
        "https://v/v1//transit/keys/hunter2",
        "https://v/v1/tran%73it/keys/hunter2",
        "https://v:0/v1/transit/keys/hunter2",
        "https://v/v1/keys/hunter2",
        "https://v/v1/transit/keys/hunter2/",
        "https://v/v1/transit/keys/.hunter2",
        "ftp://v/v1/transit/keys/hunter2",
        "hunter2",
    ],
)
def test_other_spellings_are_refused_and_not_shown(text: str) -> None:
    error = failure(SCHEME.parse, text)
    says(error, KeyRefError, "not the address of a key of Vault's Transit engine", "give vault:https://HOST:8200/v1/")
    assert "hunter2" not in error.message + error.hint


# Wrapping and unwrapping


def test_a_wrapped_dek_opens_again_with_its_context(emulator: vault.Emulator) -> None:
    backend = made(emulator)
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    assert wrapped.startswith(b"vault:v1:")
    assert backend.unwrap(ref(emulator), wrapped, CONTEXT) == DEK
    assert emulator.calls == {"key": 1, "encrypt": 1, "decrypt": 1}
    bound = [body["associated_data"] for path, body in emulator.bodies if "crypt/" in path]
    assert {b64decode(text) for text in bound} == {b'{"ksecret-name":"db","ksecret-namespace":"prod"}'}


def test_a_name_that_is_no_key_is_told_and_no_key_made_of_it(emulator: vault.Emulator) -> None:
    """Who may create keys makes one by encrypting under its name: a typing error in a KeyRef would."""
    backend = made(emulator)
    says(
        failure(backend.wrap, ref(emulator, "keey"), DEK, CONTEXT),
        KeyRefError,
        "there is no key keey in transit/",
        "vault list",
    )
    assert list(emulator.keys["transit"]) == ["key"]
    error = failure(backend.unwrap, ref(emulator, "keey"), b"vault:v1:AAAA", CONTEXT)
    says(error, BackendError, "there is no key keey in transit/ on 127")
    error = failure(backend.wrap, ref(emulator, mount="other/transit"), DEK, CONTEXT)
    says(error, KeyRefError, "there is no Transit engine at other/transit/", "vault secrets list")


def test_nested_mounts_and_keys_that_may_not_be_read(emulator: vault.Emulator) -> None:
    emulator.create_key("k", mount="team-a/transit")
    emulator.policies["app"] = 'path "team-a/transit/+/k" { capabilities = ["update"] }'
    emulator.tokens["t"] = vault.Token(["app"])
    backend, key = made(emulator, VAULT_TOKEN="t"), ref(emulator, "k", "team-a/transit")
    assert backend.unwrap(key, backend.wrap(key, DEK, CONTEXT), CONTEXT) == DEK
    error = failure(backend.wrap, ref(emulator), DEK, CONTEXT)
    says(
        error,
        BackendError,
        "lacks update on transit/encrypt/key",
        r'path "transit/encrypt/key" { capabilities = \["update"\] }',
    )


@pytest.mark.parametrize("type_", ["aes128-gcm96", "chacha20-poly1305", "rsa-2048"])
@pytest.mark.parametrize("readable", [True, False])
def test_keys_of_other_types_say_whether_they_bind(emulator: vault.Emulator, type_: str, readable: bool) -> None:
    emulator.create_key("other", type_)
    emulator.policies["app"] = 'path "transit/+/other" { capabilities = ["update"] }'
    emulator.tokens["t"] = vault.Token(["root" if readable else "app"])
    warned: list[str] = []
    settings = Settings({"VAULT_ADDR": emulator.url, "VAULT_TOKEN": "t"}, lambda what: None, warn=warned.append)
    backend, key = Vault(settings), ref(emulator, "other")
    wrapped = backend.wrap(key, DEK, CONTEXT)
    assert made(emulator).unwrap(key, wrapped, CONTEXT) == DEK
    assert warned == [f"{key}: keys of its type can't bind what they wrap to a Secret's namespace and name"] * (
        type_ == "rsa-2048"
    )
    says(failure(backend.unwrap, key, wrapped[:-8] + b"AAAA" + wrapped[-4:], CONTEXT), AlteredError, "was altered")


def test_keys_that_are_not_for_this_are_told(emulator: vault.Emulator) -> None:
    emulator.create_key("signs", "ed25519")
    emulator.create_key("derived", derived=True)
    backend = made(emulator)
    says(failure(backend.wrap, ref(emulator, "signs"), DEK, {}), KeyRefError, "is not for encryption", "aes256-gcm96")
    says(
        failure(backend.wrap, ref(emulator, "derived"), DEK, CONTEXT),
        KeyRefError,
        "that key is derived",
        "write -f transit",
    )


def test_versions(emulator: vault.Emulator) -> None:
    key, backend = emulator.keys["transit"]["key"], made(emulator)
    old = backend.wrap(ref(emulator), DEK, CONTEXT)
    key.rotate()
    assert backend.unwrap(ref(emulator), old, CONTEXT) == DEK
    fresh = backend.rewrap(ref(emulator), old, CONTEXT)
    assert fresh.startswith(b"vault:v2:")
    key.config["min_decryption_version"] = 2
    assert backend.unwrap(ref(emulator), fresh, CONTEXT) == DEK
    says(
        failure(backend.unwrap, ref(emulator), old, CONTEXT),
        BackendError,
        "below the key's min_decryption_version",
        "rewrap",
    )
    emulator.create_key("key")
    says(
        failure(backend.unwrap, ref(emulator), fresh, CONTEXT),
        AlteredError,
        "a later version than that key has",
        "backup",
    )


def test_what_is_bound_to_nothing_is_rewrapped_by_the_engine(emulator: vault.Emulator) -> None:
    """Its rewrap has no place for associated data: with some, the DEK goes by this machine."""
    key, backend = emulator.keys["transit"]["key"], made(emulator)
    for context, calls in (({}, {"rewrap": 1}), (CONTEXT, {"decrypt": 1, "encrypt": 1})):
        wrapped = backend.wrap(ref(emulator), DEK, context)
        key.rotate()
        emulator.calls.clear()
        fresh = backend.rewrap(ref(emulator), wrapped, context)
        assert emulator.calls == calls
        assert fresh.startswith(f"vault:v{key.latest}:".encode())
        assert backend.unwrap(ref(emulator), fresh, context) == DEK


def test_a_key_of_another_namespace_than_the_environment_s_is_rewrapped_where_its_name_says(
    emulator: vault.Emulator,
) -> None:
    emulator.create_key("rsa", "rsa-2048", mount="teams/a/transit")
    key = ref(emulator, "rsa", "teams/a/transit")
    backend = made(emulator, VAULT_TOKEN=vault.ROOT, VAULT_NAMESPACE="teams/b")
    for context in (CONTEXT, {}):  # without one where it is sealed for any place
        wrapped = backend.wrap(key, DEK, context)
        assert backend.unwrap(key, backend.rewrap(key, wrapped, context), context) == DEK


def test_altered_and_misshapen_wrapped_deks_are_refused(emulator: vault.Emulator) -> None:
    backend = made(emulator)
    emulator.create_key("other")
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    says(
        failure(backend.unwrap, ref(emulator, "other"), wrapped, CONTEXT),
        AlteredError,
        "wrapped by another key",
        "restore",
    )
    for odd in (b"x", b"vault:v1", b"vault:vx:AAAA", b"vault:v1:???", b"vault:v1:AAAA"):
        says(failure(backend.unwrap, ref(emulator), odd, CONTEXT), AlteredError, "was altered", "restore the file")
    for odd in (b"", b"vault:v1:\xff", b"vault:v1:A\nA", b"A" * 70_000):
        says(
            failure(backend.unwrap, ref(emulator), odd, CONTEXT), AlteredError, "no text of Vault's", "restore the file"
        )


def test_an_answer_that_is_something_else_is_told_and_not_shown(emulator: vault.Emulator) -> None:
    backend = made(emulator)
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    for odd in (vault.GARBAGE, vault.ODD):
        emulator.fail(odd)
        says(
            failure(backend.unwrap, ref(emulator), wrapped, CONTEXT),
            BackendError,
            "is not Vault's Transit engine",
            "proxies",
        )
        emulator.fail(odd)
        says(failure(backend.wrap, ref(emulator), DEK, CONTEXT), BackendError, "is not Vault's Transit engine")


def test_no_answer_is_read_without_an_end(emulator: vault.Emulator) -> None:
    backend = made(emulator)
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    for odd in (vault.ENDLESS, vault.PACKED, vault.DEEP):
        emulator.fail(odd)
        error = failure(backend.unwrap, ref(emulator), wrapped, CONTEXT)
        says(error, BackendError, "is not Vault's Transit engine", "proxies")
    assert emulator.sent < 32
    assert backend.unwrap(ref(emulator), wrapped, CONTEXT) == DEK


@pytest.mark.parametrize(
    "answer", [None, [], {"data": []}, {"data": {"secret": [1], "keys": 1}}, {"data": {"secret": {"a/": 1}}}]
)
def test_a_list_of_keys_may_be_anything(answer: object) -> None:
    class Says:
        address = host = "vault.example"

        def __init__(self, *answers: object) -> None:
            self.answers = list(answers)

        def send(self, *_: object) -> Any:
            return self.answers.pop(0)

    mounts = {"data": {"secret": {"transit/": {"type": "transit"}}}}
    for says_so in (Says(answer), Says(mounts, answer)):
        assert choosing.offers(says_so, "") == []  # type: ignore[arg-type]


# Addresses: a file picks the server


def test_no_token_goes_to_a_server_that_only_a_file_names(emulator: vault.Emulator) -> None:
    with vault.Emulator() as other:
        other.create_key("key")
        backend = made(emulator)
        error = failure(backend.unwrap, ref(other), b"vault:v1:AAAA", CONTEXT)
        says(error, BackendError, "no Vault server that this machine trusts with its token", "KSECRET_VAULT_ADDRESSES")
        assert not other.calls
        listed = f"https://x.test {other.url.upper()}/,{emulator.url}"
        backend = made(emulator, VAULT_TOKEN=vault.ROOT, KSECRET_VAULT_ADDRESSES=listed)
        for key in (ref(other), ref(emulator)):
            assert backend.unwrap(key, backend.wrap(key, DEK, CONTEXT), CONTEXT) == DEK
        wrong = made(emulator, VAULT_TOKEN=vault.ROOT, KSECRET_VAULT_ADDRESSES="hunter2")
        says(failure(wrong.wrap, ref(other), DEK, CONTEXT), BackendError, "VAULT_ADDRESSES is not a list of addresses")


def test_a_standby_sends_its_callers_on_to_a_server_that_is_named_and_to_no_other(emulator: vault.Emulator) -> None:
    with vault.Emulator() as standby:
        standby.standby_of = emulator.url
        error = failure(made(standby).wrap, ref(standby), DEK, CONTEXT)
        says(error, BackendError, f"is a standby, .* to {emulator.url}", "KSECRET_VAULT_ADDRESSES")
        assert not emulator.calls
        backend = made(standby, VAULT_TOKEN=vault.ROOT, KSECRET_VAULT_ADDRESSES=emulator.url)
        assert backend.unwrap(ref(standby), backend.wrap(ref(standby), DEK, CONTEXT), CONTEXT) == DEK
        emulator.standby_of = standby.url
        says(
            failure(backend.wrap, ref(standby), DEK, CONTEXT),
            BackendError,
            "is a standby, and sends its callers elsewhere$",
        )


# Clients


def test_many_threads_share_one_client(emulator: vault.Emulator) -> None:
    backend = made(emulator)
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: backend.wrap(ref(emulator), DEK, CONTEXT), range(64)))) == 64


def test_what_is_dumped_of_a_backend_shows_no_credential(emulator: vault.Emulator) -> None:
    backend = made(emulator, VAULT_TOKEN=vault.ROOT, VAULT_SECRET_ID="hunter2")
    backend.wrap(ref(emulator), DEK, CONTEXT)
    (connection,) = backend._connections.values()
    for dumped in (vars(backend), vars(connection)):
        assert "hunter2" not in repr(dumped)
        assert vault.ROOT not in repr(dumped)


def test_netrc_and_cookies_have_no_say(
    emulator: vault.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password hunter2")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert made(emulator).wrap(ref(emulator), DEK, CONTEXT)
    assert not any(name.lower() == "authorization" for name in emulator.headers)


def test_the_emulator_by_hand() -> None:
    command = [sys.executable, "-m", "tests.emulators.vault", "--key", "transit/keys/key"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = [process.stdout.readline().removeprefix("export ").strip().partition("=") for _ in range(2)]
            environ = {name: value for name, _, value in told}
            backend, key = (
                Vault(Settings(environ, lambda what: None)),
                KeyRef("vault", f"{environ['VAULT_ADDR']}/v1/transit/keys/key"),
            )
            assert backend.unwrap(key, backend.wrap(key, DEK, CONTEXT), CONTEXT) == DEK
        finally:
            process.terminate()


def test_importing_making_and_parsing_import_no_sdk() -> None:
    code = (
        "import json, sys\nfrom secretsvc.backends.base import Settings\nfrom secretsvc.backends.vault import SCHEME\n"
        f"SCHEME.backend(Settings({{}}, lambda what: None)); SCHEME.parse({KEY!r})\n"
        "print(json.dumps([name for name in ('hvac', 'requests', 'urllib3', 'ssl') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert json.loads(done.stdout) == [], done.stderr


def test_without_the_library(emulator: vault.Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from secretsvc.backends.vault import client
    from secretsvc.errors import BackendUnavailableError

    client._adapter.cache_clear()
    monkeypatch.setitem(sys.modules, "hvac.adapters", None)
    error = failure(made(emulator).wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendUnavailableError, "library for Vault is not installed", r"secretsvc\[vault\]")
