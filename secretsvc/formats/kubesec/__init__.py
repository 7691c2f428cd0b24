"""kubesec's format, its facts and verbs: one Secret per file, its envelope in comment lines (FORMAT)."""

from __future__ import annotations

from secretsvc.errors import AlteredError, KsecretError, ManifestError
from secretsvc.formats.base import Examined, Format, Sealed, decoded
from secretsvc.formats.kubesec import envelope
from secretsvc.formats.kubesec.envelope import RECOMPUTE
from secretsvc.keyref import WrappedKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.formats.base import Made, Mark, Merges, Opened, Plan, Trust
    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.splice import Edit

_LONG_LINE = r"(?m)^(# kubesec:(?:mac|[a-z]+:.+):)([A-Za-z0-9+/=.]+)(?=\r?$)"


class Kubesec(Format):
    """One Secret in a file, its values and keys proven by a MAC, which covers no name."""

    name = "kubesec"
    label = "kubesec's format"
    proves_values = True
    signed = True
    default_key = "pgp:default"
    whole_file = True
    comments = "# kubesec:"

    def check_owner(self, manifest: Manifest) -> None:
        if envelope.VERSION_LINE in manifest.text:
            envelope.check_owner(manifest)

    def is_token(self, value: str) -> bool:
        return envelope.is_token(value)

    def read(self, manifest: Manifest, secret: Secret) -> Sealed:
        _, own = envelope.read(manifest)
        keys = tuple(WrappedKey(ref, decoded(text), source=text) for ref, text in own.keys)
        version = f"kubesec v{own.version}{'' if own.mac else ', no MAC'}"
        return Sealed(_first_line(manifest), version, keys, "", "", own.mac, own)

    def examine(self, manifest: Manifest, secret: Secret) -> Examined:
        line = _first_line(manifest)
        try:
            _, own = envelope.read(manifest)
        except KsecretError as error:
            return Examined(line, envelope.is_token, ((error.line or line, "KS006", error.message),))
        is_broken = own.version in ("3", "4") and not envelope.is_mac(own.mac)
        flaws = ((line, "KS006", "kubesec's line with the MAC is missing or broken"),) if is_broken else ()
        return Examined(line, envelope.is_token, flaws, (tuple(map(str, own.refs)),))

    def check_provable(self, sealed: Sealed) -> None:
        if not sealed.proof:
            what = f"it has no MAC (version {sealed.own.version} of kubesec's format)"
            raise AlteredError(what, hint=RECOMPUTE)

    def check_shape(self, manifest: Manifest) -> None:
        envelope.check_shape(manifest)

    def check_values(self, secret: Secret) -> None:
        for entry in secret.entries:
            if "\0" in entry.value:
                raise ManifestError(
                    f"{entry.path} holds a NUL, which ends a text in kubesec's format",
                    hint="put it under data, as base64, or use --format ksecret",
                    line=entry.scalar.line,
                )

    def check_keys(self, refs: Keyset) -> None:
        envelope.check_keys(refs)

    def seals_empty(self, manifest: Manifest) -> bool:
        return envelope.is_alone(manifest)  # as kubesec does

    def open(self, secret: Secret, sealed: Sealed, dek: bytes, *, trust: Trust | None, retyped: bool) -> Opened:
        from secretsvc.formats.kubesec import sealing

        return sealing.open_secret(self, secret, sealed, dek, trust=trust)

    def seal(self, manifest: Manifest, secret: Secret, plan: Plan) -> Made:
        from secretsvc.formats.kubesec import sealing

        return sealing.seal_secret(manifest, secret, plan)

    def with_keys(self, own: envelope.Envelope, keys: Sequence[WrappedKey]) -> envelope.Envelope:
        return own._replace(keys=tuple((key.ref, envelope.encoded(key)) for key in keys))

    def put(self, manifest: Manifest, secret: Secret, own: envelope.Envelope) -> list[Edit]:
        return envelope.put(manifest.text, own)

    def removed(self, text: str, secret: Secret) -> list[Edit]:
        return envelope.remove(text)

    def swept(self, text: str, mark: Mark) -> str:
        if envelope.VERSION_LINE not in text:
            return text
        import re

        def line(found: re.Match[str]) -> str:
            if found[1] == "# kubesec:v:":
                return found[0]
            return found[1] + mark("mac" if found[1] == "# kubesec:mac:" else "wrapped", found[2])

        return re.sub(_LONG_LINE, line, text)

    def lost(self, path: str, text: str) -> tuple[str, str] | None:
        if envelope.is_token(text):
            hint = "restore the file from Git, with its `# kubesec:` lines, or put the clear value there"
            return f"{path} is a token of kubesec's, and nothing opens it here", hint
        return None

    def merges(self) -> Merges:
        from secretsvc.formats.kubesec.merge import KubesecMerges

        return KubesecMerges()


def _first_line(manifest: Manifest) -> int:
    return manifest.text.count("\n", 0, manifest.text.index(envelope.VERSION_LINE)) + 2


FORMAT = Kubesec()
