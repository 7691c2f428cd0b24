"""Bodies that were made to cost do not keep the service's event loop from others, nor a worker for long.

The figures are benchmarks/hostile_service.py's; here a few families with bars that a busy machine holds, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.hostile_service import costs, requests
from tests.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

DEAREST = [
    *("merged-items /v1/verify", "kubesec-lines /v1/encrypt", "flow-list /v1/encrypt", "ksecret-wrapped /v1/verify"),
    *("json-objects /v1/encrypt", "documents /v1/encrypt", "long-value /v1/encrypt", "keys /v1/encrypt"),
    *(
        "json-manifest-lists",
        "json-manifest-objects",
        "set-unknown-members",
        "set-many-values",
        "set-into-many-entries",
    ),
    *("form-boundaries", "generate-random", "generate-data", "generate-pem-begins", "generate-pem-headers"),
    *("generate-key-of-many-bits", "generate-long-name", "batch-keys", "batch-wide-lines"),
    *("query-of-many-names", "content-type-of-many-quotes"),
]
LATE_MS, WORK_SECONDS = 250, 5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as made:
        yield made


@pytest.mark.alone
@pytest.mark.parametrize("name", DEAREST)
def test_a_body_that_was_made_to_cost_keeps_nobody_else_waiting(service: Service, name: str) -> None:
    for size, cost in costs(service, requests()[name]):
        assert cost.status != 500
        assert cost.late_ms < LATE_MS, f"/livez waited, at {size} bytes"
        assert cost.cpu_seconds < WORK_SECONDS, f"at {size} bytes"
