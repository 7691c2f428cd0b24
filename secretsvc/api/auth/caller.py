"""Callers, and the refusal of those who are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsvc.api.problems import UNAUTHENTICATED, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Caller(NamedTuple):
    """Somebody who was found to be calling: a token's holder, or an issuer's subject with its verified claims."""

    token: str = ""
    issuer: str = ""
    subject: str = ""
    claims: Mapping[str, object] = {}

    def as_json(self) -> dict[str, str]:
        """Return them as the audit log names them."""
        return {"token": self.token} if self.token else {"issuer": self.issuer, "subject": self.subject}

    @property
    def id(self) -> tuple[str, str, str]:
        return self.token, self.issuer, self.subject


class UnauthenticatedError(RefusedError):
    """Refusal (401) of a caller who is not known; `reason` is the metric's label."""

    slowly = True

    def __init__(self, reason: str, detail: str, hint: str = "") -> None:
        super().__init__(UNAUTHENTICATED, detail, hint=hint, headers={"www-authenticate": 'Bearer realm="ksecret"'})
        self.reason = reason


def refused(reason: str, detail: str, hint: str = "") -> UnauthenticatedError:
    """Return the 401 for that reason: one word of a few, since it labels a metric."""
    return UnauthenticatedError(reason, detail, hint)
