"""GitHub's runner, as far as a composite action's `run` steps need one: environment, folder, shell, outputs and `if`.

"Metadata syntax for GitHub Actions" and "Workflow commands for GitHub Actions" say what it does.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from pathlib import Path

SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""What `shell: bash` stands for."""
_EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
_CONDITION = re.compile(r"(\S+) (==|!=) '([^']*)'")
_COMMAND = re.compile(r"::([\w-]+)(?: [^:]*)?::(.*)")


class Acted(NamedTuple):
    """What a run of an action left: the exit code of the step that failed, or 0, and what its steps said."""

    code: int
    out: str
    err: str
    outputs: dict[str, str]
    path: list[str]
    """Folders put in front of PATH."""
    obeyed: list[str]
    """Names of the workflow commands that the runner would have obeyed."""


class Runner:
    """A job's machine: a workspace, a temporary folder, and an environment that every step gets."""

    def __init__(self, folder: Path, workspace: Path, environ: dict[str, str]) -> None:
        self.workspace, self.temporary = workspace, folder / "runner-temp"
        self.temporary.mkdir()
        self.environ = environ | {
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_ACTIONS": "true",
        }

    def act(self, action: Path, **given: str) -> Acted:
        """Runs the action in that folder; names of inputs have `_` for `-`."""
        told: dict[str, Any] = yaml.safe_load((action / "action.yml").read_text())
        values = {f"inputs.{name}": str(found["default"]) for name, found in told["inputs"].items()}
        for name, text in given.items():
            assert f"inputs.{name.replace('_', '-')}" in values, name
            values[f"inputs.{name.replace('_', '-')}"] = text
        done = Acted(0, "", "", {}, [], [])
        for step in told["runs"]["steps"]:
            if "if" not in step or _holds(step["if"], values):
                done = self._step(step, values, done, action)
                if done.code:
                    break
        outputs = {name: _filled(found["value"], values) for name, found in told["outputs"].items()}
        return done._replace(outputs=outputs)

    def _step(self, step: dict[str, Any], values: dict[str, str], before: Acted, action: Path) -> Acted:
        assert (step["shell"], "uses" in step) == ("bash", False)
        assert not _EXPRESSION.search(step["run"]), "an input in a script is a script of whoever gives it"
        script, output, path = (self.temporary / f"_{step['id']}{end}" for end in (".sh", ".output", ".path"))
        script.write_text(step["run"])
        for file in (output, path):
            file.write_text("")
        environ = self.environ | {name: _filled(text, values) for name, text in step.get("env", {}).items()}
        environ |= {"GITHUB_ACTION_PATH": str(action), "GITHUB_OUTPUT": str(output), "GITHUB_PATH": str(path)}
        folder = os.path.join(self.workspace, _filled(step.get("working-directory", "."), values))
        done = subprocess.run([*SHELL, script], cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
        obeyed, set_by_commands = _obeyed(done.stdout)
        told = dict(line.split("=", 1) for line in output.read_text().splitlines()) | set_by_commands
        values |= {f"steps.{step['id']}.outputs.{name}": text for name, text in told.items()}
        return Acted(
            done.returncode,
            before.out + done.stdout,
            before.err + done.stderr,
            {},
            [*path.read_text().splitlines(), *before.path],
            [*before.obeyed, *obeyed],
        )


def _filled(text: str, values: dict[str, str]) -> str:
    """With expressions' values in their places; what no step has set is empty."""
    return _EXPRESSION.sub(lambda found: values.get(_known(found[1]), ""), text)


def _known(expression: str) -> str:
    assert re.fullmatch(r"inputs\.[\w-]+|steps\.\w+\.outputs\.\w+", expression), expression
    return expression


def _holds(condition: str, values: dict[str, str]) -> bool:
    found = _CONDITION.fullmatch(condition)
    assert found, condition
    return (values[found[1]] == found[3]) is (found[2] == "==")


def _obeyed(out: str) -> tuple[list[str], dict[str, str]]:
    """The names of commands outside of what `stop-commands` covers, and outputs that they set in the old way."""
    names, outputs, until = [], {}, ""
    for line in out.splitlines():
        found = _COMMAND.match(line.strip())
        if until:
            until = "" if line.strip() == f"::{until}::" else until
        elif found:
            names.append(found[1])
            until = found[2] if found[1] == "stop-commands" else ""
            if found[1] == "set-output":
                outputs[line.partition("name=")[2].partition("::")[0]] = found[2]
    return names, outputs
