"""Sessions: what opens and seals the files of a run. Keys at hand or a service, that is decided here, once."""

from __future__ import annotations

import os

from secretsvc import formats
from secretsvc.cli import options
from secretsvc.errors import AlreadySealedError, KsecretError, UsageError
from secretsvc.files.workspace import POLICIES, Above
from secretsvc.operations.open import may_ask_for_role, open_any, sops_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.options import Server, Unlocking
    from secretsvc.cli.policies import FilePolicies
    from secretsvc.cli.remote import RemoteSession
    from secretsvc.cli.sealing import Requests, SealingOptions
    from secretsvc.cli.sops import Sealer
    from secretsvc.operations import Result
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.open import Parents
    from secretsvc.operations.request import Changes
    from secretsvc.policy.sops_yaml import CreationRule

    class Opener(Protocol):
        """Opens manifests, in several threads at once."""

        @property
        def jobs(self) -> int:
            """Number of files at a time that the homes of the keys needed so far bear."""

        @property
        def forks(self) -> bool:
            """Tell whether, with these keys, it goes on in copies of this process."""

        def open(self, data: bytes, name: str) -> Result:
            """Open the manifest in the file of that name, as `operations.open.open_manifest`."""

    class Session(Opener, Protocol):
        """Changes manifests too; each method takes a file's bytes and name, and raises what its operation raises."""

        def wants_sealed(self, name: str) -> bool:
            """Tell whether a rule of SOPS's wants that file sealed, though it was found in a folder."""

        def seal(self, data: bytes, name: str) -> Result:
            """Seal it, as `operations.seal.seal_manifest`."""

        def rotate(self, data: bytes, name: str, before: str) -> Result:
            """Replace data keys made before that time (as envelopes state it), as `rotate.rotate_manifest`."""

        def rewrap(self, data: bytes, name: str) -> Result:
            """Wrap its data keys anew, as `operations.rotate.rewrap_manifest`."""

        def patch(self, data: bytes, name: str, changes: Changes, which: str) -> Result:
            """Change one Secret of it, as `operations.patch.patch_manifest`."""


def opener(server: Server, unlocking: Unlocking) -> Opener:
    """Begin a run that only opens. Raises UsageError, FileError."""
    if not server.url:
        return LocalOpener(options.backends(unlocking))
    from secretsvc.cli.sealing import SealingOptions

    return remote_session(server, unlocking, SealingOptions())


def begin(server: Server, unlocking: Unlocking, wanted: SealingOptions) -> Session:
    """Begin a run that seals. Raises UsageError, FileError, and what opening `wanted.parent` raises."""
    if not server.url:
        return LocalSession(options.backends(unlocking), wanted)
    return remote_session(server, unlocking, wanted)


def remote_session(server: Server, unlocking: Unlocking, wanted: SealingOptions) -> RemoteSession:
    """Begin a run whose work a service does.

    Raises UsageError, also for options that tell of keys on this machine, or ask somebody at it; FileError.
    """
    from secretsvc.cli.remote import RemoteSession
    from secretsvc.client.remote import Remote

    here = {
        "--parent": wanted.parent,
        "--recompute-mac": wanted.recompute_mac,
        "--keyring": unlocking.keyring,
        "--passphrase": unlocking.passphrase,
        "--passphrase-file": unlocking.passphrase_file,
    }
    for option, value in here.items():
        if value:
            raise UsageError(f"{option} does not go with a service", hint="--server '' works with the keys at hand")
    remote = Remote(server.url, os.environ, server.ca)
    return RemoteSession(remote, options.backends(unlocking), wanted)


class LocalOpener:
    """Opens with the keys at hand, as each file's policy wants them."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._nearby = Above(*POLICIES)
        self._policies: FilePolicies | None = None

    @property
    def jobs(self) -> int:
        """Number of files at a time that the backends needed so far bear."""
        return self._backends.jobs

    @property
    def forks(self) -> bool:
        """Tell whether the backends needed so far go on in copies of this process."""
        return self._backends.forks

    def open(self, data: bytes, name: str) -> Result:
        """Open the manifest, or the tree, in the file of that name."""
        return open_any(data, self._keyring(name, data), name)

    def _keyring(self, name: str, data: bytes) -> Keyring:
        """The keys as the file's policy wants them; without a policy above it, as they are, and none of its code."""
        if self._policies is None and (self._nearby.has(name) or may_ask_for_role(data)):
            from secretsvc.cli.policies import FilePolicies

            self._policies = FilePolicies(self._backends)
        return self._policies.keyring_for_opening(name, data) if self._policies else self._backends


class LocalSession(LocalOpener):
    """Opens and seals with the keys at hand. Operations are imported when they are needed: a start is short."""

    def __init__(self, backends: Backends, wanted: SealingOptions) -> None:
        """Raises UsageError, and what opening `wanted.parent` raises."""
        from secretsvc.cli.sealing import Requests

        super().__init__(backends)
        self._wanted = wanted
        self._requests = Requests(wanted, backends)
        self._parents = _parents(wanted.parent, self._requests)
        self._sops: Sealer | None = None

    @property
    def forks(self) -> bool:
        """Tell whether they do, and nobody is asked to vouch for files."""
        return super().forks and not self._wanted.recompute_mac

    def wants_sealed(self, name: str) -> bool:
        """Tell whether a rule of SOPS's wants that file sealed, though it was found in a folder. Raises FileError."""
        return not self._wanted.format and self._requests.wants_sealed(name)

    def seal(self, data: bytes, name: str) -> Result:
        """Seal the file of that name: a manifest, or by the nearest policy's word any tree in SOPS's format."""
        from secretsvc.operations.seal import seal_manifest

        if sops_tree(data, name):
            what = "it is sealed already, in SOPS's format"
            raise AlreadySealedError(what, hint="ksecret rotate, keys and set change it")
        rule = self._rule(data, name)
        if rule and not formats.holds_sealed(data):
            from secretsvc.cli import sops

            sops.refuse_others(self._wanted)
            self._sops = self._sops or sops.Sealer(self._backends, self._requests, self._wanted)
            return self._sops.sealed(data, name, rule)
        request = self._requests.of(name, self._wanted.parent)
        return seal_manifest(data, request, self._requests.keyring(name), self._parents)

    def _rule(self, data: bytes, name: str) -> CreationRule | None:
        """The rule of `.sops.yaml` for a new file. Raises InputError, FileError, NothingToSealError."""
        if self._wanted.is_named(name):
            return self._requests.sops_rule(name)
        from secretsvc.cli import sops

        return sops.rule_in_walk(self._requests.sops_rule, data, name, self._wanted)

    def rotate(self, data: bytes, name: str, before: str) -> Result:
        """Replace its data keys made before that time; other formats are converted only where an option says so."""
        from secretsvc.operations.rotate import rotate_manifest

        request = self._requests.of(name)._replace(rotate_before=before, format=self._wanted.format)
        tree = sops_tree(data, name)
        if tree:
            from secretsvc.operations.documents import changes as document_changes

            return document_changes.rotate(tree, request, self._requests.keyring(name, data=data))
        return rotate_manifest(data, request, self._requests.keyring(name))

    def rewrap(self, data: bytes, name: str) -> Result:
        """Wrap its data keys anew."""
        from secretsvc.operations.rotate import rewrap_manifest

        tree = sops_tree(data, name)
        if tree:
            from secretsvc.operations.documents import changes as document_changes

            keyring = self._requests.keyring(name, data=data)
            return document_changes.rewrap(tree, self._requests.of(name).created, keyring)
        return rewrap_manifest(data, self._requests.keyring(name))

    def patch(self, data: bytes, name: str, changes: Changes, which: str) -> Result:
        """Change the Secret `which`, or the only one."""
        from secretsvc.operations.patch import patch_manifest

        tree = sops_tree(data, name)
        if tree:
            request, keyring = self._requests.of(name), self._requests.keyring(name, data=data)
            if not changes.values:
                from secretsvc.operations.documents.patch import patch_secret

                return patch_secret(tree, changes, request, keyring, which)
            from secretsvc.operations.documents import changes as document_changes

            return document_changes.set_values(tree, changes, request, keyring, which)
        return patch_manifest(data, changes, self._requests.of(name), self._requests.keyring(name), which)


def _parents(path: str, requests: Requests) -> Parents:
    """The Secrets of the sealed file that others are to be sealed like. Raises what opening raises, with its path."""
    if not path:
        return {}
    from secretsvc.cli.batch import content
    from secretsvc.operations.open import open_parents

    try:
        return open_parents(content(path), requests.keyring(path))
    except KsecretError as error:
        error.file = path
        raise
