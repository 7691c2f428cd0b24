"""`ksecret decrypt`."""

from __future__ import annotations

from secretsvc.cli import options
from secretsvc.cli.batch import Batch, may_be_sealed, put_out
from secretsvc.cli.session import opener
from secretsvc.errors import NotSealedError, UsageError
from secretsvc.files.workspace import is_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Targets
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.session import Opener
    from secretsvc.files.workspace import Item
    from secretsvc.operations import Result

EXAMPLES = """\
  ksecret decrypt secret.yaml                        print it in the clear
  ksecret decrypt -r deploy/                         every sealed manifest under deploy/, as one stream, or nothing
  ksecret decrypt --if-needed maybe-sealed.yaml      or as it is, where nothing in it is sealed
  ksecret decrypt -x secret.yaml                     values under data decoded, for people to read
  ksecret decrypt -x secret.yaml --template '{{ range $k, $v := .data }}{{ $k }}={{ $v }},{{ end }}'
  ksecret decrypt --output-format env secret.yaml    KEY='value' lines, which `set -a; . FILE` reads in a shell"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    options.add_output(parser)
    parser.add_argument("-x", "--cleartext", action="store_true", help="show values under data decoded")
    parser.add_argument("--template", metavar="TEXT", default="", help="print this for each Secret; see the example")
    parser.add_argument(
        "--output-format",
        choices=["yaml", "json", "env"],
        default="yaml",
        help="yaml: each file in its own shape; json: the Secrets as Kubernetes' JSON; env: KEY=value for a shell",
    )
    parser.add_argument("--if-needed", action="store_true", help="pass on as it is what is not sealed, in folders too")
    parser.add_argument("--keep-going", action="store_true", help="print what opens, even where other files do not")
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Opens; the exit code."""
    targets = options.targets(args)._replace(jobs=args.jobs, keep_going=args.keep_going)
    if args.output_format != "yaml":
        if targets.in_place or args.cleartext or args.template:
            raise UsageError("--output-format goes neither with --in-place nor with --cleartext or --template")
        session = opener(options.server(args), options.unlocking(args))
        return _shaped(targets, args.output_format, session, pass_clear=args.if_needed)
    session = opener(options.server(args), options.unlocking(args))
    if args.template and targets.in_place:
        raise UsageError("--template prints; it does not go with -i")
    finish = _finisher(args.template, cleartext=args.cleartext)

    def operation(data: bytes, name: str) -> Result:
        opened = _opened_or_clear(session, data, name) if args.if_needed else session.open(data, name)
        return opened._replace(data=finish(opened.data)) if finish else opened

    batch = Batch(targets, "opened", private=True, any_name=True)
    items = batch.items() if targets.in_place else _of_one_stream(batch.items())
    if args.if_needed and not targets.in_place:  # printed from folders is what `ksecret apply` takes
        from secretsvc.cli.in_memory import is_hidden

        items = [item for item in items if not is_hidden(item)]
    for _ in batch.each(items, operation, session, (lambda _: True) if args.if_needed else may_be_sealed):
        pass
    if not args.template:
        return batch.end()
    return batch.end(_rendered if targets.output in ("", "-") else b"".join)


def _of_one_stream(items: list[Item]) -> list[Item]:
    """Leave out, and tell of, what was found in folders and is no YAML: what is printed is one stream of it."""
    others = [item.path for item in items if not (item.named or is_manifest(item.path))]
    if not others:
        return items
    from secretsvc.cli.report import warn

    more = f" and {len(others) - 1} more" if others[1:] else ""
    what = f"{others[0]}{more}: sealed, but no YAML or JSON by name, and no part of what is printed"
    warn(f"{what}: -i decrypts it, or name it")
    return [item for item in items if item.named or is_manifest(item.path)]


def _opened_or_clear(session: Opener, data: bytes, name: str) -> Result:
    """Open the manifest, or leave it as it is where nothing in it is sealed."""
    from secretsvc.cli.in_memory import open_sealed
    from secretsvc.operations import Result

    try:
        return open_sealed(session, data, name)
    except NotSealedError:
        return Result(data, 0)


def _rendered(texts: list[bytes]) -> bytes:
    """Join what templates made, to be printed: as kubesec's, it ends with a line break."""
    text = b"".join(texts)
    return text if text.endswith(b"\n") else text + b"\n"


def _finisher(template: str, *, cleartext: bool) -> Callable[[bytes], bytes] | None:
    """The last step between the clear manifest and the output, as a function; None for none. Raises UsageError."""
    if template:
        from secretsvc.operations.go_template import parse
        from secretsvc.operations.tree import trees

        parsed = parse(template)
        return lambda data: b"".join(parsed.render(tree) for tree in trees(data, decoded=cleartext))
    if cleartext:
        from secretsvc.operations.prepare import decode_data

        return decode_data
    return None


def _shaped(targets: Targets, output_format: str, session: Opener, *, pass_clear: bool) -> int:
    """Opens everything and puts it out as JSON or as variables; the exit code."""
    from secretsvc.cli.in_memory import open_all
    from secretsvc.operations.output import as_env, as_json

    opened, failed = open_all(targets, session, pass_clear=pass_clear)
    if failed and not (opened and targets.keep_going):
        return failed
    texts = [(one.name, one.data) for one in opened]
    printed = as_json(texts, all_sealed=not pass_clear) if output_format == "json" else as_env(texts)
    put_out(printed, targets.output, private=True)
    return failed
