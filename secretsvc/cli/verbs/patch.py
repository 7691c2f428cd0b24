"""`ksecret patch`, as kubesec has it."""

from __future__ import annotations

from secretsvc.cli import kubesec_words, options, sealing
from secretsvc.cli.batch import Batch
from secretsvc.cli.options import Server, Targets
from secretsvc.cli.sealing import SealingOptions, place_of
from secretsvc.cli.session import begin
from secretsvc.operations.request import Changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.session import Session
    from secretsvc.operations import Result

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


def run(args: Arguments) -> int:
    """Changes what is named; the exit code."""
    strings = kubesec_words.data_changes(args.string_data, "--string-data", removal=True)
    changes = Changes(
        data=kubesec_words.data_changes(args.data, "--data", removal=True),
        string_data=kubesec_words.texts(strings, "--string-data"),
        metadata=kubesec_words.metadata(args.metadata),
        labels=kubesec_words.pairs(args.label, "--label"),
        annotations=kubesec_words.pairs(args.annotation, "--annotation"),
    )
    targets = Targets(tuple(args.files), None, args.in_place, args.output, args.debug)
    wanted = SealingOptions(
        tuple(args.key),
        place_of(args.path, targets),
        scope=args.scope,
        rotate=args.rotate,
        recompute_mac=args.recompute_mac,
        yes=args.yes,
        allow_repeated=args.allow_repeated,
    )
    session = begin(Server(), options.unlocking(args), wanted)
    return change_each(targets, session, changes, args.secret, "patched")


def change_each(targets: Targets, session: Session, changes: Changes, which: str, done: str) -> int:
    """Makes the same changes to each file; the exit code."""

    def operation(data: bytes, name: str) -> Result:
        return session.patch(data, name, changes, which)

    return Batch(targets, done, private=False).run(operation)
