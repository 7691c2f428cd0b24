"""Keys of Google Cloud KMS as KEKs, over gRPC, by Google's own client library.

Nothing of google.* is imported before a DEK has to be wrapped or unwrapped: that import is most of what a cold call
costs. docs/backends/gcp-kms.md has the figures, and what an operator should know.
"""

from __future__ import annotations

from secretsvc.backends.base import additional_data, checked_dek
from secretsvc.backends.gcp_kms import errors
from secretsvc.backends.gcp_kms.client import Connection
from secretsvc.backends.tries import PATIENCE
from secretsvc.errors import RESTORE_HINT, AlteredError, BackendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from secretsvc.backends.base import Settings
    from secretsvc.backends.offers import Offer
    from secretsvc.keyref import KeyRef

MAX_WRAPPED_BYTES = 64 * 1024
"""A DEK wrapped by Cloud KMS takes about 115 bytes; the service takes 64 KiB of plaintext."""


class GcpKms:
    """Symmetric keys (purpose ENCRYPT_DECRYPT) of Google Cloud KMS, software, HSM and external ones alike.

    Credentials: Application Default Credentials, as Google's library finds them: the file that
    GOOGLE_APPLICATION_CREDENTIALS names (a service account's key, workload identity federation, impersonation), else
    those of `gcloud auth application-default login`, else the metadata server's (GKE workload identity included).
    Permissions on the key: cloudkms.cryptoKeyVersions.useToEncrypt to seal, cloudkms.cryptoKeyVersions.useToDecrypt to
    open, for instance by roles/cloudkms.cryptoKeyEncrypter, -Decrypter, or -EncrypterDecrypter for both.
    `init --key gcp` lists the keys of GOOGLE_CLOUD_PROJECT, or of the credentials' own, with roles/cloudkms.viewer.
    What leaves the machine: over TLS to cloudkms.googleapis.com, or to KSECRET_GCP_KMS_ENDPOINT, the key's name, the
    DEK when sealing, the wrapped DEK when opening, and the Secret's namespace and name. No value of a Secret ever does.
    The encryption context is authenticated: a wrapped DEK opens only with the one that it was wrapped with.

    Safe to use from several threads, which share one client and one connection.
    """

    jobs = 32
    """Calls at a time that bulk work should make."""

    def __init__(self, settings: Settings, *, patience: float = PATIENCE) -> None:
        """`patience`: seconds after which an endpoint that does not answer is given up for the rest of the run."""
        self._connection = Connection(settings.environ.get("KSECRET_GCP_KMS_ENDPOINT", ""), patience)

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK encrypted by the key's primary version, with the context as additional authenticated data.

        Raises KeyRefError for a key that does not exist or is not for encryption; BackendError and
        BackendUnavailableError for a failure. (Cloud KMS API, projects.locations.keyRings.cryptoKeys/encrypt)
        """
        aad = additional_data(context)
        answer = self._checked(
            "encrypt",
            {
                "name": ref.id,
                "plaintext": dek,
                "plaintext_crc32c": _crc32c(dek),
                "additional_authenticated_data": aad,
                "additional_authenticated_data_crc32c": _crc32c(aad),
            },
            lambda answer: (
                answer.verified_plaintext_crc32c
                and answer.verified_additional_authenticated_data_crc32c
                and answer.ciphertext_crc32c == _crc32c(answer.ciphertext)
            ),
        )
        if not _is_version_of(answer.name, ref.id):
            raise BackendError(
                "Cloud KMS answered for another key than the one that was asked for",
                hint="check what KSECRET_GCP_KMS_ENDPOINT and the proxies between lead to",
            )
        return bytes(answer.ciphertext)

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK, 32 bytes, by whichever enabled version of the key had wrapped it.

        Raises AlteredError where it was wrapped by another key or with another context, or altered, or is no DEK;
        BackendError and BackendUnavailableError for a failure.
        (Cloud KMS API, projects.locations.keyRings.cryptoKeys/decrypt)
        """
        if not 0 < len(wrapped) <= MAX_WRAPPED_BYTES:
            raise AlteredError("its wrapped data key is empty or too long", hint=RESTORE_HINT)
        aad = additional_data(context)
        answer = self._checked(
            "decrypt",
            {
                "name": ref.id,
                "ciphertext": wrapped,
                "ciphertext_crc32c": _crc32c(wrapped),
                "additional_authenticated_data": aad,
                "additional_authenticated_data_crc32c": _crc32c(aad),
            },
            lambda answer: answer.plaintext_crc32c == _crc32c(answer.plaintext),
        )
        return checked_dek(bytes(answer.plaintext))

    def describe(self, ref: KeyRef) -> str:
        """Return nothing: the name says it all, and more is known to the service only."""
        return ""

    def offers(self) -> list[Offer]:
        """The keys that the credentials can list in the project that is configured. Raises BackendError."""
        from secretsvc.backends.gcp_kms import choosing

        return choosing.offers(self._connection, self._connection.project())

    def _checked(self, operation: str, request: Mapping[str, object], intact: Callable[[Any], object]) -> Any:
        """The answer whose checksums all verify, the second one where the first one's did not.

        Raises BackendError where neither's did. (Cloud KMS guide, "Verifying end-to-end data integrity")
        """
        for _ in range(2):
            try:
                answer = self._connection.send(operation, request, str(request["name"]).split("/")[3])
            except errors.ChecksumError:
                continue
            if intact(answer):
                return answer
        raise BackendError(
            "the connection altered the request or the answer, twice: a checksum does not verify",
            hint="look for a proxy or a faulty network card between here and Cloud KMS",
        )


def _is_version_of(version: str, key: str) -> bool:
    """Tell whether that is a version of the key. A key named by its project's number may be answered with the id."""
    version, _, number = version.partition("/cryptoKeyVersions/")
    (_, project, rest), (_, answered, answered_rest) = key.split("/", 2), (version + "//").split("/", 2)
    return bool(number) and answered_rest.rstrip("/") == rest and (answered == project or project.isdecimal())


def _crc32c(data: bytes) -> int:
    """RFC 3720, appendix B.4. Raises BackendUnavailableError where the library is not installed."""
    try:
        from google_crc32c import value
    except ImportError:
        raise errors.not_installed() from None
    return int(value(data))
