"""Many files over Vault and Azure Key Vault that fail and throttle.

By night, or with KSECRET_TEST_FILES, the files are thousands.
"""

from __future__ import annotations

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
