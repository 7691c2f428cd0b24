"""`docker-registry`: the JSON that kubelets log in with."""

from __future__ import annotations

from base64 import b64encode
from json import loads

from secretsvc.errors import UsageError
from secretsvc.generators.entries import collect
from secretsvc.generators.golang.csv import fields
from secretsvc.generators.golang.json import go_json, go_text
from secretsvc.generators.sources import file_items
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.generators.entries import Warn

TYPE = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"
DEFAULT_SERVER = b"https://index.docker.io/v1/"
FLAG = "--from-file"


class Login(Record):
    """A login of a registry, as bytes, since kubectl keeps what is not UTF-8."""

    server: bytes
    username: bytes
    password: bytes
    email: bytes = b""

    def __repr__(self) -> str:
        return "Login(masked)"


def docker_config(login: Login) -> dict[str, bytes]:
    """The entry for one login, byte for byte as kubectl writes it (design KUBECTL, section 5.1). Raises UsageError."""
    if not (login.server and login.username and login.password):
        raise UsageError("either --from-file, or --docker-username, --docker-password and --docker-server are required")
    entry = {"username": go_text(login.username), "password": go_text(login.password)}
    if login.email:
        entry["email"] = go_text(login.email)
    entry["auth"] = b64encode(login.username + b":" + login.password).decode()
    return {KEY: go_json({"auths": {go_text(login.server): entry}}).encode()}


def docker_files(elements: Sequence[str], warn: Warn) -> dict[str, bytes]:
    """Entries from files, the key being `.dockerconfigjson` where none is said; the content is kept as it is.

    Raises UsageError, FileError and InputError.
    """
    named = [element if "=" in element else f"{KEY}={element}" for element in elements]
    data = collect(file_items(named, FLAG, warn))
    if KEY not in data:
        warn(f"{FLAG}: no entry {KEY}, without which Kubernetes refuses this type")
    elif not _is_docker_config(data[KEY]):
        warn(f'{FLAG}: {KEY} is not JSON with "auths", and Kubernetes refuses what is not JSON')
    return data


def docker_elements(words: Sequence[str], warn: Warn) -> list[str]:
    """The elements of every `--from-file`. Raises UsageError."""
    return [field for word in words for field in fields(word, FLAG, warn)]


def _is_docker_config(data: bytes) -> bool:
    try:
        config = loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(config, dict) and isinstance(config.get("auths"), dict)
