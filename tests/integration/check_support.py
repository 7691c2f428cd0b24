"""One file's findings, for the tests of `check`."""

from __future__ import annotations

from base64 import b64encode

from secretsvc.operations.check import check_file, may_hold_secret
from secretsvc.operations.findings import RULES
from secretsvc.policy import Policies

MARK = "n0t-public"
CREATED_SECONDS = 1795403420  # 2026-11-23T03:10:20Z


def found(data: bytes, policy: str = "", now: float = CREATED_SECONDS) -> list[tuple[int, str]]:
    """Line and code of every finding in a file beside that policy, after a look at every message."""
    policies = Policies(lambda path: policy.encode() if policy and path == "/r/.ksecret.yaml" else None, "/r")
    checked = check_file(data, "/r/prod/a.yaml", policies, now)
    for finding in checked.findings:
        assert finding.code in RULES
        assert finding.message.isprintable()
        for word in (MARK, b64encode(MARK.encode()).decode(), "hunter2"):
            assert word not in finding.message
    assert may_hold_secret(data) or not checked.findings
    return [(finding.line, finding.code) for finding in checked.findings]


def allowed(data: bytes) -> int:
    return check_file(data, "a.yaml", None, 0).allowed
