"""One file's findings, for the tests of `check`."""

from __future__ import annotations

from base64 import b64encode

from secretsvc.operations.check import check_file
from secretsvc.operations.check_search import may_hold_secret
from secretsvc.operations.findings import RULES
from secretsvc.policy.policies import Policies
from tests.support import LOCK, new_lock, seal

MARK = "n0t-public"
CREATED_SECONDS = 1795403420  # 2026-11-23T03:10:20Z
CLEAR = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
data:
  a: {b64encode(MARK.encode()).decode()}
stringData:
  b: {MARK}
""".encode()
SEALED = seal(CLEAR)
KEY = str(LOCK.keys[0])
OTHER = str(new_lock().keys[0])
KUBESEC = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: x}}
data:
  a: {"QUJD" * 16}.{"QUJD" * 4}.{"QUJD" * 5}QQ==
  empty: {"QUJD" * 4}.{"QUJD" * 5}QQ==
# kubesec:v:3
# kubesec:pgp:0123456789ABCDEF0123456789ABCDEF01234567:LS0tLS1C
# kubesec:aws:arn:aws:kms:eu-west-1:111122223333:alias/Prod:QUJD
# kubesec:mac:{"QUJD" * 4}.{"QUJD" * 5}QQ==
"""


def sops_token(value: bytes = b"x") -> str:
    parts = {"data": value, "iv": bytes(32), "tag": bytes(16)}
    return f"ENC[AES256_GCM,{','.join(f'{name}:{b64encode(part).decode()}' for name, part in parts.items())},type:str]"


SOPS = f"""\
apiVersion: v1
kind: Secret
data:
  a: {sops_token()}
  b: ""
sops:
  age: [{{recipient: age1x, enc: x}}]
  lastmodified: "2026-11-28T00:00:00Z"
  mac: {sops_token()}
"""


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
