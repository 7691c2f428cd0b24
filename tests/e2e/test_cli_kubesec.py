"""A script written for kubesec, run by `ksecret` with a GNUPGHOME."""

from __future__ import annotations

import re
import stat
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.cli import MANIFEST, MARK, PASSWORD, URL, USER, Person, b64
from tests.e2e.kubesec_people import (
    ARGV,
    ONE_UNBOUND,
    PASSPHRASE,
    VALUES,
    Homes,
    by_the_other_reader,
    changed_lines,
    is_kubesecs,
    keys_of,
    person,
    seal,
)
from tests.integration.gpg_home import GpgHome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def me(tmp_path: Path, homes: Homes) -> Person:
    return person(tmp_path, "me", homes.mine)


@pytest.fixture
def friend(tmp_path: Path, homes: Homes) -> Person:
    return person(tmp_path, "friend", homes.friends)


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


def test_keys_add_and_remove_change_a_file_of_kubesecs(me: Person, friend: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    both = ("-k", homes.friend)
    assert me.ok("keys", "add", "--dry-run", *both, "secret.yml").out.decode().endswith(f": +pgp:{homes.friend}\n")
    assert path.read_bytes() == before
    me.ok("keys", "add", *both, "secret.yml")
    assert sorted(keys_of(path.read_bytes())) == sorted([homes.me, homes.friend])
    assert path.read_bytes().partition(b"# kubesec:")[0] == before.partition(b"# kubesec:")[0], "no token changes"
    me.ok("keys", "remove", *both, "secret.yml")
    assert keys_of(path.read_bytes()) == [homes.me]
    assert me.ok("decrypt", "secret.yml").err == ONE_UNBOUND
    me.write("clear.yml")
    assert "no Secret in it is sealed" in me.fails(3, "keys", "add", *both, "clear.yml")


def test_keys_sync_makes_a_file_of_kubesecs_what_the_policy_says(me: Person, homes: Homes) -> None:
    path = seal(me)
    me.write(".ksecret.yaml", f"version: 1\nrules:\n  - keys: [pgp:{homes.friend}, pgp:{homes.me}]\n".encode())
    changed = "ksecret: 1 changed, 0 unchanged, 1 skipped, 0 failed\n" + ONE_UNBOUND
    assert me.ok("keys", "sync", "-r", ".").err == changed
    both = path.read_bytes()
    assert sorted(keys_of(both)) == sorted([homes.me, homes.friend])
    assert by_the_other_reader(both, homes.friends) == VALUES
    assert me.ok("keys", "sync", "-r", ".").err == "ksecret: 0 changed, 1 unchanged, 1 skipped, 0 failed\n"
    assert path.read_bytes() == both


def test_a_rewrapped_data_key_is_one_that_kubesec_reads(me: Person, homes: Homes) -> None:
    path = seal(me)
    before = path.read_bytes()
    me.ok("rotate", "--rewrap", "secret.yml")
    after = path.read_bytes()
    assert changed_lines(before, after) == [line.decode() for line in after.split(b"\n") if b"# kubesec:pgp:" in line]
    assert by_the_other_reader(after, homes.mine) == VALUES


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
        (["-d", f"a={MARK}", "-d", "a=2"], "--data names the key a twice"),
        (["-d", f"a={MARK}", "-d", "~a"], "--data names the key a twice"),
        (["-s", f"{MARK}"], "--string-data takes KEY=VALUE"),
        (["-l", f"{MARK}"], "--label takes KEY=VALUE"),
        (["-l", f"={MARK}"], "--label takes KEY=VALUE"),
        (["-a", f"{MARK}"], "--annotation takes KEY=VALUE"),
        (["-l", "a=1", "-l", "a=2"], "--label names the key a twice"),
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


def test_a_scope_that_kubesecs_format_has_not_does_not_stop_the_others(me: Person) -> None:
    kubesecs = seal(me, "d/a.yml")
    before = kubesecs.read_bytes()
    ours = me.write("d/b.yml", me.ok("encrypt", "--format=ksecret", "-k=pgp:default", "-", stdin=MANIFEST).out)
    ran = me.run("rotate", "-r", "--scope", "namespace", "d")
    assert ran.code == 3
    assert "ksecret: d/a.yml: kubesec's format binds a Secret to no name and no namespace" in ran.err
    assert "1 rotated, 0 unchanged, 1 failed" in ran.err
    assert kubesecs.read_bytes() == before
    assert b"sealedFor: " in ours.read_bytes()
