"""TLS, and certificates that are renewed while the service runs, as cert-manager and certbot do it."""

from __future__ import annotations

import logging
import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from secretsvc.api.transport.watched import Watched
from secretsvc.errors import FileError, UsageError

if TYPE_CHECKING:
    from secretsvc.api.settings import Listen

_LOG = logging.getLogger("ksecret")


def context(listen: Listen) -> ssl.SSLContext:
    """Make a server's context, TLS 1.2 and later; with an authority for clients, TLS 1.3.

    Raises FileError, and UsageError for what can't be used.
    """
    for path in filter(None, _paths(listen)):
        if not os.access(path, os.R_OK):
            raise FileError("can't be read", file=path)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        made.load_cert_chain(listen.tls_cert, listen.tls_key, password="")  # else OpenSSL would ask at the terminal
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UsageError("the TLS certificate and key can't be used together", file=listen.tls_cert) from error
    if listen.tls_client_ca:
        _demand_certificates(made, listen)
    return made


def _demand_certificates(made: ssl.SSLContext, listen: Listen) -> None:
    """Demand a client's certificate of that authority, not revoked, and shown anew for each connection.

    So no session is resumed, which would outlive a change of the files: in TLS 1.3 there are none without tickets, in
    TLS 1.2 the server keeps them for two hours, and Python can't tell it not to. Raises UsageError.
    """
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.num_tickets = 0
    try:
        made.load_verify_locations(listen.tls_client_ca)
    except (ssl.SSLError, OSError) as error:
        raise UsageError("holds no certificate in PEM", file=listen.tls_client_ca) from error
    if listen.tls_client_crl:
        _heed_revocations(made, listen.tls_client_crl)


def _heed_revocations(made: ssl.SSLContext, path: str) -> None:
    """Heed those of a client's whole chain (RFC 5280, section 6.3), as nginx and HAProxy do. Raises UsageError."""
    before = made.cert_store_stats()
    try:
        made.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        raise UsageError("holds no list of revoked certificates in PEM", file=path) from error
    after = made.cert_store_stats()
    if after["x509"] > before["x509"]:  # they would be trusted
        hint = "authorities belong in the file of --tls-client-ca"
        raise UsageError("certificates stand in it: only lists of revoked ones belong there", hint=hint, file=path)
    if after["crl"] == before["crl"]:
        raise UsageError("holds no list of revoked certificates in PEM", file=path)
    made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


class Renewed:
    """A context that hands each new connection over to one made of what the files hold by now.

    They are looked at when somebody connects, and by `withdrawn`. While they can't be used, which the log tells once,
    the last that could stay in use.
    """

    def __init__(self, listen: Listen) -> None:
        """Read the files. Raises as `context`."""
        self._listen = listen
        self._files = Watched(*_paths(listen))
        self._clients = _clients(listen)
        self._latest = self.first = context(listen)
        self._good = [self._latest]
        """Contexts with the present authority and list of revoked certificates."""
        self._withdrawn = False
        self.first.sni_callback = self._greet  # called for clients that name no server, too

    def withdrawn(self) -> bool:
        """Tell whether clients are judged by others than when it last said so: those not `judged` have to go."""
        self._look()
        before, self._withdrawn = self._withdrawn, False
        return before

    def judged(self, connection: ssl.SSLSocket | ssl.SSLObject) -> bool:
        """Tell whether it was set up with the present authority and list of revoked certificates."""
        return connection.context in self._good

    def _greet(self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        self._look()
        connection.context = self._latest

    def _look(self) -> None:
        if not self._files.changed():
            return
        clients = _clients(self._listen)
        try:
            self._latest = context(self._listen)
        except (FileError, UsageError) as error:
            _LOG.error("changed TLS files are not used: %s: %s", error.where, error)
            return
        _LOG.info("changed TLS files are used from now on")
        if clients != self._clients:
            self._clients, self._good, self._withdrawn = clients, [], True
        self._good.append(self._latest)


def _clients(listen: Listen) -> list[bytes]:
    """Return what clients' certificates are judged by. It is read before it is used, so that no change is missed."""
    found = []
    for path in filter(None, (listen.tls_client_ca, listen.tls_client_crl)):
        with suppress(OSError), open(path, "rb") as stream:
            found.append(stream.read())
    return found


def _paths(listen: Listen) -> tuple[str, ...]:
    return listen.tls_cert, listen.tls_key, listen.tls_client_ca, listen.tls_client_crl
