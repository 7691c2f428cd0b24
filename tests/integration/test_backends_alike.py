"""What holds for every backend: age, GnuPG, those of clouds, Vault, and one from another distribution (tests/toy).

A new backend joins by a `World` of its own: an environment in which it works, and keys in it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyrage
import pytest

import secretsvc
from secretsvc import backends, decrypt, encrypt
from secretsvc.backends import plugins
from secretsvc.backends.abilities import HasDefault, HasIdentities, Rewraps
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import AlteredError, BackendError, BackendUnavailableError, KeyRefError, KsecretError, NoKeyError
from secretsvc.keyref import KeyRef
from tests.emulators import aws, azure, gcp, vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.backends.base import Backend, Scheme
    from secretsvc.keyref import WrappedKey
    from tests.integration.gnupg_support import World as PgpWorld

_AT_HOME = ("backends", "formats")
DEK = bytes(range(32))
CONTEXT = {"ksecret-namespace": "prod", "ksecret-name": "db"}
OTHER = {"ksecret-namespace": "prod", "ksecret-name": "another"}
TOY = Path(__file__).parents[1] / "toy"
SDKS = (
    *("boto3", "botocore", "google.cloud.kms", "google.auth", "grpc", "hvac", "requests"),
    *("azure.core", "azure.identity", "msal"),
    *("pyrage", "gnupg", "toy_sdk", "cryptography"),
)
RING = "projects/p/locations/europe-west1/keyRings/ring/cryptoKeys"


class World(NamedTuple):
    """A backend at work."""

    environ: dict[str, str]
    ref: KeyRef
    """A key that wraps and unwraps here."""
    foreign: KeyRef
    """One whose wrapped DEKs are not opened here, though it can be named."""
    spelled: tuple[str, ...]
    """Other texts, short forms among them, for `ref`."""
    homes: tuple[KeyRef, KeyRef] | None
    """Two keys that do not fail together; None where all of a kind do."""
    binds: bool
    """Whether the encryption context is authenticated."""

    @property
    def scheme(self) -> Scheme:
        found = backends.find(self.ref.scheme)
        assert found
        return found

    def backend(self) -> Backend:
        return self.scheme.backend(Settings(self.environ, lambda what: None))


def test_no_other_module_names_a_kind_of_keys() -> None:
    """Whoever asks which kind it is has to be found and changed for the next one."""
    root = Path(secretsvc.__file__).parent
    for path in root.rglob("*.py"):
        if {*_AT_HOME}.isdisjoint(path.relative_to(root).parts):
            assert not re.search(r'"(aws|gcp|azure|pgp|age|vault)"', path.read_text()), path


@pytest.fixture(scope="module")
def moto() -> Iterator[aws.Moto]:
    with aws.Moto() as server:
        yield server


@pytest.fixture
def age_world() -> World:
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    ref = KeyRef("age", str(mine.to_public()))
    environ = {"KSECRET_AGE_KEY": str(mine), "XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull}
    return World(
        environ, ref, KeyRef("age", str(other.to_public())), (f"age:{ref.id.upper()}", ref.id), None, binds=False
    )


@pytest.fixture
def pgp_world(world: PgpWorld) -> World:
    ref = world.ref("alice")
    spelled = (ref.id.lower(), f"0x{ref.id}", f"pgp:{ref.id[:20]} {ref.id[20:]}")
    return World(world.alice.environ, ref, world.ref("rsa"), spelled, None, binds=False)


@pytest.fixture
def aws_world(moto: aws.Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    for name, value in {**aws.ENVIRON, **files, "AWS_ENDPOINT_URL_KMS": moto.url}.items():
        monkeypatch.setenv(name, value)
    ref = KeyRef("aws", moto.client("eu-west-1").create_key()["KeyMetadata"]["Arn"])
    us = KeyRef("aws", ref.id.replace("eu-west-1", "us-east-1"))
    return World({}, ref, us, (ref.id, f"aws:{ref.id.upper()}", f"aws:{ref.id} "), (ref, us), binds=True)


@pytest.fixture
def gcp_world() -> Iterator[World]:
    ref, us = KeyRef("gcp", f"{RING}/key"), KeyRef("gcp", f"{RING.replace('europe-west1', 'us-east1')}/key")
    with gcp.Emulator() as emulator:
        emulator.create_key(ref.id)
        environ = {"KSECRET_GCP_KMS_ENDPOINT": emulator.endpoint}
        yield World(environ, ref, us, (ref.id, f"gcp: {ref.id}"), (ref, us), binds=True)


@pytest.fixture
def azure_world(monkeypatch: pytest.MonkeyPatch, azure_vault: azure.Emulator) -> World:
    for name, text in azure_vault.environ.items():
        monkeypatch.setenv(name, text)
    ref = KeyRef("azure", azure_vault.create_key("app"))
    other = KeyRef("azure", ref.id.replace(azure.VAULT, "other.vault.azure.net"))
    host, _, rest = ref.id.removeprefix("https://").partition("/keys/app/")
    spelled = (ref.id, f"azure:https://{host.upper()}:443/keys/app/{rest.upper()}/", f"azure: {ref.id}")
    return World({}, ref, other, spelled, (ref, other), binds=False)


@pytest.fixture(scope="module")
def azure_vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[azure.Emulator]:
    with azure.Emulator(folder=tmp_path_factory.mktemp("azure")) as emulator:
        yield emulator


@pytest.fixture
def vault_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with vault.Emulator() as emulator:
        monkeypatch.setenv("VAULT_ADDR", emulator.url)
        emulator.create_key("key")
        ref = KeyRef("vault", f"{emulator.url}/v1/transit/keys/key")
        spelled = (ref.id, "vault:transit/keys/key", f"vault: {emulator.url.upper()}/v1/transit/keys/key")
        other = KeyRef("vault", "https://vault.example.org/v1/transit/keys/key")
        environ = {"VAULT_ADDR": emulator.url, "VAULT_TOKEN": vault.ROOT}
        yield World(environ, ref, other, spelled, (ref, other), binds=True)


@pytest.fixture
def toy_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.syspath_prepend(TOY)
    plugins.found.cache_clear()
    ref, other = KeyRef("toy", "one.example/k"), KeyRef("toy", "two.example/k")
    spelled = ("https://One.example/K", "toy:ONE.example/k", "toy:https://one.example/k")
    yield World({"TOY_TOKEN": "t"}, ref, KeyRef("toy", "others.example/k"), spelled, (ref, other), binds=True)
    plugins.found.cache_clear()


@pytest.fixture(params=["age", "pgp", "aws", "gcp", "azure", "vault", "toy"])
def at(request: pytest.FixtureRequest) -> World:
    """Each backend's world in turn."""
    found: World = request.getfixturevalue(f"{request.param}_world")
    return found


def test_the_kind_is_found_by_its_name_and_says_what_people_need(at: World) -> None:
    scheme = at.scheme
    assert scheme.name == at.ref.scheme
    assert scheme.name in backends.names()
    assert scheme in list(backends.every())
    assert scheme.title
    assert scheme.example
    assert scheme.cost > 0
    assert scheme.installed().ok
    assert scheme.installed().said


def test_a_key_has_one_spelling_and_every_other_leads_to_it(at: World) -> None:
    assert at.scheme.parse(at.ref.id) == at.ref == backends.stated(str(at.ref))
    for text in (*at.spelled, str(at.ref), f" {at.ref} "):
        assert backends.canonical(backends.complete(text)) == at.ref
        assert Backends(Settings(at.environ, lambda what: None)).parse(text) == at.ref
    at.scheme.verify(at.ref)
    for text in (f"{at.ref} ", f" {at.ref}", f"{at.ref.scheme}: {at.ref.id}"):
        with pytest.raises(KeyRefError, match="that is not spelled as ksecret writes it"):
            backends.stated(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "--output=/tmp/hunter2",
        "-hunter2",
        "hunter2\nx",
        "@hunter2",
        "../hunter2",
        "hunter2;id",
        "\0",
        "default",
    ],
)
def test_what_is_no_key_is_refused_and_never_shown(at: World, text: str) -> None:
    with pytest.raises(KeyRefError, match=r"\w") as caught:
        at.scheme.parse(text)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint


def test_a_persons_name_is_no_short_form(at: World) -> None:
    for name in ("alice", "bob.builder", "carol@example.org", "d-e_f"):
        assert not at.scheme.is_bare(name)


def test_what_fails_as_one_is_told_apart_from_what_does_not(at: World) -> None:
    assert backends.home(str(at.ref)).partition(":")[0] == at.ref.scheme
    if at.homes:
        one, other = map(str, at.homes)
        assert backends.home(one) != backends.home(other)
    else:
        assert backends.home(str(at.ref)) == at.ref.scheme
    assert backends.home(f"{at.ref.scheme}:odd") in (at.ref.scheme, f"{at.ref.scheme}:odd")


def test_the_offline_half_imports_no_sdk(at: World) -> None:
    code = (
        "import sys\n"
        "from secretsvc import backends\n"
        f"scheme = backends.find({at.ref.scheme!r})\n"
        f"ref = backends.stated({str(at.ref)!r})\n"
        f"backends.verify({str(at.ref)!r}), scheme.home(ref), scheme.is_bare(ref.id), scheme.installed()\n"
        f"print([name for name in {SDKS!r} if name in sys.modules])"
    )
    root = Path(secretsvc.__file__).parents[1]
    environ = {"PYTHONPATH": f"{root}{os.pathsep}{TOY}", "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_a_dek_comes_back_and_is_wrapped_differently_each_time(at: World) -> None:
    backend = at.backend()
    first, second = (backend.wrap(at.ref, DEK, CONTEXT) for _ in range(2))
    assert first != second
    assert DEK not in first
    assert backend.unwrap(at.ref, first, CONTEXT) == backend.unwrap(at.ref, second, CONTEXT) == DEK
    assert at.backend().unwrap(at.ref, first, CONTEXT) == DEK


def test_a_context_that_is_bound_must_be_the_one_it_was_wrapped_with(at: World) -> None:
    backend = at.backend()
    wrapped = backend.wrap(at.ref, DEK, CONTEXT)
    if not at.binds:
        assert backend.unwrap(at.ref, wrapped, OTHER) == DEK
        return
    for context in (OTHER, {}, CONTEXT | {"more": "1"}):
        with pytest.raises(AlteredError, match=r"\w"):
            backend.unwrap(at.ref, wrapped, context)
    bare = backend.wrap(at.ref, DEK, {})
    assert backend.unwrap(at.ref, bare, {}) == DEK


def test_what_was_altered_cut_or_made_up_is_told_as_that(at: World) -> None:
    backend = at.backend()
    wrapped = backend.wrap(at.ref, DEK, CONTEXT)
    bent = [*wrapped[:-3], wrapped[-3] ^ 1, *wrapped[-2:]]
    for odd in (b"", b"x", bytes(bent), wrapped[:-1], b"\0" * 70_000):
        with pytest.raises(KsecretError, match=r"\w") as caught:
            backend.unwrap(at.ref, odd, CONTEXT)
        assert isinstance(caught.value, AlteredError | NoKeyError | BackendError)
        assert not isinstance(caught.value, BackendUnavailableError)


def test_what_is_no_dek_is_not_given_back(at: World) -> None:
    backend = at.backend()
    for odd in (bytes(16), b"x"):
        with pytest.raises(AlteredError, match="its wrapped data key is not 32 bytes"):
            backend.unwrap(at.ref, backend.wrap(at.ref, odd, CONTEXT), CONTEXT)


def test_a_key_that_is_not_to_be_had_is_told_with_a_hint_and_others_go_on(at: World) -> None:
    backend = at.backend()
    with pytest.raises(KsecretError, match=r"\w") as caught:
        backend.unwrap(at.foreign, _wrapped_elsewhere(at), CONTEXT)
    assert isinstance(caught.value, NoKeyError | BackendError | AlteredError)
    assert caught.value.hint
    assert backend.unwrap(at.ref, backend.wrap(at.ref, DEK, CONTEXT), CONTEXT) == DEK


def _wrapped_elsewhere(at: World) -> bytes:
    try:
        return at.backend().wrap(at.foreign, DEK, CONTEXT)
    except KsecretError:
        return at.backend().wrap(at.ref, DEK, CONTEXT)


def test_one_instance_serves_many_threads(at: World) -> None:
    backend = at.backend()
    assert backend.jobs >= 1
    wrapped = backend.wrap(at.ref, DEK, CONTEXT)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: backend.unwrap(at.ref, wrapped, CONTEXT), range(12))) == {DEK}


def test_what_it_can_do_beside_is_what_its_kind_says(at: World) -> None:
    backend = at.backend()
    assert isinstance(backend, HasDefault) == at.scheme.has_default
    assert isinstance(backend, HasIdentities) == at.scheme.has_identities == (at.ref.scheme in backends.WITH_IDENTITIES)
    assert isinstance(backend.describe(at.ref), str)
    assert at.scheme.names_owners or backend.describe(at.ref) == ""
    assert isinstance(backend.describe(at.foreign), str)
    if isinstance(backend, Rewraps):
        wrapped = backend.rewrap(at.ref, backend.wrap(at.ref, DEK, CONTEXT), CONTEXT)
        assert backend.unwrap(at.ref, wrapped, CONTEXT) == DEK


def test_nothing_is_started_or_asked_for_before_a_dek_has_to_be_wrapped(
    at: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a process or a connection")

    monkeypatch.setattr(os, "posix_spawn", refused)
    monkeypatch.setattr("socket.socket.connect", refused)
    at.backend()


def test_by_the_registry_the_cheapest_member_opens_and_errors_name_the_key(at: World) -> None:
    ring = Backends(Settings(at.environ, lambda what: None))
    assert ring.parse(str(at.ref)) == at.ref
    with pytest.raises(KsecretError, match=r"\w") as caught:
        ring.wrap(KeyRef(at.ref.scheme, "no such name"), DEK, {})
    assert isinstance(caught.value, KeyRefError)
    assert caught.value.key_ref == f"{at.ref.scheme}:no such name"


def test_a_keyset_of_every_kind_opens_by_any_one(
    age_world: World, pgp_world: World, aws_world: World, gcp_world: World, azure_world: World, vault_world: World
) -> None:
    worlds = (age_world, pgp_world, aws_world, gcp_world, azure_world, vault_world)
    environ = {name: text for world in worlds for name, text in world.environ.items()}
    environ |= {"GNUPGHOME": pgp_world.environ["GNUPGHOME"], **age_world.environ}
    ring = Backends(Settings(environ, lambda what: None))
    refs = [world.ref for world in worlds]
    assert {str(ref).partition(":")[0] for ref in refs} == {scheme.name for scheme in backends.ours()}
    manifest = b"apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: prod}\nstringData: {a: b}\n"
    sealed = encrypt(manifest, ring, to=refs)
    for ref in refs:
        assert decrypt(sealed, _Only(ring, ref)) == manifest


class _Only:
    """A keyring that has one of the keys."""

    def __init__(self, ring: Backends, ref: KeyRef) -> None:
        self._ring, self._ref = ring, ref

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ring, name)

    def unwrap(self, keys: Iterable[WrappedKey]) -> bytes:
        return self._ring.unwrap([key for key in keys if key.ref == self._ref])

    def signed(self) -> _Only:
        return _Only(self._ring.signed(), self._ref)
