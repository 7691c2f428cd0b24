"""age's plug-ins: a real program speaks the protocol; which programs are started is the user's word alone."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.backends import canonical
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import BackendError, KeyRefError, KsecretError, NoKeyError
from secretsvc.keyref import KeyRef, WrappedKey
from tests import age_plugin
from tests.integration.test_age_tags import bech32

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPIENT = canonical("age:" + bech32("age1ktest", b"\x28abc"))
IDENTITY = bech32("age-plugin-ktest-", b"\x28abc").upper()
OTHER = bech32("age-plugin-ktest-", b"\x48abc").upper()
DEK = bytes(range(32))


class Device:
    """A folder of PATH with the program, and what is known of its calls."""

    def __init__(self, folder: Path, name: str = "ktest") -> None:
        self.log = folder / "log"
        self.log.write_text("")
        program = folder / f"age-plugin-{name}"
        program.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(age_plugin.__file__)} "$@"\n'
        )
        program.chmod(0o755)
        self.environ = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "HOME": os.devnull,
            "XDG_CONFIG_HOME": os.devnull,
            "KTEST_LOG": str(self.log),
        }

    def backends(self, *identities: str, starts: bool = True, named_only: bool = False, **environ: str) -> Backends:
        named = {"KSECRET_AGE_KEY": "\n".join(identities)} if identities else {}
        settings = Settings(self.environ | named | environ, lambda _: None)
        return Backends(settings._replace(starts_plugins=starts, named_only=named_only))

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()

    @property
    def children(self) -> list[int]:
        """The program that hangs, and its child."""
        return [int(number) for line in self.calls if line[0].isdigit() for number in line.split()]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def wrapped_by(device: Device) -> WrappedKey:
    allowed = device.backends(KSECRET_AGE_PLUGINS="yubikey, ktest")
    return WrappedKey(RECIPIENT, allowed.wrap(RECIPIENT, DEK, {}))


def test_a_plug_in_wraps_and_opens_and_learns_none_of_our_variables(device: Device) -> None:
    key = wrapped_by(device)
    assert b"-> ktest 5\n" in key.wrapped
    own = pyrage.x25519.Identity.generate()
    assert device.backends(OTHER, str(own), IDENTITY).unwrap([key]) == DEK
    assert device.calls == ["recipient-v1 []", "identity-v1 []"]


def test_an_identity_of_one_s_own_allows_its_plug_in_to_seal_too(device: Device) -> None:
    assert device.backends(IDENTITY).wrap(RECIPIENT, DEK, {})


def test_no_program_is_started_without_the_user_s_word(device: Device) -> None:
    for environ in ({}, {"KSECRET_AGE_PLUGINS": "yubikey"}, {"KSECRET_AGE_PLUGINS": "*"}):
        with pytest.raises(KeyRefError, match="nobody has said that age-plugin-ktest may be started") as caught:
            device.backends(**environ).wrap(RECIPIENT, DEK, {})
        assert "KSECRET_AGE_PLUGINS=ktest" in caught.value.hint
    allowed = {"KSECRET_AGE_PLUGINS": "ktest"}
    for backends in (device.backends(starts=False, **allowed), device.backends(named_only=True, **allowed)):
        with pytest.raises(KeyRefError, match="no program age-plugin-ktest is started here"):
            backends.wrap(RECIPIENT, DEK, {})
    assert not device.calls
    key = wrapped_by(device)
    for backends in (device.backends(IDENTITY, starts=False), device.backends(IDENTITY, named_only=True)):
        with pytest.raises(KsecretError, match="age identit"):
            backends.unwrap([key])
    assert device.calls == ["recipient-v1 []"]


def test_what_is_wrapped_to_other_kinds_of_keys_starts_no_program(device: Device) -> None:
    other = pyrage.encrypt(DEK, [pyrage.x25519.Identity.generate().to_public()])
    with pytest.raises(NoKeyError, match="no age identity is at hand"):
        device.backends(IDENTITY).unwrap([WrappedKey(RECIPIENT, other)])
    assert not device.calls


def test_an_identity_of_another_key_opens_nothing(device: Device) -> None:
    with pytest.raises(NoKeyError, match="no age identity is at hand"):
        device.backends(OTHER).unwrap([wrapped_by(device)])


def test_a_missing_program_is_one_clear_error(device: Device, tmp_path: Path) -> None:
    key = wrapped_by(device)
    (tmp_path / "age-plugin-ktest").unlink()
    with pytest.raises(BackendError, match="age's plug-in age-plugin-ktest is not installed"):
        device.backends(IDENTITY).unwrap([key])
    with pytest.raises(BackendError, match="age's plug-in age-plugin-ktest is not installed"):
        device.backends(KSECRET_AGE_PLUGINS="ktest").wrap(RECIPIENT, DEK, {})


def test_a_relative_folder_of_path_is_no_place_for_one(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendError, match="is not installed"):
        device.backends(KSECRET_AGE_PLUGINS="ktest", PATH=".:").wrap(RECIPIENT, DEK, {})
    assert not device.calls


def test_no_module_of_the_current_folder_is_imported(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "json.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend("")
    assert device.backends(IDENTITY).unwrap([wrapped_by(device)]) == DEK


def test_what_it_says_passes_through_without_control_characters(
    device: Device, capfd: pytest.CaptureFixture[str]
) -> None:
    device.environ["KTEST_MODE"] = "talks"
    assert device.backends(IDENTITY).unwrap([wrapped_by(device)]) == DEK
    said = capfd.readouterr().err
    assert "age-plugin-ktest: touch the \ufffd[31mdevice\ufffd\n" in said


@pytest.mark.parametrize(
    ("mode", "error", "said"),
    [
        ("fails", BackendError, "age-plugin-ktest failed"),
        ("dies", BackendError, "age-plugin-ktest failed"),
        ("lies", KsecretError, "age-plugin-ktest failed|no age identity is at hand"),
    ],
)
def test_a_program_that_fails_is_an_error_and_no_crash(
    device: Device, mode: str, error: type[KsecretError], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    key = wrapped_by(device)
    device.environ["KTEST_MODE"] = mode
    with pytest.raises(error, match=said):
        device.backends(IDENTITY).unwrap([key])
    if mode == "fails":
        assert "no device is there" in capfd.readouterr().err


def test_a_program_that_does_not_answer_is_waited_for_once_in_a_run(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = wrapped_by(device)
    device.environ["KTEST_MODE"] = "hangs"
    backends = device.backends(IDENTITY)
    monkeypatch.setattr("secretsvc.backends.age.plugins._SECONDS", 1)
    with pytest.raises(BackendError, match=r"age-plugin-ktest has not answered in 1 seconds$"):
        backends.unwrap([key])
    before = len(device.calls)
    for work in (lambda: backends.unwrap([key]), lambda: backends.wrap(RECIPIENT, DEK, {})):
        with pytest.raises(BackendError, match=r"has not answered in 1 seconds \(as earlier in this run\)"):
            work()
    assert len(device.calls) == before
    assert_gone(device.children)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="whether processes are there is read in /proc")
def test_a_killed_ksecret_leaves_neither_the_program_nor_what_that_has_started(device: Device) -> None:
    wrap = "import os; from secretsvc.backends.age import plugins; plugins.wrap('%s', bytes(32), os.environ)"
    environ = device.environ | {"KTEST_MODE": "hangs"}
    with subprocess.Popen([sys.executable, "-c", wrap % RECIPIENT.id], env=environ) as waits:
        wait_until(lambda: bool(device.children))
        assert all(map(is_there, device.children))
        waits.kill()
    assert_gone(device.children)


def assert_gone(processes: list[int]) -> None:
    wait_until(lambda: not any(map(is_there, processes)))


def is_there(process: int) -> bool:
    """A zombie is not: whether it is reaped is up to the first process of the system."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not done():
        assert time.monotonic() < until, "not in 10 seconds"
        time.sleep(0.01)


def test_only_a_device_tells_whether_it_holds_a_key(device: Device) -> None:
    assert device.backends(IDENTITY).opens([RECIPIENT]) is None
    assert device.backends().opens([RECIPIENT]) is False
    assert not device.calls
    places = [one for _, age in device.backends(IDENTITY).with_identities() for one in age.places()]
    (place,) = (one for one in places if "plug-ins" in one.found)
    assert "1 of plug-ins: ktest" in place.found
    assert not place.is_bad


@pytest.mark.parametrize(
    "name", ["..", "../x", "-x", "x-", "a.b", "a/b", "a b", "x" * 33, "é"],
)  # fmt: skip
def test_a_name_that_no_program_of_a_plug_in_has_is_refused(name: str) -> None:
    with pytest.raises(KeyRefError, match=r"that is not an age recipient|printable characters"):
        canonical(f"age:{bech32(f'age1{name}', b'abcdef')}")


@pytest.mark.skipif(not shutil.which("age-plugin-pq"), reason="age's own programs are not installed")
def test_a_program_of_age_s_own_opens_what_age_sealed(tmp_path: Path) -> None:
    def ran(*words: str, given: bytes = b"") -> bytes:
        return subprocess.run(words, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

    made = ran("age-keygen", "-pq")
    (recipient,) = re.findall(rb"age1pq1[a-z0-9]+", made)
    wrapped = ran("age", "-r", recipient.decode(), given=DEK)
    identity = ran("age-plugin-pq", "-identity", given=made).decode().split("\n")
    environ = {"PATH": os.environ["PATH"], "KSECRET_AGE_KEY": "\n".join(identity), "XDG_CONFIG_HOME": os.devnull}
    backends = Backends(Settings(environ, lambda _: None)._replace(starts_plugins=True))
    assert backends.unwrap([WrappedKey(KeyRef("age", recipient.decode()), wrapped)]) == DEK
