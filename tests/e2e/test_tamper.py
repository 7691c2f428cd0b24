"""What an altered, moved or recombined sealed file comes to: an error and no value. And what may change."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import (
    AlteredError,
    InputError,
    KeyNotHeldError,
    KsecretError,
    ManifestError,
    NoKeyError,
)
from tests.e2e.cli import MANIFEST, PASSWORD, URL, USER, Person, b64, member
from tests.support import LOCK, new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TWO = MANIFEST + b"---\n" + MANIFEST.replace(b"name: db", b"name: two")
PLACES = ("username", "password", "url", "seal", "sealedFor", "created", "type", "name", "namespace")


@cache
def sealed(data: bytes = MANIFEST, scope: str = "") -> str:
    return LOCK.seal(data, scope=scope).decode()


def opened(text: str) -> bytes:
    return LOCK.open_(text.encode())


def outcome(text: str) -> type[KsecretError] | bytes:
    """The class of what opening raises, or what it gives."""
    try:
        return opened(text)
    except KsecretError as error:
        return type(error)


def value(name: str, text: str | None = None) -> str:
    return member((text or sealed()).encode(), name).partition("   #")[0].strip('"')


def put(name: str, new: str, text: str | None = None) -> str:
    """The sealed text with another text after `name:`, its quotes and comment kept."""
    text = text or sealed()
    old = value(name, text)
    found = re.sub(rf'(?m)^( *{re.escape(name)}: "?){re.escape(old)}', lambda match: match[1] + new, text)
    assert old == new or found != text
    return found


def others(character: str) -> set[str]:
    """Another letter, the other case, the neighbour."""
    neighbour = chr(ord(character) + 1) if character not in "zZ9" and character.isalnum() else "0"
    return {"A", "b", "7", character.swapcase(), neighbour} - {character}


def changed_once(text: str) -> Iterator[str]:
    for at, character in enumerate(text):
        for new in sorted(others(character)):
            yield text[:at] + new + text[at + 1 :]


def test_the_file_as_it_was_sealed_opens() -> None:
    assert opened(sealed()) == MANIFEST
    assert opened(sealed(TWO)) == TWO


@pytest.mark.parametrize("name", PLACES)
def test_no_single_character_can_change(name: str) -> None:
    found = Counter(outcome(put(name, new)) for new in changed_once(value(name)))
    assert found.keys() == {AlteredError}
    assert found.total() >= 3 * len(value(name))


def test_no_single_character_of_a_key_ref_can_change() -> None:
    """In the name it no longer fits the seal; in the scheme there is no backend, so no key, if it is one at all."""
    (ref,) = map(str, LOCK.keys)
    for new in changed_once(ref):
        scheme, colon, _ = new.partition(":")
        of_a_plugin = colon and scheme.isascii() and scheme.isalnum() and scheme == scheme.lower() != "age"
        expected = KeyNotHeldError if of_a_plugin else AlteredError
        assert outcome(sealed().replace(ref, new)) is expected


def test_no_character_of_the_wrapped_data_key_can_change_what_is_opened() -> None:
    """But for the last four: spare bits of base64 there stand for nothing, and the seal does not cover them."""
    (ref,) = map(str, LOCK.keys)
    wrapped = value(ref)
    for at in range(0, len(wrapped) - 4, 7):
        for new in sorted(others(wrapped[at]))[:2]:
            text = put(ref, wrapped[:at] + new + wrapped[at + 1 :])
            with pytest.raises((AlteredError, NoKeyError), match=r"altered|none of the age identities|not base64"):
                opened(text)


@pytest.mark.parametrize("name", ["username", "password", "url", "seal"])
def test_base64_in_another_spelling_is_refused(name: str) -> None:
    text = value(name)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bare = text.rstrip("=")
    assert bare != text, "the fixture's length must leave spare bits"
    twin = alphabet[alphabet.index(bare[-1]) + 1]  # same bytes to a lenient decoder
    spellings = [
        bare,
        text + "=",
        bare[:-1] + twin + "=" * (len(text) - len(bare)),
        text[:30] + "\\n" + text[30:],
        text[:30] + " " + text[30:],
        " " + text,
        text + " ",
        text[:30] + "-" + text[31:],
        text[:30] + "\\u200b" + text[30:],
        text[:30] + "\\0" + text[30:],
        text[: len(text) // 2],
        text.replace("ksecret.v1.", "ksecret.v1.ksecret.v1."),
        text + text,
        "ksecret.v1.",
        "",
    ]
    for spelling in spellings:
        if spelling == text:
            continue
        quoted = re.sub(rf"(?m)^( *{name}: ).*$", lambda match, new=spelling: f'{match[1]}"{new}"', sealed())
        with pytest.raises(AlteredError, match=r"was altered|seal does not fit|is not sealed"):
            opened(quoted)


def test_tokens_do_not_open_in_each_others_place() -> None:
    for one, two in (("username", "password"), ("username", "url"), ("url", "password")):
        first, second = value(one), value(two)
        for text in (put(one, second, put(two, first)), put(one, second), put(two, first)):
            with pytest.raises(AlteredError, match="was altered, or copied from another place"):
                opened(text)


def test_tokens_do_not_open_under_another_key_or_field() -> None:
    renamed = sealed().replace("  username:", "  user:")
    with pytest.raises(AlteredError, match=r'data\["user"\] was altered'):
        opened(renamed)
    copied = sealed().replace("  username:", f"  copy: {value('username')}\n  username:")
    with pytest.raises(AlteredError, match=r'data\["copy"\] was altered'):
        opened(copied)
    other_field = sealed().replace("stringData:\n", f"stringData:\n  username: {value('username')}\n")
    with pytest.raises(AlteredError, match=r'stringData\["username"\] was altered'):
        opened(other_field)
    as_data = (
        sealed().replace("\ndata:", "\nheld:").replace("\nstringData:", "\ndata:").replace("\nheld:", "\nstringData:")
    )
    with pytest.raises(AlteredError, match="was altered"):
        opened(as_data)


def test_nothing_goes_from_one_secret_to_another() -> None:
    first, second = sealed(TWO).split("---\n")
    for name in ("username", "seal", "sealedFor", "created", str(LOCK.keys[0])):
        if value(name, first) != value(name, second):
            with pytest.raises(AlteredError, match=r"altered|moved"):
                opened(f"{put(name, value(name, second), first)}---\n{second}")
    envelopes = [text[text.index("ksecret:\n") :] for text in (first, second)]
    with pytest.raises(AlteredError, match="moved or renamed"):
        opened(first.replace(envelopes[0], envelopes[1]))


def test_a_token_of_the_same_secret_under_another_data_key_is_refused() -> None:
    again = LOCK.seal(MANIFEST).decode()
    for name in ("username", "url", "seal", str(LOCK.keys[0])):
        with pytest.raises(AlteredError, match=r"altered|does not fit"):
            opened(put(name, value(name, again)))


def test_members_of_the_envelope_can_not_come_or_go() -> None:
    (ref,) = map(str, LOCK.keys)
    stranger = str(new_lock().keys[0])
    lines = {
        name: f"  {name}: {member(sealed().encode(), name)}\n" for name in ("sealedFor", "created", "seal", "version")
    }
    cases: dict[str, type[KsecretError]] = {
        sealed().replace(f"    {ref}", f"    {stranger}: AAAA\n    {ref}"): AlteredError,
        sealed().replace(f"    {ref}", f"    nokms:x: AAAA\n    {ref}"): AlteredError,
        sealed().replace(lines["seal"], ""): AlteredError,
        sealed().replace(lines["created"], ""): AlteredError,
        sealed().replace(lines["sealedFor"], ""): AlteredError,
        sealed().replace(lines["version"], ""): InputError,
        sealed().replace(lines["version"], "  version: 2\n"): InputError,
        sealed().replace(lines["seal"], lines["seal"] + "  more: x\n"): AlteredError,
        sealed().replace(lines["seal"], lines["seal"] * 2): ManifestError,
        sealed()[: sealed().index("ksecret:\n")]: AlteredError,
        re.sub(r"(?s)ksecret:\n.*", "ksecret: {}\n", sealed()): InputError,
        re.sub(r"(?s)ksecret:\n.*", "ksecret: text\n", sealed()): AlteredError,
        re.sub(r"(?s)  keys:\n.*?  seal", "  keys: {}\n  seal", sealed()): AlteredError,
        re.sub(r"(?m)^  keys:$", "  rest:", sealed()): ManifestError,
        re.sub(r"(?m)^  seal: ", "  seal: !!str ", sealed()): ManifestError,
        re.sub(r"(?m)^  sealedFor: ", "  sealedFor: !x ", sealed()): ManifestError,
        sealed().replace(f"    {ref}: ", f"    {ref}: &a "): ManifestError,
        sealed() + "ksecret: {}\n": ManifestError,
        sealed().replace("type: Opaque\n", "type: Opaque\ntype: other\n"): ManifestError,
    }
    for text, expected in cases.items():
        assert text != sealed()
        assert outcome(text) is expected, text[-600:]


def test_an_absent_type_is_opaque() -> None:
    assert opened(sealed().replace("type: Opaque\n", "")) == MANIFEST.replace(b"type: Opaque\n", b"")
    with pytest.raises(AlteredError, match="was sealed as a Secret of type Opaque: its type was changed"):
        opened(sealed().replace("type: Opaque\n", "type: kubernetes.io/tls\n"))


def test_taking_a_key_out_of_the_keyset_is_noticed() -> None:
    other = new_lock()
    both = LOCK._replace(keys=tuple(sorted((*LOCK.keys, *other.keys)))).seal(MANIFEST).decode()
    assert opened(both) == MANIFEST
    without = re.sub(rf"    {other.keys[0]}: .*\n", "", both)
    with pytest.raises(AlteredError, match="the seal does not fit"):
        opened(without)


def test_labels_annotations_comments_and_layout_are_free_to_edit() -> None:
    edited = sealed().replace(
        "  namespace: prod\n", "  labels: {a: b}\n  namespace: 'prod' # here\n  annotations:\n    x: y\n"
    )
    edited = "# on top\n" + edited.replace("# between", "# another").replace("\ndata:", "\nimmutable: true\n\ndata:")
    expected = MANIFEST.decode().replace(
        "  namespace: prod\n", "  labels: {a: b}\n  namespace: 'prod' # here\n  annotations:\n    x: y\n"
    )
    expected = "# on top\n" + expected.replace("# between", "# another").replace(
        "\ndata:", "\nimmutable: true\n\ndata:"
    )
    assert opened(edited) == expected.encode()


def test_quotes_taken_from_a_token_do_not_change_its_value() -> None:
    text = LOCK.seal(MANIFEST.replace(URL.encode(), b"a # b: c")).decode()
    bare = text.replace(f'"{value("url", text)}"', value("url", text))
    assert bare != text
    assert opened(bare) == MANIFEST.replace(URL.encode(), b"a # b: c")


def test_an_entry_that_is_taken_away_is_not_missed() -> None:
    """The price of merging like plain text (design FORMAT, SECURITY.md)."""
    assert opened(re.sub(r"  password: .*\n", "", sealed())) == re.sub(rb"  password: .*\n", b"", MANIFEST)


def test_an_older_token_put_back_opens_to_the_older_value() -> None:
    """The other half of that price; a new data key ends it."""
    old = sealed().replace(f'"{value("url")}"', '"newer"')
    newer = LOCK.seal(old.encode()).decode()
    assert opened(newer) == MANIFEST.replace(URL.encode(), b"newer")
    assert opened(put("url", value("url"), newer)) == MANIFEST
    anew = LOCK.seal(opened(newer)).decode()
    with pytest.raises(AlteredError, match="was altered"):
        opened(put("url", value("url"), anew))


@pytest.mark.parametrize("line", ["  added: YQ==\n", "  added: ''\n"])
def test_an_entry_added_in_the_clear_closes_the_file_until_it_is_sealed_too(line: str) -> None:
    text = sealed().replace("\ndata:\n", f"\ndata:\n{line}")
    with pytest.raises(AlteredError, match=r'data\["added"\] is not sealed, in a Secret that is'):
        opened(text)
    again = LOCK.seal(text.encode()).decode()
    assert {name: value(name, again) for name in PLACES} == {name: value(name) for name in PLACES}
    assert opened(again) == MANIFEST.replace(b"\ndata:\n", b"\ndata:\n" + line.encode())


@pytest.mark.parametrize(
    ("scope", "namespace", "name", "opens"),
    [
        ("strict", "prod", "other", False),
        ("strict", "test", "db", False),
        ("strict", "", "db", False),
        ("namespace", "prod", "other", True),
        ("namespace", "test", "db", False),
        ("namespace", "", "db", False),
        ("any", "test", "other", True),
        ("any", "", "db", True),
    ],
)
def test_how_far_a_sealed_secret_may_move(scope: str, namespace: str, name: str, opens: bool) -> None:
    def moved(text: str) -> str:
        text = text.replace("  name: db\n", f"  name: {name}\n")
        return text.replace("  namespace: prod\n", f"  namespace: {namespace}\n" if namespace else "")

    text = moved(sealed(MANIFEST, scope))
    if opens:
        assert opened(text) == moved(MANIFEST.decode()).encode()
    else:
        with pytest.raises(AlteredError, match="it was moved or renamed"):
            opened(text)


def test_what_states_no_namespace_is_bound_to_none() -> None:
    """It would be sealed for `None/*`, and never open."""
    nowhere = MANIFEST.replace(b"  namespace: prod\n", b"")
    with pytest.raises(ManifestError, match="states no namespace to be bound to"):
        LOCK.seal(nowhere, scope="namespace")
    assert LOCK.open_(LOCK.seal(nowhere, scope="any")) == nowhere


@pytest.mark.parametrize("scope", ["strict", "namespace", "any"])
def test_a_scope_can_not_be_widened_by_hand(scope: str) -> None:
    text = sealed(MANIFEST, scope)
    for wider in ("prod/db", "prod/*", "*/*", "*", "db", "/db"):
        if wider != value("sealedFor", text):
            quoted = re.sub(r"(?m)^  sealedFor: .*$", f'  sealedFor: "{wider}"', text)
            with pytest.raises(AlteredError, match=r"the seal does not fit|was sealed for"):
                opened(quoted)


def test_the_command_line_gives_exit_code_5_and_no_byte(tmp_path: Path) -> None:
    me = Person(tmp_path)
    path = me.write_sealed("a.yaml")
    text = path.read_bytes().decode()
    for name in PLACES:
        old = value(name, text)
        altered = put(name, old[:-2] + next(iter(sorted(others(old[-2])))) + old[-1], text)
        path.write_bytes(altered.encode())
        me.fails(5, "decrypt", "a.yaml")
        me.fails(5, "decrypt", "-o", "out.yaml", "a.yaml")
        me.fails(5, "decrypt", "-i", "a.yaml")
        assert me.names() == ["a.yaml"]
        assert path.read_bytes() == altered.encode()
    path.write_bytes(text.replace(me.ref, me.ref.replace("age:", "agf:")).encode())
    me.fails(4, "decrypt", "a.yaml")


def test_the_fixture_holds_what_these_tests_think() -> None:
    assert b64(USER).encode() in MANIFEST
    assert b64(PASSWORD).encode() in MANIFEST
    assert all(value(name) for name in PLACES)
