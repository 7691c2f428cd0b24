"""Places that both sides changed, where Git's lines touch each other and the values in them don't."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.operations.documents.marks import Marks
    from secretsvc.programs.git import Hunk


def united(hunk: Hunk, marks: Marks, *, theirs_first: bool) -> bytes | None:
    """Return the lines with what both sides did to a mapping's values; None where they did it to one value.

    What they added stands one after the other. Whether it is where it belongs is to be seen once all of it is read.
    """
    ours, theirs = marks.members(hunk.ours), marks.members(hunk.theirs)
    if not hunk.base and ours and theirs and ours.isdisjoint(theirs):
        return hunk.theirs + hunk.ours if theirs_first else hunk.ours + hunk.theirs
    versions = [marks.lines_of_members(lines) for lines in (hunk.base, hunk.ours, hunk.theirs)]
    found = [one for one in versions if one is not None]
    return _member_by_member(*found, theirs_first=theirs_first) if len(found) == 3 else None


def _member_by_member(
    base: dict[bytes, bytes], ours: dict[bytes, bytes], theirs: dict[bytes, bytes], *, theirs_first: bool
) -> bytes | None:
    """By a member's place: its lines of the side that changed them; nothing where a side took it away."""
    kept = []
    for place in {**theirs, **ours} if theirs_first else {**ours, **theirs}:
        before, left, right = base.get(place), ours.get(place), theirs.get(place)
        if left != right and before not in (left, right):
            return None
        taken = right if left == before else left
        kept.append(taken or b"")
    return b"".join(kept)
