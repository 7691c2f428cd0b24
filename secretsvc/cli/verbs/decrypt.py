"""`ksecret decrypt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import Job, each_file, put_out, stream
from secretsvc.cli.opening import opener
from secretsvc.errors import NotSealedError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from secretsvc.cli.parser import Parser
    from secretsvc.files.workspace import Item
    from secretsvc.operations.result import Result

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


def run(args: Namespace) -> int:
    """Opens; the exit code."""
    if args.output_format != "yaml":
        return _shaped(args)
    known, open_ = opener(args)
    finish = _finisher(args)

    def shown(opened: Result, _name: str) -> bytes:
        return finish(opened.data)

    join = _rendered if args.template and args.output in ("", "-") else b"".join if args.template else stream
    job = Job(open_, "opened", private=True, jobs=options.jobs(args, known), shown=shown, join=join)
    return each_file(_passing_clear(job, open_, args) if args.if_needed else job, args)


def _passing_clear(job: Job, open_: Callable[[bytes, str], Result], args: Namespace) -> Job:
    """The same for what is not sealed too, which stays as it is; printed from folders is what `ksecret apply` takes."""
    from secretsvc.cli.opened import is_hidden, open_sealed
    from secretsvc.operations.result import Result

    def operation(data: bytes, name: str) -> Result:
        try:
            return open_sealed(open_, data, name)
        except NotSealedError:
            return Result(data, 0)

    def chosen(item: Item) -> bool:
        return args.in_place or not is_hidden(item)

    return job._replace(operation=operation, may_hold=lambda _: True, chosen=chosen)


def _rendered(texts: list[bytes]) -> bytes:
    """What templates made, printed: as kubesec's, it ends with a line break."""
    text = b"".join(texts)
    return text if text.endswith(b"\n") else text + b"\n"


def _finisher(args: Namespace) -> Callable[[bytes], bytes]:
    """What is done to the clear manifest before it is put out. Raises UsageError."""
    if args.template:
        from secretsvc.operations.go_template import parse
        from secretsvc.operations.tree import trees

        if args.in_place:
            raise UsageError("--template prints; it does not go with -i")
        template = parse(args.template)
        return lambda data: b"".join(template.render(tree) for tree in trees(data, decoded=args.cleartext))
    if args.cleartext:
        from secretsvc.operations.prepare import decode_data

        return decode_data
    return lambda data: data


def _shaped(args: Namespace) -> int:
    """Opens everything and puts it out as JSON or as variables; the exit code. Raises UsageError."""
    from secretsvc.cli.opened import open_all
    from secretsvc.operations.output import as_env, as_json

    if args.in_place or args.cleartext or args.template:
        raise UsageError("--output-format goes neither with --in-place nor with --cleartext or --template")
    opened, failed = open_all(args, pass_clear=args.if_needed)
    if failed and not (opened and args.keep_going):
        return failed
    shape = as_json if args.output_format == "json" else as_env
    put_out(shape((one.name, one.data) for one in opened), args.output, private=True)
    return failed
