"""Starting the service: --dev, TLS, what it refuses, and how mistakes in its configuration are told."""

from __future__ import annotations

import os
import socket
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import MANIFEST, Person
from tests.issuer import certificate, revocations
from tests.service import Service
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_dev_needs_nothing_and_makes_an_identity(tmp_path: Path) -> None:
    service = Service(tmp_path, "--dev", "--port", "0")
    del service.environ["KSECRET_AGE_KEY"]
    with service:
        log = service.log.read_text()
        assert "made your age identity" in log
        (bearer,) = [line.strip().removeprefix("TOKEN=") for line in log.splitlines() if "TOKEN=" in line]
        (recipient,) = [line.split()[-1] for line in log.splitlines() if "sealing to" in line]
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/yaml"}
        sealed = service.send("POST", "/v1/encrypt", MANIFEST, headers)
        assert recipient.encode() in sealed.body
        assert service.send("POST", "/v1/decrypt", sealed.body, headers).body == MANIFEST
        assert service.post("/v1/encrypt", MANIFEST).status == 401, "another token is none"
        for path in ("/", "/page/main.js", "/metrics", "/docs", "/openapi.json"):
            assert service.get(path, "").status == 200
        assert service.stop() == 0
    identity = tmp_path / "ksecret" / "age.key"
    assert identity.stat().st_mode & 0o777 == 0o600
    assert '"event":"outcome"' in service.out.read_text()
    assert b"all sound" in Person(tmp_path, identity=False).ok("audit", "verify", str(service.out)).out


def test_dev_with_an_identity_that_is_there_keeps_it(tmp_path: Path) -> None:
    person = Person(tmp_path)
    service = Service(tmp_path, "--dev", "--port", "0", XDG_CONFIG_HOME=str(person.home))
    del service.environ["KSECRET_AGE_KEY"]
    with service:
        assert f"sealing to {person.ref}" in service.log.read_text()
    assert person.key_file.read_text() == f"{person.identity}\n"


def test_tls_and_clients_with_certificates(tmp_path: Path) -> None:
    ca = certificate(tmp_path / "ca.pem", "test CA")
    pem = certificate(tmp_path / "server.pem", ca=ca)
    client = certificate(tmp_path / "client.pem", "client", ca=ca)
    service = Service(tmp_path)
    service.config["listen"] |= {"tlsCert": str(pem), "tlsKey": str(pem), "tlsClientCa": str(ca)}
    service.context = ssl.create_default_context(cafile=ca)
    service.context.load_cert_chain(client)
    with service:
        assert service.log.read_text().startswith("ksecret: listening at https://")
        assert service.post("/v1/decrypt", service.sealed(MANIFEST)).body == MANIFEST
        assert service.get("/v1/keys", "").status == 401, "a certificate alone is no caller"
        service.context = ssl.create_default_context(cafile=ca)
        with pytest.raises(OSError, match=r"(?i)certificate|reset|closed"):
            service.get("/livez", "")
        service.context = ssl.create_default_context(cafile=ca)
        service.context.maximum_version = ssl.TLSVersion.TLSv1_2
        service.context.load_cert_chain(client)
        with pytest.raises(OSError, match=r"(?i)protocol|reset|closed"):
            service.get("/livez", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_for_probes_has_health_and_nothing_else_and_asks_for_no_certificate(
    tmp_path: Path, workers: int
) -> None:
    ca = certificate(tmp_path / "ca.pem", "test CA")
    pem, client = certificate(tmp_path / "server.pem", ca=ca), certificate(tmp_path / "client.pem", "client", ca=ca)
    service = Service(tmp_path)
    files = {"tlsCert": str(pem), "tlsKey": str(pem), "tlsClientCa": str(ca)}
    service.config["listen"] |= {**files, "healthPort": 0, "workers": workers, "stopDelay": 3}
    service.config["withoutCaller"] = ["metrics", "docs"]
    service.context = ssl.create_default_context(cafile=ca)
    service.context.load_cert_chain(client)
    with service:
        service.context, service.port = None, service.health_port
        assert service.get("/livez", "").json() == {"status": "alive"}
        assert service.get("/readyz", "").json()["status"] == "ready"
        for path in ("/v1/keys", "/metrics", "/docs", "/openapi.json", "/"):
            assert service.get(path).problem == "not-found"
        assert service.post("/v1/encrypt", MANIFEST).problem == "not-found"
        with socket.create_connection((service.host, service.port), timeout=10) as connection:
            behind = b"GET /v1/keys HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n" + behind)
            told = connection.makefile("rb").read()
            assert [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404"]
        service.process.terminate()
        wait_until(lambda: service.get("/readyz", "").status == 503)


def test_a_port_for_probes_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service, person = Service(tmp_path), Person(tmp_path)
        service.config["listen"]["healthPort"] = taken.getsockname()[1]
        ran = person.run("serve", "--config", str(service.write()))
    assert ran.code == 2
    assert f"can't listen at 127.0.0.1:{service.config['listen']['healthPort']}" in ran.err
    assert "choose another with listen.healthPort" in ran.err


def test_a_revoked_client_needs_no_restart(tmp_path: Path) -> None:
    ca, crl = certificate(tmp_path / "ca.pem", "test CA"), tmp_path / "crl.pem"
    pem, client = certificate(tmp_path / "server.pem", ca=ca), certificate(tmp_path / "client.pem", "client", ca=ca)
    crl.write_bytes(revocations(ca))
    files = {"tlsCert": str(pem), "tlsKey": str(pem), "tlsClientCa": str(ca), "tlsClientCrl": "crl.pem"}
    service = Service(tmp_path)
    service.config["listen"] |= files
    service.context = ssl.create_default_context(cafile=ca)
    service.context.load_cert_chain(client)
    with service:
        connection = service.connect()
        with closing(connection):
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
            assert connection.sock, "it stays open"
            crl.write_bytes(revocations(ca, client))
            connection.sock.settimeout(10)
            assert connection.sock.recv(1) == b"", "open connections end, too"
        wait_until(lambda: not _speaks(service))
        assert "changed TLS files are used from now on" in service.log.read_text()


def test_who_was_let_in_before_the_authority_changed_has_an_answer_and_then_comes_anew(tmp_path: Path) -> None:
    ca, other = certificate(tmp_path / "ca.pem", "test CA"), certificate(tmp_path / "other.pem", "another CA")
    pem, client = certificate(tmp_path / "server.pem", ca=ca), certificate(tmp_path / "client.pem", "client", ca=ca)
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ca.read_bytes())
    service = Service(tmp_path)
    service.config["listen"] |= {"tlsCert": str(pem), "tlsKey": str(pem), "tlsClientCa": str(roots)}
    service.context = ssl.create_default_context(cafile=ca)
    service.context.load_cert_chain(client)
    with service:
        idle, busy = service.connect(), service.connect()
        with closing(idle), closing(busy):
            idle.request("GET", "/livez")
            assert idle.getresponse().read()
            busy.putrequest("POST", "/v1/encrypt")
            for name, text in {**service.bearer("root"), "Content-Length": str(len(MANIFEST))}.items():
                busy.putheader(name, text)
            busy.putheader("Content-Type", "application/yaml")
            busy.endheaders(MANIFEST[:10])
            time.sleep(0.5)
            roots.write_bytes(other.read_bytes())
            assert idle.sock
            idle.sock.settimeout(10)
            assert idle.sock.recv(1) == b""
            busy.send(MANIFEST[10:])
            answer = busy.getresponse()
            assert (answer.status, answer.getheader("connection")) == (200, "close")
            assert answer.read()
        assert not _speaks(service)
        roots.write_bytes(ca.read_bytes())
        wait_until(lambda: _speaks(service))
        with closing(service.connect()) as connection:
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
            roots.rename(tmp_path / "old.pem")
            roots.write_bytes(ca.read_bytes())
            time.sleep(2.5)
            connection.request("GET", "/livez")
            assert connection.getresponse().read(), "the same authority in a new file is no change"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_renewed_certificate_needs_no_restart(tmp_path: Path, workers: int) -> None:
    pem, new = certificate(tmp_path / "server.pem"), certificate(tmp_path / "new.pem")
    service = Service(tmp_path)
    service.config["listen"] |= {"tlsCert": str(pem), "tlsKey": str(pem), "workers": workers}
    service.context = ssl.create_default_context(cafile=pem)
    with service:
        wait_until(lambda: service.log.read_text().count("Started server process") == workers, 60)
        service.context, old = ssl.create_default_context(cafile=new), service.context
        new.rename(pem)
        used = "changed TLS files are used from now on"
        wait_until(lambda: service.log.read_text().count(used) == workers, 60)
        assert all(_speaks(service) for _ in range(10))
        assert service.post("/v1/decrypt", service.sealed(MANIFEST)).body == MANIFEST
        service.context = old
        assert not any(_speaks(service) for _ in range(10))


def _speaks(service: Service) -> bool:
    try:
        return service.get("/livez", "").status == 200
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "without TLS the service does not listen at 0.0.0.0"),
        (["--host", "::"], "without TLS the service does not listen at ::"),
        (["--host", "localhost.example"], "without TLS"),
        (["--tls-cert", "x.pem"], "TLS needs a certificate and a key"),
        (["--tls-client-ca", "x.pem"], "TLS needs a certificate and a key"),
        (["--tls-client-crl", "x.pem"], "no authority whose they are"),
        (["--tls-cert", "x.pem", "--tls-key", "x.pem"], "x.pem: can't be read"),
        (["--tls-cert", "service.yaml", "--tls-key", "service.yaml"], "can't be used together"),
        (["--tls-cert", "x", "--tls-key", "x", "--behind-tls-proxy"], "either TLS here or TLS in a proxy"),
        (
            ["--tls-cert", "server.pem", "--tls-key", "server.pem", "--tls-client-ca", "rules.yaml"],
            "rules.yaml: holds no certificate in PEM",
        ),
        (["--port", "99999"], "listen.port: "),
        (["--workers", "0"], "listen.workers: "),
    ],
)
def test_a_transport_that_is_not_safe_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    person, path = Person(tmp_path), Service(tmp_path).write()
    path.rename(person.work / "service.yaml")
    (tmp_path / "rules.yaml").rename(person.work / "rules.yaml")
    certificate(person.work / "server.pem")
    ran = person.run("serve", "--config", "service.yaml", "--check", *words)
    assert ran.code in (2, 3, 7), ran.err
    assert said in ran.err


def test_behind_a_proxy_it_listens_elsewhere(tmp_path: Path) -> None:
    service = Service(tmp_path, "--host", "0.0.0.0", "--behind-tls-proxy")
    with service:
        service.host = "127.0.0.1"
        assert service.get("/livez", "").status == 200


def test_a_configuration_is_checked_without_serving(tmp_path: Path) -> None:
    person, path = Person(tmp_path), Service(tmp_path).write()
    assert person.ok("serve", "--check", "--config", str(path)).out == f"{path}: sound\n".encode()
    assert "serve needs a configuration" in person.run("serve").err
    assert "--dev takes no configuration" in person.run("serve", "--dev", "--config", str(path)).err
    assert "--dev listens to this machine only" in person.run("serve", "--dev", "--host", "0.0.0.0").err
    assert "can't be read" in person.run("serve", "--config", "nowhere.yaml").err


@pytest.mark.parametrize("kind", ["fifo", "folder", "nowhere"])
def test_an_audit_log_that_can_never_be_written_is_refused_at_the_start(tmp_path: Path, kind: str) -> None:
    person, service = Person(tmp_path), Service(tmp_path)
    if kind == "fifo":
        os.mkfifo(service.audit)
    elif kind == "folder":
        service.audit.mkdir()
    else:
        service.config["audit"]["file"] = str(tmp_path / "nowhere" / "audit.jsonl")
    ran = person.run("serve", "--check", "--config", str(service.write()))
    assert ran.code == 7
    assert f"{service.config['audit']['file']}: the audit log can't be written" in ran.err


def test_a_new_token_and_its_hash(tmp_path: Path) -> None:
    from hashlib import sha256

    told = yaml.safe_load(Person(tmp_path).ok("serve", "--new-token").out)
    assert told["token"].startswith("kst_")
    assert sha256(told["token"].encode()).hexdigest() == told["sha256"]


def test_every_mistake_is_told_with_its_line_and_nothing_of_what_stands_there(tmp_path: Path) -> None:
    person = Person(tmp_path)
    text = """\
version: 1
tokens:
  - name: ci
    sha256: n0t-public-token
  - nam: x
rules:
  - callers: [{token: ci}]
    operations: [encrypt, n0t-public]
    namespaces: []
    names: ["*"]
    keys: ["*"]
  - callers: [{token: ci}]
    operations: [rotate]
    namespaces: ["*"]
    names: ["*"]
    keys: ["age:*"]
limits:
  bodyBytes: much
  n0t-public: 1
"""
    person.write("service.yaml", text.encode())
    ran = person.run("serve", "--config", "service.yaml")
    assert ran.code == 3
    lines = {int(line.split(":")[2]) for line in ran.err.splitlines() if line.startswith("ksecret: service.yaml:")}
    assert lines == {4, 5, 8, 9, 12, 18, 19}
    assert "would let these callers open everything" in ran.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keyRules": "nowhere.yaml"}, "nowhere.yaml: can't be read"),
        ({"audit": {}}, "audit needs a file, or stdout"),
        ({"version": 2}, "version"),
        ({"issuers": [{"name": "a", "issuer": "http://a.example", "audience": "k"}]}, "https:// only"),
        (
            {"issuers": [{"name": "a", "issuer": "https://a.example", "audience": "k", "jwksFile": "x"}]},
            "can't be read",
        ),
        (
            {"issuers": [{"name": "a", "issuer": "https://a.example", "audience": "k", "caFile": "service.yaml"}]},
            "service.yaml: certificates that can't be used",
        ),
        ({"issuers": [{"name": "a", "issuer": "https://a", "audience": "k", "algorithms": ["HS256"]}]}, "algorithms"),
        ({"rules": [{"callers": [{"token": "x"}]}]}, "missing"),
    ],
)
def test_what_a_configuration_names_must_be_there(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    service, person = Service(tmp_path), Person(tmp_path)
    service.config |= change
    ran = person.run("serve", "--check", "--config", str(service.write()))
    assert ran.code != 0
    assert said in ran.err, ran.err


def test_a_key_rule_with_a_profile_of_aws_is_refused_as_the_service_has_none(tmp_path: Path) -> None:
    """Whoever runs the service chooses its credentials, and a rule that named others would not have them."""
    key = "aws:arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    service, person = Service(tmp_path), Person(tmp_path)
    service.key_rules = [{"keys": [service.ref, {"key": key, "profile": "production"}]}]
    ran = person.run("serve", "--check", "--config", str(service.write()))
    assert ran.code != 0
    assert f"rules.yaml: {key}: a key with a profile or a role, and the service knows none" in ran.err
    service.key_rules = [{"keys": [service.ref, key]}]
    assert person.run("serve", "--check", "--config", str(service.write())).code == 0


def test_variables_go_before_the_file(tmp_path: Path) -> None:
    with Service(tmp_path, KSECRET_SERVE_LIMITS_BODY_BYTES="1024") as service:
        assert service.post("/v1/encrypt", MANIFEST + b"#" * 1024).problem == "too-large"
    person = Person(tmp_path, "other")
    path = str(Service(tmp_path).write())
    ran = person.run("serve", "--check", "--config", path, KSECRET_SERVE_LIMITS_BODY_BYTES="n0t-public")
    assert "KSECRET_SERVE_LIMITS_BODY_BYTES: " in ran.err
    assert (
        "KSECRET_SERVE_LIMIT: a variable that is not known"
        in person.run("serve", "--check", "--config", path, KSECRET_SERVE_LIMIT="1").err
    )


def test_without_the_libraries_it_says_what_to_install(tmp_path: Path) -> None:
    person = Person(tmp_path)
    person.write("uvicorn.py", b"raise ModuleNotFoundError('x', name='uvicorn')")
    ran = person.run("serve", "--dev", PYTHONPATH=str(person.work))
    assert ran.code == 6
    assert "pip install 'secretsvc[server]', or from a clone pip install '.[server]'" in ran.err


def test_a_caller_over_its_rate_waits(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.config["limits"] |= {"requestsPerSecond": 0.5, "burst": 3}
    with service:
        answers = [service.get("/v1/keys") for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].problem == "rate"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 2


def test_bodies_take_no_more_memory_than_they_may(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.config["limits"]["bodiesBytes"] = 2048
    with service:
        for _ in range(5):
            answer = service.post("/v1/encrypt", MANIFEST + b"#" * 2048)
            assert (answer.status, answer.problem) == (413, "too-large"), "no use in coming again"
        connection = service.connect()
        connection.putrequest("POST", "/v1/encrypt")
        for name, text in {
            **service.bearer("root"),
            "Content-Type": "application/yaml",
            "Content-Length": "2000",
        }.items():
            connection.putheader(name, text)
        connection.endheaders(b"#" * 1999)
        wait_until(lambda: service.post("/v1/encrypt", MANIFEST).status == 503)
        answer = service.post("/v1/encrypt", MANIFEST)
        assert (answer.problem, 1 <= int(answer.headers["retry-after"]) <= 5) == ("busy", True)
        connection.close()
        wait_until(lambda: service.post("/v1/encrypt", MANIFEST).status == 200)


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.config["limits"]["bodySeconds"] = 0.3
    with service:
        connection = service.connect()
        connection.putrequest("POST", "/v1/encrypt")
        for name, text in {**service.bearer("root"), "Content-Type": "application/yaml", "Content-Length": "9"}.items():
            connection.putheader(name, text)
        connection.endheaders(b"x")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (408, "close")
        connection.close()
