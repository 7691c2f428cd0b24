"""What stands for sealed values while Git merges the lines that they are in.

Each value is put on a line of its own, between lines that name its place, so that Git's merge of lines is one of
values: two that stand side by side don't touch each other. It stands there for what it holds, as a digest that nobody
can guess: of the value where it is opened, so that one sealed anew is none that changed, else of its token.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from os import urandom

from secretsvc.document.base import apply
from secretsvc.formats.merge import UnmergeableError
from secretsvc.formats.sops.cipher import Cipher, aad_of, is_token
from secretsvc.formats.sops.merge import PROOF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.document.base import Document, Edit, Leaf, Tree, Value

TWO_DATA_KEYS = "its sides have different data keys, and no key is at hand"


class Marks:
    """The marks of one merge."""

    def __init__(self) -> None:
        nonce = urandom(8).hex().encode()
        mark = rb"ENC\[%b[:#]([0-9a-f]+):([0-9a-f]+)\]" % nonce
        self.pattern = re.compile(mark)
        """Of a mark; its groups are place and value."""
        self.proof = {name: f"ENC[{nonce.decode()}!{name}]" for name in PROOF}
        """What stands for the MAC and its time."""
        self._key = urandom(32)
        self._format = b"ENC[" + nonce + b"%b%b:%b]"
        self._cut = b"~" + nonce + b"\n"
        self._value = re.compile(mark.replace(b"[:#]", b":") + rb'("?)')
        self._proof = re.compile(rb"ENC\[%b!([a-z]+)\]" % nonce)
        self._place = re.compile(rb"(?m)^([<>])([0-9a-f]+)%b" % self._cut)

    def digest(self, *parts: bytes) -> bytes:
        """Return the name of something."""
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return blake2b(text, key=self._key, digest_size=12).hexdigest().encode()

    def place(self, leaf: Leaf) -> bytes:
        """Return the name of a leaf's place. Those in one list have one name: a token opens in each of them."""
        is_item = isinstance(leaf.path[-1], int) if leaf.path else False
        return self.digest(aad_of(leaf.path)) + (b"1" if is_item else b"0")

    def of(self, leaf: Leaf, value: bytes) -> bytes:
        """Return what stands for a value, as a token would: in comments it is nothing that Git is to see apart."""
        return self._format % (b"#" if leaf.value.kind == "comment" else b":", self.place(leaf), value)

    def apart(self, text: bytes) -> bytes:
        """Return a text with each mark on a line of its own, between lines that name its place.

        JSON's closing quote is apart too: the comma behind it comes and goes with the next member.
        """
        cut = self._cut

        def lines(found: re.Match[bytes]) -> bytes:
            place, mark = found[1], found[0].removesuffix(b'"')
            return b"".join((cut, b"<", place, cut, mark, cut, b">", place, cut, *((b'"', cut) if found[3] else ())))

        return self._value.sub(lines, text)

    def joined(self, text: bytes) -> bytes:
        """Return a text as it was before it was taken apart."""
        return self._place.sub(b"", text).replace(self._cut, b"")

    def members(self, lines: bytes) -> set[bytes]:
        """Return the places of mappings' values that stand in these lines whole; empty if there are any others."""
        found = self._place.findall(lines)
        opening, closing = ([place for sign, place in found if sign == one] for one in (b"<", b">"))
        is_whole = opening == closing and not any(place.endswith(b"1") for place in opening)
        return set(opening) if is_whole else set()

    def filled(self, text: bytes, tokens: Tokens, proof: dict[str, Tree]) -> bytes:
        """Return a text with tokens for its marks, and that proof. Raises UnmergeableError where one can't be had."""
        nth: dict[bytes, int] = {}

        def token(found: re.Match[bytes]) -> bytes:
            number = nth[found[2]] = nth.get(found[2], -1) + 1
            return tokens.token(found[2], number)

        made = self._proof.sub(lambda found: str(proof[found[1].decode()]).encode(), text)
        return self.pattern.sub(token, made)


class Tokens:
    """What is to stand for values in the merged file: tokens that are there, else new ones."""

    def __init__(self, dek: bytes) -> None:
        """`dek`: the file's data key; empty where no key is at hand."""
        self._cipher = Cipher(dek) if dek else None
        self._tokens: dict[bytes, list[bytes]] = {}
        self._values: dict[bytes, tuple[bytes, Value]] = {}

    def add(self, tokens: dict[bytes, list[bytes]]) -> None:
        """Take a version's tokens under the file's data key, by their values' names, in order; earlier ones count."""
        for value, found in tokens.items():
            known = self._tokens.setdefault(value, [])
            known += found[len(known) :]

    def add_values(self, values: dict[bytes, tuple[bytes, Value]]) -> None:
        """Take what may have to be sealed anew: what is authenticated with it, and the value."""
        self._values |= values

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
    """One version of the file with marks in place of tokens: its text, and what they stand for."""

    def __init__(
        self, marks: Marks, document: Document, values: Sequence[Value] | None, known: dict[bytes, bytes]
    ) -> None:
        """`known`: what earlier versions' tokens were named, where this one is not opened (`values` is None)."""
        self.tokens: dict[bytes, list[bytes]] = {}
        self.values: dict[bytes, tuple[bytes, Value]] = {}
        self.names: dict[bytes, bytes] = {}
        """Token → value's name."""
        self._marks = marks
        self._document = document
        self._edits: list[Edit] = []
        for number, leaf in enumerate(document.leaves):
            if is_token(leaf.value.text):
                self._add(leaf, values[number] if values is not None else None, known)

    def _add(self, leaf: Leaf, value: Value | None, known: dict[bytes, bytes]) -> None:
        end = leaf.value.text.rfind(b"]") + 1
        token, tail = leaf.value.text[:end], leaf.value.text[end:]
        aad = aad_of(leaf.path)
        if value is not None:
            name = self._marks.digest(aad, value.kind.encode(), value.text)
            self.values[name] = (aad, value)
        else:
            name = known.get(token) or self._marks.digest(token)
        self.names[token] = name
        self.tokens.setdefault(name, []).append(token)
        self._edits += self._document.spell(leaf, self._marks.of(leaf, name) + tail)

    def text(self, member: dict[str, Tree]) -> bytes:
        """Return it with that member, without proof."""
        tree = {**member, **self._marks.proof}
        return apply(self._document.data, [*self._edits, *self._document.set_member(tree)])
