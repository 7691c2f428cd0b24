"""Sealing, and sealing anew: manifest in the clear, wholly or in part → sealed manifest."""

from __future__ import annotations

from secretsvc import formats, patience
from secretsvc.errors import AlreadySealedError, KeyRefError, ManifestError, UsageError
from secretsvc.formats import lost
from secretsvc.formats.base import Plan, token_of
from secretsvc.keyref import KeyGroups, WrappedKey, divided, locks_out
from secretsvc.manifest import rules
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import apply
from secretsvc.operations import Result
from secretsvc.operations.clear_rest import ClearRest
from secretsvc.operations.open import keyring_for, open_secret, parent_of
from secretsvc.operations.repeats import Known, refuse_repeats
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from secretsvc.formats.base import Format, Opened, Place, Sealed
    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.operations.clear_rest import ClearBefore, ClearPiece
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.open import Parents
    from secretsvc.operations.request import Request


def seal_manifest(data: bytes, request: Request, keyring: Keyring, parents: Parents | None = None) -> Result:
    """The manifest with every Secret that has values sealed; a parent lends keyset, DEK and unchanged tokens.

    No value that is known may stand in what stays clear, as the request says; and the result is opened again in memory,
    and must give the input byte for byte.
    Raises NothingToSealError, AlreadySealedError, ManifestError, RepeatedError, and what backends and opening raise.
    """
    return Pending(read(data), request, keyring, parents).proven()


class Pending:
    """A manifest sealed, and nobody's until `proven` has read it: by then no caller should hold the tree before."""

    def __init__(
        self,
        manifest: Manifest,
        request: Request,
        keyring: Keyring,
        parents: Parents | None = None,
        opened: Mapping[int, Opened] | None = None,
        *,
        others: bool = False,
        gone: Parents | None = None,
        before: ClearBefore | None = None,
    ) -> None:
        """`opened`: Secrets, by index, that the caller opened before changing the text, with entries now in the clear;
        then the others are left alone, unless `others`. `gone`: those that the caller opened and took out. `before`:
        what was in the clear of the manifest that it changed; what was known and clear there already may stay so.

        Raises what `seal_manifest` raises.
        """
        parents, opened = parents or {}, opened or {}
        self._sealing = _Work(_format(manifest, request, parents), manifest, request, keyring).sealed(
            parents, opened, others=others
        )
        self._rest = None
        # Else neither values nor what is in the clear changed.
        if (self._sealing.given or before) and not request.allow_repeated:
            self._rest = ClearRest(manifest, {entry.scalar.start for _, entry in self._sealing.entries})
        self._manifest = formats.outline(manifest)
        self._before = before
        self._held: list[tuple[str, Opened]] = []
        if not request.blind:
            held = (*self._sealing.held, *opened.items())
            self._held += [(manifest.secrets[index].label, one) for index, one in held]
            self._held += [("/".join(filter(None, who)), one) for who, one in (*parents.items(), *(gone or {}).items())]

    @property
    def in_clear(self) -> list[ClearPiece]:
        """Return what of it stays in the clear; nothing where nobody is to look for values there."""
        return self._rest.pieces if self._rest else []

    def proven(self) -> Result:
        """Return what may be written: no value stands in it in the clear, and it opens to what came in."""
        if self._rest:
            refuse_repeats(
                self._manifest, self._rest, _given(self._manifest, self._sealing), _held(self._held), self._before
            )
            self._rest = None  # else it was in memory beside the tree of what is read again
        notes = () if self._before else tuple(_notes(self._sealing))
        _prove(self._manifest, self._sealing)
        return self._sealing.result._replace(notes=notes)


def _notes(sealing: _Sealing) -> Iterator[tuple[int, str]]:
    """Warnings of values that are likely clear text where base64 is wanted."""
    for _, entry in sealing.given:
        if rules.seems_typed(entry):
            what = "decodes as base64, but to no text: clear text goes under stringData, or say --cleartext"
            yield entry.scalar.line, f"{entry.path} {what}"


def _given(manifest: Manifest, sealing: _Sealing) -> Iterator[Known]:
    """The values that came in the clear."""
    for index, entry in sealing.given:
        yield Known(manifest.secrets[index].label, entry.field, entry.key, entry.value)


def _held(held: Iterable[tuple[str, Opened]]) -> Iterator[Known]:
    """The values that were opened, each Secret by its label."""
    for label, opened in held:
        for (field, key), text in opened.texts.items():
            yield Known(label, field, key, text)


class _Sealing(Record):
    """The result of sealing, and which values it knows of, each Secret by its index."""

    format: Format
    result: Result
    plans: Mapping[int, Plan]
    own: Mapping[int, Any]
    """What each envelope says."""
    entries: list[tuple[int, Entry]]
    """Those that are sealed now."""
    given: list[tuple[int, Entry]]
    """Those of them that came in the clear."""
    held: list[tuple[int, Opened]]
    """The Secrets that were opened for it."""


def _format(manifest: Manifest, request: Request, parents: Parents) -> Format:
    """The format that what is not sealed yet gets; a file with a sealed Secret keeps that Secret's."""
    if formats.sealed_in(manifest):
        return formats.of(manifest)
    inherited = {parent.format.name for parent in parents.values()}
    return formats.named(request.format or (inherited.pop() if len(inherited) == 1 else ""))


class _Work:
    """Sealing one manifest in one format."""

    def __init__(self, format_: Format, manifest: Manifest, request: Request, keyring: Keyring) -> None:
        self._format = format_
        self._manifest = manifest
        self._request = request
        self._keyring = keyring

    def sealed(self, parents: Parents, opened: Mapping[int, Opened], *, others: bool) -> _Sealing:
        """Seal as `Pending` says."""
        manifest = self._manifest
        was_sealed = bool(formats.sealed_in(manifest))
        self._refuse_scope()
        candidates = self._candidates(parents, () if others else opened)
        if not candidates and not opened:
            from secretsvc.operations import nothing  # only to tell what is wrong

            raise nothing.nothing_to_seal(manifest)
        rules.check_text(manifest)
        if not was_sealed:
            self._format.check_shape(manifest)
        found = {index: self._plan(index, parent_of(manifest.secrets[index], parents), opened) for index in candidates}
        plans = {index: plan for index, plan in found.items() if plan}
        if not plans and not opened:
            which = f", in {self._format.label}" if self._format is not formats.named("") else ""
            raise AlreadySealedError(f"it is sealed already{which}", hint="--key +REF or -REF changes its keyset")
        made = {index: self._format.seal(manifest, manifest.secrets[index], plan) for index, plan in plans.items()}
        edits = [edit for one in made.values() for edit in one.edits]
        sealed = manifest.encoded(apply(manifest.text, edits))
        entries = [(index, entry) for index in plans for entry in manifest.secrets[index].entries]
        given = [(index, entry) for index, entry in entries if not _was_sealed(plans[index], entry)]
        held = [(index, plan.before) for index, plan in plans.items() if plan.before]
        bound = self._format.binds or not was_sealed
        own = {index: one.own for index, one in made.items()}
        return _Sealing(self._format, Result(sealed, len(plans), bound), plans, own, entries, given, held)

    def _refuse_scope(self) -> None:
        if self._request.scope and not self._format.binds:
            words_are_off = self._request.format == self._format.name  # else this file is in it, and others go on
            raise (UsageError if words_are_off else ManifestError)(
                f"{self._format.label} binds a Secret to no name and no namespace",
                hint="leave --scope away, or use --format ksecret",
            )

    def _candidates(self, parents: Parents, only: Iterable[int]) -> list[int]:
        manifest, chosen = self._manifest, set(only)
        return [
            index
            for index, secret in enumerate(manifest.secrets)
            if (index in chosen or not chosen)
            and (
                secret.entries
                or self._format.is_sealed(manifest, secret)
                or (secret.namespace, secret.name) in parents
                or any(rules.misspelled(secret))
                or self._format.seals_empty(manifest)
            )
        ]

    def _plan(self, index: int, parent: Opened | None, all_opened: Mapping[int, Opened]) -> Plan | None:
        """Return its plan; None where the Secret is sealed already and nothing about it is to change."""
        manifest, request, format_ = self._manifest, self._request, self._format
        secret = manifest.secrets[index]
        opened = all_opened.get(index)
        opened = opened if opened and opened.format is format_ else None
        if not format_.is_sealed(manifest, secret):
            format_.check_values(secret)
            lost.refuse(secret)
            rules.check_secret(secret)
            return self._planned(secret, None, parent)
        current = format_.read(manifest, secret)
        tokens = opened.tokens if opened else None
        in_clear = [entry for entry in secret.entries if not self._is_sealed(entry, tokens)]
        stays = not in_clear and self._stays(secret, current, opened)
        may_mend = format_.proves_values and bool((opened and not opened.proven) or (not opened and request.trust))
        if stays and not may_mend:
            return None
        before = opened or open_secret(manifest, index, self._keyring, request.trust, allow_clear=True)
        if stays and before.proven:
            return None
        before = _still(before, secret)
        self._check(secret, in_clear, before)
        return self._planned(secret, before, before, mends=stays)

    def _is_sealed(self, entry: Entry, tokens: Mapping[Place, str] | None) -> bool:
        """Tell whether a token stands there, one of `tokens` if they are known: no other would be opened."""
        if not self._format.is_token(entry.value):
            return False
        return tokens is None or tokens.get(entry.place) == token_of(entry)

    def _stays(self, secret: Secret, current: Sealed, opened: Opened | None) -> bool:
        """Tell whether nothing about it is to change, all its entries being tokens."""
        request, format_ = self._request, self._format
        fewer = opened is not None and len(secret.entries) < len(opened.tokens)
        return (
            not (fewer and (format_.proves_values or request.renews(secret)))
            and not request.rotates(current.created)
            and request.wanted(current.refs, secret, format_.name) == current.refs
            and format_.bind(secret, request.scope, current) == current.sealed_for
            and not (opened and format_.is_retyped(opened, secret))
        )

    def _check(self, secret: Secret, in_clear: list[Entry], before: Opened) -> None:
        """Refuse what Kubernetes would, as far as the caller may learn of it. Raises ManifestError."""
        format_, clear = self._format, secret._replace(entries=tuple(in_clear))
        format_.check_values(clear)
        lost.refuse(clear)
        if in_clear and not self._request.blind:
            rules.check_secret(secret._replace(entries=tuple(_values(secret, before))))
        else:
            tokens = [entry for entry in secret.entries if format_.is_token(entry.value)] if in_clear else []
            rules.check_secret(clear, sum(map(format_.least_bytes, tokens)))

    def _planned(self, secret: Secret, before: Opened | None, parent: Opened | None, *, mends: bool = False) -> Plan:
        """Plan it, with the parent's DEK where nobody lost a key. `mends`: nothing but its proof is to be another."""
        request, format_ = self._request, self._format
        known = parent if parent and parent.format is format_ else None
        held = parent.refs if parent else ()
        wanted = request.wanted(held, secret, format_.name)
        _refuse_groups(format_, wanted, is_sealed=parent is not None)
        format_.check_keys(wanted)
        sealed_for = format_.bind(secret, request.scope, known.sealed if known else None)
        if known and (
            request.rotates(known.sealed.created)
            or locks_out(held, wanted)
            or sealed_for != known.sealed.sealed_for
            or (request.renews(secret) and not mends)
        ):
            known = None  # who lost a key, or made this one, must not read what comes next: a new DEK, new tokens
        dek = known.dek if known else format_.new_dek()
        keys = self._wrapped(dek, wanted, sealed_for, known)
        if wanted != held:
            request.tell_keyset(secret, wanted)
        created = known.sealed.created if known else request.created
        return Plan(dek, keys, sealed_for, created, before, known, divided(wanted)[1])

    def _wrapped(self, dek: bytes, wanted: Keyset, sealed_for: str, known: Opened | None) -> tuple[WrappedKey, ...]:
        keyring, context = keyring_for(self._format, self._keyring), self._format.context(sealed_for)
        if isinstance(wanted, KeyGroups):
            if known and known.refs == wanted:
                return known.sealed.keys
            return wrapped_shares(keyring, dek, wanted, context)
        kept = [key for key in known.sealed.keys if key.ref in wanted] if known and known.sealed.threshold == 1 else []
        new = [ref for ref in wanted if ref not in {key.ref for key in kept}]
        return (*kept, *(WrappedKey(ref, keyring.wrap(ref, dek, context), context) for ref in new))


def wrapped_shares(keyring: Keyring, dek: bytes, keys: KeyGroups, context: Mapping[str, str]) -> tuple[WrappedKey, ...]:
    """Return a DEK split anew among groups of keys: each member has its group's share wrapped."""
    from secretsvc.operations import shares

    parts = shares.split(dek, len(keys.groups), keys.threshold)
    return tuple(
        WrappedKey(ref, keyring.wrap(ref, parts[number], context), context, number)
        for number, group in enumerate(keys.groups)
        for ref in group
    )


def _refuse_groups(format_: Format, wanted: Keyset, *, is_sealed: bool) -> None:
    """Raises KeyRefError where a format has no groups of keys, and they are wanted."""
    if isinstance(wanted, KeyGroups) and not format_.has_groups:
        anew = "decrypt it, and seal it anew, to keys without groups"
        hint = anew if is_sealed else "name the keys without --group, or use --format ksecret"
        raise KeyRefError(f"{format_.label} has no groups of keys: any one key opens", hint=hint)


def _was_sealed(plan: Plan, entry: Entry) -> bool:
    return plan.before is not None and entry.place in plan.before.values


def _values(secret: Secret, before: Opened) -> Iterator[Entry]:
    """The entries with what tokens stand for in their place; without what is no base64, which others seal too."""
    texts = before.texts
    for entry in secret.entries:
        text = texts.get(entry.place)
        if text is None:
            yield entry
        elif entry.field != "data" or rules.is_base64(text):
            yield entry._replace(scalar=entry.scalar._replace(value=text))


def _still(opened: Opened, secret: Secret) -> Opened:
    """Return what of an opened Secret stands in it still, after some of its text was changed."""
    places = {entry.place for entry in secret.entries if opened.tokens.get(entry.place) == token_of(entry)}
    return opened._replace(
        values={place: value for place, value in opened.values.items() if place in places},
        tokens={place: token for place, token in opened.tokens.items() if place in places},
    )


def _prove(manifest: Manifest, sealing: _Sealing) -> None:
    """Open what is about to be written and compare it with what came in. Raises ManifestError."""
    format_, plans = sealing.format, sealing.plans
    result = manifest if sealing.result.data == manifest.data else read(sealing.result.data)
    if len(result.secrets) != len(manifest.secrets):
        raise ManifestError("the manifest would not hold the same Secrets once sealed", hint="simplify its layout")
    envelopes = {index: _read_again(result, index, sealing) for index in plans}
    result = formats.outline(result)
    opened = {}
    for index, plan in plans.items():
        patience.check()
        opened[index] = format_.open(result.secrets[index], envelopes[index], plan.dek, trust=None, retyped=False)
    before = {index: plan.before for index, plan in plans.items() if plan.before}
    format_.prove(result, opened, manifest, before, list(plans))


def _read_again(result: Manifest, index: int, sealing: _Sealing) -> Sealed:
    secret = result.secrets[index]
    sealed = sealing.format.read(result, secret) if sealing.format.is_sealed(result, secret) else None
    if not sealed or sealed.own != sealing.own[index]:
        raise ManifestError("the envelope does not fit in where this Secret ends", line=secret.line)
    return sealed
