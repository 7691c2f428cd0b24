"""`get`, `set`, `unset` and `rename`: one value at a time, and nothing else moves."""

from __future__ import annotations

import difflib
import re
import string
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, KSECRET, MANIFEST, MARK, PASSWORD, URL, USER, Person, member
from tests.kubesec_support import VECTORS

if TYPE_CHECKING:
    from pathlib import Path

NEW = f"new-{MARK}"
TWO = MANIFEST + b"---\n" + MANIFEST.replace(b"name: db", b"name: cache").replace(b"# a comment\n", b"")


@pytest.fixture
def file(me: Person) -> Path:
    return me.write_sealed("s.yaml")


def changed(before: bytes, after: bytes) -> list[str]:
    """The names at the start of lines that went (`-name`) or came (`+name`)."""
    lines = difflib.unified_diff(before.decode().splitlines(), after.decode().splitlines(), n=0, lineterm="")
    return [line.partition(":")[0].replace(" ", "") for line in list(lines)[2:] if line[:1] in "+-"]


def test_get_prints_the_bytes_and_nothing_else(me: Person, file: Path) -> None:
    assert me.ok("get", "s.yaml", "password").out == PASSWORD.encode()
    assert me.ok("get", "s.yaml", "url").out == URL.encode()
    assert me.ok("get", "-", "username", stdin=file.read_bytes()).out == USER.encode()
    assert "has no such key" in me.fails(3, "get", "s.yaml", "nope")
    assert me.ok("get", "s.yaml", "password", "-o", "/dev/stdout").out == PASSWORD.encode()
    me.ok("get", "s.yaml", "password", "-o", "out")
    assert (me.work / "out").read_bytes() == PASSWORD.encode()
    assert (me.work / "out").stat().st_mode & 0o777 == 0o600


def test_get_lists_the_names_without_a_key(me: Person, file: Path, tmp_path: Path) -> None:
    nobody = Person(tmp_path, "nobody", identity=False)
    assert nobody.ok("get", "s.yaml").out == b"username\npassword\nurl\n"
    assert nobody.ok("get", "-", stdin=MANIFEST).out == b"username\npassword\nurl\n"
    assert nobody.ok("get", "-", stdin=MANIFEST + b"  password: x\n").out == b"username\npassword\nurl\n"
    nobody.ok("get", "s.yaml", "-o", "names")
    assert (me.work / "names").read_bytes() == b"username\npassword\nurl\n"
    me.write("kubesec.yaml", (VECTORS / "opaque.rsa.enc.yaml").read_bytes())
    assert nobody.ok("get", "kubesec.yaml").out == b"password\nusername\n"
    me.write("two.yaml", TWO)
    own = b"  username\n  password\n  url\n"
    assert nobody.ok("get", "two.yaml").out == b"prod/db:\n" + own + b"prod/cache:\n" + own
    assert nobody.ok("get", "two.yaml", "--secret", "cache").out == b"username\npassword\nurl\n"
    assert "it is a ConfigMap" in nobody.fails(3, "get", "-", stdin=CONFIG_MAP)
    assert "get takes a file and a key, or a file" in nobody.fails(2, "get")


@pytest.mark.parametrize(
    ("words", "code", "meant"),
    [
        (("get", "s.yaml", "passwrod"), 3, "password"),
        (("unset", "s.yaml", "user-name"), 3, "username"),
        (("exec", "--only", "passwd", "s.yaml", "--", "true"), 2, "password"),
    ],
)
def test_a_mistyped_name_is_told_what_was_meant(
    me: Person, file: Path, words: tuple[str, ...], code: int, meant: str
) -> None:
    assert f": did you mean {meant}?\n" in me.fails(code, *words)


def test_a_name_like_no_other_is_told_where_names_are_listed(me: Person, file: Path) -> None:
    assert me.fails(3, "get", "s.yaml", "nope") == (
        "ksecret: s.yaml: it has no such key\n  ksecret get FILE lists them\n"
    )
    assert "did you mean" not in me.fails(3, "unset", "s.yaml", "x" * 10_000)


def test_a_mistyped_name_asks_for_no_passphrase_and_no_key(me: Person, tmp_path: Path, file: Path) -> None:
    nobody = Person(tmp_path, "nobody", identity=False)
    for command in ("get", "unset"):
        assert "did you mean password?" in nobody.fails(3, command, "s.yaml", "pasword")


def test_dev_stdout_keeps_what_the_shell_wrote_before_and_writes_behind(me: Person, file: Path) -> None:
    script = (
        'exec > out; echo a; "$1" get s.yaml password -o /dev/stdout; "$1" decrypt -x -o /dev/stdout s.yaml; echo b'
    )
    subprocess.run(["sh", "-c", script, "-", KSECRET], cwd=me.work, env=me.environ, check=True)
    clear = me.ok("decrypt", "-x", "s.yaml").out
    assert (me.work / "out").read_bytes() == b"a\n" + PASSWORD.encode() + clear + b"b\n"


@pytest.mark.parametrize(
    "words", [("get", ".", "a"), ("set", ".", "a=b"), ("rename", ".", "--name=a"), ("exec", ".", "--", "true")]
)
def test_a_folder_is_refused_without_advice_that_the_command_does_not_take(me: Person, words: tuple[str, ...]) -> None:
    assert me.fails(2, *words) == "ksecret: .: it is a folder\n  name a manifest\n"


def test_set_refuses_what_makes_a_secret_too_large_for_kubernetes(me: Person, file: Path) -> None:
    me.write("half", (MARK * 52429).encode())  # 10 letters: 512 KiB, and two more
    me.ok("set", "s.yaml", "a=@half")
    before = file.read_bytes()
    assert "over Kubernetes' limit of 1048576" in me.fails(3, "set", "s.yaml", "b=@half")
    assert file.read_bytes() == before
    me.ok("rotate", "s.yaml")
    me.ok("set", "s.yaml", "a=@half", "username=x")


def test_a_secret_in_the_clear_beside_sealed_ones_is_told_by_its_name(me: Person) -> None:
    path = me.write_sealed("two.yaml")
    path.write_bytes(path.read_bytes() + TWO[len(MANIFEST) :])
    for words in (("get", "two.yaml", "url"), ("set", "two.yaml", "url=x"), ("unset", "two.yaml", "url")):
        message = me.fails(3, *words, "--secret", "cache")
        assert message.startswith("ksecret: two.yaml: prod/cache is not sealed\n")


def test_get_takes_string_data_over_data_as_kubernetes_does(me: Person) -> None:
    me.write_sealed("b.yaml", MANIFEST + f'  password: "{NEW}"\n'.encode())
    assert me.ok("get", "b.yaml", "password").out == NEW.encode()


@pytest.mark.parametrize("how", ["word", "file", "stdin"])
def test_set_changes_one_line(me: Person, file: Path, how: str) -> None:
    before = file.read_bytes()
    me.write("value", NEW.encode())
    word = {"word": f"password={NEW}", "file": "password=@value", "stdin": "password=-"}[how]
    me.ok("set", "s.yaml", word, stdin=NEW.encode())
    assert changed(before, file.read_bytes()) == ["-password", "+password"]
    assert me.ok("get", "s.yaml", "password").out == NEW.encode()
    assert me.ok("get", "s.yaml", "username").out == USER.encode()


@pytest.mark.parametrize(
    ("piped", "value"),
    [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("a\nb\n", "a\nb"), ("\n", ""), (" a ", " a ")],
)
def test_what_is_piped_into_set_loses_one_line_break_at_its_end(me: Person, piped: str, value: str) -> None:
    me.write_sealed("s.yaml")
    me.ok("set", "s.yaml", "password=-", stdin=piped.encode())
    assert me.ok("get", "s.yaml", "password").out == value.encode()
    me.ok("set", "s.yaml", "password=@/dev/stdin", stdin=piped.encode())
    assert me.ok("get", "s.yaml", "password").out == piped.encode()


def test_set_of_the_same_value_writes_nothing(me: Person, file: Path) -> None:
    before = file.stat().st_mtime_ns
    me.ok("set", "s.yaml", f"password={PASSWORD}")
    assert file.stat().st_mtime_ns == before


def test_set_stays_in_the_field_where_the_key_is(me: Person, file: Path) -> None:
    me.ok("set", "s.yaml", f"url={NEW}", f"new={NEW}")
    me.ok("set", "--string-data", "s.yaml", f"text={NEW}")
    opened = me.ok("decrypt", "s.yaml").out.decode()
    data, strings = re.split(r"(?m)^stringData:\n", opened)
    assert re.findall(r"(?m)^  (\w+):", data.partition("\ndata:\n")[2]) == ["username", "password", "new"]
    assert re.findall(r"(?m)^  (\w+):", strings) == ["url", "text"]


def test_set_takes_every_byte_of_a_file(me: Person, file: Path) -> None:
    everything = bytes(range(256)) * 40 + b"\n\n"
    me.write("value", everything)
    me.ok("set", "s.yaml", "bin=@value")
    assert me.ok("get", "s.yaml", "bin").out == everything
    assert "is not UTF-8 text" in me.fails(2, "set", "s.yaml", "url=@value")


@pytest.mark.parametrize(
    ("word", "length", "alphabet"),
    [
        ("32", 32, string.ascii_letters + string.digits),
        ("6:digits", 6, string.digits),
        ("64:hex", 64, "0123456789abcdef"),
    ],
)
def test_set_random(me: Person, file: Path, word: str, length: int, alphabet: str) -> None:
    values = set()
    for _ in range(2):
        ran = me.ok("set", "s.yaml", "--random", f"password={word}")
        assert ran.out == b""
        values.add(me.ok("get", "s.yaml", "password").out.decode())
    assert len(values) == 2 or length < 8
    assert all(len(value) == length and set(value) <= set(alphabet) for value in values)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("s.yaml",), "set takes a file and KEY=VALUE"),
        (("s.yaml", "password"), "set takes KEY=VALUE"),
        (("s.yaml", f"=x{MARK}"), "set takes KEY=VALUE"),
        (("s.yaml", "a=1", "a=2"), "a is set twice"),
        (("s.yaml", "--random", "a=0"), "--random takes"),
        (("s.yaml", "--random", "a=5:emoji"), "--random takes"),
        (("-", "a=-"), "standard input can't be both the manifest and a value"),
        (("s.yaml", "a=-", "b=-"), "standard input can't be both two values"),
    ],
)
def test_set_used_wrongly(me: Person, file: Path, words: tuple[str, ...], message: str) -> None:
    before = file.read_bytes()
    assert message in me.fails(2, "set", *words)
    assert file.read_bytes() == before


def test_a_key_that_kubernetes_refuses_is_not_written(me: Person, file: Path) -> None:
    before = file.read_bytes()
    assert "a name that Kubernetes refuses" in me.fails(3, "set", "s.yaml", "a b=1")
    assert file.read_bytes() == before


def test_unset(me: Person, file: Path) -> None:
    before = file.read_bytes()
    me.ok("unset", "s.yaml", "password")
    assert changed(before, file.read_bytes()) == ["-password"]
    assert b"password" not in me.ok("decrypt", "s.yaml").out
    assert "it has no key password" in me.fails(3, "unset", "s.yaml", "password")
    me.ok("unset", "s.yaml", "url")
    assert b"stringData" not in file.read_bytes()
    me.ok("verify", "s.yaml")


def test_several_secrets_need_a_name(me: Person) -> None:
    file = me.write_sealed("two.yaml", TWO)
    before = file.read_bytes()
    assert "2 Secrets that could be meant: prod/db, prod/cache" in me.fails(3, "set", "two.yaml", "a=1")
    assert "there is no such Secret" in me.fails(3, "get", "--secret", "prod/none", "two.yaml", "password")
    me.ok("set", "--secret", "prod/cache", "two.yaml", f"password={NEW}")
    assert me.ok("get", "--secret", "cache", "two.yaml", "password").out == NEW.encode()
    assert me.ok("get", "--secret", "db", "two.yaml", "password").out == PASSWORD.encode()
    assert changed(before, file.read_bytes()) == ["-password", "+password"]


def test_what_is_not_sealed_is_not_changed(me: Person) -> None:
    path = me.write("clear.yaml")
    for words in (("set", "clear.yaml", "a=1"), ("unset", "clear.yaml", "password"), ("get", "clear.yaml", "password")):
        assert "no Secret in it is sealed" in me.fails(3, *words)
    assert path.read_bytes() == MANIFEST


def test_rename_seals_for_the_new_name_with_a_new_data_key(me: Person, file: Path) -> None:
    before = file.read_bytes()
    me.ok("rename", "s.yaml", "--name", "db2", "--namespace", "test")
    after = file.read_bytes()
    assert member(after, "sealedFor") == "test/db2"
    assert changed(before, after)[:4] == ["-name", "-namespace", "+name", "+namespace"]
    assert member(before, "username") != member(after, "username")
    clear = MANIFEST.replace(b"name: db", b"name: db2").replace(b"namespace: prod", b"namespace: test")
    assert me.ok("decrypt", "s.yaml").out == clear


def test_rename_after_somebody_did_it_in_an_editor(me: Person, file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"namespace: prod", b"namespace: test"))
    assert "ksecret rename seals it for its new name" in me.fails(5, "decrypt", "s.yaml")
    me.ok("rename", "s.yaml")
    assert me.ok("decrypt", "s.yaml").out == MANIFEST.replace(b"namespace: prod", b"namespace: test")
    assert "sealed for that name, namespace and type already" in me.fails(3, "rename", "s.yaml")


BASIC_AUTH = "kubernetes.io/basic-auth"


def test_rename_gives_another_type_and_leaves_the_tokens(me: Person, file: Path) -> None:
    before = file.read_bytes()
    me.ok("rename", "s.yaml", "--type", BASIC_AUTH)
    after = file.read_bytes()
    assert changed(before, after) == ["-type", "+type", "-seal", "+seal"]
    assert me.ok("decrypt", "s.yaml").out == MANIFEST.replace(b"Opaque", BASIC_AUTH.encode())
    assert "sealed for that name, namespace and type already" in me.fails(3, "rename", "s.yaml", "--type", BASIC_AUTH)
    me.ok("rename", "s.yaml", "--type", "example.com/own", "--name", "db2")
    assert member(after, "username") != member(file.read_bytes(), "username")
    assert b"type: example.com/own\n" in me.ok("decrypt", "s.yaml").out


def test_a_type_where_there_was_none_stands_before_the_envelope(me: Person) -> None:
    untyped = MANIFEST.replace(b"type: Opaque\n", b"")
    path = me.write("none.yaml", untyped)
    me.ok("encrypt", "-i", "none.yaml")
    me.ok("rename", "none.yaml", "--type", BASIC_AUTH)
    assert f"\ntype: {BASIC_AUTH}\nksecret:\n".encode() in path.read_bytes()
    assert me.ok("decrypt", "none.yaml").out == untyped + f"type: {BASIC_AUTH}\n".encode()


def test_a_type_that_an_editor_changed_is_told_and_sealed_only_where_it_is_named(me: Person, file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"type: Opaque", f"type: {BASIC_AUTH}".encode()))
    before = file.read_bytes()
    said = me.fails(5, "decrypt", "s.yaml")
    assert "prod/db was sealed as a Secret of type Opaque: its type was changed" in said
    assert "ksecret rename --type TYPE FILE seals it for its new type" in said
    for words in (["rename", "s.yaml"], ["rename", "s.yaml", "--name", "b"], ["set", "s.yaml", "a=b"]):
        assert "its type was changed" in me.fails(5, *words)
    assert file.read_bytes() == before
    me.ok("rename", "s.yaml", "--type", BASIC_AUTH)
    assert changed(before, file.read_bytes()) == ["-seal", "+seal"]
    me.ok("verify", "s.yaml")


def test_a_type_of_ones_own_that_an_editor_changed_says_how_to_go_on(me: Person, file: Path) -> None:
    me.ok("rename", "s.yaml", "--type", "example.com/one")
    sealed = file.read_bytes()
    file.write_bytes(sealed.replace(b"example.com/one", b"example.com/two"))
    for words in (("decrypt", "s.yaml"), ("rename", "s.yaml", "--type", "example.com/two")):
        said = me.fails(5, *words)
        assert "the seal does not fit: type, keys, created or sealedFor was altered" in said
        assert "restore the file from Git; from there, ksecret rename --type TYPE FILE gives another type" in said
    file.write_bytes(sealed)
    me.ok("rename", "s.yaml", "--type", "example.com/two")
    assert b"type: example.com/two" in me.ok("decrypt", "s.yaml").out


def test_keys_altered_beside_a_type_are_not_taken_for_a_change_of_type(me: Person, file: Path) -> None:
    altered = file.read_bytes().replace(b"type: Opaque", f"type: {BASIC_AUTH}".encode())
    file.write_bytes(altered.replace(b'created: "2', b'created: "1'))
    assert file.read_bytes() != altered
    assert "the seal does not fit" in me.fails(5, "rename", "s.yaml", "--type", BASIC_AUTH)


def test_rename_needs_a_key_that_opens_it(me: Person, tmp_path: Path, file: Path) -> None:
    other = Person(tmp_path, "other")
    before = file.read_bytes()
    other.fails(4, "rename", "s.yaml", "--namespace", "mine")
    assert file.read_bytes() == before


def test_output_elsewhere_leaves_the_file(me: Person, file: Path) -> None:
    before = file.read_bytes()
    printed = me.ok("set", "s.yaml", "-o", "-", f"password={NEW}").out
    assert changed(before, printed) == ["-password", "+password"]
    assert file.read_bytes() == before
    assert me.ok("set", "-", "password=1", stdin=before).out != before
