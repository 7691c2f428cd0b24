"""PGP keys as KEKs: what is known of them without gpg."""

from __future__ import annotations

import os

from secretsvc.backends.base import Installed, Scheme
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.base import Settings
    from secretsvc.backends.gnupg.backend import GnuPG


_HEX = frozenset("0123456789ABCDEF")


class PgpScheme(Scheme):
    """PGP keys, named by their full fingerprints."""

    name, title, example = "pgp", "PGP", "FINGERPRINT"
    cost = 15
    secrets = ("KSECRET_GPG_PASSPHRASE",)
    passphrase = "KSECRET_GPG_PASSPHRASE"  # noqa: S105 - a variable's name
    has_prompt = True
    has_default = True
    sops_list, sops_variable = "pgp", "SOPS_PGP_FP"
    is_local = True

    def backend(self, settings: Settings) -> GnuPG:
        from secretsvc.backends.gnupg.backend import GnuPG

        return GnuPG(settings)

    def parse(self, text: str) -> KeyRef:
        """A full fingerprint: 40 hex digits, or 64 of a version 5 key, in upper case; spaces and `0x` are dropped."""
        digits = "".join(text.split()).upper().removeprefix("0X")
        if len(digits) not in (40, 64) or not _HEX.issuperset(digits):
            raise KeyRefError(
                "a PGP key is named by its full fingerprint, 40 hex digits (no key id, no e-mail address)",
                hint="`gpg --list-keys --fingerprint NAME` shows it",
            )
        return KeyRef(self.name, digits)

    def is_bare(self, text: str) -> bool:
        """Tell whether it is the last digits of a fingerprint, 16 at least: `parse` says what is wrong with a part."""
        digits = "".join(text.split()).removeprefix("0x")
        return len(digits) >= 16 and _HEX.issuperset(digits.upper())

    def installed(self) -> Installed:
        from secretsvc import programs

        path = programs.find("gpg", os.environ)
        return Installed(True, path) if path else Installed(False, "gpg is not installed", "install gnupg")


SCHEME = PgpScheme()
