"""A check that a merged file is made of nothing but what its two sides' MACs vouch for."""

from __future__ import annotations

from secretsvc.errors import KsecretError
from secretsvc.manifest.reader import read
from secretsvc.operations.open import open_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.keyref import KeyRef, WrappedKey
    from secretsvc.operations.keyring import Keyring


def vouched_for(data: bytes, sides: Sequence[bytes], keyring: Keyring) -> bool:
    """Tell if each value and key of `data` is a side's, at its place, where all sides open and have one data key.

    A MAC can't be merged: this is what lets one be made anew without anybody's word for it.
    """
    try:
        opened = [one for side in sides for one in open_secrets(read(side), keyring).values()]
        (merged,) = open_secrets(read(data), keyring, lambda _: True).values()
    except (KsecretError, ValueError):
        return False
    if not opened or {one.dek for one in opened} != {merged.dek}:
        return False
    values = {value for one in opened for value in one.tokens.items()}
    keys = {_named(key) for one in opened for key in one.sealed.keys}
    return values >= set(merged.tokens.items()) and keys >= set(map(_named, merged.sealed.keys))


def _named(key: WrappedKey) -> tuple[KeyRef, str]:
    return key.ref, key.source
