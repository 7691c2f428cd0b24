"""`ksecret create`."""

from __future__ import annotations

import os
import sys

from secretsvc.cli import options
from secretsvc.cli.options import Targets
from secretsvc.cli.report import printable
from secretsvc.cli.sealing import SealingOptions, place_of
from secretsvc.cli.verbs import create_kinds, create_options
from secretsvc.errors import FileError, UsageError
from secretsvc.files import workspace
from secretsvc.generators import manifest
from secretsvc.generators.random_text import random_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Server, Unlocking
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret create generic db --from-literal=user=admin --random password=32 -o db.yaml
  ksecret create generic app -n prod --from-env-file=app.env -k age:age1… -o app.yaml
  ksecret create generic ca --from-file=tls/ca.crt --from-file=key.pem=tls/ca.key -o ca.yaml
  ksecret create tls web --cert=web.crt --key=web.key -o web.yaml
  ksecret create tls web --pkcs12 web.p12 --pkcs12-password-file - -o web.yaml
  ksecret create docker-registry pull --from-docker-config --server ghcr.io -o pull.yaml
  ksecret create basic-auth git --username me --password-stdin -o git.yaml < password.txt
  ksecret create db -d user=admin -d file:ca.crt -o db.yaml            as kubesec has it
  ksecret create generic db --random password=32 --plaintext | kubectl apply --server-side -f -"""

SAFE_BITS = 128
"""Random bits in a Secret from which on a hash of its values tells nothing."""

FORMATS = {"yaml": manifest.to_yaml, "json": manifest.to_json}

ACTIONS = create_options.KINDS


def add_arguments(parser: Parser, action: str = "") -> None:
    """Take the options of that kind; of all of them for none."""
    create_options.add_arguments(parser, action)


def run(args: Arguments) -> int:
    """Make the Secret in memory, seal it, write it; return the exit code."""
    wanted = create_options.wanted(args)
    form, output = _output(args.output, plaintext=args.plaintext, force=args.force)
    warnings: list[str] = []
    secret = create_kinds.new_secret(wanted, warnings.append)
    to_seal = bool(secret.data or secret.string_data) and not args.plaintext
    if wanted.append_hash:
        if to_seal:
            _check_hash(args.random or [])
        secret = manifest.with_hash(secret)
    data = FORMATS[form](secret)
    if to_seal:
        sealing = SealingOptions(
            (*(args.key_ref or ()), *(args.key or () if wanted.kind != "tls" else ())),
            place_of(args.path, Targets((), output=output)),
            args.format,
            args.scope,
            allow_repeated=args.allow_repeated,
        )
        data = _sealed(data, options.server(args), options.unlocking(args), sealing)
    elif not args.plaintext and wanted.kind != "service-account-token":  # which Kubernetes fills itself
        warnings.append("it holds no value, so there was nothing to seal")
    for warning in dict.fromkeys(warnings):
        print(printable(f"ksecret: warning: {warning}"), file=sys.stderr)
    if output:
        workspace.create(output, data, private=False)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return 0


def _check_hash(random: list[str]) -> None:
    """Raises UsageError where the hash of the values, which stays in the clear, would tell weak ones.

    It is unsalted and fast, so whoever reads it can try values out, unless part of them can't be guessed.
    """
    if sum(random_bits(word.partition("=")[2]) for word in random) < SAFE_BITS:
        raise UsageError(
            "--append-hash would put a hash of the values into the name, in the clear: weak values are found by it",
            hint=f"count in NAME by hand (db-2); the hash goes with --plaintext, and with {SAFE_BITS} bits of --random",
        )


def _output(words: list[str], *, plaintext: bool, force: bool) -> tuple[str, str]:
    """Return the format, and the file to write (empty: standard output). Raises UsageError and FileError."""
    forms = [word.lower() for word in words if word.lower() in FORMATS]
    files = [word for word in words if word.lower() not in FORMATS and word]
    output = files[-1] if files and files[-1] != "-" else ""
    if output and plaintext:
        hint = "leave -o out; it is for a pipe: ksecret create … --plaintext | kubectl apply --server-side -f -"
        raise UsageError("--plaintext goes to standard output, never into a file", hint=hint)
    special = os.path.exists(output) and not os.path.isfile(output)
    if os.path.lexists(output) and not (special or force):
        raise FileError("-o: there is such a file already", hint="-f overwrites it", file=output)
    return (forms[-1] if forms else "json" if output.endswith(".json") else "yaml"), output


def _sealed(data: bytes, server: Server, unlocking: Unlocking, wanted: SealingOptions) -> bytes:
    """Return the manifest sealed, as `ksecret encrypt` would seal that file."""
    from secretsvc.cli import sops
    from secretsvc.cli.session import begin, remote_session

    if wanted.format == sops.NAME:
        remote = remote_session(server, unlocking, wanted._replace(format="")) if server.url else None
        return sops.seal_new(data, wanted, options.backends(unlocking), remote).data
    return begin(server, unlocking, wanted).seal(data, "-").data
