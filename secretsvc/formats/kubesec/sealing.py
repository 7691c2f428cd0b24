"""Opening, sealing and restoring a file in kubesec's format, the DEK being at hand."""

from __future__ import annotations

from secretsvc import patience
from secretsvc.errors import AlteredError
from secretsvc.formats.base import Made, Opened, Unproven, token_of
from secretsvc.formats.kubesec import envelope
from secretsvc.formats.kubesec.crypto import Dek
from secretsvc.manifest.scalars import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.formats.base import Format, Place, Plan, Sealed, Trust
    from secretsvc.manifest.model import Manifest, Secret


def open_secret(format_: Format, secret: Secret, sealed: Sealed, dek: bytes, *, trust: Trust | None) -> Opened:
    """Return its texts, each token checked, and values and keys against the MAC. Raises AlteredError.

    `trust` is asked where the MAC is missing or does not fit, which knows nothing of entries that are no tokens.
    """
    key, own = Dek(dek), sealed.own
    tokens = format_.tokens(secret)
    opened = Opened(format_, sealed, dek, _texts(secret, key, tokens), tokens)
    if key.mac_fits(own.mac, opened.values, _ids(own)):
        return opened
    why = "its MAC does not fit: a value, or the keyset, was altered" if own.mac else "it has no MAC"
    unproven = Unproven(secret.label, why, tuple(map(str, own.refs)), tuple(f"{a}/{b}" for a, b in tokens))
    if not (trust and trust(unproven)):
        raise AlteredError(why, hint=envelope.RECOMPUTE)
    return opened._replace(proven=False)


def _texts(secret: Secret, key: Dek, tokens: Mapping[Place, str]) -> dict[Place, str]:
    texts = {}
    for entry in secret.entries:
        patience.check()
        place = entry.place
        if place in tokens:
            try:
                texts[place] = key.open_value(tokens[place], entry.key)
            except AlteredError as error:
                error.line = entry.scalar.line
                raise
    return texts


def _ids(own: envelope.Envelope) -> list[str]:
    return [ref.id for ref, _ in envelope.ordered(own.keys)]


def seal_secret(manifest: Manifest, secret: Secret, plan: Plan) -> Made:
    """Return the edits that put tokens, keys and MAC in their places; they stay where their input did."""
    key, known = Dek(plan.dek), plan.known
    keys = envelope.ordered((one.ref, envelope.encoded(one)) for one in plan.keys)
    before = plan.before.values if plan.before else {}
    values = {entry.place: entry.value for entry in secret.entries}
    texts = {place: before.get(place, value) for place, value in values.items()}
    edits = []
    for entry in secret.entries:
        patience.check()
        place = entry.place
        token = plan.kept(place, texts[place]) or key.seal_value(texts[place], entry.key)
        if token != token_of(entry):
            edits.append(replaced(manifest.text, entry, token))
    ids = [ref.id for ref, _ in keys]
    mac = known.sealed.proof if known else ""
    own = envelope.Envelope(
        "4" if any(field == "stringData" for field, _ in texts) else "3",
        keys,
        mac if key.mac_fits(mac, texts, ids) else key.mac(texts, ids),
    )
    return Made([*edits, *envelope.put(manifest.text, own)], own)
