"""kubesec's format, v1 to v4: an envelope of comment lines, for one Secret in a file (design FORMAT).

# kubesec:v:3
# kubesec:pgp:<fingerprint>:<base64>      also gcp and aws, one line per key
# kubesec:mac:<iv>.<tag>
"""

from __future__ import annotations

from itertools import islice

from secretsvc.backends import stated
from secretsvc.errors import AlteredError, InputError, KeyRefError, ManifestError
from secretsvc.keyref import MOST_KEYS
from secretsvc.manifest import nodes
from secretsvc.manifest.model import decode_strict, encode_base64
from secretsvc.manifest.nodes import Mapping, Scalar, Sequence
from secretsvc.manifest.splice import Edit, line_break
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.keyref import KeyRef, WrappedKey
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.nodes import Node

_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

_MAC_LENGTH = 41
"""Characters: 12 and 16 bytes in base64, and the dot between them."""

SCHEMES = ("pgp", "gcp", "aws")
"""The kinds of keys, in the order in which kubesec ranks them."""

MAX_SORTED = 12
"""So many keys are sealed to where one counts before another: Go sorts them by insertion, the same since Go 1.19."""

_MOST_LINES = MOST_KEYS + 2  # version and MAC
_START = "# kubesec:"
VERSION_LINE = "\n# kubesec:v:"
"""A file is sealed by kubesec where this stands in it: a line, but not the first (design FORMAT)."""
_RESTORE = "restore the file from Git"
RECOMPUTE = "look at its history in Git; if it is as it should be: ksecret encrypt -i --recompute-mac"


class Envelope(Record):
    """The contents of the comment lines."""

    version: str
    keys: tuple[tuple[KeyRef, str], ...]
    """Each KeyRef with the base64 of the wrapped DEK, in the order of the lines."""
    mac: str
    """Empty where there is none (v1 and v2)."""

    @property
    def refs(self) -> tuple[KeyRef, ...]:
        return tuple(ref for ref, _ in self.keys)


def is_token(value: str) -> bool:
    """Tell if it has the shape of kubesec's tokens, but for a line break that a formatter may have put behind it.

    The ciphertext in base64, which an empty value has not, a dot, and what a MAC has (design FORMAT).
    """
    text = value.rstrip("\n")
    ciphertext, dot = text[: -_MAC_LENGTH - 1], text[:-_MAC_LENGTH][-1:]
    bare = ciphertext.removesuffix("=").removesuffix("=")
    is_sound = dot == "." and bare != "" and _BASE64.issuperset(bare)
    return is_mac(text[-_MAC_LENGTH:]) and (is_sound or len(text) == _MAC_LENGTH)


def is_mac(text: str) -> bool:
    """Tell if it has the shape of a MAC: IV and tag in base64, with a dot between them."""
    is_whole = len(text) == _MAC_LENGTH and text[16] == "." and text.endswith("==")
    return is_whole and _BASE64.issuperset(text[:16] + text[17:-2])


def read(manifest: Manifest) -> tuple[Secret, Envelope]:
    """Return the one sealed Secret of a file, and its envelope.

    Raises ManifestError, InputError, AlteredError with a line.
    """
    check_owner(manifest)
    (secret,) = manifest.secrets
    other = nodes.member(secret.root, "ksecret")
    if other:
        raise ManifestError(
            "sealed twice: it has kubesec's lines and an envelope of ksecret's", hint=_RESTORE, line=other.key.line
        )
    return secret, _interpreted(manifest, secret)


def check_owner(manifest: Manifest) -> None:
    """Raises ManifestError for a file with other than one Secret."""
    if len(manifest.secrets) != 1:
        raise ManifestError(
            "kubesec's lines belong to one Secret, and this file does not hold exactly one",
            hint="move each Secret into a file of its own",
            line=_line(manifest, next(_lines(manifest.text))[0]),
        )


def _interpreted(manifest: Manifest, secret: Secret) -> Envelope:
    version, mac = "", ""
    keys: dict[KeyRef, str] = {}
    lines = list(islice(_lines(manifest.text), _MOST_LINES + 1))
    if len(lines) > _MOST_LINES:
        message = f"more than {MOST_KEYS} keys in kubesec's lines"
        raise AlteredError(message, hint=_RESTORE, line=_line(manifest, lines[-1][0]))
    starts = [start for start, _ in lines]
    within = _inside_a_value(secret.root, starts)
    for start, end in lines:
        line = _line(manifest, start)
        kind, _, rest = manifest.text[start + len(_START) : end].rstrip("\r").partition(":")
        if start == within:
            raise ManifestError("a line of kubesec's inside a value", hint="indent it", line=line)
        if kind == "v" and not version:
            version = _known(rest, line)
        elif kind == "mac" and not mac:
            mac = rest
        elif kind in SCHEMES:
            ref, wrapped = _key(kind, rest, line)
            if ref in keys:
                raise AlteredError("one key has two of kubesec's lines", hint=_RESTORE, line=line)
            keys[ref] = wrapped
        else:
            raise AlteredError("a line of kubesec's that is none, or a second one", hint=_RESTORE, line=line)
    if not keys:
        raise AlteredError("kubesec's lines name no key", hint=_RESTORE)
    return Envelope(version, tuple(keys.items()), mac)


def _known(version: str, line: int) -> str:
    if version not in ("1", "2", "3", "4"):
        raise InputError("a version of kubesec's format that is not known", hint="upgrade ksecret", line=line)
    return version


def _key(scheme: str, text: str, line: int) -> tuple[KeyRef, str]:
    name, _, wrapped = text.rpartition(":")
    try:
        if decode_strict(wrapped):
            return stated(f"{scheme}:{name}"), wrapped
    except KeyRefError as error:
        raise AlteredError(f"a key's line names none: {error.message}", hint=_RESTORE, line=line) from None
    except ValueError:
        pass
    raise AlteredError("a key's line is not <name>:<base64>", hint=_RESTORE, line=line) from None


def _line(manifest: Manifest, at: int) -> int:
    return manifest.text.count("\n", 0, at) + 1


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Start and end (before the line feed) of every line that kubesec looks at."""
    start = 0 if text.startswith(_START) else text.find(f"\n{_START}") + 1 or len(text)
    while start < len(text):
        end = text.find("\n", start)
        yield start, len(text) if end < 0 else end
        start = text.find(f"\n{_START}", start) + 1 or len(text)


def _inside_a_value(node: Node, places: list[int]) -> int:
    """Return the first of the places (in rising order) in a scalar of several lines: no line there is a comment.

    -1 where none is.
    """
    if not any(node.start < place < node.end for place in places):
        return -1
    from bisect import bisect_right

    waiting = [node]
    found = -1
    while waiting:
        one = waiting.pop()
        next_at = bisect_right(places, one.start)
        if next_at == len(places) or places[next_at] >= one.end:
            continue
        if isinstance(one, Mapping):
            waiting += [part for member in one.members for part in member]
        elif isinstance(one, Sequence):
            waiting += one.items
        elif isinstance(one, Scalar) and one.style not in ("|", ">"):  # a block ends before such a line
            found = min(found, places[next_at]) if found >= 0 else places[next_at]
    return found


def ordered(keys: Iterable[tuple[KeyRef, str]]) -> tuple[tuple[KeyRef, str], ...]:
    """Return the keys as kubesec writes and counts them: an insertion sort by a relation that is no order.

    It moves a key before its neighbour only where both its kind ranks lower and its id is smaller, so that keys of one
    kind keep their places, and others sometimes do.
    """
    done: list[tuple[KeyRef, str]] = []
    for key in keys:
        at = len(done)
        while at and _less(key[0], done[at - 1][0]):
            at -= 1
        done.insert(at, key)
    return tuple(done)


def _less(one: KeyRef, other: KeyRef) -> bool:
    return SCHEMES.index(one.scheme) < SCHEMES.index(other.scheme) and one.id.encode() < other.id.encode()


def check_keys(refs: Iterable[KeyRef]) -> None:
    """Raises KeyRefError for a key that kubesec's format has no line for, and for too many keys."""
    refs = tuple(refs)
    if len(refs) > MAX_SORTED and any(_less(one, other) for one in refs for other in refs):
        # Where none counts before another, neither pdqsort nor the quicksort before Go 1.19 moves one.
        raise KeyRefError(
            f"kubesec's format takes at most {MAX_SORTED} keys of kinds that it sorts",
            hint="more of one kind keep their order; how kubesec sorts others depends on its version of Go",
        )
    for ref in refs:
        if ref.scheme not in SCHEMES or (ref.scheme == "pgp" and ":" in ref.id):
            raise KeyRefError(
                f"kubesec's format has no keys of the kind {ref.scheme}:",
                hint="use pgp:, gcp: or aws: keys with it, or --format ksecret",
                key_ref=str(ref),
            )


def is_alone(manifest: Manifest) -> bool:
    """Tell whether the file is one Secret and nothing else."""
    roots = [secret.root for secret in manifest.secrets]
    return len(roots) == len(manifest.documents) == 1 and manifest.documents[0] is roots[0]


def check_shape(manifest: Manifest) -> None:
    """Raises ManifestError for a file that kubesec could not read once it is sealed in its format."""
    secret = manifest.secrets[0]
    if not is_alone(manifest):
        raise ManifestError(
            "kubesec's format holds one Secret per file, and nothing else",
            hint="move each Secret into a file of its own, or use --format ksecret",
            line=secret.line,
        )
    import re

    directive = re.search(r"(?m)(?:^|(?<=\r))%", manifest.text[: secret.root.start])
    if directive:
        line = _line(manifest, directive.start())
        raise ManifestError("kubesec opens no file with a directive of YAML's", hint="remove the line", line=line)
    for start, _ in _lines(manifest.text):
        line = _line(manifest, start)
        raise ManifestError("a comment that kubesec would take for its own", hint="remove it", line=line)


def encoded(key: WrappedKey) -> str:
    """A wrapped DEK as a line has it: base64, by PGP of armoured text; as it stood, where it stood in the file."""
    wrapped = armoured(key.wrapped) if key.ref.scheme == "pgp" and not key.source else key.wrapped
    return key.source or encode_base64(wrapped)


def armoured(message: bytes) -> bytes:
    """A binary OpenPGP message as the ASCII-armoured text that kubesec's gpg makes of it."""
    text = encode_base64(message)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    checksum = encode_base64(_crc24(message).to_bytes(3, "big"))
    whole = ("-----BEGIN PGP MESSAGE-----", "", *lines, f"={checksum}", "-----END PGP MESSAGE-----", "")
    return "\n".join(whole).encode()


def _crc24(data: bytes) -> int:
    """RFC 4880, section 6.1."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc


def render(envelope: Envelope) -> str:
    """Return the comment lines, each with a line feed: with CRLF kubesec would not know the version."""
    lines = [f"v:{envelope.version}", *(f"{ref}:{wrapped}" for ref, wrapped in envelope.keys), f"mac:{envelope.mac}"]
    return "".join(f"{_START}{line}\n" for line in lines)


def put(text: str, envelope: Envelope) -> list[Edit]:
    """Return the edits that write the envelope: where it stands if its lines stand together, else at the end.

    Nor does it start a file: on the first line the version is not looked for.
    """
    blocks = _blocks(text)
    rendered = render(envelope)
    if len(blocks) == 1 and blocks[0][0]:
        start, end = blocks[0]
        return [Edit(start, end, rendered if text[end - 1] == "\n" else rendered[:-1])]
    if text.endswith("\n"):
        return [*remove(text), Edit(len(text), len(text), rendered)]
    return [*remove(text), Edit(len(text), len(text), line_break(text) + rendered[:-1])]


def remove(text: str) -> list[Edit]:
    """Return the edits that take the envelope away, and a line feed before it where the file ends without one."""
    return [
        Edit(start if text[end - 1] == "\n" else _before(text, start), end, "")  # undoes exactly what `put` did
        for start, end in _blocks(text)
    ]


def _before(text: str, start: int) -> int:
    """Tell where the line break before that line starts: CRLF is one where the lines above it end so too."""
    joint = "\r\n" if text.endswith("\r\n", 0, start) and line_break(text[: start - 2]) == "\r\n" else "\n"
    return max(start - len(joint), 0)


def _blocks(text: str) -> list[tuple[int, int]]:
    """Start and end of the envelope's lines, their line feeds included, those that stand together as one."""
    blocks: list[tuple[int, int]] = []
    for start, end in _lines(text):
        first = blocks.pop()[0] if blocks and blocks[-1][1] == start else start
        blocks.append((first, min(end + 1, len(text))))
    return blocks
