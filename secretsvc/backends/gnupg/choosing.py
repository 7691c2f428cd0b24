"""Secret keys to choose from, and new ones, by python-gnupg.

Off the path of opening and sealing, which calls gpg itself (docs/adr/0006-gpg-directly.md). It is given no word of a
file or a request, and of a person only a name that has been looked at: `gen_key` takes lines of commands.
"""

from __future__ import annotations

import re

from secretsvc.backends.gnupg import SCHEME
from secretsvc.backends.offers import Offer
from secretsvc.errors import BackendError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from secretsvc.keyref import KeyRef

_PERSON = re.compile(r"([^<>%:]{5,100}) <([A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,100})>")
"""`Alice Doe <alice@example.org>`; gpg wants five letters of a name."""

_UNFIT = ("r", "e", "i", "n")
"""What gpg says of a key that is revoked, expired, invalid or not to be used (gnupg's doc/DETAILS, field 2)."""


def offers(program: str, environ: Mapping[str, str], options: Sequence[str]) -> list[Offer]:
    """Return the secret keys that can encrypt, each with its user id. Raises BackendError."""
    keys = filter(_fits, _gpg(program, environ, options).list_keys(secret=True))
    return [Offer(SCHEME.parse(key["fingerprint"]), next(iter(key["uids"]), "")) for key in keys]


def make(program: str, environ: Mapping[str, str], options: Sequence[str], person: str) -> KeyRef:
    """Make a key for `Alice Doe <alice@example.org>`, and return its KeyRef. gpg's pinentry asks for a passphrase.

    Raises UsageError for what is no such text, and BackendError.
    """
    match = _PERSON.fullmatch(person.strip())
    if not match or not person.isprintable():
        raise UsageError("a PGP key is made for a name of five letters and an address", hint="NAME <USER@HOST>")
    gpg = _gpg(program, environ, options)
    kinds = {"key_type": "EDDSA", "key_curve": "ed25519", "key_usage": "sign,cert"}
    subkey = {"subkey_type": "ECDH", "subkey_curve": "cv25519", "subkey_usage": "encrypt"}
    made = gpg.gen_key(gpg.gen_key_input(**kinds, **subkey, name_real=match[1], name_email=match[2], expire_date="0"))
    if not made.fingerprint:
        raise BackendError("gpg made no key", hint="`gpg --full-generate-key` tells why")
    return SCHEME.parse(made.fingerprint)


def _gpg(program: str, environ: Mapping[str, str], options: Sequence[str]) -> Any:
    import gnupg

    try:
        gpg = gnupg.GPG(gpgbinary=program, env=dict(environ), options=list(options))
    except (OSError, ValueError):
        raise BackendError("gpg can't be started", hint="`gpg --version` tells why") from None
    gpg.encoding = "utf-8"
    return gpg


def _fits(key: Mapping[str, Any]) -> bool:
    """Tell whether one can seal to it: capitals stand for what the whole key can do, and D for a disabled one."""
    return "E" in key["cap"] and "D" not in key["cap"] and key["trust"] not in _UNFIT
