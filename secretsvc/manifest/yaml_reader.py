"""YAML text → nodes, by the events of PyYAML's libyaml binding, which know every scalar's exact place.

Events rather than `yaml.compose`, which dies of deep nesting; rather than ruamel.yaml, which gives a
text to print and no places to splice (design PROBES, "Finding the values").
"""

from __future__ import annotations

import yaml
from yaml.events import AliasEvent, MappingEndEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from secretsvc import patience
from secretsvc.errors import ManifestError
from secretsvc.manifest.nodes import (
    MAX_DEPTH,
    MOST_NODES,
    NODES_AT_A_TIME,
    Alias,
    Mapping,
    Member,
    Node,
    Scalar,
    Sequence,
    most_nodes,
    new,
    too_many,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_MOST_WORDS = 1000
MOST_TAG_DIRECTIVES = 100
"""Libyaml compares each with all others."""


def read_documents(text: str, most: int = MOST_NODES) -> list[Node]:
    """The root node of every document in the text (without a BOM). Raises ManifestError with a line.

    `most`: how many nodes are taken, if the text's size allows so many.
    """
    try:
        return list(_documents(text, most))
    except yaml.MarkedYAMLError as error:
        from secretsvc.manifest.characters import refuse_odd_characters

        refuse_odd_characters(text)  # the likelier reason, where there is one
        # libyaml's problem texts are constants, so they can't quote the input; its context is left out.
        raise ManifestError(f"not valid YAML: {error.problem}", hint=_hint(error, text), line=_line(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
        raise ManifestError("not valid YAML: it holds a control character", line=line) from None


def leading_documents(text: str) -> tuple[list[Node], bool]:
    """The root nodes of those documents that stand before what is malformed; and whether that is all of them."""
    documents: list[Node] = []
    try:
        for document in _documents(text, MOST_NODES):
            documents.append(document)
    except (yaml.YAMLError, ManifestError):
        return documents, False
    return documents, True


def _documents(text: str, most: int) -> Iterator[Node]:
    if text.count("%TAG") > MOST_TAG_DIRECTIVES and text.count("\n%TAG") > MOST_TAG_DIRECTIVES:
        raise ManifestError(f"more than {MOST_TAG_DIRECTIVES} %TAG directives", hint="write the tags out")
    # Kubernetes' parser takes the last line as ended even where it is not; so must this one, or `|` loses a "\n".
    ended = text if text.endswith(("\n", "\r")) else text + "\n"
    # Not `yaml.parse`, whose two steps for each event take a third of the time.
    events: Iterator[Any] = iter(yaml.CBaseLoader(_Stream(ended)).get_event, None)
    reader = _Reader(events, len(text), min(most, most_nodes(len(text))))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            reader.anchors = {}
        elif isinstance(event, yaml.NodeEvent):
            yield reader.node(event, 0)


def _hint(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    if "{{" in text:
        return "it seems to be a template: seal what values come from, or what it is rendered to"
    if mark and text[mark.index : mark.index + 1] == "\t":
        return "indent with spaces: a tab can't"
    if "end of stream" in (error.problem or ""):
        return "a quote or a bracket is not closed"
    if "expected key" in (error.problem or ""):
        return "check the indentation of this line and the one before"
    return "it is no JSON either" if text.lstrip()[:1] == "{" else ""


def _line(error: yaml.MarkedYAMLError) -> int:
    """Return where to look: where an unclosed quote or bracket was opened, else where parsing stopped."""
    unclosed = "quoted" in (error.context or "") or "end" in (error.problem or "")
    mark = (error.context_mark if unclosed else None) or error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 0


class _Stream:
    """A text that libyaml asks for in pieces, so that other threads go on while it scans a long scalar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self, size: int = 0, /) -> str:
        piece = self._text[self._at : self._at + size]
        self._at += size
        return piece


class _Reader:
    """Builds the nodes of one text from its events."""

    def __init__(self, events: Iterator[Any], length: int, most: int) -> None:
        self._events = events
        self._length = length
        self._most = self._left = most
        self._line = 1
        self._words: dict[str, str] = {}
        self.anchors: dict[str, Node | None] = {}

    def node(self, event: Any, depth: int) -> Node:
        """The node that starts with that event. There may be a million, so this looks at each but once."""
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0 or not self._left % NODES_AT_A_TIME:
            self._refuse_or_rest(event, depth)
        mark, kind, anchor = event.start_mark, type(event), event.anchor
        if mark.line + 1 != self._line:  # nodes of one line share one number
            self._line = mark.line + 1
        if kind is AliasEvent:
            if anchor not in self.anchors:
                raise ManifestError("an alias to an anchor that is not defined", line=self._line)
            end = min(event.end_mark.index, self._length)
            return new(Alias, (mark.index, end, self._line, self.anchors[anchor]))
        if anchor:
            self.anchors[anchor] = None  # until it is complete: an alias inside it stands for nothing
        node: Node
        if kind is ScalarEvent:
            end, value = event.end_mark.index, event.value
            value = self._words.get(value) or self._shared(value)
            end = end if end < self._length else self._length
            node = new(Scalar, (mark.index, end, self._line, value, event.style or "", anchor, event.tag))
        elif kind is SequenceStartEvent:
            node = self._sequence(event, mark, self._line, depth + 1)
        else:
            node = self._mapping(event, mark, self._line, depth + 1)
        if anchor:
            self.anchors[anchor] = node
        return node

    def _refuse_or_rest(self, event: Any, depth: int) -> None:
        """Raises ManifestError for a node that is one too many, or too deep."""
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise ManifestError(f"nested deeper than {MAX_DEPTH} levels", line=line)
        if self._left < 0:
            raise too_many(self._most, line)
        patience.check()

    def _shared(self, value: str) -> str:
        """Keeps the first words for all that are alike: `metadata`, `name` and others stand in a file often."""
        if len(self._words) < _MOST_WORDS:
            self._words[value] = value
        return value

    def _sequence(self, event: Any, mark: Any, line: int, depth: int) -> Sequence:
        items: list[Node] = []
        for inner in self._events:
            if type(inner) is SequenceEndEvent:
                break
            items.append(self.node(inner, depth))
        flow = bool(event.flow_style)
        end = inner.end_mark.index if flow or not items else items[-1].end
        return new(Sequence, (mark.index, end, line, items, flow, event.anchor, event.tag))

    def _mapping(self, event: Any, mark: Any, line: int, depth: int) -> Mapping:
        members: list[Member] = []
        for inner in self._events:
            if type(inner) is MappingEndEvent:
                break
            key = self.node(inner, depth)
            members.append(new(Member, (key, self.node(next(self._events), depth))))
        flow = bool(event.flow_style)
        end = inner.end_mark.index if flow or not members else members[-1].value.end
        return new(Mapping, (mark.index, end, line, mark.column, members, flow, event.anchor, event.tag))
