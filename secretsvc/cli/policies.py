"""Policies (`.ksecret.yaml`, and SOPS's `.sops.yaml`) of the files of a run; where there is none, none of their code is
imported.
"""

from __future__ import annotations

import os

from secretsvc.errors import FileError, InputError, KeyRefError, KsecretError
from secretsvc.files.workspace import POLICIES, Above
from secretsvc.keyref import Keyset, Principal, is_of_groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from secretsvc.backends.registry import Backends
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.keyring import Keyring
    from secretsvc.policy.people import People
    from secretsvc.policy.policies import Policies, Policy
    from secretsvc.policy.sops_configs import SopsConfigs
    from secretsvc.policy.sops_yaml import CreationRule

_NAME = ".ksecret.yaml"
_OF_SOPS = ".sops.yaml"


class FilePolicies:
    """The policies of a run, each file's by its path; by `place`, where that is known, for what is made of it."""

    def __init__(self, backends: Backends, place: str = "") -> None:
        self._backends = backends
        self._place = place
        self._policies: Policies | None = None
        self._nearby = Above(*POLICIES)
        self._nearby_of_sops = Above(_OF_SOPS)
        self._told: set[str] = set()
        self._configs: SopsConfigs | None = None

    def keyring(self, *files: str, data: bytes = b"", principals: Mapping[str, Principal] | None = None) -> Keyring:
        """The backends, demanding PGP signatures where a policy of the files, or of what is made of them, does.

        Their errors call keys by the names that a policy has for them. `data`: what is to be opened, the last
        file's; `principals`: KeyRef → who uses it, beside whom the policies name. Raises InputError, FileError.
        """
        source = next(filter(None, reversed(files)), "")
        named = {**self._principals(source, data), **(principals or {})}
        return self._as_wanted((policy for _, policy in self._of(files)), named)

    def keyring_for_opening(self, file: str, data: bytes) -> Keyring:
        """The same for those who only open, who need no policy: one that can't be used is warned of, once.

        Raises InputError where its text says `requireSignature` all the same.
        """
        policy = self.find_for_opening(file)
        return self._as_wanted([policy] if policy else [], self._principals(file, data))

    def people(self, file: str) -> People:
        """The names that its policy has for keys; none where it has no policy, or one that can't be used."""
        from secretsvc.policy.people import NOBODY

        return self.people_if_any(file) or NOBODY

    def people_if_any(self, file: str) -> People | None:
        """The same; None where it has no policy, which imports nothing."""
        try:
            policy = self.find(self._place or file)
        except KsecretError:
            return None
        return policy.content.people if policy else None

    def spelled(self, file: str, words: Sequence[str]) -> list[str]:
        """`--key` words, which may begin with + or -, with the KeyRefs of people in place of their names.

        Raises KeyRefError for a name that the file's policy lacks, InputError and FileError for its policy.
        """
        from secretsvc.policy.people import has_name, is_name

        policy = self.find(self._place or file) if has_name(words) else None
        if not policy or not policy.content.named:
            return list(words)
        people, found = policy.content.people, []
        for word in words:
            if is_of_groups(word):
                found.append(word)
                continue
            sign, name = (word[:1], word[1:]) if word[:1] in ("+", "-") else ("", word)
            if is_name(name) and name not in people:
                what = f"people of {policy.source} has no such name{people.nearest(name)}"
                raise KeyRefError(what, hint="add it there, or write a key: SCHEME:NAME, such as age:age1…")
            found += [sign + ref for ref in people.keys(name)] if name in people else [word]
        return found

    def wants_signatures(self, *files: str) -> bool:
        """Tell whether the policy of any of the files, or of the place, demands them. Raises InputError, FileError."""
        return any(policy.require_signature for _, policy in self._of(files))

    def keys(self, file: str, secret: Secret) -> Keyset | None:
        """The keyset of the first rule for that Secret; None where there is no policy, or one without rules.

        Raises InputError, FileError and KeyRefError, which name the policy's file; also where none of its rules fits.
        """
        place = self._place or file
        policy = self.find(place)
        if not policy or not policy.has_say:
            return None
        if not policy.is_certain(place, secret.namespace, secret.name):
            hint = "say with --path FILE which path it will have, or name keys with --key"
            raise KeyRefError(f"which rule of {policy.source} fits {secret.label} hangs on where it belongs", hint=hint)
        rule = policy.rule_for(place, secret.namespace, secret.name)
        if not rule:
            raise _no_rule(policy, place, secret)
        try:
            return rule.keyset(self._backends.parse)
        except KeyRefError as error:
            raise KeyRefError(error.message, hint=error.hint, file=policy.source, line=rule.line) from error

    def demanded(self, file: str, secret: Secret, _format: str = "") -> Keyset:
        """The same, for those who can't do without. Raises InputError too where no rule fits."""
        keys = self.keys(file, secret)
        if keys is None:
            raise InputError(
                f"no rule of a {_NAME} fits {secret.label}", hint="write one, or name keys with --key", file=file
            )
        return keys

    def renews(self, files: Iterable[str], secret: Secret) -> bool:
        """Tell whether a change of that Secret makes a new DEK, by the policy of any of the files that it comes from
        or goes to. Raises InputError, FileError.
        """
        return any(policy.is_fresh(file, secret.namespace, secret.name) for file, policy in self._of(files))

    def sops_rule(self, file: str) -> CreationRule | None:
        """The rule by which a new file is sealed in SOPS's format; None where the nearest policy does not say so.

        Raises InputError, FileError.
        """
        configs = self._sops_above(file)
        return configs.rule_for_new(self._place or file) if configs else None

    def sops_rule_of_sealed(self, file: str) -> CreationRule | None:
        """The rule for a file that is in SOPS's format, or is to be; None where none is. Raises as `sops_rule`."""
        configs = self._sops_above(file)
        return configs.rule_for_sealed(self._place or file) if configs else None

    def wants_sealed(self, file: str) -> bool:
        """Tell whether a rule of SOPS's wants that file sealed, though it was found in a folder. Raises FileError."""
        configs = self._sops_above(file)
        return configs is not None and configs.rule_for_found(file) is not None

    def _sops_above(self, file: str) -> SopsConfigs | None:
        """The finder of rules of SOPS's; None where no policy above the file may have any."""
        named, place = os.environ.get("SOPS_CONFIG", ""), self._place or file
        if self._configs is None and (named or self._nearby_of_sops.has(place) or self._has_sops_rules(place)):
            from secretsvc.policy.policies import Policies
            from secretsvc.policy.sops_configs import SopsConfigs

            self._policies = self._policies or Policies()
            self._configs = SopsConfigs(self._policies, named, _warn)
        return self._configs

    def _has_sops_rules(self, file: str) -> bool:
        policy = self.find(file)
        return policy is not None and any(rule.format for rule in policy.content.rules)

    def _of(self, files: Iterable[str]) -> Iterator[tuple[str, Policy]]:
        """Each of the files, and the place, with its policy; what is piped in has a place only where none is said.

        Raises InputError, FileError.
        """
        standing = (file for file in files if file not in ("", "-" if self._place else ""))
        for file in dict.fromkeys((*standing, *filter(None, (self._place,)))):
            policy = self.find(file)
            if policy:
                yield file, policy

    def find(self, file: str) -> Policy | None:
        """The nearest policy upwards. Raises InputError, FileError."""
        policies = self._above(file)
        return policies.find(file) if policies else None

    def find_for_opening(self, file: str) -> Policy | None:
        """The same for those who only open, as `keyring_for_opening`. Raises InputError."""
        policies = self._above(file)
        return policies.find_for_opening(file, self._warn) if policies else None

    def _principals(self, file: str, data: bytes) -> Mapping[str, Principal]:
        """Who uses keys of a file that asks for a role, as its rule of SOPS's says; for others none is looked for.

        A rule that can't be read is warned of, once: then no role is assumed.
        """
        from secretsvc.operations.open import may_ask_for_role

        if not may_ask_for_role(data):
            return {}
        from secretsvc.policy.sops_yaml import NoRuleError

        try:
            rule = self.sops_rule_of_sealed(file)
            return rule.principals() if rule else {}
        except NoRuleError:
            return {}
        except (InputError, FileError) as error:
            self._warn(error)
            return {}

    def _as_wanted(self, policies: Iterable[Policy], principals: Mapping[str, Principal]) -> Keyring:
        found = list(policies)
        merged = dict(principals)
        for policy in found:
            for key, own in policy.content.principals.items():
                other = merged.get(key, own)
                merged[key] = Principal(own.profile or other.profile, other.role or own.role)
        backends = self._backends.with_principals(merged)
        keyring = backends.signed() if any(policy.require_signature for policy in found) else backends
        people = next((policy.content.people for policy in found if policy.content.named), None)
        if people is None:
            return keyring
        from secretsvc.cli.named_keys import NamedKeys

        return NamedKeys(keyring, people)

    def _warn(self, error: KsecretError) -> None:
        text = f"{error.where}: {error.message}; opening goes on without this policy"
        if text not in self._told:
            self._told.add(text)
            _warn(text)

    def _above(self, file: str) -> Policies | None:
        """The finder of policies; None where there is none above the file."""
        if self._policies is None:
            if not self._nearby.has(file):
                return None
            from secretsvc.policy.policies import Policies

            self._policies = Policies()
        return self._policies


def _warn(text: str) -> None:
    from secretsvc.cli.report import warn

    warn(text, once=text)


def _no_rule(policy: Policy, place: str, secret: Secret) -> KeyRefError:
    from secretsvc.manifest.scalars import canonical
    from secretsvc.policy.policies import NOWHERE

    if policy.is_misnamed:
        hint = f"rename it to {_NAME}, or name keys with --key"
        return KeyRefError(f"{policy.source} is not read: a policy's name is {_NAME}", hint=hint)
    path = "" if place == NOWHERE else f"path: {canonical(policy.pattern(place), flow=True)}, "
    hint = f"add `- {{{path}keys: [KEYREF]}}` to its rules, `- keys: [KEYREF]` for all others, or name keys with --key"
    return KeyRefError(f"no rule of {policy.source} fits {secret.label}", hint=hint)
