"""Failures of Cloud KMS, gRPC and google.auth, in words for people. Nothing of their texts gets out.

The texts are only looked at, where a status code alone does not tell what to do: google.rpc.Code, google.rpc.ErrorInfo,
and the service's own words as seen in public issue trackers.
"""

from __future__ import annotations

import os
import re

from secretsvc.backends.tries import Kind
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    BackendUnavailableError,
    KeyRefError,
    KsecretError,
    install_hint,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


_ROLES = {
    "encrypt": ("cloudkms.cryptoKeyVersions.useToEncrypt", "roles/cloudkms.cryptoKeyEncrypter"),
    "decrypt": ("cloudkms.cryptoKeyVersions.useToDecrypt", "roles/cloudkms.cryptoKeyDecrypter"),
    "list_locations": ("cloudkms.locations.list", "roles/cloudkms.viewer"),
    "list_key_rings": ("cloudkms.keyRings.list", "roles/cloudkms.viewer"),
    "list_crypto_keys": ("cloudkms.cryptoKeys.list", "roles/cloudkms.viewer"),
}

# ErrorInfo.reason of google.rpc, "googleapis.com" domain. {consumer} is its metadata's, the project that the call
# counts for: the credentials' quota project, else the key's own.
_QUOTA_PROJECT = (
    "name another with GOOGLE_CLOUD_QUOTA_PROJECT or `gcloud auth application-default set-quota-project PROJECT`"
)
_REASONS: Mapping[str, tuple[str, str]] = {
    "SERVICE_DISABLED": (
        "the Cloud KMS API is disabled in {consumer}",
        "`gcloud services enable cloudkms.googleapis.com --project PROJECT`, and wait some minutes; where that is not "
        f"the key's project, it is the quota project of the credentials: {_QUOTA_PROJECT}",
    ),
    "USER_PROJECT_DENIED": (
        "the credentials may not use their quota project, {consumer}; it is not about the key",
        f"grant roles/serviceusage.serviceUsageConsumer on that project, or {_QUOTA_PROJECT}",
    ),
    "BILLING_DISABLED": ("billing is disabled in the key's project", "enable it, and wait some minutes"),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": (
        "the access token's scopes leave out Cloud KMS",
        "give the machine or the token the scope https://www.googleapis.com/auth/cloudkms",
    ),
    "SECURITY_POLICY_VIOLATED": (
        "a VPC Service Controls perimeter forbids the call",
        "call from inside it, or have its administrator let this call in",
    ),
}

_STATES: Mapping[str, tuple[str, str]] = {
    "DESTROY_SCHEDULED": (
        "is scheduled for destruction",
        "`gcloud kms keys versions restore`, then `… enable`, while there is time",
    ),
    "DESTROYED": ("was destroyed", "what only that version wrapped is lost; open it with another key of its keyset"),
    "PENDING": ("is not ready yet", "wait until `gcloud kms keys versions list` shows it as enabled"),
    "DISABLED": ("is disabled", "`gcloud kms keys versions enable`"),
}

_UNREACHABLE: Mapping[str, str] = {
    "CERTIFICATE_VERIFY_FAILED": "its TLS certificate can't be verified",
    "andshake": "the TLS handshake failed",
    "lookup": "its name can't be resolved",
    "DNS": "its name can't be resolved",
    "onnection refused": "the connection was refused",
}

_SIGNS: Mapping[str, str] = {
    "has not been used in": "SERVICE_DISABLED",
    "required permission to use project": "USER_PROJECT_DENIED",
}
"""Of answers that come without an ErrorInfo."""

_PROJECT = re.compile(r"projects/[a-z0-9][a-z0-9.:-]{0,99}")
_NAMES = re.compile(r"projects/\S+")
"""Resource names in a text, which hold words that somebody chose."""


class ChecksumError(Exception):
    """Cloud KMS says that the request's checksums do not fit what arrived."""


def not_installed() -> BackendUnavailableError:
    """google-cloud-kms, or something that it needs, can't be imported."""
    return BackendUnavailableError("the library for Google Cloud KMS is not installed", hint=install_hint("gcp"))


def is_token(error: Exception) -> bool:
    """Tell whether gRPC failed because it could not get an access token: it says UNAVAILABLE, and this."""
    return "from plugin failed" in str(error)


def no_project() -> BackendError:
    """Return the error for a list of keys where neither the environment nor the credentials say of which project."""
    return BackendError("no Google Cloud project is configured", hint="set GOOGLE_CLOUD_PROJECT to that of your keys")


def another_universe() -> BackendError:
    """Return the error for credentials of another universe (a sovereign cloud of Google's) than the configured one."""
    return BackendError(
        "the Google Cloud credentials are of another universe than GOOGLE_CLOUD_UNIVERSE_DOMAIN names",
        hint="unset it: the credentials' own is taken then; or use credentials of that one",
    )


def credentials(error: Exception) -> BackendError:
    """Return the error for what google.auth raised when it looked for credentials or asked for an access token."""
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, MutualTLSChannelError, TransportError

    if isinstance(error, DefaultCredentialsError) and not os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return BackendError(
            "there are no Google Cloud credentials here",
            hint="run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a file of them",
        )
    if isinstance(error, TransportError) or isinstance(error.__context__, TransportError):
        return BackendUnavailableError(
            "the service that gives out Google Cloud access tokens can't be reached",
            hint="check the network and its proxies: tokens come from another host than Cloud KMS",
        )
    if isinstance(error, DefaultCredentialsError | MutualTLSChannelError) or not isinstance(error, GoogleAuthError):
        return BackendError(
            "the Google Cloud credentials here can't be used: unreadable, malformed, or made for something else",
            hint="check the file that GOOGLE_APPLICATION_CREDENTIALS names, and GOOGLE_API_USE_MTLS_ENDPOINT if set",
        )
    return BackendError(
        "the Google Cloud credentials were refused, or could not be renewed",
        hint="they may have expired or been revoked: run `gcloud auth application-default login` again, or renew the "
        "file of credentials; for federation, what its credential_source names must be there; impersonation needs "
        "roles/iam.serviceAccountTokenCreator",
    )


def kind(error: Exception) -> Kind:
    """Tell whether another try may help."""
    from google.api_core import exceptions

    if is_token(error):
        return Kind.BROKEN
    kinds = {
        Kind.SILENCE: (exceptions.ServiceUnavailable, exceptions.DeadlineExceeded),
        Kind.THROTTLED: (exceptions.ResourceExhausted,),
        Kind.PASSING: (exceptions.InternalServerError, exceptions.Aborted),
        Kind.FINAL: (exceptions.GoogleAPICallError,),
    }
    return next((kind for kind, classes in kinds.items() if isinstance(error, classes)), Kind.BROKEN)


def failed(error: Exception | None, operation: str, host: str) -> KsecretError | ChecksumError:
    """Return the error for what google.api_core raised from `encrypt` or `decrypt` at a host, retries done.

    KeyRefError for a key that can't be used to wrap, AlteredError for a wrapped DEK that does not open,
    ChecksumError where the request was altered on its way, BackendUnavailableError where nobody answered,
    else BackendError.
    """
    from google.api_core import exceptions

    text, reason = _NAMES.sub("", str(error)), getattr(error, "reason", None) or ""
    reason = next((told for sign, told in _SIGNS.items() if sign in text), reason)
    if reason in _REASONS:
        words, hint = _REASONS[reason]
        return BackendError(words.format(consumer=_consumer(error)), hint=hint)
    if isinstance(error, exceptions.PermissionDenied):
        return _denied(operation)
    if isinstance(error, exceptions.Unauthenticated) or (error and is_token(error)):
        return BackendError(
            "Cloud KMS does not accept the Google Cloud credentials",
            hint="run `gcloud auth application-default login` again, or renew the file of credentials",
        )
    if isinstance(error, exceptions.NotFound):
        return _not_found(text, operation)
    if isinstance(error, exceptions.FailedPrecondition | exceptions.InvalidArgument):
        return _refused(text, operation, host, _external(error))
    return _failure(error, text, host)


def _consumer(error: Exception | None) -> str:
    """The project that the call counts for, `projects/ID` or by its number, as far as the answer says."""
    consumer = str((getattr(error, "metadata", None) or {}).get("consumer", ""))
    return consumer if _PROJECT.fullmatch(consumer) else "a project that the call counts for"


def _denied(operation: str) -> BackendError:
    permission, role = _ROLES[operation]
    what = "project" if operation.startswith("list") else "key"
    return BackendError(
        f"access is denied: {permission} is missing, or there is no such {what}",
        hint=f"grant {role} on the {what} to whom `gcloud auth list` or the workload's identity says you are",
    )


def _not_found(text: str, operation: str) -> KsecretError:
    if "concerns location" in text:
        return BackendError(
            "the endpoint does not serve the location of that key",
            hint="unset KSECRET_GCP_KMS_ENDPOINT, or set it to the endpoint of the key's location",
        )
    kind = KeyRefError if operation == "encrypt" else BackendError
    return kind("there is no such Cloud KMS key", hint="`gcloud kms keys list --keyring RING --location LOCATION`")


def _external(error: Exception | None) -> str:
    """Return what an external key manager did wrong: the second violation's type in google.rpc.PreconditionFailure.

    (Cloud KMS, "Cloud EKM error reference", error domains) Empty where it is not about one.
    """
    for detail in getattr(error, "details", None) or ():
        for violation in getattr(detail, "violations", None) or ():
            if re.fullmatch(r"(EXTERNAL|EKM)_[A-Z_]{1,60}", str(getattr(violation, "type", ""))):
                return str(violation.type)
    return ""


def _refused(text: str, operation: str, host: str, external: str) -> KsecretError | ChecksumError:
    """FAILED_PRECONDITION and INVALID_ARGUMENT: the key's state or purpose, or what was sent."""
    if "crc32c" in text.lower() or "checksum" in text.lower():
        return ChecksumError()
    if external:
        return BackendError(
            f"the external key manager behind that Cloud KMS key failed or refused ({external})",
            hint="cloud.google.com/kms/docs/reference/ekm_errors says what that means; whoever runs it must let Cloud "
            "KMS reach it and use the key",
        )
    if "PURPOSE" in text.upper():
        kind = KeyRefError if operation == "encrypt" else BackendError
        return kind(
            "that Cloud KMS key is not for symmetric encryption", hint="use a key of the purpose ENCRYPT_DECRYPT"
        )
    if operation == "decrypt" and "Decryption failed" in text:
        return AlteredError(
            "its wrapped data key was altered, wrapped by another key, or with another encryption context "
            "(another Secret's)",
            hint=RESTORE_HINT,
        )
    for state, (words, hint) in _STATES.items():
        if state in text:
            which = "primary version" if operation == "encrypt" else "version that wrapped it"
            return BackendError(f"the Cloud KMS key's {which} {words}", hint=hint)
    return BackendError(
        f"Cloud KMS at {host} refused the call",
        hint="check that the key is enabled, has a primary version and the purpose ENCRYPT_DECRYPT",
    )


def _failure(error: Exception | None, text: str, host: str) -> BackendError:
    """Return what retries may cure and did not, and everything else."""
    from google.api_core import exceptions

    if isinstance(error, exceptions.ResourceExhausted):
        return BackendError(
            "Cloud KMS throttles: a quota is used up, and trying again did not help",
            hint="wait a minute, lower --jobs, or ask for a larger quota of cryptographic requests",
        )
    if isinstance(error, exceptions.DeadlineExceeded):
        return BackendUnavailableError(
            f"Cloud KMS at {host} did not answer in time", hint="check the network, firewalls and proxies; try again"
        )
    if isinstance(error, exceptions.ServiceUnavailable):
        why = next((words for sign, words in _UNREACHABLE.items() if sign in text), "the connection failed")
        return BackendUnavailableError(
            f"Cloud KMS at {host} can't be reached: {why}",
            hint="check the network, its proxies and KSECRET_GCP_KMS_ENDPOINT; try again",
        )
    code = getattr(getattr(error, "grpc_status_code", None), "name", "UNKNOWN")
    return BackendError(f"Cloud KMS failed ({code})", hint="try again; status.cloud.google.com shows outages")
