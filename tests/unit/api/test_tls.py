"""TLS contexts, and what becomes of connections when their files change: real handshakes, in memory."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING

import pytest

from secretsvc.api.settings import Listen
from secretsvc.api.transport import tls, watched
from secretsvc.errors import FileError, UsageError
from tests.issuer import certificate, revocations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "localhost"


@pytest.fixture(autouse=True)
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_LOOKS", 0.0)


def shake(server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """The client's end after a handshake, and after a byte that the server has read. Raises SSLError of either."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(up, down, server_side=True)
    here = client.wrap_bio(down, up, server_hostname=NAME, session=session)
    steps: list[Callable[[], object]] = [
        *(here.do_handshake, there.do_handshake) * 3,
        *(lambda: here.write(b"x"), lambda: there.read(1), lambda: there.write(b"y"), lambda: here.read(1)),
    ]
    for step in steps:
        try:
            step()
        except ssl.SSLWantReadError:
            continue
    assert here.version()
    return here


def trusting(ca: Path, own: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if own:
        context.load_cert_chain(own)
    return context


def listen(pem: Path, ca: Path | None = None, crl: Path | None = None) -> Listen:
    return Listen(tlsCert=str(pem), tlsKey=str(pem), tlsClientCa=str(ca or ""), tlsClientCrl=str(crl or ""))


def renew(pem: Path, content: bytes) -> None:
    """As kubelet and certbot do it: another file in the place of the old one."""
    new = pem.with_suffix(".new")
    new.write_bytes(content)
    new.replace(pem)


def test_a_renewed_certificate_is_what_the_next_client_sees(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pem, other = certificate(tmp_path / "tls.pem"), certificate(tmp_path / "other.pem")
    old = tmp_path / "old.pem"
    old.write_bytes(pem.read_bytes())
    server = tls.Renewed(listen(pem)).first
    shake(server, trusting(old))
    caplog.set_level(logging.INFO, "ksecret")
    renew(pem, other.read_bytes())
    shake(server, trusting(other))
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        shake(server, trusting(old))
    assert [record.getMessage() for record in caplog.records] == ["changed TLS files are used from now on"]


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nnone\n"])
def test_files_that_cannot_be_used_are_told_once_and_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    pem, other = certificate(tmp_path / "tls.pem"), certificate(tmp_path / "other.pem")
    old = tmp_path / "old.pem"
    old.write_bytes(pem.read_bytes())
    server = tls.Renewed(listen(pem)).first
    if content is None:
        pem.unlink()
    else:
        renew(pem, content)
    for _ in range(3):
        shake(server, trusting(old))
    (record,) = caplog.records
    assert record.getMessage().startswith(f"changed TLS files are not used: {pem}: ")
    assert "none" not in record.getMessage()
    renew(pem, other.read_bytes())
    shake(server, trusting(other))


def test_another_authority_for_clients(tmp_path: Path) -> None:
    ca, other = certificate(tmp_path / "ca.pem", "CA"), certificate(tmp_path / "other.pem", "other CA")
    pem = certificate(tmp_path / "tls.pem", ca=ca)
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ca.read_bytes())
    ours, theirs = (trusting(ca, certificate(tmp_path / f"{root.stem}-client.pem", "me", root)) for root in (ca, other))
    server = tls.Renewed(listen(pem, roots)).first
    session = shake(server, ours).session
    assert not shake(server, ours, session).session_reused
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake(server, theirs)
    renew(roots, other.read_bytes())
    shake(server, theirs)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get local issuer"):
        shake(server, ours, session)


def test_with_an_authority_for_clients_no_session_outlives_it(tmp_path: Path) -> None:
    """One of TLS 1.2 would get in for two hours without a certificate: those are kept by the server, ticket or not."""
    ca, pem = certificate(tmp_path / "ca.pem", "CA"), tmp_path / "tls.pem"
    certificate(pem, ca=ca)
    roots = tmp_path / "roots.pem"
    roots.write_bytes(ca.read_bytes())
    client = trusting(ca, certificate(tmp_path / "client.pem", "me", ca))
    server = tls.Renewed(listen(pem, roots)).first
    shake(server, client)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported.protocol|protocol.version"):
        shake(server, client)
    renew(roots, certificate(tmp_path / "new.pem", "another CA").read_bytes())
    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported.protocol|protocol.version"):
        shake(server, client)


def test_a_revoked_certificate_is_refused_from_when_the_list_says_so(tmp_path: Path) -> None:
    ca, crl = certificate(tmp_path / "ca.pem", "CA"), tmp_path / "crl.pem"
    pem = certificate(tmp_path / "tls.pem", ca=ca)
    mine, yours = (certificate(tmp_path / f"{name}.pem", name, ca) for name in ("mine", "yours"))
    crl.write_bytes(revocations(ca))
    server = tls.Renewed(listen(pem, ca, crl)).first
    shake(server, trusting(ca, mine))
    renew(crl, revocations(ca, mine))
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        shake(server, trusting(ca, mine))
    shake(server, trusting(ca, yours))
    renew(crl, b"")  # the last that could stay
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        shake(server, trusting(ca, mine))
    renew(crl, revocations(ca, days=-1))
    with pytest.raises(ssl.SSLCertVerificationError, match="CRL has expired"):
        shake(server, trusting(ca, yours))


def test_a_list_of_revoked_certificates_brings_no_authority(tmp_path: Path) -> None:
    ca, crl = certificate(tmp_path / "ca.pem", "CA"), tmp_path / "crl.pem"
    pem = certificate(tmp_path / "tls.pem", ca=ca)
    crl.write_bytes(revocations(ca) + certificate(tmp_path / "other.pem", "other CA").read_bytes())
    with pytest.raises(UsageError, match="certificates stand in it: only lists of revoked ones belong there") as raised:
        tls.context(listen(pem, ca, crl))
    assert raised.value.where == str(crl)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_of_before_do_not_fail(tmp_path: Path, version: ssl.TLSVersion) -> None:
    ca = certificate(tmp_path / "ca.pem", "CA")
    pem = certificate(tmp_path / "tls.pem", ca=ca)
    server, client = tls.Renewed(listen(pem)).first, trusting(ca)
    client.maximum_version = version
    session = shake(server, client).session
    assert shake(server, client, session).session_reused
    renew(pem, certificate(tmp_path / "new.pem", ca=ca).read_bytes())
    shake(server, client, session)


def test_what_cannot_be_used_is_told_by_its_file(tmp_path: Path) -> None:
    pem, other = certificate(tmp_path / "tls.pem"), certificate(tmp_path / "other.pem")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing\n")
    for told, error, files in (
        ("can't be read", FileError, listen(tmp_path / "nowhere.pem")),
        ("can't be used together", UsageError, Listen(tlsCert=str(pem), tlsKey=str(other))),
        ("holds no certificate in PEM", UsageError, listen(pem, nothing)),
        ("holds no list of revoked certificates", UsageError, listen(pem, pem, nothing)),
        ("can't be read", FileError, listen(pem, pem, tmp_path / "nowhere.pem")),
    ):
        with pytest.raises(error, match=told) as raised:
            tls.context(files)
        assert raised.value.where == (files.tls_client_crl or files.tls_client_ca or files.tls_cert)


def test_only_another_authority_or_list_withdraws_what_connections_were_judged_by(tmp_path: Path) -> None:
    """Whoever began a handshake before that, and ends it after, is told from those of today, too."""
    ca, crl = certificate(tmp_path / "ca.pem", "CA"), tmp_path / "crl.pem"
    pem, client = certificate(tmp_path / "tls.pem", ca=ca), certificate(tmp_path / "client.pem", "me", ca)
    crl.write_bytes(revocations(ca))
    renewed = tls.Renewed(listen(pem, ca, crl))
    before = renewed.first.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    renew(pem, certificate(tmp_path / "other.pem", ca=ca).read_bytes())
    renew(crl, crl.read_bytes())
    assert not renewed.withdrawn()
    assert renewed.judged(before)
    renew(crl, b"no list")
    assert not renewed.withdrawn(), "what can't be used changes nothing"
    renew(crl, revocations(ca, client))
    shake(renewed.first, trusting(ca, certificate(tmp_path / "yours.pem", "you", ca)))
    assert renewed.withdrawn(), "also where somebody who connected was the first to see it"
    assert not renewed.withdrawn()
    assert not renewed.judged(before)
