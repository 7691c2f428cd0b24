"""The seam of formats: what one is to the rest of the program."""

from __future__ import annotations

from secretsvc.errors import AlteredError, KsecretError, ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import canonical, replaced
from secretsvc.manifest.splice import apply
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import Any, Protocol, TypeAlias

    from secretsvc.formats.merge import EnvelopeLines, MergedEnvelope, Side
    from secretsvc.keyref import Keyset, WrappedKey
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.manifest.nodes import Member
    from secretsvc.manifest.splice import Edit

    Flaw: TypeAlias = tuple[int, str, str]
    """Line, code (KS006 and so on) and message: a finding without its file."""
    Trust: TypeAlias = Callable[["Unproven"], bool]
    """Asked whether a file is to be taken for what it says, where its proof is missing or does not fit."""
    Mark: TypeAlias = Callable[[str, str], str]
    """What a text is (`sealed`, `wrapped`, `mac`) and the text → what stands for it where people look."""
else:
    Protocol = object

Place = tuple[str, str]
"""(field, key) of an entry."""


class Sealed(Record):
    """An envelope, as a file has it for one Secret: nothing of it is proven."""

    line: int
    """Of the envelope."""
    version: str
    """As people are told: `ksecret v1`."""
    keys: tuple[WrappedKey, ...]
    sealed_for: str
    """The identity that it is bound to; empty where the format binds to none."""
    created: str
    """When the DEK was made: UTC, RFC 3339, seconds; empty where the format does not tell."""
    proof: str
    """What only a holder of the DEK can make: a seal, a MAC; empty where there is none."""
    own: Any
    """What else the format keeps of its envelope."""
    threshold: int = 1
    """How many groups of keys have to be opened; each of `keys` says which its share of the DEK is."""

    @property
    def refs(self) -> Keyset:
        """Return the keyset."""
        from secretsvc.keyref import KeyGroups, keyset

        if self.threshold > 1:
            return KeyGroups(([key.ref for key in group] for group in self.groups), self.threshold)
        return keyset(key.ref for key in self.keys)

    @property
    def groups(self) -> tuple[tuple[WrappedKey, ...], ...]:
        """Return the wrapped shares of each group of keys; all wrapped DEKs as one where there are no groups."""
        count = 1 + max(key.group for key in self.keys) if self.threshold > 1 else 1
        return tuple(tuple(key for key in self.keys if key.group == number) for number in range(count))

    def __repr__(self) -> str:
        return f"Sealed({self.version}, masked)"


class Unproven(Record):
    """A file whose MAC proves nothing: what somebody would have to vouch for."""

    label: str
    why: str
    keys: tuple[str, ...]
    """KeyRefs, which every later DEK would be wrapped under too."""
    entries: tuple[str, ...]


class Opened(Record):
    """One Secret opened."""

    format: Format
    sealed: Sealed
    dek: bytes
    values: Mapping[Place, Any]
    """What the format makes of each value; two that are the same are equal."""
    tokens: Mapping[Place, str]
    proven: bool = True
    """False where somebody vouched for what its proof does not fit."""

    @property
    def refs(self) -> Keyset:
        """Return the keyset."""
        return self.sealed.refs

    @property
    def texts(self) -> dict[Place, str]:
        """Return the text of every value, as it stood in the manifest."""
        return {place: self.format.text(value) for place, value in self.values.items()}

    def __repr__(self) -> str:
        return "Opened(masked)"


class Plan(Record):
    """A plan for sealing one Secret."""

    dek: bytes
    keys: tuple[WrappedKey, ...]
    """Those that stay first, in their order."""
    sealed_for: str
    created: str
    """When the DEK was made."""
    before: Opened | None
    """What of it is sealed already and stays as it is."""
    known: Opened | None
    """Whose tokens and proof serve again where the value is the same: a former self or a parent, of the same DEK."""
    threshold: int = 1
    """How many groups of keys have to be opened."""

    def kept(self, place: Place, value: Any) -> str:
        """Return the token that serves again for that value there; empty where a new one is to be made."""
        return self.known.tokens[place] if self.known and self.known.values.get(place) == value else ""

    def __repr__(self) -> str:
        return "Plan(masked)"


class Made(Record):
    """The result of sealing one Secret."""

    edits: list[Edit]
    own: Any
    """What `read` is to give as `own`, once the edits are made."""

    def __repr__(self) -> str:
        return f"Made({len(self.edits)} edits, masked)"


class Examined(Record):
    """Facts of an envelope, good or not, that need no key."""

    line: int
    is_token: Callable[[str], bool]
    """Whether a value counts as sealed there."""
    flaws: tuple[Flaw, ...]
    keys: tuple[tuple[str, ...], ...] = ()
    """The KeyRefs of each group of keys, one where there are none; empty where they are not known."""
    threshold: int = 1
    created: int = 0
    """When the DEK was made, in seconds since 1970; 0 where it is not known."""


class Format:
    """A way to seal Secrets: facts about it, and verbs. Importing its module imports no cryptography."""

    name: str
    """As `--format` and policies have it."""

    label: str
    """As messages name it: `ksecret's format`."""

    binds: bool = False
    """Whether a sealed Secret opens under the namespace and the name only that it was sealed for."""

    proves_values: bool = False
    """Whether its proof (a MAC) is over the values: each change makes a new one, and one that fits tells them."""

    signed: bool = False
    """Whether what PGP keys wrap is signed, and a good signature demanded of it."""

    has_groups: bool = False
    """Whether a DEK may be split among groups of keys."""

    default_key: str = ""
    """What is sealed to where nobody names a key, as a person writes it; empty for the user's own age identity."""

    whole_file: bool = False
    """Whether a file holds one Secret in this format, and nothing else."""

    member: str = ""
    """The member of a Secret that is its envelope; empty where it is none."""

    comments: str = ""
    """How the comment lines start that are its envelope; empty where none are."""

    encoded: str = ""
    """How the base64 of a token starts, where that tells it; empty where it does not."""

    def envelope(self, secret: Secret) -> Member | None:
        """Return the member of the Secret that is its envelope, good or not, as far as it has one."""
        return nodes.member(secret.root, self.member) if self.member else None

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        """Tell whether the Secret has an envelope of this format, good or not. A whole file's marker tells of one."""
        from secretsvc import formats

        return formats.of(manifest) is self

    def check_owner(self, manifest: Manifest) -> None:
        """Refuse a manifest that has an envelope, and not the Secret that it would belong to. Raises ManifestError."""

    def is_token(self, value: str) -> bool:
        """Tell whether a value counts as sealed when it is opened."""
        raise NotImplementedError

    def is_whole(self, value: str) -> bool:
        """Tell whether a value has the shape of a token from its first to its last character."""
        return self.is_token(value)

    def tokens(self, secret: Secret) -> dict[Place, str]:
        """Return the Secret's tokens; entries that are none are left out."""
        return {entry.place: token_of(entry) for entry in secret.entries if self.is_token(entry.value)}

    def read(self, manifest: Manifest, secret: Secret) -> Sealed:
        """Return the envelope of a Secret that is sealed.

        Raises ManifestError, InputError, AlteredError, with a line.
        """
        raise NotImplementedError

    def examine(self, manifest: Manifest, secret: Secret) -> Examined:
        """Return what is wrong with a sealed Secret, whatever its key. Raises nothing."""
        try:
            sealed = self.read(manifest, secret)
        except KsecretError as error:
            line = error.line or secret.line
            return Examined(line, self.is_token, ((line, "KS006", error.message),))
        return Examined(sealed.line, self.is_token, (), (tuple(str(key.ref) for key in sealed.keys),))

    def bind(self, secret: Secret, scope: str, before: Sealed | None) -> str:
        """Return what the Secret is to be bound to, its `sealed_for`.

        Without a scope, it is in that of `before`, else strictly. Raises ManifestError where a name lacks.
        """
        return ""

    def context(self, sealed_for: str) -> Mapping[str, str]:
        """Return what KEKs' homes authenticate with a DEK that is bound to that."""
        return {}

    def check_bound(self, secret: Secret, sealed: Sealed) -> None:
        """Refuse a Secret that was moved or renamed. Raises AlteredError."""

    def check_provable(self, sealed: Sealed) -> None:
        """Refuse what no key could prove, unless somebody vouches for it. Raises AlteredError."""

    def check_shape(self, manifest: Manifest) -> None:
        """Refuse a manifest in the clear that could not be read any more once it is sealed. Raises ManifestError."""

    def check_values(self, secret: Secret) -> None:
        """Refuse values in the clear, which are all that the Secret has, that can't be sealed. Raises ManifestError."""

    def check_keys(self, refs: Keyset) -> None:
        """Refuse keys that the format has no room for. Raises KeyRefError."""

    def seals_empty(self, manifest: Manifest) -> bool:
        """Tell whether a Secret without values gets an envelope all the same."""
        return False

    def least_bytes(self, entry: Entry) -> int:
        """Return how many bytes a token stands for at least, as far as it tells."""
        return 0

    def is_retyped(self, opened: Opened, secret: Secret) -> bool:
        """Tell whether the Secret has another type than the one that its proof covers."""
        return False

    def new_dek(self) -> bytes:
        """Return a new DEK: 32 bytes from the operating system's random numbers."""
        from os import urandom

        return urandom(32)

    def is_dek(self, secret: Secret, sealed: Sealed, dek: bytes) -> bool:
        """Tell whether a DEK may be the Secret's, where it was joined of shares and one of them may be broken."""
        return True

    def open(self, secret: Secret, sealed: Sealed, dek: bytes, *, trust: Trust | None, retyped: bool) -> Opened:
        """Return what its tokens hold, all of it checked before any value is used.

        Entries that are no tokens are passed over.

        `trust`: asked where a proof does not fit. `retyped`: pass over another type than the one it was sealed for.
        Raises AlteredError, with a line.
        """
        raise NotImplementedError

    def text(self, value: Any) -> str:
        """A value's text, as it stood in the manifest."""
        return str(value)

    def blank_lines(self, value: Any) -> str:
        """Return the line breaks that stood behind a value, are no part of it, and that its token stands for too."""
        return ""

    def seal(self, manifest: Manifest, secret: Secret, plan: Plan) -> Made:
        """Tokens and envelope in their places. Raises ManifestError."""
        raise NotImplementedError

    def restored(self, manifest: Manifest, opened: Mapping[int, Opened]) -> Manifest:
        """Return the manifest with these Secrets, by index, in the clear, read again.

        Of the sealed one, an outline will do.

        The values come plain or double-quoted. Raises AlteredError where the result would not hold exactly them.
        """
        edits, expected = [], []
        for index, secret in enumerate(manifest.secrets):
            texts = opened[index].texts if index in opened else {}
            for entry in secret.entries:
                text = texts.get(entry.place)
                if text is not None:
                    edits.append(replaced(manifest.text, entry, canonical(text, flow=entry.flow)))
            edits += self.removed(manifest.text, secret) if index in opened else []
            expected.append(_values(secret) | texts)
        clear = read(manifest.encoded(apply(manifest.text, edits)))
        still = any(self.is_sealed(clear, clear.secrets[index]) for index in opened if index < len(clear.secrets))
        if still or list(map(_values, clear.secrets)) != expected:
            what = "the values can't be written back where the tokens stand"
            raise AlteredError(what, hint="restore the file from Git")
        return clear

    def prove(
        self,
        sealed: Manifest,
        opened: Mapping[int, Opened],
        clear: Manifest,
        before: Mapping[int, Opened],
        changed: Collection[int],
    ) -> None:
        """Refuse a sealed manifest that would not give back what came in: `clear`, where `before` is sealed already.

        `opened`: the Secrets that were sealed, opened again; `changed`: their indexes. Outlines will do.
        Raises ManifestError.
        """
        for index in changed:
            secret, now = clear.secrets[index], sealed.secrets[index]
            texts = _values(secret)
            texts |= before[index].texts if index in before else {}
            same = (now.namespace, now.name, now.type) == (secret.namespace, secret.name, secret.type)
            if not same or opened[index].texts != texts:
                raise ManifestError(
                    f"the manifest would not hold the same values once sealed in {self.label}",
                    hint="simplify the layout around its Secret, or use --format ksecret",
                    line=secret.line,
                )

    def with_keys(self, own: Any, keys: Sequence[WrappedKey]) -> Any:
        """Return what `read` gives as `own`, with these wrapped DEKs, or shares, of the same keys in it."""
        raise NotImplementedError

    def put(self, manifest: Manifest, secret: Secret, own: Any) -> list[Edit]:
        """Return the edits that put an envelope in the place of the Secret's own, or where one goes."""
        raise NotImplementedError

    def removed(self, text: str, secret: Secret) -> list[Edit]:
        """Return the edits that take the envelope away. An outline will do."""
        raise NotImplementedError

    def shortened(self, secret: Secret, mark: Mark, name: Callable[[str], str]) -> Iterator[Edit]:
        """Edits that put marks in place of what no diff needs of the envelope. `name`: KeyRef → what it is called."""
        yield from ()

    def swept(self, text: str, mark: Mark) -> str:
        """A text, which may be no manifest, with marks in place of what else of the format stands in it."""
        return text

    def without_lines(self, text: str) -> str:
        """Return what stands between the members of a manifest, without the envelope's lines."""
        import re

        return re.sub(f"(?m)^{re.escape(self.comments)}[^\n]*", "", text) if self.comments else text

    def lost(self, path: str, text: str) -> tuple[str, str] | None:
        """Tell what is wrong with sealed text of this format that nothing opens where it stands, and what to do."""
        return None

    def merges(self) -> Merges | None:
        """Return how three versions are merged entry by entry; None where their lines alone can be."""
        return None


def _values(secret: Secret) -> dict[Place, str]:
    return {entry.place: entry.value for entry in secret.entries}


class Merges(Protocol):
    """Optional for a format: a way to merge three versions of a file entry by entry, without a key."""

    def lines(self, manifest: Manifest, secret: Secret) -> EnvelopeLines:
        """Return the Secret's envelope.

        Raises UnmergeableError for one that is not of lines of its own, or not complete.
        """
        ...

    def home(self, sides: Sequence[EnvelopeLines]) -> Side | None:
        """Return the side with the data key of the merged Secret, where the two have different ones.

        Raises UnmergeableError where no side can be taken.
        """
        ...

    def envelope(
        self, sides: Sequence[EnvelopeLines], home: Side | None, values: Mapping[Place, str] | None, name: str
    ) -> MergedEnvelope:
        """Return the merged envelope. `values`: the merged tokens, None where they are in conflict; `name`: the file's.

        Raises UnmergeableError.
        """
        ...

    def mixes_data_keys(self, origins: Sequence[Secret], merged: Secret) -> bool:
        """Tell whether the merged Secret has a token of another data key than its envelope's, as far as texts tell."""
        ...

    def second(self, secret: Secret) -> Member | None:
        """Return the member in which a merge kept the other side's envelope, as a text."""
        ...

    def read_second(self, text: str, line: int) -> Sealed:
        """Return what that text says. Raises ManifestError, InputError, AlteredError."""
        ...

    def joined(self, opened: Opened, other: Sealed, secret: Secret) -> Opened:
        """Return what was opened, with the keys of the other side's envelope, which a merge kept, too.

        Raises AlteredError unless the DEK itself vouches for that envelope: nobody else's may get into the keyset.
        """
        ...

    def without_note(self, text: str) -> str:
        """Return the text without the comment that says that a proof is to be made anew.

        It is the same text where there is none.
        """
        ...


def token_of(entry: Entry) -> str:
    """Return what stands there, without the line break that a block scalar adds to it, or that a formatter left."""
    return entry.value.rstrip("\n")


def decoded(text: str) -> bytes:
    """Return the bytes of standard base64; none for what is no base64."""
    from binascii import a2b_base64

    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        return b""
