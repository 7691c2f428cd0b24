"""Opening, sealing and restoring a document in SOPS's format, the data key being at hand.

The whole file is one: all its documents have one data key, one rule, and one MAC over all leaves in their order.
Source: Encrypt and Decrypt in sops.go of getsops/sops.
"""

from __future__ import annotations

from secretsvc import patience
from secretsvc.document.base import Value, apply
from secretsvc.errors import RESTORE_HINT, AlteredError, ManifestError
from secretsvc.formats.primitives import DEK_BYTES, equal, sha512
from secretsvc.formats.sops.cipher import Cipher, aad_of, is_token
from secretsvc.formats.sops.metadata import Metadata
from secretsvc.formats.sops.selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from secretsvc.document.base import Document, Edit, Leaf, Path, Tree

_ONLY_ENCRYPTED = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")
"""Start of the MAC where it is over sealed leaves only: SHA-256 of `sops`."""


class Opened:
    """A document opened."""

    __slots__ = ("dek", "metadata", "proven", "selected", "values", "warnings")

    def __init__(self, metadata: Metadata, dek: bytes, values: list[Value], selected: list[bool]) -> None:
        self.metadata = metadata
        self.dek = dek
        self.values = values
        """Of all leaves, in their order: sealed and clear together."""
        self.selected = selected
        """Whether the rule means that leaf."""
        self.warnings: list[tuple[int, str]] = []
        """A line, and what to warn of there."""
        self.proven = True
        """False where somebody vouched for what its MAC does not fit."""

    def __repr__(self) -> str:
        return "Opened(masked)"


def open_document(
    document: Document, metadata: Metadata, dek: bytes, trust: Callable[[str], bool] | None = None
) -> Opened:
    """Return the values of all leaves, each token checked, and all of them against the MAC. Raises AlteredError.

    `trust` is asked, with the reason, where the MAC is missing or does not fit.
    """
    cipher, selection = Cipher(dek), Selection(*metadata.rule)
    opened = Opened(metadata, dek, [], [])
    for number, leaf in enumerate(document.leaves):
        patience.check()
        is_due = selection.selects(leaf)
        value = leaf.value
        if value.kind == "comment":
            value = _comment(document.leaves, number, cipher, opened, is_due=is_due)
        elif is_due and value.kind != "null" and value.text:
            value = _value(leaf, cipher)
        opened.values.append(value)
        opened.selected.append(is_due)
    why = _mac_flaw(cipher, opened)
    if why and not (trust and trust(why)):
        hint = "restore the file from Git: somebody who opens it may have merged or edited it without sops"
        raise AlteredError(why, hint=hint, line=metadata.line)
    opened.proven = not why
    return opened


def _value(leaf: Leaf, cipher: Cipher) -> Value:
    if leaf.value.kind != "str" or not is_token(leaf.value.text):
        what = f"{named(leaf.path)} is not sealed, in a file that SOPS sealed"
        raise AlteredError(what, hint=RESTORE_HINT, line=leaf.line)
    try:
        return cipher.open(leaf.value.text, aad_of(leaf.path))
    except AlteredError as error:
        raise AlteredError(f"{named(leaf.path)}: {error.message}", hint=error.hint, line=leaf.line) from None


def _comment(leaves: Sequence[Leaf], number: int, cipher: Cipher, opened: Opened, *, is_due: bool) -> Value:
    """A sealed comment opened, whichever of the containers around it is the one that it was sealed in.

    One that does not open stays as it is, as SOPS has it: comments are covered by nothing.
    """
    leaf = leaves[number]
    if not is_token(leaf.value.text):
        if is_due and leaf.value.text:
            opened.warnings.append((leaf.line, "a comment in the clear where comments are sealed"))
        return leaf.value
    for path in _containers(leaves, number):
        try:
            found = cipher.open(leaf.value.text, aad_of(path))
        except AlteredError:
            continue
        if found.kind == "comment":
            return found
    opened.warnings.append((leaf.line, "a sealed comment that does not open"))
    return leaf.value


def _containers(leaves: Sequence[Leaf], number: int) -> Iterable[Path]:
    """Paths of the containers around a comment, and around its neighbours; the likeliest first, each once."""
    found: dict[Path, None] = {}
    around = [leaves[number].path]
    around += [leaves[at].path for at in (number + 1, number - 1) if 0 <= at < len(leaves)]
    for path in around:
        for end in range(len(path), -1, -1):
            found.setdefault(tuple(key for key in path[:end] if isinstance(key, str)))
    return found


def is_dek(metadata: Metadata, dek: bytes) -> bool:
    """Tell whether the MAC was sealed under it, where it was joined of shares and one of them may be broken."""
    if not metadata.mac or len(dek) != DEK_BYTES:
        return True  # which is told when it opens
    try:
        return bool(Cipher(dek).open(metadata.mac.encode("utf-8", "replace"), metadata.last_modified.encode()))
    except AlteredError:
        return False


def _mac_flaw(cipher: Cipher, opened: Opened) -> str:
    """Return what is wrong with the MAC; empty where it fits."""
    metadata = opened.metadata
    if not metadata.mac:
        return "it has no MAC"
    try:
        stated = cipher.open(metadata.mac.encode("utf-8", "replace"), metadata.last_modified.encode())
    except AlteredError:
        return "its MAC, or the time beside it, was altered"
    made = mac_of(opened.values, opened.selected, only_encrypted=metadata.mac_only_encrypted)
    if equal(stated.text, made):
        return ""
    return "its MAC does not fit: a value was altered, moved, added or taken away"


def mac_of(values: Sequence[Value], selected: Sequence[bool], *, only_encrypted: bool) -> bytes:
    """Return the MAC over values in their order (128 hexadecimal digits): texts alone, no keys, no comments."""
    digest = sha512(_ONLY_ENCRYPTED if only_encrypted else b"")
    for value, is_due in zip(values, selected, strict=True):
        if value.kind not in ("comment", "null") and (is_due or not only_encrypted):
            digest.update(value.text)
    return digest.hexdigest().upper().encode()


class Plan:
    """Instructions for sealing a document."""

    __slots__ = ("before", "dek", "now", "tree")

    def __init__(self, dek: bytes, tree: dict[str, Tree], now: str, before: Opened | None = None) -> None:
        self.dek = dek
        self.tree = tree
        """The member, without `mac` and `lastmodified`."""
        self.now = now
        """The time to write: UTC, RFC 3339, seconds."""
        self.before = before
        """The document as it was opened under the same data key; what is the same as there keeps its token."""

    def __repr__(self) -> str:
        return "Plan(masked)"


def seal_document(document: Document, values: Sequence[Value], plan: Plan) -> bytes:
    """Return the file with a token for each leaf that the rule means. Raises ManifestError, InputError.

    `document` gives places, `values` what each leaf is to hold. Where that is what `plan.before` has, and a token
    stands there, it stays.
    """
    tree = {**plan.tree, "lastmodified": plan.now, "mac": ""}
    metadata = Metadata(tree, 0)
    cipher, selection = Cipher(plan.dek), Selection(*metadata.rule)
    kept = plan.before.values if plan.before else None
    edits: list[Edit] = []
    selected = []
    lists = _lists(document)
    for number, (leaf, value) in enumerate(zip(document.leaves, values, strict=True)):
        patience.check()
        is_due = selection.selects(leaf)
        selected.append(is_due)
        if kept is not None and kept[number] == value:
            continue
        if is_due and value.kind != "null" and value.text:
            edits += document.spell(leaf, cipher.seal(value, aad_of(leaf.path)))
        elif value != leaf.value:
            edits += document.spell(leaf, value)
        if is_due and value.kind == "comment" and not value.text and leaf.path in lists:
            what = "an empty comment in a list, which SOPS turns into a value"
            raise ManifestError(what, hint="take the # out, or write something behind it", line=leaf.line)
    mac = mac_of(values, selected, only_encrypted=metadata.mac_only_encrypted)
    tree["mac"] = cipher.seal(Value("str", mac), metadata.last_modified.encode()).decode()
    return apply(document.data, [*edits, *document.set_member(tree)])


def _lists(document: Document) -> set[Path]:
    """The paths of all lists."""
    return {leaf.path[:end] for leaf in document.leaves for end, key in enumerate(leaf.path) if isinstance(key, int)}


def restored(document: Document, opened: Opened) -> bytes:
    """Return the file with all values in the clear and without the member. Raises ManifestError."""
    return apply(document.data, restoring(document, opened))


def restoring(document: Document, opened: Opened) -> list[Edit]:
    """Return the edits that put all values in the clear and take the member out. Raises ManifestError."""
    edits = document.drop_member()
    for leaf, value in zip(document.leaves, opened.values, strict=True):
        if value != leaf.value:
            edits += document.spell(leaf, value)
    return edits


def same(values: Iterable[Value], others: Iterable[Value]) -> bool:
    """Tell whether two trees hold the same: by texts, for SOPS spells 1.0 as 1. Comments count for nothing."""
    return _texts(values) == _texts(others)


def _texts(values: Iterable[Value]) -> list[tuple[bool, bytes]]:
    return [(value.kind in _NUMBERS, value.text) for value in values if value.kind != "comment"]


_NUMBERS = ("int", "float")


def flaws(document: Document, selection: Selection) -> Iterable[Leaf]:
    """Yield the leaves that the rule means and that stand there in the clear."""
    for leaf in document.leaves:
        value = leaf.value
        if (
            value.kind not in ("comment", "null")
            and value.text
            and not is_token(value.text)
            and selection.selects(leaf)
        ):
            yield leaf


def named(path: Path) -> str:
    """Return a path as messages name it: `db.hosts[0]`; keys with other signs in quotes."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif key.replace("-", "_").isidentifier():
            text += f".{key}" if text else key
        else:
            text += f'["{key}"]'
    return text or "the root"
