"""Logins from Docker's configuration, with credential helpers that are real programs."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.errors import FileError, InputError, KsecretError, UsageError
from secretsvc.generators.docker import Login, docker_config
from secretsvc.generators.docker_login import config_path, docker_login

if TYPE_CHECKING:
    from pathlib import Path

HUB = "https://index.docker.io/v1/"


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": b64encode(f"{user}:{password}".encode()).decode()}


class Docker:
    """A folder with config.json, and one on the PATH with helpers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = str(folder / "config.json")
        self.environ = {"PATH": os.pathsep.join((str(folder), os.environ["PATH"])), "HOME": str(folder)}

    def config(self, **members: Any) -> None:
        (self.folder / "config.json").write_text(json.dumps(members))

    def helper(self, name: str, script: str) -> None:
        """A shell script that is called as docker calls a helper; it logs how."""
        path = self.folder / f"docker-credential-{name}"
        path.write_text(f'#!/bin/sh\nread -r server\necho "$# $1 $server" >> {self.folder}/calls\n{script}\n')
        path.chmod(0o755)

    def login(self, server: str = "") -> Login:
        return docker_login(self.path, server, self.environ)

    def fails(self, kind: type[KsecretError], message: str, server: str = "") -> KsecretError:
        with pytest.raises(kind, match=message) as caught:
            self.login(server)
        assert caught.value.file == self.path
        assert caught.value.message.startswith("--from-docker-config: ")
        assert "hunter2" not in caught.value.message + caught.value.hint
        return caught.value


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path)


def test_where_the_configuration_is() -> None:
    assert config_path({"HOME": "/h"}) == "/h/.docker/config.json"
    assert config_path({"HOME": "/h", "DOCKER_CONFIG": "/d"}) == "/d/config.json"


def test_an_entry_of_the_file(docker: Docker) -> None:
    docker.config(auths={"ghcr.io": auth("me", "hunter2:x"), HUB: auth("hub", "p")})
    assert docker.login("ghcr.io") == Login(b"ghcr.io", b"me", b"hunter2:x")
    assert docker.login(HUB) == Login(HUB.encode(), b"hub", b"p")
    assert docker.login("https://ghcr.io/v2/") == Login(b"ghcr.io", b"me", b"hunter2:x")
    assert docker.login("index.docker.io").server == HUB.encode()
    docker.fails(UsageError, "2 servers in it")
    docker.fails(InputError, "no login for quay.io", "quay.io")


def test_the_only_server_needs_no_name(docker: Docker) -> None:
    docker.config(auths={"ghcr.io": {"username": "me", "password": "hunter2", "email": "a@b"}})
    login = docker.login()
    assert login == Login(b"ghcr.io", b"me", b"hunter2", b"a@b")
    written = json.loads(docker_config(login)[".dockerconfigjson"])
    entry = {"username": "me", "password": "hunter2", "email": "a@b", **auth("me", "hunter2")}
    assert written == {"auths": {"ghcr.io": entry}}
    assert "hunter2" not in repr(login)


def test_a_helper_is_called_as_docker_calls_it(docker: Docker) -> None:
    docker.config(auths={"ghcr.io": {}}, credsStore="store", credHelpers={"gcr.io": "gcloud"})
    docker.helper("store", """printf '{"ServerURL":"ghcr.io","Username":"me","Secret":"hunter2"}'""")
    docker.helper("gcloud", """printf '{"Username":"_dcgcloud","Secret":"other"}'""")
    assert docker.login("ghcr.io") == Login(b"ghcr.io", b"me", b"hunter2")
    assert docker.login("https://gcr.io/v1/") == Login(b"https://gcr.io/v1/", b"_dcgcloud", b"other")
    assert (docker.folder / "calls").read_text() == "1 get ghcr.io\n1 get https://gcr.io/v1/\n"


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("echo hunter2; exit 1", InputError, "docker-credential-store has no login for ghcr.io"),
        ("echo hunter2", InputError, "gives no user name and password"),
        ("echo '[\"hunter2\"]'", InputError, "gives no user name and password"),
        ('echo \'{"Username":"<token>","Secret":"hunter2"}\'', InputError, "an identity token for ghcr.io"),
    ],
)
def test_a_helper_that_fails(docker: Docker, script: str, kind: type[KsecretError], message: str) -> None:
    docker.config(credsStore="store", auths={"ghcr.io": {}})
    docker.helper("store", script)
    docker.fails(kind, message)


def test_a_helper_that_is_not_there_or_is_no_name(docker: Docker) -> None:
    docker.config(credsStore="gone", auths={"ghcr.io": {}})
    docker.fails(FileError, "docker-credential-gone is not installed")
    docker.config(credsStore="x/../../bin/sh", auths={"ghcr.io": {}})
    docker.fails(InputError, "a credential helper's name is off")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"identitytoken": "hunter2"}, "an identity token for ghcr.io"),
        ({"auth": "hunter2!"}, "auth is not base64"),
        ({"auth": b64encode(b"hunter2").decode()}, "no user name and password for ghcr.io"),
        ({}, "no user name and password for ghcr.io"),
    ],
)
def test_an_entry_that_kubelets_could_not_use(docker: Docker, entry: dict[str, str], message: str) -> None:
    docker.config(auths={"ghcr.io": entry})
    docker.fails(InputError, message)


def test_a_file_that_is_none(docker: Docker) -> None:
    docker.fails(FileError, "can't read it: no such file or directory")
    (docker.folder / "config.json").write_text("hunter2")
    docker.fails(InputError, "not JSON")
    (docker.folder / "config.json").write_text("[]")
    docker.fails(InputError, "not Docker's configuration")
    docker.config()
    docker.fails(UsageError, "0 servers in it")
