"""Findings in a policy that can be read, told without any key."""

from __future__ import annotations

from secretsvc.backends import verify
from secretsvc.errors import KeyRefError
from secretsvc.operations.findings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.policy.policies import Policy


def check_policy(policy: Policy, file: str) -> Iterator[Finding]:
    """KS018 for each recipient that no backend takes, by the line of its rule. What it is may be a secret: no text."""
    for rule in policy.content.rules:
        for number, key in enumerate(rule.keys, 1):
            try:
                verify(key)
            except KeyRefError as error:
                yield Finding(file, rule.line, "KS018", f"key {number} of this rule: {error.message}")
