"""The facts and verbs of format *ksecret v1*."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsvc.backends import stated
from secretsvc.formats.base import Format, Sealed, decoded
from secretsvc.formats.ksecret import envelope
from secretsvc.keyref import WrappedKey
from secretsvc.manifest.reader import ENVELOPE
from secretsvc.manifest.splice import Edit, remove_member
from secretsvc.tokens import TOKEN_PREFIX, WHOLE_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretsvc.formats.base import Examined, Mark
    from secretsvc.formats.merge import Merges
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.nodes import Scalar

_TOKEN_ANYWHERE = r"ksecret\.v1\.[A-Za-z0-9+/]+={0,2}"  # noqa: S105


class Ksecret(Format):
    """Secrets sealed one by one, bound to their identity by every token and by the seal."""

    name = "ksecret"
    label = "ksecret's format"
    binds = True
    proves_values = False
    signed = False
    default_key = ""
    member = ENVELOPE

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        return secret.envelope is not None

    def is_token(self, value: str) -> bool:
        return envelope.is_token(value)

    def is_whole(self, value: str) -> bool:
        return re.fullmatch(WHOLE_TOKEN, value.rstrip("\n")) is not None

    def read(self, manifest: Manifest, secret: Secret) -> Sealed:
        assert secret.envelope
        own = envelope.read(secret.envelope)
        context = envelope.context(own.sealed_for)
        keys = tuple(
            WrappedKey(ref, decoded(text), context, source=text)
            for ref, text in zip(map(stated, own.keys), own.keys.values(), strict=True)
        )
        line = secret.envelope.key.line
        return Sealed(line, f"ksecret v{envelope.VERSION}", keys, own.sealed_for, own.created, own.seal, own)

    def examine(self, manifest: Manifest, secret: Secret) -> Examined:
        from secretsvc.formats.ksecret.check import examine

        return examine(secret)

    def bind(self, secret: Secret, scope: str, before: Sealed | None) -> str:
        return envelope.bind(secret, scope or (envelope.scope_of(before.sealed_for) if before else "strict"))

    def removed(self, manifest: Manifest, secret: Secret) -> list[Edit]:
        return [remove_member(manifest.text, secret.root, secret.envelope)] if secret.envelope else []

    def shortened(self, secret: Secret, mark: Mark, name: Callable[[str], str]) -> Iterator[Edit]:
        found = envelope.standing(secret)
        if found:
            for ref, wrapped in found.keys.items():
                yield _in_quotes(f"wrapped for {name(ref)}" if name(ref) else "wrapped", wrapped, mark)
            yield _in_quotes("seal", found.seal, mark)

    def swept(self, text: str, mark: Mark) -> str:
        if TOKEN_PREFIX not in text:
            return text
        return re.sub(_TOKEN_ANYWHERE, lambda found: mark("sealed", found[0]), text)

    def merges(self) -> Merges:
        from secretsvc.formats.ksecret.merge import KsecretMerges

        return KsecretMerges()


def _in_quotes(what: str, scalar: Scalar, mark: Mark) -> Edit:
    inset = 1 if scalar.style in ("'", '"') else 0
    return Edit(scalar.start + inset, scalar.end - inset, mark(what, scalar.value))


FORMAT = Ksecret()
