"""The emulators of AWS KMS themselves: how the stub serves, and both of them started by hand."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest

from secretsvc.backends import canonical
from secretsvc.errors import BackendError
from tests.emulators.aws import KEY, StubKms
from tests.integration.aws_support import ROOT, environ, there_and_back

__all__ = ["environ"]  # a fixture, for pytest to find here


class TestEmulators:
    def test_the_stub_answers_64_at_a_time_and_keeps_connections_open(self) -> None:
        with StubKms(latency=0.1) as server:

            def calls(_: int) -> list[int]:
                connection = HTTPConnection(server.url.removeprefix("http://"), timeout=10)
                connection.connect()
                own = connection.sock.getsockname()
                answers = []
                for _ in range(3):
                    connection.request("POST", "/", b"{}", {"X-Amz-Target": "TrentService.None"})
                    response = connection.getresponse()
                    response.read()
                    answers.append(response.status)
                    assert connection.sock.getsockname() == own
                connection.close()
                return answers

            began = time.monotonic()
            with ThreadPoolExecutor(64) as pool:
                assert set(map(tuple, pool.map(calls, range(64)))) == {(400, 400, 400)}
            assert time.monotonic() - began < 2.0

    @pytest.mark.parametrize(
        "arguments",
        [["--stub", "--latency", "0.02"], [], ["--fault", "throttle:2"], ["--stub", "--state", f"{KEY}=Disabled"]],
        ids=["stub", "moto", "moto with faults", "stub with a state"],
    )
    def test_by_hand(self, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.aws", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout
            said: Any = {}
            while "KSECRET_KEYS" not in said:
                name, _, value = process.stdout.readline().removeprefix("export ").strip().partition("=")
                said[name] = value
                monkeypatch.setenv(name, value)
            ref = canonical(said["KSECRET_KEYS"])
            if "--state" in arguments:
                with pytest.raises(BackendError, match="key is disabled"):
                    there_and_back(ref)
            else:
                there_and_back(ref)
        finally:
            process.kill()
            process.communicate()
