"""An issuer of JWTs with a real HTTP or HTTPS server: OIDC discovery, JWKS, and keys that change."""

from __future__ import annotations

import json
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.emulators.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path


class Issuer(Serving):
    """Signs what it is told to; `keys` is what its JWKS shows, by id."""

    def __init__(self, tls: Path | None = None) -> None:
        self.keys: dict[str, Any] = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "ec": ec.generate_private_key(ec.SECP256R1()),
        }
        self.fetched = 0
        self.says: str | None = None
        """What discovery names as the issuer; None: itself."""
        self.keys_at = ""
        """Where discovery says that its keys are; empty: at `url`/keys."""
        self.redirects = False
        self.drips = 0.0
        """Seconds between one byte of an answer and the next."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self.url = f"{self.scheme}://localhost:{self._server.server_port}"

    def jwks(self) -> dict[str, Any]:
        return {"keys": [_jwk(key, kid) for kid, key in self.keys.items()]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "ksecret", "sub": "job", "exp": now + 600, "nbf": now - 10, "iat": now}
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, kid: str = "rsa", algorithm: str = "", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        algorithm = algorithm or ("ES256" if kid.startswith("ec") else "RS256")
        return jwt.encode(self.claims(**claims), self.keys[kid], algorithm, {"kid": kid, **(headers or {})})


def _jwk(key: Any, kid: str) -> dict[str, Any]:
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/.well-known/openid-configuration":
                told: dict[str, Any] = {
                    "issuer": issuer.says or issuer.url,
                    "jwks_uri": issuer.keys_at or f"{issuer.url}/keys",
                }
            else:
                issuer.fetched += 1
                told = issuer.jwks()
            refused = self.path == "/keys" and "application/jwk-set+json" not in self.headers.get("Accept", "")
            self.send_response(406 if refused else 302 if issuer.redirects else 200)  # 406: as Kubernetes does
            if issuer.redirects:
                self.send_header("Location", f"{issuer.url}/keys")
            body = json.dumps(told).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # whoever asked may not wait
                for byte in body if issuer.drips else []:
                    self.wfile.write(bytes([byte]))
                    time.sleep(issuer.drips)
                self.wfile.write(b"" if issuer.drips else body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


def certificate(path: Path, name: str = "localhost", ca: Path | None = None) -> Path:
    """A throw-away certificate and its key in one PEM file, signed by itself, or by that of `ca`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing = subject, key
    if ca:
        issuer = x509.load_pem_x509_certificate(ca.read_bytes()).subject
        signing = serialization.load_pem_private_key(ca.read_bytes(), None)  # type: ignore[assignment]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(_uses(signs=ca is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .sign(signing, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def _uses(*, signs: bool) -> x509.KeyUsage:
    """Python 3.13 wants an authority to say that it signs, and nobody else."""
    no = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    both = {"key_cert_sign": signs, "crl_sign": signs}
    return x509.KeyUsage(digital_signature=True, encipher_only=False, decipher_only=False, **both, **no)


def revocations(ca: Path, *revoked: Path, days: int = 1) -> bytes:
    """A list of revoked certificates (CRL, RFC 5280) of that authority, PEM; good for so many days."""
    now = datetime.now(UTC)
    authority = x509.load_pem_x509_certificate(ca.read_bytes())
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now - timedelta(days=3))
        .next_update(now + timedelta(days=days))
    )
    for path in revoked:
        number = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - timedelta(days=2)).build()
        made = made.add_revoked_certificate(entry)
    key: ec.EllipticCurvePrivateKey = serialization.load_pem_private_key(ca.read_bytes(), None)  # type: ignore[assignment]
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
