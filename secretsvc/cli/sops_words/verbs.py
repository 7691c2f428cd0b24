"""`ksecret-sops`: finds the verb, runs it, and turns what went wrong into a line, a hint and sops's exit code."""

from __future__ import annotations

import os
import sys

from secretsvc.cli.sops_words import words as go_words
from secretsvc.cli.sops_words.codes import NO_FILE, NO_FILE_FOR_KEYS, SopsError, code_of
from secretsvc.errors import KsecretError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.sops_words.words import Words

_FILE = ("input-type", "output-type", "filename-override", "decryption-order")
_THRESHOLD = "shamir-secret-sharing-threshold"
_KEY_CHANGES = tuple(f"{change}-{kind}" for change in ("add", "rm") for kind in go_words.KEYS)
_OUT = ("in-place", "output")
_SEALING = (
    *go_words.KEYS,
    *go_words.SELECTIONS,
    *("aws-profile", "encryption-context", _THRESHOLD),
)
_CHILD = ("background", "user", "input-type", "decryption-order", "ignore-mac")

VERBS = {
    "decrypt": ("decrypt", (*_FILE, *_OUT, "extract", "ignore-mac")),
    "encrypt": ("encrypt", (*_SEALING, *_FILE, *_OUT)),
    "set": ("change", (*_FILE, "value-file", "value-stdin", "idempotent", "ignore-mac", _THRESHOLD)),
    "unset": ("change", (*_FILE, "idempotent", "ignore-mac", _THRESHOLD)),
    "rotate": ("change", (*_FILE, *_OUT, *_KEY_CHANGES, "encryption-context", "ignore-mac")),
    "edit": ("edit", (*_SEALING, *_FILE, "ignore-mac", "show-master-keys")),
    "updatekeys": ("groups", ("yes", *_FILE, _THRESHOLD)),
    "groups": ("groups", (*go_words.KEYS, "file", "in-place", "encryption-context", "input-type", _THRESHOLD)),
    "filestatus": ("decrypt", ("input-type",)),
    "exec-env": ("programs", (*_CHILD, "pristine", "same-process")),
    "exec-file": ("programs", (*_CHILD, "output-type", "no-fifo", "filename")),
}
"""Each verb's module, and its options. A module has a function of the verb's name, with `_` for `-`."""

_LEGACY = ("decrypt", "encrypt", "rotate", "set")
"""Verbs that the old form has as options."""
_NOT_OFFERED = {
    "publish": "nothing is published: ksecret writes to no bucket and no Vault",
    "keyservice": "no key service is run: `ksecret serve` is a service that keeps keys",
    "completion": "there is no completion for these words",
}


def run(words: list[str]) -> int:
    """Run one command line of sops's; its exit code."""
    try:
        return _run(words)
    except KsecretError as error:
        from secretsvc.cli.report import report

        report(error)
        return code_of(error)


def _run(words: list[str]) -> int:
    said = go_words.read(words, all_of_them=False)
    if said.has("version") or said.plain[:1] == ["version"]:
        return _version()
    verb = said.plain[0] if said.plain else ""
    if verb in _NOT_OFFERED:
        raise UsageError(_NOT_OFFERED[verb], hint="`sops` itself does that")
    if verb in VERBS:
        more = go_words.read(said.plain[1:], all_of_them=True)
        return _verb(verb, go_words.Words({**said.given, **more.given}, more.plain))
    if said.has("help") or verb == "help":
        return _help()
    return _old_form(said)


def _verb(verb: str, said: Words) -> int:
    if said.has("help"):
        return _help()
    module, options = VERBS[verb]
    go_words.check(said, verb, options)
    name = f"secretsvc.cli.sops_words.{module}"
    __import__(name)
    code: int = getattr(sys.modules[name], verb.replace("-", "_"))(said)
    return code


def _old_form(said: Words) -> int:
    """`FILE` to edit it, `-d FILE`, `-e FILE`, `-r FILE`, `--set '…' FILE`.

    What stands behind the file is not read, as sops has it.
    """
    verbs = [verb for verb in _LEGACY if said.has(verb) or (verb == "set" and said.text(verb))]
    if len(verbs) > 1:
        raise UsageError("more than one of --encrypt, --decrypt, --rotate, --set", hint="say one")
    if not said.plain:
        raise SopsError(NO_FILE, "no file specified", hint="ksecret-sops --help lists the verbs")
    if not os.path.exists(said.plain[0]):
        changes = any(said.text(name) for name in _KEY_CHANGES)
        raise SopsError(NO_FILE_FOR_KEYS if changes else NO_FILE, "there is no such file", file=said.plain[0])
    if len(said.plain) > 1:
        from secretsvc.cli.report import warn

        warn("only the first file is worked on, and options behind it are not read: put them before it")
    given = {name: value for name, value in said.given.items() if name not in _LEGACY}
    words = go_words.Words(given, said.plain[:1])
    return _set(words, said.text("set")) if verbs == ["set"] else _verb(verbs[0] if verbs else "edit", words)


def _set(words: Words, text: str) -> int:
    """The old form puts the file out, unless it is to be changed in place."""
    from secretsvc.cli.sops_words.change import put_in, set_words

    go_words.check(words, "--set", (*VERBS["set"][1], *_OUT))
    return put_in(words, *set_words(text))


def _version() -> int:
    from secretsvc import __version__
    from secretsvc.formats.sops.metadata import VERSION

    print(f"sops {VERSION} (ksecret {__version__})")
    return 0


def _help() -> int:
    print("usage: ksecret-sops [OPTIONS] VERB [OPTIONS] FILE, or ksecret-sops -d|-e [OPTIONS] FILE: sops's own words")
    for verb, (_, options) in VERBS.items():
        listed = " ".join(f"--{name}" for name in options)
        print(f"\n  {verb}\n      {listed}")
    print("\nWhat differs from sops: docs/sops.md")
    return 0
