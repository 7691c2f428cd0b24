"""`ksecret edit`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

from secretsvc import core_dumps, formats
from secretsvc.cli import options, sealing
from secretsvc.cli.editor import find_editor, run_editor, terminal
from secretsvc.cli.report import printable, report, tell_unbound
from secretsvc.cli.sealing import Requests, SealingOptions, place_of
from secretsvc.cli.sops import Sealer
from secretsvc.cli.verbs import edit_readers
from secretsvc.cli.verbs.edit_text import Sheet, kept_name, template
from secretsvc.document.kinds import kind_of
from secretsvc.errors import FileError, InputError, KsecretError, UsageError
from secretsvc.files import workspace
from secretsvc.files.private_folder import keep, private_folder, write_private
from secretsvc.files.signals import end_tidily
from secretsvc.files.workspace import name_of, standard_input
from secretsvc.operations.edit import keysets_of, new_draft, open_draft, seal_draft
from secretsvc.operations.open import sops_tree
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.editor import Editor, Streams
    from secretsvc.cli.options import Unlocking
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.verbs.edit_readers import Named
    from secretsvc.files.private_folder import Folder
    from secretsvc.operations import Result
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request
    from secretsvc.policy.sops_yaml import CreationRule

EXAMPLES = """\
  ksecret edit secret.yaml                  open it in $VISUAL or $EDITOR, and seal it again on save
  ksecret edit -f new.yaml                  make it where there is none
  ksecret edit -b secret.yaml               values under data as base64
  ksecret edit --rotate secret.yaml         with a new data key
  EDITOR="code --wait" ksecret edit secret.yaml"""


class _Editing(Record):
    """The file to edit, as options say."""

    path: str
    output: str
    make: bool
    """Whether the file is made where there is none."""
    base64: bool


class _Opened(Record):
    """A file as somebody gets to edit it, and how it is sealed again."""

    shown: bytes
    sheet: Sheet
    seal: Callable[[bytes], Result]
    """Raises what sealing raises, of what was typed."""
    bound: bool = True
    """False where its format binds it to no name."""


class _Work(Record):
    """An opened file in somebody's editor."""

    name: str
    opened: _Opened
    editor: Editor
    streams: Streams
    answers: TextIO | None
    """The terminal of somebody who answers questions; None where nobody does."""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a sealed manifest; - is standard input")
    sealing.add_output(parser)
    sealing.add_keys(parser)
    parser.add_argument("-f", "--force", action="store_true", help="make the file where there is none")
    parser.add_argument("-b", "--base64", action="store_true", help="show values under data as base64")
    parser.add_argument("-r", "--rotate", action="store_true", help="a new data key, and new tokens")
    sealing.add_trust(parser)
    sealing.add_repeated(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Opens, has it edited, seals and writes; the exit code."""
    if len(args.files) != 1:
        raise UsageError("edit takes one file", hint="ksecret edit FILE")
    (path,) = args.files
    if args.in_place and (args.output or path == "-"):
        raise UsageError("-i changes the file in place; it goes neither with -o nor with standard input")
    targets = options.Targets((path,), None, args.in_place, args.output, args.debug).in_place_by_default()
    editing = _Editing(path, args.output, make=args.force, base64=args.base64)
    end_tidily()
    core_dumps.keep_memory_private()
    with ExitStack() as stack:
        try:
            wanted = SealingOptions(
                tuple(args.key),
                place_of(args.path, targets),
                rotate=args.rotate,
                recompute_mac=args.recompute_mac,
                yes=args.yes,
                allow_repeated=args.allow_repeated,
            )
            _edit(editing, wanted, options.unlocking(args), stack)
        except KsecretError as error:
            error.file = error.file or name_of(path)
            raise
    return 0


def _edit(editing: _Editing, wanted: SealingOptions, unlocking: Unlocking, stack: ExitStack) -> None:
    path, output = editing.path, editing.output
    editor = find_editor(os.environ)
    backends = options.backends(unlocking)
    requests = Requests(wanted, backends)
    snapshot = _snapshot(editing)
    request, keyring = requests.of(path), requests.keyring(path, data=snapshot.data if snapshot else b"")
    rule = None if snapshot else requests.sops_rule(path)
    if rule:
        opened = _begun_document(path, Sealer(backends, requests, wanted), rule, wanted, requests.people(path).named)
    else:
        opened = _opened(editing, snapshot, request, keyring, requests.people(path).named)
    for line in opened.sheet.unshown:
        print(printable(f"ksecret: {name_of(path)}: {line}"), file=sys.stderr)
    printed = output == "-" or (path == "-" and not output)
    streams, answers = terminal(stack, piped=path == "-", printed=printed)
    work = _Work(path, opened, editor, streams, answers)
    asked = bool(wanted.keys or wanted.rotate or wanted.recompute_mac)
    with private_folder(on_disk=True) as folder:
        sealed = _sealed(work, folder, asked=asked and snapshot is not None)
    before = snapshot.data if snapshot else None
    if sealed is None or sealed == before:
        print(printable(f"ksecret: {name_of(path)}: nothing changed"), file=sys.stderr)
        sealed = before if printed or output else None
    if sealed is not None:
        _put_out(path, "-" if printed else output, snapshot, sealed)
    tell_unbound(0 if opened.bound else 1)


def _opened(
    editing: _Editing, snapshot: workspace.Snapshot | None, request: Request, keyring: Keyring, named: Named
) -> _Opened:
    """Open the file, or begin one. Raises what opening raises."""
    path, decoded = editing.path, not editing.base64
    tree = sops_tree(snapshot.data, path) if snapshot else None
    if tree:
        return _opened_document(path, tree, request, keyring, named)
    draft = open_draft(snapshot.data, request, keyring, decoded=decoded) if snapshot else new_draft(template(path))
    readers = edit_readers.of_secrets(keysets_of(draft, request), named)  # no key: say so before they type
    sheet = Sheet.of_manifest(path, draft.shown, readers, is_json=draft.clear.is_json, base64=editing.base64)
    is_bound = not snapshot or formats.of(draft.sealed).binds
    return _Opened(
        draft.shown, sheet, lambda typed: seal_draft(draft, typed, request, keyring, decoded=decoded), is_bound
    )


def _begun_document(path: str, sealer: Sealer, rule: CreationRule, wanted: SealingOptions, named: Named) -> _Opened:
    """Begin a file that `.sops.yaml` has sealed in SOPS's format. Raises what finding its keys raises."""
    readers = edit_readers.of_new_tree(sealer.keys(rule, wanted.place or path), named)  # before they type
    kind = kind_of(path)
    shown = template(path, field="stringData") if kind in ("yaml", "json") else b""
    return _Opened(shown, Sheet.of_document(path, shown, kind, readers), lambda typed: sealer.sealed(typed, path, rule))


def _opened_document(path: str, tree: SealedTree, request: Request, keyring: Keyring, named: Named) -> _Opened:
    """The same of a file that SOPS's format seals."""
    from secretsvc.operations.documents import edit as document_edit

    draft = document_edit.open_draft(tree, request, keyring)
    readers = edit_readers.of_tree(tree.metadata, named)
    sheet = Sheet.of_document(path, draft.shown, tree.document.kind, readers)
    return _Opened(draft.shown, sheet, lambda typed: document_edit.seal_document_draft(draft, typed, request, keyring))


def _snapshot(editing: _Editing) -> workspace.Snapshot | None:
    """Read the file; None for one that is to be made. Raises FileError."""
    path, output = editing.path, editing.output
    if path == "-":
        return workspace.Snapshot("-", standard_input(), (0, 0, 0, 0))
    if not output:
        workspace.destination(path)  # before somebody types in vain
    folder = os.path.dirname(os.path.realpath(path))
    if not output and os.path.isdir(folder) and not os.access(folder, os.W_OK):
        raise FileError("it can't be changed: its folder is not writable", hint="-o FILE writes elsewhere")
    if editing.make and not os.path.lexists(path):
        if not os.path.isdir(folder):
            raise FileError("it can't be made: there is no such folder")
        return None
    return workspace.read(path)


def _sealed(work: _Work, folder: Folder, *, asked: bool) -> bytes | None:
    """Seal what was typed; None where nothing was changed. Mistakes are shown and edited again.

    Raises what sealing raises where nobody can be asked, InputError where everything was deleted, SystemExit.
    """
    sheet = work.opened.sheet
    typed, note = work.opened.shown, ""
    while True:
        typed, failure = _typed(work, sheet, typed, note, folder)
        if failure is None and work.opened.shown.strip() and not typed.strip():
            raise InputError("everything was deleted, so nothing is written")
        if failure is None and sheet.is_unchanged(typed) and not asked:
            return None
        if failure and typed == work.opened.shown:
            raise failure
        try:
            if failure:
                raise failure
            return work.opened.seal(typed).data
        except KsecretError as error:
            note = sheet.note(error)
            error.file = error.file or work.name
            if not _wants_to_go_on(work, error):
                raise


def _typed(work: _Work, sheet: Sheet, text: bytes, note: str, folder: Folder) -> tuple[bytes, KsecretError | None]:
    """Run the editor: the text that it leaves, and an error where it ended badly itself."""
    path = os.path.join(folder.path, sheet.file_name)
    try:
        write_private(path, sheet.written(text, note))
        code = run_editor(work.editor, path, folder, work.streams)
        typed = sheet.read(workspace.read(path).data) if os.path.lexists(path) else b""
    except OSError as error:
        raise FileError(f"the clear text can't be written: {error.strerror}") from error
    if code:
        how = f"ended with code {code}" if code > 0 else f"was ended by signal {-code}"
        return typed, FileError(f"the editor {work.editor.name} {how}, so nothing is written")
    return typed, None


def _wants_to_go_on(work: _Work, error: KsecretError) -> bool:
    """Tells of a mistake and asks; False where nobody can be asked. Raises SystemExit."""
    if not work.answers:
        return False
    report(error)
    print("Edit again? (no: what you typed is lost) [Y/n] ", end="", file=sys.stderr, flush=True)
    answer = work.answers.readline()
    if answer and answer.strip().lower() not in ("n", "no"):
        return True
    raise SystemExit(error.exit_code)


def _put_out(path: str, output: str, snapshot: workspace.Snapshot | None, sealed: bytes) -> None:
    """Writes the file, the output file, or prints where that is `-`; `snapshot` is None for a file that is to be made.

    Where that fails, what was typed is kept, sealed, in a private folder that the hint names. Raises FileError.
    """
    try:
        if output == "-":
            _print(sealed)
        elif output:
            workspace.create(output, sealed, private=False)
        elif snapshot:
            workspace.replace(snapshot, sealed)
        else:
            _make(path, sealed)
    except FileError as error:
        kept = keep(kept_name(path), sealed)
        error.hint = f"what you typed is kept, sealed, in {kept}"
        raise


def _print(sealed: bytes) -> None:
    try:
        sys.stdout.buffer.write(sealed)
        sys.stdout.buffer.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that it is not tried again at the end
        raise FileError(f"the output can't be written: {error.strerror}", file="standard output") from error


def _make(path: str, sealed: bytes) -> None:
    """A new file; one that somebody made meanwhile stays as it is. Raises FileError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        raise FileError("it was made by somebody else meanwhile; it was left as it is") from None
    except OSError as error:
        raise FileError(f"can't be made: {error.strerror}") from error
    try:
        workspace.replace(workspace.read(path), sealed)
    except BaseException:
        os.unlink(path)
        raise
