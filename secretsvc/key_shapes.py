"""What the name of a key looks like, kind by kind, told without its backend: no SDK, no program, no network.

Each function gives the canonical spelling of the text after `scheme:`, which is how envelopes state it and the only one
that backends meet, or raises KeyRefError. Messages never show the text: it may be key material by mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef, split

if TYPE_CHECKING:
    from collections.abc import Callable


def age(text: str) -> str:
    """`age1…` in lower case (https://age-encryption.org/v1, "The X25519 recipient type"), or an SSH public key
    without its comment. Whether its checksum or its point is right, only the backend tells.
    """
    if text.strip().upper().startswith("AGE-SECRET-KEY-"):
        raise KeyRefError(
            "that is a private age identity, not a recipient",
            hint="give the public key, age1…; count it as leaked if it stands in a file or a shell history",
        )
    canonical = " ".join(text.split()[:2]) if text.lstrip().startswith("ssh-") else text.strip().lower()
    if not re.fullmatch(r"age1[02-9ac-hj-np-z]{58}|ssh-(?:ed25519|rsa) [A-Za-z0-9+/]+={0,2}", canonical):
        raise KeyRefError("that is not an age recipient", hint="give age1…, or an ssh-ed25519 or ssh-rsa public key")
    return canonical


def pgp(text: str) -> str:
    """A full fingerprint: 40 hex digits, or 64 of a version 5 key, in upper case; spaces and `0x` are dropped."""
    digits = "".join(text.split()).upper().removeprefix("0X")
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", digits):
        raise KeyRefError(
            "a PGP key is named by its full fingerprint, 40 hex digits (no key id, no e-mail address)",
            hint="`gpg --list-keys --fingerprint NAME` shows it",
        )
    return digits


# Service Authorization Reference, "AWS Key Management Service", and the KMS API's KeyIdType and AliasNameType. The
# region becomes part of a host's name. AWS writes multi-region ids without dashes, emulators also with them.
_HEX = "[0-9a-f]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_ARN = (
    r"arn:aws(?:-[a-z]{1,10}){0,3}:kms:(?P<region>[a-z]{2,10}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}):[0-9]{12}"
    rf":(?:key/(?:{_UUID}|mrk-{_HEX}{{32}}|mrk-{_UUID})|alias/[A-Za-z0-9/_-]{{1,250}})"
)
_FIND_ARN = (
    "give aws:arn:aws:kms:REGION:ACCOUNT:key/ID; "
    "`aws kms describe-key --key-id ID --query KeyMetadata.Arn --output text` shows the ARN"
)


def aws(text: str) -> str:
    """The ARN of a key or an alias of AWS KMS, in lower case but for the alias's name."""
    head, alias, name = text.strip().partition(":alias/")
    arn = f"{head.lower()}{alias}{name}"
    aws_region(arn)
    if name.startswith("aws/"):
        raise KeyRefError(
            "that key is AWS's own, which only AWS's services can use",
            hint="make one with `aws kms create-key`, and give its ARN",
        )
    return arn


def aws_region(arn: str) -> str:
    """The region of a key's or alias's ARN in its canonical form. Raises KeyRefError."""
    match = re.fullmatch(_ARN, arn)
    if match:
        return match["region"]
    fields = arn.split(":")
    if fields[0] != "arn":
        raise KeyRefError("an AWS KMS key is named by its full ARN, not by an id or an alias alone", hint=_FIND_ARN)
    if len(fields) > 3 and fields[2] == "kms" and not fields[3]:
        raise KeyRefError("that ARN names no region, and without it nobody knows where the key is", hint=_FIND_ARN)
    raise KeyRefError("that is not the ARN of a key or an alias of AWS KMS", hint=_FIND_ARN)


# Cloud KMS API, "Resource names": ids of key rings and keys match [a-zA-Z0-9_-]{1,63}. A project is named by its id,
# `example.com:name` in old organisations, or by its number.
_GCP_KEY = (
    r"projects/[a-z0-9][a-z0-9.:-]{0,99}/locations/[a-z0-9-]{1,63}"
    r"/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}"
)
_GCP_FORM = "gcp:projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"


def gcp(text: str) -> str:
    """A Cloud KMS key's resource name, `projects/…/cryptoKeys/…`, which has one spelling only."""
    name = text.strip()
    if re.fullmatch(_GCP_KEY, name):
        return name
    key, versions, _ = name.partition("/cryptoKeyVersions/")
    if versions and re.fullmatch(_GCP_KEY, key):
        raise KeyRefError(
            "that names one version of a Cloud KMS key; Cloud KMS picks the version itself",
            hint="leave off /cryptoKeyVersions/ and what follows",
        )
    if name.startswith(("/", "https:", "http:", "cloudkms.")):
        raise KeyRefError(
            "a Cloud KMS key is named without a host, and without a slash in front",
            hint=f"give {_GCP_FORM}; KSECRET_GCP_KMS_ENDPOINT chooses the host",
        )
    raise KeyRefError(
        "that is not the resource name of a Cloud KMS key",
        hint=f"give {_GCP_FORM}; `gcloud kms keys list` shows it",
    )


_SHAPES: dict[str, Callable[[str], str]] = {"age": age, "pgp": pgp, "aws": aws, "gcp": gcp}


def canonical(text: str) -> KeyRef:
    """The KeyRef of a URI, its id in the canonical spelling of its kind; as it stands where a plug-in has that kind.

    Raises KeyRefError.
    """
    ref = split(text)
    return KeyRef(ref.scheme, _SHAPES[ref.scheme](ref.id)) if ref.scheme in _SHAPES else ref


def stated(text: str) -> KeyRef:
    """The KeyRef that a file states. Raises KeyRefError unless it stands there in its canonical spelling.

    A file is anybody's: a text that no backend would have written there is no name of a key, whatever a program that
    is handed it might take it for.
    """
    ref = canonical(text)
    if str(ref) != text:
        raise KeyRefError(f"a key of the kind {ref.scheme}: that is not spelled as ksecret writes it")
    return ref


PLUGINS = "ksecret.backends"
"""The entry-point group in which other kinds of keys are found."""


def verify(text: str) -> None:
    """Raises KeyRefError for what no backend would take: a slip in a recipient, or a kind of keys that none is for.

    Whether a key that is named well is there, and can be used, only its home tells.
    """
    ref = canonical(text)
    if ref.scheme == "age":
        if not (_is_ssh_key(ref.id) if ref.id.startswith("ssh-") else _is_bech32(ref.id)):
            raise KeyRefError("that is not an age recipient: it was cut, or a letter of it changed")
    elif ref.scheme not in _SHAPES:
        from importlib.metadata import entry_points  # takes longer than all else here

        if not entry_points(group=PLUGINS, name=ref.scheme):
            raise KeyRefError(f"no backend for keys that start with {ref.scheme}:")


_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def _is_bech32(text: str) -> bool:
    """Whether the checksum fits (BIP 173, "Checksum"), for a text of the letters that it may have."""
    prefix, _, data = text.rpartition("1")
    values = [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]
    checksum = 1
    for value in (*values, *map(_LETTERS.index, data)):
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum == 1


def _is_ssh_key(text: str) -> bool:
    """Whether the blob after the kind is whole, and of that kind (RFC 4253, section 6.6; RFC 8709, section 4)."""
    from base64 import b64decode

    kind, _, encoded = text.partition(" ")
    try:
        rest, fields = b64decode(encoded, validate=True), []
    except ValueError:
        return False
    while rest:
        length = int.from_bytes(rest[:4], "big")
        fields.append(rest[4 : 4 + length])
        if len(rest) < 4 + length:
            return False
        rest = rest[4 + length :]
    lengths = [len(field) for field in fields[1:]]
    return fields[:1] == [kind.encode()] and (lengths == [32] if kind == "ssh-ed25519" else len(lengths) == 2)
