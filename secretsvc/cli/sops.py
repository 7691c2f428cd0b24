"""`encrypt --format sops`: its own options, and what `.sops.yaml` says of a file."""

from __future__ import annotations

import os

from secretsvc.backends import ours
from secretsvc.cli.report import warn
from secretsvc.errors import InputError, KeyRefError, ManifestError, NothingToSealError, UsageError
from secretsvc.files import workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Targets
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.sealing import Requests, SealingOptions
    from secretsvc.keyref import KeyRef, Keyset
    from secretsvc.operations import Result
    from secretsvc.operations.documents.keysets import SopsKeyset
    from secretsvc.operations.documents.seal import SopsRule
    from secretsvc.policy.sops_yaml import CreationRule

    class SealsDocuments(Protocol):
        """A service, which seals with keys of its own."""

        jobs: int
        forks: bool

        def seal_document(self, data: bytes, name: str, to: SopsKeyset, rule: SopsRule) -> Result:
            """Seal the file of that name; to the service's own keys where none are said."""


NAME = "sops"
_OF_OTHERS = ("SOPS_HUAWEICLOUD_KMS_IDS",)
"""Variables that name keys to SOPS of kinds that no backend is here for."""
_UNBOUND = "SOPS's format binds no Secret to its name and namespace, as --format ksecret does"
_RULES = ("encrypted", "unencrypted")
_WHAT = {"regex": "keys that this Go pattern finds", "suffix": "keys with this end", "comment_regex": "comments"}


def add_rules(parser: Parser) -> None:
    """Add the options that say what of a file is sealed, as SOPS has them."""
    for which in _RULES:
        for how, what in _WHAT.items():
            about = f"--format sops: {'seal' if which == 'encrypted' else 'leave in the clear'} what is under {what}"
            option = f"--{which}-{how.replace('_', '-')}"
            parser.add_argument(option, metavar="TEXT", default="", help=about)
    parser.add_argument(
        "--mac-only-encrypted", action="store_true", help="--format sops: a MAC over sealed values only"
    )
    parser.add_argument(
        "--exact", action="store_true", help="--format sops: refuse what will come back spelled otherwise"
    )


def _rules(args: Arguments) -> list[tuple[str, str]]:
    names = [f"{which}_{how}" for which in _RULES for how in _WHAT]
    return [(name, getattr(args, name)) for name in names if getattr(args, name)]


def refuse_rules(args: Arguments) -> None:
    """Refuse these options for other formats, which seal all values of Secrets. Raises UsageError."""
    if _rules(args) or args.mac_only_encrypted or args.exact:
        raise UsageError("that option says what SOPS's format seals", hint="say --format sops")


def encrypt(args: Arguments, targets: Targets, remote: SealsDocuments | None) -> int:
    """Seal files in SOPS's format, by a service or with the keys at hand; the exit code. Raises UsageError."""
    from secretsvc.cli import options
    from secretsvc.cli.batch import Batch
    from secretsvc.cli.sealing import Requests, SealingOptions, may_hold_secret, place_of

    others = {
        "--cleartext": args.cleartext,
        "--parent": args.parent,
        "--from-cluster": args.from_cluster,
        "--scope": args.scope,
        "--if-needed": args.if_needed,
        "--recompute-mac": args.recompute_mac,
    }
    for option, value in others.items():
        if value:
            raise UsageError(f"{option} does not go with --format sops")
    if len(_rules(args)) > 1:
        raise UsageError("one rule says what is sealed", hint="leave the others away")
    backends = options.backends(options.unlocking(args))
    place = place_of(args.path, targets)
    wanted = SealingOptions(tuple(args.key), place, files=workspace.named(targets.files))
    requests = Requests(wanted, backends)
    said = next(iter(_rules(args)), None)
    sealer = Sealer(
        backends,
        requests,
        wanted,
        said,
        mac_only_encrypted=args.mac_only_encrypted,
        exact=args.exact,
        remote=remote,
    )

    def operation(data: bytes, name: str) -> Result:
        return sealer.sealed(data, name, rule_in_walk(requests.sops_rule_of_sealed, data, name, wanted))

    batch = Batch(targets, "sealed", private=False, ruled=requests.wants_sealed)
    return batch.run(operation, remote or backends, may_hold_secret)


def seal_new(data: bytes, wanted: SealingOptions, backends: Backends, remote: SealsDocuments | None) -> Result:
    """Seal a manifest that is made for `wanted.place`, by the rule for that. Raises what sealing raises, UsageError."""
    from secretsvc.cli.sealing import Requests

    if wanted.scope:
        raise UsageError("--scope does not go with --format sops")
    wanted = wanted._replace(format="")
    requests = Requests(wanted, backends)
    found = requests.sops_rule_of_sealed(wanted.place) if wanted.place else None
    return Sealer(backends, requests, wanted, remote=remote).sealed(data, "-", found)


def rule_in_walk(
    lookup: Callable[[str], CreationRule | None], data: bytes, name: str, wanted: SealingOptions
) -> CreationRule | None:
    """Return what `lookup` finds for a file; that no rule fits is no fault of one found in a folder without a Secret.

    Raises NothingToSealError for that, and what `lookup` raises.
    """
    try:
        return lookup(name)
    except InputError as error:
        from secretsvc.policy.sops_yaml import NoRuleError

        if not isinstance(error, NoRuleError) or wanted.is_named(name) or _may_hold_values(data):
            raise
        raise NothingToSealError("no Secret with values is in it") from None


def _may_hold_values(data: bytes) -> bool:
    """Tell whether a Secret with values is in a manifest, or nobody can tell."""
    from secretsvc.manifest.reader import read

    try:
        return any(secret.entries for secret in read(data).secrets)
    except ManifestError:
        return True


def refuse_others(wanted: SealingOptions) -> None:
    """Refuse options that only other formats know, where `.sops.yaml` asks for SOPS's. Raises UsageError."""
    others = {
        "--parent": wanted.parent,
        "--scope": wanted.scope,
        "--recompute-mac": wanted.recompute_mac,
    }
    for option, value in others.items():
        if value:
            what = f"{option} does not go with SOPS's format, in which .sops.yaml has this file sealed"
            raise UsageError(what, hint="say --format ksecret for ours")


class Sealer:
    """Seals the files of one run."""

    def __init__(
        self,
        backends: Backends,
        requests: Requests,
        wanted: SealingOptions,
        said: tuple[str, str] | None = None,
        *,
        mac_only_encrypted: bool = False,
        exact: bool = False,
        remote: SealsDocuments | None = None,
    ) -> None:
        """`said`: what is sealed, whatever `.sops.yaml` says. `exact`: refuse what will be spelled otherwise.

        `remote`: has a service seal, in place of the keys at hand, and to its own keys where nothing says others.
        """
        self._remote = remote
        self._backends = backends
        self._requests = requests
        self._wanted = wanted
        self._said = said
        self._mac_only_encrypted = mac_only_encrypted
        self._exact = exact
        self._told: set[str] = set()

    def sealed(self, data: bytes, file: str, found: CreationRule | None) -> Result:
        """Seal the file of that name by the rule that is for it; of those found in folders, manifests with Secrets.

        Raises UsageError, and what sealing raises.
        """
        from secretsvc.operations.documents.seal import SopsRule, seal_file

        name = self._wanted.place or file
        if name == "-":
            raise UsageError("of which kind is it, and which rule is for it?", hint="say --path FILE")
        only = self._mac_only_encrypted or bool(found and found.mac_only_encrypted)
        rule = SopsRule(self._said or (found.selection if found else None), only)
        keyset, request = self.keys(found, name), self._requests.of(name)
        rule = rule._replace(only_secrets=not (self._wanted.is_named(file) or self._is_ruled(data, file)))
        if self._remote:
            result = self._remote.seal_document(data, name, keyset, rule)
        else:
            keyring = self._requests.keyring(name, principals=keyset.principals)
            result = seal_file(data, keyset, rule, keyring, name=name, now=request.created)
        if not result.bound:
            self._warn(_UNBOUND)
        if result.notes and self._exact:
            line, what = result.notes[0]
            raise InputError(what, hint="without --exact it is sealed all the same", line=line)
        return result._replace(bound=True)  # which was told

    def _is_ruled(self, data: bytes, file: str) -> bool:
        """Tell whether a rule is about that very file, which is no Kubernetes object, and not about Secrets in it."""
        if not self._requests.wants_sealed(file):
            return False
        from secretsvc.policy.sops_configs import may_be_ruled

        return may_be_ruled(data)

    def _warn(self, text: str) -> None:
        """Warn of it once a run."""
        if text not in self._told:
            self._told.add(text)
            warn(text, once=text)

    def keys(self, found: CreationRule | None, name: str) -> SopsKeyset:
        """By `-k`, else by SOPS's variables, by `.sops.yaml`, else the caller's own. Raises UsageError, InputError."""
        from secretsvc.cli.policies import FilePolicies
        from secretsvc.cli.sealing import NO_KEY, NO_KEY_HINT, own_keys

        change = self._requests.of(name).change
        if change.add or change.remove:
            raise UsageError("there is no keyset yet that +REF or -REF could change", hint="name keys with -k REF")
        if change.exact:
            return _sops_keyset(change.exact)
        named = self._of_environment()
        if named:
            return _sops_keyset(tuple(named))
        if found and any(found.groups):
            return keyset_of(found, self._backends)
        if FilePolicies(self._backends, name).find(name):
            what = "the rules of .ksecret.yaml are for Secrets in ksecret's formats"
            raise UsageError(what, hint="name keys with -k, or write a .sops.yaml")
        own = () if self._remote else own_keys(self._backends, "")
        if not own and not self._remote:
            raise UsageError(NO_KEY, hint=NO_KEY_HINT)
        return _sops_keyset(own)

    def _of_environment(self) -> list[KeyRef]:
        """The keys that SOPS's variables name, which for SOPS come before `.sops.yaml`; none beside KSECRET_KEYS."""
        if os.environ.get("KSECRET_KEYS"):
            return []
        found, variables = [], []
        for scheme in ours():
            texts = [text for text in os.environ.get(scheme.sops_variable, "").split(",") if text.strip()]
            variables += [scheme.sops_variable] if texts else []
            try:
                found += [self._backends.parse(f"{scheme.name}:{text.strip()}") for text in texts]
            except KeyRefError as error:
                raise KeyRefError(f"{scheme.sops_variable}: {error.message}", hint=error.hint) from error
        for variable in filter(os.environ.get, _OF_OTHERS):
            raise UsageError(f"{variable} names keys that ksecret seals nothing to", hint="name others with -k")
        if found:
            told = f"whom it is sealed to, {' and '.join(variables)} says, before any .sops.yaml"
            self._warn(told)
        return found


def converted(data: bytes, name: str, requests: Requests, backends: Backends) -> Result:
    """Convert a manifest of sealed Secrets into SOPS's format. Raises what `document_convert.to_sops` raises."""
    from secretsvc.operations.document_convert import to_sops
    from secretsvc.operations.documents.seal import SopsRule

    found, request = requests.sops_rule_of_sealed(name), requests.of(name)
    is_named = found is not None and any(found.groups) and not any(request.change)
    keys = keyset_of(found, backends) if found and is_named else None
    principals = keys.principals if keys else {}
    rule = SopsRule(found.selection, found.mac_only_encrypted) if found else SopsRule()
    result = to_sops(
        data, name, request, requests.keyring(name, data=data, principals=principals), keys=keys, rule=rule
    )
    told = "SOPS's format binds no Secret to its name and namespace"
    warn(told, once=told)
    return result._replace(bound=True)  # which was told


def keyset_of(rule: CreationRule, backends: Backends) -> SopsKeyset:
    """Whom a rule of `.sops.yaml` has files sealed to. Raises InputError, with the policy's line."""
    from secretsvc.operations.documents.keysets import SopsKeyset

    groups = []
    for group in rule.groups:
        refs = []
        for key in group:
            try:
                ref = backends.parse(key.text)
            except KeyRefError as error:
                raise InputError(error.message, hint=error.hint, file=rule.source, line=key.line) from error
            refs.append((ref, key.context))
        groups.append(tuple(refs))
    if not any(groups):
        what = "the rule for this file names no keys"
        raise InputError(what, hint="list them there", file=rule.source, line=rule.line)
    return SopsKeyset(tuple(groups), rule.threshold, rule.principals())


def _sops_keyset(keys: Keyset) -> SopsKeyset:
    from secretsvc.operations.documents.keysets import sops_keyset

    return sops_keyset(keys)
