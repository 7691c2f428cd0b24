"""The single file's launcher, as a program, with a small package in the place of ksecret's own: where it unpacks to,
whom it trusts, what it imports. The real one is built and tried by test_release.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from packages import programs, single_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = """
import json, os, signal, sys, time

def entry_point():
    print(json.dumps({"program": __name__, "words": sys.argv[1:], "path": sys.path, "file": __file__}), flush=True)
    if sys.argv[1:] == ["killed"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1:2] == ["held"] and not os.fork():
        os.closerange(0, 3)
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.02)
    os._exit(0)

entry_point_of_sops = kubectl_entry_point = entry_point
"""


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    for module in {program.partition(":")[0] for program in programs().values()}:
        path = site / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROGRAM)
    target = tmp_path_factory.mktemp("a folder with spaces") / "ksecret"
    single_file.make(site, target, 1_700_000_000)
    return target


class Shell:
    """Starts a file as one user does."""

    def __init__(self, folder: Path) -> None:
        self.home, self.temporary = folder / "home", folder / "tmp"
        for one in (self.home, self.temporary):
            one.mkdir(mode=0o700)
        self.environ = {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PATH": f"{sys.exec_prefix}/bin:/usr/bin:/bin",
        }

    def start(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, words)), env=self.environ, cwd=self.home, capture_output=True, text=True, timeout=60
        )

    def run(self, *words: object) -> dict[str, Any]:
        done = self.start(*words)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def unpacked(self, *words: object) -> Path:
        return type(self.home)(self.run(*words)["file"]).parents[2]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def gone(folder: Path) -> bool:
    """Whether it is removed soon: by a process that nobody waits for."""
    until = time.monotonic() + 30
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.01)
    return not folder.exists()


def test_it_unpacks_once_into_a_folder_of_its_users_own(shell: Shell, pyz: Path) -> None:
    folder = shell.unpacked(pyz, "a", "b")
    assert folder.parent == shell.home / ".cache" / "ksecret"
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    before = folder.stat()
    (folder / "mark").touch()
    assert shell.unpacked(pyz) == folder
    assert folder.stat().st_ino == before.st_ino
    assert list(shell.temporary.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["ksecret-sops", "ksecret-krm", "kubectl-ksecret", "kubectl_complete-ksecret", "other"]
)
def test_it_is_the_program_that_it_is_called_as(shell: Shell, pyz: Path, name: str) -> None:
    link = shell.home / name
    link.symlink_to(pyz)
    module = programs().get(name, programs()["ksecret"]).partition(":")[0]
    told = shell.run(link, "x")
    assert (told["program"], told["words"]) == (module, ["x"])


@pytest.mark.parametrize("by", [(), (sys.executable,)], ids=["itself", "python"])
def test_nothing_of_the_callers_is_imported(shell: Shell, pyz: Path, by: tuple[str, ...]) -> None:
    strange = shell.home / "secretsvc" / "cli"
    strange.mkdir(parents=True)
    for path in (strange / "main.py", strange.parent / "__init__.py", shell.home / "built.py"):
        path.write_text("raise SystemExit('a stranger')")
    shell.environ["PYTHONPATH"] = str(shell.home)
    told = shell.run(*by, pyz)
    library = [path for path in told["path"] if path.startswith(sys.base_prefix)]
    assert told["path"][1:] == library
    assert not [path for path in library if "site-packages" in path]


def test_starts_at_the_same_time_leave_one_folder(shell: Shell, pyz: Path) -> None:
    started = [subprocess.Popen([pyz], env=shell.environ, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [one.wait(60) for one in started] == [0] * 4
    assert len(list((shell.home / ".cache" / "ksecret").iterdir())) == 1


def open_to_others(shell: Shell) -> None:
    (shell.home / ".cache" / "ksecret").mkdir(parents=True)
    (shell.home / ".cache" / "ksecret").chmod(0o777)


def below_one_open_to_others(shell: Shell) -> None:
    shell.home.chmod(0o777)


def of_somebody_else(shell: Shell) -> None:
    (shell.home / ".cache" / "ksecret").mkdir(parents=True)
    os.chown(shell.home / ".cache", 65534, 65534)


def not_to_be_written(shell: Shell) -> None:
    shell.environ["XDG_CACHE_HOME"] = "/proc/self"


def relative(shell: Shell) -> None:
    shell.environ["XDG_CACHE_HOME"] = "."


def a_file(shell: Shell) -> None:
    (shell.home / ".cache").touch()


HOMES = [open_to_others, below_one_open_to_others, not_to_be_written, relative, a_file]
if os.geteuid() == 0:
    HOMES.append(of_somebody_else)


@pytest.mark.parametrize("spoil", HOMES)
def test_a_cache_that_it_can_not_trust_is_not_used(shell: Shell, pyz: Path, spoil: Callable[[Shell], None]) -> None:
    spoil(shell)
    before = {path for path in shell.home.rglob("*") if "ksecret" not in path.name}
    folder = shell.unpacked(pyz)
    assert folder.parent == shell.temporary
    assert gone(folder)
    assert {path for path in shell.home.rglob("*") if "ksecret" not in path.name and path.name != ".cache"} <= before


def test_a_planted_folder_of_the_right_name_is_not_used(shell: Shell, pyz: Path) -> None:
    """HOME is a place where others may make folders, and somebody made ours first, with their code in it."""
    folder = shell.unpacked(pyz)
    (folder / "secretsvc" / "cli" / "main.py").write_text("raise SystemExit('a stranger')")
    shell.home.chmod(0o1777)
    (shell.home / ".cache").chmod(0o777)
    assert shell.unpacked(pyz).parent == shell.temporary


def test_a_temporary_folder_goes_with_the_last_process_that_needs_it(shell: Shell, pyz: Path) -> None:
    open_to_others(shell)
    folder = shell.unpacked(pyz, "held", shell.home / "end")  # which waits for the end of its output
    assert folder.exists()
    (shell.home / "end").touch()
    assert gone(folder)


def test_a_temporary_folder_goes_however_the_run_ends(shell: Shell, pyz: Path) -> None:
    open_to_others(shell)
    assert shell.start(pyz, "killed").returncode == -signal.SIGKILL
    assert all(gone(folder) for folder in shell.temporary.iterdir())


def test_a_file_that_is_damaged_says_so(shell: Shell, pyz: Path, tmp_path: Path) -> None:
    data = bytearray(pyz.read_bytes())
    data[data.index(b"secretsvc/cli/main.py") + 40] ^= 1
    (tmp_path / "ksecret").write_bytes(data)
    done = shell.start(sys.executable, tmp_path / "ksecret")
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.startswith("ksecret: can't unpack it (")


def test_another_python_says_which_one_it_needs(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    here = f"{sys.platform} {os.uname().machine}"
    constants = "DIGEST, PLATFORM, PROGRAMS, PYTHON = '', 'plan9 mips', {}, (3, 99)\n"
    monkeypatch.setattr(single_file, "_built", lambda packed: constants)
    single_file.make(tmp_path / "site", tmp_path / "ksecret", 0)
    done = shell.start(sys.executable, tmp_path / "ksecret")
    found = "{}.{}".format(*sys.version_info)
    assert done.stderr == f"ksecret: this file is for Python 3.99 on plan9 mips, and this is Python {found} on {here}\n"
    assert done.returncode == 7


def test_the_same_folder_makes_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for number, name in enumerate(("here", "there")):
        (tmp_path / name / "site" / "p-1.dist-info").mkdir(parents=True)
        (tmp_path / name / "site" / "p.py").write_text("def f(a, b=frozenset({'x', 'y', 'z'})):\n    return a in b\n")
        (tmp_path / name / "site" / "p-1.dist-info" / "RECORD").write_text(name)
        os.utime(tmp_path / name / "site" / "p.py", (number, number))
        (tmp_path / name / "site" / "p.py").chmod(0o600 + number * 0o44)
        single_file.make(tmp_path / name / "site", tmp_path / name / "made", 1_700_000_000)
        made.append((tmp_path / name / "made").read_bytes())
    assert made[0] == made[1]
