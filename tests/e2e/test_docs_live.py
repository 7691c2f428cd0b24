"""docs/live.md and docs/migrating-from-sealed-secrets.md: their commands, with a program in kubectl's place."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import KSECRET, PASSWORD, Person, Ran, b64, is_sealed
from tests.e2e.documents import command_blocks, run_in_order
from tests.e2e.documents_world import sealed_secrets
from tests.e2e.test_cli_diff import CHANGED
from tests.e2e.test_cli_import import listed, live

if TYPE_CHECKING:
    from pathlib import Path

KUBECTL = """\
#!/bin/sh
case "$*" in
  *sealed-secrets-key*) exec cat keys.yaml ;;
  diff*) cat >/dev/null; cat "$OUT/diff"; exit 1 ;;
  "get secrets db"*|"get secret db"*) exec cat "$OUT/one" ;;
  get*) exec cat "$OUT/all" ;;
  apply*) cat > "$OUT/stdin" ;;
esac
"""
ENDS_WITH_1 = ("ksecret diff", "ksecret drift")


def typed(me: Person, line: str, folder: Path) -> Ran:
    """Runs one line; a file that an earlier one wrote is written again."""
    line = re.sub(" -o (deploy/prod|d)", r" -f -o \1", line) if "ksecret import" in line else line
    if set("|>") & set(line.partition("#")[0]):
        (ran,) = run_in_order(me, [[line]], folder)
        return Ran(ran.code, b"", ran.err)
    program, *words = shlex.split(line, comments=True)
    return me.run(*words, program=KSECRET if program == "ksecret" else program)


@pytest.mark.parametrize("page", ["docs/live.md", "docs/migrating-from-sealed-secrets.md"])
def test_the_commands_of_a_page_end_as_it_says(me: Person, tmp_path: Path, page: str) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").write_text(KUBECTL)
    (programs / "kubectl").chmod(0o755)
    for name, text in (("diff", CHANGED), ("one", json.dumps(live())), ("all", json.dumps(listed(live(), live("b"))))):
        (programs / name).write_text(text)
    me.environ |= {"PATH": f"{programs}:{me.environ['PATH']}", "OUT": str(programs)}
    if page != "docs/live.md":
        sealed_secrets(me)
    me.write_sealed("deploy/own.yaml")
    me.write_sealed("secret.yaml")
    for line in [line for block in command_blocks(page) for line in block]:
        ran = typed(me, line, tmp_path)
        assert ran.code == int(line.startswith(ENDS_WITH_1)), (line, ran.err)
    for path in me.work.rglob("*.yaml"):
        assert path.name in ("keys.yaml", "more.yaml") or is_sealed(path.read_bytes()), path
    assert page == "docs/live.md" or b64(PASSWORD) in (programs / "stdin").read_text()
