"""What operations give."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretsvc.manifest.model import Entry
    from secretsvc.operations.open import AnyOpened


class Result(NamedTuple):
    """`data`: the manifest's bytes, or a value's; `secrets`: how many Secrets the operation was about."""

    data: bytes
    secrets: int
    bound: bool = True
    """Whether what was opened is bound to its name and namespace; files in kubesec's format are not."""

    def __repr__(self) -> str:
        return f"Result({self.secrets} Secrets, masked)"


class Sealing(NamedTuple):
    """What sealing made, and which values it knows of, each Secret by its index."""

    result: Result
    entries: Sequence[tuple[int, Entry]]
    """Those that are sealed now."""
    given: Sequence[tuple[int, Entry]]
    """Those of them that came in the clear."""
    held: Sequence[tuple[int, AnyOpened]]
    """The Secrets that were opened for it."""
    prove: Callable[[], None]
    """Opens the result and compares it with what came in; raises ManifestError. It reads the result: a second tree."""

    def __repr__(self) -> str:
        return f"Sealing({self.result!r}, masked)"
