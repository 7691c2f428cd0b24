"""From one format into the other and back; and kubesec's `merge`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import (
    AlreadySealedError,
    AlteredError,
    KeyRefError,
    ManifestError,
    NotSealedError,
)
from secretsvc.operations.convert import convert_manifest, superimpose
from tests.integration.test_patch import BARE, LIST, PLAIN, TWO, envelope, patch, sealed
from tests.kubesec_support import AGE, ALL, AWS, GCP, MORE, PGP, Asked, Want, independent, lines, open_, seal, texts

if TYPE_CHECKING:
    from secretsvc.operations import Result

OTHER = {"ksecret": "kubesec", "kubesec": "ksecret"}


def converted(data: bytes, to: str, want: Want = Want()) -> Result:  # noqa: B008
    return convert_manifest(data, want._replace(keys=(), format=to).request, ALL)


def merged(source: bytes, target: str, want: Want = Want()) -> Result:  # noqa: B008
    return superimpose(source, target.encode(), want._replace(keys=(), format="").request, ALL)


@pytest.mark.parametrize("format_", OTHER)
def test_values_and_keyset_come_along_and_the_data_key_does_not(format_: str) -> None:
    before = sealed(format_, PLAIN, GCP, PGP, AWS, *MORE)
    after = converted(before, OTHER[format_])
    assert texts(open_(after.data)) == texts(PLAIN)
    assert all(str(ref).encode() in after.data for ref in (GCP, PGP, AWS, *MORE))
    assert after.bound == (format_ == "ksecret")
    if format_ == "ksecret":
        assert independent(after.data) == texts(PLAIN)
        assert b"\nksecret:" not in after.data
    else:
        assert lines(after.data) == []
        assert envelope(after.data).sealed_for == "prod/db"
    wrapped = re.compile(rb"(?:LS0tLS1|[A-Za-z0-9+/]{60})[A-Za-z0-9+/=]*")
    assert not set(wrapped.findall(before)) & set(wrapped.findall(after.data))


def test_there_and_back_keeps_every_byte_around_the_values() -> None:
    there = converted(sealed("ksecret"), "kubesec").data
    back = converted(there, "ksecret").data
    expected = PLAIN.replace("  block: |\n    one\n    two\n", '  block: "one\\ntwo\\n"\n')
    assert open_(back).decode() == expected.replace('"YmI="', "YmI=") == open_(there).decode()


@pytest.mark.parametrize(
    "plain",
    [BARE.rstrip("\n"), BARE.replace("\n", "\r\n"), "\ufeff" + BARE, f"---\n{BARE}...\n", BARE + "# end",
     '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"stringData":{"a":"text"}}'],
)  # fmt: skip
def test_layouts_of_every_kind_come_back(plain: str) -> None:
    there = converted(sealed("ksecret", plain), "kubesec").data
    assert texts(open_(there)) == texts(plain)
    back = open_(converted(there, "ksecret").data).decode()
    assert back in (plain, plain.replace('a: "text"', "a: text"))


@pytest.mark.parametrize("format_", OTHER)
def test_the_keyset_may_change_on_the_way(format_: str) -> None:
    before = sealed(format_, PLAIN, GCP, AWS)
    for want, there, gone in (
        (Want(add=(PGP,)), PGP, None),
        (Want(remove=(AWS,)), GCP, AWS),
        (Want(exact=(PGP,)), PGP, GCP),
    ):
        after = converted(before, OTHER[format_], want).data
        assert str(there).encode() in after
        assert gone is None or str(gone).encode() not in after
        assert texts(open_(after)) == texts(PLAIN)


@pytest.mark.parametrize("format_", OTHER)
def test_what_has_that_format_already_says_so(format_: str) -> None:
    with pytest.raises(AlreadySealedError, match=f"it is in {format_}'s format already"):
        converted(sealed(format_), format_)


def test_what_is_not_sealed_says_so() -> None:
    for to in OTHER:
        with pytest.raises(NotSealedError, match="no Secret in it is sealed"):
            converted(PLAIN.encode(), to)


def test_what_kubesecs_format_has_no_place_for_stays_as_it_is() -> None:
    with pytest.raises(KeyRefError, match="kubesec's format has no keys of the kind age:"):
        converted(sealed("ksecret", PLAIN, GCP, AGE), "kubesec")
    for plain in (TWO, LIST):
        with pytest.raises(ManifestError, match="one Secret per file, and nothing else"):
            converted(sealed("ksecret", plain), "kubesec")
    with pytest.raises(ManifestError, match="holds a NUL"):
        converted(sealed("ksecret", PLAIN.replace("s: text", 's: "a\\0"')), "kubesec")


def test_age_keys_may_be_left_behind() -> None:
    after = converted(sealed("ksecret", PLAIN, GCP, AGE), "kubesec", Want(remove=(AGE,))).data
    assert independent(after) == texts(PLAIN)
    assert str(AGE).encode() not in after


@pytest.mark.parametrize("scope", ["strict", "namespace", "any"])
def test_a_scope_may_be_named_on_the_way_in(scope: str) -> None:
    after = converted(sealed("kubesec"), "ksecret", Want(scope=scope)).data
    assert envelope(after).sealed_for == {"strict": "prod/db", "namespace": "prod/*", "any": "*/*"}[scope]


def test_an_altered_file_is_not_converted_and_one_without_a_mac_only_where_somebody_vouches_for_it() -> None:
    text = sealed("kubesec").decode()
    with pytest.raises(AlteredError, match="its MAC does not fit"):
        converted(re.sub("(?m)^  a: .*\n", "", text).encode(), "ksecret")
    without = re.sub("(?m)^# kubesec:mac:.*\n", "", text).encode()
    with pytest.raises(AlteredError, match="it has no MAC"):
        converted(without, "ksecret")
    asked = Asked()
    assert texts(open_(converted(without, "ksecret", Want(trust=asked)).data)) == texts(PLAIN)
    assert len(asked.told) == 1


@pytest.mark.parametrize("format_", OTHER)
def test_a_secret_that_lost_its_last_value_keeps_its_keys_for_the_next_one(format_: str) -> None:
    plain = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n"
    empty = patch(sealed(format_, plain + "data:\n  a: YWE=\n", GCP, PGP), data={"a": None})
    after = converted(empty, OTHER[format_]).data
    assert open_(after).decode() == plain
    filled = patch(after, data={"b": b"x"})
    assert all(str(ref).encode() in filled for ref in (GCP, PGP))
    assert texts(open_(filled)) == {("data", "b"): "eA=="}


# -- merge


TARGET = """\
# new
apiVersion: v1
kind: Secret
metadata:
  name: db-2
data:
  a: ""   # from the source
  d: ZA==
stringData:
  s: ''
"""


@pytest.mark.parametrize("format_", OTHER)
def test_a_target_gets_the_sources_values_keys_and_format(format_: str) -> None:
    source = sealed(format_, PLAIN, GCP, PGP)
    after = merged(source, TARGET)
    quoted, plain = TARGET.replace('""', '"YWE="').replace("''", "'text'"), TARGET.replace('""', "YWE=")
    expected = quoted if format_ == "ksecret" else plain.replace("''", "text")  # kubesec's has no place for quotes
    assert open_(after.data).decode() == expected
    assert all(str(ref).encode() in after.data for ref in (GCP, PGP))
    assert after.bound == (format_ == "ksecret")
    if format_ == "kubesec":  # bound to no name, so the tokens can stay
        assert independent(after.data) == texts(expected)
        assert texts(after.data)["data", "a"] == texts(source)["data", "a"]
        assert lines(after.data)[:-1] == lines(source)[:-1]
    else:
        assert envelope(after.data).sealed_for == "db-2"


@pytest.mark.parametrize("format_", OTHER)
def test_an_entry_that_the_target_lacks_does_not_come_along(format_: str) -> None:
    after = merged(sealed(format_), TARGET)
    assert ("data", "b") not in texts(after.data)
    assert ("stringData", "block") not in texts(after.data)


@pytest.mark.parametrize("format_", OTHER)
def test_a_target_with_entries_that_the_source_has_all(format_: str) -> None:
    source = sealed(format_)
    same = merged(source, PLAIN)
    assert same.data == source
    texts_apart = merged(source, PLAIN.replace("YWE=", "eA==").replace("text\n", "changed\n"))
    assert texts(open_(texts_apart.data)) == texts(PLAIN)


def test_a_key_more_or_less_on_the_way() -> None:
    for format_ in OTHER:
        source = sealed(format_, PLAIN, GCP, PGP)
        after = merged(source, TARGET, Want(add=(AWS,), remove=(PGP,))).data
        assert str(AWS).encode() in after
        assert str(PGP).encode() not in after
        assert not set(texts(after).values()) & set(texts(source).values())


def test_merge_wants_a_sealed_source_and_a_target_in_the_clear_with_one_secret_each() -> None:
    with pytest.raises(NotSealedError, match="no Secret in it is sealed"):
        merged(PLAIN.encode(), TARGET)
    for format_ in OTHER:
        with pytest.raises(AlreadySealedError, match="merge takes a target in the clear"):
            merged(sealed("ksecret"), sealed(format_).decode())
    for source, target in ((sealed("ksecret", TWO), TARGET), (sealed("ksecret"), TWO), (sealed("kubesec"), "# c\n")):
        with pytest.raises(ManifestError, match="one Secret each"):
            merged(source, target)


def test_an_altered_source_lends_nothing() -> None:
    source = re.sub(rb"(?m)^  c: .*\n", b"", sealed("kubesec"))
    with pytest.raises(AlteredError, match="its MAC does not fit"):
        merged(source, TARGET)


def test_a_targets_value_that_is_not_base64_is_refused_unless_the_source_has_it() -> None:
    for format_ in OTHER:
        assert seal(open_(merged(sealed(format_), TARGET.replace('a: ""', "a: not base64")).data))
        with pytest.raises(ManifestError, match=r'data\["d"\] is not base64'):
            merged(sealed(format_), TARGET.replace("ZA==", "not base64"))
