"""Contents of a Secret, for each kind of `ksecret create`: the options' words handed to the generators."""

from __future__ import annotations

import os

from secretsvc.cli.kubesec_words import data_changes, pairs
from secretsvc.cli.typed import typed_or_piped
from secretsvc.cli.verbs.create_options import KUBESEC, flag
from secretsvc.errors import FileError, UsageError
from secretsvc.generators.entries import NewEntry, collect
from secretsvc.generators.manifest import NewSecret, check
from secretsvc.generators.sources import read_file, without_line_break

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.verbs.create_options import Wanted
    from secretsvc.generators.entries import Warn


def new_secret(wanted: Wanted, args: Arguments, warn: Warn) -> NewSecret:
    """The Secret that the options ask for, in the clear. Raises UsageError, FileError and InputError."""
    contents = _KINDS[wanted.kind](wanted, args, warn)
    secret = contents._replace(
        name=wanted.name,
        namespace=wanted.namespace,
        labels=pairs(args.label or [], "--label"),
        annotations={**pairs(args.annotation or [], "--annotation"), **contents.annotations},
        immutable=flag(args.immutable, "--immutable"),
    )
    check(secret, warn)
    return secret


def _generic(wanted: Wanted, args: Arguments, warn: Warn) -> NewSecret:
    from secretsvc.generators.generic import Sources, generic

    sources = Sources(args.from_literal or (), args.from_file or (), args.from_env_file or (), args.random or ())
    data = generic(sources, os.environb, warn, _entries(args.data or [], "--data"))
    strings = collect(_entries(args.string_data or [], "--string-data"))
    if set(strings) & set(data):
        raise UsageError("--string-data: a key that is under data already")
    try:
        string_data = {key: value.decode() for key, value in strings.items()}
    except UnicodeDecodeError as error:
        raise UsageError("--string-data: not UTF-8", hint="use --data") from error
    kind = (args.type or "") or ("Opaque" if wanted.kind == KUBESEC else "")
    return NewSecret("", type=kind, data=data, string_data=string_data)


def _entries(words: list[str], option: str) -> list[NewEntry]:
    try:
        changes = data_changes(words, option, removal=False)
    except FileError as error:
        raise FileError(f"{option}: {error.message}", file=error.file) from error
    return [NewEntry(key, value or b"", option) for key, value in changes.items()]


def _tls(_wanted: Wanted, args: Arguments, warn: Warn) -> NewSecret:
    from datetime import UTC, datetime

    from secretsvc.generators import tls, tls_advice
    from secretsvc.generators.pkcs12 import from_pkcs12

    cert_file, key_file = args.cert or "", (args.key or [""])[-1]
    if args.pkcs12:
        if cert_file or key_file:
            raise UsageError("--pkcs12 holds certificate and key: it goes without --cert and --key")
        password = _password_file(args.pkcs12_password_file)
        pair = from_pkcs12(read_file(args.pkcs12, "--pkcs12"), password, args.pkcs12)
        data = tls.tls(pair.cert, pair.key, args.pkcs12, args.pkcs12)
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


def _docker_registry(_wanted: Wanted, args: Arguments, warn: Warn) -> NewSecret:
    from secretsvc.generators import docker

    elements = docker.docker_elements(args.from_file or (), warn)
    from_flags = (args.docker_username, args.docker_password, args.docker_email, args.docker_password_stdin)
    if args.from_docker_config is not None:
        from secretsvc.generators.docker_login import config_path, docker_login

        if elements or any(given is not None for given in from_flags):
            raise UsageError("--from-docker-config goes without --from-file and a user's --docker- options")
        path = args.from_docker_config or config_path(os.environ)
        login = docker_login(path, args.server or args.docker_server or "", os.environ)
        return NewSecret("", type=docker.TYPE, data=docker.docker_config(login))
    if args.server is not None:
        raise UsageError("--server goes with --from-docker-config", hint="else --docker-server")
    if elements:
        if any(given is not None for given in (*from_flags, args.docker_server)):
            warn("--from-file: it is taken, and the --docker- options are ignored, as kubectl does")
        return NewSecret("", type=docker.TYPE, data=docker.docker_files(elements, warn))
    server = docker.DEFAULT_SERVER if args.docker_server is None else os.fsencode(args.docker_server)
    piped = flag(args.docker_password_stdin, "--docker-password-stdin")
    password = _password(args.docker_password, "--docker-password", warn, piped=piped)
    username, email = os.fsencode(args.docker_username or ""), os.fsencode(args.docker_email or "")
    return NewSecret("", type=docker.TYPE, data=docker.docker_config(docker.Login(server, username, password, email)))


def _basic_auth(_wanted: Wanted, args: Arguments, warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import BASIC_AUTH, basic_auth

    piped = flag(args.password_stdin, "--password-stdin")
    password = _password(args.password, "--password", warn, piped=piped)
    data = basic_auth(os.fsencode(args.username or ""), password)
    return NewSecret("", type=BASIC_AUTH, data=data)


def _ssh_auth(_wanted: Wanted, args: Arguments, warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import SSH_AUTH, SSH_FLAG, ssh_auth

    if not args.ssh_privatekey:
        raise UsageError(f"{SSH_FLAG} is required")
    data = ssh_auth(read_file(args.ssh_privatekey, SSH_FLAG), warn, args.ssh_privatekey)
    return NewSecret("", type=SSH_AUTH, data=data)


def _service_account_token(_wanted: Wanted, args: Arguments, _warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import SERVICE_ACCOUNT_TOKEN, service_account_annotations

    annotations = service_account_annotations(args.service_account or "")
    return NewSecret("", type=SERVICE_ACCOUNT_TOKEN, annotations=annotations)


def _bootstrap_token(wanted: Wanted, args: Arguments, warn: Warn) -> NewSecret:
    from secretsvc.generators.fixed_keys import BOOTSTRAP_TOKEN, Bootstrap, bootstrap_token, expiration

    if wanted.namespace != "kube-system":
        warn("a bootstrap token works in the namespace kube-system only: say -n kube-system")
    asked = Bootstrap(
        wanted.name,
        _word(args.token_secret, "--token-secret", warn) if args.token_secret else b"",
        expiration(args.ttl or ""),
        tuple(args.usages.split(",")) if args.usages is not None else Bootstrap(wanted.name).usages,
        tuple(args.groups.split(",")) if args.groups else (),
        args.description or "",
    )
    return NewSecret("", type=BOOTSTRAP_TOKEN, data=bootstrap_token(asked))


_KINDS: dict[str, Callable[[Wanted, Arguments, Warn], NewSecret]] = {
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
    """A password from standard input, from `@PATH`, or, with a warning as docker gives it, from the word itself."""
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
