"""The shapes of kubesec's tokens, MACs and lines, against the regular expressions that they are specified by."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from secretsvc.formats.kubesec import envelope

MAC = r"[A-Za-z0-9+/]{16}\.[A-Za-z0-9+/]{22}=="
TOKEN = rf"(?:[A-Za-z0-9+/]+={{0,2}}\.)?{MAC}"
LINES = r"(?m)^# kubesec:[^\n]*"

pieces = st.sampled_from(["A" * 16, "A" * 22, "==", "=", ".", "\n", "é", "a+/", "-", "A" * 64, ""])
nearly = st.lists(pieces, max_size=8).map("".join)
tokens = st.from_regex(TOKEN, fullmatch=True)
lines = st.lists(st.sampled_from(["# kubesec:", "# kubesec:v:3", "\n", "\r", " ", "\n# kubesec:", "x", ""])).map(
    "".join
)


@given(nearly | tokens | st.builds(str.__add__, tokens, pieces) | st.builds(str.__add__, pieces, tokens))
def test_a_token_is_what_has_its_shape(text: str) -> None:
    assert envelope.is_token(text) == (re.fullmatch(TOKEN, text.rstrip("\n")) is not None)
    assert envelope.is_mac(text) == (re.fullmatch(MAC, text) is not None)


@given(lines)
def test_the_lines_that_count_are_those_that_begin_so(text: str) -> None:
    assert list(envelope._lines(text)) == [found.span() for found in re.finditer(LINES, text)]
