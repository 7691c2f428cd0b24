"""Whatever a Secret is written like: a patched one opens to the values asked for, and to the others as they were."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from secretsvc.manifest.model import decode_base64
from tests.integration.test_kubesec_roundtrip import accepted, around, lone_secrets, theirs
from tests.integration.test_patch import patch, plain_data
from tests.kubesec_support import GCP, Want, open_, seal, texts

if TYPE_CHECKING:
    from tests.unit.strategies import Written

CLEAR = st.sampled_from(["", "x", "null", "a: b", "é\n", "two\nlines\n", "1", "# c", "p" * 60])
KEYS = st.sampled_from(["a", "b", "new", "password", "1", "data", "y", ".x", "ksecret"])
CHANGES = st.dictionaries(KEYS, st.one_of(CLEAR, st.none()), max_size=3)
TAGS = st.dictionaries(st.sampled_from(["app", "x/y", "1"]), CLEAR, max_size=2)


@given(lone_secrets(), CHANGES, CHANGES, TAGS, TAGS, st.sampled_from(["ksecret", "kubesec"]))
def test_any_secret_patched_in_any_way(
    written: Written,
    data: dict[str, str | None],
    string_data: dict[str, str | None],
    labels: dict[str, str],
    annotations: dict[str, str],
    format_: str,
) -> None:
    if not accepted(written.data):
        return
    sealed = seal(written.data, Want((GCP,), format=format_))
    in_bytes = {key: None if text is None else text.encode() for key, text in data.items()}
    after = patch(sealed, data=in_bytes, string_data=string_data, labels=labels, annotations=annotations)
    opened = open_(after)
    assert texts(opened) == expected(texts(written.data), in_bytes, string_data)
    if format_ == "kubesec":
        assert theirs(after) in (None, texts(opened))
    if not any((data, string_data, labels, annotations)):
        assert after == sealed
    elif not any((data, string_data)) and "\t" not in written.text:
        metadata = plain_data(opened.removeprefix(b"\xef\xbb\xbf"))["metadata"]
        assert labels.items() <= (metadata.get("labels") or {}).items()
        assert annotations.items() <= (metadata.get("annotations") or {}).items()


def expected(
    before: dict[tuple[str, str], str], data: dict[str, bytes | None], string_data: dict[str, str | None]
) -> dict[tuple[str, str], str]:
    after = dict(before)
    for key, value in data.items():
        place = ("data", key)
        if value is None:
            after.pop(place, None)
        elif place not in before or decode_base64(before[place]) != value:
            after[place] = b64encode(value).decode()
    for key, text in string_data.items():
        if text is None:
            after.pop(("stringData", key), None)
        else:
            after["stringData", key] = text
    return after


@given(lone_secrets(), st.sampled_from(["ksecret", "kubesec"]), st.data())
def test_one_value_changed_and_changed_back_leaves_the_rest(written: Written, format_: str, data: Any) -> None:
    if not accepted(written.data):
        return
    sealed = seal(written.data, Want((GCP,), format=format_))
    before = texts(written.data)
    field, key = data.draw(st.sampled_from(sorted(before)))
    name = {"data": "data", "stringData": "string_data"}[field]
    old = before[field, key]
    new, back = (b"Zq", decode_base64(old)) if field == "data" else ("Zq: #", old)
    after = patch(sealed, **{name: {key: new}})
    assert {place for place, token in texts(after).items() if texts(sealed)[place] != token} == {(field, key)}
    assert around(open_(after)) == around(written.data)
    assert texts(open_(patch(after, **{name: {key: back}}))) == before | (
        {(field, key): b64encode(back).decode()} if isinstance(back, bytes) else {}
    )
