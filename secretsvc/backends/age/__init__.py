"""age recipients as KEKs: what is known of them without pyrage."""

from __future__ import annotations

from secretsvc.backends.base import Scheme
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef, refuse_identity
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.age.backend import Age
    from secretsvc.backends.base import Settings

TAG, TAG_PQ = "age1tag1", "age1tagpq1"
"""Begin a recipient of the type p256tag or mlkem768p256tag: of a key in a YubiKey, a TPM or a Secure Enclave."""

PQ = "age1pq1"
"""Begins a recipient of the type mlkem768x25519. It is spelled as a plug-in's, and age's own plug-in wraps to it."""

_LETTERS_BEHIND = {TAG: 59, TAG_PQ: 2005, PQ: 1952, "age1": 58}
_OF_PLUGIN = pattern(r"age1(?!tag1|tagpq1|pq1)[a-z0-9](?:[a-z0-9_+-]{0,30}[a-z0-9])?1[02-9ac-hj-np-z]{6,960}")
_SSH_KEY = pattern("ssh-(?:ed25519|rsa) [A-Za-z0-9+/]+={0,2}")
_HINT = "give age1…, or an ssh-ed25519 or ssh-rsa public key"


class AgeScheme(Scheme):
    """Recipients `age1…` (X25519), `age1pq1…` (post-quantum), `age1tag1…` and `age1tagpq1…` (the same of hardware
    keys), those of plug-ins, and SSH public keys: their own names.
    """

    name, title, example = "age", "age", "age1…"
    cost = 1
    names_owners = False
    secrets = ("KSECRET_AGE_KEY", "KSECRET_AGE_PASSPHRASE", "SOPS_AGE_KEY")
    passphrase = "KSECRET_AGE_PASSPHRASE"  # noqa: S105 - a variable's name
    has_identities = True
    sops_list, sops_variable = "age", "SOPS_AGE_RECIPIENTS"

    def backend(self, settings: Settings) -> Age:
        from secretsvc.backends.age.backend import Age

        return Age(settings)

    def parse(self, text: str) -> KeyRef:
        """`age1…`, `age1pq1…`, `age1tag1…` and `age1tagpq1…` in lower case (https://c2sp.org/age, "Recipient types"), a
        plug-in's, or an SSH public key without its comment. Whether its checksum is right, `verify` tells.
        """
        refuse_identity(text)
        canonical = " ".join(text.split()[:2]) if text.lstrip().startswith("ssh-") else text.strip().lower()
        if not (_is_recipient(canonical) or is_of_plugin(canonical) or _SSH_KEY.fullmatch(canonical)):
            raise KeyRefError("that is not an age recipient", hint=_HINT)
        return KeyRef(self.name, canonical)

    def verify(self, ref: KeyRef) -> None:
        """Raise KeyRefError for a recipient that was cut, or a letter of which was changed."""
        if not (_is_ssh_key(ref.id) if ref.id.startswith("ssh-") else is_bech32(ref.id)):
            raise KeyRefError("that is not an age recipient: it was cut, or a letter of it changed", hint=_HINT)

    def is_bare(self, text: str) -> bool:
        return text.startswith(("age1", "ssh-"))


SCHEME = AgeScheme()


def is_of_plugin(text: str) -> bool:
    """Tell whether it is spelled as a plug-in's recipient, `age1NAME1…`, which a program has to wrap to."""
    if text.startswith(PQ):
        return _is_recipient(text)
    if not text.startswith("age1") or "1" not in text[4:]:  # `re`, which patterns need, takes 4 ms to import
        return False
    return _OF_PLUGIN.fullmatch(text) is not None


_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def _is_recipient(text: str) -> bool:
    """Tell whether it starts as one of age's own types does, and has as many of the letters behind as that has."""
    prefix = next(filter(text.startswith, _LETTERS_BEHIND), text)
    behind = text[len(prefix) :]
    return len(behind) == _LETTERS_BEHIND.get(prefix, -1) and not behind.strip(_LETTERS)


def is_bech32(text: str) -> bool:
    """Tell whether the checksum fits (BIP 173, "Checksum"), for a text of the letters that it may have."""
    prefix, _, data = text.rpartition("1")
    return _checksum(prefix, data) == 1


def bech32(prefix: str, data: str) -> str:
    """Return the text of that prefix and these letters, with its checksum behind."""
    checksum = _checksum(prefix, f"{data}qqqqqq") ^ 1
    return f"{prefix}1{data}" + "".join(_LETTERS[checksum >> shift & 31] for shift in range(25, -1, -5))


def _checksum(prefix: str, data: str) -> int:
    """Return BIP 173's polynomial of both; 1 where the last six letters are the checksum of what is before them."""
    values = [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]
    checksum = 1
    for value in (*values, *map(_LETTERS.index, data)):
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


def _is_ssh_key(text: str) -> bool:
    """Tell whether the blob after the kind is whole, and of that kind (RFC 4253, section 6.6; RFC 8709, section 4)."""
    from base64 import b64decode

    kind, _, encoded = text.partition(" ")
    try:
        rest, fields = b64decode(encoded, validate=True), []
    except ValueError:
        return False
    while rest:
        length = int.from_bytes(rest[:4], "big")
        fields.append(rest[4 : 4 + length])
        if len(rest) < 4 + length:
            return False
        rest = rest[4 + length :]
    lengths = [len(field) for field in fields[1:]]
    return fields[:1] == [kind.encode()] and (lengths == [32] if kind == "ssh-ed25519" else len(lengths) == 2)
