"""A service that shows the page, and one browser for all tests of it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.browser import DESK, Browser
from tests.e2e.cli import BIN
from tests.e2e.page.steps import PGP
from tests.service import Service, entry, rule

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Whose gpg never answers."""
    folder = tmp_path_factory.mktemp("service")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "gpg").write_text("#!/bin/sh\nexec sleep 60\n")
    (programs / "gpg").chmod(0o755)
    made = Service(folder, PATH=os.pathsep.join((str(programs), BIN, os.environ["PATH"])))
    made.config["page"] = True
    made.config["limits"]["backendSeconds"] = 1.5
    made.config["tokens"] += [entry(name) for name in ("maria", "setter", "nobody")]
    made.config["rules"] += [
        rule("maria", "encrypt", "generate", "set", "inspect", namespaces=["prod"], keys=[made.ref, PGP]),
        rule("maria", "decrypt", namespaces=["dev"], keys=[made.ref]),
        rule("setter", "set", keys=[made.ref]),
    ]
    with made:
        yield made


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture
def browser(started: Browser, service: Service) -> Iterator[Browser]:
    """Which complains of nothing, asks for nothing from anywhere else, and keeps nothing."""
    started.screen(DESK)
    started.asked()
    started.console()
    yield started
    told = "return [document.cookie, localStorage.length, sessionStorage.length, (await indexedDB.databases()).length]"
    assert started.run(f"return (async () => {{ {told} }})()") == ["", 0, 0, 0]
    assert started.console() == []
    assert [url for url in started.asked() if not re.match(r"(blob:)?http://(127\.0\.0\.1|localhost):", url)] == []
