"""`patch` in both formats: identity, keyset, which of several Secrets, and files that are not as they should be."""

from __future__ import annotations

import re

import pytest

from secretsvc.errors import AlteredError, InputError, KeyRefError, KsecretError, ManifestError, NotSealedError
from secretsvc.formats.kubesec.crypto import Dek
from secretsvc.manifest.reader import read
from secretsvc.operations import Result
from secretsvc.operations.get import get_value
from secretsvc.operations.request import Changes
from tests.integration.test_patch import (
    BARE,
    FORMATS,
    LATER,
    LIST,
    PLAIN,
    TWO,
    changed,
    envelope,
    opens_to,
    patch,
    sealed,
)
from tests.kubesec_support import ALL, AWS, GCP, MORE, PGP, Asked, Want, independent, lines, open_, texts
from tests.support import spoilt, wrapped_keys

# -- identity, keyset, data key


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("new", "namespace", "name"),
    [
        ({"name": "other"}, "prod", "other"),
        ({"namespace": "test"}, "test", "db"),
        ({"name": "y", "namespace": "1"}, "1", "y"),
    ],
)
def test_another_identity(format_: str, new: dict[str, str], namespace: str, name: str) -> None:
    before = sealed(format_)
    after = patch(before, metadata=new)
    (secret,) = read(open_(after)).secrets
    assert (secret.namespace, secret.name) == (namespace, name)
    assert texts(open_(after)) == texts(PLAIN)
    if format_ == "kubesec":  # bound to nothing
        assert texts(after) == texts(before)
        assert lines(after) == lines(before)
        assert independent(after) == texts(PLAIN)
    else:
        assert not set(texts(after).values()) & set(texts(before).values())
        assert envelope(after).sealed_for == f"{namespace}/{name}"
        assert envelope(after).created == LATER
        moved = re.sub(rb"sealedFor: .*", b"sealedFor: prod/db", after)
        with pytest.raises(AlteredError, match=r"seal does not fit|was sealed for"):
            open_(moved)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_namespace_where_there_was_none(format_: str) -> None:
    after = patch(sealed(format_, BARE), metadata={"namespace": "prod"})
    opens_to(after, BARE.replace("  name: x\n", "  name: x\n  namespace: prod\n"))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_key_more_with_a_changed_value(format_: str) -> None:
    before = sealed(format_)
    after = patch(before, Want(add=(AWS, PGP)), data={"a": b"new"})
    assert {place for place, token in texts(after).items() if texts(before)[place] != token} == {("data", "a")}
    assert all(str(ref).encode() in after for ref in (GCP, AWS, PGP))
    opens_to(after, PLAIN.replace("YWE=", "bmV3"))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_key_less_or_a_rotation_makes_everything_new(format_: str) -> None:
    before = sealed(format_, PLAIN, GCP, AWS, MORE[0])
    for want in (Want(remove=(AWS,)), Want(rotate=True), Want(exact=(GCP,)), Want(remove=(AWS,), add=(PGP,))):
        after = patch(before, want, data={"a": b"new"})
        assert not set(texts(after).values()) & set(texts(before).values())
        assert (str(AWS).encode() in after) == want.rotate
        opens_to(after, PLAIN.replace("YWE=", "bmV3"))


@pytest.mark.parametrize("format_", FORMATS)
def test_impossible_keysets_are_refused(format_: str) -> None:
    with pytest.raises(KeyRefError, match="it is not in the keyset"):
        patch(sealed(format_), Want(remove=(AWS,)))
    with pytest.raises(KeyRefError, match="would leave none"):
        patch(sealed(format_), Want(remove=(GCP,)))


# -- which Secret


@pytest.mark.parametrize("plain", [TWO, LIST], ids=["documents", "list"])
@pytest.mark.parametrize("which", ["two", "prod/two"])
def test_of_several_the_named_one_changes(plain: str, which: str) -> None:
    before = sealed("ksecret", plain)
    after = patch(before, which=which, string_data={"a": "new", "b": "more"})
    assert open_(after).decode() == plain.replace(
        "a: text", "a: new\n  b: more" if plain == TWO else "a: new\n    b: more"
    )
    removed = patch(after, which=which, string_data={"b": None})
    assert [line.split(":")[0].strip() for line in changed(before, removed)] == ["a"]
    with pytest.raises(InputError, match="it holds 2 Secrets that could be meant: prod/db, prod/two"):
        patch(before, data={"a": b"x"})
    with pytest.raises(InputError, match="there is no such Secret in it"):
        patch(before, which="three", data={"a": b"x"})


def test_the_other_secret_of_a_file_may_be_in_the_clear() -> None:
    before = sealed("ksecret", BARE) + b"---\n" + BARE.replace("name: x", "name: clear").encode()
    with pytest.raises(KsecretError, match="sealed"):
        patch(before, which="clear", string_data={"a": "new"})


@pytest.mark.parametrize("format_", FORMATS)
def test_a_wrong_name_is_refused_where_there_is_one_secret_too(format_: str) -> None:
    with pytest.raises(InputError, match="there is no such Secret in it"):
        patch(sealed(format_), which="other", data={"a": b"x"})
    assert patch(sealed(format_), which="prod/db", data={"a": b"x"})


def test_what_is_not_sealed_is_not_patched() -> None:
    with pytest.raises(NotSealedError, match="no Secret in it is sealed"):
        patch(PLAIN.encode(), data={"a": b"x"})


# -- files that are not as they should be


def test_an_altered_file_is_not_patched_in_either_format() -> None:
    for format_ in FORMATS:
        before = sealed(format_).decode()
        token = texts(before)["data", "c"]
        altered = before.replace(token, spoilt(token, 20))
        with pytest.raises(AlteredError, match="was altered"):
            patch(altered.encode(), data={"a": b"new"})
        with pytest.raises(AlteredError, match=r'data\["c"\] is not sealed, in a Secret that is'):
            patch(before.replace(token, "Y2M=").encode(), data={"a": b"new"})


def test_a_file_without_a_mac_is_patched_where_somebody_vouches_for_it() -> None:
    old = re.sub(rb"(?m)^# kubesec:mac:.*\n", b"", sealed("kubesec")).replace(b"v:4", b"v:2")
    with pytest.raises(AlteredError, match="it has no MAC"):
        patch(old, data={"a": b"new"})
    asked = Asked()
    opens_to(patch(old, Want(trust=asked), data={"a": b"new"}), PLAIN.replace("YWE=", "bmV3"))
    assert len(asked.told) == 1


def test_a_value_of_kubesecs_that_is_no_base64_can_be_replaced() -> None:
    """kubesec checks it nowhere, so its files may hold any text under data."""
    before = sealed("kubesec", PLAIN)
    dek = Dek(ALL.unwrap(wrapped_keys({str(GCP): lines(before)[1].rpartition(":")[2]})))
    odd = before.decode().replace(texts(before)["data", "a"], dek.seal_value("not base64", "a"))
    mac = dek.mac(texts(PLAIN) | {("data", "a"): "not base64"}, [GCP.id])
    odd = re.sub("# kubesec:mac:.*", lambda _: f"# kubesec:mac:{mac}", odd)
    assert texts(open_(odd))["data", "a"] == "not base64"
    opens_to(patch(odd.encode(), data={"a": b"new"}), PLAIN.replace("YWE=", "bmV3"))
    assert texts(open_(patch(odd.encode(), data={"c": b"new"})))["data", "a"] == "not base64"
    assert get_value(odd.encode(), "c", ALL) == Result(b"cc", 1, bound=False)
    with pytest.raises(ManifestError, match=r'data\["a"\] is not base64'):
        get_value(odd.encode(), "a", ALL)


def test_a_nul_is_refused_in_kubesecs_format_alone() -> None:
    with pytest.raises(ManifestError, match=r'stringData\["s"\] holds a NUL'):
        patch(sealed("kubesec"), string_data={"s": "a\0b"})
    assert texts(open_(patch(sealed("ksecret"), string_data={"s": "a\0b"})))["stringData", "s"] == "a\0b"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_token_is_no_value(format_: str) -> None:
    before = sealed(format_)
    with pytest.raises(ManifestError, match=r'stringData\["s"\] would be a token, not a value'):
        patch(before, string_data={"s": texts(before)["stringData", "s"]})


def test_a_token_of_another_place_is_no_value() -> None:
    before = sealed("kubesec")
    for place in ("s", "new"):
        with pytest.raises(ManifestError, match="is a token of kubesec's, and nothing opens it here"):
            patch(before, string_data={place: texts(before)["data", "a"]})
    with pytest.raises(ManifestError, match=r'stringData\["new"\] would be a token, not a value'):
        patch(sealed("ksecret"), string_data={"new": texts(sealed("ksecret"))["data", "a"]})


def test_changes_show_no_value() -> None:
    assert repr(Changes({"a": b"n0t-public"})) == "Changes(masked)"
