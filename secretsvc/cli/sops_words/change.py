"""`set`, `unset` and `rotate`."""

from __future__ import annotations

import os
import sys

from secretsvc.cli import options
from secretsvc.cli.sops_words import config, files
from secretsvc.cli.sops_words.codes import GENERIC, NOT_DUMPED, SEALED_ALREADY, SET_FORMAT, UNREADABLE, SopsError, exits
from secretsvc.cli.sops_words.decrypt import tree_path
from secretsvc.document import trees
from secretsvc.document.base import MAX_BYTES
from secretsvc.errors import ManifestError
from secretsvc.formats.sops.metadata import MEMBER, KeyEntry
from secretsvc.operations.documents import by_path
from secretsvc.operations.request import stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.sops_words.files import InputFile
    from secretsvc.cli.sops_words.words import Words
    from secretsvc.document.base import Path
    from secretsvc.document.trees import Tree


def set(words: Words) -> int:
    """Set a value or a branch, given as JSON, in a file itself."""
    from_stdin = words.has("value-stdin")
    if from_stdin and words.has("value-file"):
        raise SopsError(GENERIC, "--value-file and --value-stdin: one of them says where the value is")
    files.need_file(words, 2 if from_stdin else 3)
    if from_stdin:
        text = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        text = files.read(words.plain[2]).data if words.has("value-file") else os.fsencode(words.plain[2])
    return put_in(files.in_place(words), _path(words.plain[1]), value_of(text))


def unset(words: Words) -> int:
    """Take a value or a branch out of a file itself."""
    files.need_file(words, 2)
    path = _path(words.plain[1])
    words = files.in_place(words)
    source = files.source(words, missing=UNREADABLE)
    tree = files.sealed_tree(source)
    opened = files.opened(tree, source, words)
    with files.named(source):
        if words.has("idempotent") and by_path.at(tree, opened, path) is None:
            return 0
        with exits(GENERIC):
            data = by_path.take(tree, opened, path, stated())
    _put(words, source, data)
    return 0


def put_in(words: Words, path: Path, value: Tree) -> int:
    """Put a value at a path into the first file. Raises SopsError, and what opening and sealing raise."""
    source = files.source(words, missing=UNREADABLE)
    tree = files.sealed_tree(source)
    opened = files.opened(tree, source, words)
    with files.named(source):
        if path[0] == MEMBER or (source.kind == "dotenv" and str(path[0]).startswith(f"{MEMBER}_")):
            raise SopsError(SEALED_ALREADY, f"{MEMBER} is where the file's keys and MAC are")
        there = by_path.at(tree, opened, path)
        if words.has("idempotent") and there is not None and trees.same(there, value):
            return 0
        with exits(NOT_DUMPED):
            data = by_path.put(tree, opened, path, value, stated())
    _put(words, source, data)
    return 0


def value_of(text: bytes) -> Tree:
    """Return what a JSON text holds: a value, or a mapping. Raises SopsError."""
    from secretsvc.document.json_document import JsonDocument

    try:
        document = JsonDocument(b'{"v": %s}' % text, "")
        (root,) = trees.of(document, [leaf.value for leaf in document.leaves])
    except ManifestError:
        raise SopsError(SET_FORMAT, "the value is no JSON", hint="""a text stands in quotes: '"text"'""") from None
    if len(root.items) != 1 or (isinstance(root.items[0][1], trees.Branch) and root.items[0][1].is_list):
        raise SopsError(SET_FORMAT, "the value is neither a JSON value nor an object", hint="set a list's items")
    return root.items[0][1]


def set_words(text: str) -> tuple[Path, Tree]:
    """Return what the old form's `--set` says: a path in brackets, a blank, and JSON. Raises SopsError."""
    path, found, value = text.partition("] ")
    if not found:
        raise SopsError(SET_FORMAT, """--set takes a path and a value: '["key"] "value"'""")
    return _path(f"{path}]"), value_of(os.fsencode(value))


def _path(text: str) -> Path:
    path = tree_path(text, SET_FORMAT)
    if not path:
        raise SopsError(SET_FORMAT, 'a path is written as ["db"]["hosts"][0]')
    return path


def rotate(words: Words) -> int:
    """Give a file a new data key, and keys that come and go; it is put out unless it is changed in place."""
    from secretsvc.keyref import KeysetChange
    from secretsvc.operations.documents import changes as document_changes
    from secretsvc.operations.documents.keysets import by_change

    files.need_file(words)
    source = files.source(words, missing=UNREADABLE)
    tree = files.sealed_tree(source)
    opened = files.opened(tree, source, words)
    backends = options.backends(options.Unlocking())
    with files.named(source), exits(GENERIC):
        add, remove = (tuple(config.keys_of(words, prefix, backends)) for prefix in ("add-", "rm-"))
        change = KeysetChange((), add, remove, lambda _: None, 1 if add else 0)
        entries = [_with_context(words, entry) for entry in by_change(tree.metadata, change).entries]
        keyring = files.keyring(words, source.name, tree)
        data = document_changes.sealed_anew(tree, opened, entries, stated(), keyring)
    _put(words, source, data)
    return 0


def _with_context(words: Words, entry: KeyEntry) -> KeyEntry:
    """A new key of AWS's with the context that an option says."""
    key = entry.key
    if key.wrapped or not config.has_context(key.ref):
        return entry
    return KeyEntry(entry.list, key._replace(context=config.context_of(words)), entry.fields)


def _put(words: Words, source: InputFile, data: bytes) -> None:
    """Write a sealed file, in the kind that is to come out."""
    if source.output_kind != source.kind:
        from secretsvc.operations.documents.as_kind import in_kind

        with files.named(source), exits(NOT_DUMPED):
            data = in_kind(files.sealed_tree(source._replace(data=data)), source.output_kind)
    files.put(words, source, data, private=False)
