"""`ksecret patch`, as kubesec has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import entries, options, sealing
from secretsvc.cli.files import Job, each_file
from secretsvc.operations.patch import Changes, patch_manifest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from secretsvc.cli.parser import Parser
    from secretsvc.cli.remote import Service
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret patch -i secret.yaml -d file:tls.key=new.key    a value from a file, so that it stands in no shell history
  ksecret patch -i secret.yaml -s app.conf="$TEXT"        one under stringData
  ksecret patch -i secret.yaml -d ~old-key                a key away
  ksecret patch -i secret.yaml -l app=web -a owner=me     labels and annotations
  ksecret patch -i --rotate secret.yaml                   a new data key"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a sealed manifest; - is standard input")
    sealing.add_output(parser)
    add_entries(parser)
    sealing.add_keys(parser)
    parser.add_argument("-r", "--rotate", action="store_true", help="a new data key, and new tokens")
    options.add_secret(parser)
    sealing.add_scope(parser)
    sealing.add_trust(parser)
    sealing.add_repeated(parser)
    options.add_backends(parser)


def add_entries(parser: Parser) -> None:
    """`-d`, `-s`, `-m`, `-l`, `-a`."""
    for letter, name, what in (
        ("d", "data", "under data: KEY=VALUE, file:PATH, file:KEY=PATH"),
        ("s", "string-data", "under stringData: the same"),
        ("m", "metadata", "name=NAME or namespace=NAMESPACE"),
        ("l", "label", "KEY=VALUE"),
        ("a", "annotation", "KEY=VALUE"),
    ):
        parser.add_argument(f"-{letter}", f"--{name}", action="append", default=[], metavar="WORD", help=what)


def run(args: Namespace) -> int:
    """Changes what is named; the exit code."""
    strings = entries.data_changes(args.string_data, "--string-data", removal=True)
    changes = Changes(
        data=entries.data_changes(args.data, "--data", removal=True),
        string_data=entries.texts(strings, "--string-data"),
        metadata=entries.metadata(args.metadata),
        labels=entries.pairs(args.label, "--label"),
        annotations=entries.pairs(args.annotation, "--annotation"),
    )
    return change_each(args, changes, "patched")


def change_each(args: Namespace, changes: Changes, done: str, service: Service | None = None) -> int:
    """Makes the same changes to each file, by a service or here; the exit code."""
    args.recursive = None
    args.key = getattr(args, "key", [])
    change = service.patch_manifest if service else _changer(args)

    def operation(data: bytes, name: str) -> Result:
        return change(data, name, changes, args.secret)

    return each_file(Job(operation, done, private=False), args)


def _changer(args: Namespace) -> Callable[[bytes, str, Changes, str], Result]:
    keyring = options.backends(args)
    requests = sealing.Requests(args, keyring)
    return lambda data, name, changes, which: patch_manifest(
        data, changes, requests.of(name), requests.keyring(name), which
    )
