"""Text for the editor: the clear text below a few lines that say what to do, which are taken off again."""

from __future__ import annotations

import json
import os
import re

from secretsvc.cli.report import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.errors import KsecretError

_MARK = "# ksecret: "
_BOM = b"\xef\xbb\xbf"
_SUFFIXES = {"yaml": ".yaml", "json": ".json", "dotenv": ".env", "ini": ".ini", "binary": ".txt"}


class Sheet:
    """A clear text and its header; JSON, which has no comments, gets none."""

    def __init__(
        self, name: str, file_name: str, clear: bytes, about: str, readers: Sequence[str] = (), *, has_comments: bool
    ) -> None:
        """`about`: a line about how values stand there; `readers`: lines on who will be able to read them."""
        self.file_name = file_name
        self._clear = clear
        self._newline = "\r\n" if clear.partition(b"\n")[0].endswith(b"\r") else "\n"
        # A text that begins like a header could not be told from it.
        self._header = has_comments and not clear.removeprefix(_BOM).startswith(_MARK.encode())
        self._name = "standard input" if name == "-" else name
        self._about = [
            f"{self._name}: save and leave the editor to seal it.",
            about,
            *readers,
            "Nothing is written where nothing was changed. These lines at the top are not part of the file.",
        ]
        self._readers = tuple(readers)
        self._written: set[bytes] = set()

    @classmethod
    def of_manifest(cls, name: str, clear: bytes, readers: Sequence[str] = (), *, is_json: bool, base64: bool) -> Sheet:
        """Return the sheet of a manifest, its values decoded or not."""
        kind = "base64" if base64 else "decoded; what is no text stays base64, marked !!binary"
        about = f"Values under data stand here {kind}."
        return cls(name, _file_name(name, is_json=is_json), clear, about, readers, has_comments=not is_json)

    @classmethod
    def of_document(cls, name: str, clear: bytes, kind: str, readers: Sequence[str] = ()) -> Sheet:
        """Return the sheet of a file that SOPS's format seals, of a kind of `document.kinds`."""
        file_name = f"secret{_SUFFIXES[kind]}" if name == "-" else os.path.basename(name)
        about = "All stands here as it is, base64 too; the file's own rule says what of it is sealed."
        return cls(name, file_name, clear, about, readers, has_comments=kind in ("yaml", "dotenv", "ini"))

    @property
    def unshown(self) -> tuple[str, ...]:
        """Return the lines on readers that have no place in a file without comments, to be told elsewhere."""
        return () if self._header else self._readers

    def written(self, text: bytes, note: str = "") -> bytes:
        """The text to put before the editor."""
        if not self._header:
            return text
        lines = [note or self._about[0], *self._about[1:]]
        header = "".join(f"{_MARK}{printable(line)}{self._newline}" for line in lines)
        own = {line.strip() for line in self._clear.splitlines()}
        self._written = {line for line in map(bytes.strip, os.fsencode(header).splitlines()) if line not in own}
        bom = _BOM if text.startswith(_BOM) else b""
        return bom + os.fsencode(header) + text.removeprefix(bom)

    def read(self, data: bytes) -> bytes:
        """The text that the editor left, without the header; and without lines of it that stand elsewhere now."""
        if not self._header:
            return data
        bom = _BOM if data.startswith(_BOM) else b""
        text = data.removeprefix(bom)
        while text.startswith(_MARK.encode()):
            text = text.partition(b"\n")[2]
        if _MARK.encode() in text:
            lines = text.splitlines(keepends=True)
            text = b"".join(line for line in lines if line.rstrip() not in self._written)
        return bom + text

    def is_unchanged(self, typed: bytes) -> bool:
        """Tell whether it is what was shown at first, perhaps with the last line break that many editors add."""
        return typed == self._clear or (typed == self._clear + b"\n" and not self._clear.endswith(b"\n"))

    def note(self, error: KsecretError) -> str:
        """The line of the header that tells of a mistake.

        Where it is about the text, its file and line become those that the editor shows.
        """
        where = f"{error.where}: " if error.file else ""
        if error.line and not error.file:
            error.line += len(self._about) if self._header else 0
            error.file = f"{self._name} (as edited)"
            where = f"{error.line}: "
        return f"{where}{error.told}" + (f" ({error.hint})" if error.hint else "")


def _file_name(name: str, *, is_json: bool) -> str:
    """The manifest's own, so that editors show it and colour it."""
    suffix = ".json" if is_json else ".yaml"
    base = os.path.basename(name)
    return base if os.path.splitext(base)[1] in (suffix, ".yml") else f"secret{suffix}"


def kept_name(path: str) -> str:
    """The name of a copy of what was typed, sealed, where the file itself can't be written."""
    return f"secret{os.path.splitext(path)[1] or '.yaml'}"


def template(path: str, field: str = "data") -> bytes:
    """A Secret to fill in, with a name that follows from the file's, and `field` for its values."""
    base = os.path.basename(path)
    name = re.sub(r"[^a-z0-9]+", "-", base.partition(".")[0].lower()).strip("-") or "secret"
    if base.endswith(".json"):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", field: {}}
        return f"{json.dumps(secret, indent=2)}\n".encode()
    if not re.search("[a-z]", name):
        name = f'"{name}"'
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ntype: Opaque\n{field}:\n".encode()
