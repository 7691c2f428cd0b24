"""Opening and sealing a file in kubesec's format."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import patience
from secretsvc.errors import (
    AlreadySealedError,
    AlteredError,
    ManifestError,
    UsageError,
)
from secretsvc.formats.kubesec import envelope as kubesec
from secretsvc.formats.kubesec.crypto import Dek, armoured
from secretsvc.keyref import keyset
from secretsvc.manifest import rules
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import canonical, replaced
from secretsvc.manifest.splice import apply
from secretsvc.operations.open import parent_of
from secretsvc.operations.request import Unproven
from secretsvc.operations.result import Result, Sealing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.keyref import KeyRef, Keyset
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.open import AnyOpened, Parents, Place, Trust
    from secretsvc.operations.request import Request

_RECOMPUTE = "look at its history in Git; if it is as it should be: ksecret encrypt -i --recompute-mac"


class Opened(NamedTuple):
    """A file opened: its DEK, its envelope, and the text and token of each sealed entry."""

    dek: Dek
    envelope: kubesec.Envelope
    texts: dict[Place, str]
    tokens: dict[Place, str]

    @property
    def format(self) -> str:
        return "kubesec"

    @property
    def refs(self) -> Keyset:
        return keyset(self.envelope.refs)

    def __repr__(self) -> str:
        return "Opened(masked)"


def open_file(manifest: Manifest, keyring: Keyring, trust: Trust | None, *, allow_clear: bool = False) -> Opened:
    """The one Secret of the file, its values and keys checked against the MAC.

    `allow_clear` passes over entries that are no tokens, which sealing anew then seals; the MAC knows nothing of them.
    `trust` is asked where the MAC is missing or does not fit. Raises AlteredError, NoKeyError, BackendError,
    ManifestError.
    """
    secret, envelope = kubesec.read(manifest)
    tokens = {
        (entry.field, entry.key): kubesec.token(entry) for entry in secret.entries if kubesec.is_token(entry.value)
    }
    for entry in secret.entries:
        if (entry.field, entry.key) not in tokens and not allow_clear:
            raise AlteredError(
                f"{entry.path} is not sealed, in a Secret that is",
                hint="ksecret encrypt seals it too; or restore the file from Git",
                line=entry.scalar.line,
            )
    if not envelope.mac and not trust:
        raise AlteredError(f"it has no MAC (version {envelope.version} of kubesec's format)", hint=_RECOMPUTE)
    dek = Dek(keyring.signed().unwrap({str(ref): wrapped for ref, wrapped in envelope.keys}, {}))
    opened = Opened(dek, envelope, _texts(secret, dek, tokens), tokens)
    if not dek.mac_fits(envelope.mac, opened.texts, _ids(envelope)):
        why = "its MAC does not fit: a value, or the keyset, was altered" if envelope.mac else "it has no MAC"
        unproven = Unproven(secret.label, why, tuple(map(str, envelope.refs)), tuple(f"{a}/{b}" for a, b in tokens))
        if not (trust and trust(unproven)):
            raise AlteredError(why, hint=_RECOMPUTE)
    return opened


def _texts(secret: Secret, dek: Dek, tokens: Mapping[Place, str]) -> dict[Place, str]:
    texts = {}
    for entry in secret.entries:
        patience.check()
        place = (entry.field, entry.key)
        if place in tokens:
            try:
                texts[place] = dek.open_value(tokens[place], entry.key)
            except AlteredError as error:
                error.line = entry.scalar.line
                raise
    return texts


def _ids(envelope: kubesec.Envelope) -> list[str]:
    return [ref.id for ref, _ in kubesec.ordered(envelope.keys)]


def restore(manifest: Manifest, texts: Mapping[Place, str]) -> Manifest:
    """The manifest with the values in the clear, plain or double-quoted, and without the envelope.

    Raises AlteredError where the result would not hold exactly these values.
    """
    (secret,) = manifest.secrets
    edits = [
        replaced(manifest.text, entry, canonical(texts[entry.field, entry.key], flow=entry.flow))
        for entry in secret.entries
        if (entry.field, entry.key) in texts
    ]
    clear = read(manifest.encoded(apply(manifest.text, [*edits, *kubesec.remove(manifest.text)])))
    if len(clear.secrets) != 1 or clear.is_kubesec or _values(clear.secrets[0]) != _values(secret) | dict(texts):
        raise AlteredError("the values can't be written back where the tokens stand", hint="restore the file from Git")
    return clear


def _values(secret: Secret) -> dict[Place, str]:
    return {(entry.field, entry.key): entry.value for entry in secret.entries}


def seal_file(
    manifest: Manifest, request: Request, keyring: Keyring, parents: Parents, opened: Mapping[int, AnyOpened]
) -> Sealing:
    """A file in the clear, in part or wholly, sealed; tokens, wrapped DEKs and MAC stay where their input did.

    Raises as `seal.seal_manifest`; KeyRefError for keys that the format has no line for; UsageError for a scope.
    """
    if request.scope:
        words_are_off = request.format == "kubesec"  # else it is this file that is in that format, and others go on
        raise (UsageError if words_are_off else ManifestError)(
            "kubesec's format binds a Secret to no name and no namespace",
            hint="leave --scope away, or use --format ksecret",
        )
    rules.check_text(manifest)
    own = opened.get(0)
    if manifest.is_kubesec:
        own = own or _own(manifest, request, keyring)
    else:
        held = any(secret.entries or any(rules.misspelled(secret)) for secret in manifest.secrets)
        if not held and not kubesec.is_alone(manifest):  # kubesec gives a Secret without values its lines, too
            from secretsvc.manifest import foreign  # only to tell what is wrong

            raise foreign.nothing_to_seal(manifest)
        kubesec.check_shape(manifest)
    secret = manifest.secrets[0]
    parent = own or parent_of(secret, parents)
    texts = _clear_texts(secret, own if isinstance(own, Opened) else None)
    dek, envelope, tokens = _sealed(secret, texts, request, keyring, parent)
    edits = [
        replaced(manifest.text, entry, tokens[entry.field, entry.key])
        for entry in secret.entries
        if kubesec.token(entry) != tokens[entry.field, entry.key]
    ]
    sealed = manifest.encoded(apply(manifest.text, [*edits, *kubesec.put(manifest.text, envelope)]))
    prove = partial(_prove, sealed, manifest.outline().secrets[0], dek, envelope, texts)
    entries = [(0, entry) for entry in secret.entries]
    kept = own.tokens if isinstance(own, Opened) else {}
    given = [(0, entry) for _, entry in entries if kept.get((entry.field, entry.key)) != kubesec.token(entry)]
    result = Result(sealed, 1, bound=not manifest.is_kubesec)
    return Sealing(result, entries, given, [(0, own)] if own else [], prove)


def _own(manifest: Manifest, request: Request, keyring: Keyring) -> Opened:
    """The file opened as it is. Raises AlreadySealedError where nothing about it is to change."""
    secret, envelope = kubesec.read(manifest)
    held = keyset(envelope.refs)
    sealed = all(kubesec.is_token(entry.value) for entry in secret.entries)
    same = sealed and not request.rotates("") and request.wanted(held, secret, "kubesec") == held
    nothing = AlreadySealedError(
        "it is sealed already, in kubesec's format", hint="--key +REF or -REF changes its keyset"
    )
    if same and not request.trust:
        raise nothing
    before = open_file(manifest, keyring, request.trust, allow_clear=True)
    if same and before.dek.mac_fits(envelope.mac, before.texts, _ids(envelope)):
        raise nothing
    return before


def _clear_texts(secret: Secret, own: Opened | None) -> dict[Place, str]:
    """Every entry's text: from where its token was opened, or as it stands. Raises ManifestError."""
    texts = {}
    in_clear = []
    for entry in secret.entries:
        place = (entry.field, entry.key)
        if own and own.tokens.get(place) == kubesec.token(entry):
            texts[place] = own.texts[place]
            continue
        in_clear.append(entry)
        texts[place] = entry.value
        if "\0" in entry.value:
            raise ManifestError(
                f"{entry.path} holds a NUL, which ends a text in kubesec's format",
                hint="put it under data, as base64, or use --format ksecret",
                line=entry.scalar.line,
            )
    rules.check_secret(secret._replace(entries=tuple(in_clear)))
    return texts


def _sealed(
    secret: Secret, texts: Mapping[Place, str], request: Request, keyring: Keyring, parent: AnyOpened | None
) -> tuple[Dek, kubesec.Envelope, dict[Place, str]]:
    """DEK, envelope and tokens for these texts; with a parent's of the same format where nobody lost a key."""
    held = parent.refs if parent else ()
    wanted = request.wanted(held, secret, "kubesec")
    kubesec.check_keys(wanted)
    known = parent if isinstance(parent, Opened) else None
    listed = [ref for ref in known.envelope.refs if ref in wanted] if known else []
    same = known is not None and known.texts == texts and len(listed) == len(wanted)
    if known and (
        request.rotates("") or len(listed) < len(known.envelope.refs) or (not same and request.renews(secret))
    ):
        known = None
    dek = known.dek if known else Dek.new()
    kept = dict(known.envelope.keys) if known else {}
    listed += [ref for ref in wanted if ref not in listed]
    keys = kubesec.ordered((ref, kept.get(ref) or _wrapped(ref, dek, keyring)) for ref in listed)
    tokens = {}
    for (field, key), text in texts.items():
        patience.check()
        kept_token = known.tokens[field, key] if known and known.texts.get((field, key)) == text else ""
        tokens[field, key] = kept_token or dek.seal_value(text, key)
    ids = [ref.id for ref, _ in keys]
    mac = known.envelope.mac if known and dek.mac_fits(known.envelope.mac, texts, ids) else dek.mac(texts, ids)
    version = "4" if any(field == "stringData" for field, _ in texts) else "3"
    if set(wanted) != set(held):
        request.tell_keyset(secret, wanted)
    return dek, kubesec.Envelope(version, keys, mac), tokens


def _wrapped(ref: KeyRef, dek: Dek, keyring: Keyring) -> str:
    """Base64 of the DEK wrapped under one KEK: by KMS without a context; by PGP signed, as armoured text."""
    wrapped = keyring.signed().wrap(ref, dek.secret, {})
    return b64encode(armoured(wrapped) if ref.scheme == "pgp" else wrapped).decode()


def _prove(sealed: bytes, secret: Secret, dek: Dek, envelope: kubesec.Envelope, texts: Mapping[Place, str]) -> None:
    """Opens what is about to be written and compares it with what came in. Raises ManifestError."""
    now, read_envelope = kubesec.read(read(sealed))
    tokens = {(entry.field, entry.key): kubesec.token(entry) for entry in now.entries}
    same = (now.namespace, now.name, now.type) == (secret.namespace, secret.name, secret.type)
    if not same or read_envelope != envelope or _texts(now, dek, tokens) != texts:
        raise ManifestError(
            "the manifest would not hold the same values once sealed in kubesec's format",
            hint="simplify the layout around its Secret, or use --format ksecret",
            line=secret.line,
        )
