"""`-x/--cleartext`, both ways: values under `data` as the text that they are."""

from __future__ import annotations

import json
from base64 import b64decode

import yaml

from tests.e2e.cli import MARK, Person, b64, is_sealed

BINARY = b"\x00\xff\xfe " + MARK.encode()
HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n"
VALUES = {
    "text": f"{MARK}: # quoted?",
    "empty": "",
    "number": "0123",
    "word": "yes",
    "lines": f"first {MARK}\n  second\n\nthird\n",
    "unended": f"{MARK}\n last",
    "umlauts": f"grün ☃ {MARK}",
    "odd": f'{MARK}\t"quotes" \\ \x07\r\n',
}


def decoded(data: bytes) -> dict[str, bytes]:
    return {name: b64decode(text) for name, text in yaml.safe_load(data)["data"].items()}


def test_clear_text_is_sealed_as_base64(me: Person) -> None:
    clear = HEAD + "".join(f"  {name}: {json.dumps(text, ensure_ascii=False)}\n" for name, text in VALUES.items())
    clear += f"  block: |\n    one {MARK}\n    two\n  binary: !!binary {b64(BINARY)}\n"
    me.write("clear.yaml", clear.encode())
    sealed = me.ok("encrypt", "-x", "clear.yaml").out
    assert is_sealed(sealed)
    values = decoded(me.ok("decrypt", "-", stdin=sealed).out)
    expected = {name: text.encode() for name, text in VALUES.items()}
    assert values == expected | {"block": f"one {MARK}\ntwo\n".encode(), "binary": BINARY}


def test_blank_lines_between_a_block_and_the_next_entry_stay(me: Person) -> None:
    end = f"\n  \n\n  b: {b64(MARK)}\n"
    me.write("clear.yaml", f"{HEAD}  a: |-\n    {MARK}\n  \n\n  b: {MARK}\n".encode())
    sealed = me.ok("encrypt", "-x", "clear.yaml").out
    assert me.ok("decrypt", "-", stdin=sealed).out.decode() == f"{HEAD}  a: {b64(MARK)}{end}"


def test_without_the_option_clear_text_is_refused(me: Person) -> None:
    me.write("clear.yaml", f'{HEAD}  a: "{MARK}!"\n'.encode())
    err = me.fails(3, "encrypt", "clear.yaml")
    assert err.startswith('ksecret: clear.yaml:6: data["a"] is not base64\n')
    assert "--cleartext" in err


def test_opened_values_are_shown_as_text_and_go_back_the_same(me: Person) -> None:
    texts = VALUES | {"binary": ""}
    raw = {name: text.encode() for name, text in texts.items()} | {"binary": BINARY}
    clear = HEAD + "".join(f"  {name}: {json.dumps(b64(value))}  # kept\n" for name, value in raw.items())
    me.write_sealed("a.yaml", clear.encode())
    shown = me.ok("decrypt", "-x", "a.yaml").out
    found = yaml.safe_load(shown)["data"]
    assert found == VALUES | {"binary": BINARY}
    assert f"  binary: !!binary {b64(BINARY)}  # kept\n".encode() in shown
    again = me.ok("encrypt", "--cleartext", "-", stdin=shown).out
    assert decoded(me.ok("decrypt", "-", stdin=again).out) == raw


def test_a_text_of_several_lines_is_shown_as_a_block(me: Person) -> None:
    text = f"first {MARK}\n\nthird\n"
    me.write_sealed("a.yaml", f"{HEAD}  a: {b64(text)}\n  b: {b64(text[:-1])}\n".encode())
    block = f"\n    first {MARK}\n\n    third\n"
    assert me.ok("decrypt", "-x", "a.yaml").out.decode() == f"{HEAD}  a: |{block}  b: |-{block}"


def test_a_comment_behind_a_value_does_not_become_a_part_of_it(me: Person) -> None:
    for text in (f"{MARK}\nlast", f"{MARK}\nlast\n"):
        shown = me.ok("decrypt", "-x", me.write_sealed("a.yaml", f"{HEAD}  a: {b64(text)}  # why\n".encode()).name).out
        assert yaml.safe_load(shown)["data"]["a"] == text
        assert b"# why" in shown


def test_json_both_ways(me: Person) -> None:
    texts = {name: text for name, text in VALUES.items() if name != "odd"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": texts}
    me.write("clear.json", json.dumps(secret, indent=2).encode())
    me.ok("encrypt", "-x", "-i", "clear.json")
    assert MARK not in (me.work / "clear.json").read_text()
    opened = json.loads(me.ok("decrypt", "clear.json").out)
    assert {name: b64decode(text).decode() for name, text in opened["data"].items()} == texts
    assert json.loads(me.ok("decrypt", "-x", "clear.json").out) == secret


def test_json_has_no_way_to_show_bytes(me: Person) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"a": b64(BINARY)}}
    me.write_sealed("a.json", json.dumps(secret).encode())
    assert 'data["a"] holds bytes that are no text' in me.fails(3, "decrypt", "-x", "a.json")
    assert json.loads(me.ok("decrypt", "a.json").out) == secret


def test_string_data_stays_as_it_is(me: Person) -> None:
    clear = f"{HEAD}  a: {b64(MARK)}\nstringData:\n  b: '{b64(MARK)}'\n"
    me.write_sealed("a.yaml", clear.encode())
    expected = clear.replace(f"a: {b64(MARK)}", f"a: {MARK}")
    assert me.ok("decrypt", "-x", "a.yaml").out == expected.encode()


def test_a_binary_of_several_lines_becomes_base64_without_its_tag(me: Person) -> None:
    """As YAML's own printers write bytes."""
    head, text = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata:\n", b64(BINARY * 9)
    clear = f"{head}  a: !!binary |\n    {text[:20]}\n    {text[20:]}\n\n  # about b\n  b: more\n"
    sealed = me.ok("encrypt", "--cleartext", "-k", me.ref, "-", stdin=clear.encode()).out
    opened = me.ok("decrypt", "-", stdin=sealed).out
    assert opened.decode() == f"{head}  a: {text}\n\n  # about b\n  b: {b64('more')}\n"
