"""The GnuPG backend against the gpg that is installed here: how it is found, started and ended.

A missing gpg fails these tests; it does not skip them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.gnupg import backend as gnupg
from secretsvc.backends.gnupg import run
from secretsvc.errors import AlteredError, BackendError, BackendUnavailableError
from secretsvc.keyref import KeyRef
from tests.integration.gnupg_support import DEK, ROOT, World, recording_gpg
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.gpg_home import GpgHome


class TestRunning:
    @pytest.mark.parametrize("path", ["", ".", ":"])
    def test_gpg_is_not_installed(
        self, world: World, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recording_gpg(tmp_path)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(BackendUnavailableError, match="gpg was not found on the PATH") as caught:
            world.alice.backend(PATH=path).unwrap(world.ref("alice"), b"", {})
        assert "apt install gnupg" in caught.value.hint

    def test_a_home_that_is_not_there(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        for name in ("absent", "file"):
            backend = world.alice.backend(GNUPGHOME=str(tmp_path / name))
            with pytest.raises(
                BackendUnavailableError, match=f"GNUPGHOME names no folder: {tmp_path / name}$"
            ) as caught:
                backend.unwrap(world.ref("alice"), b"", {})
            assert "unset it for ~/.gnupg" in caught.value.hint
            assert backend.describe(world.ref("alice")) == ""

    @pytest.mark.skipif(os.path.isdir(f"/run/user/{os.geteuid()}"), reason="gpg has its sockets there")
    def test_a_home_whose_path_is_too_long_for_a_socket(
        self, world: World, new_home: Callable[[], GpgHome], tmp_path: Path
    ) -> None:
        home = new_home()
        own = home.make_pair("Own")
        wrapped = home.backend().wrap(KeyRef("pgp", own), DEK, {})
        home.forget()
        long = tmp_path / ("x" * 100)
        shutil.copytree(home.path, long, ignore=lambda _, names: [name for name in names if name.startswith("S.")])
        long.chmod(0o700)
        with pytest.raises(BackendUnavailableError, match="GNUPGHOME is too long for the path of its socket") as caught:
            home.backend(GNUPGHOME=str(long)).unwrap(KeyRef("pgp", own), wrapped, {})
        assert "a link to it, of 83 bytes or less" in caught.value.hint

    def test_a_gpg_that_can_not_be_started(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "gpg").write_bytes(b"\x7fELF no program")
        (tmp_path / "gpg").chmod(0o755)
        with pytest.raises(BackendUnavailableError, match="gpg can't be started"):
            world.alice.backend(PATH=str(tmp_path)).unwrap(world.ref("alice"), b"", {})

    def test_one_that_hangs_is_ended(self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gnupg, "_LIMIT", 0.3)
        path = recording_gpg(tmp_path, f"echo $$ > {shlex.quote(str(tmp_path / 'pid'))}", "exec sleep 30")
        backend, start = world.alice.backend(PATH=path), time.monotonic()
        with pytest.raises(BackendError, match="gpg gave no answer within"):
            backend.unwrap(world.ref("alice"), b"", {})
        assert time.monotonic() - start < 10
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    @pytest.mark.parametrize("where", ["", ">&2", "| sed 's/^/[GNUPG:] X /' >&2"])
    def test_one_that_says_too_much_is_ended(self, world: World, tmp_path: Path, where: str) -> None:
        path = recording_gpg(tmp_path, f"yes {where}")
        with pytest.raises(BackendError, match="gpg's answer is too long"):
            world.alice.backend(PATH=path).unwrap(world.ref("alice"), b"", {})

    def test_one_that_says_nothing(self, world: World, tmp_path: Path) -> None:
        path = recording_gpg(tmp_path, "exit 2")
        with pytest.raises(BackendError, match=r"^gpg could not decrypt$"):
            world.alice.backend(PATH=path).unwrap(world.ref("alice"), bytes(16384), {})

    def test_no_descriptor_is_left_open(self, world: World) -> None:
        folder = Path("/dev/fd")
        before = len(list(folder.iterdir()))
        backend = world.alice.backend()
        wrapped = backend.wrap(world.ref("alice"), DEK, {})
        backend.unwrap(world.ref("alice"), wrapped, {})
        with pytest.raises(AlteredError, match="altered"):
            backend.unwrap(world.ref("alice"), b"garbage", {})
        assert len(list(folder.iterdir())) == before

    def test_it_works_with_the_standard_descriptors_closed(self, world: World, tmp_path: Path) -> None:
        code = (
            "import os, sys\n"
            "from secretsvc.backends.base import Settings\n"
            "from secretsvc.backends.gnupg import SCHEME\n"
            "from secretsvc.backends.gnupg.backend import GnuPG\n"
            "os.closerange(0, 3)\n"
            "backend = GnuPG(Settings(os.environ, lambda what: None))\n"
            "ref = SCHEME.parse(sys.argv[1])\n"
            "dek = backend.unwrap(ref, backend.wrap(ref, bytes(32), {}), {})\n"
            "open(sys.argv[2], 'wb').write(dek)\n"
        )
        subprocess.run(
            [sys.executable, "-c", code, world.key["alice"], str(tmp_path / "dek")],
            env=world.alice.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
            timeout=20,
        )
        assert (tmp_path / "dek").read_bytes() == bytes(32)

    def test_a_cold_start_imports_nothing_slow(self) -> None:
        code = "import sys, secretsvc.backends.gnupg.backend; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True, timeout=20
        )
        slow = {"gnupg", "subprocess", "logging", "tempfile", "pathlib", "dataclasses", "threading", "signal", "shutil"}
        assert not slow & set(done.stdout.decode().split())


def test_what_is_to_be_done_anyway_is_done_while_gpg_has_its_input_and_works(tmp_path: Path) -> None:
    """The program ends only after `meanwhile` was called, and that only sees its input arrive."""
    program = tmp_path / "gpg"
    wait = 'until [ -e "$0.$1" ]; do sleep 0.01; done'
    program.write_text(f'#!/bin/sh\nread line\necho "$line" > "$0.read"\nset -- done\n{wait}\necho opened\n')
    program.chmod(0o755)

    def meanwhile() -> None:
        wait_until((tmp_path / "gpg.read").exists, every=0.01)
        (tmp_path / "gpg.done").touch()

    environ = {"PATH": os.environ["PATH"]}
    answer = run.run(str(program), [], environ=environ, limit=20, data=b"wrapped\n", meanwhile=meanwhile)
    assert answer.output == b"opened\n"
    assert (tmp_path / "gpg.read").read_text() == "wrapped\n"


def test_where_nothing_is_opened_nothing_is_made_ready(world: World) -> None:
    called: list[str] = []
    settings = Settings(world.alice.environ, lambda what: None, meanwhile=lambda: called.append("now"))
    backend = gnupg.GnuPG(settings)
    assert "@" in backend.describe(world.ref("alice"))
    assert called == []
    assert backend.unwrap(world.ref("alice"), world.alice.backend().wrap(world.ref("alice"), DEK, {}), {}) == DEK
    assert called == ["now"]
