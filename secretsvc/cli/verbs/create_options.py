"""The options of `ksecret create`: kubectl's, kubesec's and our own, and which kind of Secret takes which."""

from __future__ import annotations

from secretsvc.cli import options, sealing, sops
from secretsvc.cli.kubesec_words import metadata, pairs
from secretsvc.cli.recipients import add_recipients
from secretsvc.errors import UsageError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

    Options: TypeAlias = (
        "GenericOptions | TlsOptions | DockerOptions | BasicAuthOptions | SshAuthOptions | ServiceAccountOptions"
        " | BootstrapOptions"
    )

KUBESEC = "kubesec"
"""The kind of `create NAME`, where kubesec's NAME stands alone."""

KIND_NAME = "KIND NAME"

KINDS = {
    "generic": "values from words, files, lines KEY=VALUE, or at random",
    "tls": "a certificate and its private key",
    "docker-registry": "a login of a registry of images",
    "basic-auth": "a user and a password",
    "ssh-auth": "a private key of SSH",
    "service-account-token": "a token that Kubernetes makes",
    "bootstrap-token": "a token for nodes that join",
}
"""By name: what the Secret holds."""


class GenericOptions(Record):
    """Options of `create generic`, and of kubesec's `create NAME`. As below, None is one that was not given."""

    from_literal: list[str] | None
    from_file: list[str] | None
    from_env_file: list[str] | None
    random: list[str] | None
    data: list[str] | None
    string_data: list[str] | None
    type: str | None
    metadata: list[str] | None

    def __repr__(self) -> str:
        return "GenericOptions(masked)"


class TlsOptions(Record):
    """Options of `create tls`."""

    cert: str | None
    key: list[str] | None
    pkcs12: str | None
    pkcs12_password_file: str | None


class DockerOptions(Record):
    """Options of `create docker-registry`."""

    docker_server: str | None
    docker_username: str | None
    docker_password: str | None
    docker_password_stdin: bool | None
    docker_email: str | None
    from_file: list[str] | None
    from_docker_config: str | None
    server: str | None

    def __repr__(self) -> str:
        return "DockerOptions(masked)"


class BasicAuthOptions(Record):
    """Options of `create basic-auth`."""

    username: str | None
    password: str | None
    password_stdin: bool | None

    def __repr__(self) -> str:
        return "BasicAuthOptions(masked)"


class SshAuthOptions(Record):
    """Options of `create ssh-auth`."""

    ssh_privatekey: str | None


class ServiceAccountOptions(Record):
    """Options of `create service-account-token`."""

    service_account: str | None


class BootstrapOptions(Record):
    """Options of `create bootstrap-token`."""

    token_secret: str | None
    ttl: str | None
    usages: str | None
    groups: str | None
    description: str | None

    def __repr__(self) -> str:
        return "BootstrapOptions(masked)"


_OPTIONS: dict[str, Any] = {
    "generic": GenericOptions,
    KUBESEC: GenericOptions,
    "tls": TlsOptions,
    "docker-registry": DockerOptions,
    "basic-auth": BasicAuthOptions,
    "ssh-auth": SshAuthOptions,
    "service-account-token": ServiceAccountOptions,
    "bootstrap-token": BootstrapOptions,
}
_EVERY_KINDS = {"key"}
"""Options that every kind takes, some in a sense of their own."""
_OWN = {kind: set(options._fields) - _EVERY_KINDS for kind, options in _OPTIONS.items()}
"""Which options, by their names in the namespace, one kind takes and not every kind."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def add_arguments(parser: Parser, kind: str = "") -> None:
    """All of them, of which help shows that kind's where there is one; what is not given is None."""
    parser.takes_dashes = False
    parser.set_defaults(kind=kind)
    if kind:
        parser.add_argument("words", nargs="*", metavar="NAME", help="the Secret's name")
    else:
        parser.add_argument("words", nargs="*", metavar=KIND_NAME, help=f"KIND: {', '.join(KINDS)}")
    _add_sources(parser)
    _add_typed(parser)
    for short, name, value, about in (
        ("-l", "--label", "KEY=VALUE", "a label (repeat)"),
        ("-a", "--annotation", "KEY=VALUE", "an annotation (repeat)"),
        ("-m", "--metadata", "name=…|namespace=…", "kubesec's way to say them"),
        ("-k", "--key-ref", "KEYREF", "seal to it (repeat); --key too, but for tls"),
    ):
        parser.add_argument(short, name, action="append", metavar=value, help=about)
    add_recipients(parser, "key_ref")
    sealing.add_groups(parser, "key_ref")
    parser.add_argument("-n", "--namespace", metavar="NS", help="its namespace")
    for name, about in (
        ("--immutable", "Kubernetes will not let it be changed"),
        ("--append-hash", "append kubectl's hash of the values to NAME"),
        ("--save-config", "refused: kubectl would repeat the clear values in an annotation"),
    ):
        _add_flag(parser, name, about)
    parser.add_argument("--plaintext", action="store_true", help="print it unsealed, for a pipe to kubectl")
    sealing.add_format(parser, sops.NAME)
    sealing.add_repeated(parser)
    parser.add_argument(
        "-o", "--output", action="append", default=[], metavar="yaml|json|FILE", help="format, or file (./yaml is one)"
    )
    sealing.add_path(parser)
    parser.add_argument("-f", "--force", action="store_true", help="overwrite the output file")
    _add_kubectl(parser)
    options.add_server(parser, "--ksecret-server")
    options.add_backends(parser)
    if kind:
        parser.hide(_one_kinds() - _OWN[kind])


def _add_flag(parser: Parser, name: str, about: str) -> None:
    """A boolean as pflag has them: `--name` or `--name=true|false`."""
    parser.add_argument(name, nargs="?", const="true", metavar="true|false", help=about)


def _add_sources(parser: Parser) -> None:
    for name, value, about in (
        ("--from-literal", "KEY=VALUE", "generic: an entry, VALUE as it stands (repeat)"),
        ("--from-file", "[KEY=]PATH", "generic, docker-registry: a file, or each file of a folder (repeat)"),
        ("--from-env-file", "PATH", "generic: the lines KEY=VALUE of a file (repeat)"),
        ("--random", "KEY=LENGTH", "generic: letters and digits at random; LENGTH:hex and others (repeat)"),
    ):
        parser.add_argument(name, action="append", metavar=value, help=about)
    parser.add_argument("-d", "--data", action="append", metavar="KEY=VALUE|file:[KEY=]PATH", help="generic: an entry")
    parser.add_argument("-s", "--string-data", action="append", metavar="KEY=VALUE|…", help="the same, in stringData")


def _add_typed(parser: Parser) -> None:
    for name, value, about in (
        ("--type", "TYPE", "generic: the Secret's type"),
        ("--cert", "PATH", "tls: the certificate, and those that signed it behind it (PEM)"),
        ("--pkcs12", "PATH", "tls: certificate and key from a .p12 or .pfx"),
        ("--pkcs12-password-file", "PATH", "tls: its password; - is standard input"),
        ("--docker-server", "URL", "docker-registry: the server (default: Docker Hub)"),
        ("--docker-username", "NAME", "docker-registry: the user"),
        ("--docker-password", "PASSWORD|@PATH", "docker-registry: the password, better from a file"),
        ("--docker-email", "EMAIL", "docker-registry: an address"),
        ("--server", "URL", "docker-registry: which entry --from-docker-config takes"),
        ("--username", "NAME", "basic-auth: the user"),
        ("--password", "PASSWORD|@PATH", "basic-auth: the password, better from a file"),
        ("--ssh-privatekey", "PATH", "ssh-auth: the private key"),
        ("--service-account", "NAME", "service-account-token: whose token"),
        ("--token-secret", "SECRET|@PATH", "bootstrap-token: its sixteen characters (default: random)"),
        ("--ttl", "24h", "bootstrap-token: how long it is good for (s, m, h or d; default: for ever)"),
        ("--usages", "LIST", "bootstrap-token: authentication,signing"),
        ("--groups", "LIST", "bootstrap-token: system:bootstrappers:…"),
        ("--description", "TEXT", "bootstrap-token: what it is for"),
    ):
        parser.add_argument(name, metavar=value, help=about)
    parser.add_argument("--key", action="append", metavar="PATH|KEYREF", help="tls: the private key (PEM); else as -k")
    _add_flag(parser, "--docker-password-stdin", "docker-registry: the password from standard input")
    _add_flag(parser, "--password-stdin", "basic-auth: the password from standard input")
    parser.add_argument(
        "--from-docker-config", nargs="?", const="", metavar="PATH", help="docker-registry: a login of Docker's own"
    )


def _add_kubectl(parser: Parser) -> None:
    """Options that a kubectl command line may bring along, and that mean nothing here."""
    parser.add_argument("--dry-run", nargs="?", const="true", metavar="client", help="taken, and means nothing here")
    parser.add_argument("--validate", nargs="?", const="strict", metavar="…", help="the same")
    for name in ("--field-manager", "--kubeconfig", "--context", "--cluster", "--user"):
        parser.add_argument(name, metavar="…", help="the same")


class Wanted(Record):
    """The Secret to make, once the words are in order."""

    kind: str
    name: str
    namespace: str
    labels: dict[str, str]
    annotations: dict[str, str]
    immutable: bool
    append_hash: bool
    options: Options
    """Those of its kind."""

    def __repr__(self) -> str:
        return f"Wanted({self.kind}, {self.name!r}, masked)"


def wanted(args: Arguments) -> Wanted:
    """Return the Secret that the command line asks for, every option checked, in kubectl's order. Raises UsageError."""
    immutable, append_hash = flag(args.immutable, "--immutable"), flag(args.append_hash, "--append-hash")
    saves = flag(args.save_config, "--save-config")
    for name in ("docker_password_stdin", "password_stdin"):
        flag(getattr(args, name), _spelled(name))
    given = metadata(args.metadata or [])
    kind, names = (args.kind, args.words) if args.kind else _kind(args.words, given)
    _check_options(args, kind)
    if len(names) != 1:
        raise UsageError(f"exactly one NAME is required, got {len(names)}", hint=f"ksecret create {kind} NAME …")
    _check_kubectl(args)
    if not names[0] and kind != "tls":
        raise UsageError("NAME must be specified")
    if given.get("name", names[0]) != names[0]:
        raise UsageError("NAME and --metadata name=… differ")
    namespace = args.namespace or given.get("namespace", "")
    if given.get("namespace", namespace) != namespace:
        raise UsageError("--namespace and --metadata namespace=… differ")
    if saves:
        hint = "apply it with kubectl apply --server-side, which keeps no such copy"
        raise UsageError("--save-config would repeat the clear values in an annotation", hint=hint)
    labels, annotations = pairs(args.label or [], "--label"), pairs(args.annotation or [], "--annotation")
    return Wanted(kind, names[0], namespace, labels, annotations, immutable, append_hash, _options(args, kind))


def _options(args: Arguments, kind: str) -> Options:
    of_kind = _OPTIONS[kind]
    given = {name: getattr(args, name) for name in of_kind._fields}
    flags = {name: flag(text, _spelled(name)) for name, text in given.items() if name.endswith("_stdin") and text}
    found: Options = of_kind(**given | flags)
    return found


def _spelled(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _one_kinds() -> set[str]:
    """Return the options that not every kind takes."""
    return set().union(*_OWN.values())


def _kind(words: list[str], given: dict[str, str]) -> tuple[str, list[str]]:
    if words and words[0] in KINDS:
        return words[0], words[1:]
    if len(words) == 1 or (not words and "name" in given):
        return KUBESEC, words or [given["name"]]
    raise UsageError("say which kind of Secret and NAME", hint=f"kinds: {', '.join(KINDS)}")


def _check_options(args: Arguments, kind: str) -> None:
    for name in dict.fromkeys(name for of_kind in _OPTIONS.values() for name in of_kind._fields):
        if name not in _EVERY_KINDS and name not in _OWN[kind] and getattr(args, name) is not None:
            raise UsageError(f"unknown option {_spelled(name)} for {kind}", hint="ksecret create --help")


def _check_kubectl(args: Arguments) -> None:
    if args.dry_run is not None and args.dry_run not in ("client", *_TRUE):
        hint = "it never talks to a cluster: say --dry-run=client, or leave it out"
        raise UsageError("--dry-run: invalid value, or one that means a cluster", hint=hint)
    if args.validate is not None and args.validate not in ("strict", "warn", "ignore", *_TRUE, *_FALSE):
        raise UsageError("--validate: invalid value", hint="strict, warn or ignore")


def flag(text: str | None, option: str) -> bool:
    """The value of a boolean option, by pflag's spellings. Raises UsageError."""
    if text is not None and text not in _TRUE + _FALSE:
        raise UsageError(f"{option}: invalid value", hint="true or false")
    return text in _TRUE
