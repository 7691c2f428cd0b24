"""What `.ksecret.yaml` says about a file, for the commands; without one, its library is not even imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsvc.errors import InputError, KeyRefError
from secretsvc.keyref import Keyset, keyset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsvc.backends.registry import Backends
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

    def keyring(self, file: str) -> Keyring:
        """The backends, demanding PGP signatures where the file's policy does. Raises InputError, FileError."""
        policy = self.find(file)
        return self._known.signed() if policy and policy.require_signature else self._known

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
        if self._policies is None:
            folder = os.path.dirname(file)
            if folder in self._without:
                return None
            if not _above(folder):
                self._without.add(folder)
                return None
            from secretsvc.policy import Policies

            self._policies = Policies()
        return self._policies.find(file)


def _above(folder: str) -> bool:
    """Whether there is a policy there or anywhere upwards, which is all that a start without one pays for."""
    folder = os.path.realpath(folder or os.curdir)
    while not os.path.exists(os.path.join(folder, _NAME)):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True
