"""Keys of Google Cloud KMS as KEKs: what is known of them without Google's libraries."""

from __future__ import annotations

from secretsvc.backends.base import Installed, Scheme, library
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.base import Settings
    from secretsvc.backends.gcp_kms.backend import GcpKms

# Cloud KMS API, "Resource names": ids of key rings and keys match [a-zA-Z0-9_-]{1,63}. A project is named by its id,
# `example.com:name` in old organisations, or by its number.
_KEY = pattern(
    r"projects/[a-z0-9][a-z0-9.:-]{0,99}/locations/[a-z0-9-]{1,63}"
    r"/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}"
)
_FORM = "gcp:projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"


class GcpScheme(Scheme):
    """Keys of Cloud KMS, named by their resource names."""

    name, title, example = "gcp", "Cloud KMS", "projects/…"
    cost = 500
    names_owners = False
    sops_list, sops_field, sops_variable = "gcp_kms", "resource_id", "SOPS_GCP_KMS_IDS"

    def backend(self, settings: Settings) -> GcpKms:
        from secretsvc.backends.gcp_kms.backend import GcpKms

        return GcpKms(settings)

    def parse(self, text: str) -> KeyRef:
        """A Cloud KMS key's resource name, `projects/…/cryptoKeys/…`, which has one spelling only."""
        name = text.strip()
        if _KEY.fullmatch(name):
            return KeyRef(self.name, name)
        key, versions, _ = name.partition("/cryptoKeyVersions/")
        if versions and _KEY.fullmatch(key):
            raise KeyRefError(
                "that names one version of a Cloud KMS key; Cloud KMS picks the version itself",
                hint="leave off /cryptoKeyVersions/ and what follows",
            )
        if name.startswith(("/", "https:", "http:", "cloudkms.")):
            raise KeyRefError(
                "a Cloud KMS key is named without a host, and without a slash in front",
                hint=f"give {_FORM}; KSECRET_GCP_KMS_ENDPOINT chooses the host",
            )
        raise KeyRefError(
            "that is not the resource name of a Cloud KMS key",
            hint=f"give {_FORM}; `gcloud kms keys list` shows it",
        )

    def is_bare(self, text: str) -> bool:
        return text.startswith("projects/")

    def home(self, ref: KeyRef) -> str:
        """The key's location."""
        fields = ref.id.split("/")
        return fields[3] if len(fields) > 3 else ""

    def installed(self) -> Installed:
        return library("google.cloud.kms", "gcp")


SCHEME = GcpScheme()
