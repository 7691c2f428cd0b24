"""AWS KMS's endpoints: what botocore says of them, without the file about the endpoints of all services."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from botocore.loaders import JSONFileLoader, Loader

from secretsvc.backends.aws_kms import client
from secretsvc.backends.aws_kms.loader import loader
from secretsvc.keyref import Principal
from tests.integration.aws_support import environ  # noqa: F401 - for every test

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGIONS = [region for one in Loader().load_data("partitions")["partitions"] for region in one["regions"]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the data files that are read, by loaders that have read nothing yet."""
    names: list[str] = []
    load_file = JSONFileLoader.load_file

    def load(self: JSONFileLoader, path: str) -> Any:
        names.append(os.path.basename(path))
        return load_file(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", load)
    loader.cache_clear()
    yield names
    loader.cache_clear()


def made(region: str) -> Any:
    return client._client(client._session(10.0, region, Principal()), region)


def facts(made: Any) -> tuple[object, ...]:
    """Where it calls, how it signs, and for what region and service."""
    url, _, query = made.generate_presigned_url("decrypt", Params={"CiphertextBlob": b"x"}).partition("?")
    scope = [word for word in query.split("&") if "Credential=" in word]
    return made.meta.endpoint_url, made.meta.region_name, made._client_config.signature_version, url, scope


@pytest.mark.parametrize(
    "region", ["eu-west-1", "aws-global", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "xx-new-1"]
)
def test_calls_go_where_botocores_own_go_and_are_signed_for_the_same(region: str, read: list[str]) -> None:
    quick = facts(made(region))
    assert "endpoints" not in read
    session = client._session(10.0, region, Principal())
    session._session.register_component("data_loader", Loader())
    assert quick == facts(client._client(session, region))
    assert "endpoints" in read


def test_every_region_has_the_same_address(read: list[str]) -> None:
    session, whole = client._session(10.0, "eu-west-1", Principal()), client._session(10.0, "eu-west-1", Principal())
    whole._session.register_component("data_loader", Loader())
    resolvers = [one._session._get_internal_component("endpoint_resolver") for one in (session, whole)]
    for region in REGIONS:
        if not region.endswith("-global"):
            quick, full = (resolver.construct_endpoint("kms", region) for resolver in resolvers)
            assert (quick["hostname"], quick["signatureVersions"], quick["dnsSuffix"]) == (
                full["hostname"],
                full["signatureVersions"],
                full["dnsSuffix"],
            )


@pytest.mark.parametrize("variable", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_endpoints_of_another_kind_are_botocores_own(
    variable: str, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "true")
    url = made("eu-west-1").meta.endpoint_url
    assert "endpoints" in read
    assert url in ("https://kms-fips.eu-west-1.amazonaws.com", "https://kms.eu-west-1.api.aws")


def test_endpoints_of_somebodys_own_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Loader().load_data("endpoints")
    whole["partitions"][0]["defaults"]["hostname"] = "{service}.{region}.internal.example"
    (tmp_path / "endpoints.json").write_text(json.dumps(whole))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert made("eu-west-1").meta.endpoint_url == "https://kms.eu-west-1.internal.example"
