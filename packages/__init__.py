"""What releases are made of, and how: man pages, completions, the single file, manifests of package managers."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def programs() -> dict[str, str]:
    """Every program that is installed, and its `module:function`."""
    found: dict[str, str] = _project()["scripts"]
    return found


def home() -> str:
    """Address of the repository."""
    return str(_project()["urls"]["Homepage"])


def _project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        found: dict[str, Any] = tomllib.load(stream)["project"]
    return found
