"""docker-compose.yaml and the images in a real engine: `KSECRET_TEST_DOCKER=1 pytest tests/e2e/test_containers.py`.

Asked for by that variable since it needs a Docker daemon, the base image, and the ports that the file publishes. What
can be seen without an engine is in test_deploy.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import BIN
from tests.e2e.kubernetes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not os.environ.get("KSECRET_TEST_DOCKER"), reason="KSECRET_TEST_DOCKER is not set"),
    pytest.mark.alone,
]

HEADER = re.findall(r"(?m)^#   +(.*)", (ROOT / "docker-compose.yaml").read_text().replace("\\\n#", " "))
PATH = f"{BIN}{os.pathsep}{os.environ['PATH']}"


def run(*words: str, status: int = 0) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def compose(*words: str) -> str:
    return run(f"{BIN}/docker-compose", "--project-name", "ksecret-test", *words)


@pytest.fixture(scope="module")
def up() -> Iterator[None]:
    compose("up", "--build", "--wait")
    yield
    compose("down", "--volumes")


def said(first: str) -> str:
    """What the lines of the file's head print, from the one that begins so and those that it needs."""
    exports = [line for line in HEADER if line.startswith("export ")]
    wanted = next(line for line in HEADER if line.startswith(first))
    environment = {"PATH": PATH, "HOME": "/nonexistent"}
    script = "\n".join(["set -eu", *exports, wanted])
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize("first", ["curl ", "KSECRET_TOKEN=$TOKEN ksecret "])
def test_the_lines_of_its_head_seal(first: str) -> None:
    sealed = said(first)
    assert "aws:arn:aws:kms:eu-west-1:123456789012:alias/demo: " in sealed
    assert "gcp:projects/demo/locations/global/keyRings/demo/cryptoKeys/demo: " in sealed


@pytest.mark.usefixtures("up")
def test_the_readmes_lines_seal_and_open(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text().partition("## A service")[2].replace("\\\n", " ")
    _, compose_up, curl, opening = re.findall(r"(?m)^\$ (.*)", text)[:4]
    told = compose_up.rpartition("its token: ")[2]
    script = "\n".join(["set -eu", told, curl, opening])
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={"PATH": PATH}, capture_output=True, timeout=60, check=False
    )
    assert done.stdout == (ROOT / "examples/secret.yaml").read_bytes(), done.stderr


@pytest.mark.usefixtures("up")
def test_the_emulators_serve_the_machine_too() -> None:
    assert said("ksecret doctor").count("seals and opens") == 2


@pytest.mark.usefixtures("up")
def test_the_service_is_nobody_and_can_write_nowhere_but_tmp() -> None:
    write = "import os, sys; print(os.getuid()); open(sys.argv[1] + '/x', 'w')"
    inside = ("exec", "-T", "ksecret", "python", "-c", write)
    assert compose(*inside, "/tmp") == "65532\n"
    with pytest.raises(AssertionError, match="Read-only file system"):
        compose(*inside, "/opt/ksecret")


@pytest.mark.usefixtures("up")
def test_all_of_it_ends_at_once_when_told_to() -> None:
    began = time.monotonic()
    compose("stop")
    assert time.monotonic() - began < 8  # Docker kills after 10 s
    container = compose("ps", "--all", "--quiet", "ksecret").strip()
    assert run("docker", "inspect", "--format", "{{.State.ExitCode}}", container) == "0\n"
    compose("up", "--wait")


def test_the_tools_image_has_what_rotation_jobs_call() -> None:
    run("docker", "build", "--quiet", "--target", "tools", "--tag", "ksecret-test-tools", ".")
    inside = ("docker", "run", "--rm", "--read-only", "--entrypoint")
    for tool in ("git", "gpg", "curl"):
        assert tool in run(*inside, tool, "ksecret-test-tools", "--version")
    assert "pgp: /usr/bin/gpg" in run("docker", "run", "--rm", "--read-only", "ksecret-test-tools", "doctor")
