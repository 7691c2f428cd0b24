"""Models of the bodies that are more than a manifest, and how JSON and forms become them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from secretsvc import formats
from secretsvc.api.operations import OPERATIONS, BatchName, Call
from secretsvc.api.problems import REQUEST, TOO_LARGE, RefusedError, pointer_to
from secretsvc.document.kinds import KINDS
from secretsvc.errors import ManifestError
from secretsvc.formats.sops.selection import RULES
from secretsvc.generators.random_text import random_text
from secretsvc.go_regexp import MOST_CHARACTERS
from secretsvc.keyref import LONGEST, MOST_GROUPS, MOST_IN_GROUP
from secretsvc.manifest.json_reader import refuse_many
from secretsvc.manifest.rules import MAX_SECRET_BYTES
from secretsvc.operations.inspect import OF_DOCUMENTS
from secretsvc.operations.request import Changes

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_VALUES = 10_000
"""Keys and values of a JSON body that is no manifest: pydantic holds the interpreter's lock for all of them."""
MOST_CHANGES = 100
"""Entries that one `set` may change, and KeyRefs, labels and such in one body that each cost something."""
M = TypeVar("M", bound=BaseModel)
Key = Annotated[str, Field(max_length=LONGEST)]
Keys = Annotated[list[Key], Field(max_length=10)]
Rule = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Name = Annotated[str, Field(max_length=253)]
"""Name as long as Kubernetes takes one."""
Random = dict[str, Annotated[int, Field(ge=16, le=65536)]]
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class Masked(BaseModel):
    """A body with values in it: its text form shows none, and names are camelCase and all known."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []


if TYPE_CHECKING:
    Format = str
    Kind = str
else:
    Format = Literal["", *formats.names(), OF_DOCUMENTS]
    Kind = Literal["", *KINDS]


class SetBody(Masked):
    """New values for a sealed manifest, or document."""

    manifest: str
    kind: Kind = Field(default="", description="Of document; empty: what it looks like")
    values: dict[str, str | None] = Field(
        default={},
        max_length=MOST_CHANGES,
        description="Entry, or path in a document, to its new text; null takes it away",
    )
    base64_values: dict[str, Base64] = Field(
        default={}, max_length=MOST_CHANGES, description="Entry to its new bytes, in base64"
    )
    random: Random = Field(default={}, max_length=MOST_CHANGES, description="Entry to the length of a new random text")
    string_data: bool = Field(default=False, description="Put new entries under stringData, even where data is there")
    secret: str = Field(default="", description="NAME or NAMESPACE/NAME, where the manifest has several Secrets")
    allow_repeated: bool = Field(default=False, description="Pass new values that the manifest repeats in the clear")


class GenerateBody(Masked):
    """A Secret to be made and sealed. Which members count depends on its kind."""

    name: Name
    namespace: Name = ""
    type: Name = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    immutable: bool = False
    data: dict[str, Base64] = Field(default={}, description="generic: entry to bytes, in base64")
    string_data: dict[str, str] = Field(default={}, description="generic: entry to text")
    random: Random = Field(
        default={},
        max_length=MOST_CHANGES,
        description="generic: entry to length, 1 MiB together; basic-auth: of `password`",
    )
    cert: str = Field(default="", description="tls: PEM")
    key: str = Field(default="", description="tls: PEM")
    server: str = Field(default="https://index.docker.io/v1/", description="docker-registry")
    username: str = Field(default="", description="docker-registry, basic-auth")
    password: str = Field(default="", description="docker-registry, basic-auth")
    email: str = Field(default="", description="docker-registry")
    private_key: str = Field(default="", description="ssh-auth: PEM or OpenSSH's form")
    token_secret: str = Field(default="", description="bootstrap-token: sixteen of a-z and 0-9; empty: random")
    ttl: str = Field(default="", description="bootstrap-token: how long it is good, such as 24h; empty: for ever")
    usages: list[str] = Field(default=["authentication", "signing"], description="bootstrap-token")
    groups: list[str] = Field(
        default=[], max_length=MOST_CHANGES, description="bootstrap-token: system:bootstrappers:NAME"
    )
    description: str = Field(default="", description="bootstrap-token")

    @property
    def work(self) -> int:
        """Return as how many bytes of a body it counts: keys are looked into, and random texts made."""
        texts = (*self.data.values(), *self.string_data.values(), self.cert, self.key, self.private_key)
        return sum(map(len, texts)) + sum(self.random.values())


class BatchLine(Masked):
    """One operation of a batch."""

    op: BatchName
    manifest: str
    id: str = Field(default="", max_length=200, description="Comes back with the result")
    kind: Kind = ""
    key: Keys = []
    groups: Annotated[list[Annotated[str, Field(max_length=MOST_IN_GROUP)]], Field(max_length=MOST_GROUPS)] = []
    threshold: Annotated[int, Field(ge=0, le=MOST_GROUPS)] = 0
    scope: Literal["", "strict", "namespace", "any"] = ""
    format: Format = ""
    encrypted_regex: Rule = ""
    unencrypted_regex: Rule = ""
    encrypted_suffix: Rule = ""
    unencrypted_suffix: Rule = ""
    encrypted_comment_regex: Rule = ""
    unencrypted_comment_regex: Rule = ""
    mac_only_encrypted: bool = False
    mode: Literal["rotate", "rewrap"] = "rotate"
    add: Keys = []
    remove: Keys = []
    group: Annotated[int, Field(ge=0, le=MOST_GROUPS)] = 0
    values: dict[str, str | None] = Field(default={}, max_length=MOST_CHANGES)
    base64_values: dict[str, Base64] = Field(default={}, max_length=MOST_CHANGES)
    random: Random = Field(default={}, max_length=MOST_CHANGES)
    string_data: bool = False
    secret: str = ""
    allow_repeated: bool = False

    @model_validator(mode="after")
    def _taken(self) -> Self:
        if self.model_fields_set - {"op", "manifest", "id", *OPERATIONS[self.op].members}:
            raise ValueError("a member that the operation does not take")
        return self

    def call(self) -> Call:
        """Return what the line asks for. Raises RefusedError for values that can't be."""
        operation = OPERATIONS[self.op]
        return Call(
            operation,
            self.manifest.encode(),
            kind=self.kind,
            keys=tuple(self.key),
            groups=tuple(self.groups),
            threshold=self.threshold,
            scope=self.scope,
            format=self.format,
            selection=selection_of({rule: getattr(self, rule) for rule in RULES}),
            mac_only_encrypted=self.mac_only_encrypted,
            mode=self.mode,
            add=tuple(self.add),
            remove=tuple(self.remove),
            group=self.group,
            changes=changes_of(self) if "values" in operation.members else Changes(),
            secret=self.secret,
            allow_repeated=self.allow_repeated,
        )


def selection_of(said: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the one of SOPS's rules that is said, and its text. Raises RefusedError (400) for several."""
    found = [(rule, text) for rule, text in said.items() if text]
    if len(found) > 1:
        raise RefusedError(REQUEST, "more than one rule of what is sealed", hint="leave the others away")
    return found[0] if found else None


def parsed(model: type[M], data: bytes) -> M:
    """Read JSON as that model. Raises RefusedError, which tells the member at fault and never what it holds."""
    try:
        refuse_many(data.decode(errors="replace"), MOST_VALUES)
    except ManifestError:
        raise RefusedError(TOO_LARGE, f"more than {MOST_VALUES} members and values") from None
    try:
        found = model.model_validate_json(data)
    except ValidationError as error:
        raise _off(error) from None
    json.loads(data, object_pairs_hook=_once, parse_int=str)  # pydantic takes the last of two
    return found


def _once(members: list[tuple[str, Any]]) -> None:
    """Refuse a name that is there twice. Raises RefusedError."""
    if len({name for name, _ in members}) < len(members):
        raise RefusedError(REQUEST, "a member that is there twice", hint="keep one of the two")


def made(model: type[M], members: dict[str, Any]) -> M:
    """Make that model of a form's members. Raises as `parsed`."""
    try:
        return model.model_validate(members, strict=False)
    except ValidationError as error:
        raise _off(error) from None


def _off(error: ValidationError) -> RefusedError:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    known = first["type"] not in ("extra_forbidden", "json_invalid")
    member = str(first["loc"][0]) if known and first["loc"] else ""
    message = str(first["msg"]).removeprefix("Value error, ")
    said = "a member that is not known" if first["type"] == "extra_forbidden" else message
    detail = f"{member}: {said}" if member else said
    pointer = pointer_to(*first["loc"]) if member else ""
    return RefusedError(REQUEST, detail, hint="GET /openapi.json has the schema", pointer=pointer)


def members_of(parts: list[tuple[str, bytes]], model: type[BaseModel]) -> dict[str, Any]:
    """Return a form as the members of a model, numbers and such still as texts (`made` reads them).

    `data.KEY` is the entry KEY of the member `data`, a list's member comes once for each item. Raises RefusedError.
    """
    known = {field.alias: field.annotation for field in model.model_fields.values()}
    found: dict[str, Any] = {}
    for name, content in parts:
        member, dot, key = name.partition(".")
        kind = get_origin(known.get(member))
        if member not in known or bool(dot) != (kind is dict):
            raise RefusedError(REQUEST, "a part that is not known", hint="GET /openapi.json has the schema")
        value = b64encode(content).decode() if known[member] == dict[str, Base64] else _text(member, content)
        if kind is list:
            found.setdefault(member, []).append(value)
            continue
        held, at = (found.setdefault(member, {}), key) if dot else (found, member)
        if at in held:
            raise RefusedError(REQUEST, f"{member}: {'an entry that' if dot else 'it'} is there twice")
        held[at] = value
    return found


def _text(member: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise RefusedError(REQUEST, f"{member}: not text in UTF-8") from None


def decoded(text: str, member: str, entry: str) -> bytes:
    """Return the bytes of base64 in an entry of a body's member. Raises RefusedError."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise RefusedError(REQUEST, f"{member}: not base64", pointer=pointer_to(member, entry)) from None


def changes_of(body: SetBody | BatchLine) -> Changes:
    """Return the values that are to be set. Raises RefusedError."""
    said: dict[str, Mapping[str, Any]] = {
        "values": body.values,
        "base64Values": body.base64_values,
        "random": body.random,
    }
    if not any(said.values()):
        raise RefusedError(
            REQUEST, "values: none", hint='send {"manifest": …, "values": {"KEY": "TEXT"}}', pointer="#/values"
        )
    entries: set[str] = set()
    for member, found in said.items():
        twice = entries & set(found)
        if twice:
            detail = f"{member}: an entry that another member has too"
            raise RefusedError(REQUEST, detail, pointer=pointer_to(member, min(twice)))
        entries |= set(found)
    values = {key: None if text is None else text.encode() for key, text in body.values.items()}
    values |= {key: decoded(text, "base64Values", key) for key, text in body.base64_values.items()}
    if sum(body.random.values()) > MAX_SECRET_BYTES:
        raise RefusedError(REQUEST, "random: more than 1 MiB together, Kubernetes' limit", pointer="#/random")
    values |= {key: random_text(str(length)).encode() for key, length in body.random.items()}
    return Changes(values, body.string_data)
