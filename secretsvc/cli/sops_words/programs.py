"""`exec-env` and `exec-file`: a shell's command line run with a file's values."""

from __future__ import annotations

import os

from secretsvc import core_dumps
from secretsvc.cli import child
from secretsvc.cli.sops_words import files
from secretsvc.cli.sops_words.codes import CONFLICT, GENERIC, SopsError
from secretsvc.cli.sops_words.decrypt import in_clear
from secretsvc.document.base import Value
from secretsvc.document.texts import encoded, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.sops_words.files import InputFile
    from secretsvc.cli.sops_words.words import Words
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree

_SHELL = ("/bin/sh", "-c")
_NAME = "tmp-file"


def exec_env(words: Words) -> int:
    """Run a command with the values in its environment: this process goes on as it."""
    tree, opened, source = _opened(words)
    with files.named(source):
        values = _variables(tree, opened)
    environ = {} if words.has("pristine") else dict(os.environb)
    with core_dumps.AsStarted():
        child.become([*_SHELL, words.plain[1]], environ | values)


def exec_file(words: Words) -> int:
    """Run a command with the path of a file in the clear, in memory, in place of each `{}`; the command's exit code."""
    name = words.text("filename") or _NAME
    if name != os.path.basename(name) or name in (os.curdir, os.pardir):
        raise SopsError(GENERIC, "--filename takes the name of a file, without a folder")
    core_dumps.keep_memory_private()
    tree, opened, source = _opened(words)
    with files.named(source):
        data = in_clear(tree, opened, source, words)
    from secretsvc.files.private_folder import private_folder, write_private

    with child.signals_held() as mask, private_folder(on_disk=False) as folder:
        path = os.path.join(folder.path, name)
        write_private(path, data)
        os.set_inheritable(folder.lock, True)
        return child.run([*_SHELL, words.plain[1].replace("{}", path)], dict(os.environb), mask)


def _opened(words: Words) -> tuple[SealedTree, Opened, InputFile]:
    if len(words.plain) != 2:
        raise SopsError(GENERIC, "a file and one command line are needed", hint="put the command in quotes")
    if words.has("background") and words.has("same-process"):
        raise SopsError(CONFLICT, "--same-process does not go with --background")
    if words.has("background") or words.text("user"):
        what = "--background and --user are not offered"
        raise SopsError(GENERIC, what, hint="the command may end in &, or start with `su USER -c`")
    source = files.source(words)
    tree = files.sealed_tree(source)
    return tree, files.opened(tree, source, words), source


def _variables(tree: SealedTree, opened: Opened) -> dict[bytes, bytes]:
    """The first document's values by their keys. Raises SopsError for what no environment can hold."""
    from secretsvc.document import trees

    found: dict[bytes, bytes] = {}
    for key, value in trees.of(tree.document, opened.values)[0].items:
        name = encoded(key or "")
        if isinstance(value, Value) and value.kind == "comment":
            continue
        if not isinstance(value, Value) or not name or b"=" in name:
            raise SopsError(GENERIC, "a key whose value is nested, or that is no variable's name: none can be run so")
        text = text_of(value)
        if b"\0" in name + text:
            raise SopsError(GENERIC, "a NUL byte, which no environment can hold", hint="exec-file puts it in a file")
        found[name] = text
    return found
