"""Files as sops takes them: of the kind that an option or the name says, sealed or not, and where the result goes."""

from __future__ import annotations

import os
import sys

from secretsvc.cli import options
from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.report import warn
from secretsvc.cli.sops_words.codes import (
    CONFLICT,
    GENERIC,
    MAC,
    NO_FILE,
    NO_KEY,
    ORDER,
    UNREADABLE,
    UNWRITABLE,
    VALUE,
    SopsError,
    exits,
)
from secretsvc.cli.sops_words.words import Words
from secretsvc.document import kinds
from secretsvc.document.base import MAX_BYTES
from secretsvc.errors import AlteredError, KsecretError
from secretsvc.files import workspace
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.metadata import MEMBER, Metadata
from secretsvc.operations import documents
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring

_SSH_VARIABLES = ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD")
_NOT_SEALED = "it is not sealed in SOPS's format"


class InputFile(Record):
    """A file that was read, and of which kinds it and what is made of it are."""

    name: str
    """The path that rules and kinds go by, absolute; empty for standard input."""
    data: bytes
    snapshot: workspace.Snapshot | None
    kind: str
    output_kind: str

    def __repr__(self) -> str:
        return f"InputFile({self.name!r}, masked)"


def source(words: Words, *, missing: int = NO_FILE) -> InputFile:
    """Read the file that is named first; standard input where there is none. Raises SopsError.

    `missing`: the exit code where there is no such file.
    """
    path = words.plain[0] if words.plain else ""
    if words.has("in-place") and (not path or words.text("output")):
        what = "cannot use --in-place when reading from stdin" if not path else "cannot operate on both --output and"
        raise SopsError(CONFLICT, what if not path else f"{what} --in-place")
    override = words.text("filename-override")
    name = os.path.abspath(override or path) if override or path else ""
    kind = kind_of(words.text("input-type"), name)
    output_kind = kind_of(words.text("output-type"), name)
    if not path:
        return InputFile(name, sys.stdin.buffer.read(MAX_BYTES + 1), None, kind, output_kind)
    snapshot = read(path, missing)
    return InputFile(name, snapshot.data, snapshot, kind, output_kind)


def need_file(words: Words, count: int = 1) -> None:
    """Refuse a command line without its file, or with less behind it than is wanted. Raises SopsError."""
    if len(words.plain) < count:
        raise SopsError(NO_FILE, "no file specified" if count == 1 else f"{count} positional arguments are needed")


def read(path: str, missing: int = NO_FILE) -> workspace.Snapshot:
    """Read a file. Raises SopsError, FileError, ManifestError."""
    if not os.path.exists(path):
        raise SopsError(missing, "there is no such file", file=path)
    with exits(UNREADABLE):
        return workspace.read(path)


def kind_of(word: str, name: str) -> str:
    """Return the kind that an option says, else the name's end: what is no kind counts for nothing, as in sops."""
    return word if word in kinds.KINDS else kinds.kind_of(name)


def sealed_tree(source: InputFile) -> SealedTree:
    """Return the sealed file that was read. Raises SopsError, ManifestError, AlteredError."""
    found = sealed_or_none(source)
    with named(source):
        if not found:
            raise SopsError(GENERIC, _NOT_SEALED, hint="`encrypt` seals it")
    return found


def sealed_or_none(source: InputFile) -> SealedTree | None:
    """Return the same; None for a file without metadata."""
    with named(source), exits(GENERIC):
        document = kinds.read(source.kind, source.data, MEMBER)
        member = document.member()
        if not member:
            return None
        if not isinstance(member.tree, dict):
            raise SopsError(GENERIC, f"its member {MEMBER} is no mapping")
        return documents.SealedTree(document, Metadata(member.tree, member.line))


class named:  # noqa: N801  a context manager is called like a function
    """Has errors name the file."""

    def __init__(self, source: InputFile) -> None:
        self._name = os.path.relpath(source.name) if source.name else ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, KsecretError):
            error.file = error.file or self._name


def keyring(words: Words, name: str, tree: SealedTree) -> Keyring:
    """Return the keys at hand for a file, tried in the order that an option says. Raises SopsError, InputError."""
    backends = options.backends(options.Unlocking(), _environ(tree.metadata))
    found = FilePolicies(backends).keyring_for_opening(name, tree.document.data)
    order = [kind.strip() for kind in words.text("decryption-order").split(",") if kind.strip()]
    if len(set(order)) < len(order):
        raise SopsError(ORDER, "a kind of keys stands twice in the decryption order")
    if not order:
        return found
    from secretsvc.cli.sops_words.order import InOrder

    return InOrder(found, order)


def _environ(metadata: Metadata) -> Mapping[str, str]:
    """The environment; for a file that is sealed to an SSH key, with the user's own where SOPS looks for it."""
    if not any(key.ref.id.startswith("ssh-") for key in metadata.keys) or any(map(os.environ.get, _SSH_VARIABLES)):
        return os.environ
    paths = (os.path.join(os.path.expanduser("~"), ".ssh", name) for name in ("id_ed25519", "id_rsa"))
    path = next(filter(os.path.isfile, paths), "")
    return {**os.environ, _SSH_VARIABLES[0]: path} if path else os.environ


def opened(tree: SealedTree, source: InputFile, words: Words) -> Opened:
    """Return the values of a sealed file. Raises what opening raises, with sops's codes: 128, 25, 51."""
    doubts: list[str] = []

    def ignores(why: str) -> bool:
        doubts.append(why)
        return words.has("ignore-mac")

    with named(source):
        with exits(NO_KEY):
            dek = documents.data_key(tree.metadata, keyring(words, source.name, tree))
        try:
            found = sealing.open_document(tree.document, tree.metadata, dek, ignores)
        except AlteredError as error:
            error.sops_code = MAC if doubts else VALUE  # type: ignore[attr-defined]
            raise
    for line, what in found.warnings:
        warn(f"{os.path.relpath(source.name) if source.name else 'standard input'}:{line}: {what}")
    return found


def in_place(words: Words) -> Words:
    """Return the words of a verb that always changes the file itself."""
    return Words({**words.given, "in-place": "true"}, words.plain)


def put(words: Words, source: InputFile, data: bytes, *, private: bool) -> None:
    """Write the result where the options say: into the file itself, into another, or to standard output.

    `private`: it is in the clear, and a file for it is its owner's alone. Raises FileError.
    """
    with exits(UNWRITABLE):
        if words.has("in-place") and source.snapshot:
            workspace.replace(source.snapshot, data, private=private)
        elif words.text("output"):
            workspace.create(words.text("output"), data, private=private)
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
