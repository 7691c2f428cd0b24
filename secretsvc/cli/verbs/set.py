"""`ksecret set`."""

from __future__ import annotations

import os
import sys

from secretsvc.cli import options, sealing
from secretsvc.cli.options import Targets
from secretsvc.cli.sealing import SealingOptions, place_of
from secretsvc.cli.session import begin
from secretsvc.cli.typed import typed_or_piped
from secretsvc.cli.verbs.patch import change_each
from secretsvc.errors import UsageError
from secretsvc.files import workspace
from secretsvc.generators.random_text import ALPHABETS, random_text
from secretsvc.operations.request import Changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret set secret.yaml password=-                     typed without being shown, or piped in: in no shell history
  ksecret set secret.yaml tls.key=@new.key               from a file, every byte of it
  ksecret set secret.yaml --random password=32           made here: 32 letters and digits
  ksecret set secret.yaml --random pin=6:digits
  ksecret set secret.yaml user=admin                     as it stands
  ksecret set --string-data secret.yaml app.conf=@app.conf"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE KEY=VALUE", help="a sealed manifest, and KEY=TEXT, KEY=@FILE, KEY=-"
    )
    sealing.add_output(parser)
    parser.add_argument(
        "--random",
        action="append",
        default=[],
        metavar="KEY=LENGTH",
        help=f"a random text; LENGTH:ALPHABET with {', '.join(ALPHABETS)}",
    )
    parser.add_argument(
        "--string-data", action="store_true", help="new keys go under stringData, even where data is there"
    )
    add_changing(parser)
    options.add_server(parser)


def add_changing(parser: Parser) -> None:
    """Options that `set` and `unset` share."""
    options.add_secret(parser)
    sealing.add_trust(parser)
    sealing.add_repeated(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Sets values; the exit code."""
    file, words = args.files[:1], args.files[1:]
    if not file or not (words or args.random):
        raise UsageError("set takes a file and KEY=VALUE", hint="ksecret set --help shows how")
    piped = [word.partition("=")[2] for word in words].count("-")
    if piped and (file == ["-"] or (piped > 1 and not sys.stdin.isatty())):
        what = "the manifest and a value" if file == ["-"] else "two values"
        raise UsageError(f"standard input can't be both {what}", hint="KEY=@FILE reads a file")
    values: dict[str, bytes | None] = {}
    for word, read in [(word, _value) for word in words] + [(word, _random) for word in args.random]:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError("set takes KEY=VALUE", hint="ksecret set --help shows how")
        if key in values:
            raise UsageError(f"{key} is set twice")
        values[key] = read(key, text)
    targets, wanted = changed_file(args)
    session = begin(options.server(args), options.unlocking(args), wanted)
    return change_each(targets, session, Changes(values, args.string_data), args.secret, "set")


def changed_file(args: Arguments) -> tuple[Targets, SealingOptions]:
    """The file that comes first, and how it is sealed again, as `set` and `unset` have it. Raises UsageError."""
    targets = Targets(tuple(args.files[:1]), None, args.in_place, args.output, args.debug).in_place_by_default()
    wanted = SealingOptions(
        place=place_of(args.path, targets),
        recompute_mac=args.recompute_mac,
        yes=args.yes,
        allow_repeated=args.allow_repeated,
    )
    return targets, wanted


def _value(key: str, text: str) -> bytes:
    if text == "-":
        return typed_or_piped(f"value of {key}")
    return workspace.content(text[1:]) if text.startswith("@") else os.fsencode(text)


def _random(_key: str, text: str) -> bytes:
    try:
        return random_text(text).encode()
    except ValueError:
        raise UsageError(
            "--random takes KEY=LENGTH or KEY=LENGTH:ALPHABET", hint=f"alphabets: {', '.join(ALPHABETS)}"
        ) from None
