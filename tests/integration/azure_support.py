"""What the tests of the Azure Key Vault backend share: the emulator, a backend that calls it, and how failures are
read.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.backends.azure.backend import AzureKeyVault
from secretsvc.backends.base import Settings
from secretsvc.errors import KsecretError
from secretsvc.keyref import KeyRef
from tests.emulators import azure

if TYPE_CHECKING:
    from collections.abc import Iterator

DEK = bytes(range(32))
CONTEXT = {"ksecret-namespace": "prod", "ksecret-name": "sample-db-auth"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder, and what was made in it once for all emulators of a module."""
    return tmp_path_factory.mktemp("azure")


@pytest.fixture
def vault(certificates: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[azure.Emulator]:
    """The emulator, with the environment that points at it."""
    with azure.Emulator(folder=certificates) as emulator:
        for name in [name for name in os.environ if name.startswith(("AZURE_", "KSECRET_AZURE", "MSI_", "IDENTITY_"))]:
            monkeypatch.delenv(name)
        for name, text in emulator.environ.items():
            monkeypatch.setenv(name, text)
        yield emulator


@pytest.fixture
def ref(vault: azure.Emulator) -> KeyRef:
    return KeyRef("azure", vault.create_key("app"))


def made(patience: float = 10.0, **environ: str) -> AzureKeyVault:
    return AzureKeyVault(Settings(environ, lambda what: None), patience=patience)


def failure(work: Any, *arguments: Any) -> KsecretError:
    """How the work fails; every failure has a hint, and nothing of what the SDK or Azure said."""
    with pytest.raises(KsecretError, match=r"\w") as caught:
        work(*arguments)
    said = f"{caught.value.message} {caught.value.hint} {caught.value!r}"
    for text in (azure.SECRET_TEXT, azure.CLIENT_SECRET, azure.ACCESS_TOKEN, "Traceback", "AKV1", "AADSTS"):
        assert text not in said
    assert caught.value.hint
    return caught.value


def says(error: KsecretError, kind: type[KsecretError], message: str, hint: str = "") -> None:
    assert type(error) is kind, error
    assert re.search(message, error.message), error.message
    assert re.search(hint, error.hint), error.hint
