"""A script written for kubesec, run by `ksecret` with a GNUPGHOME, and how the files of one become the other's."""

from __future__ import annotations

import os
import pty
import re
import stat
import subprocess
from base64 import b64decode
from typing import TYPE_CHECKING, NamedTuple

import pytest
import yaml

from tests import kubesec_reader
from tests.e2e.cli import KSECRET, MANIFEST, MARK, MARKS, PASSWORD, SUMMARY, URL, USER, Person, b64
from tests.integration.gpg_home import GpgHome
from tests.kubesec_support import VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNBOUND = (
    "ksecret: {} opened in kubesec's format, which binds no Secret to its name and namespace: "
    "ksecret convert --to ksecret does\n"
)
ONE_UNBOUND = UNBOUND.format("1 file")
ARGV = (
    "ksecret: everybody on this machine can read --passphrase among the running processes\n"
    "  --passphrase-file FILE, or KSECRET_GPG_PASSPHRASE in the environment, keeps it private\n"
)
PASSPHRASE = f"{MARK} passphrase"
VALUES = {
    "data": {"username": b64(USER), "password": b64(PASSWORD)},
    "stringData": {"url": URL},
}


class Homes(NamedTuple):
    """My own keys, a friend's, and those of somebody whose key is locked; everybody knows everybody's public keys."""

    mine: GpgHome
    friends: GpgHome
    locked: GpgHome
    me: str
    friend: str
    locked_key: str


@pytest.fixture(scope="module")
def homes() -> Iterator[Homes]:
    made = (GpgHome(), GpgHome(), GpgHome())
    try:
        mine, friends, locked = made
        keys = (mine.make_pair("Me"), friends.make_pair("Friend"), locked.make_pair("Locked", PASSPHRASE))
        for home in made:
            for other in made:
                if other is not home:
                    home.learn(other)
        yield Homes(*made, *keys)
    finally:
        for home in made:
            home.close()


@pytest.fixture
def me(tmp_path: Path, homes: Homes) -> Person:
    return person(tmp_path, "me", homes.mine)


@pytest.fixture
def friend(tmp_path: Path, homes: Homes) -> Person:
    return person(tmp_path, "friend", homes.friends)


def person(folder: Path, name: str, home: GpgHome, *, identity: bool = False) -> Person:
    found = Person(folder, name, identity=identity)
    found.environ |= {"GNUPGHOME": home.path, "KSECRET_FORMAT": "kubesec"}
    return found


def is_kubesecs(data: bytes) -> bool:
    """Sealed in its format, with nothing of a value in it."""
    return b"\n# kubesec:v:" in data and b"\nksecret:" not in data and not any(mark.encode() in data for mark in MARKS)


def keys_of(sealed: bytes) -> list[str]:
    return re.findall(r"(?m)^# kubesec:pgp:([0-9A-F]{40}):", sealed.decode())


def by_the_other_reader(sealed: bytes, home: GpgHome | str) -> dict[str, dict[str, str]]:
    """The values, by the reader that shares no code with us."""
    assert kubesec_reader.misplaced(sealed) == []
    secret = kubesec_reader.read(sealed, kubesec_reader.unwrap_with_gpg(getattr(home, "path", home)))
    return {field: secret[field] for field in ("data", "stringData") if field in secret}


def seal(me: Person, name: str = "secret.yml", data: bytes = MANIFEST, *options: str) -> Path:
    path = me.write(name, data)
    me.ok("encrypt", "-i", *options, name)
    return path


# -- encrypt and decrypt, as kubesec's README has them


def test_encrypt_prints_and_decrypt_prints(me: Person, homes: Homes) -> None:
    path = me.write("secret.yml")
    sealed = me.ok("encrypt", "secret.yml")
    assert is_kubesecs(sealed.out)
    assert sealed.err == ""
    assert keys_of(sealed.out) == [homes.me]
    assert path.read_bytes() == MANIFEST
    assert by_the_other_reader(sealed.out, homes.mine) == VALUES
    opened = me.ok("decrypt", "-", stdin=sealed.out)
    assert yaml.safe_load(opened.out) == yaml.safe_load(MANIFEST)
    assert opened.err == ONE_UNBOUND
    assert b"# a comment\n" in opened.out
    assert b"  # between\n" in opened.out
    assert b"   # behind\n" in opened.out


@pytest.mark.parametrize("command", ["encrypt", "e"])
def test_in_place(me: Person, homes: Homes, command: str) -> None:
    path = me.write("secret.yml")
    assert me.ok(command, "-i", "secret.yml") == (0, b"", "")
    assert is_kubesecs(path.read_bytes())
    assert me.ok("d", "-i", "secret.yml") == (0, b"", ONE_UNBOUND)
    assert yaml.safe_load(path.read_bytes()) == yaml.safe_load(MANIFEST)
    assert me.names() == ["secret.yml"]


@pytest.mark.parametrize(
    "words", ["--key=ME", "--key=pgp:ME", "--key=pgp:default", "-k pgp:default", "-kME", "--key ME", "-k=ME", ""]
)
def test_ways_to_name_my_own_key(me: Person, homes: Homes, words: str) -> None:
    sealed = me.ok("encrypt", *words.replace("ME", homes.me).split(), "-", stdin=MANIFEST).out
    assert keys_of(sealed) == [homes.me]


def test_another_persons_key_and_several(me: Person, friend: Person, homes: Homes) -> None:
    for keys in ([homes.friend], [homes.me, homes.friend]):
        sealed = me.ok("encrypt", *(f"--key={key}" for key in keys), "-", stdin=MANIFEST).out
        assert sorted(keys_of(sealed)) == sorted(keys)
        assert by_the_other_reader(sealed, homes.friends) == VALUES
        assert yaml.safe_load(friend.ok("decrypt", "-", stdin=sealed).out) == yaml.safe_load(MANIFEST)
    only = me.ok("encrypt", f"--key={homes.friend}", "-", stdin=MANIFEST).out
    assert f"pgp:{homes.friend}" in me.fails(4, "decrypt", "-", stdin=only)


def test_a_key_more_and_a_key_less(me: Person, friend: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    me.ok("encrypt", "-i", f"--key=+{homes.friend}", "secret.yml")
    both = path.read_bytes()
    assert sorted(keys_of(both)) == sorted([homes.me, homes.friend])
    assert both.partition(b"# kubesec:")[0] == before.partition(b"# kubesec:")[0]
    friend.ok("encrypt", "-i", f"--key=-{homes.me}", "secret.yml")
    alone = path.read_bytes()
    assert keys_of(alone) == [homes.friend]
    assert b"password: " in alone
    assert not set(re.findall(rb"\S{60,}", alone)) & set(re.findall(rb"\S{60,}", both))
    me.fails(4, "decrypt", "secret.yml")
    friend.ok("encrypt", "-i", f"--key=+{homes.me}", f"--key=-{homes.friend}", "secret.yml")
    assert by_the_other_reader(path.read_bytes(), homes.mine) == VALUES


def test_the_output_goes_to_a_file(me: Person) -> None:
    me.write("secret.yml")
    me.ok("encrypt", "-o", "sealed.yml", "secret.yml")
    assert is_kubesecs((me.work / "sealed.yml").read_bytes())
    me.ok("decrypt", "sealed.yml", "--output=clear.yml")
    assert yaml.safe_load((me.work / "clear.yml").read_bytes()) == yaml.safe_load(MANIFEST)
    assert stat.S_IMODE((me.work / "clear.yml").stat().st_mode) == 0o600


@pytest.mark.parametrize("option", ["-p", "--parent"])
def test_a_parent_lends_its_keys_format_and_unchanged_lines(me: Person, homes: Homes, option: str) -> None:
    old = seal(me, "old.yml", MANIFEST, f"--key={homes.friend}", "--key=pgp:default").read_bytes()
    me.write("new.yml", MANIFEST.replace(b64(PASSWORD).encode(), b64(f"{MARK}2").encode()))
    new = me.ok("encrypt", option, "old.yml", "new.yml", KSECRET_FORMAT="").out
    changed = [one for one, other in zip(new.splitlines(), old.splitlines(), strict=True) if one != other]
    assert [line.strip()[:8] for line in changed] == [b"password", b"# kubese"]
    assert by_the_other_reader(new, homes.friends)["data"]["password"] == b64(f"{MARK}2")


def test_clear_text(me: Person, homes: Homes) -> None:
    clear = MANIFEST.replace(b64(USER).encode(), USER.encode()).replace(b64(PASSWORD).encode(), PASSWORD.encode())
    me.write("clear.yml", clear)
    sealed = me.ok("encrypt", "-x", "clear.yml").out
    assert by_the_other_reader(sealed, homes.mine) == VALUES
    opened = me.ok("decrypt", "--cleartext", "-", stdin=sealed).out
    assert yaml.safe_load(opened) == yaml.safe_load(clear)


def test_clear_text_is_no_token_in_a_file_that_is_sealed(me: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    assert "it is sealed already, in kubesec's format" in me.fails(3, "encrypt", "-x", "-i", "secret.yml")
    assert path.read_bytes() == before
    me.ok("encrypt", "-x", "-i", "-k", f"+{homes.friend}", "secret.yml")
    assert by_the_other_reader(path.read_bytes(), homes.friends) == VALUES
    path.write_bytes(before.replace(b"\ndata:\n", f"\ndata:\n  added: {MARK}\n".encode()))
    me.ok("encrypt", "-x", "-i", "secret.yml")
    assert by_the_other_reader(path.read_bytes(), homes.mine)["data"] == VALUES["data"] | {"added": b64(MARK)}


def test_json_on_standard_input(me: Person, homes: Homes) -> None:
    """Example 1 of kubesec's README."""
    text = (
        '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"app-stable-0"},"type":"Opaque",\n'
        f'  "data":{{"KEY":"{b64(MARK)}","ANOTHER_KEY":"{b64(URL)}"}}}}'
    )
    sealed = me.ok("encrypt", "-", stdin=text.encode()).out
    assert is_kubesecs(sealed)
    assert by_the_other_reader(sealed, homes.mine) == {"data": {"KEY": b64(MARK), "ANOTHER_KEY": b64(URL)}}
    assert yaml.safe_load(me.ok("decrypt", "-", stdin=sealed).out) == yaml.safe_load(text)


def test_introspect(me: Person, homes: Homes) -> None:
    seal(me, "secret.yml", MANIFEST, "-k", homes.me, "-k", homes.friend)
    for command in ("introspect", "i", "inspect"):
        told = me.ok(command, "secret.yml").out.decode()
        assert "kubesec v4" in told
        assert f"pgp:{homes.me}" in told
        assert f"pgp:{homes.friend}" in told
        assert "username, password" in told
    assert me.ok("introspect", "-", stdin=(me.work / "secret.yml").read_bytes()).out
    assert "no Secret in it is sealed" in me.fails(3, "introspect", "-", stdin=MANIFEST)


def test_the_format_is_asked_for_by_option_or_environment_and_kept_without_either(me: Person, homes: Homes) -> None:
    me.write("secret.yml")
    me.environ.pop("KSECRET_FORMAT")
    key = ("-k", homes.me)
    assert b"\nksecret:\n" in me.ok("encrypt", *key, "secret.yml").out
    assert b"\nksecret:\n" in me.ok("encrypt", *key, "--format", "ksecret", "secret.yml", KSECRET_FORMAT="kubesec").out
    assert is_kubesecs(me.ok("encrypt", *key, "--format", "kubesec", "secret.yml").out)
    assert "KSECRET_FORMAT is not a format" in me.fails(2, "encrypt", *key, "secret.yml", KSECRET_FORMAT="sops")
    path = me.write("sealed.yml", me.ok("encrypt", "--format=kubesec", "secret.yml").out)
    me.ok("encrypt", "-i", "--key", f"+{homes.friend}", "sealed.yml")
    assert is_kubesecs(path.read_bytes())
    me.ok("patch", "-i", "-d", f"username={MARK}", "sealed.yml")
    assert is_kubesecs(path.read_bytes())
    assert by_the_other_reader(path.read_bytes(), homes.friends)["data"]["username"] == b64(MARK)


# -- patch


def changed_lines(before: bytes, after: bytes) -> list[str]:
    return [line.decode().split(": ")[0] for line in after.split(b"\n") if line not in before.split(b"\n")]


def test_patch_changes_one_values_line_and_the_macs(me: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    ran = me.ok("patch", "-i", "--data", f"password={MARK} new", "secret.yml")
    assert (ran.out, ran.err) == (b"", ONE_UNBOUND)
    after = path.read_bytes()
    assert [line[:12] for line in changed_lines(before, after)] == ["  password", "# kubesec:ma"]
    assert by_the_other_reader(after, homes.mine)["data"]["password"] == b64(f"{MARK} new")
    assert me.ok("patch", "-i", "--data", f"password={MARK} new", "secret.yml").code == 0
    assert path.read_bytes() == after


@pytest.mark.parametrize("command", ["patch", "p"])
def test_patch_prints_unless_in_place(me: Person, homes: Homes, command: str) -> None:
    path = seal(me)
    before = path.read_bytes()
    printed = me.ok(
        command, "secret.yml", "-d", f"new={MARK}", "-d", "~username", "-s", f"text={MARK}", "-s", "~url"
    ).out
    assert path.read_bytes() == before
    values = by_the_other_reader(printed, homes.mine)
    assert values == {"data": {"password": b64(PASSWORD), "new": b64(MARK)}, "stringData": {"text": MARK}}
    me.ok(command, "-d", f"new={MARK}", "-o", "out.yml", "secret.yml")
    assert is_kubesecs((me.work / "out.yml").read_bytes())
    from_input = me.ok(command, "-d", f"new={MARK}", "-", stdin=before).out
    assert by_the_other_reader(from_input, homes.mine)["data"]["new"] == b64(MARK)


def test_patch_takes_values_from_files(me: Person, homes: Homes) -> None:
    path = seal(me)
    content = bytes(range(256)) + MARK.encode()
    me.write("some/tls.key", content)
    me.write("text", f"{MARK}\nß\n".encode())
    me.ok("patch", "-i", "-d", "file:some/tls.key", "-d", "file:other=some/tls.key", "-s", "file:text", "secret.yml")
    values = by_the_other_reader(path.read_bytes(), homes.mine)
    assert b64decode(values["data"]["tls.key"]) == b64decode(values["data"]["other"]) == content
    assert values["stringData"]["text"] == f"{MARK}\nß\n"
    before = path.read_bytes()
    assert "can't be read" in me.fails(7, "patch", "-i", "-d", "file:absent", "secret.yml")
    assert "not UTF-8 text" in me.fails(2, "patch", "-i", "-s", "file:some/tls.key", "secret.yml")
    assert path.read_bytes() == before


def test_patch_keeps_an_equals_sign_an_empty_value_and_bytes_that_are_no_text(me: Person, homes: Homes) -> None:
    path = seal(me)
    me.ok("patch", "-i", "-d", f"a={MARK}==x=y", "-d", "b=", b"-dc=\xff\xfe", "-s", "d=~", "secret.yml")
    values = by_the_other_reader(path.read_bytes(), homes.mine)
    assert b64decode(values["data"]["a"]) == f"{MARK}==x=y".encode()
    assert values["data"]["b"] == ""
    assert b64decode(values["data"]["c"]) == b"\xff\xfe"
    assert values["stringData"]["d"] == "~"


def test_patch_changes_labels_annotations_and_identity(me: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    me.ok(
        *("patch", "-i", "-l", "app=web", "--label=tier=1", "-a", "note=a: b # c", "--annotation", "x/y=z=z"),
        *("-m", "name=other", "--metadata=namespace=test", "secret.yml"),
    )
    after = path.read_bytes()
    assert yaml.safe_load(after)["metadata"] == {
        "name": "other",
        "namespace": "test",
        "labels": {"app": "web", "tier": "1"},
        "annotations": {"note": "a: b # c", "x/y": "z=z"},
    }
    assert by_the_other_reader(after, homes.mine) == VALUES
    assert re.findall(rb"# kubesec:.*", after) == re.findall(rb"# kubesec:.*", before)


def test_patch_changes_the_keyset_and_the_data_key(me: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    me.ok("patch", "-i", "-k", f"+{homes.friend}", "secret.yml")
    assert sorted(keys_of(path.read_bytes())) == sorted([homes.me, homes.friend])
    for option in ("--rotate", "-r"):
        older = path.read_bytes()
        me.ok("patch", "-i", option, "secret.yml")
        assert not set(re.findall(rb"\S{60,}", path.read_bytes())) & set(re.findall(rb"\S{60,}", older + before))
        assert by_the_other_reader(path.read_bytes(), homes.friends) == VALUES


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-d", f"{MARK}"], "--data takes KEY=VALUE or file:KEY=PATH or ~KEY"),
        (["-d", f"a b={MARK}"], "--data: a key is made of letters"),
        (["-d", f"={MARK}"], "--data: a key is made of letters"),
        (["-d", "~"], "--data: a key is made of letters"),
        (["-s", f"{MARK}"], "--string-data takes KEY=VALUE"),
        (["-l", f"{MARK}"], "--label takes KEY=VALUE"),
        (["-l", f"={MARK}"], "--label takes KEY=VALUE"),
        (["-a", f"{MARK}"], "--annotation takes KEY=VALUE"),
        (["-m", f"uid={MARK}"], "--metadata takes name=NAME and namespace=NAMESPACE"),
        (["-m", "name="], "--metadata takes name=NAME and namespace=NAMESPACE"),
        (["-d"], "option -d needs a value"),
        (["-k", "-nokey"], "a key is written SCHEME:NAME"),
    ],
)
def test_patch_says_what_is_wrong_with_its_words(me: Person, words: list[str], message: str) -> None:
    path = seal(me)
    before = path.read_bytes()
    assert message in me.fails(2, "patch", "-i", "secret.yml", *words)
    assert path.read_bytes() == before


def test_patch_of_a_file_that_is_not_sealed_or_was_altered(me: Person) -> None:
    me.write("clear.yml")
    assert "no Secret in it is sealed" in me.fails(3, "patch", "-d", f"a={MARK}", "clear.yml")
    text = seal(me).read_bytes()
    path = me.write("altered.yml", re.sub(rb"(?m)^  username.*\n", b"", text))
    assert "its MAC does not fit" in me.fails(5, "patch", "-i", "-d", f"a={MARK}", "altered.yml")
    assert path.read_bytes() == re.sub(rb"(?m)^  username.*\n", b"", text)


# -- merge


TARGET = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: db-2
data:
  password: ""
  new: {b64(MARK)}
""".encode()


@pytest.mark.parametrize("command", ["merge", "m"])
def test_merge_puts_the_sources_values_into_the_target(me: Person, homes: Homes, command: str) -> None:
    source = seal(me, "old.yml", MANIFEST, "-k", homes.me, "-k", homes.friend)
    target = me.write("new.yml", TARGET)
    ran = me.ok(command, "old.yml", "new.yml")
    assert by_the_other_reader(ran.out, homes.friends) == {"data": {"password": b64(PASSWORD), "new": b64(MARK)}}
    assert ran.err == ONE_UNBOUND
    assert target.read_bytes() == TARGET
    me.ok(command, "-i", "old.yml", "new.yml")
    assert by_the_other_reader(target.read_bytes(), homes.mine) == by_the_other_reader(ran.out, homes.mine)
    me.ok(command, "old.yml", "-", "-o", "old.yml", stdin=TARGET)
    assert by_the_other_reader(source.read_bytes(), homes.mine) == by_the_other_reader(ran.out, homes.mine)


def test_merge_takes_its_source_from_standard_input_and_clear_text(me: Person, homes: Homes) -> None:
    sealed = seal(me).read_bytes()
    me.write("new.yml", TARGET.replace(b64(MARK).encode(), MARK.encode()))
    merged = me.ok("merge", "-x", "-", "new.yml", stdin=sealed).out
    assert by_the_other_reader(merged, homes.mine) == {"data": {"password": b64(PASSWORD), "new": b64(MARK)}}


def test_merge_says_what_is_wrong(me: Person) -> None:
    seal(me)
    me.write("clear.yml", TARGET)
    for words in ([], ["secret.yml"], ["secret.yml", "clear.yml", "clear.yml"]):
        assert "merge takes a source and a target" in me.fails(2, "merge", *words)
    assert me.fails(3, "merge", "clear.yml", "clear.yml").startswith("ksecret: clear.yml: no Secret in it is sealed")
    assert "merge takes a target in the clear" in me.fails(3, "merge", "secret.yml", "secret.yml")
    assert "can't be read" in me.fails(7, "merge", "absent.yml", "clear.yml")


# -- what gpg is told


def test_a_keyring_of_ones_own(me: Person, homes: Homes, tmp_path: Path) -> None:
    """The friend's public key is in that file, and not in the home that is used."""
    bare = GpgHome()
    try:
        bare.gpg("--import", data=homes.mine.gpg("--export-secret-keys", homes.me))
        ring = tmp_path / "ring.gpg"
        ring.write_bytes(homes.mine.gpg("--export", homes.friend, homes.me))
        me.environ["GNUPGHOME"] = bare.path
        words = ("encrypt", f"--key={homes.friend}", f"--key={homes.me}", "-")
        me.fails(2, *words, stdin=MANIFEST)
        sealed = me.ok(*words, "--keyring", str(ring), stdin=MANIFEST).out
        assert by_the_other_reader(sealed, homes.friends) == VALUES
        assert me.ok("decrypt", f"--keyring={ring}", "-", stdin=sealed).out
    finally:
        bare.close()


def test_a_passphrase_on_the_command_line_works_with_a_warning(tmp_path: Path, homes: Homes) -> None:
    me = person(tmp_path, "locked", homes.locked)
    homes.locked.forget()
    sealed = me.ok("encrypt", "--passphrase", PASSPHRASE, "-", stdin=MANIFEST)
    assert sealed.err == ARGV
    homes.locked.forget()
    opened = me.ok("decrypt", f"--passphrase={PASSPHRASE}", "-", stdin=sealed.out)
    assert opened.err == ARGV + ONE_UNBOUND
    assert yaml.safe_load(opened.out) == yaml.safe_load(MANIFEST)
    homes.locked.forget()
    wrong = me.run("decrypt", "--passphrase", "wrong", "-", stdin=sealed.out)
    assert (wrong.code, wrong.out) == (6, b"")
    assert wrong.err.startswith(ARGV + "ksecret: standard input: ")
    homes.locked.forget()
    path = me.write("passphrase", f"{PASSPHRASE}\nnot this\n".encode())
    assert me.ok("decrypt", "--passphrase-file", path.name, "-", stdin=sealed.out).err == ONE_UNBOUND


def test_debug_shows_where_and_no_value(me: Person) -> None:
    text = seal(me).read_bytes()
    me.write("altered.yml", re.sub(rb"(?m)^  username.*\n", b"", text))
    for words in (("--debug", "decrypt", "altered.yml"), ("decrypt", "--debug", "altered.yml")):
        ran = me.run(*words)
        assert (ran.code, ran.out) == (5, b"")
        assert "AlteredError raised" in ran.err


# -- what is told of a file, and its exit code


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        (rb"(?m)^  username.*\n", b"", 5, "its MAC does not fit: a value, or the keyset, was altered"),
        (rb"(?m)^(  password: ).....", rb"\1AAAAA", 5, "the value of password was altered, or copied from another key"),
        (rb"(?m)^# kubesec:mac:.*\n", b"", 5, "it has no MAC (version 4 of kubesec's format)"),
        (rb"kubesec:v:4", b"kubesec:v:5", 3, "a version of kubesec's format that is not known"),
        (rb"kubesec:pgp:.{40}", b"kubesec:pgp:" + b"A" * 40, 5, "its MAC does not fit"),
        (rb"(?m)^data:\n", b"data:\n  added: YQ==\n", 5, 'data["added"] is not sealed, in a Secret that is'),
        (rb"(?m)^# kubesec:v:4\n", b"# kubesec:v:4\n# kubesec:x:y\n", 5, "a line of kubesec's that is none"),
        (rb"(?m)^(# kubesec:pgp:[^:]*:.*\n)", rb"\1\1", 5, "one key has two of kubesec's lines"),
        (rb"\A", MANIFEST + b"---\n", 3, "kubesec's lines belong to one Secret"),
    ],
)
def test_what_is_wrong_with_a_file_and_its_exit_code(
    me: Person, old: bytes, new: bytes, code: int, message: str
) -> None:
    path = seal(me)
    altered = re.sub(old, new, path.read_bytes(), count=1)
    path.write_bytes(altered)
    assert message in me.fails(code, "decrypt", "secret.yml")
    assert message in me.fails(code, "decrypt", "-i", "secret.yml")
    assert message in me.fails(code, "decrypt", "-o", "out.yml", "secret.yml")
    assert message in me.fails(code, "convert", "--to", "ksecret", "secret.yml")
    assert message in me.fails(1 if code == 5 else code, "verify", "secret.yml")
    assert path.read_bytes() == altered
    assert me.names() == ["secret.yml"]


def test_a_value_replaced_in_the_clear_is_not_sealed_and_one_added_is(me: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    path.write_bytes(re.sub(rb"(?m)^  password: \S+", b"  password: " + b64(MARK).encode(), before))
    assert "its MAC does not fit" in me.fails(5, "encrypt", "-i", "secret.yml")
    path.write_bytes(before.replace(b"\ndata:\n", f"\ndata:\n  added: {b64(MARK)}\n".encode()))
    me.ok("encrypt", "-i", "secret.yml")
    assert by_the_other_reader(path.read_bytes(), homes.mine)["data"] == VALUES["data"] | {"added": b64(MARK)}
    assert "it is sealed already, in kubesec's format" in me.fails(3, "encrypt", "-i", "secret.yml")


def test_what_the_format_has_no_place_for(me: Person, tmp_path: Path) -> None:
    me.write("two.yml", MANIFEST + b"---\n" + MANIFEST)
    assert "one Secret per file, and nothing else" in me.fails(3, "encrypt", "-i", "two.yml")
    age = Person(tmp_path, "age").ref
    assert "kubesec's format has no keys of the kind age:" in me.fails(2, "encrypt", "-k", age, "-", stdin=MANIFEST)
    assert "--scope" in me.fails(2, "encrypt", "--scope", "any", "-", stdin=MANIFEST)
    assert (me.work / "two.yml").read_bytes() == MANIFEST + b"---\n" + MANIFEST


def test_verify_tells_that_it_is_sound_and_bound_to_nothing(me: Person) -> None:
    seal(me)
    ran = me.ok("verify", "secret.yml")
    assert (ran.out, ran.err) == (b"secret.yml: 1 sealed, all sound\n", ONE_UNBOUND)


# -- files without a MAC


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Person]:
    """Somebody with the vectors' keys, and kubesec's own file of an old version."""
    home = GpgHome()
    try:
        home.gpg("--import", data=(VECTORS / "pgp-secret-keys.asc").read_bytes())
        found = person(tmp_path, "old", home)
        found.write("old.yml", (VECTORS / "v2-no-mac.rsa.enc.yaml").read_bytes())
        yield found
    finally:
        home.close()


def on_a_terminal(me: Person, answer: str, *words: str) -> tuple[int, str]:
    """A run with a terminal as standard input and error, at which somebody types; the exit code and what they saw."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [KSECRET, *words], cwd=me.work, env=me.environ, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
            if shown.endswith(b"[y/N] "):
                os.write(ours, answer.encode())
    except OSError:  # how a terminal's other end says that it is closed
        pass
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert out == b""
    return process.returncode, shown.decode().replace("\r\n", "\n")


def test_a_person_is_shown_what_they_vouch_for_and_asked(old: Person) -> None:
    path = old.work / "old.yml"
    before = path.read_bytes()
    assert "it has no MAC (version 2 of kubesec's format)" in old.fails(5, "decrypt", "old.yml")
    for answer in ("n\n", "\n", "yo\n", "\x04"):
        code, shown = on_a_terminal(old, answer, "encrypt", "-i", "--recompute-mac", "old.yml")
        assert code == 5, shown
        assert "it has no MAC" in shown
        assert path.read_bytes() == before
    code, shown = on_a_terminal(old, "y\n", "encrypt", "-i", "--recompute-mac", "old.yml")
    assert code == 0
    fingerprint = keys_of(before)[0]
    assert f"  key    pgp:{fingerprint}  " in shown
    assert "  entry  data/password\n  entry  data/username\n" in shown
    assert "old.yml: prod/dev-db-auth: it has no MAC; with a new one you vouch for what it holds now:\n" in shown
    after = path.read_bytes()
    assert by_the_other_reader(after, old.environ["GNUPGHOME"])
    assert changed_lines(before, after)[0] == "# kubesec:v:3"
    assert [line[:14] for line in changed_lines(before, after)[1:]] == ["# kubesec:mac:"]
    values = yaml.safe_load((VECTORS / "opaque.rsa.dec.yaml").read_bytes())["data"]
    assert not [value for value in values.values() if value in shown or b64decode(value).decode() in shown.split()]


@pytest.mark.parametrize("command", [("encrypt", "-i"), ("patch", "-i"), ("convert", "--to", "ksecret")])
def test_where_nobody_can_be_asked_only_yes_vouches(old: Person, command: tuple[str, ...]) -> None:
    path = old.work / "old.yml"
    before = path.read_bytes()
    code, message = (3, "it is sealed already") if command[0] == "encrypt" else (5, "it has no MAC")
    assert message in old.fails(code, *command, "old.yml")
    ran = old.run(*command, "--recompute-mac", "old.yml")
    assert (ran.code, ran.out) == (2, b"")
    assert "nobody is here to be asked\n  if that is as it should be, say --yes\n" in ran.err
    assert "  entry  data/password\n" in ran.err
    assert path.read_bytes() == before
    ran = old.ok(*command, "--recompute-mac", "--yes", "old.yml")
    assert "you vouch for what it holds now" in ran.err
    assert path.read_bytes() != before
    old.ok("decrypt", "old.yml")


def test_a_file_whose_mac_fits_is_not_asked_about(me: Person) -> None:
    seal(me)
    assert "it is sealed already" in me.fails(3, "encrypt", "-i", "--recompute-mac", "secret.yml")
    assert me.ok("patch", "-i", "--recompute-mac", "-d", f"a={MARK}", "secret.yml").err == ONE_UNBOUND


# -- convert


def tree(me: Person) -> dict[str, bytes]:
    """Three files of kubesec's, one of ours, and what is none of either's."""
    me.write("d/a.yaml")
    me.write("d/deep/b.yml", MANIFEST.replace(b"name: db", b"name: b"))
    me.write("d/c.json.yaml", MANIFEST.replace(b"name: db", b"name: c"))
    me.ok("encrypt", "-i", "-r", "d")
    me.write("d/ours.yaml", MANIFEST.replace(b"name: db", b"name: ours"))
    me.ok("encrypt", "-i", "-k", "pgp:default", "d/ours.yaml", KSECRET_FORMAT="ksecret")
    me.write("d/clear.yaml", MANIFEST)
    me.write("d/map.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n")
    return {name: (me.work / name).read_bytes() for name in me.names()}


def test_a_tree_becomes_ours_and_then_kubesecs(me: Person, homes: Homes) -> None:
    before = tree(me)
    ran = me.ok("convert", "--to", "ksecret", "-r", "d")
    assert ran.out == b""
    assert ran.err == "ksecret: 3 converted, 1 unchanged, 0 failed\n".replace("1 un", "3 un") + UNBOUND.format(
        "3 files"
    )
    for name in ("d/a.yaml", "d/deep/b.yml", "d/c.json.yaml"):
        now = (me.work / name).read_bytes()
        assert b"\nksecret:\n" in now
        assert b"# kubesec:" not in now
    for name in ("d/ours.yaml", "d/clear.yaml", "d/map.yaml"):
        assert (me.work / name).read_bytes() == before[name]
    ran = me.ok("convert", "--to", "kubesec", "-r", "d")
    assert ran.err == "ksecret: 4 converted, 2 unchanged, 0 failed\n"
    for name in ("d/a.yaml", "d/deep/b.yml", "d/c.json.yaml", "d/ours.yaml"):
        assert by_the_other_reader((me.work / name).read_bytes(), homes.mine) == VALUES
    ran = me.ok("verify", "-r", "d")
    assert ran.err.endswith(UNBOUND.format("4 files"))
    assert ran.err.count("opened in kubesec's format") == 1


def test_in_a_tree_the_rest_is_converted_when_one_fails(me: Person) -> None:
    before = tree(me)
    broken = re.sub(rb"(?m)^  username.*\n", b"", before["d/a.yaml"])
    me.write("d/a.yaml", broken)
    ran = me.run("convert", "--to", "ksecret", "-r", "d")
    assert ran.code == 5
    assert ran.err.startswith("ksecret: d/a.yaml: its MAC does not fit")
    assert "ksecret: 2 converted, 3 unchanged, 1 failed\n" in ran.err
    assert ran.err.endswith(UNBOUND.format("2 files"))
    assert (me.work / "d/a.yaml").read_bytes() == broken


def test_convert_changes_the_files_themselves_unless_told_otherwise(me: Person) -> None:
    path = seal(me)
    before = path.read_bytes()
    printed = me.ok("convert", "--to", "ksecret", "-o", "-", "secret.yml")
    assert printed.err == ONE_UNBOUND
    assert b"\nksecret:\n" in printed.out
    assert b"\nksecret:\n" in me.ok("convert", "--to", "ksecret", "-", stdin=before).out
    me.ok("convert", "--to", "ksecret", "-o", "out.yml", "secret.yml")
    assert b"\nksecret:\n" in (me.work / "out.yml").read_bytes()
    assert path.read_bytes() == before
    assert "it is in kubesec's format already" in me.fails(3, "convert", "--to", "kubesec", "secret.yml")
    assert me.ok("convert", "--to", "ksecret", "--scope=namespace", "secret.yml").out == b""
    assert b'sealedFor: "prod/*"' in path.read_bytes()
    assert me.ok("decrypt", "secret.yml").err == ""


def test_convert_wants_to_know_what_to(me: Person) -> None:
    seal(me)
    assert "convert to what?" in me.fails(2, "convert", "secret.yml")
    assert "--to" in me.fails(2, "convert", "--to", "sops", "secret.yml")
    me.write("clear.yml")
    assert "no Secret in it is sealed" in me.fails(3, "convert", "--to", "kubesec", "clear.yml")


def test_files_with_age_keys_need_others_on_the_way(tmp_path: Path, homes: Homes) -> None:
    me = person(tmp_path, "both", homes.mine, identity=True)
    path = seal(me, "secret.yml", MANIFEST, "--format", "ksecret", "-k", me.ref)
    assert "kubesec's format has no keys of the kind age:" in me.fails(2, "convert", "--to", "kubesec", "secret.yml")
    assert b"\nksecret:\n" in path.read_bytes()
    me.ok("convert", "--to", "kubesec", "-k", f"-{me.ref}", "-k", f"+{homes.me}", "secret.yml")
    assert by_the_other_reader(path.read_bytes(), homes.mine) == VALUES


def test_several_files_give_one_stream_and_one_line(me: Person) -> None:
    for name in ("a.yml", "b.yml"):
        seal(me, name, MANIFEST.replace(b"name: db", f"name: {name[0]}".encode()))
    ran = me.ok("decrypt", "a.yml", "b.yml")
    assert [document["metadata"]["name"] for document in yaml.safe_load_all(ran.out)] == ["a", "b"]
    summary, _, rest = ran.err.partition("\n")
    assert SUMMARY.fullmatch(f"{summary}\n")
    assert rest == UNBOUND.format("2 files")
