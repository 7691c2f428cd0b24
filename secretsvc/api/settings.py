"""Settings of the service: the configuration file's shape (docs/service.schema.json is made of it)."""

from __future__ import annotations

import os
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from secretsvc.api.operations import OPERATIONS, OperationName
from secretsvc.keyref import LONGEST

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def _in_folder(path: str, info: ValidationInfo) -> str:
    return os.path.join(info.context["folder"], path) if path and info.context else path


IN_FOLDER = AfterValidator(_in_folder)
"""Marks what is a path: relative ones start at the folder that the validation is told of."""

File = Annotated[str, IN_FOLDER]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Pattern = Annotated[str, Field(max_length=2000)]
Key = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class _Model(BaseModel):
    """Names in camelCase, every one known, every type as it stands."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )


class Listen(_Model):
    """Address, TLS and processes of the listening service."""

    host: Text = "127.0.0.1"
    port: int = Field(default=8200, ge=0, le=65535, description="0 takes any that is free, and prints it")
    health_port: int | None = Field(
        default=None, ge=0, le=65535, description="For probes: /livez and /readyz are there too, without TLS"
    )
    workers: int = Field(default=1, ge=1, le=64)
    tls_cert: File = ""
    tls_key: File = ""
    tls_client_ca: File = Field(default="", description="Only clients with a certificate of it are spoken to")
    tls_client_crl: File = Field(default="", description="PEM: which of these certificates are revoked (RFC 5280)")
    behind_tls_proxy: bool = False
    stop_delay: float = Field(default=1.0, ge=0, le=600, description="Seconds between SIGTERM and the end of accepting")
    stop_grace: float = Field(default=30.0, gt=0, le=600, description="Seconds that running requests get after that")


class Token(_Model):
    """A static bearer token; only its SHA-256 is known here."""

    name: Text
    sha256: Sha256 = Field(description="Hex; `ksecret serve --new-token` prints a new token with it")
    expires: str = Field(default="", pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$", description="UTC; empty: never")


class Issuer(_Model):
    """Whose JWTs are taken (RFC 7519): by OIDC discovery, or by a JWKS from a URL or a file (RFC 7517)."""

    name: Text
    issuer: Text = Field(description="The claim `iss`, letter by letter")
    audience: Text = Field(description="Must be in the claim `aud`")
    jwks_url: str = ""
    jwks_file: File = ""
    algorithms: list[Algorithm] = Field(default=["RS256", "ES256"], min_length=1)
    leeway: float = Field(default=30, ge=0, le=300, description="Seconds that clocks may differ")
    ca_file: File = Field(default="", description="Certificates to trust when fetching, in place of the system's")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.jwks_url and self.jwks_file:
            raise ValueError("jwksUrl and jwksFile: keep one of the two")
        for url in (self.jwks_url, "" if self.jwks_file or self.jwks_url else self.issuer):
            local = url.startswith(("http://127.0.0.1:", "http://localhost:"))
            if url and not (url.startswith("https://") or local):
                raise ValueError("keys are fetched by https:// only")
        return self


class Callers(_Model):
    """Callers: those of a token, or an issuer's with these claims (patterns; of a list, one member must fit)."""

    token: str = ""
    issuer: str = ""
    claims: dict[str, Pattern] = Field(
        default={}, description="Name, dots going into objects, to a pattern with * and ?"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.token) == bool(self.issuer):
            raise ValueError("a caller is a token, or an issuer with claims")
        if self.issuer and not self.claims:
            raise ValueError("an issuer's callers need claims: without, all that it vouches for would be meant")
        if self.token and self.claims:
            raise ValueError("a token has no claims")
        return self


class Rule(_Model):
    """A right of some callers to some operations with some Secrets and keys. What no rule allows is denied."""

    callers: list[Callers] = Field(min_length=1)
    operations: list[OperationName] = Field(min_length=1)
    namespaces: list[Pattern] = Field(min_length=1, description='Patterns with * and ?; "" is none stated')
    names: list[Pattern] = Field(min_length=1)
    keys: list[Key] = Field(default=[], description="KeyRefs, or patterns with * and ?; needed for all but inspect")
    unbound: bool = Field(default=False, description="Files in kubesec's format too, which are bound to no name")

    @model_validator(mode="after")
    def _keys_named(self) -> Self:
        allowed = [OPERATIONS[name] for name in self.operations]
        if not self.keys and any(operation.uses_keys for operation in allowed):
            raise ValueError("a rule without keys")
        adding = [operation.name for operation in allowed if "add" in operation.members]
        if adding and "decrypt" not in self.operations and any(set("*?[") & set(key) for key in self.keys):
            raise ValueError(
                f"{adding[0]} can add a key, so keys with wildcards would let these callers open everything: "
                "name the keys, or grant decrypt too"
            )
        return self


class Audit(_Model):
    """Files that the audit lines go to. Without any, nothing is done at all."""

    file: File = Field(default="", description="Appended to, and flushed to the disk line by line")
    stdout: bool = False
    seconds: Seconds = 2.0
    """A line that is not written by then fails its operation."""


class Limits(_Model):
    """Bounds of what one request, one caller and one backend may take."""

    body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    header_seconds: Seconds = Field(
        default=10.0, description="For a request's headers, from the connection or its first byte"
    )
    body_seconds: Seconds = Field(
        default=30.0, description="For a body to come, and for a part of an answer to be taken"
    )
    documents: Count = 100
    nodes: Count = Field(default=50_000, description="Keys, values and lists of one manifest")
    batch_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024)
    batch_lines: Count = 1000
    bodies_bytes: int = Field(default=512 * 1024 * 1024, ge=1024, description="All bodies that are being worked on")
    backend_seconds: Seconds = Field(default=5.0, description="For one call of one backend")
    operation_seconds: Seconds = 60.0
    requests: Count = Field(default=64, description="Worked on at a time, but for those that wait for a KMS")
    operations: Count = Field(default=128, description="Running and waiting at a time, for each home of keys")
    threads: int = Field(default=0, ge=0, le=256, description="For each home of keys; 0: what its backend bears")
    requests_per_second: float = Field(default=200.0, gt=0, le=1_000_000, description="For each caller")
    burst: Count = 400


class Config(_Model):
    """The whole configuration file."""

    version: Literal[1]
    listen: Listen = Field(default_factory=Listen)
    tokens: list[Token] = []
    issuers: list[Issuer] = []
    rules: list[Rule] = []
    key_rules: File = Field(default="", description="A file in the form of .ksecret.yaml, for encrypt without ?key=")
    audit: Audit = Field(default_factory=Audit)
    limits: Limits = Field(default_factory=Limits)
    page: bool = Field(default=False, description="Show the page for people at /")
    without_caller: list[Literal["metrics", "docs"]] = Field(default=[], description="Paths that need no caller")

    @model_validator(mode="after")
    def _named(self) -> Self:
        known = {token.name for token in self.tokens} | {issuer.name for issuer in self.issuers}
        issuers = [issuer.name for issuer in self.issuers]
        if len(set(issuers)) < len(issuers) or len({one.issuer for one in self.issuers}) < len(issuers):
            raise ValueError("two issuers of one name, or with one `issuer`")
        if known & set(issuers) & {token.name for token in self.tokens}:
            raise ValueError("a token and an issuer of one name")
        for number, rule in enumerate(self.rules):
            for index, caller in enumerate(rule.callers):
                names = {token.name for token in self.tokens} if caller.token else set(issuers)
                if (caller.token or caller.issuer) not in names:
                    said = "a rule names a token or an issuer that is not there"
                    raise PydanticCustomError("value_error", said, {"at": ("rules", number, "callers", index)})
        if not (self.audit.file or self.audit.stdout):
            raise ValueError("audit needs a file, or stdout: true")
        return self
