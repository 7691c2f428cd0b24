"""Contents of a Secret, for each kind of `ksecret create`: the options' words handed to the generators."""

from __future__ import annotations

import os

from secretsvc.cli.kubesec_words import data_changes
from secretsvc.cli.typed import typed_or_piped
from secretsvc.cli.verbs.create_options import KUBESEC
from secretsvc.errors import FileError, UsageError
from secretsvc.generators.entries import NewEntry, collect
from secretsvc.generators.manifest import NewSecret, check
from secretsvc.generators.sources import read_file, without_line_break

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from secretsvc.cli.verbs.create_options import (
        BasicAuthOptions,
        BootstrapOptions,
        DockerOptions,
        GenericOptions,
        ServiceAccountOptions,
        SshAuthOptions,
        TlsOptions,
        Wanted,
    )
    from secretsvc.generators.entries import Warn


def new_secret(wanted: Wanted, warn: Warn) -> NewSecret:
    """Return the Secret that the options ask for, in the clear. Raises UsageError, FileError and InputError."""
    contents = _KINDS[wanted.kind](wanted, wanted.options, warn)
    secret = contents._replace(
        name=wanted.name,
        namespace=wanted.namespace,
        labels=wanted.labels,
        annotations={**wanted.annotations, **contents.annotations},
        immutable=wanted.immutable,
    )
    check(secret, warn)
    return secret


def _generic(wanted: Wanted, options: GenericOptions, warn: Warn) -> NewSecret:
    from secretsvc.generators.generic import Sources, generic

    sources = Sources(
        options.from_literal or (), options.from_file or (), options.from_env_file or (), options.random or ()
    )
    data = generic(sources, os.environb, warn, _entries(options.data or [], "--data"))
    strings = collect(_entries(options.string_data or [], "--string-data"))
    if set(strings) & set(data):
        raise UsageError("--string-data: a key that is under data already")
    try:
        string_data = {key: value.decode() for key, value in strings.items()}
    except UnicodeDecodeError as error:
        raise UsageError("--string-data: not UTF-8", hint="use --data") from error
    kind = (options.type or "") or ("Opaque" if wanted.kind == KUBESEC else "")
    return NewSecret("", type=kind, data=data, string_data=string_data)


def _entries(words: list[str], option: str) -> list[NewEntry]:
    try:
        changes = data_changes(words, option, removal=False)
    except FileError as error:
        raise FileError(f"{option}: {error.message}", file=error.file) from error
    return [NewEntry(key, value or b"", option) for key, value in changes.items()]


def _tls(_wanted: Wanted, options: TlsOptions, warn: Warn) -> NewSecret:
    from datetime import UTC, datetime

    from secretsvc.generators import tls, tls_advice
    from secretsvc.generators.pkcs12 import from_pkcs12

    cert_file, key_file = options.cert or "", (options.key or [""])[-1]
    if options.pkcs12:
        if cert_file or key_file:
            raise UsageError("--pkcs12 holds certificate and key: it goes without --cert and --key")
        password = _password_file(options.pkcs12_password_file)
        pair = from_pkcs12(read_file(options.pkcs12, "--pkcs12"), password, options.pkcs12)
        data = tls.tls(pair.cert, pair.key, options.pkcs12, options.pkcs12)
    else:
        if not (cert_file and key_file):
            raise UsageError("--key and --cert must be specified", hint="or --pkcs12; KEYREFs go to -k here")
        cert = read_file(cert_file, tls.CERT_FLAG)
        try:
            key = read_file(key_file, tls.KEY_FLAG)
        except FileError as error:
            error.hint = "with tls, --key is the private key's file, as for kubectl; a KEYREF goes to -k"
            raise
        data = tls.tls(cert, key, cert_file, key_file)
    for line in tls_advice.advice(data["tls.crt"], datetime.now(UTC)):
        warn(line)
    return NewSecret("", type=tls.TYPE, data=data)


def _docker_registry(_wanted: Wanted, options: DockerOptions, warn: Warn) -> NewSecret:
    from secretsvc.generators import docker

    elements = docker.docker_elements(options.from_file or (), warn)
    from_flags = (options.docker_username, options.docker_password, options.docker_email, options.docker_password_stdin)
    if options.from_docker_config is not None:
        from secretsvc.generators.docker_login import config_path, docker_login

        if elements or any(given is not None for given in from_flags):
            raise UsageError("--from-docker-config goes without --from-file and a user's --docker- options")
        path = options.from_docker_config or config_path(os.environ)
        login = docker_login(path, options.server or options.docker_server or "", os.environ)
        return NewSecret("", type=docker.TYPE, data=docker.docker_config(login))
    if options.server is not None:
        raise UsageError("--server goes with --from-docker-config", hint="else --docker-server")
    if elements:
        if any(given is not None for given in (*from_flags, options.docker_server)):
            warn("--from-file: it is taken, and the --docker- options are ignored, as kubectl does")
        return NewSecret("", type=docker.TYPE, data=docker.docker_files(elements, warn))
    server = docker.DEFAULT_SERVER if options.docker_server is None else os.fsencode(options.docker_server)
    piped = bool(options.docker_password_stdin)
    password = _password(options.docker_password, "--docker-password", warn, piped=piped)
    username, email = os.fsencode(options.docker_username or ""), os.fsencode(options.docker_email or "")
    return NewSecret("", type=docker.TYPE, data=docker.docker_config(docker.Login(server, username, password, email)))


def _basic_auth(_wanted: Wanted, options: BasicAuthOptions, warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import BASIC_AUTH, basic_auth

    password = _password(options.password, "--password", warn, piped=bool(options.password_stdin))
    data = basic_auth(os.fsencode(options.username or ""), password)
    return NewSecret("", type=BASIC_AUTH, data=data)


def _ssh_auth(_wanted: Wanted, options: SshAuthOptions, warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import SSH_AUTH, SSH_FLAG, ssh_auth

    if not options.ssh_privatekey:
        raise UsageError(f"{SSH_FLAG} is required")
    data = ssh_auth(read_file(options.ssh_privatekey, SSH_FLAG), warn, options.ssh_privatekey)
    return NewSecret("", type=SSH_AUTH, data=data)


def _service_account_token(_wanted: Wanted, options: ServiceAccountOptions, _warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import SERVICE_ACCOUNT_TOKEN, service_account_annotations

    annotations = service_account_annotations(options.service_account or "")
    return NewSecret("", type=SERVICE_ACCOUNT_TOKEN, annotations=annotations)


def _bootstrap_token(wanted: Wanted, options: BootstrapOptions, warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import BOOTSTRAP_TOKEN, Bootstrap, bootstrap_token, expiration

    if wanted.namespace != "kube-system":
        warn("a bootstrap token works in the namespace kube-system only: say -n kube-system")
    asked = Bootstrap(
        wanted.name,
        _word(options.token_secret, "--token-secret", warn) if options.token_secret else b"",
        expiration(options.ttl or ""),
        tuple(options.usages.split(",")) if options.usages is not None else Bootstrap(wanted.name).usages,
        tuple(options.groups.split(",")) if options.groups else (),
        options.description or "",
    )
    return NewSecret("", type=BOOTSTRAP_TOKEN, data=bootstrap_token(asked))


_KINDS: dict[str, Callable[[Wanted, Any, Warn], NewSecret]] = {
    "generic": _generic,
    KUBESEC: _generic,
    "tls": _tls,
    "docker-registry": _docker_registry,
    "basic-auth": _basic_auth,
    "ssh-auth": _ssh_auth,
    "service-account-token": _service_account_token,
    "bootstrap-token": _bootstrap_token,
}


def _password(word: str | None, option: str, warn: Warn, *, piped: bool) -> bytes:
    """Return a password from standard input, from `@PATH`, or, with a warning as docker gives it, from the word."""
    if not piped:
        return _word(word or "", option, warn)
    if word is not None:
        raise UsageError(f"{option} and {option}-stdin are one too many")
    return typed_or_piped(f"{option}-stdin")


def _word(word: str, option: str, warn: Warn) -> bytes:
    if word.startswith("@"):
        try:
            return without_line_break(read_file(word[1:], option))
        except FileError as error:
            # Nor the name: it may be a password that begins with @.
            raise FileError(f"{option}: can't read the file after @", hint=_AT_HINT) from error
    if word:
        warn(f"{option} on the command line can be seen in the shell's history and by other users: use {option} @PATH")
    return os.fsencode(word)


_AT_HINT = "a password that begins with @ comes from a file or from standard input"


def _password_file(path: str | None) -> bytes | None:
    if not path:
        return None
    option = "--pkcs12-password-file"
    return typed_or_piped(option) if path == "-" else without_line_break(read_file(path, option))
