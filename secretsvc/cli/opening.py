"""What opens manifests for the commands that do: the keys at hand, as policies want them, or a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.policies import FilePolicies
from secretsvc.operations.open import open_manifest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.remote import Service
    from secretsvc.operations.result import Result


def opener(args: Namespace) -> tuple[Backends | Service, Callable[[bytes, str], Result]]:
    """What `options.jobs` asks, and what opens a file's bytes, given its name. Raises UsageError, FileError."""
    service = options.service(args)
    if service:
        return service, service.open_manifest
    keyring = options.backends(args)
    policies = FilePolicies(keyring)
    return keyring, lambda data, name: open_manifest(data, policies.keyring_for_opening(name))
