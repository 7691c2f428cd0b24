"""`ksecret keys`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from secretsvc.cli import options, sealing
from secretsvc.cli.files import Job, each_file
from secretsvc.cli.recipients import add_recipients
from secretsvc.cli.report import printable
from secretsvc.cli.verbs.git_resolve import trusting_sides
from secretsvc.cli.verbs.inspect import describer, said_of
from secretsvc.errors import UsageError
from secretsvc.operations.keysets import change_keys, key_changes
from secretsvc.operations.open import nothing_sealed_in
from secretsvc.operations.settle import may_be_settled

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.operations.inspect import Description
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret keys list -r deploy/                         who opens what
  ksecret keys add -k pgp:6206… secret.yaml            one more key may open it
  ksecret keys remove -k age:age1… -r deploy/          and gets a new data key, so that what comes next is not read
  ksecret keys sync --dry-run -r .                     what differs from .ksecret.yaml
  ksecret keys sync -r ."""

ACTIONS = {
    "list": "tell whom files are sealed to",
    "add": "one more key may open them, with the same data key",
    "remove": "a key opens them no more; the others get a new data key",
    "sync": "give every file the keys that its .ksecret.yaml says",
}


def add_arguments(parser: Parser, action: str = "") -> None:
    """The options of that action; of all of them for none."""
    parser.set_defaults(action=action, key=[], dry_run=False, json=False, in_place=False, output="")
    if not action:
        parser.add_argument("action", choices=ACTIONS, help="what to do")
    options.add_files(parser)
    if action in ("", "list"):
        parser.add_argument("--json", action="store_true", help="list: one JSON object per Secret, a line each")
    if action in ("", "add", "remove"):
        parser.add_argument(
            "-k", "--key", action="append", default=[], metavar="KEYREF", help="to add or to remove (repeat)"
        )
        add_recipients(parser)
    if action != "list":
        sealing.add_output(parser)
        parser.add_argument("-n", "--dry-run", action="store_true", help="print what would change; needs no key")
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
    if args.dry_run:
        args.in_place = False
    else:
        options.change_in_place(args)
    keyring = options.backends(args)
    requests = sealing.Requests(args, keyring)

    def plan(data: bytes, name: str) -> str | None:
        changes = key_changes(data, requests.of(name))
        named = requests.people(name).named
        lines = [f"{name}: {label}: {'+' if added else '-'}{named(ref)}" for label, ref, added in changes]
        return "\n".join(map(printable, lines)) or None

    def operation(data: bytes, name: str) -> Result:
        request, keys = requests.of(name), requests.keyring(name)
        if args.action == "sync" and may_be_settled(data):
            request = trusting_sides(request, data, name, keys)
        return change_keys(data, request, keys)

    if args.dry_run:
        args.output = ""
        job = Job(plan, "to change", private=True)
    else:
        job = Job(operation, "changed", private=False, jobs=options.jobs(args, keyring))
    code = each_file(job, args)
    for ref in requests.not_taken() if not code else ():
        named = requests.people(args.files[0]).named(str(ref))
        print(printable(f"ksecret: nothing here was sealed to {named}, so it was taken away nowhere"), file=sys.stderr)
    return code


def _list(args: Namespace) -> int:
    args.in_place = False
    describe = describer(args)

    def operation(data: bytes, name: str) -> str:
        found = [one for one in describe(data, name) if one.sealed]
        if not found:
            raise nothing_sealed_in(data)
        return "\n".join(_as_json(one, name) if args.json else _as_text(one, name) for one in found)

    return each_file(Job(operation, "listed", private=True), args)


def _as_text(one: Description, name: str) -> str:
    title = f"{name}: {one.label}"
    return "\n".join(printable(f"{title}  {said_of(key)}") for key in one.keys)


def _as_json(one: Description, name: str) -> str:
    import json

    return json.dumps({"file": name, "namespace": one.namespace, "name": one.name, "keys": one.keys})
