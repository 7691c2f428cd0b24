"""Format *ksecret v1*, its facts and verbs: Secrets sealed one by one, each with its envelope as a member (FORMAT)."""

from __future__ import annotations

from secretsvc.formats.base import Format, Sealed
from secretsvc.formats.ksecret import envelope
from secretsvc.formats.ksecret.envelope import TOKEN_PREFIX, WHOLE_TOKEN
from secretsvc.manifest.splice import Edit, append_member, remove_member, replace_member
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from secretsvc.formats.base import Examined, Made, Mark, Merges, Opened, Plan, Trust
    from secretsvc.formats.ksecret.crypto import Payload
    from secretsvc.keyref import WrappedKey
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.manifest.nodes import Scalar
    from secretsvc.manifest.splice import Layout

_WHOLE_TOKEN = pattern(WHOLE_TOKEN)
_TOKEN_ANYWHERE = pattern(r"ksecret\.v1\.[A-Za-z0-9+/]+={0,2}")


class Ksecret(Format):
    """Secrets sealed one by one, bound to their identity by every token and by the seal."""

    name = "ksecret"
    label = "ksecret's format"
    binds = True
    has_groups = True
    member = envelope.ENVELOPE
    encoded = "a3NlY3JldC52MS"

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        return envelope.member_of(secret) is not None

    def is_token(self, value: str) -> bool:
        return envelope.is_token(value)

    def is_whole(self, value: str) -> bool:
        return _WHOLE_TOKEN.fullmatch(value.rstrip("\n")) is not None

    def read(self, manifest: Manifest, secret: Secret) -> Sealed:
        member = envelope.member_of(secret)
        assert member
        return envelope.sealed(member)

    def examine(self, manifest: Manifest, secret: Secret) -> Examined:
        from secretsvc.formats.ksecret.check import examine

        return examine(secret)

    def bind(self, secret: Secret, scope: str, before: Sealed | None) -> str:
        return envelope.bind(secret, scope or (envelope.scope_of(before.sealed_for) if before else "strict"))

    def context(self, sealed_for: str) -> Mapping[str, str]:
        return envelope.context(sealed_for)

    def check_bound(self, secret: Secret, sealed: Sealed) -> None:
        envelope.check_bound(sealed.sealed_for, secret)

    def least_bytes(self, entry: Entry) -> int:
        from secretsvc.formats.ksecret import sealing

        return sealing.least_bytes(entry)

    def is_retyped(self, opened: Opened, secret: Secret) -> bool:
        from secretsvc.formats.ksecret import sealing

        return sealing.is_retyped(opened, secret)

    def is_dek(self, secret: Secret, sealed: Sealed, dek: bytes) -> bool:
        from secretsvc.formats.ksecret import sealing

        return sealing.is_dek(secret, sealed, dek)

    def open(self, secret: Secret, sealed: Sealed, dek: bytes, *, trust: Trust | None, retyped: bool) -> Opened:
        from secretsvc.formats.ksecret.sealing import open_secret

        return open_secret(self, secret, sealed, dek, retyped=retyped)

    def text(self, value: Payload) -> str:
        from secretsvc.formats.ksecret.sealing import value_of

        return value_of(value)

    def blank_lines(self, value: Payload) -> str:
        from secretsvc.formats.ksecret import sealing

        return sealing.blank_lines(value)

    def seal(self, manifest: Manifest, secret: Secret, plan: Plan) -> Made:
        from secretsvc.formats.ksecret import sealing

        return sealing.seal_secret(self, manifest, secret, plan)

    def restored(self, manifest: Manifest, opened: Mapping[int, Opened]) -> Manifest:
        from secretsvc.formats.ksecret.sealing import restored

        return restored(manifest, opened)

    def prove(
        self,
        sealed: Manifest,
        opened: Mapping[int, Opened],
        clear: Manifest,
        before: Mapping[int, Opened],
        changed: Collection[int],
    ) -> None:
        from secretsvc.formats.ksecret import sealing

        sealing.prove(sealed, opened, clear, before, changed)

    def with_keys(self, own: envelope.Envelope, keys: Sequence[WrappedKey]) -> envelope.Envelope:
        return own._replace(groups=envelope.texts_of(keys, len(own.groups)))

    def put(self, manifest: Manifest, secret: Secret, own: envelope.Envelope) -> list[Edit]:
        def render(layout: Layout) -> str:
            return envelope.render(own, layout, is_json=manifest.is_json)

        member = envelope.member_of(secret)
        if member:
            return [replace_member(manifest.text, secret.root, member, render)]
        return [append_member(manifest.text, secret.root, render)]

    def removed(self, text: str, secret: Secret) -> list[Edit]:
        member = envelope.member_of(secret)
        return [remove_member(text, secret.root, member)] if member else []

    def shortened(self, secret: Secret, mark: Mark, name: Callable[[str], str]) -> Iterator[Edit]:
        found = envelope.unchecked(secret)
        if found:
            for (_, ref), wrapped in found.keys.items():
                yield _in_quotes(f"wrapped for {name(ref)}" if name(ref) else "wrapped", wrapped, mark)
            yield _in_quotes("seal", found.seal, mark)

    def swept(self, text: str, mark: Mark) -> str:
        if TOKEN_PREFIX not in text:
            return text
        return _TOKEN_ANYWHERE.sub(lambda found: mark("sealed", found[0]), text)

    def lost(self, path: str, text: str) -> tuple[str, str] | None:
        if text.startswith(TOKEN_PREFIX):
            hint = "restore the `ksecret:` member from Git, or put the clear value there"
            return f"{path} is a ksecret token, but its Secret has no envelope", hint
        if TOKEN_PREFIX in text and _WHOLE_TOKEN.search(text):
            hint = "put the clear value there, and seal the whole"
            return f"{path} has a ksecret token in it, and nothing opens it there", hint
        return None

    def merges(self) -> Merges:
        from secretsvc.formats.ksecret.merge import KsecretMerges

        return KsecretMerges()


def _in_quotes(what: str, scalar: Scalar, mark: Mark) -> Edit:
    inset = 1 if scalar.style in ("'", '"') else 0
    return Edit(scalar.start + inset, scalar.end - inset, mark(what, scalar.value))


FORMAT = Ksecret()
