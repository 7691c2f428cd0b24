"""What gpg's answers mean, where no gpg at hand gives them."""

from __future__ import annotations

import pytest

from secretsvc.backends.gnupg.run import GpgAnswer
from secretsvc.backends.gnupg.status import check_opened, listed_keys, recipient, unsigned_because
from secretsvc.errors import AlteredError, BackendError, KeyRefError
from secretsvc.keyref import KeyRef

MAIN, SUB = "A" * 40, "B" * 40
LISTING = """\
tru::1:1700000000:0:3:1:5
pub:{}:255:22:AAAAAAAAAAAAAAAA:1700000000:::u:::scESC:::::ed25519:::0:
fpr:::::::::{}:
uid:u::::1700000000::X::me::::::::::0:
sub:{}:255:18:BBBBBBBBBBBBBBBB:1700000000::::::e:::::cv25519::
fpr:::::::::{}:
"""


def told(*lines: str) -> GpgAnswer:
    return GpgAnswer(b"", [line.split(" ") for line in lines])


@pytest.mark.parametrize(
    ("main", "sub", "named", "message"),
    [
        ("i", "u", MAIN, "the key is not valid: its self-signature is missing or broken"),
        ("u", "i", MAIN, "the key's encryption subkey is not valid"),
        ("u", "i", SUB, "the subkey is not valid"),
        ("i", "u", SUB, "the key is not valid"),
    ],
)
def test_a_key_that_nothing_binds_to_its_owner_is_not_encrypted_to(
    main: str, sub: str, named: str, message: str
) -> None:
    keys = listed_keys(LISTING.format(main, MAIN, sub, SUB).encode())
    with pytest.raises(KeyRefError, match=message):
        recipient(KeyRef("pgp", named), keys)
    sound = listed_keys(LISTING.format("u", MAIN, "u", SUB).encode())
    assert recipient(KeyRef("pgp", named), sound).key_ids == {"B" * 16}


def test_a_passphrase_that_was_needed_and_not_given_is_told_so() -> None:
    answer = told("ENC_TO BBBBBBBBBBBBBBBB 18 0", "NEED_PASSPHRASE BBBBBBBBBBBBBBBB AAAAAAAAAAAAAAAA 18 0", "NODATA 1")
    with pytest.raises(BackendError, match="the PGP key is locked, and its passphrase could not be asked for"):
        check_opened(answer)


def test_a_message_that_opens_only_in_part_was_altered() -> None:
    whole = ("BEGIN_DECRYPTION", "PLAINTEXT 62 0", "DECRYPTION_OKAY", "GOODMDC")
    check_opened(told(*whole))
    for lines in (whole[:3], whole[:2], (*whole, "PLAINTEXT 62 0"), (*whole, "ERROR proc_pkt.plaintext 89_BAD_DATA")):
        with pytest.raises(AlteredError, match=r"was altered|no integrity protection"):
            check_opened(told(*lines))


def test_why_a_message_counts_as_unsigned() -> None:
    assert unsigned_because(told("GOODSIG X me")) == ""
    assert unsigned_because(told("NO_PUBKEY " + "C" * 40)) == (
        "it is signed with the key CCCCCCCCCCCCCCCC, which is not in the keyring"
    )
    for lines in (("NO_PUBKEY", "ERRSIG X 22 8 00 1700000000 9 -"), ("ERRSIG X 22 8 00 1700000000 4 -",)):
        assert unsigned_because(told(*lines)) == "its signature can't be checked"
    assert unsigned_because(told("PLAINTEXT 62 0")) == "it is not signed"
