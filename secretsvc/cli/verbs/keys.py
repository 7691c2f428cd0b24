"""`ksecret keys`."""

from __future__ import annotations

import sys

from secretsvc.backends import unversioned
from secretsvc.cli import options, sealing
from secretsvc.cli.batch import Batch, PrintedLine
from secretsvc.cli.recipients import add_recipients
from secretsvc.cli.report import printable
from secretsvc.cli.sealing import Requests, SealingOptions, place_of
from secretsvc.cli.verbs.git_resolve import trusting_sides
from secretsvc.cli.verbs.inspect import describer, said_of
from secretsvc.errors import InputError, UsageError
from secretsvc.keyref import keyset
from secretsvc.operations.keysets import change_keys, key_changes
from secretsvc.operations.open import nothing_sealed_in, sops_tree
from secretsvc.operations.settle import may_be_settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Targets
    from secretsvc.cli.parser import Parser
    from secretsvc.keyref import KeyRef, Principal
    from secretsvc.operations import Result
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.documents.keysets import WantedEntries
    from secretsvc.operations.inspect import Description
    from secretsvc.operations.request import Request

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
    "sync": "give every file the keys that its .ksecret.yaml says, or its .sops.yaml",
}


def add_arguments(parser: Parser, action: str = "") -> None:
    """The options of that action; of all of them for none."""
    parser.set_defaults(
        action=action, key=[], group=0, dry_run=False, json=False, in_place=False, output="", path="", jobs=0
    )
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
        about = "which group of keys, from 1, where they are in groups (default for remove: all)"
        parser.add_argument("--group", type=_number, default=0, metavar="N", help=about)
    if action != "list":
        sealing.add_output(parser)
        parser.add_argument("-n", "--dry-run", action="store_true", help="print what would change; needs no key")
        sealing.add_trust(parser)
        options.add_jobs(parser)
    options.add_backends(parser)


def _number(text: str) -> int:
    number = int(text)
    if not 0 < number < 256:
        raise ValueError
    return number


def run(args: Arguments) -> int:
    """Lists or changes keysets; the exit code."""
    if bool(args.key) != (args.action in ("add", "remove")):
        raise UsageError(f"keys {args.action} takes {'no --key' if args.key else '--key KEYREF'}")
    targets = options.targets(args)._replace(jobs=args.jobs)
    if args.action == "list":
        targets = targets._replace(in_place=False)
        return _list(targets, describer(options.unlocking(args), place_of(args.path, targets)), as_json=args.json)
    targets = targets._replace(in_place=False, output="") if args.dry_run else targets.in_place_by_default()
    sign = {"add": "+", "remove": "-", "sync": ""}[args.action]
    wanted = SealingOptions(
        tuple(sign + key.removeprefix("+") for key in args.key),
        place_of(args.path, targets._replace(output=args.output)),
        recompute_mac=args.recompute_mac,
        yes=args.yes,
    )
    backends = options.backends(options.unlocking(args))
    change = _Change(args.action, Requests(wanted, backends), backends, args.group)
    if args.dry_run:
        code = Batch(targets, "to change", private=True, any_name=True).run(change.planned)
    else:
        code = Batch(targets, "changed", private=False, any_name=True).run(change.made, backends, forks=False)
    for name in change.not_taken(args.files[0]) if not code else ():
        print(printable(f"ksecret: nothing here was sealed to {name}, so it was taken away nowhere"), file=sys.stderr)
    return code


class _Change:
    """The change of keysets that an action makes, file by file."""

    def __init__(self, action: str, requests: Requests, backends: Backends, group: int) -> None:
        self._action = action
        self._requests = requests
        self._backends = backends
        self._group = group
        self._to_take: set[KeyRef] = set(requests.change.remove)
        self._taken: set[KeyRef] = set()

    def planned(self, data: bytes, name: str) -> PrintedLine | None:
        """A line for each key that would be added or taken away."""
        changes = self._changes(data, name)
        named = self._requests.people(name).named
        lines = [f"{name}: {label}: {'+' if added else '-'}{named(ref)}" for label, ref, added in changes]
        return PrintedLine("\n".join(map(printable, lines))) if lines else None

    def made(self, data: bytes, name: str) -> Result:
        """The manifest with its keysets changed."""
        tree = sops_tree(data, name)
        if tree:
            return self._made_of_tree(tree, name)
        request, keyring = self._request(name), self._requests.keyring(name)
        if self._action == "sync" and may_be_settled(data):
            request = trusting_sides(request, data, name, keyring)
        return change_keys(data, request, keyring)

    def _changes(self, data: bytes, name: str) -> list[tuple[str, str, bool]]:
        tree = sops_tree(data, name)
        if not tree:
            return key_changes(data, self._request(name))
        from secretsvc.operations.documents import keysets

        return keysets.key_changes(tree.metadata, self._wanted(tree, name)[0])

    def _made_of_tree(self, tree: SealedTree, name: str) -> Result:
        """A file in SOPS's format with its keys changed."""
        from secretsvc.operations.documents import changes as document_changes

        wanted, principals = self._wanted(tree, name)
        keyring = self._requests.keyring(name, data=tree.document.data, principals=principals)
        return document_changes.change_keys(tree, wanted, self._requests.of(name), keyring)

    def _wanted(self, tree: SealedTree, name: str) -> tuple[WantedEntries, Mapping[str, Principal]]:
        """The keys that a file in SOPS's format is to have, and who uses those of AWS, by KeyRef.

        Raises InputError, KeyRefError.
        """
        from secretsvc.operations.documents import keysets

        if self._action != "sync":
            return keysets.by_change(tree.metadata, self._request(name).change), {}
        from secretsvc.cli import sops

        rule = self._requests.sops_rule_of_sealed(name)
        if not rule:
            what = "no .sops.yaml is for this file, so nothing says whom it is to be sealed to"
            raise InputError(what, hint="write one, or say keys add and keys remove")
        keys = sops.keyset_of(rule, self._backends)
        return keysets.by_policy(tree.metadata, keys), keys.principals

    def not_taken(self, name: str) -> list[str]:
        """The keys to be taken away that no keyset had, as the policy of the file of that name calls them."""
        left = keyset(self._to_take - self._taken - set(map(unversioned, self._taken)))
        named = self._requests.people(name).named if left else str
        return [named(str(ref)) for ref in left]

    def _request(self, name: str) -> Request:
        request = self._requests.of(name)
        if self._action == "sync":
            return request._replace(keyset_of=self._requests.demanded(name))
        if self._action == "remove":
            self._to_take.update(request.change.remove)
            return request._replace(change=request.change._replace(taken=self._taken.add, group=self._group))
        return request._replace(change=request.change._replace(group=self._group))


def _list(targets: Targets, describe: Callable[[bytes, str], list[Description]], *, as_json: bool) -> int:
    def operation(data: bytes, name: str) -> PrintedLine:
        found = [one for one in describe(data, name) if one.sealed]
        if not found:
            raise nothing_sealed_in(data)
        return PrintedLine("\n".join(_as_json(one, name) if as_json else _as_text(one, name) for one in found))

    return Batch(targets, "listed", private=True, any_name=True).run(operation)


def _as_text(one: Description, name: str) -> str:
    title = f"{name}: {one.label}"
    lines = [f"{title}  {said_of(key)}" for key in one.keys]
    if one.needed > 1:
        lines.append(f"{title}  {one.needed} of its {len(one.openers)} groups of keys are needed")
    return "\n".join(map(printable, lines))


def _as_json(one: Description, name: str) -> str:
    import json

    told = {"file": name, "namespace": one.namespace, "name": one.name, "keys": one.keys}
    return json.dumps({**told, **({"threshold": one.needed} if one.needed > 1 else {})})
