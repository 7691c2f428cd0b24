"""Sealing, and sealing anew: manifest in the clear, wholly or in part → sealed manifest."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from secretsvc import patience
from secretsvc.errors import AlreadySealedError, AlteredError, ManifestError
from secretsvc.formats.ksecret import envelope as ksecret
from secretsvc.formats.ksecret.crypto import BLOCK, NONCE_BYTES, TAG_BYTES, Dek, Payload
from secretsvc.formats.ksecret.values import payload_of, value_of
from secretsvc.manifest import rules
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import inside
from secretsvc.manifest.splice import Edit, append_member, apply, replace_member
from secretsvc.operations.clear_rest import ClearRest
from secretsvc.operations.open import Opened, Place, open_secret, opened_with, parent_of, restore_alike, values_of
from secretsvc.operations.repeats import Known, refuse_repeats
from secretsvc.operations.result import Result, Sealing
from secretsvc.tokens import TOKEN_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.operations.clear_rest import ClearBefore, Piece
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.open import AnyOpened, Parents
    from secretsvc.operations.request import Request


class _Plan(NamedTuple):
    """How one Secret is sealed."""

    dek: Dek
    envelope: ksecret.Envelope
    before: Opened | None
    """What it was opened to, where it was sealed already."""
    known: Opened | None
    """Whose tokens serve again where the payload is the same: a former self's or a parent's, under the same DEK."""


def seal_manifest(
    data: bytes,
    request: Request,
    keyring: Keyring,
    parents: Parents | None = None,
    opened: Mapping[int, AnyOpened] | None = None,
    *,
    others: bool = False,
    gone: Parents | None = None,
    before: ClearBefore | None = None,
) -> Result:
    """The manifest with every Secret that has values sealed; a parent lends keyset, DEK and unchanged tokens.

    `opened`: Secrets, by index, that the caller opened before changing the text, with entries now in the clear; then
    the others are left alone, unless `others`. `gone`: those that the caller opened and took out. `before`: what
    was in the clear of the manifest that it changed. No value that is known may stand in what stays clear, as the
    request says, unless both did `before`; and the result is opened again in memory, and must give the input byte for
    byte.
    Raises NothingToSealError, AlreadySealedError, ManifestError, RepeatedError, and what backends and opening raise.
    """
    return Pending(read(data), request, keyring, parents, opened, others=others, gone=gone, before=before).proven()


class Pending:
    """A manifest sealed, and nobody's until `proven` has read it: by then no caller should hold the tree before.

    Takes what `seal_manifest` takes, and raises the same.
    """

    def __init__(
        self,
        manifest: Manifest,
        request: Request,
        keyring: Keyring,
        parents: Parents | None = None,
        opened: Mapping[int, AnyOpened] | None = None,
        *,
        others: bool = False,
        gone: Parents | None = None,
        before: ClearBefore | None = None,
    ) -> None:
        parents, opened = parents or {}, opened or {}
        if manifest.is_kubesec or _format(manifest, request, parents) == "kubesec":
            from secretsvc.operations import kubesec

            self._sealing = kubesec.seal_file(manifest, request, keyring, parents, opened)
        else:
            self._sealing = _seal_secrets(manifest, request, keyring, parents, opened, others=others)
        self._rest = None
        # Else neither values nor what is in the clear changed.
        if (self._sealing.given or before) and not request.allow_repeated:
            self._rest = ClearRest(manifest, {entry.scalar.start for _, entry in self._sealing.entries})
        self._manifest = manifest.outline()
        self._before = before
        self._held: list[tuple[str, AnyOpened]] = []
        if not request.blind:
            held = (*self._sealing.held, *opened.items())
            self._held += [(manifest.secrets[index].label, one) for index, one in held]
            self._held += [("/".join(filter(None, who)), one) for who, one in (*parents.items(), *(gone or {}).items())]

    @property
    def in_clear(self) -> list[Piece]:
        """What of it stays in the clear; nothing where nobody is to look for values there."""
        return self._rest.pieces if self._rest else []

    def proven(self) -> Result:
        """What may be written: no value stands in it in the clear, and it opens to what came in."""
        if self._rest:
            refuse_repeats(
                self._manifest, self._rest, _given(self._manifest, self._sealing), _held(self._held), self._before
            )
            self._rest = None  # else it was in memory beside the tree of what is read again
        notes = () if self._before else tuple(_notes(self._sealing))
        self._sealing.prove()
        return self._sealing.result._replace(notes=notes)


def _notes(sealing: Sealing) -> Iterator[tuple[int, str]]:
    """Warnings of values that are likely clear text where base64 is wanted."""
    for _, entry in sealing.given:
        if rules.seems_typed(entry):
            what = "decodes as base64, but to no text: clear text goes under stringData, or say --cleartext"
            yield entry.scalar.line, f"{entry.path} {what}"


def _given(manifest: Manifest, sealing: Sealing) -> Iterator[Known]:
    """The values that came in the clear."""
    for index, entry in sealing.given:
        yield Known(manifest.secrets[index].label, entry.field, entry.key, entry.value)


def _held(held: Iterable[tuple[str, AnyOpened]]) -> Iterator[Known]:
    """The values that were opened, each Secret by its label."""
    for label, opened in held:
        for (field, key), text in values_of(opened).items():
            yield Known(label, field, key, text)


def _seal_secrets(
    manifest: Manifest,
    request: Request,
    keyring: Keyring,
    parents: Parents,
    opened: Mapping[int, AnyOpened],
    *,
    others: bool,
) -> Sealing:
    candidates = {
        index: secret
        for index, secret in enumerate(manifest.secrets)
        if (
            secret.entries
            or secret.envelope
            or (secret.namespace, secret.name) in parents
            or any(rules.misspelled(secret))
        )
        and (index in opened or others or not opened)
    }
    if not candidates and not opened:
        from secretsvc.manifest import foreign  # only to tell what is wrong

        raise foreign.nothing_to_seal(manifest)
    rules.check_text(manifest)
    plans = {}
    for index, secret in candidates.items():
        before = opened.get(index)
        plan = _plan(secret, request, keyring, parent_of(secret, parents), before if _is_ours(before) else None)
        if plan:
            plans[index] = plan
    if not plans and not opened:
        raise AlreadySealedError("it is sealed already", hint="--key +REF or -REF changes its keyset")
    edits = [edit for index, plan in plans.items() for edit in _edits(manifest, manifest.secrets[index], plan)]
    sealed = manifest.encoded(apply(manifest.text, edits))
    prove = partial(_prove, manifest.outline(), sealed, plans)
    entries = [(index, entry) for index in plans for entry in manifest.secrets[index].entries]
    given = [(index, entry) for index, entry in entries if not _was_sealed(plans[index], entry)]
    held = [(index, plan.before) for index, plan in plans.items() if plan.before]
    return Sealing(Result(sealed, len(plans)), entries, given, held, prove)


def _was_sealed(plan: _Plan, entry: Entry) -> bool:
    return plan.before is not None and (entry.field, entry.key) in plan.before.payloads


def _format(manifest: Manifest, request: Request, parents: Parents) -> str:
    """The format that what is not sealed yet gets; a file with a sealed Secret keeps that Secret's."""
    if any(secret.envelope for secret in manifest.secrets):
        return "ksecret"
    inherited = {parent.format for parent in parents.values()}
    return request.format or ("kubesec" if inherited == {"kubesec"} else "ksecret")


def _is_ours(opened: AnyOpened | None) -> TypeGuard[Opened]:
    return opened is not None and opened.format == "ksecret"


def _plan(
    secret: Secret, request: Request, keyring: Keyring, parent: AnyOpened | None, opened: Opened | None
) -> _Plan | None:
    """None where the Secret is sealed already and nothing about it is to change."""
    if not secret.envelope:
        rules.check_secret(secret)
        return _planned(secret, request, keyring, None, parent)
    current = ksecret.read(secret.envelope)
    in_clear = [entry for entry in secret.entries if not ksecret.is_token(entry.value)]
    if (
        not in_clear
        and not (opened and len(secret.entries) < len(opened.tokens) and request.renews(secret))
        and not request.rotates(current.created)
        and request.wanted(current.refs, secret, "ksecret") == current.refs
        and _bound(secret, request, current) == current.sealed_for
        and not (opened and _is_of_another_type(opened, secret))
    ):
        return None
    before = _still(opened, secret) if opened else open_secret(secret, keyring, allow_clear=True)
    if in_clear and not request.blind:
        rules.check_secret(secret._replace(entries=tuple(_values(secret, before))))
    else:
        kept = sum(_least_bytes(entry) for entry in secret.entries if ksecret.is_token(entry.value)) if in_clear else 0
        rules.check_secret(secret._replace(entries=tuple(in_clear)), kept)
    return _planned(secret, request, keyring, before, before)


def _is_of_another_type(opened: Opened, secret: Secret) -> bool:
    """Whether the caller gave it another type since."""
    current = opened.envelope
    return not opened.dek.seal_fits(current.seal, current.sealed_for, secret.type, current.created, list(current.keys))


def _values(secret: Secret, before: Opened) -> Iterator[Entry]:
    """The entries with what tokens stand for in their place."""
    for entry in secret.entries:
        payload = before.payloads.get((entry.field, entry.key))
        yield entry._replace(scalar=entry.scalar._replace(value=value_of(payload))) if payload else entry


def _least_bytes(entry: Entry) -> int:
    """Of a sealed value, as far as its token tells: it may be a block longer, and by a third where it is base64."""
    encoded = len(ksecret.token(entry)) - len(TOKEN_PREFIX)
    padded = max(0, encoded // 4 * 3 - NONCE_BYTES - TAG_BYTES - BLOCK)
    return padded if entry.field == "stringData" else padded // 4 * 3


def _still(opened: Opened, secret: Secret) -> Opened:
    """What of an opened Secret stands in it still, after some of its text was changed."""
    places = {
        (entry.field, entry.key)
        for entry in secret.entries
        if opened.tokens.get((entry.field, entry.key)) == ksecret.token(entry)
    }
    return opened._replace(
        payloads={place: payload for place, payload in opened.payloads.items() if place in places},
        tokens={place: token for place, token in opened.tokens.items() if place in places},
    )


def _bound(secret: Secret, request: Request, current: ksecret.Envelope | None) -> str:
    return ksecret.bind(secret, request.scope or (ksecret.scope_of(current.sealed_for) if current else "strict"))


def _planned(
    secret: Secret, request: Request, keyring: Keyring, before: Opened | None, parent: AnyOpened | None
) -> _Plan:
    known = parent if _is_ours(parent) else None
    held = parent.refs if parent else ()
    wanted = request.wanted(held, secret, "ksecret")
    sealed_for = _bound(secret, request, known.envelope if known else None)
    if known and (
        request.rotates(known.envelope.created)
        or set(held) - set(wanted)
        or sealed_for != known.envelope.sealed_for
        or request.renews(secret)
    ):
        known = None  # who lost a key, or made this one, must not read what comes next: a new DEK, new tokens
    dek = known.dek if known else Dek.new()
    created = known.envelope.created if known else request.created
    kept = known.envelope.keys if known else {}
    context = ksecret.context(sealed_for)
    keys = {
        str(ref): kept.get(str(ref)) or b64encode(keyring.wrap(ref, dek.secret, context)).decode() for ref in wanted
    }
    seal = dek.seal(sealed_for, secret.type, created, list(keys))
    if set(wanted) != set(held):
        request.tell_keyset(secret, wanted)
    return _Plan(dek, ksecret.Envelope(sealed_for, created, keys, seal), before, known)


def _edits(manifest: Manifest, secret: Secret, plan: _Plan) -> Iterator[Edit]:
    sealed_for = plan.envelope.sealed_for
    for entry in secret.entries:
        patience.check()
        at = (entry.field, entry.key)
        payload = plan.before.payloads.get(at) if plan.before else None
        if payload is None:
            payload = payload_of(manifest.text, entry)
        token = _known_token(plan, at, payload) or plan.dek.seal_value(payload, sealed_for, *at)
        if token != ksecret.token(entry):
            place = inside(manifest.text, entry)
            yield Edit(place.start, place.end, " " * place.indent + token)
    if secret.envelope:
        yield replace_member(
            manifest.text, secret.root, secret.envelope, lambda layout: ksecret.render(plan.envelope, layout)
        )
    else:
        yield append_member(manifest.text, secret.root, lambda layout: ksecret.render(plan.envelope, layout))


def _known_token(plan: _Plan, at: Place, payload: Payload) -> str:
    if plan.known and plan.known.payloads.get(at) == payload:
        return plan.known.tokens[at]
    return ""


def _prove(manifest: Manifest, sealed: bytes, plans: dict[int, _Plan]) -> None:
    """Opens what is about to be written and compares it with what came in. Raises ManifestError."""
    before = {index: plan.before.payloads for index, plan in plans.items() if plan.before}
    result = manifest if sealed == manifest.data else read(sealed).outline()
    if len(result.secrets) != len(manifest.secrets):
        raise _not_restored()
    opened = {index: _reopened(result.secrets[index], plan) for index, plan in plans.items()}
    try:
        if restore_alike((result, opened), (manifest, before)):
            return
    except AlteredError:
        pass
    for index in plans:
        for entry in manifest.secrets[index].entries:
            if not ksecret.is_token(entry.value) and not _restorable(
                entry, opened[index].get((entry.field, entry.key))
            ):
                raise ManifestError(
                    f"{entry.path} is written in a style that can't be restored exactly",
                    hint="write it as a double-quoted value or a simple block",
                    line=entry.scalar.line,
                )
    raise _not_restored()


def _not_restored() -> ManifestError:
    return ManifestError(
        "the manifest could not be restored byte for byte once sealed", hint="simplify the layout around its Secrets"
    )


def _reopened(secret: Secret, plan: _Plan) -> dict[Place, Payload]:
    if not secret.envelope or ksecret.read(secret.envelope) != plan.envelope:
        raise ManifestError("the envelope does not fit in where this Secret ends", line=secret.line)
    return opened_with(plan.dek, secret, plan.envelope).payloads


def _restorable(entry: Entry, payload: Payload | None) -> bool:
    try:
        return payload is not None and value_of(payload) == entry.value
    except ValueError:
        return False
