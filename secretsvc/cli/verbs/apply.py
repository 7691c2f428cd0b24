"""`ksecret apply`."""

from __future__ import annotations

import os

from secretsvc.cli import child, options
from secretsvc.cli.in_memory import handed_on
from secretsvc.cli.kubectl import refuse_client_side
from secretsvc.cli.session import opener
from secretsvc.errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret apply secret.yaml                              as kubectl apply --server-side -f -, nothing on disk
  ksecret apply -r deploy/ -- --context prod -n shop     every manifest under deploy/, sealed or not
  ksecret apply secret.yaml -- --dry-run=server          what comes after -- is kubectl's"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    parser.add_command("KUBECTL ARGS")
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Opens everything, then becomes kubectl; so the exit code is kubectl's."""
    refuse_client_side(args.command)
    kubectl = child.find("kubectl")
    targets = options.Targets(tuple(args.files), args.recursive, debug=args.debug, jobs=args.jobs)
    data, failed = handed_on(targets, opener(options.server(args), options.unlocking(args)))
    if failed:
        return failed
    _give(data)
    return child.become([kubectl, "apply", "--server-side", "-f", "-", *args.command], child.environment({}))


def _give(data: bytes) -> None:
    """Makes the data what the program that follows reads from standard input, without a disk."""
    try:
        if hasattr(os, "memfd_create"):  # Linux
            number = os.memfd_create("ksecret")
            _write(number, data)
            os.lseek(number, 0, os.SEEK_SET)
            os.dup2(number, 0)
            return
        number, writer = os.pipe()
        if os.fork():
            os.close(writer)
            os.dup2(number, 0)
            return
    except OSError as error:
        raise FileError(f"the manifests can't be handed on: {error.strerror}") from error
    try:  # a process of its own that only writes: a pipe holds less than what there may be to say
        os.close(number)
        _write(writer, data)
    finally:
        os._exit(0)


def _write(number: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]
