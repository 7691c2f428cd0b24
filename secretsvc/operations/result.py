"""What operations give."""

from __future__ import annotations

from typing import NamedTuple


class Result(NamedTuple):
    """`data`: the manifest's bytes, or a value's; `secrets`: how many Secrets the operation was about."""

    data: bytes
    secrets: int
    bound: bool = True
    """Whether what was opened is bound to its name and namespace; files in kubesec's format are not."""

    def __repr__(self) -> str:
        return f"Result({self.secrets} Secrets, masked)"
