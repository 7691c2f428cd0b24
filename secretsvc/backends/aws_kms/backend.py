"""Keys of AWS KMS as KEKs, by boto3, Amazon's own SDK.

Nothing of it is imported before a DEK has to be wrapped or unwrapped: that import is most of what a cold call
costs. docs/backends/aws-kms.md has the figures, and what an operator should know.
"""

from __future__ import annotations

from secretsvc.backends.aws_kms import errors, region_of
from secretsvc.backends.aws_kms.client import Connection
from secretsvc.backends.base import checked_dek
from secretsvc.backends.tries import PATIENCE
from secretsvc.errors import RESTORE_HINT, AlteredError
from secretsvc.keyref import Principal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from secretsvc.backends.base import Settings
    from secretsvc.backends.offers import Offer
    from secretsvc.keyref import KeyRef

MAX_WRAPPED_BYTES = 6144
"""The most that Decrypt takes; a DEK wrapped under a symmetric key has about 185."""


class AwsKms:
    """Symmetric keys (usage ENCRYPT_DECRYPT) of AWS KMS, named by the ARN of a key or of an alias.

    Credentials: those of the profile that the policy names for the key, else the SDK's default chain, with which the
    role is assumed that the policy names (STS); from the process's environment: AWS_ACCESS_KEY_ID, AWS_PROFILE, files
    under ~/.aws (SSO, roles, credential_process), web identity (IRSA), EKS pod identity and ECS, instance metadata.
    Region: the ARN's; of STS, AWS_REGION, else AWS_DEFAULT_REGION or the profile's, else the ARN's.
    AWS_ENDPOINT_URL_KMS and AWS_ENDPOINT_URL stand in place of its public endpoint; AWS_USE_FIPS_ENDPOINT,
    AWS_CA_BUNDLE and HTTPS_PROXY are honoured; AWS_RETRY_MODE and AWS_MAX_ATTEMPTS are not.
    Permissions on the key: kms:Encrypt to seal, kms:Decrypt to open, kms:ReEncryptFrom and kms:ReEncryptTo to rewrap.
    `init --key aws` lists keys with kms:ListAliases and, where they are granted, kms:ListKeys and kms:DescribeKey.
    What leaves the machine: over TLS to the key's region, the ARN, the DEK when sealing, the wrapped DEK when opening,
    and the Secret's namespace and name, which CloudTrail records. No value of a Secret ever does.
    The encryption context is authenticated: a wrapped DEK opens only with the one that it was wrapped with.

    Safe to use from several threads, which share one client for each region.
    """

    jobs = 32
    """Calls at a time that bulk work should make."""

    forks = True
    """Each process has clients of its own, and those that are forked the credentials that were there by then."""

    def __init__(self, settings: Settings, *, patience: float = PATIENCE) -> None:
        """`patience`: seconds after which a region that does not answer is given up for the rest of the run."""
        self._patience = patience
        self._principals = settings.principals
        self._connections: dict[Principal, Connection] = {} if settings.sessions is None else settings.sessions

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK encrypted under the key, bound to the context. (AWS KMS API, Encrypt)

        Raises KeyRefError for a key that does not exist or is not for encryption, BackendError and
        BackendUnavailableError for a failure.
        """
        answer = self._send(ref, "encrypt", {"KeyId": ref.id, "Plaintext": dek}, EncryptionContext=context)
        return self._of(ref, answer, "CiphertextBlob", KeyId=ref)

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK, 32 bytes. The key is named: it is never the ciphertext that picks it. (AWS KMS API, Decrypt)

        Raises AlteredError where it was wrapped by another key or with another context, or altered, or is no DEK;
        BackendError and BackendUnavailableError for a failure.
        """
        parameters = {"KeyId": ref.id, "CiphertextBlob": _wrapped(wrapped)}
        answer = self._send(ref, "decrypt", parameters, EncryptionContext=context)
        return checked_dek(self._of(ref, answer, "Plaintext", KeyId=ref))

    def rewrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The same DEK under the key's newest material; it does not leave KMS (AWS KMS API, ReEncrypt).

        Raises what `unwrap` and `wrap` raise.
        """
        answer = self._send(
            ref,
            "re_encrypt",
            {"SourceKeyId": ref.id, "CiphertextBlob": _wrapped(wrapped), "DestinationKeyId": ref.id},
            SourceEncryptionContext=context,
            DestinationEncryptionContext=context,
        )
        return self._of(ref, answer, "CiphertextBlob", SourceKeyId=ref, KeyId=ref)

    def describe(self, ref: KeyRef) -> str:
        """Return nothing: an alias is in its ARN, and more is known to the service only."""
        return ""

    def offers(self) -> list[Offer]:
        """The keys that the credentials can list, in the region that is configured. Raises BackendError."""
        from secretsvc.backends.aws_kms import choosing
        from secretsvc.backends.aws_kms.client import configured_region

        return choosing.offers(self._connection_of(Principal()), configured_region())

    def _send(self, ref: KeyRef, operation: str, parameters: Mapping[str, Any], **contexts: Mapping[str, str]) -> Any:
        """The answer. An empty context is left out, as the AWS CLI does."""
        given = {parameter: dict(context) for parameter, context in contexts.items() if context}
        return self._connection(ref).send(region_of(ref.id), operation, {**parameters, **given})

    def _connection(self, ref: KeyRef) -> Connection:
        """Return the connection of whom the policy names for the key, else of whom the environment says."""
        return self._connection_of(self._principals.get(str(ref)) or Principal())

    def _connection_of(self, principal: Principal) -> Connection:
        if principal not in self._connections:
            self._connections.setdefault(principal, Connection(self._patience, principal))
        return self._connections[principal]

    def _of(self, ref: KeyRef, answer: Any, wanted: str, **keys: KeyRef) -> bytes:
        """Return what was asked for, once the answer names the very keys. Raises BackendError."""
        data = answer.get(wanted)
        if not data or not all(_is_key(answer.get(name, ""), key) for name, key in keys.items()):
            raise errors.foreign(self._connection(ref).host(region_of(ref.id)))
        return bytes(data)


def _is_key(answered: str, ref: KeyRef) -> bool:
    """Tell whether that is the key's ARN, or, for an alias, that of a key next to it."""
    home, alias, _ = ref.id.partition(":alias/")
    return answered.startswith(f"{home}:key/") if alias else answered == ref.id


def _wrapped(wrapped: bytes) -> bytes:
    if not 0 < len(wrapped) <= MAX_WRAPPED_BYTES:
        raise AlteredError("its wrapped data key is empty or too long", hint=RESTORE_HINT)
    return wrapped
