"""Characters that parsers of YAML disagree on."""

from __future__ import annotations

from secretsvc.errors import ManifestError

_ODD = {"\x85": "U+0085", "\u2028": "U+2028", "\u2029": "U+2029", "\ufeff": "a second BOM (U+FEFF)"}


def refuse_odd_characters(text: str) -> None:
    """Refuses what parsers disagree on: line breaks of YAML 1.1 alone, and a second BOM. Raises ManifestError."""
    for character, name in _ODD.items():
        at = text.find(character)
        if at >= 0:
            raise ManifestError(
                f"{name} in a YAML text: not every parser reads it alike",
                hint="remove it, or write it as an escape in a double-quoted value",
                line=text.count("\n", 0, at) + 1,
            )
