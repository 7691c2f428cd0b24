"""The AWS KMS backend over the wire: against moto's server, and against a stub and a proxy that misbehave on demand.

Nothing of botocore is replaced. What moto does not do (key states, permissions, multi-region keys) the stub does.
"""

from __future__ import annotations

import base64
import gc
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.backends import aws_kms, aws_kms_client, aws_kms_errors
from secretsvc.backends.aws_kms import AwsKms
from secretsvc.backends.base import Settings
from secretsvc.errors import AlteredError, BackendError, BackendUnavailableError, KeyRefError, KsecretError
from secretsvc.keyref import KeyRef
from tests.emulators.aws import ENVIRON, KEY, SECRET_TEXT, Fault, Moto, StubKms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEK = bytes(range(32))
CONTEXT = {"ksecret-namespace": "prod", "ksecret-name": "db"}
ROOT = Path(aws_kms.__file__).parents[2]
REF = KeyRef("aws", KEY)
MRK = "arn:aws:kms:{}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
NO_SUCH = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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


class TestNames:
    @pytest.mark.parametrize(
        "arn",
        [
            KEY,
            MRK.format("us-east-1"),
            "arn:aws:kms:eu-west-1:111122223333:alias/Prod/ksecret_1",
            "arn:aws-cn:kms:cn-north-1:111122223333:alias/a",
            KEY.replace("aws", "aws-us-gov", 1).replace("eu-west-1", "us-gov-west-1"),
            KEY.replace("aws", "aws-iso-b", 1).replace("eu-west-1", "us-isob-east-1"),
            KEY.replace("aws", "aws-eusc", 1).replace("eu-west-1", "eusc-de-east-1"),
            KEY.replace("key/", "key/mrk-"),  # as moto makes them
        ],
    )
    def test_arn_is_canonical(self, arn: str) -> None:
        assert kms().parse(f" {arn} ") == KeyRef("aws", arn)

    def test_case_is_kept_in_an_aliass_name_only(self) -> None:
        assert kms().parse(KEY.upper()) == REF
        alias = "arn:aws:kms:eu-west-1:111122223333:alias/Prod"
        assert kms().parse(alias.replace("arn:aws:kms", "ARN:aws:KMS")).id == alias

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("1234abcd-12ab-34cd-56ef-1234567890ab", "full ARN"),
            ("alias/prod", "full ARN"),
            ("", "full ARN"),
            ("arn:aws:kms::111122223333:alias/prod", "names no region"),
            ("arn:aws:kms", "not the ARN of a key"),
            (KEY.replace(":kms:", ":s3:"), "not the ARN of a key"),
            (KEY.replace("111122223333", ""), "not the ARN of a key"),
            (KEY[:-1], "not the ARN of a key"),
            (f"{KEY}\n", None),
            (f"{KEY}/x", "not the ARN of a key"),
            (KEY.replace("eu-west-1", "eu-west-1.evil.example"), "not the ARN of a key"),
            (KEY.replace("eu-west-1", "eu-west-1@evil"), "not the ARN of a key"),
            ("arn:aws:kms:eu-west-1:111122223333:alias/", "not the ARN of a key"),
            ("arn:aws:kms:eu-west-1:111122223333:alias/a b", "not the ARN of a key"),
            ("arn:aws:kms:eu-west-1:111122223333:grant/x", "not the ARN of a key"),
            ("arn:aws:kms:eu-west-1:111122223333:alias/aws/ebs", "AWS's own"),
        ],
    )
    def test_what_is_no_arn_is_refused_without_showing_it(self, text: str, said: str | None) -> None:
        if said is None:
            assert kms().parse(text) == REF
            return
        with pytest.raises(KeyRefError, match=said) as caught:
            kms().parse(text)
        assert caught.value.hint
        assert not text or text not in str(caught.value)

    def test_an_envelopes_key_is_looked_at_before_it_becomes_a_host(self, stub: StubKms) -> None:
        bad = KeyRef("aws", KEY.replace("eu-west-1", "eu-west-1.evil.example#"))
        with pytest.raises(KeyRefError, match="not the ARN of a key"):
            kms().unwrap(bad, b"x" * 99, {})
        assert stub.calls == 0

    def test_nothing_is_known_offline(self) -> None:
        assert kms().describe(REF) == ""


class TestMoto:
    def test_round_trip_with_a_key(self, real: Moto) -> None:
        backend, ref = kms(), made(real)
        wrapped = backend.wrap(backend.parse(ref.id), DEK, CONTEXT)
        assert DEK not in wrapped
        assert backend.unwrap(ref, wrapped, dict(reversed(CONTEXT.items()))) == DEK

    def test_round_trip_with_an_alias(self, real: Moto) -> None:
        backend, ref = kms(), made(real)
        real.client().create_alias(AliasName="alias/round-trip", TargetKeyId=ref.id)
        alias = backend.parse(f"{ref.id.partition(':key/')[0]}:alias/round-trip")
        wrapped = backend.wrap(alias, DEK, CONTEXT)
        assert backend.unwrap(alias, wrapped, CONTEXT) == DEK
        assert backend.unwrap(ref, wrapped, CONTEXT) == DEK

    def test_without_a_context(self, real: Moto) -> None:
        backend, ref = kms(), made(real)
        assert backend.unwrap(ref, backend.wrap(ref, DEK, {}), {}) == DEK

    @pytest.mark.parametrize("context", [{}, {"ksecret-namespace": "prod"}, {**CONTEXT, "ksecret-name": "other"}])
    def test_another_context_does_not_open(self, real: Moto, context: dict[str, str]) -> None:
        backend, ref = kms(), made(real)
        wrapped = backend.wrap(ref, DEK, CONTEXT)
        with pytest.raises(AlteredError, match="belongs to another Secret"):
            backend.unwrap(ref, wrapped, context)

    def test_another_key_does_not_open(self, real: Moto) -> None:
        backend, ref, other = kms(), made(real), made(real)
        wrapped = backend.wrap(ref, DEK, CONTEXT)
        with pytest.raises(BackendError, match="access is denied"):  # AWS says IncorrectKeyException: see the stub
            backend.unwrap(other, wrapped, CONTEXT)

    def test_altered_bytes_do_not_open(self, real: Moto) -> None:
        backend, ref = kms(), made(real)
        wrapped = backend.wrap(ref, DEK, CONTEXT)
        with pytest.raises(AlteredError, match="was altered"):
            backend.unwrap(ref, wrapped[:-1] + bytes([wrapped[-1] ^ 1]), CONTEXT)

    def test_a_key_that_is_not_there(self, real: Moto) -> None:
        with pytest.raises(KeyRefError, match="no such AWS KMS key or alias in eu-west-1"):
            kms().wrap(KeyRef("aws", NO_SUCH), DEK, CONTEXT)
        with pytest.raises(BackendError, match="no such AWS KMS key or alias in eu-west-1"):
            kms().unwrap(KeyRef("aws", NO_SUCH), b"x" * 99, CONTEXT)
        with pytest.raises(KeyRefError, match="no such AWS KMS key or alias in eu-west-1"):
            kms().wrap(KeyRef("aws", "arn:aws:kms:eu-west-1:123456789012:alias/none"), DEK, CONTEXT)

    def test_the_region_is_the_arns(self, real: Moto) -> None:
        backend, west, east = kms(), made(real), made(real, "us-east-1")
        assert backend.unwrap(east, backend.wrap(east, DEK, CONTEXT), CONTEXT) == DEK
        with pytest.raises(KeyRefError, match="no such AWS KMS key or alias in us-east-1"):
            backend.wrap(KeyRef("aws", west.id.replace("eu-west-1", "us-east-1")), DEK, CONTEXT)

    def test_rewrap_moves_to_another_key_and_context(self, real: Moto) -> None:
        backend, ref, new = kms(), made(real), made(real)
        wrapped = backend.rewrap(ref, backend.wrap(ref, DEK, CONTEXT), CONTEXT, new, {"ksecret-namespace": "test"})
        assert backend.unwrap(new, wrapped, {"ksecret-namespace": "test"}) == DEK

    def test_rewrap_is_not_from_another_key(self, real: Moto) -> None:
        """moto does not look at SourceKeyId, so this is our own check of the answer."""
        backend, ref, other = kms(), made(real), made(real)
        wrapped = backend.wrap(other, DEK, CONTEXT)
        with pytest.raises(BackendError, match="something that is not AWS KMS"):
            backend.rewrap(ref, wrapped, CONTEXT, ref, CONTEXT)

    def test_check(self, real: Moto) -> None:
        kms().check(made(real))

    def test_the_endpoint_of_all_services(self, moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
        monkeypatch.setenv("AWS_REGION", "ap-southeast-2")  # the ARN's counts
        kms().check(made(moto))


class TestStub:
    """What moto does not do as AWS does."""

    def test_multi_region_key_opens_in_another_region(self, stub: StubKms) -> None:
        backend = kms()
        wrapped = backend.wrap(KeyRef("aws", MRK.format("eu-west-1")), DEK, CONTEXT)
        assert backend.unwrap(KeyRef("aws", MRK.format("us-east-1")), wrapped, CONTEXT) == DEK

    def test_decrypt_names_its_key(self, stub: StubKms) -> None:
        backend = kms()
        wrapped = backend.wrap(KeyRef("aws", KEY.replace("1234abcd", "99999999")), DEK, CONTEXT)
        with pytest.raises(AlteredError, match="wrapped by another key"):
            backend.unwrap(REF, wrapped, CONTEXT)
        assert stub.seen[-1] == (
            "Decrypt",
            {"KeyId": KEY, "CiphertextBlob": base64.b64encode(wrapped).decode(), "EncryptionContext": CONTEXT},
        )

    def test_an_alias_that_points_elsewhere_now(self, stub: StubKms) -> None:
        backend, alias = kms(), KeyRef("aws", "arn:aws:kms:eu-west-1:111122223333:alias/moved")
        wrapped = backend.wrap(alias, DEK, CONTEXT)
        stub.aliases[alias.id] = KEY
        with pytest.raises(AlteredError, match="wrapped by another key") as caught:
            backend.unwrap(alias, wrapped, CONTEXT)
        assert "alias may have pointed to another key" in caught.value.hint

    def test_rewrap_in_a_region_is_one_call(self, stub: StubKms) -> None:
        backend, new = kms(), KeyRef("aws", KEY.replace("1234abcd", "99999999"))
        wrapped = backend.rewrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT, new, {})
        assert [action for action, _ in stub.seen] == ["Encrypt", "ReEncrypt"]
        assert stub.seen[-1][1]["SourceKeyId"] == KEY
        assert "DestinationEncryptionContext" not in stub.seen[-1][1]
        assert backend.unwrap(new, wrapped, {}) == DEK

    def test_rewrap_between_regions_unwraps_and_wraps(self, stub: StubKms) -> None:
        backend, new = kms(), KeyRef("aws", KEY.replace("eu-west-1", "us-east-1"))
        wrapped = backend.rewrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT, new, CONTEXT)
        assert [action for action, _ in stub.seen] == ["Encrypt", "Decrypt", "Encrypt"]
        assert backend.unwrap(new, wrapped, CONTEXT) == DEK

    @pytest.mark.parametrize("wrapped", [b"", b"x" * 6145])
    def test_what_can_be_no_wrapped_dek_is_not_sent(self, stub: StubKms, wrapped: bytes) -> None:
        with pytest.raises(AlteredError, match="empty or too long"):
            kms().unwrap(REF, wrapped, CONTEXT)
        assert stub.calls == 0

    def test_a_dek_has_32_bytes(self, stub: StubKms) -> None:
        backend = kms()
        wrapped = backend.wrap(REF, b"short", CONTEXT)
        with pytest.raises(AlteredError, match="not 32 bytes"):
            backend.unwrap(REF, wrapped, CONTEXT)


def operations(backend: AwsKms, wrapped: bytes) -> dict[str, Callable[[], bytes]]:
    return {
        "wrap": lambda: backend.wrap(REF, DEK, CONTEXT),
        "unwrap": lambda: backend.unwrap(REF, wrapped, CONTEXT),
        "rewrap": lambda: backend.rewrap(REF, wrapped, CONTEXT, REF, CONTEXT),
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


class TestRefusals:
    @pytest.mark.parametrize(
        ("state", "kind", "said"),
        [
            ("Disabled", BackendError, "key is disabled"),
            ("PendingDeletion", BackendError, "is scheduled for deletion"),
            ("PendingImport", BackendError, "has no key material"),
            ("Unavailable", BackendError, "key store that is disconnected"),
            ("NotFound", KeyRefError, "no such AWS KMS key or alias in eu-west-1"),
            ("Usage", KeyRefError, "not for symmetric encryption"),
            ("Denied", BackendError, r"denied: {} is missing \(encryption context: ksecret-name and ksecret-namespace"),
        ],
    )
    @pytest.mark.parametrize(
        ("operation", "permission"),
        [("wrap", "kms:Encrypt"), ("unwrap", "kms:Decrypt"), ("rewrap", "kms:ReEncryptFrom or kms:ReEncryptTo")],
    )
    def test_states(
        self, stub: StubKms, state: str, kind: type[KsecretError], said: str, operation: str, permission: str
    ) -> None:
        stub.states[KEY] = state
        error = failure(operation)
        assert type(error) is (kind if operation == "wrap" else BackendError)
        with pytest.raises(type(error), match=said.format(permission)):
            raise error

    @pytest.mark.parametrize(
        ("fault", "kind", "said"),
        [
            ("throttle", BackendError, "throttles in eu-west-1"),
            ("internal", BackendError, r"AWS KMS in eu-west-1 failed \(KMSInternalException\)"),
            ("unavailable", BackendError, "failed"),
            ("timeout", BackendError, "DependencyTimeoutException"),
            ("garbage", BackendError, "not AWS KMS answers at 127.0.0.1:"),
            ("odd", BackendError, "not AWS KMS answers at 127.0.0.1:"),
            ("list", BackendError, "not AWS KMS answers at 127.0.0.1:"),
            ("drop", BackendUnavailableError, "can't be reached: the connection was cut"),
            ("slow", BackendUnavailableError, "can't be reached: it did not answer in time"),
            ("UnrecognizedClientException", BackendError, "does not know the access key"),
            ("ExpiredTokenException", BackendError, "credentials have expired"),
            ("InvalidSignatureException", BackendError, "clock is off"),
            ("IncompleteSignature", BackendError, "credentials are incomplete"),
            ("MissingAuthenticationTokenException", BackendError, "credentials are incomplete"),
            ("OptInRequired", BackendError, "eu-west-1 is not enabled in that AWS account"),
            ("ValidationException", BackendError, "AWS KMS refused the call"),
            ("UnknownOperationException", BackendError, "something that is not AWS KMS"),
            ("Surprise", BackendError, r"failed \(Surprise\)"),
            ("Sur prise!", BackendError, r"failed \(HTTP 400\)"),
            ("KMSInvalidStateException", BackendError, "can't be used in its present state"),
        ],
    )
    def test_faults(self, stub: StubKms, fault: str, kind: type[KsecretError], said: str) -> None:
        stub.faults.append(Fault(fault))
        error = failure("unwrap")
        assert type(error) is kind
        with pytest.raises(kind, match=said):
            raise error

    def test_a_ciphertext_of_nowhere(self, stub: StubKms) -> None:
        stub.faults.append(Fault("foreign"))
        with pytest.raises(BackendError, match="the key that wrapped its data key is not in eu-west-1"):
            raise failure("unwrap")

    def test_an_endpoint_of_another_region(self, stub: StubKms) -> None:
        stub.faults.append(Fault("scope"))
        with pytest.raises(BackendError, match=r"127\.0\.0\.1:[0-9]+ does not serve eu-west-1"):
            raise failure("unwrap")

    def test_an_endpoint_that_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "not a url")
        with pytest.raises(BackendError, match="no client for AWS KMS in eu-west-1 can be made"):
            raise failure("wrap")

    def test_a_password_in_the_endpoint_is_not_shown(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", stub.url.replace("//", "//me:hunter2@"))
        stub.faults.append(Fault("garbage"))
        error = failure("wrap")
        assert "hunter2" not in str(error)
        with pytest.raises(BackendError, match=r"answers at 127\.0\.0\.1:"):
            raise error


class TestCredentials:
    def test_none(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(BackendError, match="there are no AWS credentials here"):
            raise failure("wrap")
        assert stub.calls == 0

    def test_half(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(BackendError, match="credentials are incomplete"):
            raise failure("wrap")

    def test_unknown_profile(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(BackendError, match="the AWS profile that AWS_PROFILE names does not exist"):
            raise failure("wrap")

    @pytest.mark.parametrize(
        ("config", "kind", "said"),
        [
            (
                "sso_session=s\nsso_account_id=111122223333\nsso_role_name=r\n"
                "[sso-session s]\nsso_region=eu-west-1\nsso_start_url=https://sso.invalid/start",
                BackendError,
                "the AWS sign-in has expired, or there is none",
            ),
            (
                "sso_account_id=111122223333\nsso_role_name=r\nsso_region=eu-west-1\nsso_start_url=https://x.invalid",
                BackendError,
                "the AWS sign-in has expired, or there is none",
            ),
            ("credential_process=/nonexistent/program", BackendError, "file or program that the AWS credentials"),
            ("credential_process=false", BackendError, "their source failed"),
            ("credential_process=echo nonsense", BackendError, "their source failed"),
            (
                "role_arn=arn:aws:iam::111122223333:role/r\nsource_profile=gone",
                BackendError,
                "config files contradict themselves",
            ),
            (
                "role_arn=arn:aws:iam::111122223333:role/r\nweb_identity_token_file=/nonexistent/token",
                BackendError,
                "file or program that the AWS credentials",
            ),
            ("nonsense\n[", BackendError, "config files are malformed"),
        ],
    )
    def test_profiles_that_give_none(
        self,
        stub: StubKms,
        monkeypatch: pytest.MonkeyPatch,
        environ: Path,
        config: str,
        kind: type[BackendError],
        said: str,
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_PROFILE", "p")
        (environ / "config").write_text(f"[profile p]\nregion=eu-west-1\n{config}\n")
        with pytest.raises(kind, match=said):
            raise failure("wrap")
        assert stub.calls == 0

    def workload(self, monkeypatch: pytest.MonkeyPatch, folder: Path, sts: str) -> None:
        """A pod's identity, as IRSA gives it."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        (folder / "token").write_text("x.y.z")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts)

    def test_web_identity(self, real: Moto, monkeypatch: pytest.MonkeyPatch, environ: Path) -> None:
        self.workload(monkeypatch, environ, real.url)
        kms().check(made(real))

    def test_a_role_that_is_refused(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path) -> None:
        self.workload(monkeypatch, environ, stub.url)
        with pytest.raises(BackendError, match="AWS refused to give out credentials for that role"):
            raise failure("wrap")

    def test_sts_out_of_reach(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path) -> None:
        self.workload(monkeypatch, environ, f"http://127.0.0.1:{free_port()}")
        with pytest.raises(BackendUnavailableError, match="the service that gives out AWS credentials can't be"):
            raise failure("wrap")

    def test_a_code_that_nobody_can_type(self, stub: StubKms, environ: Path) -> None:
        role = "role_arn=arn:aws:iam::111122223333:role/r\nsource_profile=s\nmfa_serial=arn:aws:iam::111122223333:mfa/m"
        (environ / "config").write_text(f"[profile p]\n{role}\n")
        (environ / "credentials").write_text("[s]\naws_access_key_id=a\naws_secret_access_key=b\n")
        code = (
            "import os; from secretsvc.backends import aws_kms, base; from secretsvc.keyref import KeyRef\n"
            "for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'): os.environ.pop(name)\n"
            f"aws_kms.backend(base.Settings(os.environ, print)).wrap(KeyRef('aws', {KEY!r}), bytes(32), {{}})"
        )
        assert "the AWS role asks for an MFA code, and there is nobody to ask" in python(code, AWS_PROFILE="p").stderr

    def test_a_failure_is_found_once(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path) -> None:
        backend = self.counting(monkeypatch, environ, "exit 1")
        for said in ("their source failed", r"\(as earlier in this run\)"):
            with pytest.raises(BackendError, match=said):
                backend.wrap(REF, DEK, CONTEXT)
        assert (environ / "count").read_text() == "x"

    def test_credentials_that_can_not_be_renewed(
        self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path
    ) -> None:
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))  # renewed at every call, then
        given = f'{{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "{soon}"}}'
        backend = self.counting(monkeypatch, environ, f"test -e {environ}/over && exit 1; echo '{given}'")
        wrapped = backend.wrap(REF, DEK, CONTEXT)
        (environ / "over").touch()
        with pytest.raises(BackendError, match="credentials here can't be used: their source failed"):
            backend.unwrap(REF, wrapped, CONTEXT)

    def test_a_silent_sts_is_not_taken_for_a_silent_kms(self) -> None:
        from botocore.exceptions import EndpointConnectionError

        call = aws_kms_errors.Call("decrypt", "eu-west-1", "kms.eu-west-1.amazonaws.com", ())
        for url, said in (
            ("https://sts.amazonaws.com/", "gives out AWS cred"),
            (f"https://{call.host}/", "AWS KMS in"),
        ):
            with pytest.raises(BackendUnavailableError, match=said):
                raise aws_kms_errors.failed(EndpointConnectionError(endpoint_url=url), call)

    def counting(self, monkeypatch: pytest.MonkeyPatch, folder: Path, then: str) -> AwsKms:
        """A backend whose credentials come from a program that leaves a letter in `count` each time it runs."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        program = folder / "program"
        program.write_text(f"#!/bin/sh\nprintf x >> {folder}/count\n{then}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (folder / "config").write_text(f"[default]\ncredential_process={program}\n")
        return kms()

    def test_32_threads_make_one_client_for_a_region(
        self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path
    ) -> None:
        def clients() -> int:
            return sum(type(thing).__name__ == "KMS" for thing in gc.get_objects())

        gc.collect()
        before = clients()
        given = '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b"}'
        backend = self.counting(monkeypatch, environ, f"sleep 0.2; echo '{given}'")
        start = threading.Barrier(32)

        def wrap(number: int) -> bytes:
            start.wait()
            ref = REF if number % 2 else KeyRef("aws", KEY.replace("eu-west-1", "us-east-1"))
            return backend.unwrap(ref, backend.wrap(ref, DEK, CONTEXT), CONTEXT)

        with ThreadPoolExecutor(32) as pool:
            assert set(pool.map(wrap, range(32))) == {DEK}
        assert clients() - before == 2
        assert (environ / "count").read_text() == "x"


class TestTries:
    @pytest.mark.parametrize("upstream", [False, True], ids=["stub", "moto"])
    def test_calls_that_fail_and_throttle_at_times_all_succeed(
        self, moto: Moto, monkeypatch: pytest.MonkeyPatch, upstream: bool
    ) -> None:
        ref, count = (made(moto), 40) if upstream else (REF, 200)
        faults = [Fault("internal", 7), Fault("throttle", 5), Fault("drop", 23)]
        with StubKms(faults=faults, upstream=moto.url if upstream else "") as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
            backend = kms()

            def there_and_back(number: int) -> bytes:
                dek = number.to_bytes(32)
                assert backend.unwrap(ref, backend.wrap(ref, dek, CONTEXT), CONTEXT) == dek
                return dek

            with ThreadPoolExecutor(16) as pool:
                assert list(pool.map(there_and_back, range(count))) == [number.to_bytes(32) for number in range(count)]
        assert server.calls > 2 * count * 1.3

    def test_failures_and_throttling_do_not_make_a_region_dead(self, stub: StubKms) -> None:
        backend = kms(0.3)
        for fault in ("throttle", "internal"):
            stub.faults = [Fault(fault)]
            with pytest.raises(BackendError, match=r"throttles|failed"):
                backend.wrap(REF, DEK, CONTEXT)
        stub.faults = []
        assert backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) == DEK

    def test_a_refusal_is_not_tried_again(self, stub: StubKms) -> None:
        stub.states[KEY] = "Denied"
        with pytest.raises(BackendError, match="denied"):
            kms().wrap(REF, DEK, CONTEXT)
        assert stub.calls == 1


class TestDeadRegion:
    def test_it_costs_its_time_once_in_a_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        port = free_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{port}")
        backend, began = kms(), time.monotonic()
        with pytest.raises(BackendUnavailableError, match=r"AWS KMS in eu-west-1 .*can't be resolved, or the conn"):
            backend.wrap(REF, DEK, CONTEXT)
        assert time.monotonic() - began < 2.0  # it takes no patience to be refused three times
        with StubKms(port=port) as back_again:
            began = time.monotonic()
            for _ in range(100):
                with pytest.raises(BackendUnavailableError, match=r"refused \(as earlier in this run\)") as caught:
                    backend.unwrap(REF, b"x" * 99, CONTEXT)
            assert time.monotonic() - began < 0.5
            assert caught.value.hint
            assert back_again.calls == 0
            other = KeyRef("aws", KEY.replace("eu-west-1", "us-east-1"))
            assert backend.unwrap(other, backend.wrap(other, DEK, CONTEXT), CONTEXT) == DEK
            assert kms().wrap(REF, DEK, CONTEXT)

    def test_nobody_waits_for_longer_than_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with StubKms(faults=[Fault("slow")], slow=5) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
            backend = kms(1.0)
            backend_calls = [lambda: backend.wrap(REF, DEK, CONTEXT)] * 8
            began = time.monotonic()
            with ThreadPoolExecutor(8) as pool:
                for future in [pool.submit(call) for call in backend_calls]:
                    with pytest.raises(BackendUnavailableError, match="did not answer in time"):
                        future.result()
            assert time.monotonic() - began < 2.0
            assert server.calls <= 16

    def test_a_silent_key_among_others_that_answer_does_not_make_it_dead(self, stub: StubKms) -> None:
        backend, silent = kms(1.0), KeyRef("aws", KEY.replace("1234abcd", "99999999"))
        stub.states[silent.id] = "Slow"
        with ThreadPoolExecutor(1) as pool:
            given_up = pool.submit(backend.wrap, silent, DEK, CONTEXT)
            while not given_up.done():
                assert backend.wrap(REF, DEK, CONTEXT)
                time.sleep(0.02)
            with pytest.raises(BackendUnavailableError, match="did not answer in time"):
                given_up.result()
        assert backend.wrap(REF, DEK, CONTEXT)

    def test_a_connection_that_is_never_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for filler in (first, second):  # a full backlog: Linux then ignores who wants to connect
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{deaf.getsockname()[1]}")
            began = time.monotonic()
            with pytest.raises(BackendUnavailableError, match="the connection was not made in time"):
                raise failure("wrap", 0.5)
            assert time.monotonic() - began < 2.0

    def test_a_server_without_tls(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", stub.url.replace("http:", "https:"))
        with pytest.raises(BackendUnavailableError, match=r"can't be reached: .*TLS fails"):
            raise failure("wrap")
        backend = kms()
        for said in ("TLS fails$", r"\(as earlier in this run\)"):
            with pytest.raises(BackendUnavailableError, match=said):
                backend.wrap(REF, DEK, CONTEXT)

    def test_one_cut_connection_among_answers_does_not_make_it_dead(self, stub: StubKms) -> None:
        stub.faults = [Fault("drop", 2)]
        backend = kms()
        assert {backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) for _ in range(10)} == {DEK}


class TestProcess:
    def test_importing_and_making_it_imports_no_sdk(self) -> None:
        code = (
            "import os, sys; from secretsvc.backends import aws_kms, base\n"
            f"aws_kms.backend(base.Settings(os.environ, print)).parse({KEY!r})\n"
            "print([name for name in sys.modules if name.startswith(('boto', 'urllib3'))])"
        )
        assert python(code).stdout == "[]\n"

    def test_boto3_is_not_needed(self, stub: StubKms) -> None:
        code = (
            "import os, sys; sys.modules['boto3'] = None; from secretsvc.backends import aws_kms, base\n"
            "from secretsvc.keyref import KeyRef\n"
            f"aws_kms.backend(base.Settings(os.environ, print)).check(KeyRef('aws', {KEY!r}))"
        )
        done = python(code)
        assert (done.returncode, done.stderr) == (0, "")

    def test_without_the_library_it_says_what_to_install(self) -> None:
        code = (
            "import os, sys; sys.modules['botocore'] = None; from secretsvc.backends import aws_kms, base\n"
            "from secretsvc.errors import BackendUnavailableError; from secretsvc.keyref import KeyRef\n"
            "backend = aws_kms.backend(base.Settings(os.environ, print))\n"
            f"try: backend.wrap(KeyRef('aws', {KEY!r}), bytes(32), {{}})\n"
            "except BackendUnavailableError as error: print(error, error.hint, sep='; ')"
        )
        assert python(code).stdout == "the library for AWS KMS is not installed; pip install 'ksecret[aws]'\n"

    def test_a_botocore_with_another_version_of_the_api(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aws_kms_client, "_API_VERSION", "1999-12-31")
        kms().check(REF)

    def test_a_log_at_debug_holds_no_dek(self, stub: StubKms, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("botocore").setLevel(logging.NOTSET)
        backend = kms()
        assert backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) == DEK
        assert "POST / HTTP/1.1" in caplog.text  # urllib3's, so that this looks at a log at all
        for form in (base64.b64encode(DEK).decode(), DEK.hex(), repr(DEK)[2:-1]):
            assert form not in caplog.text


class TestEmulators:
    def test_the_stub_answers_64_at_a_time_and_keeps_connections_open(self) -> None:
        with StubKms(latency=0.1) as server:

            def calls(_: int) -> list[int]:
                connection = HTTPConnection(server.url.removeprefix("http://"), timeout=10)
                connection.connect()
                own = connection.sock.getsockname()
                answers = []
                for _ in range(3):
                    connection.request("POST", "/", b"{}", {"X-Amz-Target": "TrentService.None"})
                    response = connection.getresponse()
                    response.read()
                    answers.append(response.status)
                    assert connection.sock.getsockname() == own
                connection.close()
                return answers

            began = time.monotonic()
            with ThreadPoolExecutor(64) as pool:
                assert set(map(tuple, pool.map(calls, range(64)))) == {(400, 400, 400)}
            assert time.monotonic() - began < 2.0

    @pytest.mark.parametrize(
        "arguments",
        [["--stub", "--latency", "0.02"], [], ["--fault", "throttle:2"], ["--stub", "--state", f"{KEY}=Disabled"]],
        ids=["stub", "moto", "moto with faults", "stub with a state"],
    )
    def test_by_hand(self, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.aws", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout
            said: Any = {}
            while "KSECRET_KEYS" not in said:
                name, _, value = process.stdout.readline().removeprefix("export ").strip().partition("=")
                said[name] = value
                monkeypatch.setenv(name, value)
            ref = kms().parse(said["KSECRET_KEYS"].removeprefix("aws:"))
            if "--state" in arguments:
                with pytest.raises(BackendError, match="key is disabled"):
                    kms().check(ref)
            else:
                kms().check(ref)
        finally:
            process.kill()
            process.communicate()
