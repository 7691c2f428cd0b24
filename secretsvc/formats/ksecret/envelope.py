"""Format *ksecret v1*: the envelope as the Secret's member `ksecret`, and what it is bound to (design FORMAT)."""

from __future__ import annotations

from secretsvc.errors import AlteredError, InputError, KeyRefError, ManifestError
from secretsvc.formats.base import Sealed, decoded
from secretsvc.manifest import nodes
from secretsvc.manifest.model import encode_base64
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.manifest.scalars import canonical, quoted
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsvc.keyref import Keyset, WrappedKey
    from secretsvc.manifest.model import Secret
    from secretsvc.manifest.nodes import Member
    from secretsvc.manifest.splice import Layout

ENVELOPE = "ksecret"
"""The member of a Secret that holds its envelope."""

VERSION = "1"

TOKEN_PREFIX = "ksecret.v1."  # noqa: S105

WHOLE_TOKEN = r"ksecret\.v1\.[A-Za-z0-9+/]{122,}={0,2}"  # noqa: S105
"""The shape of a token, wherever it stands: nonce, tag and at least one block are 92 bytes (design FORMAT)."""

_MEMBERS = {"version", "sealedFor", "created", "keys", "seal"}

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
    keys: dict[str, str]
    """KeyRef → standard base64 of the DEK wrapped under it."""
    seal: str

    @property
    def refs(self) -> Keyset:
        """Return the keyset."""
        from secretsvc.backends import stated
        from secretsvc.keyref import keyset

        return keyset(stated(ref) for ref in self.keys)


class UncheckedEnvelope(Record):
    """An envelope as it stands, with its places; nothing of it is checked."""

    sealed_for: str
    created: str
    keys: dict[str, Scalar]
    """KeyRef → the scalar that holds the wrapped DEK."""
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
    keys = nodes.value(mapping, "keys")
    sealed_for, created, seal = found.get("sealedFor"), found.get("created"), found.get("seal")
    if (
        set(found) == _MEMBERS
        and isinstance(keys, Mapping)
        and isinstance(sealed_for, Scalar)
        and isinstance(created, Scalar)
        and isinstance(seal, Scalar)
    ):
        wrapped = {
            key.value: value for key, value in keys.members if isinstance(key, Scalar) and isinstance(value, Scalar)
        }
        return UncheckedEnvelope(sealed_for.value, created.value, wrapped, seal, mapping)
    return None


def read(member: Member) -> Envelope:
    """Return the envelope in a Secret's member `ksecret`, its members in any order and style.

    Raises InputError for a version that this program does not know, AlteredError for one that lacks something.
    """
    found = _read(member)
    _stated(found.keys, member.key.line)
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
    keys = texts.pop("keys", None)
    sealed_for, created, seal = texts.pop("sealedFor", None), texts.pop("created", None), texts.pop("seal", None)
    if "conflict" in texts:
        hint = "ksecret keys sync, or ksecret git resolve --both-keys; or as the comment above `conflict:` says"
        from secretsvc.tokens import UNMERGED

        raise AlteredError(f"{UNMERGED}: the envelope has two versions", hint=hint, line=line)
    if texts or not (
        isinstance(keys, dict)
        and keys
        and isinstance(sealed_for, str)
        and isinstance(created, str)
        and isinstance(seal, str)
    ):
        raise AlteredError(
            "the envelope lacks a member, or has one too many", hint="restore the file from Git", line=line
        )
    return Envelope(sealed_for, created, keys, seal)


def sealed(member: Member) -> Sealed:
    """Return what an envelope says. Raises ManifestError, InputError, AlteredError."""
    from secretsvc.keyref import WrappedKey

    own = _read(member)
    refs, bound_to = _stated(own.keys, member.key.line), context(own.sealed_for)
    texts = own.keys.values()
    keys = tuple(WrappedKey(ref, decoded(text), bound_to, 0, text) for ref, text in zip(refs, texts, strict=True))
    return Sealed(member.key.line, f"ksecret v{VERSION}", keys, own.sealed_for, own.created, own.seal, own)


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


def _texts(member: Member) -> dict[str, str | dict[str, str]]:
    """Return the envelope's members as texts, `keys` as a dictionary of texts."""
    from secretsvc.keyref import MOST_KEYS

    if not isinstance(member.value, Mapping):
        raise AlteredError("the envelope is not a mapping", hint="restore the file from Git", line=member.key.line)
    found: dict[str, str | dict[str, str]] = {}
    for key, value in member.value.members:
        if isinstance(key, Scalar) and isinstance(value, Mapping) and key.value == "keys":
            if len(value.members) > MOST_KEYS:
                message = f"the envelope has more than {MOST_KEYS} keys"
                raise AlteredError(message, hint="restore the file from Git", line=value.line)
            found["keys"] = {_text(ref): _text(wrapped) for ref, wrapped in value.members}
        else:
            found[_text(key)] = _text(value)
    return found


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


def render(envelope: Envelope, layout: Layout) -> str:
    """Return the member's text in the style of its surroundings, lines joined by the layout's line break.

    The first line comes without indentation, the last without a line break.
    """
    refs = sorted(envelope.keys, key=str.encode)
    if layout.flow:
        return _render_flow(envelope, refs, layout)
    step, deep = layout.indent + layout.unit, layout.indent + layout.unit * 2
    lines = [
        f"{ENVELOPE}:",
        f"{step}version: {VERSION}",
        f"{step}sealedFor: {canonical(envelope.sealed_for, flow=False)}",
        f"{step}created: {quoted(envelope.created)}",
        f"{step}keys:",
        *(f"{deep}{_key(ref)}: {envelope.keys[ref]}" for ref in refs),
        f"{step}seal: {envelope.seal}",
    ]
    return layout.newline.join(lines)


def _key(ref: str) -> str:
    return ref if _PLAIN_KEYREF.fullmatch(ref) and ": " not in ref else quoted(ref)


def _render_flow(envelope: Envelope, refs: list[str], layout: Layout) -> str:
    colon = layout.colon
    deep = layout.indent + layout.unit * 2
    keys = [f"{quoted(ref)}{colon}{quoted(envelope.keys[ref])}" for ref in refs]
    members = [
        f'"version"{colon}{VERSION}',
        f'"sealedFor"{colon}{quoted(envelope.sealed_for)}',
        f'"created"{colon}{quoted(envelope.created)}',
        f'"keys"{colon}{_braced(keys, layout, deep)}',
        f'"seal"{colon}{quoted(envelope.seal)}',
    ]
    return f'"{ENVELOPE}"{colon}{_braced(members, layout, layout.indent + layout.unit)}'


def _braced(members: list[str], layout: Layout, indent: str) -> str:
    if not layout.newline:
        return "{" + ("," + layout.colon[1:]).join(members) + "}"
    start = layout.newline + indent
    return "{" + start + ("," + start).join(members) + layout.newline + indent[: -len(layout.unit)] + "}"


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
