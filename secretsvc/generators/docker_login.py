"""A login from Docker's own configuration, through its credential helpers where it names one.

Source: https://docs.docker.com/reference/cli/docker/login/ ("Credential helpers"): `docker-credential-NAME get`, the
server on standard input, JSON with `Username` and `Secret` on standard output.
"""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64decode
from json import loads

from secretsvc import programs
from secretsvc.errors import FileError, InputError, UsageError
from secretsvc.generators.docker import Login
from secretsvc.generators.sources import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FLAG = "--from-docker-config"
HELPER_SECONDS = 120
"""A helper may ask its user for a PIN."""

_HINT = "run `docker login SERVER` first, or name the server as config.json does, with --server"


def config_path(environ: Mapping[str, str]) -> str:
    """Path of docker's configuration: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`."""
    folder = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", ""), ".docker")
    return os.path.join(folder, "config.json")


def docker_login(path: str, server: str, environ: Mapping[str, str]) -> Login:
    """The login for that server; an empty one means the only server that the file names.

    Raises FileError, InputError and UsageError; the messages name the file and the server, and hold no answer of a
    helper.
    """
    try:
        config = loads(read_file(path, FLAG))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{FLAG}: not JSON", file=path) from error
    if not isinstance(config, dict):
        raise InputError(f"{FLAG}: not Docker's configuration", file=path)
    auths, helpers = _members(config, "auths"), _members(config, "credHelpers")
    server = server or _only(auths, helpers, path)
    helper = _named(helpers, server) or config.get("credsStore")
    if helper:
        return _ask(str(helper), server, path, environ)
    name, entry = _entry(auths, server)
    if not isinstance(entry, dict):
        raise InputError(f"{FLAG}: no login for {server}", hint=_HINT, file=path)
    return _login(name, entry, path)


def _members(config: dict[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _only(auths: dict[str, Any], helpers: dict[str, Any], path: str) -> str:
    servers = sorted({*auths, *helpers})
    if len(servers) != 1:
        hint = "say which with --server" if servers else _HINT
        raise UsageError(f"{FLAG}: {len(servers)} servers in it", hint=hint, file=path)
    return servers[0]


def _host(server: str) -> str:
    """Strip scheme and path of a server, as docker compares them."""
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _named(helpers: dict[str, Any], server: str) -> object:
    return helpers.get(server) or helpers.get(_host(server))


def _entry(auths: dict[str, Any], server: str) -> tuple[str, object]:
    """The name and the entry of that very server, else of one on the same host."""
    if server in auths:
        return server, auths[server]
    same = [name for name in auths if _host(name) == _host(server)]
    return (same[0], auths[same[0]]) if same else (server, None)


def _login(server: str, entry: dict[str, Any], path: str) -> Login:
    if entry.get("identitytoken"):
        raise _no_password(server, path)
    try:
        pair = b64decode(str(entry.get("auth") or ""), validate=True).rstrip(b"\0")
    except ValueError as error:
        raise InputError(f"{FLAG}: the login for {server} is damaged: auth is not base64", file=path) from error
    username, _, password = pair.partition(b":")
    username = username or str(entry.get("username") or "").encode()
    password = password or str(entry.get("password") or "").encode()
    if not (username and password):
        hint = "it may be in the desktop's own store; or " + _HINT
        raise InputError(f"{FLAG}: no user name and password for {server}", hint=hint, file=path)
    return Login(server.encode(), username, password, str(entry.get("email") or "").encode())


def _ask(helper: str, server: str, path: str, environ: Mapping[str, str]) -> Login:
    """Ask a credential helper for what it keeps for that server."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", helper):
        raise InputError(f"{FLAG}: a credential helper's name is off", file=path)
    program = f"docker-credential-{helper}"
    found = programs.find(program, environ)
    if not found:
        raise FileError(f"{FLAG}: {program} is not installed", hint="put it on the PATH", file=path)
    try:
        done = subprocess.run(  # noqa: S603
            [found, "get"],
            input=server.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=programs.environment(environ),
            timeout=HELPER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FileError(f"{FLAG}: {program} can't be run, or gives no answer", file=path) from error
    if done.returncode:
        raise InputError(f"{FLAG}: {program} has no login for {server}", hint=_HINT, file=path)
    try:
        answer = loads(done.stdout)
        username, password = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, TypeError, LookupError, RecursionError):
        raise InputError(f"{FLAG}: {program} gives no user name and password", file=path) from None
    if username == "<token>":
        raise _no_password(server, path)
    return Login(server.encode(), username.encode(), password.encode())


def _no_password(server: str, path: str) -> InputError:
    hint = "log in with a user name and an access token as the password"
    return InputError(f"{FLAG}: an identity token for {server}, which kubelets can't use", hint=hint, file=path)
