"""A tree as names and texts, as SOPS writes its metadata where a kind of document has lines only (dotenv, INI).

`{"kms": [{"enc": "x"}]}` is `kms__list_0__map_enc` with the text `x`. Source:
https://github.com/getsops/sops/blob/main/stores/flatten.go.
"""

from __future__ import annotations

import re

from secretsvc.errors import ManifestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from secretsvc.document.base import Tree

_STEP = re.compile(r"__(map|list)_")
_DEEPEST = 16
"""Steps in a name; SOPS's own metadata has 6 at most."""

MOST_FIELDS = 10_000
"""Of metadata; a key takes half a dozen."""

_Open: TypeAlias = "dict[str | int, _Open] | str"
"""A tree that is still read: lists by number, too."""


def flatten(tree: dict[str, Tree]) -> dict[str, str]:
    """Return name → text, sorted by name. Nulls, and lists and mappings without anything in them, leave nothing."""
    return dict(sorted(pair for name, branch in tree.items() for pair in _flat(name, branch)))


def _flat(name: str, tree: Tree) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, branch in tree.items():
            yield from _flat(f"{name}__map_{key}", branch)
    elif isinstance(tree, list):
        for index, branch in enumerate(tree):
            yield from _flat(f"{name}__list_{index}", branch)
    elif isinstance(tree, bool):
        yield name, "true" if tree else "false"
    elif tree is not None:
        yield name, str(tree)


def unflatten(pairs: Iterable[tuple[str, str, int]]) -> dict[str, Tree]:
    """Return the tree of names, texts and their lines, in any order; of a name that is there twice the last counts.

    Raises ManifestError for too many, where a list lacks an item, and where a name is a text and holds others.
    """
    root: dict[str | int, _Open] = {}
    line = 0
    for number, (name, text, line) in enumerate(pairs):
        if number >= MOST_FIELDS:
            raise ManifestError(f"more than {MOST_FIELDS} fields of metadata", hint="restore the file", line=line)
        *steps, last = _steps(name, line)
        branch = root
        for step in steps:
            below = branch.setdefault(step, {})
            if not isinstance(below, dict):
                raise _torn(line)
            branch = below
        if isinstance(branch.get(last), dict):
            raise _torn(line)
        branch[last] = text
    tree = _closed(root, line)
    return tree if isinstance(tree, dict) else {}


def _steps(name: str, line: int) -> list[str | int]:
    """Keys are texts, places in lists are numbers."""
    first, *rest = _STEP.split(name)
    if len(rest) > 2 * _DEEPEST:
        raise ManifestError(f"metadata deeper than {_DEEPEST} levels", line=line)
    steps: list[str | int] = [first]
    for kind, step in zip(rest[::2], rest[1::2], strict=True):
        if kind == "list" and not re.fullmatch("[0-9]{1,6}", step):
            raise ManifestError("metadata with a place in a list that is no number", line=line)
        steps.append(int(step) if kind == "list" else step)
    return steps


def _closed(branch: _Open, line: int) -> Tree:
    if isinstance(branch, str):
        return branch
    numbers = [step for step in branch if isinstance(step, int)]
    if not numbers:
        return {str(step): _closed(below, line) for step, below in branch.items()}
    if sorted(numbers) != list(range(len(branch))):
        raise ManifestError("metadata with a list of which items are missing", hint="restore the file", line=line)
    return [_closed(branch[index], line) for index in range(len(branch))]


def _torn(line: int) -> ManifestError:
    return ManifestError("metadata with one name for a text and for what holds others", hint="restore it", line=line)
