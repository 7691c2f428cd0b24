"""Files that are sealed in part, or prove nothing, and what kubesec's format has no place for: refused, by name."""

from __future__ import annotations

import re
from typing import Any

import pytest

from secretsvc.errors import (
    AlreadySealedError,
    AlteredError,
    KeyRefError,
    KsecretError,
    ManifestError,
    NothingToSealError,
    NotSealedError,
    UsageError,
)
from secretsvc.keyref import KeyRef
from tests.integration.test_kubesec_format import HEAD, PLAIN, line, sealed, token
from tests.kubesec_support import (
    AGE,
    AWS,
    GCP,
    PGP,
    Asked,
    Want,
    independent,
    lines,
    open_,
    seal,
    texts,
)
from tests.support import spoilt

# -- sealed in part


@pytest.mark.parametrize("entry", ["added: eA==", 'added: ""', "added: |\n    eA==", "0.9-x_: 'eA=='"])
def test_an_entry_added_in_the_clear_is_sealed_and_the_rest_stays(entry: str) -> None:
    text = sealed(GCP, PGP).replace("\ndata:\n", f"\ndata:\n  {entry}\n")
    again = seal(text).decode()
    assert independent(again) == texts(PLAIN.replace("\ndata:\n", f"\ndata:\n  {entry}\n"))
    rest = {place: value for place, value in texts(again).items() if place[1] not in ("added", "0.9-x_")}
    assert rest == texts(sealed(GCP, PGP))
    assert lines(again)[:-1] == lines(text)[:-1]


def test_a_value_replaced_in_the_clear_is_refused() -> None:
    """It may be anybody's: the MAC proves no less than all the values that it was made over."""
    text = sealed().replace(token("data", "a", sealed()), "eA==")
    with pytest.raises(AlteredError, match="its MAC does not fit"):
        seal(text)
    asked = Asked()
    assert independent(seal(text, Want(trust=asked))) == texts(PLAIN) | {("data", "a"): "eA=="}
    assert [one.entries for one in asked.told] == [("data/b", "data/empty", "stringData/a", "stringData/z")]


def test_an_entry_added_that_is_not_base64_is_refused() -> None:
    with pytest.raises(ManifestError, match=r'data\["added"\] is not base64'):
        seal(sealed().replace("\ndata:\n", "\ndata:\n  added: not base64\n"))


@pytest.mark.parametrize("rest", ["", "data: {a: eA==}\n"])
def test_a_field_that_only_looks_like_one_of_a_secret_is_refused(rest: str) -> None:
    with pytest.raises(ManifestError, match="this is no field of a Secret"):
        seal(PLAIN[: PLAIN.index("\ndata:")] + f"\n{rest}stringdata: {{b: x}}\n")


# -- without a MAC


def unproven(version: str) -> str:
    without = re.sub(r"(?m)^# kubesec:mac:.*\n", "", sealed(GCP, PGP))
    return without.replace("kubesec:v:4", f"kubesec:v:{version}")


@pytest.mark.parametrize("version", ["1", "2", "3", "4"])
def test_a_file_without_a_mac_is_refused_and_gets_one_from_who_vouches_for_it(version: str) -> None:
    with pytest.raises(AlteredError, match=rf"it has no MAC \(version {version} of kubesec's format\)"):
        open_(unproven(version))
    with pytest.raises(AlteredError, match="it has no MAC"):
        seal(unproven(version), Want(add=(AWS,)))
    asked = Asked()
    again = seal(unproven(version), Want(trust=asked)).decode()
    assert independent(again) == texts(PLAIN)
    assert texts(again) == texts(sealed(GCP, PGP))
    assert [one.partition(":")[2][:2] for one in lines(again)] == ["v:", "pg", "gc", "ma"]
    (told,) = asked.told
    assert told.label == "prod/db"
    assert told.why == "it has no MAC"
    assert set(told.keys) == {str(GCP), str(PGP)}
    assert told.entries == ("data/a", "data/b", "data/empty", "stringData/a", "stringData/z")


def test_what_has_only_data_becomes_version_3() -> None:
    plain = HEAD + "data:\n  a: YWE=\n"
    old = re.sub(r"(?m)^# kubesec:mac:.*\n", "", seal(plain).decode()).replace("v:3", "v:2")
    again = seal(old, Want(trust=Asked()))
    assert line("v", again.decode()) == "# kubesec:v:3"
    assert independent(again) == texts(plain)


def test_who_does_not_vouch_leaves_it_refused() -> None:
    asked = Asked(answer=False)
    with pytest.raises(AlteredError, match="it has no MAC"):
        seal(unproven("2"), Want(trust=asked))
    assert len(asked.told) == 1


def test_a_mac_that_does_not_fit_is_made_anew_by_who_vouches_for_it() -> None:
    mac = line("mac", sealed())
    altered = sealed().replace(mac, spoilt(mac, 15))
    asked = Asked()
    assert independent(seal(altered, Want(trust=asked))) == texts(PLAIN)
    assert asked.told[0].why == "its MAC does not fit: a value, or the keyset, was altered"


def test_nobody_is_asked_about_a_file_whose_mac_fits() -> None:
    asked = Asked()
    with pytest.raises(AlreadySealedError, match="it is sealed already"):
        seal(sealed(), Want(trust=asked))
    assert seal(sealed(), Want(add=(AWS,), trust=asked)) != sealed().encode()
    assert asked.told == []


def test_who_vouches_for_a_file_does_not_vouch_for_an_altered_value() -> None:
    bad = token("data", "a", unproven("2"))
    altered = unproven("2").replace(bad, spoilt(bad, 0))
    with pytest.raises(AlteredError, match="the value of a was altered, or copied from another key"):
        seal(altered, Want(trust=Asked()))


# -- what this format has no place for


TWO = PLAIN + "---\n" + PLAIN.replace("name: db", "name: two")
LIST = "apiVersion: v1\nkind: List\nitems:\n- " + PLAIN.rstrip().replace("\n", "\n  ") + "\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  a: b\n"


@pytest.mark.parametrize(
    "text",
    [TWO, LIST, LIST.replace("kind: List", "kind: SecretList"), PLAIN + "---\n" + CONFIG, CONFIG + "---\n" + PLAIN,
     PLAIN + "---\n", "---\n---\n" + PLAIN],
    ids=["two", "list", "typed list", "map behind", "map before", "empty behind", "empty before"],
)  # fmt: skip
def test_a_file_that_holds_more_than_one_secret_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="kubesec's format holds one Secret per file, and nothing else"):
        seal(text)


@pytest.mark.parametrize("text", [CONFIG, CONFIG + "---\n" + HEAD, HEAD + "---\n" + HEAD, "", "# c\n"])
def test_nothing_to_seal_is_said(text: str) -> None:
    with pytest.raises(NothingToSealError, match=r"no values|it is a ConfigMap|it is empty|but comments"):
        seal(text)


@pytest.mark.parametrize("fields", ["", "data: {}\n", "data:\nstringData: null\n"])
def test_a_secret_without_values_gets_its_lines_as_from_kubesec(fields: str) -> None:
    plain = HEAD + fields
    empty = seal(plain, Want((GCP, PGP)))
    assert empty.startswith(plain.encode())
    assert sorted(one.partition(":")[2][:2] for one in lines(empty)) == ["gc", "ma", "pg", "v:"]
    assert independent(empty) == {}
    assert open_(empty) == plain.encode()
    with pytest.raises(AlreadySealedError, match="it is sealed already, in kubesec's format"):
        seal(empty)


@pytest.mark.parametrize("before", ["", "# c\n", "\ufeff", "# c\r"])
@pytest.mark.parametrize("directive", ["%YAML 1.1", "%YAML 1.2", "%TAG ! tag:example.com,2000:"])
def test_a_file_with_a_directive_is_refused_as_kubesec_could_not_open_it(before: str, directive: str) -> None:
    newline = "\r" if before.endswith("\r") else "\n"
    with pytest.raises(ManifestError, match="kubesec opens no file with a directive of YAML's") as caught:
        seal(f"{before}{directive}{newline}---{newline}{PLAIN}")
    assert caught.value.line == before.count("\n") + 1  # a lone CR ends a line for YAML, and not for people


def test_a_percent_sign_that_is_no_directive_is_taken() -> None:
    plain = f"# 100\n# %YAML 1.1\n{PLAIN}  p: |\n    %YAML 1.1\n"
    assert texts(open_(seal(plain))) == texts(plain)


@pytest.mark.parametrize("keys", [(AGE,), (PGP, AGE)])
def test_keys_of_other_kinds_are_refused(keys: Any) -> None:
    with pytest.raises(KeyRefError, match="kubesec's format has no keys of the kind age:"):
        seal(PLAIN, Want(keys))
    with pytest.raises(KeyRefError, match="kubesec's format has no keys of the kind age:"):
        seal(sealed(), Want(exact=keys))


def test_more_than_twelve_keys_of_one_kind_keep_their_order() -> None:
    """None counts before another, so kubesec's sorting moves none, whatever its version of Go."""
    many = tuple(KeyRef("gcp", f"{GCP.id}{number:02}") for number in range(40))
    some = seal(PLAIN, Want(many[20:]))
    more = seal(some, Want(add=many[:20]))
    assert [one.split(":")[2] for one in lines(more)[1:-1]] == [ref.id for ref in many[20:] + many[:20]]
    for text in (some, more):
        assert independent(text) == texts(PLAIN)
        assert open_(text) == open_(seal(PLAIN))


def test_more_than_twelve_keys_of_which_kubesec_sorts_some_are_refused() -> None:
    many = tuple(KeyRef("gcp", f"{GCP.id}{number:02}") for number in range(12))
    assert independent(seal(PLAIN, Want((*many[1:], PGP)))) == texts(PLAIN)
    with pytest.raises(KeyRefError, match="kubesec's format takes at most 12 keys of kinds that it sorts"):
        seal(PLAIN, Want((*many, PGP)))


@pytest.mark.parametrize("value", ['"\\0"', '"text\\0text"', '"text\\0"', '"\\x00"'])
def test_a_nul_in_a_value_is_refused(value: str) -> None:
    with pytest.raises(ManifestError, match=r'stringData\["nul"\] holds a NUL') as caught:
        seal(PLAIN + f"  nul: {value}\n")
    assert caught.value.line == PLAIN.count("\n") + 1


@pytest.mark.parametrize("comment", ["# kubesec:v:3", "# kubesec:", "# kubesec:mac:x", "# kubesec:note"])
@pytest.mark.parametrize("place", ["\ndata:\n", "\ntype: Opaque\n", "\n  a: YWE=\n", "apiVersion: v1\n"])
def test_comments_that_kubesec_would_take_for_its_own_are_refused(comment: str, place: str) -> None:
    if comment == "# kubesec:v:3" and not PLAIN.startswith(place):
        expected = "kubesec's lines name no key"
    else:
        expected = "a comment that kubesec would take for its own"
    text = PLAIN.replace(place, f"\n{comment}{place}" if place[0] == "\n" else f"{comment}\n{place}", 1)
    with pytest.raises(KsecretError, match=expected):
        seal(text)


def test_comments_that_only_look_like_kubesecs_stay() -> None:
    text = PLAIN.replace("data:\n", "data: # kubesec:v:3\n  # kubesec:mac:x\n#kubesec:v:1\n#  kubesec:\n", 1)
    assert independent(seal(text)) == texts(PLAIN)
    assert b"data: # kubesec:v:3\n  # kubesec:mac:x\n#kubesec:v:1\n#  kubesec:\n" in seal(text)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_line_of_kubesecs_inside_a_value_of_several_lines_is_refused(quote: str) -> None:
    flow = "{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {a: 'x'}, note: NOTE}\n"
    inside = flow.replace("NOTE", f"{quote}text\n# kubesec:v:3\n# kubesec:mac:x\n{quote}")
    with pytest.raises(ManifestError, match="a line of kubesec's inside a value"):
        open_(inside)
    with pytest.raises(ManifestError, match="a line of kubesec's inside a value"):
        seal(inside)
    later = flow.replace("NOTE", f"{quote}text\n# kubesec:mac:x\n{quote}")
    with pytest.raises(ManifestError, match="a comment that kubesec would take for its own"):
        seal(later)


def test_a_sealed_file_with_a_key_line_inside_a_value_is_refused() -> None:
    flow = "{apiVersion: v1, kind: Secret, metadata: {name: db, labels: {n: 'NOTE'}}, stringData: {a: 'x'}}\n"
    text = seal(flow, Want((GCP, PGP))).decode()
    hidden = text.replace(line("pgp", text) + "\n", "").replace("NOTE", f"\n{line('pgp', text)}\n")
    with pytest.raises(ManifestError, match="a line of kubesec's inside a value"):
        open_(hidden)


def test_a_file_with_both_envelopes_is_refused() -> None:
    ours = seal(PLAIN, Want(format="ksecret")).decode()
    both = ours + "\n".join(lines(sealed())) + "\n"
    for work in (open_, seal):
        with pytest.raises(ManifestError, match="sealed twice: it has kubesec's lines and an envelope of ksecret's"):
            work(both)


def test_kubesecs_lines_over_several_secrets_are_refused() -> None:
    envelope = "\n".join(lines(sealed())) + "\n"
    for text in (TWO + envelope, CONFIG + envelope, sealed() + "---\n" + PLAIN):
        for work in (open_, seal):
            with pytest.raises(ManifestError, match="this file does not hold exactly one"):
                work(text)


def test_a_scope_is_refused_since_the_format_binds_to_nothing() -> None:
    with pytest.raises(UsageError, match="binds a Secret to no name and no namespace"):
        seal(PLAIN, Want(scope="strict"))


def test_what_is_not_sealed_says_so() -> None:
    for text in (PLAIN, "# kubesec:v:3\n" + PLAIN, PLAIN.replace("data:", "data: # kubesec:v:3", 1)):
        with pytest.raises(NotSealedError, match="no Secret in it is sealed"):
            open_(text)


def test_a_leaking_annotation_and_a_value_that_is_not_base64_are_refused() -> None:
    last_applied = "kubectl.kubernetes.io/last-applied-configuration"
    leaking = PLAIN.replace(
        "  name: db\n", f'  name: db\n  annotations:\n    {last_applied}: \'{{"data":{{"a":"x"}}}}\'\n'
    )
    with pytest.raises(ManifestError, match="repeats the data in the clear"):
        seal(leaking)
    with pytest.raises(ManifestError, match=r'data\["a"\] is not base64'):
        seal(PLAIN.replace("YWE=", "not base64"))


def test_more_than_twelve_keys_are_taken_of_one_kind_only() -> None:
    """Of kinds that kubesec sorts, the order of more depends on the Go that it was built with."""
    pgp = [KeyRef("pgp", f"{number:040X}") for number in range(1, 14)]
    assert len(lines(seal(PLAIN, Want(keys=tuple(pgp))))) == 15
    seal(PLAIN, Want(keys=(*pgp[:11], GCP)))
    with pytest.raises(KeyRefError, match="at most 12 keys of kinds that it sorts"):
        seal(PLAIN, Want(keys=(*pgp[:12], GCP)))
