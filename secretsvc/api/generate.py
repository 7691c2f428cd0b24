"""Secrets in the clear, made of bodies for /v1/generate by the generators that `ksecret create` uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from secretsvc.api.models import decoded
from secretsvc.api.problems import REQUEST, RefusedError, pointer_to
from secretsvc.errors import InputError, UsageError
from secretsvc.generators import docker, fixed_keys, manifest, tls
from secretsvc.generators.entries import NewEntry, collect
from secretsvc.generators.manifest import NewSecret
from secretsvc.generators.random_text import random_text
from secretsvc.manifest.rules import MAX_SECRET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from secretsvc.api.models import GenerateBody


def generated(kind: str, body: GenerateBody, warn: Callable[[str], None]) -> NewSecret:
    """Make a Secret. Raises RefusedError, UsageError and InputError; `warn` is told what Kubernetes will not like."""
    for member in type(body).model_fields:
        if member in body.model_fields_set - {*_COMMON, *_ROWS[kind].members}:
            name = type(body).model_fields[member].alias
            detail = f"{name}: {kind} does not take it"
            hint = "docs/api.md has the members of each"
            raise RefusedError(REQUEST, detail, hint=hint, pointer=pointer_to(str(name)))
    try:
        return _made(kind, body, lambda text: warn(_of_members(text)))
    except (UsageError, InputError) as error:
        error.message, hint = _of_members(error.message), _of_members(error.hint)
        member = error.message.partition(":")[0]
        if not error.pointer and member in _MEMBERS.values():
            error.pointer = pointer_to(member)
        error.hint = "" if _OPTION.search(hint) else hint
        raise


def _of_members(text: str) -> str:
    """Say of the body's members what generators say of the command line's options."""
    return _OPTION.sub(lambda option: _MEMBERS.get(option[0], option[0]), text)


def _made(kind: str, body: GenerateBody, warn: Callable[[str], None]) -> NewSecret:
    made = _ROWS[kind].make(body, warn)
    secret = made._replace(
        name=body.name,
        namespace=body.namespace,
        labels=body.labels,
        annotations=body.annotations,
        immutable=body.immutable,
    )
    if not secret.name:
        raise InputError("a Secret needs a name", pointer="#/name")
    manifest.check(secret, warn)
    return secret


def _generic(body: GenerateBody, _warn: Callable[[str], None]) -> NewSecret:
    if sum(body.random.values()) > MAX_SECRET_BYTES:
        raise InputError("random: more than 1 MiB together, Kubernetes' limit", pointer="#/random")
    items = [NewEntry(key, decoded(text, "data", key), "data") for key, text in body.data.items()]
    items += [NewEntry(key, random_text(str(length)).encode(), "random") for key, length in body.random.items()]
    texts = [NewEntry(key, text.encode(), "stringData") for key, text in body.string_data.items()]
    _collected([*items, *texts])
    return NewSecret("", type=body.type or "Opaque", data=collect(items), string_data=body.string_data)


def _collected(items: Sequence[NewEntry]) -> None:
    """Look at the entries' names. Raises InputError, which points to the one at fault."""
    last = items[0] if items else None

    def each() -> Iterator[NewEntry]:
        nonlocal last
        for item in items:
            last = item
            yield item

    try:
        collect(each())
    except InputError as error:
        assert last
        error.pointer = pointer_to(last.flag, last.key)
        error.hint = error.hint and "choose another name"
        raise


def _tls(body: GenerateBody, _warn: Callable[[str], None]) -> NewSecret:
    return NewSecret("", type=tls.TYPE, data=tls.tls(body.cert.encode(), body.key.encode(), "cert", "key"))


def _docker(body: GenerateBody, _warn: Callable[[str], None]) -> NewSecret:
    if not (body.server and body.username and body.password):
        empty = next(name for name in ("server", "username", "password") if not getattr(body, name))
        raise UsageError("server, username and password are required", pointer=pointer_to(empty))
    login = docker.Login(body.server.encode(), body.username.encode(), body.password.encode(), body.email.encode())
    return NewSecret("", type=docker.TYPE, data=docker.docker_config(login))


def _basic(body: GenerateBody, _warn: Callable[[str], None]) -> NewSecret:
    password = body.password
    if body.random:
        if password or set(body.random) != {"password"}:
            detail = "random: it makes the entry password, where none is said"
            raise RefusedError(REQUEST, detail, pointer="#/random")
        password = random_text(str(body.random["password"]))
    if not (body.username or password):
        raise UsageError("username or password is required", pointer="#/username")
    return NewSecret(
        "", type=fixed_keys.BASIC_AUTH, data=fixed_keys.basic_auth(body.username.encode(), password.encode())
    )


def _ssh(body: GenerateBody, warn: Callable[[str], None]) -> NewSecret:
    return NewSecret("", type=fixed_keys.SSH_AUTH, data=fixed_keys.ssh_auth(body.private_key.encode(), warn))


def _bootstrap(body: GenerateBody, warn: Callable[[str], None]) -> NewSecret:
    if body.namespace != "kube-system":
        warn("a bootstrap token works in the namespace kube-system only")
    asked = fixed_keys.Bootstrap(
        body.name,
        body.token_secret.encode(),
        fixed_keys.expiration(body.ttl),
        tuple(body.usages),
        tuple(body.groups),
        body.description,
    )
    return NewSecret("", type=fixed_keys.BOOTSTRAP_TOKEN, data=fixed_keys.bootstrap_token(asked))


_OPTION = re.compile(r"--[a-z][a-z-]*")
_MEMBERS = {
    "--annotation": "annotations",
    "--cert": "cert",
    "--groups": "groups",
    "--key": "key",
    "--label": "labels",
    "--namespace": "namespace",
    "--password": "password",
    "--ssh-privatekey": "privateKey",
    "--token-secret": "tokenSecret",
    "--ttl": "ttl",
    "--type": "type",
    "--usages": "usages",
    "--username": "username",
}

_COMMON = ("name", "namespace", "labels", "annotations", "immutable")


class _Row(NamedTuple):
    """A kind of Secret: what makes it, and the members of a body that it takes beside the common ones."""

    make: Callable[[GenerateBody, Callable[[str], None]], NewSecret]
    members: tuple[str, ...]
    """A value that is not used must not go unsaid: others are refused."""


_ROWS = {
    "generic": _Row(_generic, ("type", "data", "string_data", "random")),
    "tls": _Row(_tls, ("cert", "key")),
    "docker-registry": _Row(_docker, ("server", "username", "password", "email")),
    "basic-auth": _Row(_basic, ("username", "password", "random")),
    "ssh-auth": _Row(_ssh, ("private_key",)),
    "bootstrap-token": _Row(_bootstrap, ("token_secret", "ttl", "usages", "groups", "description")),
}
"""All of the CLI's but service-account-token, which has no value to seal: Kubernetes fills it in."""

SECRET_KINDS = tuple(_ROWS)
if TYPE_CHECKING:
    SecretKind = str
else:
    SecretKind = Literal[SECRET_KINDS]
