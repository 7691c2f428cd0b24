"""`ksecret --server`: the same output and the same exit codes as with keys at hand, and no key at hand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.keyref import KeyRef
from tests.e2e.cli import CONFIG_MAP, KSECRET, MANIFEST, NOT_YAML, URL, Person, is_sealed, key_refs, member
from tests.emulators.fake_service import Canned, FakeService
from tests.support import Lock, new_lock
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def identity() -> dict[str, str]:
    """The service's identity, for the runs with keys at hand that it is compared with."""
    return {"KSECRET_AGE_KEY": str(pyrage.x25519.Identity.generate())}


@pytest.fixture
def service(identity: dict[str, str]) -> Iterator[FakeService]:
    keyring = Backends(Settings(identity | {"XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull}, lambda what: None))
    recipient = pyrage.x25519.Identity.from_str(identity["KSECRET_AGE_KEY"]).to_public()
    with FakeService(Lock(keyring, (KeyRef("age", str(recipient)),))) as running:
        yield running


def test_the_whole_round_without_a_key(job: Person, service: FakeService) -> None:
    path = job.write("a.yaml")
    assert job.ok("encrypt", "-i", "a.yaml").out == b""
    sealed = path.read_bytes()
    assert is_sealed(sealed)
    assert key_refs(sealed) == [str(service.lock.keys[0])]
    assert job.ok("decrypt", "a.yaml").out == MANIFEST
    assert job.ok("decrypt", "-", stdin=sealed).out == MANIFEST
    assert job.ok("rotate", "a.yaml").out == b""
    rotated = path.read_bytes()
    assert member(rotated, "password") != member(sealed, "password")
    job.ok("rotate", "--rewrap", "a.yaml")
    rewrapped = path.read_bytes()
    assert member(rewrapped, "password") == member(rotated, "password")
    assert rewrapped != rotated
    job.ok("set", "a.yaml", "password=-", "--random", "more=20", stdin=b"\xff\x00 new")
    assert job.ok("decrypt", "a.yaml").out.count(b"password: /wAgbmV3") == 1
    assert [seen.path for seen in service.seen] == [
        *("/v1/encrypt", "/v1/decrypt", "/v1/decrypt", "/v1/rotate", "/v1/rotate", "/v1/set", "/v1/decrypt")
    ]


@pytest.mark.parametrize("words", [("--server", "URL", "decrypt", "a"), ("decrypt", "a", "--server=URL")])
def test_the_option_stands_before_or_behind_the_command(
    job: Person, service: FakeService, words: tuple[str, ...]
) -> None:
    job.write("a", service.lock.seal(MANIFEST))
    words = tuple(word.replace("URL", service.url) for word in words)
    assert job.ok(*words, KSECRET_SERVER="https://127.0.0.1:1").out == MANIFEST


@pytest.mark.parametrize("key", ["", "-k"])
def test_create_seals_through_it(job: Person, service: FakeService, key: str) -> None:
    """It has a --server of its own, for docker-registry, so there the option stands before the command."""
    other = str(new_lock().keys[0])
    words = ["create", "generic", "db", "--from-literal=a=x", "-o", "db.yaml", *([key, other] if key else [])]
    assert job.ok("--server", service.url, *words, KSECRET_SERVER="https://127.0.0.1:1").out == b""
    sealed = (job.work / "db.yaml").read_bytes()
    assert key_refs(sealed) == [other if key else str(service.lock.keys[0])]
    assert job.ok(*words, "-f", "--ksecret-server", service.url, KSECRET_SERVER="").err == ""
    assert job.ok(*words, "-f").err == ""
    assert [seen.path for seen in service.seen] == ["/v1/encrypt"] * 3


def test_a_command_without_a_service_says_so(job: Person) -> None:
    assert "--server does not go with this command" in job.fails(2, "--server", "https://a", "inspect", "a.yaml")
    assert "unknown option" in job.fails(2, "--server", "https://a")


def test_an_empty_option_means_the_keys_at_hand(tmp_path: Path, service: FakeService) -> None:
    me = Person(tmp_path)
    me.write_sealed("a.yaml")
    assert me.ok("decrypt", "--server", "", "a.yaml", KSECRET_SERVER=service.url).out == MANIFEST
    assert not service.seen


def test_output_is_what_it_is_with_keys_at_hand(
    tmp_path: Path, job: Person, service: FakeService, identity: dict[str, str]
) -> None:
    """-x both ways, several files as one stream, JSON, summaries and what is unchanged."""
    me = Person(tmp_path)
    me.write("t/a.yaml", service.lock.seal(MANIFEST))
    me.write(
        "t/b.json",
        service.lock.seal(b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"j"},"data":{"a":"eA=="}}'),
    )
    me.write("t/c.yaml", CONFIG_MAP)
    for words in (("decrypt", "-x", "t/a.yaml"), ("decrypt", "-r", "t"), ("decrypt", "t/a.yaml", "t/c.yaml")):
        here, there = me.run(*words, **identity), job.run(*words)
        assert (here.code, here.out, here.err) == (there.code, there.out, there.err)
    clear = me.ok("decrypt", "-x", "t/a.yaml", **identity).out
    from_cluster = MANIFEST.replace(b"  name: db\n", b"  name: db\n  uid: '1'\n")
    sealed = job.ok("encrypt", "--from-cluster", "-", stdin=from_cluster).out
    assert me.ok("decrypt", "-", stdin=sealed, **identity).out == MANIFEST
    sealed = job.ok("encrypt", "-x", "-", stdin=clear).out
    assert me.ok("decrypt", "-x", "-", stdin=sealed, **identity).out == clear


def test_exec_and_other_shapes_go_through_it_too(job: Person, service: FakeService) -> None:
    job.write("a.yaml", service.lock.seal(MANIFEST))
    assert job.ok("exec", "a.yaml", "--", "printenv", "url").out == f"{URL}\n".encode()
    assert job.ok("decrypt", "--output-format", "env", "a.yaml").out.count(b"url=") == 1
    assert len(service.seen) == 2


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (("decrypt", "f"), MANIFEST),
        (("decrypt", "f"), NOT_YAML),
        (("decrypt", "f"), CONFIG_MAP),
        (("rotate", "f"), MANIFEST),
        (("encrypt", "f"), CONFIG_MAP),
        (("set", "f", "a=b"), MANIFEST),
        (("decrypt", "missing"), b""),
    ],
)
def test_what_has_nothing_to_do_is_said_alike_and_never_sent(
    tmp_path: Path, job: Person, service: FakeService, words: tuple[str, ...], data: bytes
) -> None:
    me = Person(tmp_path)
    me.write("f", data)
    here, there = me.run(*words), job.run(*words)
    assert here.code > 1
    assert (here.code, here.err) == (there.code, there.err)
    assert not service.seen


def test_what_the_service_finds_is_said_alike(
    tmp_path: Path, job: Person, service: FakeService, identity: dict[str, str]
) -> None:
    """Altered, moved, sealed to others, sealed already: message, line and exit code."""
    me = Person(tmp_path)
    sealed = service.lock.seal(MANIFEST)
    password = member(sealed, "password").split(" ")[0]
    me.write("moved.yaml", sealed.replace(b"name: db", b"name: other"))
    me.write("altered.yaml", sealed.replace(password.encode(), member(sealed, "username").encode()))
    me.write("theirs.yaml", new_lock().seal(MANIFEST))
    for name, code in (("moved", 5), ("altered", 5), ("theirs", 4)):
        here = me.fails(code, "decrypt", f"{name}.yaml", **identity)
        there = job.fails(code, "decrypt", f"{name}.yaml")
        assert there.partition("looked in")[0] == here.partition("looked in")[0]  # each in places of its own
    me.write("sealed.yaml", sealed)
    assert job.fails(3, "encrypt", "sealed.yaml").startswith("ksecret: sealed.yaml: it is sealed already\n")


def test_a_tree_is_worked_on_in_place_and_each_file_by_itself(job: Person, service: FakeService) -> None:
    for number in range(40):
        job.write(f"t/{number:02}.yaml", MANIFEST.replace(b"name: db", b"name: db%d" % number))
    job.write("t/broken.yaml", NOT_YAML)
    job.write("t/plain.yaml", CONFIG_MAP)
    ran = job.run("encrypt", "-i", "-r", "--jobs", "6", "t")
    assert ran.code == 3
    assert ran.err.splitlines()[-1] == "ksecret: 40 sealed, 0 unchanged, 1 skipped, 1 failed"
    assert len({seen.connection for seen in service.seen}) <= 6
    assert len(service.seen) == 40
    assert all(is_sealed((job.work / f"t/{number:02}.yaml").read_bytes()) for number in range(40))
    service.now = "2026-01-01T00:00:00Z"
    (job.work / "t/broken.yaml").unlink()
    job.ok("rotate", "-r", "t", "--report", "run.jsonl")
    before = len(service.seen)
    ran = job.ok("rotate", "-r", "--older-than", "90d", "--shard", "0/2", "t")
    ran = job.ok("rotate", "-r", "--older-than", "90d", "--shard", "1/2", "t")
    assert len(service.seen) - before == 40
    assert job.ok("decrypt", "-r", "t").out.count(b"kind: Secret") == 40


def test_what_is_young_is_not_sent(job: Person, service: FakeService) -> None:
    job.write("a.yaml", service.lock.seal(MANIFEST, created=service.now))
    assert job.ok("rotate", "--older-than", "1h", "a.yaml").err == ""
    assert not service.seen


def test_the_keys_are_the_options_then_the_policys_then_the_environments(job: Person, service: FakeService) -> None:
    one, two, three = (str(new_lock().keys[0]) for _ in range(3))
    job.write("a.yaml")
    assert key_refs(job.ok("encrypt", "a.yaml", KSECRET_KEYS=f"{one},{two}").out) == sorted([one, two])
    job.write(".ksecret.yaml", f"version: 1\nrules:\n  - keys: [{two}]\n".encode())
    assert key_refs(job.ok("encrypt", "a.yaml", KSECRET_KEYS=one).out) == [two]
    assert key_refs(job.ok("encrypt", "-k", three, "a.yaml", KSECRET_KEYS=one).out) == [three]


def test_the_rule_is_that_of_the_file_that_is_made(job: Person, service: FakeService) -> None:
    prod, dev = (str(new_lock().keys[0]) for _ in range(2))
    job.write("r/.ksecret.yaml", f"version: 1\nrules:\n- {{path: prod/, keys: [{prod}]}}\n- keys: [{dev}]\n".encode())
    (job.work / "r/prod").mkdir()
    job.write("clear.yaml")
    assert key_refs(job.ok("encrypt", "--path", "r/prod/a.yaml", "-", stdin=MANIFEST).out) == [prod]
    job.ok("encrypt", "-o", "r/prod/a.yaml", "clear.yaml")
    assert key_refs((job.work / "r/prod/a.yaml").read_bytes()) == [prod]
    generic = ("create", "generic", "db", "--from-literal", "a=n0t-public")
    assert key_refs(job.ok(*generic, "--path", "r/prod/b.yaml").out) == [prod]
    job.work = job.work / "r"
    assert "which rule of .ksecret.yaml fits" in job.fails(2, "encrypt", "-", stdin=MANIFEST)


def test_a_policy_that_a_service_can_not_keep_is_said(job: Person, service: FakeService) -> None:
    job.write("a.yaml", service.lock.seal(MANIFEST))
    job.write(".ksecret.yaml", b"version: 1\nrequireSignature: true\nrules:\n  - keys: [pgp:" + b"A" * 40 + b"]\n")
    for words in (("decrypt", "a.yaml"), ("rotate", "a.yaml"), ("set", "a.yaml", "k=v")):
        assert "its policy demands signatures" in job.fails(3, *words)
    assert not service.seen


def test_opening_by_a_service_needs_no_policy_either(job: Person, service: FakeService) -> None:
    job.write("a.yaml", service.lock.seal(MANIFEST))
    job.write(".ksecret.yaml", b"version: 2\n")
    ran = job.ok("decrypt", "a.yaml")
    assert ran.out == MANIFEST
    assert ran.err.startswith("ksecret: warning: .ksecret.yaml:1: version is not 1")
    assert "version is not 1" in job.fails(3, "rotate", "a.yaml")


def test_scope_and_format_go_along(job: Person, service: FakeService) -> None:
    job.write("a.yaml")
    sealed = job.ok("encrypt", "--scope", "namespace", "--format", "ksecret", "a.yaml").out
    assert member(sealed, "sealedFor") == '"prod/*"'
    assert service.seen[0].query == [("format", "ksecret"), ("scope", "namespace")]


def test_what_is_half_sealed_keeps_its_own(job: Person, service: FakeService) -> None:
    path = job.write("a.yaml", service.lock.seal(MANIFEST))
    path.write_bytes(path.read_bytes().replace(b"stringData:\n", b"stringData:\n  more: text\n"))
    environ = {"KSECRET_FORMAT": "kubesec", "KSECRET_KEYS": str(new_lock().keys[0])}
    assert is_sealed(job.ok("encrypt", "a.yaml", **environ).out)
    assert service.seen[0].query == []
    job.run("encrypt", "--scope", "any", "a.yaml")
    assert service.seen[1].query == [("scope", "any")]


@pytest.mark.parametrize(
    "words",
    [
        ("encrypt", "--parent", "b.yaml", "a.yaml"),
        ("encrypt", "-k", "+age:x", "a.yaml"),
        ("encrypt", "--recompute-mac", "a.yaml"),
        ("decrypt", "--passphrase-file", "p", "a.yaml"),
        ("decrypt", "--keyring", "p", "a.yaml"),
        ("rotate", "--scope", "any", "a.yaml"),
    ],
)
def test_what_only_keys_at_hand_can_do_is_refused(job: Person, service: FakeService, words: tuple[str, ...]) -> None:
    job.write("a.yaml", service.lock.seal(MANIFEST))
    assert "service" in job.fails(2, *words)
    assert not service.seen


def test_without_a_token_nothing_is_sent(job: Person, service: FakeService) -> None:
    job.write("a.yaml")
    assert "no token for the service" in job.fails(2, "encrypt", "a.yaml", KSECRET_TOKEN="")
    assert not service.seen


def test_denials_and_failures_have_the_exit_code_of_a_backend(job: Person, service: FakeService) -> None:
    job.write("a.yaml")
    err = job.fails(6, "encrypt", "a.yaml", KSECRET_TOKEN="another")
    assert err == (
        "ksecret: a.yaml: no such token\n  has it expired, or is it for another service? (the service's request r-1)\n"
    )
    for status in (302, 403, 404, 502, 503, 504):
        service.canned = [Canned(status)]
        assert job.fails(6, "encrypt", "a.yaml").startswith("ksecret: a.yaml: ")
    assert "can't be reached" in job.fails(6, "encrypt", "--server", "https://127.0.0.1:1", "a.yaml")


def test_a_usage_problem_of_one_file_does_not_end_the_run(job: Person, service: FakeService) -> None:
    job.write("t/a.yaml")
    job.write("t/b.yaml")
    service.canned = [Canned(400, b'{"type": "/problems/usage", "detail": "no key rule of the service fits prod/db"}')]
    ran = job.run("encrypt", "-i", "-r", "-j", "1", "t")
    assert ran.code == 2
    assert ran.err == (
        "ksecret: t/a.yaml: no key rule of the service fits prod/db\nksecret: 1 sealed, 0 unchanged, 1 failed\n"
    )


def test_the_answer_to_something_else_does_not_take_a_files_place(job: Person, service: FakeService) -> None:
    path = job.write("a.yaml")
    other = service.lock.seal(MANIFEST.replace(b"name: db", b"name: other"))
    for answer, said in ((other, "not this manifest"), (CONFIG_MAP, "not this manifest"), (MANIFEST, "is not sealed")):
        service.canned = [Canned(body=answer, media="application/yaml")]
        told = job.fails(6, "encrypt", "-i", "a.yaml")
        assert "the service's answer is not" in told
        assert said in told
        assert path.read_bytes() == MANIFEST
    assert job.names() == ["a.yaml"]


@pytest.mark.parametrize(
    "words", [("rotate", "a.yaml"), ("rotate", "--rewrap", "a.yaml"), ("set", "a.yaml", "username=new")]
)
def test_a_clear_answer_takes_no_sealed_files_place(job: Person, service: FakeService, words: tuple[str, ...]) -> None:
    """Nor does one that is sealed to somebody else, or that has other things changed in it."""
    sealed = service.lock.seal(MANIFEST)
    path = job.write("a.yaml", sealed)
    theirs = new_lock().seal(MANIFEST)
    for answer, said in (
        (MANIFEST, "prod/db is not sealed"),
        (theirs, "prod/db is sealed to other keys"),
        (sealed.replace(b"# behind", b"# evil"), "with other changes in it than were asked for"),
        (b"kind: [", "is no manifest"),
    ):
        service.canned = [Canned(body=answer, media="application/yaml")]
        assert said in job.fails(6, *words)
        assert path.read_bytes() == sealed
    assert job.names() == ["a.yaml"]


def test_what_a_fresh_data_key_costs_two_requests_for_is_checked_twice(job: Person, service: FakeService) -> None:
    sealed = service.lock.seal(MANIFEST)
    path = job.write("a.yaml", sealed)
    key = service.lock.keys[0]
    job.write(".ksecret.yaml", f"version: 1\nrules:\n  - {{dataKey: fresh, keys: ['{key}']}}\n".encode())
    for canned in ([sealed], [MANIFEST]):
        service.canned = [Canned(body=body, media="application/yaml") for body in canned]
        assert "the service's answer is not what was asked for" in job.fails(6, "set", "a.yaml", "username=new")
    assert path.read_bytes() == sealed
    job.ok("set", "a.yaml", "username=new")


def test_tls_with_an_authority_of_ones_own(tmp_path: Path, job: Person) -> None:
    authority = Authority(tmp_path / "ca")
    job.write("a.yaml")
    with FakeService(new_lock(), authority.server_context("localhost")) as service:
        job.environ["KSECRET_SERVER"] = service.url
        assert is_sealed(job.ok("encrypt", "--server-ca", authority.ca_file, "a.yaml").out)
        assert is_sealed(job.ok("encrypt", "a.yaml", KSECRET_SERVER_CA=authority.ca_file).out)
        assert "certificate is not trusted" in job.fails(6, "encrypt", "a.yaml")


def test_the_identity_of_a_job_of_github_actions(job: Person, service: FakeService) -> None:
    job.write("a.yaml")
    service.token = "an-identity-token"
    service.canned = [Canned(body=b'{"value": "an-identity-token"}', media="application/json")]
    actions = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{service.url}/t?v=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner"}
    assert is_sealed(job.ok("encrypt", "a.yaml", KSECRET_TOKEN="", **actions).out)
    assert [(seen.path, seen.token) for seen in service.seen] == [
        ("/t", "runner"),
        ("/v1/encrypt", "an-identity-token"),
    ]


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Person]:
    """Somebody who talks to a real `ksecret serve --dev` that has an identity of its own."""
    if not (find_spec("secretsvc.api.app") and find_spec("uvicorn")):
        pytest.skip("the service is not in this tree, or its extra (secretsvc[server]) is not installed")
    host = Person(tmp_path, "host")
    running = subprocess.Popen(
        [KSECRET, "serve", "--dev", "--port", "0"],
        cwd=host.work,
        env=host.environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        said = read_until_it_listens(running)
        person = Person(tmp_path, "dev", identity=False)
        person.environ |= {
            "KSECRET_SERVER": re.findall(r"listening at (\S+)", said)[0],
            "KSECRET_TOKEN": re.findall(r"TOKEN=(\S+)", said)[0],
            "RECIPIENT": host.ref,
        }
        yield person
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(30)
        assert running.stderr
        running.stderr.close()


def read_until_it_listens(running: subprocess.Popen[bytes]) -> str:
    assert running.stderr
    os.set_blocking(running.stderr.fileno(), False)
    said, end = "", time.monotonic() + 30
    while time.monotonic() < end and running.poll() is None:
        said += (running.stderr.read() or b"").decode()
        if re.search(r"listening at \S+\n", said):
            return said
        time.sleep(0.05)
    raise AssertionError(said)


def test_the_real_service(dev: Person) -> None:
    path = dev.write("t/a.yaml")
    dev.write("t/b.yaml", MANIFEST.replace(b"name: db", b"name: other"))
    dev.ok("encrypt", "-i", "-r", "t")
    sealed = path.read_bytes()
    assert key_refs(sealed) == [dev.environ["RECIPIENT"]]
    assert dev.ok("decrypt", "t/a.yaml").out == MANIFEST
    dev.ok("rotate", "-r", "t")
    dev.ok("rotate", "-r", "--rewrap", "t")
    assert member(path.read_bytes(), "password") != member(sealed, "password")
    dev.ok("set", "t/a.yaml", "password=-", stdin=b"\xff new")
    assert b"password: /yBuZXc=" in dev.ok("decrypt", "t/a.yaml").out
    path.write_bytes(sealed.replace(b"name: db", b"name: moved"))
    assert "t/a.yaml" in dev.fails(5, "decrypt", "t/a.yaml")
    assert "sealed already" in dev.fails(3, "encrypt", "t/b.yaml")
    assert dev.run("decrypt", "t/b.yaml", KSECRET_TOKEN="another").code == 6
