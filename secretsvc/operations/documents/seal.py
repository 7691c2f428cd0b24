"""Sealing a file in the clear in SOPS's format: any tree, the whole file one unit."""

from __future__ import annotations

from os import urandom

from secretsvc import formats
from secretsvc.document import kinds
from secretsvc.errors import AlreadySealedError, ManifestError, NothingToSealError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER, VERSION, fields_of, list_of, with_keys
from secretsvc.formats.sops.selection import DEFAULT, Selection
from secretsvc.keyref import SopsContext, WrappedKey
from secretsvc.manifest.model import FIELDS
from secretsvc.operations import Result
from secretsvc.operations.documents.changes import proven
from secretsvc.operations.documents.shares import Division
from secretsvc.operations.shares import split
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.document.base import Document, Tree
    from secretsvc.operations.documents.keysets import SopsKeyset
    from secretsvc.operations.keyring import Keyring

FOR_SECRETS = ("encrypted_regex", "^(data|stringData)$")
"""What whoever seals Kubernetes' Secrets means, and gives no rule."""
_VALUES = frozenset(FIELDS)


class SopsRule(Record):
    """What of a file is sealed, and what its MAC covers."""

    selection: tuple[str, str] | None = None
    """None: of Kubernetes' objects with a Secret among them their data, of other files what SOPS seals."""
    mac_only_encrypted: bool = False
    only_secrets: bool = False
    """Leave alone what is no manifest with a Secret's values in it."""


def seal_file(
    data: bytes,
    keys: SopsKeyset,
    rule: SopsRule,
    keyring: Keyring,
    *,
    name: str,
    now: str,
    kind: str = "",
) -> Result:
    """Return the file sealed, opened again in memory. Its notes tell of lines that will come back spelled otherwise.

    `name`: the file's, whose end says of which kind it is, unless `kind` does; `now`: the time to state.
    The result is not bound where Secrets are in it: the format binds them to no name. Raises AlreadySealedError,
    NothingToSealError, also for a rule that means nothing of it, ManifestError, and InputError for a rule that is none.
    """
    document = read_clear(data, kind or kinds.kind_of(name), rule)
    meant = selection(document, rule)
    dek = urandom(32)
    values = [leaf.value for leaf in document.leaves]
    named = {} if document.kind == "binary" else {meant[0]: meant[1]}
    only = {"mac_only_encrypted": True} if rule.mac_only_encrypted else {}
    tree: dict[str, Tree] = {**_wrapped(keys, dek, now, keyring), "version": VERSION, **named, **only}
    made = sealing.seal_document(document, values, sealing.Plan(dek, tree, now))
    opened = proven(document.kind, made, dek, values)
    sealed = kinds.read(document.kind, made, MEMBER)
    notes = tuple(losses(document, sealing.restored(sealed, opened)))
    return Result(made, 1, not has_secrets(document), notes)


def read_clear(data: bytes, kind: str, rule: SopsRule) -> Document:
    """Return a file that can be sealed by that rule. Raises as `seal_file`."""
    document = kinds.read(kind, data, MEMBER)
    if document.member() is not None or getattr(document, "has_member", False):
        what = f"it has a member {MEMBER}: it is sealed already, or nobody could seal it"
        raise AlreadySealedError(what, hint="SOPS's format has its own there: give yours another name")
    _refuse_tokens_of_others(document)
    has_values = any(_VALUES.intersection(leaf.path) for leaf in document.leaves)
    if rule.only_secrets and not (has_values and has_secrets(document)):
        raise NothingToSealError("no Secret with values is in it", hint="name the file, and all of it is sealed")
    _check(document, Selection(*selection(document, rule)))
    return document


def has_secrets(document: Document) -> bool:
    """Tell whether one of its objects is a Secret, those of a list too."""
    return any(
        leaf.value.text == b"Secret"
        and (leaf.path == ("kind",) or (leaf.path[:1] == ("items",) and leaf.path[2:] == ("kind",)))
        for leaf in document.leaves
    )


def selection(document: Document, rule: SopsRule) -> tuple[str, str]:
    """Return the rule; where none is said, the one that is meant for such a document."""
    if rule.selection:
        return rule.selection
    objects = {leaf.unit for leaf in document.leaves if leaf.path == ("kind",)}
    return FOR_SECRETS if len(objects) == document.units and has_secrets(document) else DEFAULT


def _refuse_tokens_of_others(document: Document) -> None:
    """Refuse what is sealed in another format: whoever opened the file would get tokens."""
    if document.kind not in ("yaml", "json") or not formats.holds_sealed(document.data):
        return
    for leaf in document.leaves:
        if leaf.value.kind == "str" and formats.starts_token(leaf.value.text.decode("utf-8", "replace")):
            what = f"{sealing.named(leaf.path)} is sealed already, in another format"
            raise AlreadySealedError(what, hint="ksecret decrypt -i opens it first", line=leaf.line)


def _check(document: Document, chosen: Selection) -> None:
    """Refuse tokens in the clear, and a rule that means nothing of it."""
    count = 0
    for leaf in document.leaves:
        if is_token(leaf.value.text):
            what = f"{sealing.named(leaf.path)} is a token of SOPS's already"
            raise ManifestError(what, hint="put the clear value there", line=leaf.line)
        is_value = leaf.value.kind not in ("comment", "null") and leaf.value.text
        count += bool(is_value and chosen.selects(leaf))
    if not count:
        what = f"{chosen.rule} means no value of it: all would stay in the clear"
        raise NothingToSealError(what, hint="mend the rule, or leave the file as it is")


def _wrapped(keys: SopsKeyset, dek: bytes, now: str, keyring: Keyring) -> dict[str, Tree]:
    """The lists of keys, each with the data key, or its group's share, wrapped. All must, before anything is made."""
    secrets = split(dek, len(keys.groups), Division(len(keys.groups), keys.threshold).needed)
    unsigned = keyring.unsigned()
    groups: list[dict[str, list[dict[str, Tree]]]] = []
    for number, members in enumerate(keys.groups):
        lists: dict[str, list[dict[str, Tree]]] = {}
        for ref, context in members:
            wrapped = unsigned.wrap(ref, secrets[number], SopsContext(context))
            made = WrappedKey(ref, wrapped, context, number)
            fields = fields_of(made, now, **keys.principal(ref)._asdict())
            lists.setdefault(list_of(ref), []).append(fields)
        groups.append(lists)
    return with_keys(groups, keys.threshold)


def losses(document: Document, restored: bytes) -> Iterator[tuple[int, str]]:
    """Yield lines that will not come back as they are spelled, though their values will; what to say of each."""
    if restored == document.data:
        return
    back = kinds.read(document.kind, restored, MEMBER)
    told = False
    if len(back.leaves) == len(document.leaves):
        for leaf, again in zip(document.leaves, back.leaves, strict=True):
            if document.source(leaf) != back.source(again):
                told = True
                yield leaf.line, f"{sealing.named(leaf.path)} will come back spelled otherwise, with the same value"
    if not told:
        yield 1, "some lines will come back written otherwise, with the same values"
