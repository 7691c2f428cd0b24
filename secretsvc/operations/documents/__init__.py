"""Files that SOPS's format seals: any tree, the whole file one unit. What a command does with one, keys at hand.

Manifests have operations of their own; a command asks `find` first, and only of bytes that `may_be_one`.
"""

from __future__ import annotations

from secretsvc.document import kinds
from secretsvc.document.base import MOST_LEAVES
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    InputError,
    KsecretError,
    ManifestError,
    NoKeyError,
    nearest,
)
from secretsvc.formats.primitives import DEK_BYTES
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER, OPENED, Metadata, is_broken, is_member
from secretsvc.formats.sops.sealing import named
from secretsvc.formats.sops.selection import Selection
from secretsvc.keyref import SopsContext
from secretsvc.manifest.model import FIELDS, decode_base64
from secretsvc.operations import Result
from secretsvc.patterns import pattern
from secretsvc.tokens import SOPS_CUT, SOPS_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretsvc.document.base import Document, Leaf, Path, Tree, Value
    from secretsvc.formats.sops.metadata import KeyEntry
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.keyring import Keyring

LABEL = "SOPS's format"

_ROOT_MEMBER = pattern(
    rb"(?m)sops(?:_mac=(?<=^sops_mac=)|\](?<=\[sops\])|(?:(?<=^sops)|(?<=^[\"']sops))[\"']?[ \t]*:"
    rb"|(?<=\"sops)\"[ \t\r\n]*:)"
)
"""Begins with a word, for which `re` looks twenty times as fast as for a line's start."""
_AT_ONCE, _MOST_BLANKS = 64 * 1024, 200
"""Bytes that are looked through before others may work; blanks before a section's name, or behind another."""
_STEP = pattern(r"\[\"((?:[^\"\\]|\\.)*)\"\]|\['([^']*)'\]|\[([0-9]{1,9})\]|(?:^|\.)([^.\[\]\"]+)")
_ESCAPE = pattern(r"\\(.)")
_FIELDS: tuple[Path, ...] = tuple((field,) for field in FIELDS)
_OF_MANIFESTS = (("apiVersion",), ("kind",))
_LISTS = "ksecret get FILE lists them"


class SealedTree:
    """A file that is sealed, and what it says of itself: nothing of it is proven."""

    __slots__ = ("document", "metadata")

    def __init__(self, document: Document, metadata: Metadata) -> None:
        self.document = document
        self.metadata = metadata

    def __repr__(self) -> str:
        return "SealedTree(masked)"


def may_be_one(data: bytes) -> bool:
    """Tell whether bytes may be such a file. Costs next to nothing."""
    return b"sops" in data and SOPS_MARK in data


def find(data: bytes, name: str = "", kind: str = "", most: int = MOST_LEAVES) -> SealedTree | None:
    """Return the sealed file that the bytes are; None for anything else, which others know what to say of.

    `name`: the file's, whose end says of which kind it is, unless `kind` does; `most`: how many leaves it may have.
    Raises ManifestError and AlteredError for one that can't be read.
    """
    if not may_be_one(data):
        return None
    try:
        document = kinds.read(kind or kinds.kind_of_sealed(data, MEMBER, name, most), data, MEMBER, most)
        member = document.member()
    except ManifestError:
        _refuse_markers(data)
        if _has_root_member(data):
            raise
        return None
    if not member:
        return None
    if not isinstance(member.tree, dict) or not is_member(member.tree):
        if _is_cut(document, member.tree):
            raise AlteredError(f"its member {MEMBER} has lost a part", hint=SOPS_CUT, line=member.line)
        return None
    return SealedTree(document, Metadata(member.tree, member.line))


def _has_root_member(data: bytes) -> bool:
    """Tell whether something in it looks like the member of a file that SOPS sealed, of whatever kind."""
    return any(
        not found[0].endswith(b"]") or _begins_line(data, found.start() - 1)
        for at in range(0, len(data), _AT_ONCE)
        for found in _ROOT_MEMBER.finditer(data, at, at + _AT_ONCE + _MOST_BLANKS)
    )


def _begins_line(data: bytes, at: int) -> bool:
    """Tell whether nothing but blanks stands before that place in its line."""
    before = data[max(0, at - _MOST_BLANKS) : at].rstrip(b" \t")
    return before.endswith(b"\n") or (not before and at <= _MOST_BLANKS)


def _refuse_markers(data: bytes) -> None:
    """Raises ManifestError where Git's conflict markers are why it can't be read."""
    from secretsvc.operations.check_conflict import first_marker

    line = first_marker(data)
    if line:
        hint = "ksecret verify --mend FILE settles its MAC, and ksecret git resolve --ours or --theirs its values too"
        raise ManifestError("Git's conflict markers stand in it", hint=hint, line=line)


def _is_cut(document: Document, tree: Tree) -> bool:
    """Tell whether tokens have lost the member that opens them. Of what may be a manifest, others tell it."""
    if isinstance(tree, dict):
        may_be_manifest = any(leaf.path in _OF_MANIFESTS for leaf in document.leaves)
        if not is_broken(tree) or may_be_manifest:
            return False
    return any(is_token(leaf.value.text) for leaf in document.leaves)


def open_file(sealed: SealedTree, keyring: Keyring) -> Result:
    """Return the file in the clear, the MAC checked. Raises AlteredError, NoKeyError, BackendError, ManifestError."""
    opened = open_sealed(sealed, keyring)
    return Result(restored(sealed, opened), 1, notes=tuple(opened.warnings))


def restored(sealed: SealedTree, opened: Opened) -> bytes:
    """Return the file in the clear: its own bytes, but for the values. Raises AlteredError, ManifestError."""
    clear = sealing.restored(sealed.document, opened)
    _prove(sealed.document, clear, opened.values)
    return clear


def open_sealed(sealed: SealedTree, keyring: Keyring, trust: Callable[[str], bool] | None = None) -> Opened:
    """Return its values. Raises AlteredError, NoKeyError, BackendError, InputError for a rule that is none."""
    return sealing.open_document(sealed.document, sealed.metadata, data_key(sealed.metadata, keyring), trust)


def data_key(metadata: Metadata, keyring: Keyring) -> bytes:
    """Return the data key, by any key that opens it here. Raises as `open_sealed`."""
    dek = _joined(metadata, keyring) if metadata.groups > 1 else _unwrapped(metadata.entries, keyring)
    if len(dek) != DEK_BYTES:
        raise AlteredError(f"its data key is not {DEK_BYTES} bytes", hint=RESTORE_HINT, line=metadata.line)
    return dek


def _unwrapped(entries: Sequence[KeyEntry], keyring: Keyring) -> bytes:
    """Return what all of these keys wrap, by the first that can be used."""
    usable = [entry for entry in entries if _is_used(entry, keyring)]
    if not usable:
        hint = (
            f"ksecret opens it by a key of {', '.join(OPENED)}, without a role or in one that .sops.yaml names for it: "
            "sops itself opens it by others"
        )
        raise NoKeyError("none of its keys could be used here", reasons=tuple(map(_unused, entries)), hint=hint)
    try:
        return keyring.unwrap([entry.key._replace(context=SopsContext(entry.key.context)) for entry in usable])
    except BackendError as error:
        profiles = dict.fromkeys(entry.profile for entry in usable if entry.profile)
        if profiles:
            own = f"{error.hint}; " if error.hint else ""
            said = f"the file asks for the AWS profile {' or '.join(profiles)}, which AWS_PROFILE or a policy must name"
            error.hint = f"{own}{said}"
        raise


def _is_used(entry: KeyEntry, keyring: Keyring) -> bool:
    """Tell whether a key is used here: in the role that a policy names for it, if any. The file's own word is none."""
    return entry.is_opened_in(keyring.role(entry.key.ref) if entry.role else "")


def _unused(entry: KeyEntry) -> str:
    if entry.role:
        return f"{entry.key.ref}: the file asks for the role {entry.role}, which no policy names for that key"
    return f"{entry.key.ref}: a key of a kind that is not used here"


def _joined(metadata: Metadata, keyring: Keyring) -> bytes:
    """Return the data key of as many groups' shares as are needed, and no more: the cheapest ones."""
    from secretsvc.operations import shares

    groups, needed = _groups(metadata), groups_needed(metadata)
    if needed > len(groups):
        what = f"it wants {needed} groups of keys opened, and has {len(groups)}"
        raise AlteredError(what, hint=RESTORE_HINT, line=metadata.line)

    def member(group: list[KeyEntry]) -> shares.GroupOfKeys:
        return shares.GroupOfKeys(lambda: _unwrapped(group, keyring), _schemes(group, keyring))

    return shares.join(list(map(member, groups)), needed, lambda dek: sealing.is_dek(metadata, dek))


def _groups(metadata: Metadata) -> list[list[KeyEntry]]:
    groups: list[list[KeyEntry]] = [[] for _ in range(metadata.groups)]
    for entry in metadata.entries:
        groups[entry.key.group].append(entry)
    return groups


def groups_needed(metadata: Metadata) -> int:
    """Return how many groups of keys have to be opened."""
    return 1 if metadata.groups == 1 else max(metadata.threshold or metadata.groups, 2)


def openers(metadata: Metadata) -> tuple[frozenset[str], ...]:
    """Return the KeyRefs that can be used here, of each group of keys: what a keyring is asked for together."""
    return tuple(
        frozenset(str(entry.key.ref) for entry in group if entry.is_opened_here) for group in _groups(metadata)
    )


def _schemes(entries: Sequence[KeyEntry], keyring: Keyring) -> frozenset[str]:
    """Return the kinds of the group's keys that can be used here."""
    return frozenset(entry.key.ref.scheme for entry in entries if _is_used(entry, keyring))


def _prove(sealed: Document, clear: bytes, values: Sequence[Value]) -> None:
    """Refuse clear text that would not hold exactly the values. Raises AlteredError."""
    if sealed.kind == "binary":  # whatever they look like
        fits = [value.text for value in values] == [clear]
    else:
        fits = _holds(sealed.kind, clear, values)
    if not fits:
        what = "the values can't be written back where the tokens stand"
        raise AlteredError(what, hint="`sops decrypt` writes the file anew")


def _holds(kind: str, clear: bytes, values: Sequence[Value]) -> bool:
    try:
        document = kinds.read(kind, clear, MEMBER)
    except ManifestError:
        return False
    if kind in kinds.TEXTS_ONLY:
        from secretsvc.document.texts import as_read

        values = [as_read(value) for value in values]
    return document.member() is None and sealing.same((leaf.value for leaf in document.leaves), values)


def paths(sealed: SealedTree) -> list[str]:
    """Return the paths of all values of the first document, sealed or not. Needs no key."""
    return [named(leaf.path) for leaf in sealed.document.leaves if leaf.value.kind != "comment" and not leaf.unit]


def by_rule(sealed: SealedTree) -> tuple[list[str], list[str]]:
    """Return the paths of what is sealed, and of what should be and stands there in the clear. Needs no key."""
    clear = [named(leaf.path) for leaf in sealing.flaws(sealed.document, Selection(*sealed.metadata.rule))]
    leaves = (leaf for leaf in sealed.document.leaves if leaf.value.kind == "str" and is_token(leaf.value.text))
    return [named(leaf.path) for leaf in leaves], clear


def get_value(sealed: SealedTree, word: str, keyring: Keyring) -> Result:
    """Return one value's bytes: texts as they are, others in their canonical text.

    `word`: a path (`db.hosts[0]`, `["db"]["hosts"][0]`), or, in a Secret, the name of an entry, whose bytes are
    decoded as Kubernetes does. Raises InputError, and as `open_sealed`.
    """
    leaves = sealed.document.leaves
    number = find_leaf(leaves, word)
    if number is None:
        known = paths(sealed)
        raise InputError(f"it has no such value{nearest(word, known)}", hint=_LISTS)
    value = open_sealed(sealed, keyring).values[number]
    path = leaves[number].path
    if path[-2:-1] == ("data",) and path != parsed(word):
        try:
            return Result(decode_base64(value.text.decode()), 1)
        except ValueError:
            raise ManifestError(f"{named(path)} is not base64", line=leaves[number].line) from None
    return Result(value.text, 1)


def find_leaf(leaves: Sequence[Leaf], word: str) -> int | None:
    """Return the number of the leaf that a word means; None where there is none. Raises InputError for several."""
    path = parsed(word)
    own = [at for at, leaf in enumerate(leaves) if leaf.value.kind != "comment" and not leaf.unit]
    exact = [at for at in own if leaves[at].path == path]
    if exact:
        return exact[-1]
    entries = [at for at in own if leaves[at].path[-2:-1] in _FIELDS and leaves[at].path[-1] == word]
    if len({leaves[at].path[:-2] for at in entries}) > 1:
        listed = ", ".join(named(leaves[at].path) for at in entries[:3])
        raise InputError(f"several values could be meant: {listed}", hint="name one by its whole path")
    return entries[-1] if entries else None  # stringData comes behind data, and wins, as in Kubernetes


def parsed(word: str) -> Path | None:
    """Return the path that a word spells; None for what is no path."""
    path: list[str | int] = []
    at = 0
    while at < len(word):
        step = _STEP.match(word, at)
        if not step:
            return None
        at = step.end()
        if step[3] is not None:
            path.append(int(step[3]))
        else:
            key = step[1] if step[1] is not None else step[2] if step[2] is not None else step[4]
            path.append(_ESCAPE.sub(r"\1", key) if step[1] is not None else key)
    return tuple(path) or None


def structure(sealed: SealedTree, mark: Callable[[str, str], str], values: Sequence[Value] | None) -> bytes:
    """Return the file as a diff shows it: a mark for each token and for what the member has wrapped.

    `values`: of the leaves, to be shown in their tokens' place; None for marks alone.
    """
    from secretsvc.document.base import Value, apply

    document, metadata = sealed.document, sealed.metadata
    edits = []
    for number, leaf in enumerate(document.leaves):
        if not leaf.value.text.startswith(SOPS_MARK):
            continue
        if values is not None:
            edits += document.spell(leaf, values[number])
        else:
            shown = mark("sealed", leaf.value.text.decode("latin-1")).encode()
            edits += document.spell(leaf, Value(leaf.value.kind, shown))
    tree = _shortened(metadata.changed(mac=mark("mac", metadata.mac)), mark)
    assert isinstance(tree, dict)
    return apply(document.data, [*edits, *document.set_member(tree)])


def _shortened(tree: Tree, mark: Callable[[str, str], str]) -> Tree:
    """Return a tree with a mark for every `enc`."""
    if isinstance(tree, list):
        return [_shortened(one, mark) for one in tree]
    if not isinstance(tree, dict):
        return tree
    return {name: mark("wrapped", str(one)) if name == "enc" else _shortened(one, mark) for name, one in tree.items()}


def opened_or_none(sealed: SealedTree, keyring: Callable[[], Keyring]) -> Sequence[Value] | None:
    """Return its values where it opens, whatever the reason it does not."""
    try:
        return open_sealed(sealed, keyring()).values
    except (KsecretError, ValueError):
        return None
