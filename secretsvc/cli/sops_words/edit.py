"""`edit`, and the old form without a verb."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

from secretsvc import core_dumps
from secretsvc.cli.editor import find_editor, run_editor, terminal
from secretsvc.cli.report import report
from secretsvc.cli.sops_words import files
from secretsvc.cli.sops_words.codes import EDITOR, GENERIC, NO_FILE, UNCHANGED, SopsError, exits
from secretsvc.errors import FileError, KsecretError
from secretsvc.files import workspace
from secretsvc.files.private_folder import private_folder, write_private
from secretsvc.files.signals import end_tidily
from secretsvc.keyref import KeysetChange
from secretsvc.operations import documents
from secretsvc.operations.documents import edit as document_edit
from secretsvc.operations.documents.edit import DocumentDraft
from secretsvc.operations.request import Request, stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from secretsvc.cli.sops_words.words import Words


def edit(words: Words) -> int:
    """Have somebody edit a file in the clear, and seal it again; what is broken is edited again where they want to."""
    files.need_file(words)
    if words.has("show-master-keys"):
        raise SopsError(GENERIC, "keys are not edited by hand", hint="rotate, updatekeys and groups change them")
    if not os.path.exists(words.plain[0]):
        raise SopsError(NO_FILE, "there is no such file", hint="make it, and encrypt it", file=words.plain[0])
    end_tidily()
    core_dumps.keep_memory_private()
    with exits(EDITOR):
        editor = find_editor({**os.environ, **_own_editor()})
    source = files.source(words)
    tree = files.sealed_tree(source)
    opened = files.opened(tree, source, words)
    with files.named(source), ExitStack() as stack:
        draft = DocumentDraft(tree, opened, documents.restored(tree, opened))
        streams, answers = terminal(stack, piped=False, printed=False)
        request = Request(KeysetChange((), (), ()), lambda *_: (), "", stated(), allow_repeated=True)
        keyring = files.keyring(words, source.name, tree)
        folder = stack.enter_context(private_folder(on_disk=True))
        path = os.path.join(folder.path, os.path.basename(words.plain[0]))

        def typed() -> bytes:
            with exits(EDITOR):
                if run_editor(editor, path, folder, streams):
                    raise FileError(f"the editor {editor.name} failed, so nothing is written")
                return workspace.read(path).data if os.path.lexists(path) else b""

        def sealed(text: bytes) -> bytes:
            return document_edit.seal_document_draft(draft, text, request, keyring).data

        write_private(path, draft.shown)
        data = _edited(typed, sealed, draft.shown, answers)
    files.put(files.in_place(words), source, data, private=False)
    return 0


def _edited(
    typed: Callable[[], bytes], sealed: Callable[[bytes], bytes], shown: bytes, answers: TextIO | None
) -> bytes:
    """What was typed, sealed. Raises SopsError where it is what was shown; what sealing raises where nobody goes on."""
    while True:
        text = typed()
        if text == shown:
            raise SopsError(UNCHANGED, "nothing changed, so nothing is written")
        try:
            return sealed(text)
        except KsecretError as error:
            if not answers:
                raise
            report(error)
            print("Edit again? (no: what you typed is lost) [Y/n] ", end="", file=sys.stderr, flush=True)
            if answers.readline().strip().lower() in ("n", "no"):
                raise


def _own_editor() -> dict[str, str]:
    """SOPS_EDITOR counts before EDITOR, and VISUAL does not."""
    return {"EDITOR": os.environ.get("SOPS_EDITOR") or os.environ.get("EDITOR", ""), "VISUAL": ""}
