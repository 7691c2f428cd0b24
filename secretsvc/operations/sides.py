"""Whether a merged file in kubesec's format is made of nothing but what its two sides' MACs vouch for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.errors import KsecretError
from secretsvc.manifest.reader import read
from secretsvc.operations.kubesec import open_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.operations.keys import Keyring


def vouched_for(data: bytes, sides: Sequence[bytes], keyring: Keyring) -> bool:
    """Whether each value and each key of `data` is a side's, at its place, where all sides open and have one data key.

    A MAC can't be merged: this is what lets one be made anew without anybody's word for it.
    """
    try:
        opened = [open_file(read(side), keyring, None) for side in sides]
        merged = open_file(read(data), keyring, lambda _: True)
    except (KsecretError, ValueError):
        return False
    if not opened or {one.dek.secret for one in opened} != {merged.dek.secret}:
        return False
    values = {value for one in opened for value in one.tokens.items()}
    keys = {key for one in opened for key in one.envelope.keys}
    return values >= set(merged.tokens.items()) and keys >= set(merged.envelope.keys)
