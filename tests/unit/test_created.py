"""When a DEK was made, as envelopes tell it."""

from __future__ import annotations

import calendar
import time
from random import Random

import pytest

from secretsvc.formats import created

FORM = "%Y-%m-%dT%H:%M:%SZ"
EDGES = (
    *("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1900-02-28T00:00:00Z"),
    *("2000-02-29T12:00:00Z", "2024-12-31T23:59:59Z", "2100-03-01T00:00:00Z", "9999-12-31T23:59:59Z"),
)


def test_a_time_is_what_the_standard_library_takes_it_for() -> None:
    random = Random(3)
    drawn = [time.strftime(FORM, time.gmtime(random.randrange(-(2**33), 2**37))) for _ in range(2000)]
    for text in (*EDGES, *(text for text in drawn if len(text) == len(EDGES[0]))):
        assert created.seconds(text) == calendar.timegm(time.strptime(text, FORM)), text


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-23", "2026-11-23T03:10:20", "2026-11-23 03:10:20Z", "2026-11-23T03:10:20z"),
        *("2026-11-23T03:10:20.5Z", "2026-11-23T03:10:20+00:00", "2026-1-23T03:10:200Z", "２026-11-23T03:10:20Z"),
        *("0000-01-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z", "2026-01-00T00:00:00Z"),
        *("2026-04-31T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-01-01T24:00:00Z"),
        *("2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z"),
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time of that form|no such time"):
        created.seconds(text)
