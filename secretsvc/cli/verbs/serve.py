"""`ksecret serve`."""

from __future__ import annotations

import os
import sys

from secretsvc.cli.report import printable
from secretsvc.errors import BackendUnavailableError, UsageError, install_hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret serve --dev                                try it out: no configuration, a token for every right
  ksecret serve --config /etc/ksecret/service.yaml
  ksecret serve --config service.yaml --check        only say what is wrong with it
  ksecret serve --new-token                          a token, and the hash of it for the configuration"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("--config", metavar="FILE", default="", help="the configuration (docs/service.md)")
    parser.add_argument(
        "--dev", action="store_true", help="for trying out: one token with every right, your age identity"
    )
    parser.add_argument("--host", default=None, help="the address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=None, help="the port (default: 8200)")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes (default: 1)")
    parser.add_argument("--tls-cert", metavar="FILE", default=None, help="the server's certificates, PEM")
    parser.add_argument("--tls-key", metavar="FILE", default=None, help="their private key, PEM")
    parser.add_argument("--tls-client-ca", metavar="FILE", default=None, help="demand a client certificate of this CA")
    parser.add_argument("--tls-client-crl", metavar="FILE", default=None, help="which of these are revoked, PEM")
    parser.add_argument("--behind-tls-proxy", action="store_true", help="something in front speaks TLS")
    parser.add_argument("--check", action="store_true", help="check the configuration, and do not serve")
    parser.add_argument("--new-token", action="store_true", help="print a new token and its hash, and do not serve")


def run(args: Arguments) -> int:
    """Serves until SIGTERM; the exit code."""
    try:
        from secretsvc.api.server import check  # noqa: F401 - whether the server's libraries are here
    except ModuleNotFoundError as error:
        if str(error.name).startswith("secretsvc"):
            raise
        raise BackendUnavailableError(
            f"the service needs {error.name}, which is not installed", hint=install_hint("server")
        ) from error
    if args.new_token:
        from secretsvc.api.auth.authenticator import new_token

        token, digest = new_token()
        print(f"token:  {token}\nsha256: {digest}")
        return 0
    if args.dev and args.config:
        raise UsageError("--dev takes no configuration")
    if args.dev:
        return _dev(_listening(args))
    if not args.config:
        raise UsageError("serve needs a configuration", hint="--config FILE, or --dev to try it out")
    return _configured(args.config, _listening(args), only_check=args.check, debug=args.debug)


def _listening(args: Arguments) -> dict[str, Any]:
    """Options about listening, under the configuration's names."""
    names = {
        "host": args.host,
        "port": args.port,
        "workers": args.workers,
        "tlsCert": args.tls_cert and os.path.abspath(args.tls_cert),
        "tlsKey": args.tls_key and os.path.abspath(args.tls_key),
        "tlsClientCa": args.tls_client_ca and os.path.abspath(args.tls_client_ca),
        "tlsClientCrl": args.tls_client_crl and os.path.abspath(args.tls_client_crl),
        "behindTlsProxy": args.behind_tls_proxy or None,
    }
    return {name: value for name, value in names.items() if value is not None}


def _configured(path: str, listening: Mapping[str, Any], *, only_check: bool, debug: bool) -> int:
    from secretsvc.api.server import check, serve
    from secretsvc.api.settings_reader import MistakesError, load

    try:
        config = load(path, os.environ, listening)
    except MistakesError as mistakes:
        from secretsvc.cli.report import report

        for mistake in mistakes.found:
            report(mistake, debug=debug)
        return 3
    if only_check:
        from secretsvc.api.app import parts

        check(config)
        parts(config)
        print(printable(f"{path}: sound"))
        return 0
    serve(config)
    return 0


def _dev(listening: Mapping[str, Any]) -> int:
    from tempfile import TemporaryDirectory

    from secretsvc.api.dev import dev_config
    from secretsvc.api.server import is_loopback, serve

    if listening.get("host") and not is_loopback(listening["host"]):
        raise UsageError("--dev listens to this machine only", hint="write a configuration: docs/service.md")
    recipient = _recipient()
    with TemporaryDirectory(prefix="ksecret-dev-") as folder:
        config, token = dev_config(recipient, listening, folder)
        print(
            f"ksecret: for trying out only; whoever has the token may do everything\n  TOKEN={token}", file=sys.stderr
        )
        print(f"  sealing to {recipient}", file=sys.stderr)
        serve(config)
    return 0


def _recipient() -> str:
    """The user's own age recipient; an identity is made where there is none. Raises what `own_identity` raises."""
    from secretsvc.cli.verbs.init import own_backends, own_identity

    where, ref, made = own_identity(own_backends())
    if made:
        print(printable(f"ksecret: made your age identity: {where}"), file=sys.stderr)
    return str(ref)
