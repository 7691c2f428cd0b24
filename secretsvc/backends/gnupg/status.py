"""The meaning of gpg's answers: which keys can be encrypted to, and why something failed.

Sources: GnuPG, doc/DETAILS ("Format of the colon listings", "Format of the --status-fd output"); the error
codes are libgpg-error's; packets as RFC 4880 has them. gpg's own texts are never shown: they are in the
user's language, and may quote what a stranger wrote into a message.
"""

from __future__ import annotations

import os
from time import gmtime, strftime

from secretsvc.errors import RESTORE_HINT, AlteredError, BackendError, BackendUnavailableError, KeyRefError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.gnupg.run import GpgAnswer
    from secretsvc.keyref import KeyRef

SIGN_HINT = "import the signer's public key, or have the file rotated by somebody who signs"
UNLOCK_HINT = (
    "set KSECRET_GPG_PASSPHRASE or give --passphrase-file, unlock the key in gpg-agent first, "
    "or set GPG_TTY=$(tty) so that it can be asked for on the terminal"
)

_OPENED = ["BEGIN_DECRYPTION", "PLAINTEXT", "DECRYPTION_OKAY", "GOODMDC"]
_OPENING = frozenset((*_OPENED, "DECRYPTION_FAILED", "BADMDC"))

# Codes of libgpg-error.
_WRONG_PASSPHRASE = (7, 11, 87, 273)  # the last: longer than the agent takes
_CANCELLED = (99, 114, 198)
_CANNOT_ASK = (62, 85, 86, 177, 178, 32849, 32870)  # timeout, no pinentry, …, ENOENT and ENOTTY of the terminal
_NO_AGENT = (77, 78, 115, 259)
_CARD = (91, 108, 109, 110, 111, 112, 119)
_DAMAGED = (2, 3, 4, 8, 10, 12, 14, 18, 19, 30, 58, 64, 65, 66, 79, 82, 83, 84, 89)


MOST_HOME = 103 - len("/S.gpg-agent.browser")
"""Bytes of GNUPGHOME: the path of a socket has 103 on macOS, 107 on Linux (`sun_path` in unix(7), less its NUL)."""


class Key(Record):
    """A primary key (`pub`) or subkey (`sub`) of a colon listing."""

    kind: str
    validity: str
    key_id: str
    expires: str
    can: str
    fingerprint: str


class Recipient(Record):
    """A key as gpg is told to encrypt to it, and the ids that the message may then be addressed to."""

    word: str
    key_ids: frozenset[str]


def listed_keys(listing: bytes) -> list[Key]:
    """The primary key and its subkeys of a `--list-keys --with-colons` of one fingerprint."""
    return _keys(listing, ("pub", "sub"))


def secret_keys(listing: bytes) -> list[Key]:
    """Every primary key and subkey of a `--list-secret-keys --with-colons`, whose secret half may be on a card."""
    return _keys(listing, ("sec", "ssb"))


def _keys(listing: bytes, kinds: tuple[str, str]) -> list[Key]:
    keys: list[Key] = []
    fields: list[str] = []
    for line in listing.decode("utf-8", "replace").splitlines():
        record = line.split(":")
        if record[0] in kinds and len(record) > 11:
            fields = record
        elif record[0] == "fpr" and fields and len(record) > 9:
            keys.append(Key(fields[0], fields[1], fields[4], fields[6], fields[11], record[9]))
            fields = []
    return keys


def owner(listing: bytes) -> str:
    """The first user id of a colon listing that is neither revoked nor expired, else the first; "" without any."""
    names: list[tuple[bool, str]] = []
    for line in listing.decode("utf-8", "replace").splitlines():
        record = line.split(":")
        if record[0] == "uid" and len(record) > 9:
            names.append((record[1] in ("r", "e"), "".join(filter(str.isprintable, _plain(record[9])))))
    return min(names, key=lambda name: name[0])[1][:200] if names else ""


def owners(listing: bytes) -> dict[str, str]:
    """The owner of each key of a listing of all, by the fingerprints of primary keys and subkeys."""
    found: dict[str, str] = {}
    for block in (b"\n" + listing).split(b"\npub:")[1:]:
        whole = b"pub:" + block
        name = owner(whole)
        found.update((key.fingerprint, name) for key in listed_keys(whole))
    return found


def recipient(ref: KeyRef, keys: list[Key]) -> Recipient:
    """Return how to encrypt to exactly that key; to one of its encryption subkeys where `ref` is the primary key.

    Raises KeyRefError for a key that is unknown, expired, revoked, disabled or can't encrypt.
    """
    named = next((key for key in keys if key.fingerprint == ref.id), None)
    if named is None:
        raise KeyRefError(
            "gpg has no public key with that fingerprint",
            hint=f"import it: `gpg --import FILE` or `gpg --recv-keys {ref.id}`",
        )
    main = keys[0]
    _check_life("the key", main, main)
    if "D" in main.can:
        raise KeyRefError(
            "the key is disabled in your keyring",
            hint=f"enable it if that is meant: `gpg --edit-key {main.fingerprint}`",
        )
    if named is not main:
        _check_life("the subkey", named, main)
    able = [key for key in (keys if named is main else [named]) if "e" in key.can]
    if not able:
        raise KeyRefError(
            "the key can't encrypt: it is for signing only", hint="its owner adds a subkey: `gpg --quick-add-key`"
        )
    if all(key.validity in ("i", "r", "e") for key in able):
        _check_life("the key's encryption subkey", able[-1], main)
    # The mark makes gpg use that very subkey rather than the newest one beside it.
    return Recipient(ref.id if named is main else f"{ref.id}!", frozenset(key.key_id for key in able))


def _check_life(what: str, key: Key, main: Key) -> None:
    """Raises KeyRefError for a key of `main`'s that has been revoked, has expired, or isn't bound to its owner."""
    if key.validity == "r":
        raise KeyRefError(f"{what} was revoked", hint="ask its owner for the new key, and remove this one: --key -REF")
    if key.validity == "e":
        when = strftime(" on %Y-%m-%d", gmtime(int(key.expires))) if key.expires.isdigit() else ""
        which = f"{main.fingerprint} 1y" + (f" {key.fingerprint}" if key is not main else "")
        raise KeyRefError(
            f"{what} expired{when}",
            hint=f"its owner extends it: `gpg --quick-set-expire {which}`; then import the public key again",
        )
    if key.validity == "i":
        raise KeyRefError(f"{what} is not valid: its self-signature is missing or broken")


def addressee(message: bytes) -> str:
    """The key id, 16 hex digits, that a binary message is encrypted to, where that is one key and it is shown; else "".

    The message must begin with one public-key encrypted session key of version 3 (tag 1), and go on with a packet that
    has integrity protection (tag 18, or GnuPG's 20): RFC 4880, sections 5.1 and 5.13; LibrePGP draft, section 5.16.
    """
    try:
        first, start, end = _packet(message, 0)
        second, _, _ = _packet(message, end)
    except IndexError:
        return ""
    key_id = message[start + 1 : start + 9].hex().upper()
    shown = first == 1 and message[start] == 3 and second in (18, 20) and key_id.strip("0")
    return key_id if shown else ""


def check_opened(answer: GpgAnswer) -> None:
    """Returns where gpg opened one message whole, with integrity protection, and no signature on it is bad.

    Raises AlteredError for anything that is wrong with the message, BackendError for a failure on this side.
    The caller has dealt with a key that is not here.
    """
    if answer.has("BADSIG"):
        raise AlteredError("the signature on its wrapped data key is bad", hint=RESTORE_HINT)
    if answer.has("EXPSIG"):
        # gpg stops at it, as at a bad one, before it has said whether the message is whole.
        raise AlteredError("the signature on its wrapped data key has expired", hint=SIGN_HINT)
    foreign = any(words[:1] == ["proc_pkt.plaintext"] for words in answer.words("ERROR"))
    came = answer.order(_OPENING)
    if came == _OPENED and not foreign:
        return
    if answer.has("NEED_PASSPHRASE_SYM") and not came:
        raise AlteredError("its wrapped data key is locked with a passphrase, not to a key", hint=RESTORE_HINT)
    code = answer.error_code("pkdecrypt_failed")
    if code and code not in _DAMAGED:
        raise failure(code, "decrypt", answer.home)
    if answer.has("NEED_PASSPHRASE") and not came:
        raise failure(_CANNOT_ASK[0], "decrypt")
    if code or foreign or came or answer.has("NODATA") or answer.has("DECRYPTION_KEY"):
        what = "has no integrity protection" if "GOODMDC" not in came and _unprotected(answer) else "was altered"
        raise AlteredError(f"its wrapped data key {what}", hint=RESTORE_HINT)
    raise failure(answer.error_code("decrypt", "gpg-exit"), "decrypt", answer.home)


def was_opened_by(answer: GpgAnswer, fingerprint: str) -> bool:
    """Tell whether an opened message was, by that key: a primary key, or the very subkey (doc/DETAILS of GnuPG)."""
    return any(fingerprint in words[:2] for words in answer.words("DECRYPTION_KEY"))


def unsigned_because(answer: GpgAnswer) -> str:
    """Return why an opened message counts as unsigned; "" where a good signature by a key of the keyring is on it."""
    if answer.has("GOODSIG"):
        return ""
    if answer.has("EXPKEYSIG"):
        return "it is signed with a key that has expired"
    if answer.has("REVKEYSIG"):
        return "it is signed with a key that was revoked"
    missing = answer.words("NO_PUBKEY")
    if missing and missing[0]:
        return f"it is signed with the key {missing[0][0][:16]}, which is not in the keyring"
    return "its signature can't be checked" if answer.has("ERRSIG") else "it is not signed"


def not_encrypted(answer: GpgAnswer) -> BackendError | KeyRefError:
    """Return why a message was not made, though the listing shows a key that can be encrypted to."""
    if answer.has("INV_RECP"):
        return KeyRefError(
            "gpg does not encrypt to the key", hint="it may be dated in the future, or not allowed by gpg.conf"
        )
    code = answer.error_code("sign-encrypt", "encrypt")
    return failure(
        _CANNOT_ASK[0] if answer.has("NEED_PASSPHRASE") and not code else code, "sign and encrypt", answer.home
    )


def has_no_signer(answer: GpgAnswer) -> bool:
    """Tell whether signing failed because there is no secret key that could sign, with none asked for by name."""
    return any(list(words) == ["9"] for words in answer.words("INV_SGNR"))


def failure(code: int, doing: str, home: str = "") -> BackendError:
    """The error for a code of libgpg-error (without its source); `doing` is "decrypt" or "sign and encrypt".

    `home`: GNUPGHOME.
    """
    if code in _WRONG_PASSPHRASE:
        return BackendError("the passphrase for the PGP key is wrong", hint="check the passphrase or its file")
    if code in _CANCELLED:
        return BackendError("the question for the PGP key's passphrase was cancelled")
    if code in _CANNOT_ASK:
        return BackendError("the PGP key is locked, and its passphrase could not be asked for", hint=UNLOCK_HINT)
    if code in _NO_AGENT:
        return _no_agent(home)
    if code in _CARD:
        return BackendUnavailableError("the smart card could not be used", hint="`gpg --card-status` shows why")
    told = f" (libgpg-error code {code})" if code else ""
    return BackendError(f"gpg could not {doing}{told}", hint="GnuPG 2.2 or later is needed; check gpg.conf")


def _no_agent(home: str) -> BackendUnavailableError:
    size = len(os.fsencode(home))
    if size > MOST_HOME:
        return BackendUnavailableError(
            f"gpg-agent can't be reached: GNUPGHOME is too long for the path of its socket, {size} bytes",
            hint=f"use a folder, or a link to it, of {MOST_HOME} bytes or less",
        )
    return BackendUnavailableError("gpg-agent can't be reached", hint="`gpg-connect-agent /bye` shows why")


def _unprotected(answer: GpgAnswer) -> bool:
    """DECRYPTION_INFO's arguments: the integrity method (0 is none), the cipher, the AEAD method (0 is none)."""
    return any(
        words[0] == "0" and list(words[2:3]) in ([], ["0"]) for words in answer.words("DECRYPTION_INFO") if words
    )


def _packet(message: bytes, at: int) -> tuple[int, int, int]:
    """A packet's tag, and where its body starts and ends (RFC 4880, section 4.2); tag 0 for what is no packet.

    A body without a length of its own ends with the message. Raises IndexError at the message's end.
    """
    head, one = message[at], message[at + 1]
    if not head & 0x80:
        return 0, at, at
    if not head & 0x40:
        size = (1, 2, 4, 0)[head & 3]
        start = at + 1 + size
        return head >> 2 & 15, start, start + int.from_bytes(message[at + 1 : start], "big") if size else len(message)
    if one < 192:
        return head & 63, at + 2, at + 2 + one
    if one < 224:
        return head & 63, at + 3, at + 3 + (one - 192 << 8) + message[at + 2] + 192
    if one == 255:
        return head & 63, at + 6, at + 6 + int.from_bytes(message[at + 2 : at + 6], "big")
    return head & 63, at + 2, len(message)


def _plain(text: str) -> str:
    r"""A field of a colon listing without its escapes (\x3a for a colon)."""
    head, *rest = text.split("\\x")
    plain = head.encode()
    for part in rest:
        try:
            plain += bytes.fromhex(part[:2]) + part[2:].encode()
        except ValueError:
            plain += part.encode()
    return plain.decode("utf-8", "replace")
