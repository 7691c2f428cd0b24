"""Routes and what they depend on run on the event loop: FastAPI hands a plain function to a thread, each time anew."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from secretsvc.api import routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant

ROUTERS = {
    found.name: import_module(f"{routes.__name__}.{found.name}").router
    for found in pkgutil.iter_modules(routes.__path__)
}


def called(router: APIRouter) -> Iterator[Any]:
    """Everything that FastAPI calls for requests there."""
    for route in router.routes:
        assert isinstance(route, APIRoute)
        yield from _called(route.dependant)


def _called(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for one in dependant.dependencies:
        yield from _called(one)


def plain(router: APIRouter) -> list[str]:
    """What of it would be called in a thread."""
    return [
        one.__name__
        for one in called(router)
        if not (inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one))
    ]


@pytest.mark.parametrize("name", ROUTERS)
def test_no_request_costs_a_thread_before_it_has_work_for_one(name: str) -> None:
    assert plain(ROUTERS[name]) == []


def test_plain_functions_are_found_however_deep_they_are() -> None:
    def deepest() -> None: ...

    async def deep(_found: object = Depends(deepest)) -> None: ...

    router = APIRouter()

    @router.get("/")
    async def route(_found: object = Depends(deep)) -> None: ...

    assert plain(router) == ["deepest"]
