"""Words of a command line by the rules of Go's flag package, as sops has them: `-name` and `--name` are the same.

https://pkg.go.dev/flag#hdr-Command_line_flag_syntax. sops reads options behind the file too, but for its old form
without a verb, where they are warned of and not read. Options that stand before a verb count for it, all of them; sops
drops some of those without a word.
"""

from __future__ import annotations

import os

from secretsvc.backends import ours
from secretsvc.cli.sops_words.codes import GENERIC, SopsError
from secretsvc.errors import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

OURS = {scheme.sops_option or scheme.sops_list.replace("_", "-"): scheme for scheme in ours() if scheme.sops_list}
"""Options that name keys of the kinds that a backend is here for."""

SHORT = {
    "d": "decrypt",
    "e": "encrypt",
    "i": "in-place",
    "r": "rotate",
    "s": "show-master-keys",
    "y": "yes",
    "f": "file",
    "h": "help",
    "v": "version",
    **{name[0]: name for name in OURS if name.isalpha()},
}

FLAGS = frozenset(
    (
        *(
            "decrypt",
            "encrypt",
            "rotate",
            "in-place",
            "show-master-keys",
            "ignore-mac",
            "mac-only-encrypted",
            "verbose",
        ),
        *("yes", "idempotent", "value-file", "value-stdin", "background", "pristine", "same-process", "no-fifo"),
        *("enable-local-keyservice", "disable-version-check", "check-for-updates", "help", "version"),
    )
)
"""Options that take no value, but for `--name=true` and `--name=false`."""

KEYS = (*OURS, "hckms")
SELECTIONS = (
    *("encrypted-regex", "unencrypted-regex", "encrypted-suffix", "unencrypted-suffix"),
    *("encrypted-comment-regex", "unencrypted-comment-regex"),
)
ALWAYS = (
    *("config", "verbose", "indent", "mac-only-encrypted", "enable-local-keyservice", "keyservice"),
    *("disable-version-check", "check-for-updates", "help"),
)
"""Options of every verb."""

OF_ENVIRONMENT = {
    "config": "SOPS_CONFIG",
    "decryption-order": "SOPS_DECRYPTION_ORDER",
    **{name: scheme.sops_variable for name, scheme in OURS.items()},
    "hckms": "SOPS_HUAWEICLOUD_KMS_IDS",
}
"""Variables that stand for an option which is not given."""


_BOOLEANS = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}


class Words:
    """What a command line says: options' values by their names, and the words that are none."""

    def __init__(self, given: dict[str, str], plain: list[str]) -> None:
        self.given = given
        self.plain = plain

    def has(self, flag: str) -> bool:
        """Tell whether an option without a value is there, and not `=false`."""
        return self.given.get(flag) == "true"

    def text(self, option: str) -> str:
        """Return an option's value, else that of its variable; empty where it has neither."""
        return self.given.get(option) or os.environ.get(OF_ENVIRONMENT.get(option, ""), "")

    def number(self, option: str) -> int:
        """Return an option's value as a number; 0 where it is not there. Raises SopsError."""
        text = self.given.get(option, "0")
        if not (text.isascii() and text.isdigit() and len(text) < 4):
            raise SopsError(GENERIC, f"--{option} takes a number")
        return int(text)


def read(words: list[str], *, all_of_them: bool) -> Words:
    """Read options and plain words; of the latter the first ends the options, unless `all_of_them` are read.

    Raises SopsError for an option that is none, without showing a value.
    """
    given: dict[str, str] = {}
    plain: list[str] = []
    left = list(reversed(words))
    while left:
        word = left.pop()
        if word == "--" or not word.startswith("-") or word == "-":
            plain += [word] if word != "--" else []
            if word == "--" or not all_of_them:
                plain += reversed(left)
                break
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = SHORT.get(name, name)
        given[name] = _value(name, value if equals else None, left)
    return Words(given, plain)


def _value(name: str, value: str | None, left: list[str]) -> str:
    if name in FLAGS:
        if value is not None and value.lower() not in _BOOLEANS:
            raise SopsError(GENERIC, f"option -{name} is true or false, and takes nothing else")
        return "true" if value is None else _BOOLEANS[value.lower()]
    if name not in _KNOWN:
        raise SopsError(GENERIC, f"unknown option -{name}{nearest(name, _KNOWN)}")
    if value is not None:
        return value
    if not left:
        raise SopsError(GENERIC, f"option -{name} needs a value")
    return left.pop()


def check(words: Words, verb: str, options: Iterable[str]) -> None:
    """Refuse options that the verb has not: nothing that was asked for is passed over. Raises SopsError."""
    known = {*options, *ALWAYS}
    for name in words.given:
        if name not in known:
            raise SopsError(GENERIC, f"{verb} has no option -{name}")
    if words.text("keyservice"):
        raise SopsError(GENERIC, "key services are not asked: ksecret uses the keys at hand")


_KNOWN = frozenset(
    (
        *FLAGS,
        *ALWAYS,
        *KEYS,
        *SELECTIONS,
        *(f"{change}-{kind}" for change in ("add", "rm") for kind in KEYS),
        *("aws-profile", "extract", "input-type", "output-type", "output", "filename-override", "decryption-order"),
        *("encryption-context", "shamir-secret-sharing-threshold", "set", "filename", "file", "user"),
    )
)
