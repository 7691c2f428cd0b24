"""Values and tokens written where a YAML leaf stands: in its quotes, or under its block's header."""

from __future__ import annotations

from secretsvc.document.yaml_comments import YamlComment
from secretsvc.document.yaml_types import plain
from secretsvc.document.yaml_types import spelled as spelled_plain
from secretsvc.errors import ManifestError
from secretsvc.manifest.line_reader import yaml_documents
from secretsvc.manifest.model import Entry, encode_base64
from secretsvc.manifest.nodes import Alias, Mapping, Scalar
from secretsvc.manifest.scalars import HEADER, is_string, literal_block, quoted, replaced
from secretsvc.manifest.splice import Edit, line_break
from secretsvc.manifest.styles import rewritten
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.base import Leaf, Value
    from secretsvc.manifest.nodes import Node, Sequence

_PROPERTIES = pattern(r"(?:(?:&[^ \t\r\n]+|!<[^>]*>|![^ \t\r\n]*)[ \t\r\n]+)+")
_STANDARD = "tag:yaml.org,2002:"
_ODD = pattern("[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=._-"
"""Characters of texts that are the same plain to every reader, unless `=` or `-` is the first."""
_LONGEST_PROBE = 10_000
_WAS_PLAIN = " "
"""Behind a token in double quotes: it was plain, in flow style, where a token can't be."""


class Spot:
    """Place of a leaf: the node that is written there, and the collection that it is a member of."""

    __slots__ = ("column", "holder", "index", "node", "scalar", "shared")

    def __init__(self, holder: Mapping | Sequence, index: int, column: int, shared: Node | None) -> None:
        self.holder = holder
        self.index = index
        self.column = column
        """Of the collection."""
        self.shared = shared
        """The alias of a collection around it; None for a leaf that stands where it counts."""
        self.node: Node
        """The scalar, or an alias of it."""
        self.scalar: Scalar


def spelled(text: str, leaf: Leaf, value: Value | bytes) -> list[Edit]:
    """Return the edits that put a value, or a token, in a leaf's place. Raises ManifestError."""
    if isinstance(leaf.own, YamlComment):
        return [Edit(leaf.own.start + 1, leaf.own.end, _comment(leaf, value))]
    spot: Spot = leaf.own
    if spot.shared is not None:
        what = "an alias stands for a collection with values that are to change"
        raise ManifestError(what, hint="write the collection out in its place", line=leaf.line)
    if isinstance(value, bytes):
        return _token(text, spot, value.decode("ascii"))
    if value.kind == "comment":
        return [_as_comment(text, leaf, spot, value)]
    return _value(text, spot, value)


def source(text: str, leaf: Leaf) -> str:
    """Return what stands there for a leaf, a comment without its `#`."""
    own = leaf.own
    if isinstance(own, YamlComment):
        return own.text
    stands = own.shared or own.node
    return text[stands.start : stands.end]


def is_open(text: str, scalar: Scalar) -> bool:
    """Tell whether it is a block that ends the file, without a line break."""
    return scalar.style in ("|", ">") and scalar.end >= len(text) and not text.endswith(("\n", "\r"))


def closed(text: str, leaf: Leaf) -> list[Edit]:
    """Return the edit that has such a block keep its value where lines come behind it: `|` becomes `|-`."""
    if not isinstance(leaf.own, Spot) or not is_open(text, leaf.own.scalar):
        return []
    header = HEADER.match(text, _entry(text, leaf.own).scalar.start)
    return [Edit(header.end(1), header.end(1), "-")] if header and not set("+-") & set(header[1]) else []


def scalar_of(value: Value, *, flow: bool = False) -> str:
    """Return a whole scalar, on one line, that go-yaml reads as that value."""
    if value.kind == "bytes":
        return f"!!binary {encode_base64(value.text)}"
    if value.kind != "str":
        return spelled_plain(value)
    return _text(_decoded(value), flow=flow)


def _comment(leaf: Leaf, value: Value | bytes) -> str:
    text = value.decode("ascii") if isinstance(value, bytes) else _decoded(value)
    if "\n" in text or "\r" in text:
        raise ManifestError("a comment of several lines has no place here", line=leaf.line)
    return text


def _decoded(value: Value) -> str:
    """Raises ManifestError for bytes that no text of YAML holds."""
    try:
        return value.text.decode()
    except UnicodeDecodeError:
        raise ManifestError("a value that is not UTF-8 has no place in YAML", hint="seal it as a binary file") from None


def _token(text: str, spot: Spot, token: str) -> list[Edit]:
    flow = spot.holder.flow
    if isinstance(spot.node, Alias):
        return [Edit(spot.node.start, spot.node.end, f'"{token}"' if flow else token)]
    entry = _entry(text, spot)
    scalar = entry.scalar
    lead = _without_tag(spot.node, scalar.start, stays=True)
    if scalar.style in ("|", ">"):
        header = HEADER.match(text, scalar.start)
        ends = "" if header and "-" in header[1] else "\n"
        return [*lead, *_apart(text, scalar, rewritten(text, entry, token + ends))]
    if scalar.style:
        return [*lead, Edit(scalar.start, scalar.end, scalar.style + token + scalar.style)]
    return [*lead, Edit(scalar.start, scalar.end, f'"{token}{_WAS_PLAIN}"' if flow else token)]


def _value(text: str, spot: Spot, value: Value) -> list[Edit]:
    flow = spot.holder.flow
    if isinstance(spot.node, Alias):
        return [Edit(spot.node.start, spot.node.end, scalar_of(value, flow=flow))]
    entry = _entry(text, spot)
    scalar = entry.scalar
    lead = _without_tag(spot.node, scalar.start, stays=value.kind == "str")
    if scalar.style in ("|", ">"):
        is_text = value.kind == "str"
        made = rewritten(text, entry, _decoded(value)) if is_text else replaced(text, entry, scalar_of(value))
        return [*lead, *_apart(text, scalar, made)]
    if value.kind != "str":
        return [*lead, Edit(scalar.start, scalar.end, scalar_of(value, flow=flow))]
    return [*lead, Edit(scalar.start, scalar.end, _in_quotes(text, spot, scalar, _decoded(value)))]


def _apart(text: str, scalar: Scalar, made: Edit) -> list[Edit]:
    """A block's indicators and its lines changed apart: what is commented between them is a leaf of its own."""
    old = HEADER.match(text, scalar.start)
    new = HEADER.match(made.new)
    if not old:
        return [made]
    if new and new[2] == old[2]:
        return [Edit(scalar.start, old.end(1), new[1]), Edit(old.end(2), made.end, made.new[new.end(2) :])]
    comment = old[2].rstrip()
    word = made.new.removesuffix(comment) if comment else made.new
    return [Edit(scalar.start, old.end(1), word), Edit(old.start(2) + len(comment), made.end, "")]


def _in_quotes(text: str, spot: Spot, scalar: Scalar, content: str) -> str:
    """A text in the style of what stands there, where that can hold it."""
    flow = spot.holder.flow
    if scalar.style == "'" and not _is_odd(content):
        return "'" + content.replace("'", "''") + "'"
    was_plain = not scalar.style or (flow and scalar.value.endswith("]" + _WAS_PLAIN))
    if not was_plain or not content:
        return quoted(content)
    if "\n" in content and not flow:
        block = literal_block(content, spot.column + 2, line_break(text))
        return block if block is not None else quoted(content)
    return _text(content, flow=flow)


def _text(content: str, *, flow: bool) -> str:
    """A text plain where every reader takes it for just that, else in double quotes."""
    if not content or _is_odd(content) or not is_string(content) or plain(content).kind != "str":
        return quoted(content)
    is_safe = not content.strip(_SAFE) and content[0] not in "=-"
    return content if is_safe or _reads_plain(content, flow=flow) else quoted(content)


def _is_odd(content: str) -> bool:
    """Tell whether only an escape writes some of it, or whether readers disagree on that."""
    return not content.isprintable() and _ODD.search(content) is not None


def _reads_plain(content: str, *, flow: bool) -> bool:
    """Tell whether the text, written plain, is read as itself."""
    probe = f"k: [{content}]\n" if flow else f"k: {content}\n"
    if len(content) > _LONGEST_PROBE:
        return False
    try:
        (root,) = yaml_documents(probe)
    except (ManifestError, ValueError):
        return False
    node = root.members[0].value if isinstance(root, Mapping) and len(root.members) == 1 else None
    if flow and node is not None and not isinstance(node, Scalar | Alias | Mapping):
        node = node.items[0] if len(node.items) == 1 else None
    return isinstance(node, Scalar) and node.value == content and not node.style


def _as_comment(text: str, leaf: Leaf, spot: Spot, value: Value) -> Edit:
    """SOPS writes a sealed comment of a list as an item of it: that item becomes a comment."""
    dash = text.rfind("-", 0, spot.node.start)
    if isinstance(spot.holder, Mapping) or spot.holder.flow or text[dash + 1 : spot.node.start].strip(" "):
        raise ManifestError("a sealed comment stands where none can be", hint="restore the file", line=leaf.line)
    return Edit(dash, spot.node.end, "#" + _comment(leaf, value))


def _entry(text: str, spot: Spot) -> Entry:
    """The scalar without its anchor and tag, as the manifest's edits know one."""
    node = spot.scalar
    found = _PROPERTIES.match(text, node.start, node.end) if node.anchor or node.tag else None
    start = found.end() if found else node.start
    scalar = Scalar(start, node.end, node.line, node.value, node.style, None, None)
    return Entry("", "", scalar, spot.column, spot.holder.flow)


def _without_tag(node: Node, start: int, *, stays: bool) -> list[Edit]:
    """The edit that takes a tag away that would not fit any more. `stays`: those that leave a text a text."""
    if isinstance(node, Alias):
        return []
    is_text = not (node.tag or "").startswith(_STANDARD) or node.tag == f"{_STANDARD}str"
    if start == node.start or (stays and is_text):
        return []
    return [Edit(node.start, start, f"&{node.anchor} " if node.anchor else "")]
