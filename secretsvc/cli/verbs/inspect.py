"""`ksecret inspect`."""

from __future__ import annotations

from secretsvc.cli import options
from secretsvc.cli.batch import Batch, PrintedLine
from secretsvc.cli.options import Targets
from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.report import printable
from secretsvc.operations.inspect import Description, describe_any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Unlocking
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret inspect secret.yaml         what it is bound to, whose keys open it, how old its data key is
  ksecret inspect --json -r deploy/"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write here; - is standard output")
    parser.add_argument("--json", action="store_true", help="one JSON object per Secret, a line each")
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Describes; the exit code."""
    targets = Targets(tuple(args.files), args.recursive, output=args.output, debug=args.debug)
    describe = describer(options.unlocking(args))

    def operation(data: bytes, name: str) -> bytes | PrintedLine:
        found = describe(data, name)
        if not any(one.sealed for one in found):
            from secretsvc.operations.open import nothing_sealed_in

            raise nothing_sealed_in(data)
        told = "\n".join(_as_json(one, name) if args.json else _as_text(one, name) for one in found)
        return f"{told}\n".encode() if targets.output else PrintedLine(told)

    return Batch(targets, "inspected", private=True, any_name=True).run(operation)


def describer(unlocking: Unlocking, place: str = "") -> Callable[[bytes, str], list[Description]]:
    """Make a function of a file's bytes and name that describes it; keys have a `name` where its policy has one."""
    backends = options.backends(unlocking)
    policies = FilePolicies(backends, place)

    def describe(data: bytes, file: str) -> list[Description]:
        people = policies.people_if_any(file)
        found = describe_any(data, backends.describe, file)
        return [
            one._replace(keys=[{**key, "name": people.name(key["ref"])} for key in one.keys] if people else one.keys)
            for one in found
        ]

    return describe


def said_of(key: Mapping[str, str]) -> str:
    """One line about a key: `alice (age:age1…)`, and whom this machine knows to have it."""
    name, group = key.get("name"), f"group {key['group']}: " if "group" in key else ""
    said = f"{name} ({key['ref']})" if name else key["ref"]
    version = f"  by its version {key['version']}" if "version" in key else ""
    return f"{group}{said}{version}  {key['owner']}".rstrip()


def _as_json(one: Description, name: str) -> str:
    import json

    return json.dumps({"file": name, **one.as_json()})


def _as_text(one: Description, name: str) -> str:
    title = f"{name}: {one.namespace + '/' if one.namespace else ''}{one.name or '(no name)'} ({one.type})"
    if not one.sealed:
        return printable(f"{title}: not sealed")
    lines = [
        title,
        f"  format       {one.format}",
        f"  sealed for   {one.sealed_for or 'nothing: this format binds no Secret to its name and namespace'}",
        *([f"  data key     made {one.created}{_age(one.age_days)}"] if one.created else []),
        *([f"  key groups   {one.needed} of {len(one.openers)} are needed to open it"] if one.needed > 1 else []),
        *(f"  key          {said_of(key)}" for key in one.keys),
        *(f"  {field:12} {', '.join(names)}" for field, names in one.entries.items() if names),
        *(f"  IN THE CLEAR {name}" for name in one.in_the_clear),
    ]
    return "\n".join(map(printable, lines))


def _age(days: int | None) -> str:
    return "" if days is None else f" ({days} day{'' if days == 1 else 's'} ago)"
