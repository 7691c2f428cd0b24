"""`ksecret keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options, sealing
from secretsvc.cli.files import Job, each_file
from secretsvc.cli.git_resolve import trusting_sides
from secretsvc.cli.report import printable
from secretsvc.errors import AlreadySealedError, UsageError, not_sealed
from secretsvc.operations.inspect import Description, describe_manifest
from secretsvc.operations.keysets import change_keys, key_changes
from secretsvc.operations.settle import may_be_settled

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret keys list -r deploy/                         who opens what
  ksecret keys add -k pgp:6206… secret.yaml            one more key may open it
  ksecret keys remove -k age:age1… -r deploy/          and gets a new data key, so that what comes next is not read
  ksecret keys sync --dry-run -r .                     what differs from .ksecret.yaml
  ksecret keys sync -r ."""

_ACTIONS = ("list", "add", "remove", "sync")


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    options.add_files(parser)
    options.add_output(parser)
    parser.add_argument(
        "-k", "--key", action="append", default=[], metavar="KEYREF", help="to add or to remove (repeat)"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would change; needs no key")
    parser.add_argument("--json", action="store_true", help="list: one JSON object per Secret, a line each")
    sealing.add_trust(parser)
    options.add_jobs(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Lists or changes keysets; the exit code."""
    if bool(args.key) != (args.action in ("add", "remove")):
        raise UsageError(f"keys {args.action} takes {'no --key' if args.key else '--key KEYREF'}")
    if args.action == "list":
        return _list(args)
    sign = {"add": "+", "remove": "-", "sync": ""}[args.action]
    args.key = [sign + key.removeprefix("+") for key in args.key]
    keyring = options.backends(args)
    requests = sealing.Requests(args, keyring)

    def plan(data: bytes, name: str) -> str | None:
        changes = key_changes(data, requests.of(name))
        lines = [f"{name}: {label}: {'+' if added else '-'}{ref}" for label, ref, added in changes]
        return "\n".join(map(printable, lines)) or None

    def operation(data: bytes, name: str) -> Result | bytes:
        request, keys = requests.of(name), requests.keyring(name)
        if args.action == "sync" and may_be_settled(data):
            request = trusting_sides(request, data, name, keys)
        try:
            return change_keys(data, request, keys)
        except AlreadySealedError:  # as it should be
            return data

    if args.dry_run:
        args.in_place, args.output = False, ""
        return each_file(Job(plan, "to change", private=True), args)
    options.change_in_place(args)
    return each_file(Job(operation, "changed", private=False, jobs=options.jobs(args, keyring)), args)


def _list(args: Namespace) -> int:
    args.in_place = False
    known = options.backends(args)

    def operation(data: bytes, name: str) -> str:
        found = [one for one in describe_manifest(data, known.describe) if one.sealed]
        if not found:
            raise not_sealed()
        return "\n".join(_as_json(one, name) if args.json else _as_text(one, name) for one in found)

    return each_file(Job(operation, "listed", private=True), args)


def _as_text(one: Description, name: str) -> str:
    title = f"{name}: {one.label}"
    return "\n".join(printable(f"{title}  {key['ref']}  {key['owner']}".rstrip()) for key in one.keys)


def _as_json(one: Description, name: str) -> str:
    import json

    return json.dumps({"file": name, "namespace": one.namespace, "name": one.name, "keys": one.keys})
