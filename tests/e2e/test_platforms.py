"""Other systems than Linux, simulated: what Python lacks there is taken away in every process (tests/platforms)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from secretsvc.operations.output import as_data
from tests.e2e.cli import BIN, MANIFEST, PASSWORD, Person, Ran
from tests.e2e.forks import measuring

PLATFORMS = Path(__file__).parents[1] / "platforms"


def started(me: Person, system: str, *words: str, program: str = "ksecret", stdin: bytes = b"") -> Ran:
    """A process of its own, for a fork would have what is to be missing."""
    environ = {"PYTHONPATH": str(PLATFORMS / system), "PYTHONDONTWRITEBYTECODE": "1"} | measuring()
    return me.run(*words, stdin=stdin, program=os.path.join(BIN, program), **environ)


@pytest.mark.parametrize(
    "program", ["ksecret", "ksecret-sops", "ksecret-krm", "kubectl-ksecret", "kubectl_complete-ksecret"]
)
def test_on_windows_every_program_says_in_one_sentence_that_it_does_not_run_there(me: Person, program: str) -> None:
    ran = started(me, "windows", "check", program=program)
    assert (ran.code, ran.out) == (7, b"")
    assert ran.err == (
        "ksecret: Windows is not supported: files are locked and signals held as POSIX has it\n"
        "  run it in WSL (Windows Subsystem for Linux), or in a container\n"
    )


def test_on_windows_the_library_says_so_too(me: Person) -> None:
    ran = started(me, "windows", "-c", TRIED, program=os.path.basename(sys.executable))
    assert ran.out == b"secretsvc needs Linux or macOS; on Windows it runs in WSL\n", ran.err


TRIED = """
import secretsvc
try:
    secretsvc.decrypt
except ImportError as error:
    print(error)
"""


def test_on_macos_files_are_sealed_opened_changed_and_applied(me: Person, tmp_path: Path) -> None:
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text('#!/bin/sh\ncat >"$0.applied"\n')
    kubectl.chmod(0o755)
    me.environ["PATH"] = os.pathsep.join((str(kubectl.parent), me.environ["PATH"]))
    path = me.write("deploy/a.yaml")
    assert started(me, "macos", "encrypt", "-i", "deploy/a.yaml").code == 0
    assert started(me, "macos", "decrypt", "-r", "deploy").out == MANIFEST
    assert started(me, "macos", "rotate", "deploy/a.yaml").code == 0
    for number in range(200):  # enough for worker processes
        me.write(f"deploy/{number}.yaml", path.read_bytes())
    ran = started(me, "macos", "apply", "-r", "deploy")
    assert (ran.code, ran.err) == (0, "")
    assert kubectl.with_name("kubectl.applied").read_bytes() == b"---\n".join([as_data(MANIFEST)] * 201)
    ran = started(me, "macos", "exec", "deploy/a.yaml", "--", "sh", "-c", 'echo "$password"')
    assert (ran.code, ran.out.decode()) == (0, f"{PASSWORD}\n")


def test_on_macos_values_go_into_no_file_on_a_disk(me: Person) -> None:
    me.write_sealed("a.yaml")
    ran = started(me, "macos", "exec", "--files", "a.yaml", "--", "true")
    assert (ran.code, ran.out) == (7, b"")
    assert "no folder in memory" in ran.err
    assert ran.err.endswith("  run without --files: only Linux has such folders\n")
