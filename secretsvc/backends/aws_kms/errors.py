"""Failures of AWS KMS, the credentials' sources and botocore, in words for people. Nothing of their texts
gets out: they are only looked at, where an error's code alone does not tell what to do.

Codes: AWS KMS API Reference, "Common Errors" and the errors of Encrypt, Decrypt and ReEncrypt. Key states: AWS KMS
Developer Guide, "Key states of AWS KMS keys". Classes are known by name, so that none has to exist in every botocore.
"""

from __future__ import annotations

from secretsvc.backends.tries import Kind, class_names
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    BackendUnavailableError,
    KeyRefError,
    KsecretError,
    install_hint,
)
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.keyref import Principal

WHO_HINT = "`aws sts get-caller-identity` shows whether they work, and who you are"


class KmsCall(Record):
    """A call that failed: the operation, such as `encrypt`, where, and names (no values) in its encryption context."""

    operation: str
    region: str
    host: str
    context: tuple[str, ...]


_THROTTLED = (
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled"),
    *("TooManyRequestsException", "RequestLimitExceeded", "LimitExceededException", "SlowDown"),
)

_ABORTED = ("RequestTimeout", "RequestTimeoutException", "RequestAborted", "RequestAbortedException")
"""What came too slowly or was cut on its way, though AWS says so with a 4xx ("Common Error Types")."""

_DENIED = ("AccessDeniedException", "AccessDenied", "NotAuthorized", "NotAuthorizedException")

_PERMISSIONS = {
    "encrypt": "kms:Encrypt",
    "decrypt": "kms:Decrypt",
    "re_encrypt": "kms:ReEncryptFrom or kms:ReEncryptTo",
    "list_aliases": "kms:ListAliases",
    "list_keys": "kms:ListKeys",
    "describe_key": "kms:DescribeKey",
}

_LOGIN_HINT = "run `aws sso login` or `aws login` again, or renew the credentials; " + WHO_HINT

_CREDENTIAL_CODES: Mapping[str, tuple[str, str]] = {
    "UnrecognizedClientException": ("AWS does not know the access key", WHO_HINT),
    "InvalidClientTokenId": ("AWS does not know the access key", WHO_HINT),
    "ExpiredTokenException": ("the AWS credentials have expired", _LOGIN_HINT),
    "ExpiredToken": ("the AWS credentials have expired", _LOGIN_HINT),
    "InvalidSignatureException": (
        "AWS does not accept the signature: the secret key is wrong, or this machine's clock is off",
        "compare the clock with the time, then the secret access key; " + WHO_HINT,
    ),
    "RequestExpired": ("AWS takes the request for an old one: this machine's clock is off", "set the clock"),
    "IncompleteSignature": ("the AWS credentials are incomplete", WHO_HINT),
    "MissingAuthenticationToken": ("the AWS credentials are incomplete", WHO_HINT),
    "MissingAuthenticationTokenException": ("the AWS credentials are incomplete", WHO_HINT),
}

_ELSEWHERE = "something that is not AWS KMS answers at {host}"
_ELSEWHERE_HINT = "check AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, and the proxies on the way"

_OTHER_CODES: Mapping[str, tuple[str, str]] = {
    "OptInRequired": ("the region {region} is not enabled in that AWS account", "enable it, or use a key of another"),
    "SubscriptionRequiredException": ("the AWS account is not signed up for KMS", "finish its registration"),
    "ValidationException": (
        "AWS KMS refused the call",
        "check that the ARN's partition, region and account are right, and that AWS_ENDPOINT_URL_KMS fits them",
    ),
    "InvalidArnException": ("AWS KMS refused the ARN", "check its partition, region, account and id"),
    "UnknownOperationException": (_ELSEWHERE, _ELSEWHERE_HINT),
    "InvalidAction": (_ELSEWHERE, _ELSEWHERE_HINT),
    "404": (_ELSEWHERE, _ELSEWHERE_HINT),
}

_STATES: Mapping[str, tuple[str, str]] = {
    "pending deletion": (
        "is scheduled for deletion",
        "`aws kms cancel-key-deletion`, then `aws kms enable-key`, while there is time",
    ),
    "pending replica deletion": ("is scheduled for deletion once its replicas are gone", "open it with another key"),
    "pending import": ("has no key material: it was not imported yet, was deleted, or has expired", "import it again"),
    "is unavailable": ("is in a key store that is disconnected", "connect its custom key store"),
    "is creating": ("is still being made", "wait a minute"),
    "is updating": ("is just being changed", "wait a minute"),
    "is disabled": ("is disabled", "`aws kms enable-key`"),
}

_CREDENTIAL_CLASSES: Mapping[str, tuple[str, str]] = {
    "ProfileNotFound": (
        "the AWS profile that AWS_PROFILE names does not exist",
        "`aws configure list-profiles` shows those that do",
    ),
    "NoCredentialsError": (
        "there are no AWS credentials here",
        "run `aws sso login` or `aws configure`, set AWS_PROFILE, or give the workload a role",
    ),
    "NoRegionError": (
        "no AWS region is configured for whatever gives out the credentials",
        "set AWS_REGION, or `region` in the profile",
    ),
    "PartialCredentialsError": (
        "the AWS credentials are incomplete: one of the access key and its secret is missing",
        "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither",
    ),
    "SSOError": ("the AWS sign-in has expired, or there is none", _LOGIN_HINT),
    "TokenRetrievalError": ("the AWS sign-in has expired, or there is none", _LOGIN_HINT),
    "LoginError": ("the AWS sign-in has expired, or there is none", _LOGIN_HINT),
    "ConfigParseError": ("the AWS config files are malformed", "check ~/.aws/config and ~/.aws/credentials"),
    "InvalidConfigError": ("the AWS config files contradict themselves", "check ~/.aws/config and ~/.aws/credentials"),
    "MissingDependencyException": ("these AWS credentials need the awscrt package", "pip install 'botocore[crt]'"),
    "ClientError": ("AWS refused to give out credentials for that role or sign-in", "check the role's trust policy"),
    "OSError": (
        "a file or program that the AWS credentials come from can't be read or run",
        "check AWS_WEB_IDENTITY_TOKEN_FILE, credential_process and the files under ~/.aws",
    ),
    "EOFError": ("the AWS role asks for an MFA code, and there is nobody to ask", "sign in first: `aws sso login`"),
}

_SILENT = ("ConnectionError", "HTTPClientError")
"""The roots of what botocore raises where no answer came: connecting, TLS, proxies, timeouts, cut connections."""

_SILENCE: Mapping[str, str] = {
    "SSLError": "its TLS certificate can't be verified, or TLS fails",
    "ProxyConnectionError": "the proxy refuses or fails",
    "ConnectTimeoutError": "the connection was not made in time",
    "ReadTimeoutError": "it did not answer in time",
    "ConnectionClosedError": "the connection was cut",
    "EndpointConnectionError": "its name can't be resolved, or the connection was refused",
}


def not_installed() -> BackendUnavailableError:
    """boto3 can't be imported."""
    return BackendUnavailableError("the library for AWS KMS is not installed", hint=install_hint("aws"))


def no_region() -> BackendError:
    """Return the error for a list of keys where neither the environment nor a profile says of which region."""
    return BackendError("no AWS region is configured", hint="set AWS_REGION to that of your keys, or name one: aws:ARN")


def no_credentials() -> BackendError:
    message, hint = _CREDENTIAL_CLASSES["NoCredentialsError"]
    return BackendError(message, hint=hint)


def foreign(host: str) -> BackendError:
    """Return the error for an answer that lacks what was asked for, or names another key."""
    return BackendError(_ELSEWHERE.format(host=host), hint=_ELSEWHERE_HINT)


def misconfigured(region: str) -> BackendError:
    """Return the error for a client that can't be made."""
    return BackendError(
        f"no client for AWS KMS in {region} can be made from the configuration here",
        hint="check AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL (http://HOST:PORT or https://HOST) and ~/.aws/config",
    )


def kind(error: Exception) -> Kind:
    """Tell whether another try may help."""
    names = class_names(error)
    if "ClientError" in names:
        code, status, _ = _said(error)
        if code in _THROTTLED or status == 429:
            return Kind.THROTTLED
        return Kind.PASSING if status >= 500 or code in _ABORTED else Kind.FINAL
    if any(name in names for name in _SILENT) and "SSLError" not in names:
        return Kind.SILENCE
    return Kind.BROKEN


def credentials(error: Exception, principal: Principal | None = None) -> BackendError:
    """Return the error for credentials that were not found, given or renewed. `principal`: the key's own, if any."""
    names = class_names(error)
    named = _named_wrongly(error, names, principal) if principal else None
    if named:
        return named
    if any(name in names for name in _SILENT):
        return BackendUnavailableError(
            "the service that gives out AWS credentials can't be reached",
            hint="check the network and its proxies: credentials come from another host than KMS (STS, SSO)",
        )
    if "ClientError" in names and _said(error)[0] in _CREDENTIAL_CODES:
        message, hint = _CREDENTIAL_CODES[_said(error)[0]]
        return BackendError(message, hint=hint)
    for name in names:
        if name in _CREDENTIAL_CLASSES:
            message, hint = _CREDENTIAL_CLASSES[name]
            return BackendError(message, hint=hint)
    return BackendError("the AWS credentials here can't be used: their source failed, or is malformed", hint=WHO_HINT)


def _named_wrongly(error: Exception, names: list[str], principal: Principal) -> BackendError | None:
    """Return the error for a profile or a role, as a policy names them, that nobody here can use."""
    code = _said(error)[0]
    if principal.profile and "ProfileNotFound" in names:
        message = f"the AWS profile {principal.profile} does not exist, which the policy names for that key"
        return BackendError(message, hint=_CREDENTIAL_CLASSES["ProfileNotFound"][1])
    if principal.role and code in _DENIED:
        message = f"AWS does not let these credentials assume the role {principal.role}, which the policy names"
        hint = f"allow them sts:AssumeRole, and name them in the role's trust policy; {WHO_HINT}"
        return BackendError(message, hint=hint)
    if principal.role and ("ParamValidationError" in names or code == "ValidationError"):
        message = f"{principal.role}, which the policy names, is no role of IAM"
        return BackendError(message, hint="arn:aws:iam::ACCOUNT:role/NAME")
    return None


def failed(error: Exception, call: KmsCall) -> KsecretError:
    """Return the error for what botocore raised for a call, tries done.

    KeyRefError for a key that can't be used to wrap, AlteredError for a wrapped DEK that does not open,
    BackendUnavailableError where nobody answered, else BackendError.
    """
    names = class_names(error)
    if "ClientError" in names:
        operation = str(getattr(error, "operation_name", "")).lower()
        return _answered(error, call) if operation == call.operation.replace("_", "") else credentials(error)
    if call.host not in getattr(error, "kwargs", {}).get("endpoint_url", call.host):
        return credentials(error)  # of the service that renews them
    for name in names:
        if name in _SILENCE or name in _SILENT:
            why = _SILENCE.get(name, "the connection failed")
            return BackendUnavailableError(
                f"AWS KMS in {call.region} ({call.host}) can't be reached: {why}",
                hint="check the network, its proxies, VPC endpoints and AWS_ENDPOINT_URL_KMS; try again",
            )
    if "BotoCoreError" in names or "OSError" in names:
        return credentials(error)
    return foreign(call.host)


def _said(error: Exception) -> tuple[str, int, str]:
    """Code, HTTP status and text (which must not get out) of botocore's ClientError."""
    response = getattr(error, "response", {})
    said = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(said.get("Code", "")), int(status), str(said.get("Message", ""))


def _answered(error: Exception, call: KmsCall) -> KsecretError:
    code, status, text = _said(error)
    if code in _DENIED:
        return _denied(text, call)
    if code in ("DisabledException", "KMSInvalidStateException"):
        return _unusable(code, text)
    if code in ("InvalidCiphertextException", "IncorrectKeyException", "NotFoundException", "InvalidKeyUsageException"):
        return _unfit(code, call)
    if code == "InvalidSignatureException" and "scoped" in text:
        return BackendError(f"{call.host} does not serve {call.region}, the region of that key", hint=_ELSEWHERE_HINT)
    if code in _CREDENTIAL_CODES or code in _OTHER_CODES:
        message, hint = {**_CREDENTIAL_CODES, **_OTHER_CODES}[code]
        return BackendError(message.format(region=call.region, host=call.host), hint=hint)
    return _failure(code, status, call)


def _denied(text: str, call: KmsCall) -> BackendError:
    if "ciphertext refers to" in text:
        return BackendError(
            f"the key that wrapped its data key is not in {call.region}, does not exist, or is not yours to use",
            hint=f"grant kms:Decrypt on the key, or {RESTORE_HINT}",
        )
    context = f" (encryption context: {' and '.join(call.context) or 'empty'})" if "crypt" in call.operation else ""
    return BackendError(
        f"access is denied: {_PERMISSIONS[call.operation]} is missing{context}",
        hint="grant it in IAM and in the key's policy to whom `aws sts get-caller-identity` shows; their conditions, "
        "service control policies and VPC endpoint policies may deny it too",
    )


def _unusable(code: str, text: str) -> BackendError:
    for state, (message, hint) in _STATES.items():
        if state in text:
            return BackendError(f"the AWS KMS key {message}", hint=hint)
    if code == "DisabledException":
        return BackendError("the AWS KMS key is disabled", hint="`aws kms enable-key`")
    return BackendError(
        "the AWS KMS key can't be used in its present state",
        hint="`aws kms describe-key --key-id ARN` shows it",
    )


def _unfit(code: str, call: KmsCall) -> KsecretError:
    """The wrapped DEK is not that key's, or the KeyRef names no key, or none that encrypts."""
    if code in ("InvalidCiphertextException", "IncorrectKeyException"):
        return AlteredError(
            "its wrapped data key was altered, wrapped by another key, or with another encryption context "
            "(another Secret's)",
            hint=f"{RESTORE_HINT}; an alias may have pointed to another key when it was sealed",
        )
    error = KeyRefError if call.operation == "encrypt" else BackendError
    if code == "NotFoundException":
        return error(
            f"there is no such AWS KMS key or alias in {call.region}",
            hint=f"`aws kms list-aliases --region {call.region}` shows what there is in your account",
        )
    return error(
        "that AWS KMS key is not for symmetric encryption", hint="use one of usage ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT"
    )


def _failure(code: str, status: int, call: KmsCall) -> BackendError:
    """Return what trying again may cure and did not, and everything else."""
    if code in _THROTTLED or status == 429:
        return BackendError(
            f"AWS KMS throttles in {call.region}: a quota is used up, and trying again did not help",
            hint="wait a minute, lower --jobs, or ask for a larger quota of cryptographic operations",
        )
    name = code if code.isascii() and code.isalnum() and len(code) <= 60 else f"HTTP {status}"
    return BackendError(
        f"AWS KMS in {call.region} failed ({name})", hint="try again; health.aws.amazon.com shows outages"
    )
