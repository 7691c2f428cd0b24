"""An API server that knows which kinds there are and nothing else: all that `kubectl create --dry-run=client` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tests.emulators.serving import Handler, Server, Serving

if TYPE_CHECKING:
    from collections.abc import Iterable

Kinds = set[tuple[str, str]]
"""Pairs of apiVersion and kind."""


def resources(kinds: Iterable[str], group_version: str) -> dict[str, object]:
    """The discovery document of one group and version."""
    verbs = ["create", "get", "list", "patch"]
    rows = [
        {"name": f"{kind.lower()}s", "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
        for kind in sorted(kinds)
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def documents(kinds: Kinds) -> dict[str, object]:
    """What is answered under which path."""
    groups: dict[str, list[str]] = {}
    for version, _ in sorted(kinds):
        if "/" in version:
            group = groups.setdefault(version.partition("/")[0], [])
            group += [] if version in group else [version]
    rows = []
    for name, versions in groups.items():
        found = [{"groupVersion": version, "version": version.partition("/")[2]} for version in versions]
        rows.append({"name": name, "versions": found, "preferredVersion": found[0]})
    answers: dict[str, object] = {
        "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": rows},
    }
    for version in {version for version, _ in kinds} | {"v1"}:
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        answers[path] = resources([kind for at, kind in kinds if at == version], version)
    return answers


class Knowing(Handler):
    """Gives each path's document."""

    answers: ClassVar[dict[str, object]]

    def do_GET(self) -> None:
        found = self.answers.get(self.path.partition("?")[0])
        self.answer(200 if found is not None else 404, found or {"kind": "Status", "code": 404})


class ApiServer(Serving):
    """On this machine, for as long as a `with` block lasts."""

    def __init__(self, answers: dict[str, object], handler: type[Knowing] = Knowing) -> None:
        self._server = Server(("127.0.0.1", 0), type("Handler", (handler,), {"answers": answers}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
