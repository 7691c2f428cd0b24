"""Many files over Vault and Azure Key Vault that fail and throttle.

By night, or with KSECRET_TEST_FILES, the files are thousands.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.main import main
from tests.emulators import azure, vault
from tests.integration.azure_support import certificates
from tests.integration.azure_support import vault as azure_vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["azure_vault", "certificates"]  # fixtures, for pytest to find here

CLEAR = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s-{0}\n  namespace: prod\ndata:\n  a: bjB0LXB1YmxpYw==\n"
FILES = int(os.environ.get("KSECRET_TEST_FILES", "60"))


@pytest.fixture
def openbao(monkeypatch: pytest.MonkeyPatch) -> Iterator[vault.Emulator]:
    with vault.Emulator() as server:
        server.create_key("key")
        monkeypatch.setenv("VAULT_ADDR", server.url)
        monkeypatch.setenv("VAULT_TOKEN", vault.ROOT)
        yield server


def test_failing_and_throttling_calls_of_azure_and_vault_cost_no_file(
    openbao: vault.Emulator,
    azure_vault: azure.Emulator,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every seventh call fails, every fifth is throttled."""
    monkeypatch.setattr("secretsvc.backends.tries._FIRST_PAUSE", 0.01)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    openbao.fail_every(7, 500)
    openbao.fail_every(5, 429)
    azure_vault.faults = [azure.Fault("unavailable", 7), azure.Fault("throttle", 5)]
    keys = {f"vault:{openbao.url}/v1/transit/keys/key": 2, f"azure:{azure_vault.create_key('app')}": 1}
    for key, calls in keys.items():
        folder = tmp_path / key[:5]
        folder.mkdir()
        paths = [folder / f"{number}.yaml" for number in range(FILES)]
        for number, path in enumerate(paths):
            path.write_text(CLEAR.format(number))
        before = openbao.calls.total() + azure_vault.total
        assert main(["encrypt", "-i", "-r", "-k", key, str(folder)]) == 0
        assert main(["decrypt", "-i", "-r", str(folder)]) == 0
        assert [path.read_text() for path in paths] == [CLEAR.format(number) for number in range(FILES)]
        assert openbao.calls.total() + azure_vault.total - before > FILES * calls, "nothing was tried twice"
        capfd.readouterr()


def test_nothing_of_a_credential_is_told_by_debug_by_logs_or_by_errors(
    openbao: vault.Emulator,
    azure_vault: azure.Emulator,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not where it works, nor where the vaults refuse, nor where they answer what is none of theirs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "s.yaml"
    path.write_text(CLEAR.format(1))
    keys = (f"vault:{openbao.url}/v1/transit/keys/key", f"azure:{azure_vault.create_key('app')}")
    told = ""
    for key in keys:
        assert main(["encrypt", "-o", f"{key[:5]}.yaml", "-k", key, "s.yaml"]) == 0
    assert main(["decrypt", "--debug", "-o", os.devnull, *(f"{key[:5]}.yaml" for key in keys)]) == 0
    azure_vault.token_error = "AADSTS7000215"
    openbao.fail_every(1, vault.GARBAGE)
    for key in keys:
        assert main(["decrypt", "--debug", f"{key[:5]}.yaml"]) == 6
        said = "".join(capfd.readouterr())
        assert "Traceback" in said or key in said
        told += said
    told += caplog.text
    assert key in told
    for known in (vault.ROOT, azure.CLIENT_SECRET, azure.ACCESS_TOKEN, azure.SECRET_TEXT, "n0t-public"):
        assert known not in told
