"""The service with keys of Azure Key Vault: a vault that hangs keeps nobody waiting who needs another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.e2e.test_service_failing import MANIFEST, warm
from tests.emulators import azure
from tests.service import Service

if TYPE_CHECKING:
    from pathlib import Path


def test_a_vault_that_hangs_keeps_nobody_waiting_and_no_name_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / "azure").mkdir()
    with azure.Emulator(folder=tmp_path / "azure") as vaults:
        one, other = (vaults.create_key("app", f"{name}.vault.azure.net") for name in ("one", "other"))
        service = Service(tmp_path, **vaults.environ)
        service.config["limits"] |= {"backendSeconds": 20, "threads": 4, "operations": 12}
        with service:
            lone = service.post("/v1/encrypt", MANIFEST, key=f"azure:{one.rpartition('/')[0]}")
            assert (lone.status, vaults.total) == (400, 0)
            assert b"names no version of the key" in lone.body
            warm(service, f"azure:{one}", f"azure:{other}")
            sealed = service.sealed(MANIFEST, key=f"azure:{one}")
            assert service.post("/v1/decrypt", sealed).body == MANIFEST
            vaults.hung, vaults.slow = {"one.vault.azure.net"}, 30.0
            hung: list[int] = []
            threads = [
                threading.Thread(target=lambda: hung.append(service.post("/v1/decrypt", sealed).status))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for key in (service.ref, f"azure:{other}"):
                assert service.post("/v1/encrypt", MANIFEST, key=key).status == 200
            assert not hung, "others waited for it"
            for thread in threads:
                thread.join()
            assert set(hung) <= {503, 504}
