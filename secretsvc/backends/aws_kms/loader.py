"""A finder of botocore's own data (botocore.loaders), for KMS without what is there about all other services."""

from __future__ import annotations

import os
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_API_VERSION = "2014-11-01"
"""Of AWS KMS, ever since. Where a later botocore does not know it, its newest is taken."""

_FILES = ("endpoints.json", "endpoints.json.gz")


@lru_cache(maxsize=8)
def loader(folders: str, *, is_for_kms: bool = False) -> Any:
    """A loader of botocore's. `folders`: those with further data, as in PATH. `is_for_kms`: all clients are for KMS.

    Then `endpoints.json` is not read, a megabyte about all services, whose JSON takes two thirds of the time of making
    a client: KMS's own rules have its endpoints, and where they do not speak, it has none of its own.

    Kept, with what it has read: a service makes a new session whenever AWS KMS has failed.
    """
    from botocore.exceptions import DataNotFoundError
    from botocore.loaders import Loader

    class QuickLoader(Loader):  # type: ignore[misc]
        def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
            if service_name == "kms":
                try:
                    return self.load_data(os.path.join(service_name, _API_VERSION, type_name))
                except DataNotFoundError:
                    api_version = None
            return super().load_service_model(service_name, type_name, api_version)

        def load_data_with_path(self, name: str) -> Any:
            if name == "endpoints" and is_for_kms and not self._has_others():
                partitions, path = super().load_data_with_path("partitions")
                return {"partitions": [_endpoints_of(one) for one in partitions["partitions"]]}, path
            return super().load_data_with_path(name)

        def _has_others(self) -> bool:
            """Tell whether somebody has put endpoints of their own into a folder, which then count."""
            others = (folder for folder in self.search_paths if not self.is_builtin_path(folder))
            return any(os.path.exists(os.path.join(folder, name)) for folder in others for name in _FILES)

    return QuickLoader(extra_search_paths=[os.path.expanduser(one) for one in folders.split(os.pathsep) if one])


def _endpoints_of(partition: Any) -> dict[str, Any]:
    """A partition of `partitions.json` as `endpoints.json` would have it, if it had no service in particular."""
    return {
        "partition": partition["id"],
        "dnsSuffix": partition["outputs"]["dnsSuffix"],
        "regionRegex": partition["regionRegex"],
        "regions": partition["regions"],
        "defaults": {
            "hostname": "{service}.{region}.{dnsSuffix}",
            "protocols": ["https"],
            "signatureVersions": ["v4"],
        },
        "services": {},
    }
