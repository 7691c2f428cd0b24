"""`ksecret create` and `ksecret snippet` as people run them: sealed at once, where it goes, what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import MARK, MARKS, PASSWORD, Person, b64, is_sealed, key_refs
from tests.integration.tls_support import new_pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World

WARNING = "ksecret: warning: "


def opened(me: Person, name: str) -> Any:
    return yaml.safe_load(me.ok("decrypt", name).out)


def plain(me: Person, *words: str, stdin: bytes = b"", **environ: str) -> Any:
    return yaml.safe_load(me.ok("create", *words, "--plaintext", stdin=stdin, **environ).out)


def test_a_kubectl_command_line_gives_the_sealed_manifest(me: Person) -> None:
    me.write("ca.crt", b"\xff" + MARK.encode())
    words = ["generic", "db", f"--from-literal=password={PASSWORD}", "--from-file=ca.crt", "-n", "prod"]
    made = me.ok("create", *words, "--dry-run=client", "-o", "yaml")
    assert (is_sealed(made.out), made.err) == (True, "")
    me.write("db.yaml", made.out)
    assert opened(me, "db.yaml") == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "prod"},
        "data": {"password": b64(PASSWORD), "ca.crt": b64(b"\xff" + MARK.encode())},
    }
    assert b"sealedFor: prod/db\n" in made.out


def test_json_is_sealed_too(me: Person) -> None:
    made = me.ok("c", "generic", "db", f"--from-literal=a={MARK}", "-o", "json")
    assert json.loads(made.out)["ksecret"]["sealedFor"] == "db"
    me.ok("create", "generic", "db", f"--from-literal=a={MARK}", "-o", "db.json")
    me.ok("create", "generic", "db", f"--from-literal=a={MARK}", "-o", "JSON", "-o", "db.txt")
    for name in ("db.json", "db.txt"):
        sealed = (me.work / name).read_bytes()
        assert "ksecret" in json.loads(sealed)
        assert not any(mark.encode() in sealed for mark in MARKS)
        assert json.loads(me.ok("decrypt", name).out)["data"] == {"a": b64(MARK)}


def test_the_file_is_never_overwritten_unasked(me: Person) -> None:
    words = ["create", "generic", "db", f"--from-literal=a={MARK}", "-o"]
    assert me.ok(*words, "./yaml").out == b""
    assert is_sealed((me.work / "yaml").read_bytes())
    before = (me.work / "yaml").read_bytes()
    assert "ksecret: yaml: -o: there is such a file already\n  -f overwrites it" in me.fails(7, *words, "./yaml")
    assert (me.work / "yaml").read_bytes() == before
    me.ok(*words, "./yaml", "-f")
    assert (me.work / "yaml").read_bytes() != before
    (me.work / "link").symlink_to("nowhere")
    assert "such a file already" in me.fails(7, *words, "link")
    assert me.names() == ["link", "yaml"]
    me.ok(*words, "/dev/null")
    assert stat.S_IMODE((me.work / "yaml").stat().st_mode) == 0o666 & ~umask()


def umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def test_plaintext_goes_to_standard_output_only(me: Person) -> None:
    words = ["create", "generic", "db", f"--from-literal=a={MARK}", "--plaintext"]
    assert b64(MARK).encode() in me.ok(*words).out
    assert "--plaintext goes to standard output" in me.fails(2, *words, "-o", "db.yaml")
    assert me.names() == []


def test_nothing_is_written_where_there_is_no_key(tmp_path: Path) -> None:
    nobody = Person(tmp_path, "nobody", identity=False)
    words = ["create", "generic", "db", f"--from-literal=a={MARK}", "-o", "db.yaml"]
    assert "no key to seal to" in nobody.fails(2, *words)
    assert nobody.names() == []


def test_keys_and_scope(me: Person, tmp_path: Path) -> None:
    other = Person(tmp_path, "other")
    pair = new_pair()
    me.write("c.pem", pair.cert)
    me.write("k.pem", pair.key)
    for name, words in (
        ("g.yaml", ["generic", "g", f"--from-literal=a={MARK}", "--key", other.ref]),
        ("t.yaml", ["tls", "t", "--cert=c.pem", "--key=k.pem", "-k", other.ref]),
    ):
        me.ok("create", *words, "--scope=namespace", "-n", "prod", "-o", name)
        assert b'sealedFor: "prod/*"\n' in (me.work / name).read_bytes()
        me.fails(4, "decrypt", name)
        other.ok("decrypt", str(me.work / name))


def test_the_policy_of_the_files_folder_says_to_whom(me: Person, tmp_path: Path) -> None:
    other = Person(tmp_path, "other")
    me.write(".ksecret.yaml", f'version: 1\nrules:\n  - path: "prod/**"\n    keys: ["{other.ref}"]\n'.encode())
    (me.work / "prod").mkdir()
    create = ("create", "generic", "db", f"--from-literal=a={MARK}", "-o")
    me.ok(*create, "prod/db.yaml")
    assert key_refs((me.work / "prod/db.yaml").read_bytes()) == [other.ref]
    assert "no rule of .ksecret.yaml fits db" in me.fails(2, *create, "db.yaml")


def test_kubesecs_format_too(me: Person, world: World) -> None:
    me.environ["GNUPGHOME"] = world.alice.path
    made = me.ok("create", "db", "-d", f"a={MARK}", "-k", str(world.ref("alice")), "--format=kubesec")
    assert b"\n# kubesec:v:3\n" in made.out
    assert b64(MARK).encode() not in made.out
    me.write("db.yaml", made.out)
    assert opened(me, "db.yaml")["data"] == {"a": b64(MARK)}


def test_kubesecs_form(me: Person) -> None:
    me.write("pki/ca.crt", b"\xff\n" + MARK.encode())
    words = ["create", "db", "-d", f"user={MARK}", "-d", "file:pki/ca.crt", "--data", "file:key.pem=pki/ca.crt"]
    words += ["-s", f"url=http://{MARK}/", "-l", "app=db", "-a", "note=two words", "-m", "namespace=prod"]
    me.ok(*words, "-m", "name=db", "-k", me.ref, "-o", "db.yaml")
    file = b64(b"\xff\n" + MARK.encode())
    assert opened(me, "db.yaml") == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "db",
            "namespace": "prod",
            "labels": {"app": "db"},
            "annotations": {"note": "two words"},
        },
        "type": "Opaque",
        "data": {"user": b64(MARK), "ca.crt": file, "key.pem": file},
        "stringData": {"url": f"http://{MARK}/"},
    }
    assert "NAME and --metadata name=… differ" in me.fails(2, "create", "db", "-m", "name=x", "-d", f"a={MARK}")
    assert "--data takes KEY=VALUE or file:KEY=PATH\n" in me.fails(2, "create", "db", "-d", MARK)
    assert "--data takes KEY=VALUE or file:KEY=PATH\n" in me.fails(2, "create", "db", "-d", "~gone")
    assert "--data names the key a twice\n" in me.fails(2, "create", "db", "-d", "a=1", "-d", f"a={MARK}")
    assert "gone: --data: can't be read" in me.fails(7, "create", "db", "-d", "file:gone")
    assert "--string-data: not a valid key name" in me.fails(3, "create", "db", "-s", "..x=1")
    assert "a key that is under data" in me.fails(2, "create", "db", "-d", "a=1", "-s", f"a={MARK}")
    assert "not UTF-8" in me.fails(2, "create", "db", b"-sa=\xff")
    assert plain(me, "-m", "name=only", "-d", "a=b")["metadata"] == {"name": "only"}


def test_random_immutable_hash_and_labels(me: Person) -> None:
    made = plain(me, "generic", "db", "--random", "pw=40", "--immutable", "-l=a=b", "--append-hash")
    assert made["immutable"] is True
    assert made["metadata"]["labels"] == {"a": "b"}
    assert len(made["metadata"]["name"]) == len("db-") + 10
    assert plain(me, "generic", "db", "--append-hash=false", "--immutable=f")["metadata"] == {"name": "db"}


def hash_of(name: str, data: dict[str, str]) -> str:
    """kubectl's, as whoever tries out values would reckon it."""
    whole = json.dumps({"data": data, "kind": "Secret", "name": name, "type": ""}, separators=(",", ":"))
    return hashlib.sha256(whole.encode()).hexdigest()[:10].translate(str.maketrans("013ae", "ghkmt"))


@pytest.mark.parametrize(
    "words",
    [
        ("--random", "pin=6:digits"),
        ("--random", "pw=21"),
        ("--random", "pw=31:hex"),
        ("--random", "a=4", "--random", "b=17"),
        ("--from-literal", f"password={PASSWORD}"),
    ],
    ids=" ".join,
)
def test_a_hash_of_values_that_can_be_guessed_is_not_put_into_the_clear(me: Person, words: tuple[str, ...]) -> None:
    said = me.fails(2, "create", "generic", "card", *words, "--append-hash", "-o", "card.yaml")
    assert "--append-hash would put a hash of the values into the name" in said
    assert me.names() == []
    assert plain(me, "generic", "card", *words, "--append-hash")["metadata"]["name"] != "card"


def test_kubectls_hash_stays_for_what_is_in_the_clear(me: Person) -> None:
    made = plain(me, "generic", "card", "--from-literal=pin=123456", "--append-hash")
    assert made["metadata"]["name"] == f"card-{hash_of('card', made['data'])}"


@pytest.mark.parametrize("words", [("pw=22",), ("pw=32:hex",), ("a=11", "b=11"), ("pw=22", "pin=6:digits")])
def test_a_hash_of_values_that_nobody_can_guess_tells_nothing(me: Person, words: tuple[str, ...]) -> None:
    options = [f"--random={word}" for word in words]
    sealed = me.ok("create", "generic", "db", *options, "--append-hash", "--from-literal=user=me").out
    assert re.search(rb"(?m)^  name: db-[a-z0-9]{10}$", sealed)
    assert b"sealedFor: db-" in sealed


def test_a_hash_of_no_values_is_taken(me: Person) -> None:
    (me.work / "empty").mkdir()
    assert b"name: db-" in me.ok("create", "generic", "db", "--from-file=empty", "--append-hash").out


def test_an_annotation_that_repeats_a_value_is_refused(me: Person) -> None:
    words = ("create", "generic", "db", f"--from-literal=password={PASSWORD}", "-a", f"note=it is {PASSWORD}")
    said = me.fails(3, *words, "-o", "db.yaml")
    assert 'the annotation note repeats the value of data["password"] of db in the clear' in said
    assert me.names() == []
    me.ok(*words, "--allow-repeated", "-o", "db.yaml")
    assert me.names() == ["db.yaml"]


def test_values_over_the_limit(me: Person) -> None:
    me.write("large", MARK.encode() * 110_000)
    said = me.fails(3, "create", "generic", "db", "--from-file=large", "--plaintext")
    assert "1100000 bytes of values, over Kubernetes' limit of 1048576 (1 MiB)" in said


def test_an_empty_secret_is_printed_as_it_is_and_told(me: Person) -> None:
    (me.work / "empty").mkdir()
    made = me.ok("create", "generic", "db", "--from-file=empty")
    assert made.out == b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n"
    assert made.err.splitlines() == [
        f"{WARNING}--from-file: empty: no regular file in it, so it adds no key"
        " (links are passed over, as kubectl does)",
        f"{WARNING}it holds no value, so there was nothing to seal",
    ]


def test_docker_passwords_that_do_not_stand_in_the_command_line(me: Person) -> None:
    config = json.dumps(
        {"auths": {"r.io": {"username": "me", "password": PASSWORD, "auth": b64(f"me:{PASSWORD}")}}},
        separators=(",", ":"),
    )
    words = ["docker-registry", "pull", "--docker-server=r.io", "--docker-username=me"]
    me.write("password", f"{PASSWORD}\r\n".encode())
    for more, stdin in (
        (["--docker-password-stdin"], f"{PASSWORD}\n".encode()),
        (["--docker-password=@password"], b""),
    ):
        ran = me.ok("create", *words, *more, "--plaintext", stdin=stdin)
        assert (yaml.safe_load(ran.out)["data"], ran.err) == ({".dockerconfigjson": b64(config)}, "")
    ran = me.ok("create", *words, f"--docker-password={PASSWORD}", "--plaintext")
    assert yaml.safe_load(ran.out)["data"] == {".dockerconfigjson": b64(config)}
    assert ran.err.startswith(f"{WARNING}--docker-password on the command line can be seen")
    assert ran.err.count("\n") == 1
    said = me.fails(7, "create", *words, f"--docker-password=@{MARK}")
    assert "--docker-password: can't read the file after @" in said
    me.fails(2, "create", *words, f"--docker-password={MARK}", "--docker-password-stdin")


def test_docker_login_from_a_helper_on_the_path(me: Person) -> None:
    helper = me.home / "docker-credential-vault"
    helper.write_text(
        f'#!/bin/sh\nread s\n[ "$s" = ghcr.io ] || exit 1\necho \'{{"Username":"me","Secret":"{MARK}"}}\'\n'
    )
    helper.chmod(0o755)
    (me.home / ".docker").mkdir()
    (me.home / ".docker" / "config.json").write_text('{"auths":{"ghcr.io":{},"r.io":{}},"credsStore":"vault"}')
    path = os.pathsep.join((str(me.home), os.environ["PATH"]))
    words = ["docker-registry", "pull", "--from-docker-config"]
    made = plain(me, *words, "--server", "ghcr.io", PATH=path)
    assert made["type"] == "kubernetes.io/dockerconfigjson"
    entry = {"username": "me", "password": MARK, "auth": b64(f"me:{MARK}")}
    assert made["data"] == {".dockerconfigjson": b64(json.dumps({"auths": {"ghcr.io": entry}}, separators=(",", ":")))}
    assert "has no login for r.io" in me.fails(3, "create", *words, "--docker-server=r.io", PATH=path)
    assert "2 servers in it" in me.fails(2, "create", *words, PATH=path)
    assert "goes without --from-file" in me.fails(2, "create", *words, "--docker-username=me", PATH=path)


def test_tls_from_pkcs12_and_its_warnings(me: Person) -> None:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

    pair = new_pair("rsa1024", days=(-900, -800), names=False)
    lock = BestAvailableEncryption(MARK.encode())
    me.write("web.p12", serialize_key_and_certificates(b"web", pair.private, pair.certificate, None, lock))
    words = ["create", "tls", "web", "--pkcs12", "web.p12", "--plaintext", "--pkcs12-password-file"]
    ran = me.ok(*words, "-", stdin=f"{MARK}\n".encode())
    made = yaml.safe_load(ran.out)
    assert (made["type"], made["data"]) == ("kubernetes.io/tls", {"tls.crt": b64(pair.cert), "tls.key": b64(pair.key)})
    told = ran.err.splitlines()
    assert len(told) == 3
    for line, words_said in zip(
        told, ("expired on", "no subject alternative names", "RSA with 1024 bits"), strict=True
    ):
        assert line.startswith(WARNING)
        assert words_said in line
    me.write("wrong", b"x")
    assert "web.p12: --pkcs12: not PKCS#12, damaged, or another password" in me.fails(3, *words, "wrong")
    me.fails(2, *words, "wrong", "--cert=c.pem")


def test_the_other_kinds(me: Person) -> None:
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    basic = plain(me, "basic-auth", "git", "--username=me", "--password-stdin", stdin=f"{PASSWORD}\n".encode())
    assert (basic["type"], basic["data"]["password"]) == ("kubernetes.io/basic-auth", b64(PASSWORD))
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    me.write("id", key)
    ssh = plain(me, "ssh-auth", "git", "--ssh-privatekey=id")
    assert (ssh["type"], ssh["data"]) == ("kubernetes.io/ssh-auth", {"ssh-privatekey": b64(key)})
    account = me.ok("create", "service-account-token", "ci", "--service-account=ci", "-a", "x=y")
    assert account.err == ""
    assert yaml.safe_load(account.out) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ci", "annotations": {"kubernetes.io/service-account.name": "ci", "x": "y"}},
        "type": "kubernetes.io/service-account-token",
    }
    token = plain(me, "bootstrap-token", "bootstrap-token-abc123", "-n", "kube-system", "--ttl=24h")
    assert set(token["data"]) == {
        *("token-id", "token-secret", "expiration", "usage-bootstrap-authentication", "usage-bootstrap-signing")
    }
    assert "--ttl: expected" in me.fails(2, "create", "bootstrap-token", "bootstrap-token-abc123", "--ttl=soon")
    assert "--ssh-privatekey is required" in me.fails(2, "create", "ssh-auth", "git")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["generic", "db", "--save-config"], 2, "--save-config would repeat the clear values in an annotation"),
        (["generic", "db", "--dry-run=server"], 2, "--dry-run: invalid value, or one that means a cluster"),
        (["generic", "db", f"--from-literal={MARK}"], 2, "--from-literal number 1: invalid source"),
        (["generic", "db", f"--from-literal={MARK}/=x"], 3, "--from-literal number 1: not a valid key name"),
        (["generic", "db", "--from-literal=a=b", "--username=x"], 2, "unknown option --username for generic"),
        (["tls", "web", "-d", f"a={MARK}"], 2, "unknown option --data for tls"),
        (["nonsense", "db"], 2, "say which kind of Secret and NAME"),
        (["generic"], 2, "exactly one NAME is required, got 0"),
        (["generic", "db", "-l", "a b=c"], 2, "--label: not a valid label"),
        (["docker-registry", "pull", "--server=x"], 2, "--server goes with --from-docker-config"),
    ],
)
def test_what_is_refused_and_that_no_value_is_shown(me: Person, words: list[str], code: int, said: str) -> None:
    assert said in me.fails(code, "create", *words)


def test_an_env_files_lines_are_never_shown(me: Person) -> None:
    me.write("app.env", f"A={MARK}\npassword: {MARK}\n".encode())
    said = me.fails(3, "create", "generic", "db", "--from-env-file=app.env")
    assert said.startswith("ksecret: app.env:2: --from-env-file: what stands before '=' is not a valid key name")
    me.write("app.env", f'{MARK}\nA="{MARK}"\n'.encode())
    assert me.ok("create", "generic", "db", "--from-env-file=app.env").err.count(WARNING) == 2


def test_snippets_need_no_key(me: Person, tmp_path: Path) -> None:
    me.ok("create", "generic", "db", f"--from-literal=pass.word={MARK}", "-o", "db.yaml")
    nobody = Person(tmp_path, "nobody", identity=False)
    file = str(me.work / "db.yaml")
    assert yaml.safe_load(nobody.ok("snippet", file, "--env").out) == {
        "env": [{"name": "PASS_WORD", "valueFrom": {"secretKeyRef": {"key": "pass.word", "name": "db"}}}]
    }
    both = yaml.safe_load(
        nobody.ok("snippet", "-", "--env-from", "--volume", stdin=(me.work / "db.yaml").read_bytes()).out
    )
    assert set(both) == {"envFrom", "volumeMounts", "volumes"}
    me.write("map.yaml", b"apiVersion: v1\nkind: ConfigMap\n")
    assert "map.yaml: it is a ConfigMap" in me.fails(3, "snippet", "map.yaml")


def test_a_decrypt_pays_nothing_for_the_generators(me: Person) -> None:
    me.write_sealed("db.yaml")
    code = (
        "import sys\nfrom secretsvc.cli.main import main\nassert main(['decrypt', 'db.yaml']) == 0\n"
        "assert not [name for name in sys.modules if 'generators' in name or 'create' in name or 'entries' in name]"
    )
    me.ok("-c", code, program=sys.executable)
