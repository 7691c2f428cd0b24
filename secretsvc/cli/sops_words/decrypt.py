"""`decrypt` and `filestatus`."""

from __future__ import annotations

from secretsvc.cli.sops_words import files
from secretsvc.cli.sops_words.codes import GENERIC, NOT_DUMPED, TREE_PATH, SopsError, exits
from secretsvc.manifest.nodes import MAX_DEPTH
from secretsvc.operations import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.sops_words.files import InputFile
    from secretsvc.cli.sops_words.words import Words
    from secretsvc.document.base import Path
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree


def decrypt(words: Words) -> int:
    """Put a file out in the clear, or a part of it."""
    source = files.source(words)
    part = tree_path(words.text("extract"), TREE_PATH)
    tree = files.sealed_tree(source)
    opened = files.opened(tree, source, words)
    with files.named(source):
        data = _extracted(tree, opened, source.output_kind, part) if part else in_clear(tree, opened, source, words)
    files.put(words, source, data, private=True)
    return 0


def filestatus(words: Words) -> int:
    """Tell whether a file is sealed; a file that can't be read is an error, as in sops."""
    files.need_file(words)
    source = files.source(words, missing=GENERIC)
    tree = files.sealed_or_none(source)
    if not tree and source.kind == "binary":
        raise SopsError(GENERIC, "no JSON, which a sealed file of no known kind is", file=source.name)
    sealed = bool(tree and tree.metadata.mac and tree.metadata.version)
    print('{"encrypted":%s}' % ("true" if sealed else "false"))
    return 0


def in_clear(tree: SealedTree, opened: Opened, source: InputFile, words: Words) -> bytes:
    """Return the file in the clear: its own bytes where they can stay, written anew for another kind.

    Raises ManifestError for what the kind has no place for.
    """
    from secretsvc.errors import AlteredError, ManifestError

    if source.output_kind == source.kind and not words.number("indent"):
        try:
            return documents.restored(tree, opened)
        except (AlteredError, ManifestError):  # as sops does with every file
            pass
    from secretsvc.document import trees, writers

    with exits(NOT_DUMPED):
        return writers.written(source.output_kind, trees.of(tree.document, opened.values), words.number("indent"))


def _extracted(tree: SealedTree, opened: Opened, kind: str, path: Path) -> bytes:
    """One value or branch of the first document. Raises SopsError, ManifestError."""
    from secretsvc.document import trees, writers

    units = trees.of(tree.document, opened.values)
    found = trees.at(units[0], path) if units else None
    if found is None:
        raise SopsError(GENERIC, "there is nothing at that path", hint="ksecret get FILE lists the paths")
    with exits(NOT_DUMPED):
        return writers.part(kind, found)


def tree_path(text: str, code: int) -> Path:
    """Return the path that sops's brackets spell: `["db"]["hosts"][0]`. Raises SopsError with that code."""
    path: list[str | int] = []
    if text.count("[") > MAX_DEPTH:
        raise SopsError(code, f"a path of more than {MAX_DEPTH} steps")
    for component in filter(None, text.split("[")):
        word = component[:-1]
        if not component.endswith("]") or not word:
            raise SopsError(code, 'a path is written as ["db"]["hosts"][0]')
        if word[0] in "\"'":
            path.append(word[1:-1])
        elif word.lstrip("-").isascii() and word.lstrip("-").isdigit() and len(word) < 10:
            path.append(int(word))
        else:
            raise SopsError(code, 'a path is written as ["db"]["hosts"][0]: names in quotes, places as numbers')
    return tuple(path)
