"""An opened manifest's values as the bytes that a container would get, and their names as environment variables."""

from __future__ import annotations

from secretsvc.document import kinds
from secretsvc.errors import ManifestError, UsageError, nearest
from secretsvc.manifest.model import decode_base64
from secretsvc.manifest.reader import read
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsvc.manifest.model import Entry

_LETTERS = frozenset("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset("0123456789")


class ClearValue(Record):
    """One value of one Secret."""

    file: str
    line: int
    key: str
    data: bytes

    def __repr__(self) -> str:
        return f"ClearValue({self.file}:{self.line}, {self.key!r}, masked)"


def values(data: bytes, file: str = "") -> list[ClearValue]:
    """Every Secret's values: `data` decoded, `stringData` as UTF-8; else those of a flat file, as SOPS has them.

    Where a Secret has a key in both, `stringData` wins, as in Kubernetes
    (https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/).
    Raises ManifestError.
    """
    found: list[ClearValue] = []
    kind = kinds.kind_of(file)
    secrets = () if kind in kinds.TEXTS_ONLY else read(data).secrets
    if not secrets:
        return _of_flat(kind, data, file)
    for secret in secrets:
        own = {
            entry.key: ClearValue(file, entry.scalar.line, entry.key, _decoded(entry, file)) for entry in secret.entries
        }
        found += own.values()  # model.FIELDS has stringData last
    return found


def _of_flat(kind: str, data: bytes, file: str) -> list[ClearValue]:
    """The values of a file whose keys hold nothing else, by its first document; as `sops exec-env` gives them."""
    from secretsvc.document.texts import text_of

    found = []
    for leaf in kinds.read("yaml" if kind == "binary" else kind, data, "").leaves:
        if leaf.unit or leaf.value.kind == "comment":
            continue
        key = leaf.path[0] if len(leaf.path) == 1 else 0
        if not isinstance(key, str):
            what = "its values are nested, and no variables or files"
            raise ManifestError(what, hint="`ksecret get FILE PATH` gives one", file=file, line=leaf.line)
        found.append(ClearValue(file, leaf.line, key, text_of(leaf.value)))
    return found


def _decoded(entry: Entry, file: str) -> bytes:
    try:
        return entry.value.encode() if entry.field == "stringData" else decode_base64(entry.value)
    except ValueError:
        what = "half of a surrogate pair" if entry.field == "stringData" else "what is not base64"
        raise ManifestError(f"{entry.path} holds {what}", file=file, line=entry.scalar.line) from None


def only(found: list[ClearValue], keys: Iterable[str]) -> list[ClearValue]:
    """The values under those keys; all of them where none is named. Raises UsageError for a key that nothing has."""
    wanted = set(keys)
    missing = wanted - {value.key for value in found}
    if missing:
        named = ", ".join(sorted(missing))
        near = nearest(named, dict.fromkeys(value.key for value in found))
        raise UsageError(f"no Secret here has the key {named}{near}", hint="ksecret get FILE lists them")
    return [value for value in found if value.key in wanted] if wanted else found


def by_name(found: Iterable[ClearValue], *, prefix: str = "", upper: bool = False) -> dict[str, ClearValue]:
    """The values by the names that they get: `prefix` and the key, with `upper` in capitals, and `_` for `-` and `.`.

    Raises UsageError where two of them get the same name: which of them counts is not for the order of files to say.
    """
    named: dict[str, ClearValue] = {}
    for value in found:
        key = value.key.upper().replace("-", "_").replace(".", "_") if upper else value.key
        name = prefix + key
        if name in named:
            places = " and ".join(_place(one) for one in (named[name], value))
            hint = "name one file, or choose keys with ksecret exec --only"
            raise UsageError(f"{name} is there twice, in {places}", hint=hint)
        named[name] = value
    return named


def variables(named: dict[str, ClearValue]) -> dict[str, bytes]:
    """The same as environment variables (POSIX.1-2017, Base Definitions, section 8.1).

    Raises UsageError that lists every name that can't be one, ManifestError for a value with a NUL in it.
    """
    bad = [name for name in named if not _is_identifier(name)]
    if bad:
        raise UsageError(
            f"not names of environment variables: {', '.join(bad)}",
            hint="ksecret exec has --upper, --prefix and --only for that, and --files, where any name goes",
        )
    for value in named.values():
        if b"\0" in value.data:
            raise ManifestError(
                f"the value of {value.key} has a NUL byte in it, which no environment can hold",
                hint="ksecret exec --files puts it in a file",
                file=value.file,
                line=value.line,
            )
    return {name: value.data for name, value in named.items()}


def _is_identifier(name: str) -> bool:
    return name[:1] in _LETTERS and all(letter in _LETTERS or letter in _DIGITS for letter in name)


def _place(value: ClearValue) -> str:
    return f"{value.file}:{value.line}" if value.file else f"line {value.line}"
