"""What the tests of the AWS KMS backend share: an environment, moto's server, the stub, and ways to make it fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.aws_kms import backend as aws_kms
from secretsvc.backends.aws_kms.backend import AwsKms
from secretsvc.backends.base import Settings
from secretsvc.errors import KsecretError
from secretsvc.keyref import KeyRef
from tests.emulators.aws import ENVIRON, KEY, SECRET_TEXT, Moto, StubKms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEK = bytes(range(32))
CONTEXT = {"ksecret-namespace": "prod", "ksecret-name": "db"}
ROOT = Path(aws_kms.__file__).parents[3]
REF = KeyRef("aws", KEY)


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No AWS settings but credentials that emulators take; gives the folder that stands in place of `~/.aws`."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    home = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    for name, value in {**ENVIRON, **home, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with Moto() as server:
        yield server


@pytest.fixture
def real(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:
    """moto, with the environment that points at it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", moto.url)
    return moto


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubKms]:
    """The stub, with the environment that points at it."""
    with StubKms() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
        yield server


def kms(patience: float = 10.0) -> AwsKms:
    return AwsKms(Settings(os.environ, lambda what: None), patience=patience)


def made(moto: Moto, region: str = "eu-west-1", **options: object) -> KeyRef:
    return KeyRef("aws", moto.client(region).create_key(**options)["KeyMetadata"]["Arn"])


def there_and_back(ref: KeyRef) -> None:
    """A DEK wrapped and unwrapped."""
    backend = kms()
    assert backend.unwrap(ref, backend.wrap(ref, DEK, CONTEXT), CONTEXT) == DEK


def python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, without a terminal."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=True,
    )


def operations(backend: AwsKms, wrapped: bytes) -> dict[str, Callable[[], bytes]]:
    return {
        "wrap": lambda: backend.wrap(REF, DEK, CONTEXT),
        "unwrap": lambda: backend.unwrap(REF, wrapped, CONTEXT),
        "rewrap": lambda: backend.rewrap(REF, wrapped, CONTEXT),
    }


def failure(operation: str, patience: float = 0.4) -> KsecretError:
    """How the operation fails; every failure has a hint, and nothing of what the SDK or KMS said."""
    with pytest.raises(KsecretError, match=r"\w") as caught:
        operations(kms(patience), b"x" * 99)[operation]()
    error = caught.value
    assert error.hint
    assert SECRET_TEXT not in f"{error} {error.hint}"
    assert "Exception" not in str(error) or "failed (" in str(error)
    return error
