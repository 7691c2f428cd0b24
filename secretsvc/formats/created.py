"""The time when a DEK was made, as envelopes tell it: UTC, RFC 3339, whole seconds, `2026-11-23T03:10:20Z`.

`time.strptime` would read it, too, and takes longer to import than an envelope takes to read.
"""

from __future__ import annotations

_FORM = "0000-00-00T00:00:00Z"
_AS_ZERO = str.maketrans("123456789", "000000000")
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BEFORE_1970 = 719162
"""Days from 0001-01-01 on, in the Gregorian calendar."""


def seconds(text: str) -> int:
    """Return the time in seconds since 1970. Raises ValueError for a text that is none in this form."""
    if text.translate(_AS_ZERO) != _FORM:
        raise ValueError("not a time of that form")
    year, month, day, hour, minute, second = (int(text[at : at + (2 if at else 4)]) for at in (0, 5, 8, 11, 14, 17))
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (0, *(length + (is_leap and number == 2) for number, length in enumerate(_MONTHS, 1)))
    if not (year and 1 <= month <= 12 and 1 <= day <= days[month] and hour < 24 and minute < 60 and second < 60):
        raise ValueError("no such time")
    before = year - 1
    whole = before * 365 + before // 4 - before // 100 + before // 400 + sum(days[:month]) + day - 1 - _BEFORE_1970
    return whole * 86400 + hour * 3600 + minute * 60 + second
