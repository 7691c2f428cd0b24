"""kubesec's format as its own files have it, and everything that may be wrong with one: refused, by name."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import (
    AlreadySealedError,
    AlteredError,
    InputError,
    KsecretError,
    NoKeyError,
)
from secretsvc.operations.rotate import rotate_manifest
from tests import kubesec_reader
from tests.integration.gpg_home import GpgHome
from tests.kubesec_support import (
    ALL,
    AWS,
    GCP,
    MORE,
    PGP,
    VECTORS,
    Asked,
    Keys,
    Want,
    entries,
    lines,
    open_,
    seal,
    texts,
    unwrap,
)
from tests.support import spoilt

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: prod\n"
PLAIN = HEAD + 'type: Opaque\ndata:\n  a: YWE=\n  b: YmI=\n  empty: ""\nstringData:\n  a: text\n  z: other\n'
RECORDED = 6
"""Files of kubesec's with what its own `decrypt` made of them."""


@cache
def sealed(*keys: Any) -> str:
    return seal(PLAIN, Want(keys or (GCP,))).decode()


def outcome(text: str, keyring: Any = ALL) -> type[KsecretError] | bytes:
    try:
        return open_(text, keyring)
    except KsecretError as error:
        return type(error)


def refused(text: str, keyring: Any = ALL) -> bool:
    """Whether that does not open, and by an error that says why: altered, no key, or no such format."""
    found = outcome(text, keyring)
    return isinstance(found, type) and issubclass(found, (AlteredError, NoKeyError, InputError))


def line(kind: str, text: str) -> str:
    (found,) = [one for one in lines(text) if one.startswith(f"# kubesec:{kind}:")]
    return found


def token(field: str, key: str, text: str) -> str:
    return texts(text)[field, key]


# -- kubesec's own files


@pytest.fixture(scope="module")
def gpg() -> Iterator[GpgHome]:
    """A home with the vectors' secret keys."""
    home = GpgHome()
    try:
        home.gpg("--import", data=(VECTORS / "pgp-secret-keys.asc").read_bytes())
        yield home
    finally:
        home.close()


@pytest.fixture(scope="module")
def gpg_keys(gpg: GpgHome) -> Backends:
    return Backends(Settings(gpg.environ, lambda what: None))


def vectors() -> list[str]:
    return sorted(path.name.removesuffix(".dec.yaml") for path in VECTORS.glob("*.dec.yaml"))


def test_no_vector_is_missing() -> None:
    assert len(vectors()) >= RECORDED


@pytest.mark.parametrize("name", vectors())
def test_a_file_of_kubesecs_opens_to_what_kubesec_makes_of_it(name: str, gpg_keys: Backends) -> None:
    opened = open_((VECTORS / f"{name}.enc.yaml").read_bytes(), gpg_keys)
    assert yaml.safe_load(opened) == yaml.safe_load((VECTORS / f"{name}.dec.yaml").read_bytes())
    assert lines(opened) == []


@pytest.mark.parametrize("name", vectors())
def test_a_file_of_kubesecs_under_a_new_key_stays_one_for_others(name: str, gpg: GpgHome, gpg_keys: Backends) -> None:
    """Rotated by us, signed and wrapped by the real gpg, and opened by the other reader with gpg alone."""
    old = (VECTORS / f"{name}.enc.yaml").read_bytes()
    new = seal(old, Want(rotate=True), keyring=gpg_keys)
    assert not set(texts(old).values()) & set(texts(new).values())
    assert kubesec_reader.misplaced(new) == []
    secret = kubesec_reader.read(new, kubesec_reader.unwrap_with_gpg(gpg.path))
    assert secret == yaml.safe_load((VECTORS / f"{name}.dec.yaml").read_bytes())
    around = re.compile(rb"(?m)^(  [^\n:]+: ).*|^# kubesec:(pgp:[^:]+|mac).*")
    assert around.sub(rb"\1\2", new) == around.sub(rb"\1\2", old)


@pytest.mark.parametrize("name", vectors())
def test_a_file_of_kubesecs_that_is_sealed_again_keeps_every_line(name: str, gpg_keys: Backends) -> None:
    old = (VECTORS / f"{name}.enc.yaml").read_bytes()
    with pytest.raises(AlreadySealedError, match="sealed already, in kubesec's format"):
        seal(old, keyring=gpg_keys)
    again = seal(open_(old, gpg_keys), Want(format=""), parent=old, keyring=gpg_keys)
    assert sorted(again.splitlines()) == sorted(old.splitlines())  # kubesec writes a blank line behind its own


def test_each_of_two_pgp_keys_opens_alone(gpg: GpgHome) -> None:
    old = (VECTORS / "string-data.rsa+ecc.enc.yaml").read_bytes()
    expected = yaml.safe_load((VECTORS / "string-data.rsa+ecc.dec.yaml").read_bytes())
    for word in (VECTORS / "keys.txt").read_text().split()[1::2]:
        home = GpgHome()
        try:
            secret = gpg.gpg("--armor", "--export-secret-keys", word)
            home.gpg("--import", data=secret)
            home.gpg("--import", data=(VECTORS / "pgp-public-keys.asc").read_bytes())
            assert yaml.safe_load(open_(old, Backends(Settings(home.environ, lambda what: None)))) == expected
        finally:
            home.close()


def test_an_unsigned_or_foreign_wrapped_key_does_not_open(gpg: GpgHome, gpg_keys: Backends) -> None:
    """Who knows the recipient's public key alone could else make a file of their own values."""
    text = (VECTORS / "opaque.rsa.enc.yaml").read_text()
    _, _, fingerprint, wrapped = line("pgp", text).split(":")
    dek = gpg.gpg("--decrypt", data=b64decode(wrapped))
    unsigned = gpg.gpg("--armor", "--encrypt", "--recipient", fingerprint, data=dek)
    with pytest.raises(AlteredError, match="signature"):
        open_(text.replace(wrapped, b64encode(unsigned).decode()), gpg_keys)
    signed = gpg.gpg("--armor", "--sign", "--encrypt", "--recipient", fingerprint, data=dek)
    opened = open_(text.replace(wrapped, b64encode(signed).decode()), gpg_keys)
    assert yaml.safe_load(opened) == yaml.safe_load((VECTORS / "opaque.rsa.dec.yaml").read_bytes())


def test_no_character_of_a_pgp_keys_line_opens_to_anything_else(gpg_keys: Backends) -> None:
    """gpg itself passes over some, such as its checksum, as it does for kubesec: then the values are the same."""
    text = (VECTORS / "opaque.ecc.enc.yaml").read_text()
    whole = line("pgp", text)
    start = text.index(whole)
    right = open_(text, gpg_keys)
    opened = 0
    for at in range(start + len("# kubesec:"), start + len(whole), 41):
        found = outcome(spoilt(text, at), gpg_keys)
        assert found == right or (isinstance(found, type) and issubclass(found, KsecretError))
        opened += found == right
    assert opened < 5


def test_a_vector_without_a_mac_is_refused_and_then_trusted(gpg: GpgHome, gpg_keys: Backends) -> None:
    old = (VECTORS / "v2-no-mac.rsa.enc.yaml").read_bytes()
    with pytest.raises(AlteredError, match=r"it has no MAC \(version 2 of kubesec's format\)"):
        open_(old, gpg_keys)
    again = seal(old, Want(trust=Asked()), keyring=gpg_keys)
    secret = kubesec_reader.read(again, kubesec_reader.unwrap_with_gpg(gpg.path))
    assert entries(secret) == texts(open_(again, gpg_keys))
    assert kubesec_reader.misplaced(again) == []


# -- altered


def others(character: str) -> set[str]:
    neighbour = chr(ord(character) + 1) if character.isalnum() and character not in "zZ9" else "0"
    return {"A", "7", character.swapcase(), neighbour, "."} - {character}


def changes(part: str, text: str) -> Iterator[str]:
    """The text with each character of a part that stands in it once: as others, taken away, with another before it."""
    assert text.count(part) == 1
    start = text.index(part)
    for at in range(start, start + len(part)):
        for new in sorted({"", *others(text[at])}):
            yield text[:at] + new + text[at + 1 :]
        for new in ("A", "."):
            yield text[:at] + new + text[at:]


@pytest.mark.parametrize("place", [("data", "a"), ("data", "b"), ("data", "empty"), ("stringData", "a")])
def test_no_character_of_a_token_can_change(place: tuple[str, str]) -> None:
    for altered in changes(token(*place, sealed()), sealed()):
        assert refused(altered), altered


def test_no_character_of_the_mac_or_of_a_keys_line_can_change() -> None:
    for kind in ("mac", "gcp"):
        for altered in changes(line(kind, sealed()).removeprefix("# kubesec:"), sealed()):
            assert refused(altered), altered


def test_no_keys_id_can_change_where_another_key_opens() -> None:
    text = sealed(PGP, GCP, AWS)
    for ref, other in ((PGP, GCP), (GCP, PGP), (AWS, GCP)):
        for altered in changes(f"{ref}:", text):
            assert refused(altered, Keys([other])), altered


@pytest.mark.parametrize("version", ["", "0", "5", "33", "3 ", "x", "3:3"])
def test_an_unknown_version_asks_for_an_upgrade(version: str) -> None:
    with pytest.raises(InputError, match="a version of kubesec's format that is not known"):
        open_(sealed().replace("kubesec:v:4", f"kubesec:v:{version}"))


def test_without_the_versions_line_nothing_is_sealed() -> None:
    for altered in changes("\n# kubesec:v:", sealed()):
        assert refused(altered), altered


def test_no_two_tokens_can_change_places() -> None:
    found = texts(sealed())
    for one, other in combinations(found, 2):
        swapped = sealed().replace(found[one], "@").replace(found[other], found[one]).replace("@", found[other])
        assert refused(swapped), (one, other)
        copied = sealed().replace(found[other], found[one])
        assert refused(copied), (one, other)


@pytest.mark.parametrize("place", list(texts(PLAIN)))
def test_no_entry_can_go_or_move_to_another_name_or_field(place: tuple[str, str]) -> None:
    field, key = place
    other = "stringData" if field == "data" else "data"
    entry = re.search(rf"(?m)^  {key}: {re.escape(token(field, key, sealed()))}\n", sealed().replace('"', ""))
    assert entry
    assert refused(sealed().replace(entry[0], ""))
    assert refused(sealed().replace(entry[0], entry[0].replace(f"  {key}:", f"  {key}x:")))
    moved = sealed().replace(entry[0], "").replace(f"{other}:\n", f"{other}:\n{entry[0]}")
    assert refused(moved)


@pytest.mark.parametrize("new", ["eA==", "''", "iv.tag", "AAAA.BBBB"])
@pytest.mark.parametrize("field", ["data", "stringData"])
def test_no_entry_can_be_added_in_the_clear(field: str, new: str) -> None:
    with pytest.raises(AlteredError, match=rf'{field}\["added"\] is not sealed, in a Secret that is'):
        open_(sealed().replace(f"\n{field}:\n", f"\n{field}:\n  added: {new}\n"))


def test_no_entry_can_be_added_with_a_token_of_the_same_data_key() -> None:
    other = seal(PLAIN.replace("  b:", "  added:"), parent=sealed().encode())
    entry = f"  added: {token('data', 'added', other.decode())}\n"
    altered = sealed().replace("\ndata:\n", f"\ndata:\n{entry}")
    with pytest.raises(AlteredError, match="its MAC does not fit: a value, or the keyset, was altered"):
        open_(altered)


def test_an_older_token_does_not_open_in_a_newer_file() -> None:
    newer = seal(PLAIN.replace("YmI=", "eHg="), parent=sealed().encode()).decode()
    assert token("data", "a", newer) == token("data", "a", sealed())
    assert refused(newer.replace(token("data", "b", newer), token("data", "b", sealed())))


def test_key_lines_can_not_be_added_taken_or_repeated() -> None:
    text = sealed(PGP, GCP, AWS)
    stranger = line("pgp", seal(PLAIN, Want(MORE[:1])).decode())
    for kind in ("pgp", "gcp", "aws"):
        own = line(kind, text) + "\n"
        assert refused(text.replace(own, "")), kind
        assert refused(text.replace(own, own + own)), kind
        assert refused(text.replace(own, own + stranger + "\n")), kind
        assert refused(text.replace(own, own.lower() if kind == "pgp" else own.upper())), kind


def test_key_lines_of_one_kind_can_not_change_places() -> None:
    text = sealed(PGP, MORE[0])
    first, second = lines(text)[1:3]
    assert refused(text.replace(f"{first}\n{second}", f"{second}\n{first}"))


@pytest.mark.parametrize("kind", ["v", "mac"])
def test_the_versions_line_and_the_mac_stand_there_once(kind: str) -> None:
    own = line(kind, sealed()) + "\n"
    with pytest.raises(AlteredError, match="a line of kubesec's that is none, or a second one"):
        open_(sealed().replace(own, own + own))


@pytest.mark.parametrize("new", ["# kubesec:", "# kubesec:x:y", "# kubesec:age:age1x:YQ==", "# kubesec:MAC:a.b"])
def test_a_line_of_an_unknown_kind_is_refused(new: str) -> None:
    with pytest.raises(AlteredError, match="a line of kubesec's that is none, or a second one"):
        open_(f"{sealed()}{new}\n")


@pytest.mark.parametrize(
    "new", ["gcp", "gcp:", "gcp::YQ==", "gcp:x", "gcp:x:", "gcp:x:Y", "pgp:a:b:YQ==", "aws:a: YQ=="]
)
def test_a_key_line_without_its_parts_is_refused(new: str) -> None:
    with pytest.raises(AlteredError, match=r"a key's line is not <name>:<base64>|a key's line names none|that is none"):
        open_(f"{sealed()}# kubesec:{new}\n")


def test_without_keys_it_says_so() -> None:
    with pytest.raises(AlteredError, match="kubesec's lines name no key"):
        open_(sealed().replace(line("gcp", sealed()) + "\n", ""))


def test_a_file_of_other_keys_says_that_none_is_here() -> None:
    with pytest.raises(NoKeyError, match="no such key here"):
        open_(sealed(PGP, GCP), Keys([AWS]))


def test_the_envelope_of_another_file_does_not_fit() -> None:
    other = seal(PLAIN, Want((GCP,))).decode()
    for one, another in ((sealed(), other), (other, sealed())):
        assert refused(one.partition("# kubesec:")[0] + "\n".join(lines(another)) + "\n")
        assert refused(one.replace(line("mac", one), line("mac", another)))
        assert refused(one.replace(line("gcp", one), line("gcp", another)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  name: db\n", "  name: other\n"),
        ("  namespace: prod\n", ""),
        ("type: Opaque\n", "type: mine\n"),
        ("kubesec:v:4", "kubesec:v:3"),
    ],
)
def test_what_kubesecs_mac_does_not_cover_and_so_may_change(old: str, new: str) -> None:
    """Nothing to be proud of: the format is theirs, and the other reader agrees."""
    altered = sealed().replace(old, new)
    assert altered != sealed()
    assert texts(open_(altered)) == texts(PLAIN)
    assert entries(kubesec_reader.read(altered.encode(), unwrap)) == texts(PLAIN)


def test_the_one_field_may_take_the_others_name_since_the_mac_parts_nothing() -> None:
    only = HEAD + "data:\n  a: YWE=\n"
    altered = seal(only).decode().replace("\ndata:", "\nstringData:")
    assert texts(open_(altered)) == {("stringData", "a"): "YWE="}
    assert entries(kubesec_reader.read(altered.encode(), unwrap)) == {("stringData", "a"): "YWE="}


PIECES = ["", "A", "b", "0", "=", "/", ".", ":", "\n", " ", "#", "-", "# kubesec:", "kubesec", "v:3", "mac:", "data:\n"]


@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.sampled_from([0, 1, 1, 2, 60]), st.sampled_from(PIECES)),
        min_size=1,
        max_size=3,
    )
)
def test_what_opens_after_an_edit_opens_for_the_other_reader_and_to_the_same(edits: list[tuple[int, int, str]]) -> None:
    text = sealed(GCP, PGP)
    for at, length, new in edits:
        start = at % len(text)
        text = text[:start] + new + text[start + length :]
    try:
        opened = open_(text)
    except KsecretError as error:
        event(type(error).__name__)
        return
    event("opened")
    assert texts(opened) == entries(kubesec_reader.read(text.encode(), unwrap))
    assert texts(opened).items() <= texts(PLAIN).items()


def test_an_envelope_that_starts_a_file_is_written_to_its_end() -> None:
    """For neither kubesec nor ksecret finds the version's line where it is the first."""
    text = sealed()
    mac = line("mac", text) + "\n"
    own = "".join(one + "\n" for one in lines(text))
    first = mac + own.replace(mac, "") + text.replace(own, "")
    assert texts(open_(first)) == texts(open_(text))
    after = rotate_manifest(first.encode(), Want((GCP,), rotate=True).request, ALL).data
    assert texts(open_(after)) == texts(open_(text))
