"""`ksecret init --key KIND`: keys to choose from, or made, by real gpg, moto, and an emulator of Cloud KMS."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.gnupg.backend import GnuPG
from secretsvc.errors import UsageError
from tests.e2e.cli import KSECRET, MANIFEST, Person
from tests.e2e.editing import Running
from tests.emulators import aws, azure, gcp, vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.gnupg_support import World
    from tests.integration.gpg_home import GpgHome

RING = "projects/p/locations/{}/keyRings/ring/cryptoKeys"


@pytest.fixture
def home(me: Person, new_home: Callable[[], GpgHome]) -> GpgHome:
    """A GNUPGHOME of the person's, without a key."""
    made = new_home()
    me.environ["GNUPGHOME"] = made.path
    return made


def policy(me: Person) -> str:
    return (me.work / ".ksecret.yaml").read_text()


def test_the_only_pgp_key_that_can_encrypt_is_taken(me: Person, home: GpgHome) -> None:
    home.make_key("Signs only")
    ref = f"pgp:{home.make_pair('Alicé <alice@example.org>')}"
    ran = me.ok("init", "--key", "pgp")
    assert ran.err.startswith(f"{ref}  Alicé <alice@example.org>\n")
    assert f"your key, for others to seal to:  {ref}\n" in ran.out.decode()
    assert f'"{ref}"' in policy(me)
    sealed = me.write_sealed("s.yaml")
    assert me.ok("decrypt", str(sealed)).out == MANIFEST
    assert f"ok    pgp: your key: {ref} Alicé" in me.ok("doctor").out.decode()


def test_of_several_pgp_keys_a_person_chooses_one_by_its_number(me: Person, home: GpgHome) -> None:
    for name in ("Alice", "Bobby", "Carol"):
        home.make_pair(name)
    home.make_key("Gone", "rsa3072", "encrypt", "seconds=1", "--faked-system-time", "20200101T000000")
    err = me.fails(2, "init", "--key", "pgp")
    assert err.startswith("ksecret: there are 3 PGP keys to choose from, and nobody to ask\n")
    running = Running(me, [KSECRET, "init", "--key", "pgp"])
    running.read("which PGP key is yours to seal to? 1 to 3, or n for a new one: ")
    (number, ref), *_ = re.findall(r" *(\d)  (pgp:[0-9A-F]{40})  Bobby", running.seen.decode())
    running.type(f"{number}\n")
    code, screen = running.end()
    assert code == 0, screen
    assert f'"{ref}"' in policy(me)


@pytest.mark.parametrize("answer", ["0", "4", "-1", "", "pgp", "²"])
def test_what_is_no_number_of_the_list_chooses_nothing(me: Person, home: GpgHome, answer: str) -> None:
    home.make_pair("Alice")
    running = Running(me, [KSECRET, "init", "-k", "pgp"])
    running.read("a new one: ")
    running.type(f"{answer}\n")
    code, screen = running.end()
    assert (code, "that is none of the numbers" in screen) == (2, True)
    assert not (me.work / ".ksecret.yaml").exists()


def test_where_there_is_no_pgp_key_one_is_made_and_gpgs_own_pinentry_asks_for_its_passphrase(
    me: Person, home: GpgHome, tmp_path: Path
) -> None:
    pinentry = tmp_path / "pinentry"
    asked = shlex.quote(str(tmp_path / "asked"))
    pinentry.write_text(
        "#!/bin/sh\necho OK\nwhile read -r line; do case $line in\n"
        f"  GETPIN*) echo asked >> {asked}; echo 'D a long passphrase 1'; echo OK ;;\n"
        "  BYE*) exit ;;\n  *) echo OK ;;\nesac; done\n"
    )
    pinentry.chmod(0o755)
    home.configure(agent=(f"pinentry-program {pinentry}",))
    assert "there is no PGP key to choose" in me.fails(2, "init", "--key", "pgp")
    running = Running(me, [KSECRET, "init", "--key", "pgp"])
    running.read("your name and address, as in Alice Doe <alice@example.org>: ")
    running.type("Zoë Doe <zoe@example.org>\n")
    code, screen = running.end()
    assert code == 0, screen
    (ref,) = re.findall(r"seal to:  pgp:([0-9A-F]{40})", screen)
    assert (tmp_path / "asked").exists()
    assert "Zoë Doe <zoe@example.org>" in home.gpg("--list-secret-keys", ref).decode()
    assert "a long passphrase" not in screen


@pytest.mark.parametrize(
    "person",
    ["", "Alice", "alice@example.org", "Al <a@b>", "Alice <a@b>\n%no-protection", "%commit x <a@b>", "A: Bcdef <a@b>"],
)
def test_a_name_is_no_way_to_commands_of_gpg(home: GpgHome, person: str) -> None:
    backend = home.backend()
    assert isinstance(backend, GnuPG)
    with pytest.raises(UsageError, match="made for a name of five letters and an address"):
        backend.make(person)
    assert backend.offers() == []


def test_a_locked_or_foreign_key_is_no_obstacle_and_gpg_is_not_asked_to_open_it(me: Person, world: World) -> None:
    me.environ["GNUPGHOME"] = world.bob.path
    assert f"pgp:{world.key['bob']}" in me.ok("init", "--key", "pgp").out.decode()


def test_an_age_identity_is_found_or_made_as_without_the_option(tmp_path: Path) -> None:
    me = Person(tmp_path, identity=False)
    assert me.ok("init", "--key", "age").out.startswith(b"made your age identity: ")
    assert me.ok("init").out.startswith(b"found your age identity: ")


def test_a_key_that_is_named_outright_is_taken_and_nothing_is_listed(me: Person) -> None:
    key = f"gcp:{RING.format('europe-west1')}/one"
    assert f"seal to:  {key}\n" in me.ok("init", "--key", key).out.decode()
    assert "a key is written SCHEME:NAME" in me.fails(2, "init", "--key", "nokms")


def test_keys_of_aws_are_those_that_the_credentials_list_in_the_region(me: Person) -> None:
    with aws.Moto() as moto:
        me.environ |= {**aws.ENVIRON, "AWS_ENDPOINT_URL_KMS": moto.url}
        assert "no AWS region is configured" in me.fails(6, "init", "--key", "aws")
        me.environ["AWS_REGION"] = "ap-south-1"  # in which no other test makes keys
        assert "there is no AWS KMS key to choose" in me.fails(2, "init", "--key", "aws")
        client = moto.client("ap-south-1")
        client.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")
        key = client.create_key(Description="for Secrets")["KeyMetadata"]
        client.create_alias(AliasName="alias/prod", TargetKeyId=key["KeyId"])
        ran = me.ok("init", "--key", "aws")
        assert ran.err.startswith(f"aws:{key['Arn']}  alias/prod, for Secrets\n")
        assert f'"aws:{key["Arn"]}"' in policy(me)
        second = client.create_key()["KeyMetadata"]
        client.create_alias(AliasName="alias/other", TargetKeyId=second["KeyId"])
        running = Running(me, [KSECRET, "init", "--key", "aws"])
        running.read("which AWS KMS key is yours to seal to? 1 to 2: ")
        (number,) = re.findall(r" *(\d)  aws:\S+  alias/other", running.seen.decode())
        running.type(f"{number}\n")
        code, screen = running.end()
        assert code == 0, screen
        assert f"seal to:  aws:{second['Arn']}" in screen


def test_keys_of_cloud_kms_are_those_of_the_project_in_every_location(me: Person) -> None:
    one, two = (f"{RING.format(location)}/{name}" for location, name in (("europe-west1", "one"), ("us-east1", "two")))
    with gcp.Emulator() as kms:
        me.environ["KSECRET_GCP_KMS_ENDPOINT"] = kms.endpoint
        assert "no Google Cloud project is configured" in me.fails(6, "init", "--key", "gcp")
        me.environ["GOOGLE_CLOUD_PROJECT"] = "p"
        assert "there is no Cloud KMS key to choose" in me.fails(2, "init", "--key", "gcp")
        kms.create_key(f"{RING.format('us-east1')}/signs", "ASYMMETRIC_SIGN")
        kms.create_key(two).set_state(1, "DISABLED")
        kms.create_key(one)
        assert f"seal to:  gcp:{one}\n" in me.ok("init", "--key", "gcp").out.decode()
        kms.keys.find(two, "Encrypt", "").set_state(1, "ENABLED")
        err = me.fails(2, "init", "--key", "gcp")
        assert "there are 2 Cloud KMS keys to choose from, and nobody to ask" in err
        assert f"gcp:{one}, gcp:{two}" in err


def test_keys_of_vault_are_those_that_the_token_can_list_in_every_engine(me: Person) -> None:
    with vault.Emulator() as server:
        assert "no Vault server is configured" in me.fails(6, "init", "--key", "vault")
        me.environ |= {"VAULT_ADDR": server.url, "VAULT_TOKEN": vault.ROOT}
        assert "there is no Vault Transit key to choose" in me.fails(2, "init", "--key", "vault")
        server.create_key("signs", "ed25519")
        server.create_key("derived", derived=True)
        server.create_key("app", mount="team/transit")
        ran = me.ok("init", "--key", "vault")
        assert ran.err.startswith(f"vault:{server.url}/v1/team/transit/keys/app  aes256-gcm96, version 1\n")
        assert f'"vault:{server.url}/v1/team/transit/keys/app"' in policy(me)
        told = me.ok("doctor").out.decode()
        assert f"ok    vault:{server.url}/v1/team/transit/keys/app: seals and opens\n" in told
        server.create_key("other")
        assert "there are 2 Vault Transit keys to choose from" in me.fails(2, "init", "--key", "vault")


def test_the_toy_offers_nothing_and_is_named(me: Person) -> None:
    from tests.e2e.test_another_distribution import TOY

    me.environ["PYTHONPATH"] = TOY
    assert "name one: ksecret init --key toy:HOST/NAME" in me.fails(2, "init", "--key", "toy")


def test_keys_of_azure_are_those_of_the_vaults_that_are_named(me: Person, tmp_path: Path) -> None:
    (tmp_path / "azure").mkdir()
    with azure.Emulator(folder=tmp_path / "azure") as vaults:
        me.environ |= vaults.environ
        assert "no vault is configured to list keys of" in me.fails(6, "init", "--key", "azure")
        me.environ["KSECRET_AZURE_ADDRESSES"] = f"https://{azure.VAULT},https://{azure.HSM}"
        one, two = vaults.create_key("one"), vaults.create_key("two", azure.HSM, "oct-HSM")
        vaults.version(one).attributes["enabled"] = False
        name = f"azure:{two.rpartition('/')[0]}"
        assert f"seal to:  {name}\n" in me.ok("init", "--key", "azure").out.decode()
        assert f'"{name}"' in policy(me)
