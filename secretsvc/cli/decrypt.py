"""`ksecret decrypt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import SEALED, Job, each_file
from secretsvc.cli.opening import opener
from secretsvc.cli.report import Unbound
from secretsvc.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret decrypt secret.yaml                        print it in the clear
  ksecret decrypt secret.yaml | kubectl apply --server-side -f -
  ksecret decrypt -r deploy/                         every sealed manifest under deploy/, as one stream
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
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Opens; the exit code."""
    if args.output_format != "yaml":
        return _shaped(args)
    known, open_ = opener(args)
    finish = _finisher(args)

    unbound = Unbound()

    def operation(data: bytes, name: str) -> bytes:
        opened = open_(data, name)
        unbound.seen(bound=opened.bound)
        return finish(opened.data)

    job = Job(operation, "opened", private=True, markers=SEALED, jobs=options.jobs(args, known))
    code = each_file(job, args)
    unbound.tell()
    return code


def _finisher(args: Namespace) -> Callable[[bytes], bytes]:
    """What is done to the clear manifest before it is put out. Raises UsageError."""
    if args.template:
        from secretsvc.operations.tree import trees
        from secretsvc.template import parse

        if args.in_place:
            raise UsageError("--template prints; it does not go with -i")
        template = parse(args.template)
        return lambda data: b"".join(template.render(tree) for tree in trees(data, decoded=args.cleartext))
    if args.cleartext:
        from secretsvc.operations.prepare import decode_data

        return decode_data
    return lambda data: data


def _shaped(args: Namespace) -> int:
    """Opens everything and puts it out as JSON or as variables; nothing where a file fails. Raises UsageError."""
    import sys

    from secretsvc import workspace
    from secretsvc.cli.opened import open_all
    from secretsvc.operations.output import as_env, as_json

    if args.in_place or args.cleartext or args.template:
        raise UsageError("--output-format goes neither with --in-place nor with --cleartext or --template")
    unbound = Unbound()
    opened, failed = open_all(args, pass_clear=False, unbound=unbound)
    unbound.tell()
    if failed:
        return failed
    data = as_json(opened) if args.output_format == "json" else as_env(opened)
    if args.output and args.output != "-":
        workspace.create(args.output, data, private=True)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return 0
