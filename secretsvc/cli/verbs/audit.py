"""`ksecret audit`."""

from __future__ import annotations

import sys
from contextlib import nullcontext

from secretsvc.cli.report import counted, printable
from secretsvc.errors import FileError
from secretsvc.files.workspace import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret audit verify audit.jsonl                       no line was removed, altered, added or moved
  ksecret audit verify audit.jsonl.1 audit.jsonl         rotated files, the oldest first
  ksecret audit verify --contains 3f5a… audit.jsonl      and the line with that hash is still there"""

_MOST = 20


class _Wanted:
    """A line's hash that is looked for while the lines pass by; standard input passes once."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self.found = False

    def among(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The same lines."""
        from secretsvc.api.audit.chain import digest

        for line in lines:
            self.found = self.found or (bool(self._wanted) and digest(line.rstrip(b"\n")) == self._wanted)
            yield line


ACTIONS = {"verify": "tell whether a line was removed, altered, added or moved"}


def add_arguments(parser: Parser, action: str = "") -> None:
    """The options."""
    parser.set_defaults(action=action)
    if not action:
        parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("files", nargs="+", metavar="FILE", help="the logs, the oldest first; - is standard input")
    parser.add_argument("--contains", metavar="HASH", default="", help="a line's hash that was kept elsewhere")


def run(args: Arguments) -> int:
    """Verifies; the exit code: 1 where something was tampered with."""
    from secretsvc.api.audit.chain import verify

    heads: dict[str, str] = {}
    bad = False
    found = not args.contains
    for file in args.files:
        name = name_of(file)
        wanted = _Wanted(args.contains)
        try:
            with open(file, "rb") if file != "-" else nullcontext(sys.stdin.buffer) as stream:
                verified = verify(wanted.among(stream), heads)
        except OSError as error:
            raise FileError(f"can't be read: {error.strerror}", file=name) from error
        found = found or wanted.found
        findings = [(one.line, one.said) for one in verified.findings]
        first = all(begin == "0" * 64 for begin in verified.begins.values())
        if not first:
            findings.insert(0, (1, "it does not begin a log: name the file before it too, or lines were removed"))
        for line, said in findings[:_MOST]:
            print(printable(f"{name}:{line}: {said}"), file=sys.stderr)
        if len(findings) > _MOST:
            print(printable(f"{name}: {len(findings) - _MOST} more"), file=sys.stderr)
        heads = dict(verified.heads)
        bad = bad or bool(findings)
        if not findings:
            print(printable(f"{name}: {counted(verified.lines, 'line')}, all sound"))
    if not found:
        print("ksecret: no line has that hash: lines were removed from the end", file=sys.stderr)
    for chain, head in heads.items():
        print(printable(f"last line{f' of {chain}' if chain else ''}: {head}"))
    return int(bad or not found)
