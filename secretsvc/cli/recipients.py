"""`-R`: files of recipients, one a line, as age has them (age(1), "RECIPIENTS AND IDENTITIES")."""

from __future__ import annotations

from secretsvc.backends import canonical, complete
from secretsvc.cli.report import warn
from secretsvc.errors import FileError, KeyRefError
from secretsvc.keyref import MOST_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.cli.parser import Parser

MOST_BYTES = 256 * 1024
"""Limit for one file: a hundred keys with a comment of 2 KiB each."""

_UNSUPPORTED = ("ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "ssh-dss ")
"""Beginnings of SSH public keys that age can't encrypt to. Lists such as a forge gives have them."""


def add_recipients(parser: Parser, dest: str = "key") -> None:
    """`-R`, whose recipients count as if each stood behind a `-k`."""
    parser.add_argument(
        "-R",
        "--recipients-file",
        dest=dest,
        action="extend",
        type=recipients,
        metavar="FILE",
        help="KEYREFs, a line each: age1…, ssh-ed25519 …, pgp:…; # for comments (repeat)",
    )


def recipients(path: str) -> list[str]:
    """The KeyRefs in a file. Raises FileError, and KeyRefError with the line of what is none, which is not shown."""
    try:
        with open(path, "rb") as stream:  # it may be a pipe: -R <(curl …)
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"the recipients can't be read: {error.strerror}", file=path) from error
    if len(data) > MOST_BYTES:
        raise KeyRefError(f"more than {MOST_BYTES // 1024} KiB of recipients", file=path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise KeyRefError("recipients are UTF-8 text, one a line", file=path) from None
    found = list(dict.fromkeys(_parsed(text, path)))
    if not found:
        raise KeyRefError("no recipient is in it", hint="write one a line: age1…, ssh-ed25519 …, pgp:…", file=path)
    if len(found) > MOST_KEYS:
        raise KeyRefError(f"more than the {MOST_KEYS} recipients that a Secret may have", file=path)
    return found


def _parsed(text: str, path: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if bare.startswith(_UNSUPPORTED):
            warn(f"{path}:{number}: passed over: an SSH key of a type that age does not encrypt to")
            continue
        try:
            yield str(canonical(complete(bare)))
        except KeyRefError as error:
            raise KeyRefError(error.message, hint=error.hint, file=path, line=number) from None
