"""What a format is to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry, Manifest, Secret


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

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        """Whether the Secret has an envelope of this format, good or not."""
        ...

    def is_token(self, entry: Entry) -> bool:
        """Whether what stands there counts as sealed when it is opened."""
        ...
