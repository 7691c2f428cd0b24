"""Bodies that were made to cost: each family is a function of a size, in bytes, that gives one of about that size.

Every family is a manifest to look at, or to fail on. What it costs must grow with its size, not with its square.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: dev}\n"
LIST = "apiVersion: v1\nkind: List\n"
ENVELOPE = 'ksecret:\n  version: 1\n  sealedFor: dev/db\n  created: "2026-01-01T00:00:00Z"\n  keys:\n'
SEALED = SECRET + "data:\n  p: ksecret.v1.AAAA\n"


def _repeated(part: str, size: int) -> str:
    return part * max(1, size // len(part))


def _counted(part: str, size: int) -> str:
    """`part` with `{}` for a number, as often as it fits."""
    return "".join(part.replace("{}", f"{number:06}") for number in range(max(1, size // (len(part) + 4))))


def _around(before: str, part: str, after: str = "") -> Callable[[int], bytes]:
    return lambda size: (before + _repeated(part, size) + after).encode()


def _numbered(before: str, part: str, after: str = "") -> Callable[[int], bytes]:
    return lambda size: (before + _counted(part, size) + after).encode()


def _merged_items(size: int) -> bytes:
    """A base of many members, merged into each of many items."""
    base = _counted("a{}: 1,", size // 2)
    return f"{LIST}x: &b {{{base}}}\nitems:\n{_repeated('- {<<: *b, kind: Secret}' + chr(10), size // 2)}".encode()


def _merged_chain(size: int) -> bytes:
    """Each mapping merges the one before, and each is an item."""
    count = size // 50
    chain = "".join(f"- &m{at + 1:06} {{<<: *m{at:06}, kind: Secret}}\n" for at in range(count))
    return f"{LIST}x: &m000000 {{a: 1}}\nitems:\n{chain}".encode()


def _merged_lists(size: int) -> bytes:
    """A list of many bases, merged into each of many items."""
    bases = _counted("&b{} {a: 1},", size // 4)
    names = ",".join(f"*b{at:06}" for at in range(bases.count("&")))
    items = _repeated("- {<<: *l, kind: Secret}\n", size // 4)
    return f"{LIST}x: [{bases}]\ny: &l [{names}]\nitems:\n{items}".encode()


def _laughs(size: int) -> bytes:
    """Lists of aliases of lists of aliases, as items: few bytes that stand for any number of items."""
    lines, name = ["- &a0 {kind: Secret}\n"], 0
    while sum(map(len, lines)) < size:
        name += 1
        lines.append(f"- &a{name} {{kind: List, items: [{','.join([f'*a{name - 1}'] * 9)}]}}\n")
    return f"{LIST}items:\n{''.join(lines)}".encode()


def _laughs_by_merge(size: int) -> bytes:
    """Merge keys with lists of aliases to mappings that merge likewise."""
    lines, name = ["- &a0 {kind: Secret}\n"], 0
    while sum(map(len, lines)) < size:
        name += 1
        lines.append(f"- &a{name} {{<<: [{','.join([f'*a{name - 1}'] * 9)}], k{name}: 1}}\n")
    return f"{LIST}items:\n{''.join(lines)}".encode()


def _kubesec_lines(size: int) -> bytes:
    """Many values that a comment's line may stand in, and many lines of kubesec."""
    values = _repeated("a,", size // 2)
    lines = _counted("# kubesec:aws:{}:AAAA\n", size // 2)
    return f"{SECRET}x: [{values}]\ndata: {{}}\n# kubesec:v:3\n{lines}".encode()


def _repeated_heads(size: int) -> bytes:
    """Values that begin alike, and a comment in which they seem to begin at every character."""
    values = _counted(f"  k{{}}: {'a' * 100}{{}}\n", size // 2)
    return f"{SECRET}stringData:\n{values}# {'a' * (size // 2)}\n".encode()


def _bomb() -> str:
    """A few bytes that unpack to a MiB."""
    return b64encode(zlib.compress(bytes(1 << 20), 9)).decode()


def _json_list(size: int) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [1] * (size // 3)}).encode()


def _json_deep(size: int) -> bytes:
    return b"[" * (size // 2) + b"]" * (size // 2)


def _yaml_deep(size: int) -> bytes:
    return f"{SECRET}x: {'[' * (size // 2)}{']' * (size // 2)}\n".encode()


CLEAR = SECRET + "data: {a: YQ==, b: Yg==}\n"
"""What `encrypt` takes; the part that is repeated comes behind."""

FAMILIES: dict[str, Callable[[int], bytes]] = {
    "merged-items": _merged_items,
    "merged-chain": _merged_chain,
    "merged-lists": _merged_lists,
    "laughs": _laughs,
    "laughs-by-merge": _laughs_by_merge,
    "merged-annotations": lambda size: (
        f"{SECRET}  \nx: [&b {{{_counted('a{}: 1,', size)}}}]\ndata: {{a: YQ==}}\n".encode()
    ),
    "kubesec-lines": _kubesec_lines,
    "kubesec-values": _around(SECRET + "data: {}\n# kubesec:v:3\n# kubesec:aws:a:AAAA\nx: [", "a,", "a]\n"),
    "kubesec-reversed": lambda size: (
        SECRET
        + "data: {a: YQ==.YQ==.YQ==}\n# kubesec:v:3\n"
        + "".join(f"# kubesec:aws:{at:06}:AAAA\n" for at in range(size // 28, 0, -1))
    ).encode(),
    "ksecret-keys": _numbered(SEALED + ENVELOPE, '    "age:age1{}": AAAA\n', "  seal: AAAA\n"),
    "ksecret-pgp-keys": _numbered(SEALED + ENVELOPE, '    "pgp:{}": AAAA\n', "  seal: AAAA\n"),
    "ksecret-twice-named": _around(SEALED + ENVELOPE, '    "age:age1x": AAAA\n', "  seal: AAAA\n"),
    "ksecret-wrapped": _around(SEALED + ENVELOPE + '    "age:age1x": ', "AAAA", "\n  seal: AAAA\n"),
    "flow-list": _around(SECRET + "x: [", "a,", "a]\n"),
    "flow-pairs": _around(SECRET + "x: [", "a: b,", "a: b]\n"),
    "block-list": _around(SECRET + "x:\n", "- a\n"),
    "nested-block-list": _around(SECRET + "x:\n", "- - - - a\n"),
    "empty-mappings": _around(SECRET + "x: [", "{},", "{}]\n"),
    "json-list": _json_list,
    "json-objects": _around('{"apiVersion": "v1", "kind": "List", "items": [', "{},", "{}]}"),
    "json-documents": _around("", '{"kind":"Secret"}\n'),
    "json-broken": _around('{"kind": "Secret", "x": [', '"a",', ""),
    "json-deep": _json_deep,
    "yaml-deep": _yaml_deep,
    "documents": _around("", "---\n"),
    "secret-documents": _around("", "---\nkind: Secret\n"),
    "secrets": _numbered("", "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s{}}\ndata: {a: YQ==}\n"),
    "broken-secrets": _numbered(
        "---\n{\n", "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s{}}\ndata: {a: YQ==}\n"
    ),
    "comments": _around(SECRET, "#\n", "data: {a: YQ==}\n"),
    "long-comment": _around(SECRET + "# ", "x", "\ndata: {a: YQ==}\n"),
    "anchors": _numbered(SECRET + "x:\n", "- &a{} b\n"),
    "aliases": _around(SECRET + "y: &a b\nx: [", "*a,", "*a]\n"),
    "long-value": _around(SECRET + "data:\n  a: ", "YWFh", "\n"),
    "long-quoted": _around(SECRET + 'data:\n  a: "', "YWFh", '"\n'),
    "long-block": _around(SECRET + "data:\n  a: |\n", "    YWFh\n"),
    "long-key": _around(SECRET + "data:\n  ", "a", ": YQ==\n"),
    "question-keys": _around(SECRET + "x:\n", "? a\n"),
    "tags": _around(SECRET + "x:\n", "- !!str a\n"),
    "keys": _numbered(SECRET + "data:\n", "  k{}: YQ==\n"),
    "twice-named": _around(SECRET + "data:\n", "  k: YQ==\n"),
    "tokens": _numbered(
        SECRET + "data:\n", "  k{}: ksecret.v1.AAAA\n", ENVELOPE + '    "age:age1x": AAAA\n  seal: AAAA\n'
    ),
    "blanks": _around(SECRET + "data:\n  a: b", " ", "c\n"),
    "blank-lines": _around(SECRET, "\n", "data: {a: YQ==}\n"),
    "broken-blanks": _around("kind: Secret\n{\ndata:", " ", "\n a: b\n"),
    "broken-blank-lines": _around("kind: Secret\n{\n", " \n", "data:\n a: b\n"),
    "broken-dashes": _around("kind: Secret\n{\ndata:\n a: b\n", "- ", "\n"),
    "broken-quotes": _around("kind: Secret\n{\ndata:\n a: b\n", '"', "\n"),
    "broken-braces": _around("kind: Secret\n{\ndata:\n a: b\n", "{{", "\n"),
    "broken-kinds": _around("{\n", "kind: Secret\n", "data:\n a: b\n"),
    "broken-data": _around("{\nkind: Secret\n", "data:\n"),
    "broken-backslashes": _around("kind: Secret\n{\ndata:\n a: b\n", "\\", "\n"),
    "broken-tags": _around("{\ndata:\n a: b\nkind: ", "!a ", "\n"),
    "templates": _around(SECRET + "data:\n", "  a: {{ .x }}\n"),
    "open-braces": _around(SECRET + "data:\n  a: '", "{{", "'\n"),
    "spaced-words": _around("", "Secret  ", ""),
    "hashes": _around(SECRET + "data: {a: YQ==}\n", "# ", "\n"),
    "repeats-heads": _repeated_heads,
    "repeats-words": _around(SECRET + "stringData: {a: postgres}\n# ", "postgresql "),
    "repeats-lines": _numbered(SECRET + "stringData: {a: hunter2-secret}\n", "# AbCdEfGhIjKlMnOp{}\n"),
    "repeats-escapes": _around(SECRET + "stringData: {a: hunter2-secret}\n# ", "\\n\\x41"),
    "repeats-bombs": _around(SECRET + "stringData: {a: hunter2-secret}\n", f"# {_bomb()}\n"),
    "repeats-values": _numbered(SECRET + "stringData:\n", "  k{}: value-of-{}-x # value-of-{}-\n"),
    "clear-mappings": _around(CLEAR + "x: [", "{},   ", "{}]\n"),
    "clear-words": _numbered(CLEAR + "x: [", "a{}x,", "a]\n"),
    "clear-keys": _numbered(CLEAR + "x: {", "ab{}: abcdefgh,", "a: b}\n"),
    "clear-texts": _numbered(CLEAR + "x: {", "ab{}: abcdefghijklmnopqrstuvwxyz-abcdef,", "a: b}\n"),
    "clear-comments": _numbered(CLEAR + "x: [", "a,#a{}\n", "a]\n"),
    "allowed-blanks": _around("#", " ", "\n" + SECRET + "data: {a: YQ==}\n"),
}
"""By name, what makes a body of about that many bytes."""
