"""`ksecret drift`."""

from __future__ import annotations

import sys

from secretsvc.cli import live, options
from secretsvc.cli.report import printable, summary
from secretsvc.cli.session import opener
from secretsvc.operations.live_diff import drift_of, identities
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.in_memory import ClearFile
    from secretsvc.cli.parser import Parser
    from secretsvc.operations.live_diff import Difference, Drift, Identity

EXAMPLES = """\
  ksecret drift deploy/ -- --context prod         what of it the cluster lacks or has otherwise; 1 where anything
  ksecret drift --json deploy/ > drift.json       the same for a program"""


_STATES = {
    "differs": "differs",
    "missing": "not in the cluster",
    "extra": "in the cluster, and would be pruned",
}


class _Line(Record):
    """An object that is not in the cluster as it is in its file."""

    file: str
    identity: Identity
    drift: Drift | None
    """Of a Secret that the cluster has."""
    state: str
    """`differs`, `missing` from the cluster, or `extra`: there, and to be pruned."""

    def text(self) -> str:
        one = self.identity
        return f"{self.file or 'in no file'}: {one.kind} {one.label}: {self._what()}"

    def _what(self) -> str:
        if not self.drift:
            return _STATES[self.state]
        told = [f"{key} differs" for key in self.drift.differ]
        told += [f"{key} is missing" for key in self.drift.missing]
        told += [f"{key} is still in the cluster" for key in self.drift.to_go]
        return ", ".join(told + ["other fields differ"] * self.drift.elsewhere)

    def members(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        one = self.identity
        found: dict[str, Any] = {"file": self.file, "kind": one.kind, "namespace": one.namespace, "name": one.name}
        found["state"] = self.state
        if self.drift:
            keys = {"differs": self.drift.differ, "missing": self.drift.missing, "extra": self.drift.to_go}
            found["values"] = {key: state for state, named in keys.items() for key in named}
            found["otherFields"] = self.drift.elsewhere
        return found


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="PATH", help="a folder, or a manifest; - is standard input")
    parser.add_argument("-r", "--recursive", action="store_true", help="as elsewhere; folders are taken anyway")
    parser.add_command("KUBECTL ARGS")
    parser.add_argument("--json", action="store_true", help="print one object of JSON")
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Prints a line for each object that differs: 0 for none, 1 for some, more for failures."""
    targets = options.Targets(tuple(args.files), True, debug=args.debug, jobs=args.jobs)
    answer = live.compare(targets, opener(options.server(args), options.unlocking(args)), args.command)
    if answer.failed:
        return answer.failed
    found = [one for one in live.without_copies(answer) if one.differs]
    places = _places(answer.files)
    lines = sorted((_line(one, places) for one in found), key=lambda line: (line.file, line.identity))
    missing = sum(line.state == "missing" for line in lines)
    same, differs = len(places) - sum(bool(line.file) for line in lines), len(lines) - missing
    if args.json:
        from json import dumps

        objects = [line.members() for line in lines]
        told = {"version": 1, "objects": objects, "same": same, "differs": differs, "missing": missing}
        print(dumps(told, indent=1))
    else:
        for line in lines:
            print(printable(line.text()))
        sys.stdout.flush()
        summary({"same": same, "differ": differs, "missing": missing})
    return 1 if lines else 0


def _places(files: list[ClearFile]) -> dict[Identity, str]:
    return {identity: file.name for file in files for identity in identities(file.data)}


def _line(one: Difference, places: dict[Identity, str]) -> _Line:
    identity = one.identity
    file = places.get(identity) or places.get(identity._replace(namespace="")) or ""
    state = "missing" if one.is_new else "extra" if one.is_pruned else "differs"
    return _Line(file, identity, drift_of(one) if identity.is_secret and state == "differs" else None, state)
