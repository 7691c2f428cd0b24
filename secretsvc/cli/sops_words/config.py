"""`.sops.yaml` as sops looks for it, and options that stand in its place: keys, and what of a file is sealed."""

from __future__ import annotations

import os

from secretsvc.backends import find
from secretsvc.cli.sops import keyset_of
from secretsvc.cli.sops_words.codes import CONFLICT, CONTEXT, GENERIC, SopsError, exits
from secretsvc.cli.sops_words.words import KEYS, OURS, SELECTIONS
from secretsvc.keyref import Principal
from secretsvc.operations.documents.keysets import SopsKeyset
from secretsvc.operations.documents.seal import SopsRule
from secretsvc.policy import sops_yaml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.registry import Backends
    from secretsvc.cli.sops_words.words import Words
    from secretsvc.keyref import KeyRef
    from secretsvc.policy.sops_yaml import CreationRule, SopsConfig

_HOME = "ksecret has no backend for that kind of key"


def rule_for(words: Words, name: str) -> CreationRule | None:
    """Return the rule for the file at an absolute path; None where there is no file with rules.

    By `--config`, else by the nearest `.sops.yaml` upwards from the working directory. Raises InputError, FileError.
    """
    config = _config(words)
    return config.rule_for(_place(name)) if config else None


def _config(words: Words) -> SopsConfig | None:
    path = words.text("config")
    if path:
        from secretsvc.files import workspace

        with exits(GENERIC):
            data = workspace.content(path)
        return sops_yaml.read(data, path, os.path.realpath(os.path.dirname(path) or os.curdir))
    from secretsvc.policy.policies import nearest

    found = nearest(os.path.join(os.getcwd(), sops_yaml.NAME), sops_yaml.NAME)
    if not found:
        return None
    return sops_yaml.read(found[1], os.path.relpath(found[0]), os.path.dirname(found[0]))


def _place(name: str) -> str:
    return os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))


def selection(words: Words, rule: CreationRule | None) -> SopsRule:
    """Return what of a file is sealed: by an option, else by the rule. Raises SopsError where several say it."""
    said = [(name.replace("-", "_"), words.text(name)) for name in SELECTIONS if words.text(name)]
    of_rule = rule.selection if rule else sops_yaml.DEFAULT_SELECTION
    if len(said) > 1 or (said and of_rule != sops_yaml.DEFAULT_SELECTION):
        raise SopsError(CONFLICT, "more than one option, or one beside a rule's own, says what is sealed")
    only = words.has("mac-only-encrypted") or bool(rule and rule.mac_only_encrypted)
    return SopsRule(said[0] if said else of_rule, only)


def keyset(words: Words, rule: CreationRule | None, backends: Backends) -> SopsKeyset:
    """Return whom a file is sealed to: the keys of the options, else the rule's. Raises SopsError, InputError."""
    threshold = words.number("shamir-secret-sharing-threshold")
    context, profile = context_of(words), words.text("aws-profile")
    own = keys_of(words, "", backends)
    if not own and not rule:
        raise SopsError(GENERIC, "no keys are named, and no .sops.yaml names any", hint="--age RECIPIENT names one")
    found = SopsKeyset((tuple((ref, {}) for ref in own),)) if own or not rule else keyset_of(rule, backends)
    groups = tuple(tuple((ref, one or context_for(ref, context)) for ref, one in group) for group in found.groups)
    named = {str(ref): Principal(profile) for ref in own if profile and has_context(ref)}
    return SopsKeyset(groups, threshold or found.threshold, {**found.principals, **named})


def keys_of(words: Words, prefix: str, backends: Backends) -> list[KeyRef]:
    """Return the keys that options name (`add-` or `rm-` before their names, or nothing). Raises SopsError."""
    found: list[KeyRef] = []
    for kind in KEYS:
        for text in filter(None, (part.strip() for part in words.text(prefix + kind).split(","))):
            if kind not in OURS or "+arn:" in text:
                why = _HOME if kind not in OURS else "no role is taken from a key's name"
                raise SopsError(GENERIC, f"--{prefix}{kind}: {why}", hint="`sops` itself may use it")
            found.append(backends.parse(f"{OURS[kind].name}:{text}"))
    return found


def context_of(words: Words) -> dict[str, str]:
    """Return the context for keys of AWS: `name:value,name:value`. Raises SopsError."""
    pairs = [pair.partition(":") for pair in words.text("encryption-context").split(",") if pair]
    if not all(name and colon and ":" not in value for name, colon, value in pairs):
        raise SopsError(CONTEXT, "--encryption-context takes NAME:VALUE,NAME:VALUE")
    return {name.strip(): value.strip() for name, _, value in pairs}


def context_for(ref: KeyRef, context: dict[str, str]) -> dict[str, str]:
    """Return the context for a key: only AWS's have one."""
    return context if has_context(ref) else {}


def has_context(ref: KeyRef) -> bool:
    """Tell whether it is a key of AWS's, which SOPS gives a context, and a profile."""
    scheme = find(ref.scheme)
    return bool(scheme and scheme.has_profiles)
