"""What `.ksecret.yaml` says about a file, for the commands; without one, its library is not even imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsvc.cli.report import warn
from secretsvc.errors import InputError, KeyRefError
from secretsvc.keyref import Keyset, keyset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsvc.backends.registry import Backends
    from secretsvc.errors import KsecretError
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.keys import Keyring
    from secretsvc.policy import Policies, Policy

_NAME = ".ksecret.yaml"


class FilePolicies:
    """The policies of a run."""

    def __init__(self, known: Backends) -> None:
        self._known = known
        self._policies: Policies | None = None
        self._without: set[str] = set()
        """Folders that are known to have none above them."""
        self._told: set[str] = set()

    def keyring(self, file: str) -> Keyring:
        """The backends, demanding PGP signatures where the file's policy does. Raises InputError, FileError."""
        return self._as_wanted(self.find(file))

    def keyring_for_opening(self, file: str) -> Keyring:
        """The same for those who only open, who need no policy: one that can't be used is warned of, once.

        Raises InputError where its text says `requireSignature` all the same.
        """
        return self._as_wanted(self.find_for_opening(file))

    def keys(self, file: str, secret: Secret) -> Keyset | None:
        """The keyset of the first rule for that Secret; None where there is none.

        Raises InputError, FileError and KeyRefError, which name the policy's file.
        """
        policy = self.find(file)
        rule = policy.rule_for(file, secret.namespace, secret.name) if policy else None
        if not policy or not rule:
            return None
        try:
            return keyset(self._known.parse(key) for key in rule.keys)
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
        """Whether a change of that Secret is to make a new DEK, by the policy of any of the files that it comes from
        or goes to. Raises InputError, FileError.
        """
        found = ((file, self.find(file)) for file in files)
        return any(policy.is_fresh(file, secret.namespace, secret.name) for file, policy in found if policy)

    def find(self, file: str) -> Policy | None:
        """The nearest policy upwards. Raises InputError, FileError."""
        policies = self._above(file)
        return policies.find(file) if policies else None

    def find_for_opening(self, file: str) -> Policy | None:
        """The same for those who only open, as `keyring_for_opening`. Raises InputError."""
        policies = self._above(file)
        return policies.find_for_opening(file, self._warn) if policies else None

    def _as_wanted(self, policy: Policy | None) -> Keyring:
        return self._known.signed() if policy and policy.require_signature else self._known

    def _warn(self, error: KsecretError) -> None:
        text = f"{error.where}: {error.message}; opening goes on without this policy"
        if text not in self._told:
            self._told.add(text)
            warn(text)

    def _above(self, file: str) -> Policies | None:
        """What finds policies; None where there is none above the file."""
        if self._policies is None:
            folder = os.path.dirname(file)
            if folder in self._without:
                return None
            if not _is_above(folder):
                self._without.add(folder)
                return None
            from secretsvc.policy import Policies

            self._policies = Policies()
        return self._policies


def _is_above(folder: str) -> bool:
    """Whether there is a policy there or anywhere upwards, which is all that a start without one pays for."""
    folder = os.path.realpath(folder or os.curdir)
    while not os.path.exists(os.path.join(folder, _NAME)):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True
