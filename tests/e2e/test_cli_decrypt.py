"""`ksecret decrypt`: the same bytes again, to standard output, to files, in place, or not at all."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARK, PASSWORD, Person, b64, is_sealed

if TYPE_CHECKING:
    from pathlib import Path


def other(name: str) -> bytes:
    return MANIFEST.replace(b"name: db", f"name: {name}".encode())


@pytest.mark.parametrize(
    "data",
    [
        MANIFEST,
        MANIFEST.replace(b"\n", b"\r\n"),
        MANIFEST.rstrip(b"\n"),
        b"\xef\xbb\xbf" + MANIFEST,
        CONFIG_MAP + b"---\n" + MANIFEST + b"---\n" + other("two"),
        b'{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "j"}, "data": {"a": "'
        + b64(MARK).encode()
        + b'"}}',
    ],
    ids=["plain", "crlf", "unended", "bom", "documents", "json"],
)
def test_the_bytes_come_back_as_they_were(me: Person, data: bytes) -> None:
    path = me.write_sealed("a.yaml", data)
    assert path.read_bytes() != data
    assert me.ok("decrypt", "a.yaml") == (0, data, "")
    assert me.ok("d", "-", stdin=path.read_bytes()).out == data


def test_a_template_prints_what_it_says_and_nothing_between_files(me: Person) -> None:
    for name in ("a", "b"):
        me.write_sealed(f"d/{name}.yaml", other(name))
    template = '{{ .metadata.name }}{{ "\\n" }}'
    assert me.ok("decrypt", "-r", "--template", template, "d").out == b"a\nb\n"
    assert me.ok("decrypt", "--template", template, "d/a.yaml", "d/b.yaml").out == b"a\nb\n"


def test_a_template_that_is_printed_ends_with_a_line_break_and_a_file_holds_what_it_says(me: Person) -> None:
    for name in ("a", "b"):
        me.write_sealed(f"d/{name}.yaml", other(name))
    words = ("decrypt", "--template", "{{ .metadata.name }}")
    assert me.ok(*words, "d/a.yaml").out == b"a\n"
    assert me.ok(*words, "-r", "d").out == b"ab\n"
    assert me.ok(*words, "d/a.yaml", "-o", "-").out == b"a\n"
    me.ok(*words, "d/a.yaml", "-o", "out")
    assert (me.work / "out").read_bytes() == b"a"


def test_in_place_brings_the_file_back_for_its_owner_alone_and_it_stays_so_when_sealed_again(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    path.chmod(0o604)
    assert me.ok("decrypt", "a.yaml", "--in-place") == (0, b"", "")
    assert path.read_bytes() == MANIFEST
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    me.ok("encrypt", "-i", "a.yaml")
    assert is_sealed(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert me.names() == ["a.yaml"]


def test_a_new_output_file_is_its_owners_alone(me: Person) -> None:
    me.write_sealed("a.yaml")
    assert me.ok("decrypt", "-o", "clear.yaml", "a.yaml") == (0, b"", "")
    clear = me.work / "clear.yaml"
    assert clear.read_bytes() == MANIFEST
    assert stat.S_IMODE(clear.stat().st_mode) == 0o600
    assert me.ok("decrypt", "--output=-", "a.yaml").out == MANIFEST


CLEAR_OUTPUTS = [
    ("decrypt", "a.yaml"),
    ("decrypt", "-x", "a.yaml"),
    ("decrypt", "--template", "{{ .data.password }}", "a.yaml"),
    ("decrypt", "--output-format", "env", "a.yaml"),
    ("decrypt", "--output-format", "json", "a.yaml"),
    ("get", "a.yaml", "password"),
]


@pytest.mark.parametrize("words", CLEAR_OUTPUTS)
def test_an_output_file_that_was_there_is_replaced_and_its_owners_alone_then(me: Person, words: list[str]) -> None:
    me.write_sealed("a.yaml")
    clear = me.write("clear", b"old" * 1000)
    clear.chmod(0o644)
    me.ok(*words, "-o", "clear")
    assert MARK.encode() in clear.read_bytes() or b64(PASSWORD).encode() in clear.read_bytes()
    assert stat.S_IMODE(clear.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("words", CLEAR_OUTPUTS)
def test_an_output_file_of_another_user_is_refused(me: Person, words: list[str]) -> None:
    sealed = me.write_sealed("a.yaml")
    clear = me.write("clear", b"old")
    os.chown(clear, 1234, 1234)
    message = me.fails(7, *words, "-o", "clear")
    assert "clear: not written: it belongs to another user" in message
    assert clear.read_bytes() == b"old"
    os.chown(sealed, 1234, 1234)
    assert "a.yaml: not written: it belongs to another user" in me.fails(7, "decrypt", "-i", "a.yaml")
    me.ok("rotate", "a.yaml")
    assert (sealed.stat().st_uid, is_sealed(sealed.read_bytes())) == (1234, True)


def test_several_files_and_folders_give_one_stream(me: Person) -> None:
    for name in ("a", "d/b", "d/c"):
        me.write_sealed(f"{name}.yaml", other(name[-1]))
    me.write("d/clear.yaml", other("clear"))
    me.write("d/map.yaml", CONFIG_MAP)
    ran = me.ok("decrypt", "-r", "a.yaml", "d")
    assert ran.out == b"---\n".join(map(other, "abc"))
    assert ran.err == "ksecret: 3 opened, 0 unchanged, 2 skipped, 0 failed\n"


def test_a_stream_of_files_that_do_not_end_their_last_line(me: Person) -> None:
    for name in "ab":
        me.write_sealed(f"{name}.yaml", other(name).rstrip(b"\n"))
    assert me.ok("decrypt", "a.yaml", "b.yaml").out == other("a") + b"---\n" + other("b").rstrip(b"\n")


def test_a_tree_is_opened_in_place(me: Person) -> None:
    paths = [me.write(f"d/{name}/{name}.yaml", other(name)) for name in "abc"]
    me.ok("encrypt", "-ir", "d")
    assert all(is_sealed(path.read_bytes()) for path in paths)
    assert me.ok("decrypt", "-ir", "d").err == "ksecret: 3 opened, 0 unchanged, 0 failed\n"
    assert [path.read_bytes() for path in paths] == [other(name) for name in "abc"]


def test_a_stranger_opens_nothing(me: Person, tmp_path: Path) -> None:
    me.write_sealed("a.yaml")
    err = Person(tmp_path, "stranger").fails(4, "decrypt", "-o", "clear.yaml", "a.yaml")
    assert err.startswith(f"ksecret: a.yaml: {me.ref}: none of the age identities at hand opens it\n")
    key_file = tmp_path / "home-stranger" / "ksecret" / "age.key"
    assert f"  looked in KSECRET_AGE_KEY (not set), KSECRET_AGE_KEY_FILE (not set), {key_file} (1 identity); set" in err
    nobody = Person(tmp_path, "nobody", identity=False)
    err = nobody.fails(4, "decrypt", "-i", "a.yaml")
    assert "no age identity is at hand" in err
    assert "KSECRET_AGE_KEY_FILE" in err
    assert me.names() == ["a.yaml"]


def test_of_several_keys_each_that_does_not_fit_is_told_in_a_line_of_its_own(me: Person, tmp_path: Path) -> None:
    bob = Person(tmp_path, "bob")
    me.write_sealed("a.yaml", MANIFEST, "-k", me.ref, "-k", bob.ref)
    first, *reasons, hint = Person(tmp_path, "stranger").fails(4, "decrypt", "a.yaml").splitlines()
    assert first == "ksecret: a.yaml: none of its keys could be used here"
    assert reasons == [f"    {ref}: none of the age identities at hand opens it" for ref in sorted((me.ref, bob.ref))]
    assert hint.startswith("  looked in KSECRET_AGE_KEY (not set)")


def test_an_identity_that_others_can_read_is_warned_of(me: Person) -> None:
    me.write_sealed("d/a.yaml")
    me.write_sealed("d/b.yaml")
    me.key_file.chmod(0o644)
    ran = me.ok("decrypt", "-r", "d")
    assert ran.err.splitlines() == [
        f"ksecret: warning: {me.key_file} holds a private key, and its mode 0644 lets others at it: chmod 600",
        "ksecret: 2 opened, 0 unchanged, 0 failed",
    ]
    me.key_file.chmod(0o400)
    assert me.ok("decrypt", "d/a.yaml").err == ""


def test_the_identity_comes_from_the_environment(me: Person, tmp_path: Path) -> None:
    me.write_sealed("a.yaml")
    nobody = Person(tmp_path, "nobody", identity=False)
    assert nobody.ok("decrypt", "a.yaml", KSECRET_AGE_KEY=me.identity).out == MANIFEST
    assert nobody.ok("decrypt", "a.yaml", KSECRET_AGE_KEY_FILE=str(me.key_file)).out == MANIFEST
    err = nobody.fails(6, "decrypt", "a.yaml", KSECRET_AGE_KEY_FILE="absent.key")
    assert "the age identity file absent.key can't be read: No such file or directory" in err
    err = nobody.fails(6, "decrypt", "a.yaml", KSECRET_AGE_KEY=f"{MARK} is not a key")
    assert "KSECRET_AGE_KEY holds a line that is not an age identity" in err
