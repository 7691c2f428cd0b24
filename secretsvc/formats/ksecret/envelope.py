"""Format *ksecret v1*: the envelope as the Secret's member `ksecret`, and what it is bound to (design FORMAT)."""

from __future__ import annotations

from secretsvc.errors import AlteredError, InputError, KeyRefError, ManifestError
from secretsvc.formats.base import Sealed, decoded
from secretsvc.manifest import nodes
from secretsvc.manifest.model import encode_base64
from secretsvc.manifest.nodes import Mapping, Scalar, Sequence
from secretsvc.manifest.scalars import canonical, quoted
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from collections.abc import Sequence as AnySequence
    from typing import TypeAlias

    from secretsvc.keyref import Keyset, WrappedKey
    from secretsvc.manifest.model import Secret
    from secretsvc.manifest.nodes import Member, Node
    from secretsvc.manifest.splice import Layout

    SealedKeys: TypeAlias = tuple[AnySequence[Collection[str]], int]
    """The KeyRefs of each group of keys, and how many groups have to be opened: one of one, where there are none."""
    _Member: TypeAlias = str | dict[str, str] | list[dict[str, str]]

ENVELOPE = "ksecret"
"""The member of a Secret that holds its envelope."""

VERSION = "1"

TOKEN_PREFIX = "ksecret.v1."  # noqa: S105

WHOLE_TOKEN = r"ksecret\.v1\.[A-Za-z0-9+/]{122,}={0,2}"  # noqa: S105
"""The shape of a token, wherever it stands: nonce, tag and at least one block are 92 bytes (design FORMAT)."""

_MEMBERS = {"version", "sealedFor", "created", "keys", "seal"}
_OF_GROUPS = _MEMBERS - {"keys"} | {"threshold", "groups"}

TYPES = (
    "Opaque",
    "kubernetes.io/basic-auth",
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/service-account-token",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/tls",
    "bootstrap.kubernetes.io/token",
)
"""What Kubernetes knows as a Secret's type (https://kubernetes.io/docs/concepts/configuration/secret/#secret-types)."""

_PLAIN_KEYREF = pattern(r"[a-z0-9]+:[A-Za-z0-9+/=:._@ -]*[A-Za-z0-9+/=._@-]")


class Envelope(Record):
    """The member `ksecret` of a sealed Secret."""

    sealed_for: str
    created: str
    """When the DEK was made: UTC, seconds, RFC 3339 with `Z`."""
    groups: tuple[dict[str, str], ...]
    """For each group of keys, one where there are none, KeyRef → standard base64 of the DEK, or share, under it."""
    threshold: int
    """How many groups have to be opened; 1 where there are none."""
    seal: str

    @property
    def sealed_keys(self) -> SealedKeys:
        """Return what of the keys the seal is over."""
        return self.groups, self.threshold


class UncheckedEnvelope(Record):
    """An envelope as it stands, with its places; nothing of it is checked."""

    sealed_for: str
    created: str
    keys: dict[tuple[int, str], Scalar]
    """Number of the group, from 1, 0 where there are none, and KeyRef → the scalar that holds the wrapped DEK."""
    threshold: str
    """Empty where there are no groups."""
    seal: Scalar
    mapping: Mapping


def member_of(secret: Secret) -> Member | None:
    """Return the member that is the Secret's envelope, good or not."""
    return nodes.member(secret.root, ENVELOPE)


def unchecked(secret: Secret) -> UncheckedEnvelope | None:
    """Return the Secret's envelope as it stands; None where it has none, or one that is not of this form."""
    member = member_of(secret)
    mapping = member.value if member else None
    if not isinstance(mapping, Mapping):
        return None
    found = {key.value: value for key, value in mapping.members if isinstance(key, Scalar)}
    sealed_for, created, seal = found.get("sealedFor"), found.get("created"), found.get("seal")
    wrapped = _unchecked_keys(found)
    if (
        wrapped is not None
        and isinstance(sealed_for, Scalar)
        and isinstance(created, Scalar)
        and isinstance(seal, Scalar)
    ):
        threshold = found.get("threshold")
        needed = threshold.value if isinstance(threshold, Scalar) else ""
        return UncheckedEnvelope(sealed_for.value, created.value, wrapped, needed, seal, mapping)
    return None


def _unchecked_keys(found: dict[str, Node]) -> dict[tuple[int, str], Scalar] | None:
    """Return the scalars that hold wrapped DEKs, or shares; None where there are other members than there should be."""
    keys, groups = found.get("keys"), found.get("groups")
    if set(found) == _MEMBERS and isinstance(keys, Mapping):
        numbered = {0: keys}
    elif set(found) == _OF_GROUPS and isinstance(groups, Sequence) and isinstance(found.get("threshold"), Scalar):
        numbered = {number: item for number, item in enumerate(groups.items, 1) if isinstance(item, Mapping)}
    else:
        return None
    return {
        (number, key.value): value
        for number, group in numbered.items()
        for key, value in group.members
        if isinstance(key, Scalar) and isinstance(value, Scalar)
    }


def read(member: Member) -> Envelope:
    """Return the envelope in a Secret's member `ksecret`, its members in any order and style.

    Raises InputError for a version that this program does not know, AlteredError for one that lacks something.
    """
    found = _read(member)
    for group in found.groups:
        _stated(group, member.key.line)
    return found


def _read(member: Member) -> Envelope:
    """Return the same, its KeyRefs not checked."""
    line = member.key.line
    texts = _texts(member)
    version = texts.pop("version", None)
    if version != VERSION:
        raise InputError(
            "the envelope's version is not one that this ksecret can read", hint="upgrade ksecret", line=line
        )
    groups, threshold = _groups(texts, line)
    sealed_for, created, seal = texts.pop("sealedFor", None), texts.pop("created", None), texts.pop("seal", None)
    if "conflict" in texts:
        hint = "ksecret keys sync, or ksecret git resolve --both-keys; or as the comment above `conflict:` says"
        from secretsvc.tokens import UNMERGED

        raise AlteredError(f"{UNMERGED}: the envelope has two versions", hint=hint, line=line)
    if texts or not (
        groups and all(groups) and isinstance(sealed_for, str) and isinstance(created, str) and isinstance(seal, str)
    ):
        raise AlteredError(
            "the envelope lacks a member, or has one too many", hint="restore the file from Git", line=line
        )
    return Envelope(sealed_for, created, groups, threshold, seal)


def _groups(texts: dict[str, _Member], line: int) -> tuple[tuple[dict[str, str], ...], int]:
    """Take the groups of keys out of an envelope's members, `keys` as the only one, and their threshold.

    Raises AlteredError for a division that no envelope has.
    """
    keys, groups = texts.get("keys"), texts.get("groups")
    if isinstance(keys, dict) and groups is None and "threshold" not in texts:
        del texts["keys"]
        return (keys,), 1
    if not isinstance(groups, list) or keys is not None:
        return (), 1
    stated, count = texts.pop("threshold", None), len(texts.pop("groups"))
    from secretsvc.keyref import MOST_GROUPS, MOST_KEYS

    if count > MOST_GROUPS or stated not in [str(number) for number in range(2, count + 1)]:
        what = f"no envelope has {count} groups of keys with such a threshold"
        raise AlteredError(what, hint="restore the file from Git", line=line)
    if sum(map(len, groups)) > MOST_KEYS:
        what = f"the envelope has more than {MOST_KEYS} keys"
        raise AlteredError(what, hint="restore the file from Git", line=line)
    return tuple(groups), int(str(stated))


def sealed(member: Member) -> Sealed:
    """Return what an envelope says. Raises ManifestError, InputError, AlteredError."""
    from secretsvc.keyref import WrappedKey

    own, line = _read(member), member.key.line
    bound_to = context(own.sealed_for)
    keys = tuple(
        WrappedKey(ref, decoded(text), bound_to, number, text)
        for number, group in enumerate(own.groups)
        for ref, text in zip(_stated(group, line), group.values(), strict=True)
    )
    about = own.sealed_for, own.created, own.seal
    return Sealed(line, f"ksecret v{VERSION}", keys, *about, own, own.threshold)


def _stated(keys: Iterable[str], line: int) -> Keyset:
    """Return the KeyRefs, in this order. Raises AlteredError unless every text is one in its canonical spelling."""
    from secretsvc.backends import stated  # a diff shows envelopes without a look at their keys

    refs = []
    for text in keys:
        try:
            refs.append(stated(text))
        except KeyRefError as error:
            what = f"a key in the envelope is none: {error.message}"
            raise AlteredError(what, hint="restore the file from Git", line=line) from None
    return tuple(refs)


def _texts(member: Member) -> dict[str, _Member]:
    """Return the envelope's members as texts, `keys` as a dictionary of texts, `groups` as a list of those."""
    if not isinstance(member.value, Mapping):
        raise AlteredError("the envelope is not a mapping", hint="restore the file from Git", line=member.key.line)
    found: dict[str, _Member] = {}
    for key, value in member.value.members:
        name = _text(key)
        if isinstance(value, Mapping) and name == "keys":
            found[name] = _wrapped(value)
        elif isinstance(value, Sequence) and name == "groups":
            found[name] = [_wrapped(group) for group in value.items]
        else:
            found[name] = _text(value)
    return found


def _wrapped(node: Node) -> dict[str, str]:
    """Return KeyRef → wrapped DEK, or share, as texts."""
    from secretsvc.keyref import MOST_KEYS

    if not isinstance(node, Mapping):
        what = "a group of keys in the envelope is none"
        raise AlteredError(what, hint="restore the file from Git", line=getattr(node, "line", 0))
    if len(node.members) > MOST_KEYS:
        message = f"the envelope has more than {MOST_KEYS} keys"
        raise AlteredError(message, hint="restore the file from Git", line=node.line)
    return {_text(ref): _text(wrapped) for ref, wrapped in node.members}


def _text(node: object) -> str:
    if not isinstance(node, Scalar) or node.tag or node.anchor:
        raise ManifestError(
            "an envelope is made of plain texts, without aliases, anchors and tags",
            hint="restore the file from Git",
            line=getattr(node, "line", 0),
        )
    return node.value


def encoded(key: WrappedKey) -> str:
    """A wrapped DEK as an envelope has it: base64; as it stood, where it stood in the file."""
    return key.source or encode_base64(key.wrapped)


def texts_of(keys: Iterable[WrappedKey], count: int) -> tuple[dict[str, str], ...]:
    """Return KeyRef → wrapped DEK, or share, for each of `count` groups of keys, as an envelope has them."""
    groups: tuple[dict[str, str], ...] = tuple({} for _ in range(count))
    for key in keys:
        groups[key.group][str(key.ref)] = encoded(key)
    return groups


def made(sealed_for: str, created: str, keys: Collection[WrappedKey], threshold: int) -> Envelope:
    """Return a new envelope, without a seal yet."""
    count = 1 + max(key.group for key in keys)
    return Envelope(sealed_for, created, texts_of(keys, count), threshold, "")


def render(envelope: Envelope, layout: Layout, *, is_json: bool = False) -> str:
    """Return the member's text in the style of its surroundings, lines joined by the layout's line break.

    The first line comes without indentation, the last without a line break. A KeyRef that is too long for a simple key
    of YAML is written as an explicit one, `? KEYREF` and `: TEXT`, which JSON has not and needs not.
    """
    if layout.flow:
        return _render_flow(envelope, layout, is_json=is_json)
    step, deep = layout.indent + layout.unit, layout.indent + layout.unit * 2
    lines = [
        f"{ENVELOPE}:",
        f"{step}version: {VERSION}",
        f"{step}sealedFor: {canonical(envelope.sealed_for, flow=False)}",
        f"{step}created: {quoted(envelope.created)}",
        *(_group_lines(envelope, step, deep) if envelope.threshold > 1 else _key_lines(envelope, step, deep)),
        f"{step}seal: {envelope.seal}",
    ]
    return layout.newline.join(lines)


def _key_lines(envelope: Envelope, step: str, deep: str) -> list[str]:
    return [f"{step}keys:", *(f"{deep}{line}" for line in _member_lines(envelope.groups[0]))]


def _group_lines(envelope: Envelope, step: str, deep: str) -> list[str]:
    lines = [f"{step}threshold: {envelope.threshold}", f"{step}groups:"]
    for group in envelope.groups:
        first, *others = _member_lines(group)
        lines += [f"{deep}- {first}", *(f"{deep}  {other}" for other in others)]
    return lines


def _member_lines(group: dict[str, str]) -> Iterator[str]:
    for ref, text in _sorted(group):
        if _is_long(ref):
            yield from (f"? {_key(ref)}", f": {text}")
        else:
            yield f"{_key(ref)}: {text}"


def _sorted(group: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(group.items(), key=lambda item: item[0].encode())


def _is_long(ref: str) -> bool:
    """Tell whether it is too long for a simple key of YAML."""
    from secretsvc.keyref import MAX_LENGTH

    return len(ref) > MAX_LENGTH


def _key(ref: str) -> str:
    return ref if _PLAIN_KEYREF.fullmatch(ref) and ": " not in ref else quoted(ref)


def _render_flow(envelope: Envelope, layout: Layout, *, is_json: bool) -> str:
    colon = layout.colon
    deep = layout.indent + layout.unit * 2

    def key(ref: str) -> str:
        return f"? {quoted(ref)} : " if _is_long(ref) and not is_json else f"{quoted(ref)}{colon}"

    def keys(group: dict[str, str], indent: str) -> str:
        return _braced([f"{key(ref)}{quoted(text)}" for ref, text in _sorted(group)], layout, indent)

    if envelope.threshold > 1:
        groups = [keys(group, deep + layout.unit) for group in envelope.groups]
        listed = [
            f'"threshold"{colon}{envelope.threshold}',
            f'"groups"{colon}{_braced(groups, layout, deep, ("[", "]"))}',
        ]
    else:
        listed = [f'"keys"{colon}{keys(envelope.groups[0], deep)}']
    members = [
        f'"version"{colon}{VERSION}',
        f'"sealedFor"{colon}{quoted(envelope.sealed_for)}',
        f'"created"{colon}{quoted(envelope.created)}',
        *listed,
        f'"seal"{colon}{quoted(envelope.seal)}',
    ]
    return f'"{ENVELOPE}"{colon}{_braced(members, layout, layout.indent + layout.unit)}'


def _braced(members: list[str], layout: Layout, indent: str, brackets: tuple[str, str] = ("{", "}")) -> str:
    opening, closing = brackets
    if not layout.newline:
        return opening + ("," + layout.colon[1:]).join(members) + closing
    start = layout.newline + indent
    return opening + start + ("," + start).join(members) + layout.newline + indent[: -len(layout.unit)] + closing


def is_token(value: str) -> bool:
    """Tell whether it begins as a token does."""
    return value.startswith(TOKEN_PREFIX)


def bind(secret: Secret, scope: str) -> str:
    """`sealedFor` for that scope: `strict`, `namespace` or `any`. Raises ManifestError where the manifest lacks it."""
    if scope == "any":
        return "*/*"
    if scope == "namespace":
        if not secret.namespace:
            raise ManifestError(
                f"{secret.label} states no namespace to be bound to",
                hint="add one, or use --scope any",
                line=secret.line,
            )
        return f"{secret.namespace}/*"
    if not secret.name:
        raise ManifestError(
            "a Secret without metadata.name can't be bound to its name",
            hint="name it, or use --scope namespace or --scope any (generateName needs one of them)",
            line=secret.line,
        )
    return f"{secret.namespace}/{secret.name}" if secret.namespace else secret.name


def scope_of(sealed_for: str) -> str:
    """Return the scope that a `sealedFor` states."""
    if sealed_for == "*/*":
        return "any"
    return "namespace" if sealed_for.endswith("/*") else "strict"


def check_bound(sealed_for: str, secret: Secret) -> None:
    """Raises AlteredError unless the Secret is one that `sealedFor` names."""
    namespace, name = _bound_to(sealed_for)
    if sealed_for == "*/*" or (namespace == (secret.namespace or "") and name in ("*", secret.name or "")):
        return
    raise AlteredError(
        f"{secret.label} was sealed for {sealed_for}: it was moved or renamed",
        hint="if that was meant: ksecret rename seals it for its new name",
        line=secret.line,
    )


def context(sealed_for: str) -> dict[str, str]:
    """Return the encryption context for backends that authenticate one with the wrapped DEK."""
    namespace, name = _bound_to(sealed_for)
    stated = {"ksecret-namespace": namespace, "ksecret-name": name}
    return {key: value for key, value in stated.items() if value not in ("", "*")}


def _bound_to(sealed_for: str) -> tuple[str, str]:
    namespace, slash, name = sealed_for.rpartition("/")
    return (namespace, name) if slash else ("", sealed_for)
