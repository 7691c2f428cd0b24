"""What the tests of the Cloud KMS backend share: the emulator, a backend that calls it, and how failures are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.gcp_kms import backend as gcp_kms
from secretsvc.errors import KsecretError
from secretsvc.keyref import KeyRef
from tests.emulators import gcp

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(gcp_kms.__file__).parents[3]
DEK = bytes(range(32))
CONTEXT = {"ksecret-namespace": "prod", "ksecret-name": "sample-db-auth"}
RING = "projects/p/locations/europe-west1/keyRings/ring"
REF = KeyRef("gcp", f"{RING}/cryptoKeys/key")
ELSEWHERE = KeyRef("gcp", "projects/p/locations/us-east1/keyRings/ring/cryptoKeys/key")
SDK_TEXT = "SDK-TEXT that no user should see"


@pytest.fixture
def kms() -> Iterator[gcp.Emulator]:
    with gcp.Emulator() as emulator:
        emulator.create_key(REF.id)
        emulator.create_key(ELSEWHERE.id)
        yield emulator


def made(endpoint: str, **options: float) -> gcp_kms.GcpKms:
    return gcp_kms.GcpKms(Settings({"KSECRET_GCP_KMS_ENDPOINT": endpoint}, lambda what: None), **options)


@pytest.fixture
def backend(kms: gcp.Emulator) -> gcp_kms.GcpKms:
    return made(kms.endpoint, patience=1.5)


def failure(work: Any, *arguments: Any) -> KsecretError:
    with pytest.raises(KsecretError, match=r"\w") as caught:
        work(*arguments)
    assert "SDK-TEXT" not in caught.value.message + caught.value.hint
    return caught.value


def says(error: KsecretError, kind: type[KsecretError], message: str, hint: str = "") -> None:
    assert type(error) is kind
    assert re.search(message, error.message), error.message
    assert re.search(hint, error.hint), error.hint
