"""Regular expressions that are compiled when they are first used: `re` takes a command longer to import than to read
its file, and most never need it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern
    from typing import Any, AnyStr


def pattern(text: AnyStr, flags: int = 0) -> Pattern[AnyStr]:
    """Return what `re.compile` gives, as soon as one of its methods is asked for. A mistake in it shows only then."""
    return _Pattern(text, flags)  # type: ignore[return-value]


class _Pattern:
    """Stands for a pattern, and has its methods once they were used."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._source = (text, flags)

    def __getattr__(self, name: str) -> Any:
        from re import compile as compiled

        text, flags = self._source
        method = getattr(compiled(text, flags), name)
        setattr(self, name, method)
        return method
