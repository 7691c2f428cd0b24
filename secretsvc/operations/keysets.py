"""Changing whom sealed Secrets are sealed to, and telling beforehand what would change."""

from __future__ import annotations

from itertools import zip_longest

from secretsvc import formats
from secretsvc.errors import AlteredError
from secretsvc.keyref import divided, keyset, told_flattening
from secretsvc.manifest.reader import read
from secretsvc.operations import Result
from secretsvc.operations.open import nothing_sealed, open_secret, open_secrets, refuse_lost
from secretsvc.operations.seal import Pending
from secretsvc.operations.settle import Settled, may_be_settled, settle_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.formats.base import Merges
    from secretsvc.keyref import KeyRef, Keyset
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request


def key_changes(data: bytes, request: Request) -> list[tuple[str, str, bool]]:
    """Label of the Secret, KeyRef, and whether it would come (else go), for every change that the request means.

    Needs no key. Raises NotSealedError, KeyRefError, InputError.
    """
    settled = _without_second_lists(data, request)
    found: list[tuple[str, str, bool]] = []
    for index, secret, held, wanted in _keysets(read(settled.data), request):
        second = set(settled.others[index].refs) if index in settled.others else set()
        found += _changes(secret.label, held, wanted, second)
    return found


def _changes(label: str, held: Keyset, wanted: Keyset, second: set[KeyRef]) -> Iterator[tuple[str, str, bool]]:
    """Yield the changes of one Secret, group by group. `second`: the keys of another list that a merge left."""
    (before, threshold), (after, needed) = divided(held), divided(wanted)
    for number, (old, new) in enumerate(zip_longest(before, after, fillvalue=()), 1):
        where = f"{label}, group {number}" if max(len(before), len(after)) > 1 else label
        for ref in keyset(set(old) ^ set(new)):
            yield where, str(ref), ref in new
    if threshold != needed:
        yield from ((label, f"threshold {count}", count == needed) for count in (threshold, needed))
    for ref in keyset(second - set(held) - set(wanted)):
        yield label, str(ref), False


def change_keys(data: bytes, request: Request, keyring: Keyring) -> Result:
    """The manifest with the keysets that the request means; a Secret that loses a key gets a new DEK.

    Secrets in the clear stay so. Where the request says which keysets are wanted, two key lists that a merge left
    become one. Where nothing is to change, its bytes stay. The notes tell where groups of keys go.
    Raises as `seal_manifest`.
    """
    settled = _without_second_lists(data, request)
    joined = _joined(settled, request, keyring, passes_over=True)
    manifest = read(joined)
    due = {index for index, _, held, wanted in _keysets(manifest, request) if held != wanted or settled.unproven}
    if not due:
        return Result(joined, len(settled.others))
    opened = open_secrets(manifest, keyring, request.trust, only=due)
    request = request._replace(allow_repeated=True)  # it changes neither values nor what is in the clear
    pending = Pending(manifest, request, keyring, opened=opened)
    notes = tuple(_flattening(manifest, request))
    del manifest  # the proof reads another one
    return pending.proven()._replace(notes=notes)


def _flattening(manifest: Manifest, request: Request) -> Iterator[tuple[int, str]]:
    for _, secret, held, wanted in _keysets(manifest, request):
        yield from told_flattening(secret.line, secret.label, len(divided(held)[0]), len(divided(wanted)[0]))


def join_keysets(settled: Settled, request: Request, keyring: Keyring) -> Result:
    """Every key of both lists that a merge left, as each side's seal vouches for its own.

    Raises AlteredError where the other list is not of the same data key, and as `seal_manifest`.
    """
    return Result(_joined(settled, request, keyring, passes_over=False), len(settled.others))


def _joined(settled: Settled, request: Request, keyring: Keyring, *, passes_over: bool) -> bytes:
    """Join the two lists. `passes_over`: a list of another data key, whose keys get this one where wanted."""
    if not settled.others:
        return settled.data
    manifest = read(settled.data)
    refuse_lost(manifest)
    opened = {}
    for index, other in settled.others.items():
        try:
            one = open_secret(manifest, index, keyring)
            opened[index] = _merges(manifest).joined(one, other, manifest.secrets[index])
        except AlteredError:
            if not passes_over:
                raise
    if not opened:
        return settled.data
    wanted = {manifest.secrets[index].root.start: one.refs for index, one in opened.items()}
    request = request._replace(allow_repeated=True, keyset_of=lambda secret: wanted[secret.root.start])
    pending = Pending(manifest, request, keyring, opened=opened)
    del manifest  # the proof reads another one
    return pending.proven().data


def _without_second_lists(data: bytes, request: Request) -> Settled:
    due = request.keyset_of and may_be_settled(data)
    return settle_keys(data) if due else Settled(data, {}, False)


def _merges(manifest: Manifest) -> Merges:
    merges = formats.of(manifest).merges()
    assert merges  # which wrote the second list
    return merges


def _keysets(manifest: Manifest, request: Request) -> Iterator[tuple[int, Secret, Keyset, Keyset]]:
    """Index, Secret, the keyset that it has, and the one that it is to have, of each that is sealed."""
    sealed = formats.sealed_in(manifest)
    if not sealed:
        raise nothing_sealed(manifest)
    for index in sealed:
        secret = manifest.secrets[index]
        held = formats.of(manifest).read(manifest, secret).refs
        yield index, secret, held, request.wanted(held, secret)
