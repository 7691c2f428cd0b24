"""The plain (unquoted) YAML scalars that Kubernetes reads as strings: its rules, neither YAML 1.2's nor PyYAML's.

Source: what kubectl 1.27 to 1.33 does (design KUBECTL, section 8), which is resolve.go of goyaml.v2.
"""

from __future__ import annotations

from secretsvc.patterns import pattern

_WORDS = frozenset(
    (
        *("", "~", "null", "Null", "NULL"),
        *("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"),
        *("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"),
        *(".nan", ".NaN", ".NAN"),
        *(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")),
        "<<",  # a string as a value, but as a key it merges
    )
)
_LONGEST_WORD = max(map(len, _WORDS))
_IN_NUMBERS = "0123456789abcdefABCDEFoOxX+-._"
_NUMBER = pattern(
    r"[-+]?0[xX][0-9a-fA-F]+|[-+]?0[oO][0-7]+|[-+]?0[bB][01]+|0b[-+][01]+"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
)
_FRACTION = pattern(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")


def is_string(text: str) -> bool:
    """Tell whether Kubernetes reads this plain scalar as a string, not as a null, a boolean or a number.

    Underscores count for nothing in a number, except after a leading point, where they must part digits.
    Dates and `1:30` are strings. What overflows (17 digits after 0x, 1e400) is a string to kubectl so far, but
    its YAML library has source that makes big integers of some: here all have a number's shape and are numbers.
    A wrong True would let Kubernetes change a value silently; a wrong False asks someone for quotes.
    """
    if len(text) <= _LONGEST_WORD and text in _WORDS:
        return False
    if text.strip(_IN_NUMBERS):
        return True
    if text.isdigit():  # most numbers are
        return False
    if text[0] == ".":
        return not _FRACTION.fullmatch(text)
    if text[0] in "+-0123456789":
        return not _NUMBER.fullmatch(text.replace("_", ""))
    return True
