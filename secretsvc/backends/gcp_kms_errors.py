"""The former place of `backends.gcp_kms.errors`: scripts that show how a failed call is told import it."""

from __future__ import annotations

from secretsvc.backends.gcp_kms.errors import failed

__all__ = ["failed"]
