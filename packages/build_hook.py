"""Puts man pages and completions into the wheel, made from the commands as they are (hatchling's custom build hook).

Source: https://hatch.pypa.io/latest/plugins/build-hook/custom/
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.utils import get_reproducible_timestamp

COMPLETIONS = {
    "bash": "bash-completion/completions/ksecret",
    "zsh": "zsh/site-functions/_ksecret",
    "fish": "fish/vendor_completions.d/ksecret.fish",
}
"""Where each shell looks below `share` for what completes a command when it is first typed."""


class Shared(BuildHookInterface):  # type: ignore[type-arg]
    """Files of the wheel that are no modules: below `share` of where it is installed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them, and name them to the builder; an editable install has none."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from packages import manpages
        from secretsvc.cli.completion import script

        sys.path.remove(self.root)
        self._folder = tempfile.TemporaryDirectory(prefix="ksecret-share-")
        folder = Path(self._folder.name)
        paths = [Path("man") / path for path in manpages.write(folder / "man", get_reproducible_timestamp())]
        for shell, path in COMPLETIONS.items():
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text(f"{script(shell)}\n")
            paths.append(Path(path))
        build_data["shared_data"] |= {str(folder / path): f"share/{path}" for path in paths}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was written."""
        if version != "editable":
            self._folder.cleanup()
