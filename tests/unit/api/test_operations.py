"""The table of operations: rules, batches and paths offer what it has, no more and no less."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from secretsvc.api.models import BatchLine
from secretsvc.api.operations import OPERATIONS, Operation
from secretsvc.api.routes import generate, manifest
from secretsvc.api.settings import Rule


@pytest.fixture(scope="module")
def paths() -> dict[str, Any]:
    app = FastAPI()
    app.include_router(manifest.router)
    app.include_router(generate.router)
    found: dict[str, Any] = app.openapi()["paths"]
    return found


def test_rules_can_allow_every_operation_and_nothing_else() -> None:
    items = Rule.model_json_schema()["properties"]["operations"]["items"]
    assert items["enum"] == list(OPERATIONS)


def test_batches_take_those_that_say_so() -> None:
    taken = BatchLine.model_json_schema()["properties"]["op"]["enum"]
    assert taken == [name for name, row in OPERATIONS.items() if row.in_batches]


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=OPERATIONS)
def test_each_has_its_path_with_its_parameters(row: Operation, paths: dict[str, Any]) -> None:
    (path,) = (path for path in paths if path.split("/")[2] == row.name)
    parameters = {one["name"] for one in paths[path]["post"].get("parameters", []) if one["in"] == "query"}
    body = set(paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"].get("properties", ()))
    assert set(row.parameters) <= parameters | body
    assert parameters <= set(row.parameters)


@pytest.mark.parametrize("row", [row for row in OPERATIONS.values() if row.in_batches], ids=lambda row: row.name)
def test_a_batchs_line_has_the_members_of_each(row: Operation) -> None:
    assert set(row.members) <= set(BatchLine.model_fields)
