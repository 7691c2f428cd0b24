"""ASCII armour of wrapped data keys: age's (age-encryption.org/v1, section on armor) and OpenPGP's (RFC 4880, 6.2)."""

from __future__ import annotations

from secretsvc.formats.base import decoded
from secretsvc.manifest.model import encode_base64

MOST_CHARACTERS = 64 * 1024
"""Of one wrapped data key. gpg's take 3,000, an SSH recipient's of age 4,500."""

_AGE = ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----")
_PGP = ("-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----")
_COLUMNS = 64


def age_bytes(text: str) -> bytes:
    """Return what an armoured age file holds; none for what is no such file."""
    lines = _between(text, _AGE)
    return decoded("".join(lines)) if lines else b""


def age_text(data: bytes) -> str:
    """Return an age file in armour, with a line break at its end."""
    return "\n".join((_AGE[0], *_lines(data), _AGE[1], ""))


def pgp_bytes(text: str) -> bytes:
    """Return the message in OpenPGP's armour; none for what is no such message. Its checksum counts for nothing."""
    lines = _between(text, _PGP)
    if "" in lines:
        lines = lines[lines.index("") + 1 :]  # behind the headers
    return decoded("".join(line for line in lines if not line.startswith("=")))


def pgp_text(data: bytes) -> str:
    """Return an OpenPGP message in armour, with its checksum, and without a line break at its end, as SOPS has it."""
    crc = encode_base64(_crc24(data).to_bytes(3, "big"))
    return "\n".join((_PGP[0], "", *_lines(data), f"={crc}", _PGP[1]))


def _between(text: str, marks: tuple[str, str]) -> list[str]:
    lines = [line.strip() for line in text.strip().splitlines()] if len(text) <= MOST_CHARACTERS else []
    return lines[1:-1] if len(lines) > 2 and (lines[0], lines[-1]) == marks else []


def _lines(data: bytes) -> list[str]:
    encoded = encode_base64(data)
    return [encoded[at : at + _COLUMNS] for at in range(0, len(encoded), _COLUMNS)]


def _crc24(data: bytes) -> int:
    """RFC 4880, 6.1."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc
