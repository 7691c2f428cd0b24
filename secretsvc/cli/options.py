"""Options that several commands share, and the typed values that they become, which is all that commands hand on."""

from __future__ import annotations

import os
import sys

from secretsvc.backends import find
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import FileError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

MAX_JOBS = 256


class Targets(Record):
    """The files that a command works on, and where what comes of them goes."""

    files: tuple[str, ...]
    recursive: bool | None = None
    """Whether folders are taken; None where no option asks for it."""
    in_place: bool = False
    output: str = ""
    """A file; standard output where it is `-` or empty."""
    debug: bool = False
    jobs: int = 0
    """Files at a time; 0: as many as the keys' homes bear."""
    keep_going: bool | None = None
    """Whether what could be done is put out though other files failed; None where no option asks for it."""

    def in_place_by_default(self) -> Targets:
        """The same for commands that change the files themselves: but not where `-o` is said, or a pipe is read."""
        return self._replace(in_place=self.in_place or not (self.output or "-" in self.files))


class Unlocking(Record):
    """Options about keys at hand, for the backends."""

    keyring: str = ""
    """GnuPG: the file with the public keys."""
    passphrase: str = ""
    passphrase_file: str = ""

    def __repr__(self) -> str:
        return f"Unlocking({self.keyring!r}, masked, {self.passphrase_file!r})"


class Server(Record):
    """The service that is to do it."""

    url: str = ""
    """Empty: none, the keys at hand do it."""
    ca: str = ""
    """A file with the only authority to trust for it, as PEM; empty: the system's."""


def add_files(parser: Parser) -> None:
    """`FILE…` and `-r`."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a manifest; - is standard input")
    parser.add_argument("-r", "--recursive", action="store_true", help="take folders, for every manifest in them")


def add_output(parser: Parser) -> None:
    """`-i` and `-o`."""
    parser.add_argument("-i", "--in-place", action="store_true", help="change the files themselves")
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write here; - is standard output")


def targets(args: Arguments) -> Targets:
    """Read the options of `add_files` and `add_output`."""
    return Targets(tuple(args.files), args.recursive, args.in_place, args.output, args.debug)


def add_secret(parser: Parser) -> None:
    """`--secret`."""
    parser.add_argument("--secret", metavar="NAME", default="", help="which, of several: NAME or NAMESPACE/NAME")


def add_backends(parser: Parser) -> None:
    """`--keyring`, `--passphrase-file` and `--passphrase`."""
    parser.add_argument("--keyring", metavar="FILE", default="", help="GnuPG: the public keyring to use")
    parser.add_argument("--passphrase-file", metavar="FILE", default="", help="its first line unlocks age and PGP keys")
    parser.add_argument("--passphrase", metavar="TEXT", default="", help="as kubesec has it; others can see it")


def unlocking(args: Arguments) -> Unlocking:
    """Read the options of `add_backends`."""
    return Unlocking(args.keyring, args.passphrase, args.passphrase_file)


def add_jobs(parser: Parser) -> None:
    """`--jobs`."""
    parser.add_argument(
        "-j", "--jobs", type=_count, default=0, metavar="N", help="files at a time (default: the backends' own)"
    )


def _count(text: str) -> int:
    number = int(text)
    if not 0 < number <= MAX_JOBS:
        raise ValueError
    return number


def add_server(parser: Parser, *words: str) -> None:
    """`--server`, or the words given where that one is taken, and `--server-ca`."""
    about = "let a ksecret service do it (default: KSECRET_SERVER; '' for none)"
    parser.add_argument(*(words or ("--ksecret-server", "--server")), metavar="URL", help=about)
    parser.add_argument("--server-ca", metavar="FILE", default="", help="the only authority to trust for it, as PEM")


def server(args: Arguments) -> Server:
    """Read the options of `add_server`, else the environment."""
    url = os.environ.get("KSECRET_SERVER", "") if args.ksecret_server is None else args.ksecret_server
    return Server(url, args.server_ca or os.environ.get("KSECRET_SERVER_CA", ""))


def backends(unlocking: Unlocking, environ: Mapping[str, str] = os.environ) -> Backends:
    """The backends of this run, told of the options and the environment."""
    if unlocking.passphrase:
        print(
            "ksecret: everybody on this machine can read --passphrase among the running processes\n"
            "  --passphrase-file FILE, KSECRET_AGE_PASSPHRASE or KSECRET_GPG_PASSPHRASE keep it private",
            file=sys.stderr,
        )
    ask = Passphrases(unlocking.passphrase, unlocking.passphrase_file).ask
    return Backends(
        Settings(
            environ,
            ask,
            unlocking.keyring,
            warn=_Warnings().warn,
            meanwhile=_get_ready_to_open,
            watches=False,
            starts_plugins=True,
        )
    )


def _get_ready_to_open() -> None:
    """Import what opens a Secret once its DEK is there, which takes about as long as gpg takes for that."""
    from secretsvc.formats.primitives import DEK_BYTES, aes_gcm

    aes_gcm(bytes(DEK_BYTES))


class _Warnings:
    """Warnings of the backends, each told once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def warn(self, text: str) -> None:
        from secretsvc.cli import report

        if text not in self._told:
            self._told.add(text)
            report.warn(text, once=text)


class Passphrases:
    """Sources of passphrases: the options, the environment, the terminal; each is asked once."""

    def __init__(self, given: str = "", path: str = "") -> None:
        self._given = given
        self._path = path
        self._process = os.getpid()
        self._answers: dict[str, bytes | None] = {}

    def ask(self, what: str) -> bytes | None:
        """The passphrase for `what`; None where it is left to gpg's agent, or nobody is there to ask."""
        if what not in self._answers:
            self._answers[what] = self._find(what)
        return self._answers[what]

    def _find(self, what: str) -> bytes | None:
        if self._given:
            return os.fsencode(self._given)
        if self._path:
            if not os.path.isfile(self._path):  # a pipe gives it once
                self._leave_to_parent()
            try:
                with open(self._path, "rb") as stream:
                    return stream.readline().rstrip(b"\r\n")
            except OSError as error:
                raise FileError(f"the passphrase can't be read: {error.strerror}", file=self._path) from error
        scheme = find(what.partition(" ")[0])
        if scheme and os.environ.get(scheme.passphrase):
            return os.fsencode(os.environ[scheme.passphrase])
        if scheme and scheme.has_prompt:
            return None
        self._leave_to_parent()
        if not sys.stderr.isatty():
            return None
        from getpass import getpass

        from secretsvc.cli.report import printable

        return getpass(printable(f"passphrase for {what}: ")).encode()

    def _leave_to_parent(self) -> None:
        """Raises LeftToParentError in a worker process: its parent asks, once for all."""
        if os.getpid() != self._process:
            from secretsvc.cli.workers import LeftToParentError

            raise LeftToParentError
