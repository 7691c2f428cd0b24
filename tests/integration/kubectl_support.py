"""kubectl's recorded answers, and its commands run again: by it where it is installed, and by ksecret in process."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from base64 import b64decode
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import settings

from secretsvc.cli.main import main
from tests.support import DATA, NIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDED = 250
OLDEST = 32
"""The minor version from which on kubectl answers as recorded (design KUBECTL, section 0)."""


class Case(NamedTuple):
    """One recorded command: what it found, and what came of it."""

    name: str
    args: list[str]
    files: dict[str, bytes]
    dirs: list[str]
    symlinks: dict[str, str]
    stdin: bytes
    env: dict[str, str]
    code: int
    object: dict[str, Any] | None
    stderr: str

    def __str__(self) -> str:
        return self.name

    @property
    def words(self) -> list[str]:
        """The same command for ksecret: `create secret` is `create`."""
        return [self.args[0], *self.args[2:]]

    def lay_out(self, folder: Path) -> None:
        """The files that the command found."""
        for name in self.dirs:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for name, target in self.symlinks.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)


def load() -> list[Case]:
    """Every recorded case; fewer than were recorded is an error."""
    recorded = json.loads((DATA / "kubectl" / "cases.json").read_text(encoding="utf-8"))
    cases = [
        Case(
            case["name"],
            case["args"],
            {name: b64decode(data) for name, data in case["files"].items()},
            case["dirs"],
            case.get("symlinks", {}),
            b64decode(case.get("stdin", "")),
            case.get("env", {}),
            case["rc"],
            case["object"],
            case["stderr"],
        )
        for case in recorded
    ]
    names = {case.name for case in cases}
    assert len(names) == len(cases) == RECORDED, f"{len(names)} of {RECORDED} cases"
    assert all(isinstance(case.object, dict) == (case.code == 0) for case in cases if "/o-" not in case.name)
    return cases


def comparable(secret: dict[str, Any]) -> dict[str, Any]:
    """Without a null creationTimestamp, which kubectl writes up to 1.33 and later no more."""
    metadata = {
        name: value for name, value in secret["metadata"].items() if (name, value) != ("creationTimestamp", None)
    }
    return secret | {"metadata": metadata}


def kubectl_is_here() -> bool:
    """Whether this machine has a kubectl to compare with."""
    if shutil.which("kubectl") is None:
        return False
    version = ["kubectl", "version", "--client", "-o", "json"]
    environ = {"PATH": os.environ["PATH"], "KUBECONFIG": os.devnull, "HOME": os.devnull}
    done = subprocess.run(version, env=environ, capture_output=True, timeout=60, check=True)
    return int(json.loads(done.stdout)["clientVersion"]["minor"].rstrip("+")) >= OLDEST


needs_kubectl = pytest.mark.skipif(not kubectl_is_here(), reason="no kubectl of 1.32 or later on this machine")
FEWER = settings(max_examples=settings().max_examples // 10)
"""For tests that start a process for each example."""
STEP = 1 if NIGHT else 5
"""Of recorded commands and of pairs, each STEPth is tried before a change lands, and every one at night."""


def kubectl(folder: Path, args: list[str], stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """The kubectl of this machine, which finds no cluster."""
    found = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": os.devnull} | environ
    return subprocess.run(
        ["kubectl", *args], cwd=folder, env=found, input=stdin, capture_output=True, timeout=60, check=False
    )


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """Descriptor 0 as a pipe with these bytes in it, so that /dev/stdin is one too."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    kept = os.dup(0)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


class Answer(NamedTuple):
    """What `ksecret create … --plaintext` left, run in this process."""

    code: int
    out: bytes
    err: str


def ksecret(folder: Path, words: list[str], stdin: bytes = b"") -> Answer:
    """ksecret's answer to the same words."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with standard_input(stdin), chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = main([words[0], "--plaintext", *words[1:]])
    out.flush()
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    return Answer(code, buffer.getvalue(), err.getvalue())


def agree(folder: Path, *words: str, stdin: bytes = b"") -> dict[str, Any] | None:
    """Both make the same object, which is returned, or both refuse."""
    theirs = kubectl(folder, ["create", "secret", words[0], "--dry-run=client", "-o", "json", *words[1:]], stdin)
    ours = ksecret(folder, ["create", words[0], "-o", "json", *words[1:]], stdin)
    if theirs.returncode:
        assert ours.code in (2, 3, 7), (words, theirs.stderr, ours)
        assert ours.out == b""
        return None
    assert ours.code == 0, (words, theirs, ours)
    expected = comparable(json.loads(theirs.stdout))
    assert json.loads(ours.out) == expected, (words, theirs.stdout, ours.out)
    assert ours.out == theirs.stdout.replace(b',\n        "creationTimestamp": null', b"") or not words[1]
    return expected
