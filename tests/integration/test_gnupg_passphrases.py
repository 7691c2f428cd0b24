"""The GnuPG backend against the gpg that is installed here: locked keys. Nothing is faked but the pinentry.

A missing gpg fails these tests; it does not skip them.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import BackendError
from secretsvc.keyref import KeyRef
from tests.integration.gnupg_support import DEK, PASSPHRASE, ROOT, World, recording_gpg
from tests.integration.gpg_home import Asked, GpgHome

if TYPE_CHECKING:
    from collections.abc import Callable


class TestPassphrases:
    def wrapped(self, world: World) -> bytes:
        return world.alice.backend().wrap(world.ref("bob"), DEK, {})

    def test_it_is_asked_for_once_and_opens(self, world: World, locked: GpgHome) -> None:
        asked = Asked(PASSPHRASE + b"\n")
        backend = locked.backend(asked)
        wrapped = self.wrapped(world)
        for _ in range(2):
            locked.forget()
            assert backend.unwrap(world.ref("bob"), wrapped, {}) == DEK
        assert asked == ["pgp"]

    def test_it_signs(self, world: World, locked: GpgHome) -> None:
        wrapped = locked.backend(lambda _: PASSPHRASE).wrap(world.ref("alice"), DEK, {})
        assert world.alice.backend(require_signature=True).unwrap(world.ref("alice"), wrapped, {}) == DEK

    def test_it_is_not_asked_for_when_the_agent_knows_it(self, world: World, locked: GpgHome) -> None:
        wrapped = self.wrapped(world)
        locked.backend(lambda _: PASSPHRASE).unwrap(world.ref("bob"), wrapped, {})
        asked = Asked(None)
        assert locked.backend(asked).unwrap(world.ref("bob"), wrapped, {}) == DEK
        assert asked == []

    @pytest.mark.parametrize("passphrase", [b"no such thing", b"x" * 300, b"\xff\xfe"])
    def test_a_wrong_one(self, world: World, locked: GpgHome, passphrase: bytes) -> None:
        backend = locked.backend(lambda _: passphrase)
        with pytest.raises(BackendError, match="the passphrase for the PGP key is wrong") as caught:
            backend.unwrap(world.ref("bob"), self.wrapped(world), {})
        assert passphrase.decode("latin-1") not in caught.value.message + caught.value.hint
        with pytest.raises(BackendError, match="the passphrase for the PGP key is wrong"):
            backend.wrap(world.ref("alice"), DEK, {})

    def test_threads_share_it(self, world: World, locked: GpgHome) -> None:
        asked: list[int] = []

        def ask(_what: str) -> bytes:
            asked.append(threading.get_ident())
            time.sleep(0.1)
            return PASSPHRASE

        backend, wrapped = locked.backend(ask), self.wrapped(world)
        with ThreadPoolExecutor(8) as pool:
            deks = list(pool.map(lambda _: backend.unwrap(world.ref("bob"), wrapped, {}), range(24)))
        assert deks == [DEK] * 24
        assert len(asked) == 1

    def test_without_one_and_without_a_terminal_it_fails_at_once(self, world: World, locked: GpgHome) -> None:
        code = (
            "import sys, os\n"
            "from secretsvc.backends.base import Settings\n"
            "from secretsvc.backends.gnupg import SCHEME\n"
            "from secretsvc.backends.gnupg.backend import GnuPG\n"
            "from secretsvc.errors import BackendError\n"
            "backend = GnuPG(Settings(os.environ, lambda what: None))\n"
            "for call in (lambda: backend.unwrap(SCHEME.parse(sys.argv[1]), sys.stdin.buffer.read(), {}),\n"
            "             lambda: backend.wrap(SCHEME.parse(sys.argv[2]), bytes(32), {})):\n"
            "    try: call()\n"
            "    except BackendError as error: print(error.message, error.hint)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, world.key["bob"], world.key["alice"]],
            input=self.wrapped(world),
            env=locked.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            start_new_session=True,
            check=True,
            timeout=10,
        )
        assert done.stderr == b""
        lines = done.stdout.decode().splitlines()
        assert len(lines) == 2
        for line in lines:
            assert line.startswith("the PGP key is locked, and its passphrase could not be asked for")
            assert "KSECRET_GPG_PASSPHRASE" in line
            assert "--passphrase-file" in line

    def test_pinentry_is_told_the_terminal(self) -> None:
        leader, terminal = os.openpty()
        try:
            code = "from secretsvc.backends.gnupg.backend import _terminal as t; print(t({}), t({'GPG_TTY': '/dev/x'}))"
            done = subprocess.run(
                [sys.executable, "-c", code],
                stdin=terminal,
                capture_output=True,
                env={"PYTHONPATH": str(ROOT)},
                check=True,
            )
            assert done.stdout.decode() == f"{ {'GPG_TTY': os.ttyname(terminal)} } {{}}\n"
        finally:
            os.close(leader)
            os.close(terminal)

    @pytest.mark.parametrize("agent", [(), ("no-allow-loopback-pinentry",)])
    def test_gpgs_own_pinentry_is_used_where_nobody_else_knows_it(
        self, world: World, new_home: Callable[[], GpgHome], tmp_path: Path, agent: tuple[str, ...]
    ) -> None:
        home, ref = self.with_pinentry(world, new_home(), tmp_path, f"echo 'D {PASSPHRASE.decode()}'; echo OK", agent)
        wrapped = home.backend(GPG_TTY="/dev/pts/987").wrap(ref, DEK, {})
        home.forget()
        assert home.backend(GPG_TTY="/dev/pts/987", require_signature=True).unwrap(ref, wrapped, {}) == DEK
        assert "ttyname=/dev/pts/987" in (tmp_path / "log").read_text()

    def test_a_cancelled_pinentry(self, world: World, new_home: Callable[[], GpgHome], tmp_path: Path) -> None:
        home, ref = self.with_pinentry(world, new_home(), tmp_path, "echo 'ERR 83886179 Operation cancelled'", ())
        wrapped = world.public.gpg("--recipient", ref.id, "--encrypt", data=DEK)
        with pytest.raises(BackendError, match="was cancelled"):
            home.backend().unwrap(ref, wrapped, {})
        with pytest.raises(BackendError, match="was cancelled"):
            home.backend().wrap(ref, DEK, {})

    def with_pinentry(
        self, world: World, home: GpgHome, folder: Path, answer: str, agent: tuple[str, ...]
    ) -> tuple[GpgHome, KeyRef]:
        """A home with a locked key and a pinentry (it speaks Assuan on its standard descriptors) that answers so."""
        script = folder / "pinentry"
        script.write_text(
            "#!/bin/sh\necho OK\nwhile read -r line; do case $line in\n"
            f"  'OPTION ttyname='*) echo \"$line\" >> {shlex.quote(str(folder / 'log'))}; echo OK ;;\n"
            f"  GETPIN*) {answer} ;;\n  BYE*) exit ;;\n  *) echo OK ;;\nesac; done\n"
        )
        script.chmod(0o755)
        ref = KeyRef("pgp", home.make_pair("Own", PASSPHRASE.decode()))
        world.public.learn(home)
        home.configure(agent=(f"pinentry-program {script}", *agent))
        return home, ref

    def test_no_secret_reaches_arguments_environment_or_files(
        self, world: World, locked: GpgHome, tmp_path: Path
    ) -> None:
        path, temporary = recording_gpg(tmp_path), tmp_path / "tmp"
        temporary.mkdir()
        backend = locked.backend(
            lambda _: PASSPHRASE, PATH=path, TMPDIR=str(temporary), KSECRET_GPG_PASSPHRASE=PASSPHRASE.decode()
        )
        assert backend.unwrap(world.ref("bob"), self.wrapped(world), {}) == DEK
        backend.wrap(world.ref("alice"), DEK, {})
        log = (tmp_path / "log").read_bytes()
        assert log.count(b"--decrypt") == 1
        assert log.count(b"--sign") == 1
        assert list(temporary.iterdir()) == []
        for secret in (PASSPHRASE, DEK, DEK.hex().encode()):
            assert secret not in log
            for file in Path(locked.path).rglob("*"):
                assert not file.is_file() or secret not in file.read_bytes()
