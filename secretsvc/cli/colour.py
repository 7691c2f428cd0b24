"""Colours for the words that people look for, on a terminal and nowhere else."""

from __future__ import annotations

import os
import sys

GOOD, WARNING, BAD = "32", "33", "31"
"""Green, yellow, red (ECMA-48, "SGR")."""


def painted(text: str, colour: str) -> str:
    """The text for standard output: in that colour on a terminal that has any.

    Not where `NO_COLOR` says anything (no-color.org), and not where `TERM` is `dumb` or missing.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb" or not sys.stdout.isatty()
    return text if plain or not colour else f"\033[{colour}m{text}\033[0m"
