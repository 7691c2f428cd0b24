"""What a format is to the rest of the program."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from secretsvc.formats.merge import Merges
    from secretsvc.keyref import Keyset, WrappedKey
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.manifest.splice import Edit

    Flaw: TypeAlias = tuple[int, str, str]
    """Line, code (KS006 and so on) and message: a finding without its file."""
    Mark: TypeAlias = Callable[[str, str], str]
    """What a text is (`sealed`, `wrapped`, `mac`) and the text → what stands for it where people look."""

Place = tuple[str, str]
"""(field, key) of an entry."""


class Sealed(NamedTuple):
    """How one Secret is sealed, as its file says: nothing of it is proven."""

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

    @property
    def refs(self) -> Keyset:
        """The keyset."""
        from secretsvc.keyref import keyset

        return keyset(key.ref for key in self.keys)

    def __repr__(self) -> str:
        return f"Sealed({self.version}, masked)"


class Examined(NamedTuple):
    """What can be told of an envelope, good or not, without a key."""

    line: int
    is_token: Callable[[str], bool]
    """Whether a value counts as sealed there."""
    flaws: tuple[Flaw, ...]
    keys: tuple[str, ...] = ()
    """KeyRefs; none where they are not known."""
    created: int = 0
    """When the DEK was made, in seconds since 1970; 0 where it is not known."""


class Format(Protocol):
    """A way to seal Secrets: facts about it, and verbs. Importing its module imports no cryptography."""

    name: str
    """As `--format` and policies have it."""

    label: str
    """As messages name it: `kubesec's format`."""

    binds: bool
    """Whether a sealed Secret opens under the namespace and the name only that it was sealed for."""

    proves_values: bool
    """Whether its proof (a MAC) is over the values: each change makes a new one, and one that fits tells them."""

    signed: bool
    """Whether what PGP keys wrap is signed, and a good signature demanded of it."""

    default_key: str
    """What is sealed to where nobody names a key, as a person writes it; empty for the user's own age identity."""

    member: str
    """The member of a Secret that is its envelope; empty where it is none."""

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        """Whether the Secret has an envelope of this format, good or not."""
        ...

    def is_token(self, value: str) -> bool:
        """Whether a value counts as sealed when it is opened."""
        ...

    def is_whole(self, value: str) -> bool:
        """Whether a value has the shape of a token from its first to its last character."""
        ...

    def read(self, manifest: Manifest, secret: Secret) -> Sealed:
        """The envelope of a Secret that is sealed. Raises ManifestError, InputError, AlteredError, with a line."""
        ...

    def examine(self, manifest: Manifest, secret: Secret) -> Examined:
        """What is wrong with a sealed Secret, whatever its key. Raises nothing."""
        ...

    def bind(self, secret: Secret, scope: str, before: Sealed | None) -> str:
        """What the Secret is to be bound to, its `sealed_for`; without a scope, in that of `before`, else strictly.

        Raises ManifestError where the manifest lacks what it takes.
        """
        return ""

    def removed(self, manifest: Manifest, secret: Secret) -> list[Edit]:
        """The edits that take the envelope away. An outline will do."""
        ...

    def shortened(self, secret: Secret, mark: Mark, name: Callable[[str], str]) -> Iterator[Edit]:
        """Edits that put marks in place of what no diff needs of the envelope. `name`: KeyRef → what it is called."""
        yield from ()

    def swept(self, text: str, mark: Mark) -> str:
        """A text, which may be no manifest, with marks in place of what else of the format stands in it."""
        return text

    def without_lines(self, text: str) -> str:
        """What stands between the members of a manifest, without the envelope's lines."""
        return text

    def merges(self) -> Merges | None:
        """How three versions are merged entry by entry; None where their lines alone can be."""
        return None


def token_of(entry: Entry) -> str:
    """What stands there, without the line break that a block scalar adds to it, or that a formatter left."""
    return entry.value.rstrip("\n")


def decoded(text: str) -> bytes:
    """The bytes of standard base64; none for what is no base64."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
