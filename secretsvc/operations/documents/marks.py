"""What stands for sealed values while Git merges the lines that they are in.

Each value is put on a line of its own, between lines that name its place, so that Git's merge of lines is one of
values: two that stand side by side don't touch each other. It stands there for what it holds, as a digest that nobody
can guess: of the value where it is opened, so that one sealed anew is none that changed, else of its token.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from os import urandom

from secretsvc.document import kinds
from secretsvc.document.base import apply
from secretsvc.formats.merge import UnmergeableError
from secretsvc.formats.sops.cipher import Cipher, aad_of, is_token
from secretsvc.formats.sops.merge import PROOF
from secretsvc.formats.sops.metadata import MEMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.document.base import Document, Edit, Leaf, Tree, Value
    from secretsvc.operations.documents import SealedTree

TWO_DATA_KEYS = "its sides have different data keys, and no key is at hand"


class Marks:
    """The marks of one merge."""

    def __init__(self) -> None:
        nonce = urandom(6).hex().encode()
        mark = rb"ENC\[%b[:#]([0-9a-f]+):([0-9a-f]+)\]" % nonce
        self._mark = re.compile(mark)
        self.proof = {name: f"ENC[{nonce.decode()}!{name}]" for name in PROOF}
        """What stands for the MAC and its time."""
        self._key = urandom(32)
        self._names: dict[bytes, tuple[bytes, bytes]] = {}
        self._format = b"ENC[" + nonce + b"%b%b:%b]"
        self._cut = b"~" + nonce + b"\n"
        self._value = re.compile(mark.replace(b"[:#]", b":") + rb'("?)')
        self._proof = re.compile(rb"ENC\[%b!([a-z]+)\]" % nonce)
        self._place = re.compile(rb"(?m)^([<>])([0-9a-f]+)%b" % self._cut)
        self._rest = re.compile(rb"(?m)^(>([0-9a-f]+)~%b\n[^\n]*)(?<!~%b)\n" % (nonce, nonce))
        self._end = b"~" + nonce + b";"
        self._ends = re.compile(rb"~%b;[0-9a-f]+\n" % nonce)

    def digest(self, *parts: bytes) -> bytes:
        """Return the name of something."""
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return blake2b(text, key=self._key, digest_size=10).hexdigest().encode()

    def named(self, token: bytes, aad: bytes, value: Value | None) -> tuple[bytes, bytes]:
        """Return the name of what a token holds, and the token, which is in memory once.

        `value`: what it is known to hold; else it is what it was in a version before, or by itself.
        """
        known = self._names.get(token)
        if not known:
            name = self.digest(aad, value.kind.encode(), value.text) if value is not None else self.digest(token)
            known = self._names[token] = (name, token)
        return known

    def name_of_token(self, text: bytes) -> bytes:
        """Return the name of what a token holds; nothing for another text."""
        known = self._names.get(text[: text.rfind(b"]") + 1]) if is_token(text) else None
        return known[0] if known else b""

    def name_of_mark(self, text: bytes) -> bytes:
        """Return the name of what a mark stands for; nothing for another text."""
        found = self._mark.match(text)
        return found[2] if found else b""

    def place_of_mark(self, text: bytes) -> bytes:
        """Return the place that a mark is for; nothing for another text."""
        found = self._mark.match(text)
        return found[1] if found else b""

    def place(self, leaf: Leaf) -> bytes:
        """Return the name of a leaf's place. Those in one list have one name: a token opens in each of them."""
        is_item = isinstance(leaf.path[-1], int) if leaf.path else False
        return self.digest(aad_of(leaf.path)) + (b"1" if is_item else b"0")

    def of(self, leaf: Leaf, value: bytes) -> bytes:
        """Return what stands for a value, as a token would: in comments it is nothing that Git is to see apart."""
        return self._format % (b"#" if leaf.value.kind == "comment" else b":", self.place(leaf), value)

    def apart(self, text: bytes, *, commas: bool) -> bytes:
        """Return a text with each mark on a line of its own, between lines that name its place.

        What ends the mark's line names it too, or it would be the same line for all values. `commas`: but not in JSON,
        where a comma there comes and goes with the next member, and the closing quote is a line by itself.
        """
        cut = self._cut

        def lines(found: re.Match[bytes]) -> bytes:
            place, mark = found[1], found[0].removesuffix(b'"')
            quote = found[3] + cut if found[3] and commas else found[3]
            return b"".join((cut, b"<", place, cut, mark, cut, b">", place, cut, quote))

        made = self._value.sub(lines, text)
        return made if commas else self._rest.sub(rb"\1%b\2\n" % self._end, made)

    def joined(self, text: bytes) -> bytes:
        """Return a text as it was before it was taken apart."""
        return self._place.sub(b"", self._ends.sub(b"\n", text)).replace(self._cut, b"")

    def members(self, lines: bytes) -> set[bytes]:
        """Return the places of mappings' values that stand in these lines whole; empty if there are any others."""
        found = self._place.findall(lines)
        opening, closing = ([place for sign, place in found if sign == one] for one in (b"<", b">"))
        is_whole = opening == closing and not any(place.endswith(b"1") for place in opening)
        return set(opening) if is_whole else set()

    def lines_of_members(self, lines: bytes) -> dict[bytes, bytes] | None:
        """Return a mapping's values by their places, each with its whole lines, and those above it that hold none.

        None where there are others among them.
        """
        found: dict[bytes, bytes] = {}
        at = 0
        while at < len(lines):
            opening = self._place.search(lines, at)
            closing = self._place.search(lines, opening.end()) if opening else None
            if not opening or not closing or opening[1] != b"<" or opening[2] != closing[2]:
                return None
            end = lines.find(b"\n", closing.end()) + 1
            while end and lines.endswith(self._cut, at, end):
                end = lines.find(b"\n", end) + 1
            place = opening[2]
            another = self._place.search(lines, closing.end(), end)
            if not end or another or place.endswith(b"1") or place in found:
                return None
            found[place] = lines[at:end]
            at = end
        return found

    def filled(self, text: bytes, tokens: Tokens, proof: dict[str, Tree]) -> bytes:
        """Return a text with tokens for its marks, and that proof. Raises UnmergeableError where one can't be had."""
        nth: dict[bytes, int] = {}

        def token(found: re.Match[bytes]) -> bytes:
            number = nth[found[2]] = nth.get(found[2], -1) + 1
            return tokens.token(found[2], number)

        made = self._proof.sub(lambda found: str(proof[found[1].decode()]).encode(), text)
        return self._mark.sub(token, made)


class Tokens:
    """What is to stand for values in the merged file: tokens that are there, else new ones."""

    def __init__(self, dek: bytes) -> None:
        """`dek`: the file's data key; empty where no key is at hand."""
        self._cipher = Cipher(dek) if dek else None
        self._tokens: dict[bytes, list[bytes]] = {}
        self._values: dict[bytes, tuple[bytes, Value]] = {}

    def add(self, marked: Marked) -> None:
        """Take a version's tokens, which are under the file's data key; those of earlier versions count."""
        nth: dict[bytes, int] = {}
        for name, token in marked.tokens:
            known = self._tokens.setdefault(name, [])
            number = nth[name] = nth.get(name, 0) + 1
            if number > len(known):
                known.append(token)

    def add_values(self, marked: Marked) -> None:
        """Take what may have to be sealed anew, because its token is under another data key."""
        self._values |= marked.values

    def token(self, value: bytes, number: int) -> bytes:
        """Return the token for the occurrence of that number (from 0) of a value. Raises UnmergeableError."""
        known = self._tokens.get(value)
        if known:
            return known[min(number, len(known) - 1)]
        if self._cipher and value in self._values:
            aad, held = self._values[value]
            self._tokens[value] = [self._cipher.seal(held, aad)]
            return self._tokens[value][0]
        raise UnmergeableError(TWO_DATA_KEYS)


class Marked:
    """One version of the file: its text with marks in place of tokens, and what they stand for.

    Nothing of the document stays: three trees would be in memory at once.
    """

    def __init__(self, marks: Marks, tree: SealedTree, values: Sequence[Value] | None) -> None:
        """`values`: what the leaves hold; None where no key is at hand. Raises ManifestError."""
        self.tokens: list[tuple[bytes, bytes]] = []
        """A value's name and its token, in the file's order."""
        self.values: dict[bytes, tuple[bytes, Value]] = {}
        """By its name: what is authenticated with a value, and the value."""
        self._marks = marks
        self._kind = tree.document.kind
        self._member = {name: value for name, value in tree.metadata.tree.items() if name not in PROOF}
        edits: list[Edit] = []
        for number, leaf in enumerate(tree.document.leaves):
            if is_token(leaf.value.text):
                edits += self._edits(tree.document, leaf, values[number] if values is not None else None)
        self._text = apply(tree.document.data, [*edits, *tree.document.set_member({**self._member, **marks.proof})])

    def _edits(self, document: Document, leaf: Leaf, value: Value | None) -> list[Edit]:
        end = leaf.value.text.rfind(b"]") + 1
        token, tail = leaf.value.text[:end], leaf.value.text[end:]
        aad = aad_of(leaf.path)
        name, token = self._marks.named(token, aad, value)
        if value is not None:
            self.values[name] = (aad, value)
        self.tokens.append((name, token))
        return document.spell(leaf, self._marks.of(leaf, name) + tail)

    def apart(self, member: dict[str, Tree]) -> bytes:
        """Return the text with that member, whose proof is left open, each value on a line of its own. Asked once."""
        text = self._text
        wanted = {name: value for name, value in member.items() if name not in PROOF}
        if wanted != self._member:
            document = kinds.read(self._kind, text, MEMBER)
            text = apply(text, document.set_member({**wanted, **self._marks.proof}))
        self._text = b""  # nobody asks twice
        return self._marks.apart(text, commas=self._kind in ("json", "binary"))
