"""Slips in an editor that would leave in the clear what was sealed: a field, or an object, that is no Secret's."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from secretsvc.errors import ManifestError, RepeatedError
from secretsvc.manifest import nodes, rules
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.nodes import Mapping, Scalar, Sequence
from secretsvc.manifest.splice import apply
from secretsvc.operations.clear_rest import comments
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Sequence as Sequence_

    from secretsvc.manifest.model import Manifest
    from secretsvc.manifest.nodes import Member, Node
    from secretsvc.manifest.splice import Edit
    from secretsvc.operations.clear_rest import ClearPiece


class Names(Record):
    """The names of Secrets, their fields, and other objects before somebody edits them."""

    fields: set[str]
    secrets: set[str | None]
    others: set[str]
    """Of what has `data` or `stringData` and is no Secret."""

    @classmethod
    def of(cls, manifest: Manifest) -> Names:
        """Return those of a manifest in the clear."""
        fields = {*rules.KNOWN, *(_name(member) for secret in manifest.secrets for member in secret.root.members)}
        return cls(fields, {secret.name for secret in manifest.secrets}, {name for name, _ in _others(manifest)})


def refuse_slips(before: Names, now: Manifest) -> None:
    """Compares what an opened manifest held with what somebody made of it. Raises ManifestError."""
    for secret in now.secrets:
        for member in rules.fields(secret.root):
            if _name(member) not in before.fields:
                raise rules.no_field(member)
    gone = before.secrets - {secret.name for secret in now.secrets} - before.others
    for name, line in _others(now):
        if name in gone:
            hint = "write `apiVersion: v1` and `kind: Secret` again; to take the Secret away, delete all of it"
            raise ManifestError(
                "this is no Secret any more, so its values would stay in the clear", hint=hint, line=line
            )


def held_lines(manifest: Manifest, edits: Sequence_[Edit]) -> set[str]:
    """The lines that hold a value once these edits of values are made."""
    text, place = apply(manifest.text, edits), _moved(edits)
    scalars = [entry.scalar for secret in manifest.secrets for entry in secret.entries]
    return {line for scalar in scalars for line in _lines(text, place(scalar.start), place(scalar.end))}


def refuse_commented(held: set[str], pieces: Iterable[ClearPiece]) -> None:
    """Refuses a comment, of what stays in the clear, of a line that held a value. Raises RepeatedError."""
    for line, text in comments(pieces):
        if text in held:
            raise RepeatedError(
                "a line that held a value is a comment now, so the value would stay in the clear",
                hint="delete it; where it is no secret: --allow-repeated",
                line=line,
            )


def _lines(text: str, start: int, end: int) -> Iterator[str]:
    """The lines of a value with anything in them that tells of it; the first and the last without a comment, too."""
    lines = text[text.rfind("\n", 0, start) + 1 : end].splitlines()
    for line in (*lines, lines[0].partition(" #")[0], lines[-1] + text[end:].partition("\n")[0]):
        bare = line.strip().strip("# \t")
        if any(map(str.isalnum, bare)) and not bare.endswith((":", "|", ">", "|-", ">-")):
            yield bare


def _name(member: Member) -> str:
    return member.key.value if isinstance(member.key, Scalar) else ""


def _others(manifest: Manifest) -> Iterator[tuple[str, int]]:
    """Name and line of every object with `data` or `stringData` that is not taken for a Secret."""
    secrets = {secret.root.start for secret in manifest.secrets}
    for root in _objects(manifest.documents):
        metadata = nodes.member(root, "metadata")
        name = nodes.value(metadata.value, "name") if metadata and isinstance(metadata.value, Mapping) else None
        if (
            root.start not in secrets
            and isinstance(name, Scalar)
            and any(nodes.member(root, field) for field in FIELDS)
        ):
            yield name.value, root.line


def _objects(found: tuple[Node, ...] | list[Node]) -> Iterator[Mapping]:
    """The documents' roots, and the items of lists, each once."""
    seen: set[int] = set()
    waiting = list(reversed(found))
    while waiting:
        node = nodes.resolved(waiting.pop())
        if isinstance(node, Mapping) and id(node) not in seen:
            seen.add(id(node))
            yield node
            items = nodes.value(node, "items")
            if isinstance(items, Sequence) and id(items) not in seen:
                seen.add(id(items))
                waiting += reversed(items.items)


def _moved(edits: Iterable[Edit]) -> Callable[[int], int]:
    """Tells where a place that stands in none of the edits is once they are made."""
    ordered = sorted(edits, key=lambda edit: edit.start)
    starts = [edit.start for edit in ordered]
    shifts = list(accumulate((len(edit.new) - (edit.end - edit.start) for edit in ordered), initial=0))
    return lambda at: at + shifts[bisect_left(starts, at)]
