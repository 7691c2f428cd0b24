"""The AWS KMS backend and where its credentials come from, or don't."""

from __future__ import annotations

import gc
import os
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.aws_kms import errors as aws_kms_errors
from secretsvc.backends.aws_kms.backend import AwsKms
from secretsvc.backends.base import Settings
from secretsvc.errors import BackendError, BackendUnavailableError
from secretsvc.keyref import KeyRef, Principal
from tests.e2e.cli import MANIFEST, Person
from tests.emulators.aws import KEY
from tests.integration.aws_support import (
    CONTEXT,
    DEK,
    REF,
    environ,
    failure,
    kms,
    made,
    moto,
    python,
    real,
    stub,
    there_and_back,
)
from tests.support import quiet_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emulators.aws import Moto, StubKms

__all__ = ["environ", "moto", "real", "stub"]  # fixtures, for pytest to find here


def _hang_up(server: socket.socket, heard: list[bytes]) -> None:
    """Refuses one request."""
    connection, _ = server.accept()
    with connection:
        heard.append(connection.recv(65536))
        body = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
        head = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)


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
        there_and_back(made(real))

    def test_a_role_of_a_profile_where_no_region_is_configured(
        self, real: Moto, monkeypatch: pytest.MonkeyPatch, environ: Path
    ) -> None:
        """Its request to STS is signed for a region, for which botocore looks at AWS_DEFAULT_REGION only."""
        self.role(monkeypatch, environ, real.url)
        there_and_back(made(real))

    @pytest.mark.parametrize(
        ("environment", "region"),
        [
            ({}, "eu-west-1"),
            ({"AWS_REGION": "ap-south-1"}, "ap-south-1"),
            ({"AWS_REGION": "ap-south-1", "AWS_DEFAULT_REGION": "us-east-2"}, "ap-south-1"),
            ({"AWS_DEFAULT_REGION": "us-east-2"}, "us-east-2"),
        ],
    )
    def test_roles_are_assumed_in_the_region_that_is_set_else_in_the_keys(
        self, monkeypatch: pytest.MonkeyPatch, environ: Path, environment: dict[str, str], region: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sts:
            self.role(monkeypatch, environ, f"http://127.0.0.1:{sts.getsockname()[1]}")
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            heard: list[bytes] = []
            thread = threading.Thread(target=_hang_up, args=(sts, heard), daemon=True)
            thread.start()
            with pytest.raises(BackendError, match="AWS refused to give out credentials for that role"):
                kms().wrap(REF, DEK, CONTEXT)
            thread.join(10)
        assert f"/{region}/sts/aws4_request".encode() in heard[0]

    def test_a_keys_own_profile_comes_before_the_environment(
        self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path
    ) -> None:
        """Each key by the credentials of its profile, in one run."""
        other = KeyRef("aws", KEY.replace("111122223333", "444455556666"))
        count = f"#!/bin/sh\nprintf $1 >> {environ}/count\n"
        program = environ / "program"
        program.write_text(count + 'echo \'{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b"}\'\n')
        program.chmod(0o700)
        (environ / "config").write_text(
            f"[profile one]\ncredential_process={program} 1\n[profile two]\ncredential_process={program} 2\n"
        )
        settings = Settings(
            os.environ, lambda what: None, principals={str(REF): Principal("one"), str(other): Principal("two")}
        )
        backend = AwsKms(settings)
        for ref in (REF, other, REF):
            assert backend.unwrap(ref, backend.wrap(ref, DEK, CONTEXT), CONTEXT) == DEK
        assert (environ / "count").read_text() == "12"
        gone = AwsKms(settings._replace(principals={str(REF): Principal("gone")}))
        with pytest.raises(BackendError, match="the AWS profile gone does not exist, which the policy names"):
            gone.wrap(REF, DEK, CONTEXT)
        assert gone.wrap(other, DEK, CONTEXT), "which has none, and is used by the environment's"

    def test_the_policy_says_which_profile_uses_a_key(
        self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environ: Path
    ) -> None:
        (environ / "credentials").write_text("[one]\naws_access_key_id=a\naws_secret_access_key=b\n")
        me = Person(tmp_path, "me", identity=False)
        names = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL_KMS")
        me.environ |= {name: os.environ[name] for name in names}
        me.write("a.yaml")
        me.write(".ksecret.yaml", f"version: 1\nrules:\n- keys: ['aws:{KEY}']\n".encode())
        assert "there are no AWS credentials here" in me.fails(6, "encrypt", "-i", "a.yaml")
        me.write(".ksecret.yaml", f"version: 1\nrules:\n- keys: [{{key: 'aws:{KEY}', profile: one}}]\n".encode())
        me.ok("encrypt", "-i", "a.yaml")
        assert me.ok("decrypt", "a.yaml").out == MANIFEST
        me.ok("rotate", "--rewrap", "a.yaml")
        for words in ((), ("-k", f"aws:{KEY}")):
            assert f"aws:{KEY}: seals and opens" in me.run("doctor", *words).out.decode()

    def test_a_region_that_is_missing_is_told_as_that(self) -> None:
        from botocore.exceptions import NoRegionError

        with pytest.raises(BackendError, match="no AWS region is configured") as raised:
            raise aws_kms_errors.credentials(NoRegionError())
        assert "AWS_REGION" in raised.value.hint

    def role(self, monkeypatch: pytest.MonkeyPatch, folder: Path, sts: str) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        role = "role_arn=arn:aws:iam::123456789012:role/deployer\nsource_profile=s\n"
        (folder / "config").write_text(f"[profile p]\n{role}")
        (folder / "credentials").write_text("[s]\naws_access_key_id=a\naws_secret_access_key=b\n")
        monkeypatch.setenv("AWS_PROFILE", "p")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts)

    def test_a_role_that_is_refused(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path) -> None:
        self.workload(monkeypatch, environ, stub.url)
        with pytest.raises(BackendError, match="AWS refused to give out credentials for that role"):
            raise failure("wrap")

    def test_sts_out_of_reach(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch, environ: Path) -> None:
        with quiet_port() as port:
            self.workload(monkeypatch, environ, f"http://127.0.0.1:{port}")
            with pytest.raises(BackendUnavailableError, match="the service that gives out AWS credentials can't be"):
                raise failure("wrap")

    def test_a_code_that_nobody_can_type(self, stub: StubKms, environ: Path) -> None:
        role = "role_arn=arn:aws:iam::111122223333:role/r\nsource_profile=s\nmfa_serial=arn:aws:iam::111122223333:mfa/m"
        (environ / "config").write_text(f"[profile p]\n{role}\n")
        (environ / "credentials").write_text("[s]\naws_access_key_id=a\naws_secret_access_key=b\n")
        code = (
            "import os; from secretsvc.backends import aws_kms, base; from secretsvc.keyref import KeyRef\n"
            "for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'): os.environ.pop(name)\n"
            f"aws_kms.SCHEME.backend(base.Settings(os.environ, print)).wrap(KeyRef('aws', {KEY!r}), bytes(32), {{}})"
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

        call = aws_kms_errors.KmsCall("decrypt", "eu-west-1", "kms.eu-west-1.amazonaws.com", ())
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
