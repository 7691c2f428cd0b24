"""Whole trees over KMSs that misbehave: threads, retries, mixed keysets, what is reported, and how long it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import grpc
import pytest

from secretsvc.cli.main import main
from tests.emulators.aws import Fault, StubKms
from tests.emulators.gcp import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GCP = "gcp:projects/p/locations/global/keyRings/r/cryptoKeys/{}"
AWS = "aws:arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-55555555555{}"
CLEAR = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s-{number}\n  namespace: prod\ndata:\n  a: bjB0LXB1YmxpYw==\n"
FILES = 500


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, text)
    for name in ("KSECRET_KEYS", "KSECRET_AGE_KEY", "KSECRET_AGE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gcp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator() as kms:
        monkeypatch.setenv("KSECRET_GCP_KMS_ENDPOINT", kms.endpoint)
        for name in ("one", "two"):
            kms.create_key(GCP.format(name).removeprefix("gcp:"))
        yield kms


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubKms]:
    with StubKms() as kms:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", kms.url)
        yield kms


def tree(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:03}.yaml" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(CLEAR.format(number=number))
    return paths


def summary(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().err.rstrip("\n").rpartition("\n")[2]


def sealed(capfd: pytest.CaptureFixture[str], *words: str) -> None:
    assert main(["encrypt", "-i", *words]) == 0
    capfd.readouterr()


def test_gcp_failing_and_throttling_calls_cost_no_file(
    gcp: Emulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = tree(tmp_path / "d", FILES)
    gcp.fail_every(7, grpc.StatusCode.UNAVAILABLE)
    gcp.fail_every(5, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert main(["encrypt", "-i", "-r", "-k", GCP.format("one"), str(tmp_path / "d")]) == 0
    assert summary(capfd) == f"ksecret: {FILES} sealed, 0 unchanged, 0 failed"
    assert main(["decrypt", "-i", "-r", str(tmp_path / "d")]) == 0
    assert summary(capfd) == f"ksecret: {FILES} opened, 0 unchanged, 0 failed"
    assert [path.read_text() for path in paths] == [CLEAR.format(number=number) for number in range(FILES)]
    assert sum(gcp.calls.values()) > 2 * FILES, "nothing was tried twice"


def test_aws_failing_and_throttling_calls_cost_no_file(
    aws: StubKms, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = tree(tmp_path / "d", FILES)
    sealed(capfd, "-r", "-k", AWS.format(0), str(tmp_path / "d"))
    before = aws.calls
    aws.faults = [Fault("internal", 7), Fault("throttle", 5)]
    assert main(["decrypt", "-i", "-r", str(tmp_path / "d")]) == 0
    assert summary(capfd) == f"ksecret: {FILES} opened, 0 unchanged, 0 failed"
    assert [path.read_text() for path in paths] == [CLEAR.format(number=number) for number in range(FILES)]
    assert aws.calls - before > FILES, "nothing was tried twice"


def test_a_key_that_is_denied_stops_its_own_files_and_no_other(
    gcp: Emulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = tree(tmp_path / "d", 40)
    denied = paths[::4]
    sealed(capfd, "-k", GCP.format("two"), *map(str, denied))
    sealed(capfd, "-k", GCP.format("one"), *(str(path) for path in paths if path not in denied))
    gcp.keys.deny(operation="Decrypt", key=GCP.format("two").removeprefix("gcp:"))
    before = [path.read_bytes() for path in denied]
    assert main(["decrypt", "-i", "-r", str(tmp_path / "d")]) == 6
    lines = capfd.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith(f"ksecret: {tmp_path}")]
    assert [line.split(": ")[1] for line in told] == [str(path) for path in denied], "in the files' order"
    assert all(GCP.format("two") in line for line in told)
    assert lines[-1] == "ksecret: 30 opened, 0 unchanged, 10 failed"
    assert [path.read_bytes() for path in denied] == before


def test_results_come_in_the_order_of_the_files(
    gcp: Emulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = tree(tmp_path / "d", 60)
    sealed(capfd, "-r", "-k", GCP.format("one"), str(tmp_path / "d"))
    gcp.latency = 0.005
    assert main(["decrypt", "-r", str(tmp_path / "d")]) == 0
    assert capfd.readouterr().out == "---\n".join(CLEAR.format(number=number) for number in range(60))
    assert main(["verify", *map(str, reversed(paths))]) == 0
    assert [line.split(":")[0] for line in capfd.readouterr().out.splitlines()] == [str(p) for p in reversed(paths)]


@pytest.mark.alone
def test_threads_come_with_the_backend_that_needs_them(
    gcp: Emulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "d", 100)
    sealed(capfd, "-r", "-k", GCP.format("one"), str(tmp_path / "d"))
    gcp.latency = 0.05
    started = time.monotonic()
    assert main(["verify", "-r", str(tmp_path / "d")]) == 0
    assert time.monotonic() - started < 100 * 0.05 / 3
    started = time.monotonic()
    assert main(["verify", "-r", "--jobs", "1", str(tmp_path / "d")]) == 0
    assert time.monotonic() - started > 100 * 0.05


def test_any_one_key_opens_and_the_cheapest_is_tried_first(
    gcp: Emulator,
    aws: StubKms,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["init"])
    own = capfd.readouterr().out.split("age:")[1].split()[0]
    (path,) = tree(tmp_path / "d", 1)
    sealed(capfd, "-k", f"age:{own}", "-k", GCP.format("one"), "-k", AWS.format(0), str(path))
    gcp.calls.clear()
    before = aws.calls
    assert main(["decrypt", str(path)]) == 0
    assert (sum(gcp.calls.values()), aws.calls) == (0, before)
    (tmp_path / "config" / "ksecret" / "age.key").unlink()
    gcp.keys.deny(operation="Decrypt")
    assert main(["decrypt", str(path)]) == 0
    assert capfd.readouterr().out == CLEAR.format(number=0) * 2
    aws.states = {AWS.format(0).removeprefix("aws:"): "Disabled"}
    assert main(["decrypt", str(path)]) == 6
    out, err = capfd.readouterr()
    assert out == ""
    for key, reason in ((f"age:{own}", "no age identity"), (GCP.format("one"), "denied"), (AWS.format(0), "disabled")):
        assert key in err
        assert reason in err.partition(key)[2]


def test_a_dead_kms_costs_its_time_once_and_not_for_every_file(
    aws: StubKms, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "d", 40)
    sealed(capfd, "-r", "-k", AWS.format(0), str(tmp_path / "d"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")  # nobody listens at the discard port
    started = time.monotonic()
    assert main(["decrypt", "-r", str(tmp_path / "d")]) == 6
    assert time.monotonic() - started < 15
    assert summary(capfd) == "ksecret: 0 opened, 0 unchanged, 40 failed"
    clear = tree(tmp_path / "clear", 5)
    assert main(["encrypt", "-i", "-r", "-k", AWS.format(0), str(tmp_path / "clear")]) == 6
    err = capfd.readouterr().err
    assert all(f"ksecret: {path}: {AWS.format(0)}: " in err for path in clear), "each failure names its own file"


def test_no_data_key_is_kept_from_one_file_to_the_next(
    gcp: Emulator, aws: StubKms, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same file twice is two questions to the KMS, so that whoever lost the right to a key opens nothing more."""
    for key in (GCP.format("one"), AWS.format(0)):
        (path,) = tree(tmp_path / key.partition(":")[0], 1)
        sealed(capfd, "-k", key, str(path))
        before = aws.calls + gcp.calls["Decrypt"]
        assert main(["verify", str(path), str(path)]) == 0
        assert aws.calls + gcp.calls["Decrypt"] - before == 2


def test_the_doctor_tries_keys_and_says_what_is_wrong(
    gcp: Emulator, aws: StubKms, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["-k", GCP.format("one"), "-k", AWS.format(0)]
    assert main(["doctor", *words]) == 0
    out = capfd.readouterr().out
    assert f"ok    {GCP.format('one')}: seals and opens\n" in out
    assert f"ok    {AWS.format(0)}: seals and opens\n" in out
    assert [body["EncryptionContext"] for _, body in aws.seen] == [{"ksecret-doctor": "1"}] * 2, "as documented"
    gcp.keys.deny(operation="Decrypt")
    aws.states = {AWS.format(0).removeprefix("aws:"): "Disabled"}
    assert main(["doctor", *words]) == 6
    out = capfd.readouterr().out
    assert f"part  {GCP.format('one')}: seals, but does not open here: " in out
    assert f"FAIL  {AWS.format(0)}: can't seal to it: " in out


def test_a_policys_kms_key_that_only_seals_here_is_no_failure(
    gcp: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ksecret.yaml").write_text(f"version: 1\nrules: [{{keys: ['{GCP.format('one')}']}}]\n")
    gcp.keys.deny(operation="Decrypt")
    assert main(["doctor"]) == 0
    out = capfd.readouterr().out
    assert f"part  {GCP.format('one')}: seals, but does not open here: " in out
    assert "no    .ksecret.yaml: 0 of its 1 keys open here\n" in out
    gcp.keys.deny(operation="Encrypt")
    assert main(["doctor"]) == 6
