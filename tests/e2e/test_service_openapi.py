"""The OpenAPI document holds: schemathesis makes up requests from it and looks at every answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service import Service, token

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[2]
EXAMPLES = os.environ.get("KSECRET_TEST_SCHEMATHESIS_EXAMPLES", "15")
"""Requests of each kind for each path; nightly runs take more."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as made:
        yield made


def test_every_path_is_described_with_its_problems(service: Service) -> None:
    document = service.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        *(
            f"/v1/{name}"
            for name in ("encrypt", "decrypt", "rotate", "set", "inspect", "verify", "batch", "keys", "whoami")
        ),
        "/v1/generate/{kind}",
        *("/livez", "/readyz", "/healthz", "/metrics", "/openapi.json", "/docs"),
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"]
            if path.startswith("/v1"):
                assert {"401", "429", "503"} <= set(operation["responses"])
                assert operation["security"] == [{"bearer": []}]
    assert "example" in document["paths"]["/v1/encrypt"]["post"]["requestBody"]["content"]["application/yaml"]
    assert "HTTPValidationError" not in json.dumps(document)


def test_the_page_for_people_loads_nothing(service: Service) -> None:
    page = service.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert b"/v1/encrypt" in page.body
    assert b"<script" not in page.body
    assert b"http" not in page.body.replace(b"https://index.docker.io", b"")


@pytest.mark.uncounted
@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(service: Service, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_bytes(service.get("/openapi.json").body)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(document)),
            *("--url", f"http://127.0.0.1:{service.port}", "--header", f"Authorization: Bearer {token('root')}"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_headers_conformance,response_schema_conformance,unsupported_method"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "1"),
            *(
                "--generation-database",
                "none",
                "--no-color",
                "--workers",
                "1",
            ),  # CPython 3.11 parses in one thread only
            *("--suppress-health-check", "too_slow", "--request-timeout", "120"),  # the machine may have much to do
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**service.environ, "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        timeout=590,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
