"""`updatekeys` and `groups`: whom a file is sealed to, as `.sops.yaml` or options have it."""

from __future__ import annotations

import sys

from secretsvc.cli import options
from secretsvc.cli.report import report
from secretsvc.cli.sops import keyset_of
from secretsvc.cli.sops_words import config, files
from secretsvc.cli.sops_words.codes import GENERIC, SopsError, exits
from secretsvc.cli.sops_words.words import Words
from secretsvc.errors import KsecretError, printable
from secretsvc.formats.sops.metadata import KeyEntry, list_of
from secretsvc.keyref import KeysetChange, WrappedKey
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.documents.keysets import WantedEntries, by_policy, key_changes
from secretsvc.operations.documents.shares import Division
from secretsvc.operations.request import Request, stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.sops_words.files import InputFile
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring


def updatekeys(words: Words) -> int:
    """Give files the keys of the rule for each; asks before it does, unless `--yes` is said."""
    files.need_file(words)
    failed = 0
    for path in words.plain:
        try:
            _update(Words(words.given, [path]))
        except KsecretError as error:
            report(error)
            failed = GENERIC
    return failed


def _update(words: Words) -> None:
    source = files.source(words, missing=GENERIC)
    tree = files.sealed_tree(source)
    backends = options.backends(options.Unlocking())
    with files.named(source), exits(GENERIC):
        rule = config.rule_for(words, source.name)
        if not rule:
            raise SopsError(GENERIC, "there is no .sops.yaml with rules", hint="--config names one")
        keys = keyset_of(rule, backends)
        wanted = by_policy(tree.metadata, keys)
        changes = key_changes(tree.metadata, wanted)
        if not changes:
            print(printable(f"{words.plain[0]}: its keys are those of {rule.source} already"))
            return
        for label, ref, comes in changes:
            print(printable(f"{words.plain[0]}: {label}: {'+++' if comes else '---'} {ref}"))
        if not words.has("yes") and not _is_agreed():
            return
        _change(words, source, tree, wanted, backends.with_principals(keys.principals))


def _is_agreed() -> bool:
    """Ask. Raises SopsError where nobody answers."""
    print("Change them? (y/n): ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer:
        raise SopsError(GENERIC, "nobody says whether the keys may change", hint="--yes says so")
    return answer.strip().lower() in ("y", "yes")


def groups(words: Words) -> int:
    """Add a group of keys to a file, or take one away; it is put out unless it is changed in place."""
    action, path = words.plain[0] if words.plain else "", words.text("file")
    if action not in ("add", "delete") or not path:
        raise SopsError(GENERIC, "groups takes add or delete, and --file FILE")
    source = files.source(Words(words.given, [path]), missing=GENERIC)
    tree = files.sealed_tree(source)
    with files.named(source), exits(GENERIC):
        wanted = _with_group(words, tree) if action == "add" else _without_group(words, tree)
        _change(words, source, tree, wanted, files.keyring(words, source.name, tree))
    return 0


def _with_group(words: Words, tree: SealedTree) -> WantedEntries:
    refs = config.keys_of(words, "", options.backends(options.Unlocking()))
    if not refs:
        raise SopsError(GENERIC, "a group needs a key", hint="--age RECIPIENT names one")
    number, context = tree.metadata.groups, config.context_of(words)
    new = (KeyEntry(list_of(ref), WrappedKey(ref, b"", config.context_for(ref, context), number), {}) for ref in refs)
    return WantedEntries((*tree.metadata.entries, *new), _division(words, tree, number + 1))


def _without_group(words: Words, tree: SealedTree) -> WantedEntries:
    text = words.plain[1] if len(words.plain) > 1 else ""
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) < tree.metadata.groups):
        raise SopsError(GENERIC, f"delete takes a group's number, from 0 to {tree.metadata.groups - 1}")
    if tree.metadata.groups == 1:
        raise SopsError(GENERIC, "it has that group alone: nobody could open it", hint="groups add another one first")
    left = [entry for entry in tree.metadata.entries if entry.key.group != int(text)]
    renumbered = (
        KeyEntry(entry.list, entry.key._replace(group=entry.key.group - (entry.key.group > int(text))), entry.fields)
        for entry in left
    )
    return WantedEntries(tuple(renumbered), _division(words, tree, tree.metadata.groups - 1))


def _division(words: Words, tree: SealedTree, count: int) -> Division:
    threshold = words.number("shamir-secret-sharing-threshold") or tree.metadata.threshold
    if threshold > count and words.text("shamir-secret-sharing-threshold"):
        raise SopsError(GENERIC, f"a threshold of {threshold} is more than {count} groups")
    return Division(count, min(threshold, count) if count > 1 else 0)


def _change(words: Words, source: InputFile, tree: SealedTree, wanted: WantedEntries, keyring: Keyring) -> None:
    """Seal the file to these keys, and write it. `updatekeys` always writes the file itself."""
    request = Request(KeysetChange((), (), ()), lambda *_: (), "", stated())
    data = document_changes.change_keys(tree, wanted, request, keyring).data
    if not words.text("file"):
        words = files.in_place(words)
    files.put(words, source, data, private=False)
