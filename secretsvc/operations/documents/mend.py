"""What a merge left of a file that SOPS's format seals: Git's marks taken out, and a MAC made that fits."""

from __future__ import annotations

import re

from secretsvc.errors import InputError, KsecretError, NotSealedError
from secretsvc.formats.base import Unproven
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import aad_of
from secretsvc.formats.sops.merge import PROOF, RULE, name_of
from secretsvc.operations import Result, documents
from secretsvc.operations.check_conflict import first_marker
from secretsvc.operations.documents.changes import proven
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.document.base import Tree, Value
    from secretsvc.formats.base import Trust
    from secretsvc.formats.merge import Side
    from secretsvc.formats.sops.merge import Name
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring

_MARKER = re.compile(rb"(?m)^(?:(<)<{6}|(\|)\|{6}|(=)={6}|(>)>{6})(?:[ \r][^\n]*)?(?:\n|\Z)")
_NEXT = {b"<": b"|=", b"|": b"=", b"=": b">", b">": b"<"}
"""Which markers may follow one."""
_HINT = "settle those by hand, or say ksecret git resolve --ours or --theirs, which takes a side for all of them"


class Mending(Record):
    """How a file is to be mended."""

    now: str
    """The time to state: UTC, RFC 3339, seconds."""
    trust: Trust | None
    """Asked whether somebody vouches for what no MAC does; None: nobody."""
    sides: Sequence[bytes] = ()
    """Ours and theirs, as Git has them while a merge of the file waits. What is made of these needs no vouching."""
    side: Side | None = None
    """Whose lines are taken where the two disagree on more than the MAC; None: such a file is refused."""


def mend(data: bytes, name: str, mending: Mending, keyring: Keyring) -> Result:
    """Return the file without Git's marks, and with a MAC that fits; as it was where nothing is wrong with it.

    Raises InputError where values are in conflict, NotSealedError for another file, AlteredError where nobody vouches
    for it, and what opening raises.
    """
    text = _settled(data, name, mending.side)
    tree = documents.find(text, name)
    if not tree:
        what = "it is no file that SOPS's format seals"
        raise NotSealedError(what, hint="kubesec's are mended by ksecret encrypt -i --recompute-mac FILE")
    opened = documents.open_sealed(tree, keyring, lambda why: _is_trusted(text, name, why, mending, keyring))
    if opened.proven:
        return Result(text, 1)
    plan = sealing.Plan(opened.dek, opened.metadata.changed(), mending.now, opened)
    made = sealing.seal_document(tree.document, opened.values, plan)
    proven(tree.document.kind, made, opened.dek, opened.values)
    return Result(made, 1)


def is_in_conflict(data: bytes, name: str) -> bool:
    """Tell whether Git's marks stand in a file that either side has sealed in SOPS's format."""
    line = first_marker(data)
    try:
        return bool(line) and all(documents.find(side, name) for side in _sides(data, line))
    except KsecretError:
        return False


def _settled(data: bytes, name: str, side: Side | None) -> bytes:
    """The text without marks: a side's lines where one is chosen, or where the two differ in their MACs alone.

    Raises InputError.
    """
    line = first_marker(data)
    if not line:
        return data
    ours, theirs = _sides(data, line)
    if side:
        return ours if side == "ours" else theirs
    if _differ_in_proof(ours, theirs, name):
        return ours
    raise InputError("Git's conflict markers stand around more than its MAC", hint=_HINT, line=line)


def _sides(data: bytes, line: int) -> tuple[bytes, bytes]:
    """The text as either side has it. Raises InputError for markers that are no pairs."""
    sides: tuple[list[bytes], list[bytes]] = ([], [])
    at, before = 0, b">"
    for found in _MARKER.finditer(data):
        sign = found[0][:1]
        if sign not in _NEXT[before]:
            if sign == b"=":
                continue  # a line of the text
            raise InputError("a conflict marker without its others", hint="settle it by hand", line=line)
        _keep(sides, before, data[at : found.start()])
        at, before = found.end(), sign
    if before != b">":
        raise InputError("a conflict marker without its others", hint="settle it by hand", line=line)
    _keep(sides, before, data[at:])
    return b"".join(sides[0]), b"".join(sides[1])


def _keep(sides: tuple[list[bytes], list[bytes]], marker: bytes, lines: bytes) -> None:
    """Lines behind a marker go to the side that they are of, or to both."""
    if marker in b"<>":
        sides[0].append(lines)
    if marker in b"=>":
        sides[1].append(lines)


def _differ_in_proof(ours: bytes, theirs: bytes, name: str) -> bool:
    try:
        left, right = documents.find(ours, name), documents.find(theirs, name)
    except KsecretError:
        return False
    return bool(left and right) and _without_proof(left) == _without_proof(right)


def _without_proof(tree: SealedTree | None) -> tuple[dict[str, Tree], list[tuple[object, ...]]]:
    assert tree
    member = {name: value for name, value in tree.metadata.tree.items() if name not in PROOF}
    return member, [(leaf.unit, leaf.path, leaf.value) for leaf in tree.document.leaves]


def _is_trusted(text: bytes, name: str, why: str, mending: Mending, keyring: Keyring) -> bool:
    tree = documents.find(text, name)
    assert tree
    if len(mending.sides) == 2 and _is_made_of(tree, mending.sides, name, keyring):
        return True
    keys = tuple(str(key.ref) for key in tree.metadata.keys)
    unproven = Unproven("the file", why, keys, tuple(documents.paths(tree)))
    return bool(mending.trust and mending.trust(unproven))


def _is_made_of(tree: SealedTree, sides: Sequence[bytes], name: str, keyring: Keyring) -> bool:
    """Tell if each value, each key and the rule is a side's, and nothing lacks that both have; each side's MAC fits."""
    try:
        merged = documents.open_sealed(tree, keyring, lambda _: True)
        trees = [found for found in (documents.find(side, name) for side in sides) if found]
        opened = [documents.open_sealed(found, keyring) for found in trees]
    except (KsecretError, ValueError):
        return False
    if len(opened) != len(sides):
        return False
    own = _held(tree, merged)
    ours, theirs = (_held(found, one) for found, one in zip(trees, opened, strict=True))
    paths = {path for path, _ in own}
    both = {path for path, _ in ours} & {path for path, _ in theirs}
    keys = {name for one in trees for name in _names(one)}
    rules = [_rule(one) for one in trees]
    return own <= ours | theirs and both <= paths and _names(tree) <= keys and _rule(tree) in rules


def _held(tree: SealedTree, opened: Opened) -> set[tuple[bytes, Value]]:
    """Values by their keys; places in lists and of documents move when others come and go."""
    pairs = zip(tree.document.leaves, opened.values, strict=True)
    return {(aad_of(leaf.path), value) for leaf, value in pairs if value.kind != "comment"}


def _names(tree: SealedTree) -> set[Name]:
    return set(map(name_of, tree.metadata.entries))


def _rule(tree: SealedTree) -> list[Tree]:
    return [tree.metadata.tree.get(name) for name in RULE]
