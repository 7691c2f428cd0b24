"""The AWS KMS backend over the wire: against moto's server, and against a stub and a proxy that misbehave on demand.

Nothing of boto3 is replaced. What moto does not do (key states, permissions, multi-region keys) the stub does.
"""

from __future__ import annotations

import base64
import logging
import os
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.aws_kms import SCHEME
from secretsvc.backends.aws_kms import loader as aws_kms_loader
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import AlteredError, BackendError, KeyRefError
from secretsvc.keyref import KeyRef
from secretsvc.operations.rotate import rewrap_manifest
from tests.emulators.aws import KEY
from tests.integration.aws_support import (
    CONTEXT,
    DEK,
    REF,
    environ,
    kms,
    made,
    moto,
    python,
    real,
    stub,
    there_and_back,
)
from tests.support import Lock

if TYPE_CHECKING:
    from tests.emulators.aws import Moto, StubKms

__all__ = ["environ", "moto", "real", "stub"]  # fixtures, for pytest to find here

MRK = "arn:aws:kms:{}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
NO_SUCH = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"


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
        assert SCHEME.parse(f" {arn} ") == KeyRef("aws", arn)

    def test_case_is_kept_in_an_aliass_name_only(self) -> None:
        assert SCHEME.parse(KEY.upper()) == REF
        alias = "arn:aws:kms:eu-west-1:111122223333:alias/Prod"
        assert SCHEME.parse(alias.replace("arn:aws:kms", "ARN:aws:KMS")).id == alias

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
            assert SCHEME.parse(text) == REF
            return
        with pytest.raises(KeyRefError, match=said) as caught:
            SCHEME.parse(text)
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
        wrapped = backend.wrap(SCHEME.parse(ref.id), DEK, CONTEXT)
        assert DEK not in wrapped
        assert backend.unwrap(ref, wrapped, dict(reversed(CONTEXT.items()))) == DEK

    def test_round_trip_with_an_alias(self, real: Moto) -> None:
        backend, ref = kms(), made(real)
        real.client().create_alias(AliasName="alias/round-trip", TargetKeyId=ref.id)
        alias = SCHEME.parse(f"{ref.id.partition(':key/')[0]}:alias/round-trip")
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
        with pytest.raises(AlteredError, match="with another encryption context"):
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

    def test_rewrap_keeps_the_dek(self, real: Moto) -> None:
        backend, ref = kms(), made(real)
        old = backend.wrap(ref, DEK, CONTEXT)
        fresh = backend.rewrap(ref, old, CONTEXT)
        assert fresh != old
        assert backend.unwrap(ref, fresh, CONTEXT) == DEK

    def test_rewrap_is_not_from_another_key(self, real: Moto) -> None:
        """moto does not look at SourceKeyId, so this is our own check of the answer."""
        backend, ref, other = kms(), made(real), made(real)
        wrapped = backend.wrap(other, DEK, CONTEXT)
        with pytest.raises(BackendError, match="something that is not AWS KMS"):
            backend.rewrap(ref, wrapped, CONTEXT)

    def test_the_endpoint_of_all_services(self, moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
        monkeypatch.setenv("AWS_REGION", "ap-southeast-2")  # the ARN's counts
        there_and_back(made(moto))


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

    def test_rewrap_is_one_call(self, stub: StubKms) -> None:
        backend = kms()
        wrapped = backend.rewrap(REF, backend.wrap(REF, DEK, {}), {})
        assert [action for action, _ in stub.seen] == ["Encrypt", "ReEncrypt"]
        assert stub.seen[-1][1]["SourceKeyId"] == KEY
        assert "DestinationEncryptionContext" not in stub.seen[-1][1]
        assert backend.unwrap(REF, wrapped, {}) == DEK

    def test_a_secret_that_was_moved_is_not_wrapped_anew(self, stub: StubKms) -> None:
        """KMS wraps anew by itself, so that nothing else looks at the name."""
        keyring = Backends(Settings(os.environ, lambda what: None))
        lock = Lock(keyring, (REF,))
        sealed = lock.seal(b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: b\ndata:\n  a: YQ==\n")
        assert rewrap_manifest(sealed, keyring).data != sealed
        for old, new in ((b"  name: a", b"  name: x"), (b"namespace: b", b"namespace: x")):
            with pytest.raises(AlteredError, match="was sealed for b/a: it was moved or renamed"):
                rewrap_manifest(sealed.replace(old, new), keyring)

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


class TestProcess:
    def test_importing_and_making_it_imports_no_sdk(self) -> None:
        code = (
            "import os, sys; from secretsvc.backends import aws_kms, base\n"
            f"aws_kms.SCHEME.backend(base.Settings(os.environ, print)); aws_kms.SCHEME.parse({KEY!r})\n"
            "print([name for name in sys.modules if name.startswith(('boto', 'urllib3'))])"
        )
        assert python(code).stdout == "[]\n"

    @pytest.mark.parametrize("library", ["boto3", "botocore"])
    def test_without_the_library_it_says_what_to_install(self, library: str) -> None:
        code = (
            f"import os, sys; sys.modules[{library!r}] = None; from secretsvc.backends import aws_kms, base\n"
            "from secretsvc.errors import BackendUnavailableError; from secretsvc.keyref import KeyRef\n"
            "backend = aws_kms.SCHEME.backend(base.Settings(os.environ, print))\n"
            f"try: backend.wrap(KeyRef('aws', {KEY!r}), bytes(32), {{}})\n"
            "except BackendUnavailableError as error: print(error, error.hint, sep='; ')"
        )
        hint = "pip install 'secretsvc[aws]', or from a clone pip install '.[aws]'"
        assert python(code).stdout == f"the library for AWS KMS is not installed; {hint}\n"

    def test_a_botocore_with_another_version_of_the_api(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aws_kms_loader, "_API_VERSION", "1999-12-31")
        there_and_back(REF)

    def test_every_further_session_looks_for_data_in_the_same_folders(self, stub: StubKms) -> None:
        """boto3 adds its own folder to what all sessions share."""
        there_and_back(REF)
        folders = list(aws_kms_loader.loader("").search_paths)
        there_and_back(REF)
        assert list(aws_kms_loader.loader("").search_paths) == folders

    def test_a_log_at_debug_holds_no_dek(self, stub: StubKms, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for name in ("botocore", "urllib3"):  # other backends keep theirs at INFO, and this is about what one does
            logging.getLogger(name).setLevel(logging.NOTSET)
        backend = kms()
        assert backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) == DEK
        assert "POST / HTTP/1.1" in caplog.text  # urllib3's, so that this looks at a log at all
        for form in (base64.b64encode(DEK).decode(), DEK.hex(), repr(DEK)[2:-1]):
            assert form not in caplog.text
