"""`ksecret edit`: values in an editor and back, one token changed for one value, nothing written that was not meant."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARK, PASSWORD, URL, USER, b64, is_sealed, key_refs, member
from tests.e2e.editing import MEMORY, Writer, another_key, me

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.gpg_home import GpgHome

__all__ = ["me"]  # a fixture, for pytest to find here

pytestmark = pytest.mark.skipif(not os.path.isdir(MEMORY), reason="this system has no memory file system")


def changed_lines(before: bytes, after: bytes) -> list[int]:
    """Numbers, from 0, of the lines that differ; both texts have as many."""
    old, new = before.split(b"\n"), after.split(b"\n")
    assert len(old) == len(new)
    return [number for number, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]


@pytest.mark.parametrize("field", ["Data", "xdata", "datta"])
def test_a_slip_in_a_fields_name_writes_no_value_in_the_clear(me: Writer, field: str) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(f"sed -i s/^data:/{field}:/ $1")
    ran = me.run("edit", "a.yaml")
    assert ran.code == 3
    assert re.match(r"ksecret: a\.yaml \(as edited\):12: .* no field of a Secret\n", ran.err)
    assert path.read_bytes() == before


@pytest.mark.parametrize("slip", ["s/kind: Secret/kind: secret/", "s/: v1/: v2/"])
@pytest.mark.parametrize("listed", [False, True], ids=["documents", "list"])
def test_a_secret_that_is_made_into_something_else_is_not_written_in_the_clear(
    me: Writer, slip: str, listed: bool
) -> None:
    other = MANIFEST.replace(b"name: db", b"name: other")
    both = MANIFEST + b"---\n" + other
    if listed:
        items = b"".join(
            b"- " + one.split(b"\n", 1)[1].replace(b"\n", b"\n  ").rstrip(b" ") for one in (MANIFEST, other)
        )
        both = b"apiVersion: v1\nkind: List\nitems:\n" + items
    path = me.write_sealed("a.yaml", both)
    before = path.read_bytes()
    me.editor(f"line=$(grep -n 'name: other' $1 | cut -d: -f1); sed -i \"$((line - 4)),${{line}}{slip}\" $1")
    ran = me.run("edit", "a.yaml")
    assert ran.code == 3
    assert "this is no Secret any more" in ran.err
    assert path.read_bytes() == before


def test_a_secret_may_be_taken_away_beside_a_config_map_of_its_name(me: Writer) -> None:
    named_alike = CONFIG_MAP.replace(b"name: plain", b"name: db")
    me.write_sealed(
        "a.yaml", MANIFEST + b"---\n" + MANIFEST.replace(b"name: db", b"name: other") + b"---\n" + named_alike
    )
    me.editor("sed -i '1,/^---/d' $1")
    me.ok("edit", "a.yaml")
    assert b"name: other" in me.ok("decrypt", "a.yaml").out


def test_a_field_that_was_there_before_does_not_keep_from_editing(me: Writer) -> None:
    path = me.write_sealed("a.yaml", MANIFEST.replace(b"type: Opaque\n", b"type: Opaque\nx-team: {name: a}\n"))
    me.editor(f"sed -i s/{PASSWORD}/{PASSWORD}-2/ $1")
    me.ok("edit", "a.yaml")
    assert b64(f"{PASSWORD}-2").encode() in me.ok("decrypt", path.name).out


def test_a_changed_value_changes_its_own_line_and_nothing_else(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(f"sed -i s/{PASSWORD}/{PASSWORD}-2/ $1")
    assert me.ok("edit", "-i", "a.yaml").err == ""
    (line,) = changed_lines(before, path.read_bytes())
    assert before.split(b"\n")[line].startswith(b"  password: ")
    assert is_sealed(path.read_bytes())
    assert me.ok("decrypt", "a.yaml").out == MANIFEST.replace(b64(PASSWORD).encode(), b64(f"{PASSWORD}-2").encode())


def test_the_editor_sees_values_decoded_below_a_header_in_a_private_file_named_like_the_manifest(me: Writer) -> None:
    me.write_sealed("b.yaml")
    me.editor('cat "$1" > $NOTES/text; stat -c %a "$1" "$(dirname "$1")" > $NOTES/modes; echo "$1" > $NOTES/path')
    err = me.ok("ee", "b.yaml").err
    assert err == "ksecret: b.yaml: nothing changed\n"
    shown = me.note("text")
    header = [line for line in shown.splitlines() if line.startswith("# ksecret: ")]
    assert shown.splitlines()[: len(header)] == header
    clear = MANIFEST.decode().replace(b64(USER), USER).replace(b64(PASSWORD), PASSWORD)
    assert shown.removeprefix("".join(f"{line}\n" for line in header)) == clear
    assert me.note("modes").split() == ["600", "700"]
    path = me.note("path").strip()
    assert (os.path.dirname(os.path.dirname(path)), os.path.basename(path)) == (me.memory, "b.yaml")


BYTES = bytes(range(256))
LINES = f"{MARK}\none\n\ntwo\n"
ENDED = f"{MARK}\n"
VALUES = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: all
data:
  lines: {b64(LINES)}
  ended: {b64(ENDED)}
  empty: ""
  bytes: {b64(BYTES)}
  change: {b64(MARK)}
  '{"k" * 20}': '{b64("quoted")}'   # kept
stringData:
  block: |-
    {MARK}
      indented
  folded: >
    {MARK}
    folded
  "quoted": "tab\\there"
""".encode()


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_every_kind_of_value_comes_back_as_it_was(me: Writer, newline: bytes, bom: bytes, *, last: bool) -> None:
    clear = bom + (VALUES if last else VALUES[:-1]).replace(b"\n", newline)
    path = me.write_sealed("all.yaml", clear)
    before = path.read_bytes()
    me.editor(f"cp $1 $NOTES/text; sed -i s/'change: {MARK}'/'change: {MARK}-new'/ $1")
    me.ok("edit", "all.yaml")
    shown = (me.notes / "text").read_bytes()
    assert b"!!binary " + b64(BYTES).encode() in shown
    assert shown.startswith(bom + b"# ksecret: ")
    assert len(changed_lines(before, path.read_bytes())) == 1
    expected = clear.replace(f"change: {b64(MARK)}".encode(), f"change: {b64(f'{MARK}-new')}".encode())
    assert me.ok("decrypt", "all.yaml").out == expected


def test_keys_are_added_and_taken_away_and_bytes_changed(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    raw = b64(b"\xff" + MARK.encode())
    me.editor(f'sed -i "/username:/d; s|^data:|&\\n  raw: !!binary {raw}|" $1')
    me.ok("edit", "a.yaml")
    after = path.read_bytes()
    assert is_sealed(after)
    assert member(after, "password") == member(before, "password")
    opened = me.ok("decrypt", "a.yaml").out
    assert member(opened, "raw") == raw
    assert b"username" not in opened


def test_base64_stays_where_it_is_asked_for(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    me.editor(f"sed -i s/{b64(PASSWORD)}/{b64(b'other')}/ $1")
    me.ok("edit", "-b", "a.yaml")
    assert member(me.ok("decrypt", "a.yaml").out, "password").startswith(b64(b"other"))
    before = path.read_bytes()
    me.editor("sed -i 's/password: .*/password: 5%/' $1")
    assert 'data["password"] is not base64' in me.fails(3, "edit", "--base64", "a.yaml")
    assert path.read_bytes() == before


def test_several_secrets_beside_other_things(me: Writer) -> None:
    other = MANIFEST.replace(b"name: db", b"name: other")
    path = me.write_sealed("many.yaml", b"---\n".join([MANIFEST, CONFIG_MAP, other]))
    before = path.read_bytes()
    me.editor(f"sed -i '/name: other/,$ s/{PASSWORD}/{PASSWORD}-2/' $1")
    me.ok("edit", "many.yaml")
    (line,) = changed_lines(before, path.read_bytes())
    assert before[: before.index(b"name: other")].count(b"\n") < line


def test_a_secret_in_another_place_of_the_file_keeps_its_own_keys(me: Writer) -> None:
    """Pairing Secrets by place would seal one team's values to the other team's key."""
    theirs = another_key()
    one = me.write_sealed("one.yaml").read_bytes()
    two = me.write_sealed("two.yaml", MANIFEST.replace(b"name: db", b"name: other"), "-k", me.ref, "-k", theirs)
    path = me.write("both.yaml", one + b"---\n" + two.read_bytes())
    me.editor(
        """awk 'BEGIN{RS="---\\n"} /name: db/{a=$0} /name: other/{b=$0} END{printf "%s---\\n%s", b, a}' $1 > $NOTES/x
        cp $NOTES/x $1"""
    )
    me.ok("edit", "both.yaml")
    first, second = path.read_bytes().split(b"---\n")
    assert b"name: other" in first
    assert set(key_refs(first)) == {me.ref, theirs}
    assert key_refs(second) == [me.ref]
    assert member(second, "password") == member(one, "password")


def test_a_renamed_secret_is_sealed_for_its_new_name(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor('sed -i "s/name: db/name: web/" $1')
    me.ok("edit", "a.yaml")
    assert member(path.read_bytes(), "password") != member(before, "password")
    assert me.ok("decrypt", "a.yaml").out == MANIFEST.replace(b"name: db", b"name: web")


def test_json(me: Writer) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "j"}, "data": {"a": b64(MARK), "b": b64("x")}}
    path = me.write_sealed("a.json", json.dumps(secret, indent=2).encode())
    before = path.read_bytes()
    me.editor(f'cp $1 $NOTES/text; echo $1 > $NOTES/path; sed -i "s/{MARK}/{MARK}-2/" $1')
    me.ok("edit", "a.json")
    assert json.loads(me.note("text"))["data"]["a"] == MARK
    assert me.note("path").endswith(".json\n")
    assert len(changed_lines(before, path.read_bytes())) == 1
    me.write_sealed("b.json", json.dumps(secret | {"data": {"a": b64(b"\xff")}}).encode())
    assert "JSON has no way to show them; --base64 edits base64" in me.fails(3, "edit", "b.json")
    me.editor(f'sed -i "s|{b64(bytes([255]))}|{b64(MARK)}|" $1')
    me.ok("edit", "-b", "b.json")
    assert json.loads(me.ok("decrypt", "b.json").out)["data"]["a"] == b64(MARK)


def test_unchanged_is_not_written_and_a_last_line_break_that_editors_add_is_no_change(me: Writer) -> None:
    path = me.write_sealed("a.yaml", MANIFEST[:-1])
    before = path.stat()
    for script in ("true", 'echo >> "$1"'):
        me.editor(script)
        assert me.ok("edit", "a.yaml").err == "ksecret: a.yaml: nothing changed\n"
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        (': > "$1"', 3, "everything was deleted"),
        ('rm "$1"', 3, "everything was deleted"),
        ("exit 3", 7, "ended with code 3, so nothing is written"),
        (f'sed -i "s/{PASSWORD}/x/" $1; exit 3', 7, "ended with code 3, so nothing is written"),
        ("kill -9 $$", 7, "was ended by signal 9, so nothing is written"),
        (f'sed -i "s/{PASSWORD}/{MARK}: {{/" $1', 3, "not valid YAML"),
        ('sed -i "s/password:/..a:/" $1', 3, "a name that Kubernetes refuses"),
        ('sed -i "s/url: .*/url: 5/" $1', 3, 'stringData["url"] is not a string'),
        (f'sed -i "s/url: .*/url: ksecret.v1.{MARK}/" $1', 3, 'stringData["url"] is a ksecret token'),
        ('sed -i "s/kind: Secret/kind: ConfigMap/" $1', 3, ""),
        ('printf "\\377" >> $1', 3, "not UTF-8"),
    ],
)
def test_where_nobody_is_to_be_asked_a_mistake_is_an_error_and_nothing_is_written(
    me: Writer, script: str, code: int, message: str
) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(script)
    assert message in me.fails(code, "edit", "a.yaml")
    assert path.read_bytes() == before
    assert me.names() == ["a.yaml"]


def test_lines_in_messages_are_those_that_the_editor_shows(me: Writer) -> None:
    """Sealing sees other lines: a block of text is one line of base64 there, and envelopes stand between Secrets."""
    me.write_sealed("all.yaml", VALUES + b"---\n" + MANIFEST)
    for what in ("quoted", "url", "block"):
        me.editor(
            f"""sed -i 's/^  "*{what}"*:.*/  {what}: ksecret.v1.AA/; /^  block: k/,+2 {{/^    /d}}' $1
            cp $1 $NOTES/text"""
        )
        err = me.fails(3, "edit", "all.yaml")
        found = re.match(r"ksecret: all.yaml \(as edited\):(\d+): ", err)
        assert found, err
        assert me.note("text").splitlines()[int(found[1]) - 1] == f"  {what}: ksecret.v1.AA"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"EDITOR": "/no/such"}, "the editor that EDITOR names is not found"),
        ({"EDITOR": "cat", "VISUAL": "nosuch"}, "the editor that VISUAL names is not found"),
        ({"EDITOR": "'cat"}, "EDITOR has a quote that is not closed"),
        ({"EDITOR": " ", "PATH": "/nonexistent"}, "no editor was found"),
    ],
)
def test_without_an_editor(me: Writer, environ: dict[str, str], message: str) -> None:
    me.write_sealed("a.yaml")
    assert message in me.fails(2, "edit", "a.yaml", **environ)


def test_editors_that_return_at_once_are_told_to_wait(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor("true", name="code")
    assert 'set EDITOR="code --wait"' in me.fails(2, "edit", "a.yaml")
    me.environ["EDITOR"] += " --wait"
    me.ok("edit", "a.yaml")


def test_visual_comes_first_and_may_hold_arguments_with_spaces(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor('echo "$1" > $NOTES/first')
    me.environ |= {"VISUAL": f"{me.environ['EDITOR']} 'two words'", "EDITOR": "false"}
    me.ok("edit", "a.yaml")
    assert me.note("first") == "two words\n"


def test_standard_input_and_output(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor(f'sed -i "s/{USER}/{USER}-2/" $1; echo on-the-screen')
    for words, stdin in ((("-",), before), (("-o", "-", "a.yaml"), b"")):
        ran = me.ok("edit", *words, stdin=stdin)
        assert len(changed_lines(before, ran.out)) == 1
    me.ok("edit", "-o", "b.yaml", "a.yaml")
    assert len(changed_lines(before, (me.work / "b.yaml").read_bytes())) == 1
    me.editor("true")
    assert me.ok("edit", "-", stdin=before).out == before
    assert path.read_bytes() == before


def test_a_new_file_is_made_from_a_template(me: Writer) -> None:
    me.editor(f'cp $1 $NOTES/text; echo "  password: {MARK} 1" >> $1')
    me.ok("edit", "-f", "DB.prod.yaml")
    made = me.work / "DB.prod.yaml"
    assert is_sealed(made.read_bytes())
    assert key_refs(made.read_bytes()) == [me.ref]
    assert made.stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022))
    opened = me.ok("decrypt", "-x", "DB.prod.yaml").out
    assert member(opened, "name") == "db"
    assert member(opened, "password") == f'"{MARK} 1"'
    me.editor(f'sed -i "s/{{}}/{{\\"a\\": \\"{MARK}\\"}}/" $1')
    me.ok("edit", "-f", "new.json")
    assert json.loads(me.ok("decrypt", "new.json").out)["data"] == {"a": b64(MARK)}


def test_a_new_file_that_is_not_filled_in_is_not_made(me: Writer) -> None:
    me.editor("true")
    assert me.ok("edit", "-f", "new.yaml").err == "ksecret: new.yaml: nothing changed\n"
    me.editor('echo "# c" >> $1')
    assert "its Secret has no values" in me.fails(3, "edit", "-f", "new.yaml")
    assert "No such file" in me.fails(7, "edit", "new.yaml")
    assert "no such folder" in me.fails(7, "edit", "-f", "no/new.yaml")
    assert me.names() == []


def test_without_a_key_for_a_new_file_nobody_has_to_type_first(me: Writer) -> None:
    me.key_file.unlink()
    me.editor("touch $NOTES/ran")
    assert "no key to seal to" in me.fails(2, "edit", "-f", "new.yaml")
    assert not (me.notes / "ran").exists()


def test_keys_and_rotation_without_a_change(me: Writer) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.editor("true")
    me.ok("edit", "--rotate", "a.yaml")
    rotated = path.read_bytes()
    assert member(rotated, "password") != member(before, "password")
    assert me.ok("decrypt", "a.yaml").out == MANIFEST
    theirs = another_key()
    me.ok("edit", "-k", f"+{theirs}", "a.yaml")
    assert set(key_refs(path.read_bytes())) == {me.ref, theirs}
    assert member(path.read_bytes(), "password") == member(rotated, "password")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("edit",), 2, "edit takes one file"),
        (("edit", "a.yaml", "b.yaml"), 2, "edit takes one file"),
        (("edit", "-i", "-o", "x", "a.yaml"), 2, "-i changes the file"),
        (("edit", "-i", "-"), 2, "-i changes the file"),
        (("edit", "clear.yaml"), 3, "no Secret in it is sealed"),
        (("edit", "absent.yaml"), 7, "No such file"),
    ],
)
def test_what_can_not_be_edited(me: Writer, words: tuple[str, ...], code: int, message: str) -> None:
    me.write("clear.yaml")
    me.editor("touch $NOTES/ran")
    assert message in me.fails(code, *words)
    assert not (me.notes / "ran").exists()


def test_a_text_that_begins_like_the_header_keeps_its_lines(me: Writer) -> None:
    clear = b"# ksecret: mine\n" + MANIFEST
    me.write_sealed("a.yaml", clear)
    me.editor(f'sed -i "s/{PASSWORD}/x/" $1')
    me.ok("edit", "a.yaml")
    assert me.ok("decrypt", "a.yaml").out == clear.replace(b64(PASSWORD).encode(), b64("x").encode())


def test_a_large_file(me: Writer) -> None:
    many = b"---\n".join(MANIFEST.replace(b"name: db", f"name: db-{n}".encode()) for n in range(200))
    path = me.write_sealed("big.yaml", many)
    before = path.read_bytes()
    me.editor(f'sed -i "/name: db-77$/,/url/ s|{URL}|{URL}-2|" $1')
    me.ok("edit", "big.yaml")
    assert len(changed_lines(before, path.read_bytes())) == 1


def test_a_policy_says_whom_a_new_file_is_sealed_to(me: Writer) -> None:
    theirs = another_key()
    me.write(".ksecret.yaml", f"version: 1\nrules:\n  - keys: [{me.ref}, {theirs}]\n".encode())
    me.editor(f'echo "  password: {MARK}" >> $1')
    me.ok("edit", "-f", "new.yaml")
    assert set(key_refs((me.work / "new.yaml").read_bytes())) == {me.ref, theirs}
    me.write(".ksecret.yaml", b"version: 1\nrules:\n  - keys: [nonsense]\n")
    assert "ksecret: .ksecret.yaml:3: " in me.fails(3, "edit", "-f", "other.yaml")


def test_secrets_are_taken_away_from_a_file_and_added_to_it(me: Writer) -> None:
    """A new Secret is sealed to the keys of those beside it."""
    theirs = another_key()
    path = me.write_sealed("two.yaml", MANIFEST + b"---\n" + CONFIG_MAP, "-k", me.ref, "-k", theirs)
    before = path.read_bytes()
    added = MANIFEST.replace(b"name: db", b"name: more").replace(b64(USER).encode(), USER.encode())
    me.write("added", b"---\n" + added.replace(b64(PASSWORD).encode(), PASSWORD.encode()))
    me.editor(f"cat {me.work}/added >> $1")
    me.ok("edit", "two.yaml")
    after = path.read_bytes()
    assert after.startswith(before)
    assert set(key_refs(after.removeprefix(before))) == {me.ref, theirs}
    assert me.ok("decrypt", "two.yaml").out == MANIFEST + b"---\n" + CONFIG_MAP + b"---\n" + added.replace(
        USER.encode(), b64(USER).encode()
    )
    me.editor("sed -i '/^---/,/^---/{/^---/!d}' $1; sed -i '0,/^---/{/^---/!{/^# ksecret: /!d}}' $1")
    me.ok("edit", "two.yaml")
    assert b"name: db" not in path.read_bytes()
    assert member(path.read_bytes(), "password") == member(after.removeprefix(before), "password")


def test_kubesecs_format_stays_and_its_mac_fits(me: Writer, new_home: Callable[[], GpgHome]) -> None:
    home = new_home()
    home.make_pair("Me <me@example.org>")
    me.environ["GNUPGHOME"] = home.path
    path = me.write_sealed("k.yaml", MANIFEST, "--format", "kubesec")
    before = path.read_bytes()
    me.editor(f"sed -i s/{PASSWORD}/{PASSWORD}-2/ $1")
    err = me.ok("edit", "k.yaml").err
    assert "1 file opened in kubesec's format" in err
    after = path.read_bytes()
    value, mac = (after.split(b"\n")[line] for line in changed_lines(before, after))
    assert (value[:12], mac[:14]) == (b"  password: ", b"# kubesec:mac:")
    opened = me.ok("decrypt", "k.yaml").out
    assert member(opened, "password").startswith(b64(f"{PASSWORD}-2"))
    path.write_bytes(after.replace(mac + b"\n", b""))
    assert "it has no MAC" in me.fails(5, "edit", "k.yaml")
    me.editor("true")
    me.ok("edit", "--recompute-mac", "--yes", "k.yaml")
    assert me.ok("decrypt", "k.yaml").out == opened
