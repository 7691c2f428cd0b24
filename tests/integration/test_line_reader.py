"""The line reader and libyaml make the same nodes of a text, or the line reader says that it does not know it.

Texts are spoilt until 5,000 have been taken; KSECRET_TEST_LINES=200000 is the nightly number.
"""

from __future__ import annotations

import os
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.errors import BoundError, ManifestError
from secretsvc.manifest import line_reader, nodes, yaml_reader
from secretsvc.manifest.nodes import Mapping, Scalar, Sequence
from tests.mutations import FRAGMENTS, corpus, mutated
from tests.support import DATA

if TYPE_CHECKING:
    from secretsvc.manifest.nodes import Node

TAKEN = int(os.environ.get("KSECRET_TEST_LINES", "5000"))
SHORT = 3000

LINES = r"""
a: b
a: b
b: c d
a:
a:
# c
---

text
a:  b␣␣
a: 'b'
a: "b: c #d"
a: ""
a:b: c:d
a: b#c
é: ü
中: 🔑
_a: ._+
a.b/c+d: 1
...: a
a: ...
a:: b
a: [b
a: a, b]
a: b # c
a: b# c  #d: #e
a:   # b: c
a: "b #c" # "d"
a: 'b' #c
a: 'b #c'
a: "b # c
a: ' # c'd
a: # |
a: | # c␤  x
² d: ½
|
a: |
a: |␤  x
a: |-␤   x
a: |-␤     ␤  x
a: |␤␤    x␤   y
a: |␤  x␤     ␤
a: |-␤  x␤ # c
a: |␤# c␤  x
a: |2␤   x
a: |1-␤ x␤   y␤     ␤␤
a: |3␤     ␤   x
a: |+␤  x␤␤
  a: |2+␤␤    x␤ ␤
- a
-   a: b
- a: |␤    x
a:␤- b␤- c # d
a:␤  - b: c␤    d:␤    - e␤  - "f"
a: [b]
a: [b, c:d ,  e f ]  # g
- [a, b]
- 'a: b'
-  a:␤     b: c
? a␤: b
?  a b␤# c␤:  d e␤
- ? a␤  : b
"""
ODD_LINES = r"""
---␣
--- a: b
...
... a: b
a : b
: b
a: b: c
a: b:
a: b #c
a: 'b'#c
a: 'b # c' d # e
a: 'b"' # '
a #: b
a: 'b
a: 'b' c
a: ''''
a: "\""
a: |2
a: |+
a: |+2␤  x
a: |0␤ x
a: |22␤ x
a: |2 +␤  x
a: >
a: |- # c
a: - b
- a
a: &b
a: *b
&a b: c
<<: b
? a
? a: b␤: c
? a␤:b
? a␤: b: c
? a␤: b:
? a␤: "b"
? a #b␤: c
? a␤ : b
a: !b
a: %b
%YAML 1.1
a: @b
a: [b]c
a: [b, ]
a: []
a: [b: c]
a: [b:]
a: [b, 'c']
a: [b#c, - d]
- - a
- # a
-
- |␤ a
- a␤  b
{a: b}
'a': b
"a": b
a: -
a: ~
a: =
"""


def split(lines: str) -> list[str]:
    return [line.replace("␣", " ").replace("␤", "\n") + "\n" for line in lines[1:-1].split("\n")]


KNOWN = split(LINES)
"""Most may stand in what it takes."""
ODD = [
    *split(ODD_LINES),
    *(f"{'k' * many}: a\n" for many in (1000, 1001, 1024, 1025)),
    *("a:\tb\n", "a: b\r\n", "a: b\x85", "a: b\u2028", "\ufeffa: b\n", "a: \xa0b\n", "a: \x1b\n"),
]


def seeds() -> list[bytes]:
    """Manifests that it takes as they are."""
    found = [text for text in corpus() if len(text) < SHORT]
    found += [path.read_bytes() for path in sorted((DATA / "vectors").glob("*.yaml"))]
    found = [text for text in found if line_reader.read_documents(text.decode("utf-8", "replace"))]
    assert len(found) > 20
    return found


def changed(random: Random, text: bytes, others: list[bytes]) -> bytes:
    changes = (with_a_line, with_a_line, indented, with_a_fragment, composed, mutated)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        text = random.choice(changes)(random, text, others)
    return text


def a_line(random: Random) -> bytes:
    return random.choice(random.choice((KNOWN, KNOWN, KNOWN, ODD))).encode()


def with_a_line(random: Random, text: bytes, _: list[bytes]) -> bytes:
    """One more, or in the place of one; indented as its neighbour is, or otherwise."""
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines) + 1)
    near = lines[at - 1] if at else b""
    indent = random.choice((len(near) - len(near.lstrip(b" ")), random.randrange(7)))
    lines[at : at + random.randrange(2)] = [b" " * indent + a_line(random)]
    return b"".join(lines)


def indented(random: Random, text: bytes, _: list[bytes]) -> bytes:
    """Some lines further to the right, or to the left."""
    lines = text.splitlines(keepends=True)
    start = random.randrange(len(lines) + 1)
    end, by = start + random.randint(1, 4), random.choice((-2, -1, 1, 2))
    lines[start:end] = [b" " * by + line if by > 0 else line.removeprefix(b" " * -by) for line in lines[start:end]]
    return b"".join(lines)


def with_a_fragment(random: Random, text: bytes, _: list[bytes]) -> bytes:
    """A piece of YAML, in place of a character or between two."""
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice((*FRAGMENTS, " ", " ", ":", "#")).encode() + text[at + random.randrange(2) :]


def composed(random: Random, *_: object) -> bytes:
    """Lines at random, each indented often as the one before it or a step deeper."""
    made, indent = [], 0
    for _line in range(random.randint(1, 8)):
        indent = random.choice((indent, indent, indent + 2, max(0, indent - 2), random.randrange(6)))
        made.append(b" " * indent + a_line(random))
    return b"".join(made)


def tree(node: Node | None) -> Any:
    """All that a node holds, to be compared."""
    if isinstance(node, Mapping):
        inner = [(tree(member.key), tree(member.value)) for member in node.members]
        return (node.start, node.end, node.line, node.column, inner, node.flow, node.anchor, node.tag)
    if isinstance(node, Sequence):
        return (node.start, node.end, node.line, [tree(item) for item in node.items], node.flow, node.anchor, node.tag)
    assert isinstance(node, Scalar)
    return (node.start, node.end, node.line, node.value, node.style, node.anchor, node.tag)


def is_taken(text: str) -> bool:
    """Whether the line reader takes it. Fails where libyaml makes something else of what it takes."""
    found = line_reader.read_documents(text)
    if found is None:
        return False
    try:
        expected = yaml_reader.read_documents(text)
    except ManifestError as error:
        raise AssertionError(f"taken, and refused by libyaml: {error.message}: {text!r}") from None
    assert [tree(node) for node in found] == [tree(node) for node in expected], repr(text)
    return True


@pytest.mark.uncounted
def test_what_it_takes_of_spoilt_texts_is_the_same_to_libyaml() -> None:
    random = Random(5)
    whole = seeds()
    spoilt: deque[bytes] = deque(maxlen=200)  # which are spoilt further
    taken = tried = 0
    while taken < TAKEN:
        text = changed(random, random.choice(random.choice((whole, spoilt or whole))), whole)
        tried += 1
        if is_taken(text.decode("utf-8", "replace")):
            taken += 1
            if len(text) < SHORT and taken % 10 == 0:
                spoilt.append(text)
    assert tried < 5 * TAKEN, "it takes too few of them: the changes are too wild"


def nested(levels: int) -> str:
    return "".join(f"{' ' * level}a:\n" for level in range(levels))


def test_what_is_sealed_here_it_takes() -> None:
    """Else a start would import PyYAML for nothing, and nobody would see it."""
    assert is_taken((DATA / "vectors" / "basic.sealed.yaml").read_text())
    assert is_taken((DATA / "vectors" / "post-quantum.sealed.yaml").read_text().partition("---")[0])
    assert is_taken((DATA / "kubesec" / "string-data.rsa+ecc.enc.yaml").read_text())


def test_policies_are_taken() -> None:
    """Else every command below one would import PyYAML, which takes as long as all else of it."""
    assert is_taken(
        """\
version: 1
people:
  alice: age14rz0r4nvfdk7fulv3pcuvng66zhcwkfd6p7l2d7u7shyl4s7wvdqa8y4ml
rules:
  - path: prod/**  # by its folder
    keys: [alice, aws:arn:aws:kms:eu-west-1:111122223333:key/1234]
  - path: "*.yaml"
    keys:
      - alice
  - keys:
    - alice
rotation:
  maxAge: 90d
"""
    )


@pytest.mark.parametrize("levels", range(nodes.MAX_DEPTH - 4, nodes.MAX_DEPTH + 4))
def test_a_text_may_be_as_deep_as_before(levels: int) -> None:
    text = nested(levels)
    assert is_taken(text) or levels > nodes.MAX_DEPTH - 2
    if levels > nodes.MAX_DEPTH:
        with pytest.raises(ManifestError, match="nested deeper than 64 levels"):
            line_reader.yaml_documents(text)


@pytest.mark.parametrize("most", [10, nodes.MOST_NODES])
def test_a_text_may_have_as_many_nodes_as_before(most: int) -> None:
    many = "a: b\n" * 60_000
    assert line_reader.read_documents(many, most) is None
    with pytest.raises(BoundError, match=r"more keys, values and lists than the (10|95000) that are taken"):
        line_reader.yaml_documents(many, most)
    assert len(line_reader.yaml_documents("a: b\n" * 4, 10)) == 1


def test_a_long_text_is_left_to_libyaml() -> None:
    """Which asks meanwhile whether anybody still waits."""
    assert line_reader.read_documents(f"a: {'b' * line_reader.MOST_CHARACTERS}\n") is None
