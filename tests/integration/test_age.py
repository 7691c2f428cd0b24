"""age: identities of each kind, where they come from, and what becomes of those that can't be used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.age.backend import Age
from secretsvc.backends.age.identities import default_identity_path
from secretsvc.backends.base import Settings
from secretsvc.errors import AlteredError, BackendError, KeyNotHeldError
from tests.integration.age_support import DEK, PASSPHRASE, Asked, age, locked, locked_identity, parsed, ssh_key, x25519

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["KSECRET_AGE_KEY", "KSECRET_AGE_KEY_FILE", "XDG_CONFIG_HOME", "HOME"])
def test_an_identity_is_found_in_each_of_its_places(tmp_path: Path, name: str) -> None:
    identity, ref = x25519()
    text = f"# a comment\n\n  {identity}  \r\n"
    folder = tmp_path / ".config" if name == "HOME" else tmp_path
    (folder / "ksecret").mkdir(parents=True)
    path = folder / "ksecret" / "age.key"
    path.write_text(text)
    value = {"KSECRET_AGE_KEY": text, "KSECRET_AGE_KEY_FILE": str(path)}.get(name, str(tmp_path))
    environ = {name: value} | ({"XDG_CONFIG_HOME": ""} if name == "HOME" else {})
    found = age(**environ)
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert found.own_ref() == ref
    assert (default_identity_path(environ) == str(path)) is (name in ("XDG_CONFIG_HOME", "HOME"))


def test_all_identities_that_there_are_are_used(tmp_path: Path) -> None:
    (first, one), (second, two), (third, three), (fourth, four) = (x25519() for _ in range(4))
    path = tmp_path / "keys"
    path.write_text(f"{second}\n{third}\n")
    (tmp_path / "ksecret").mkdir()
    (tmp_path / "ksecret" / "age.key").write_text(fourth)
    found = age(KSECRET_AGE_KEY=first, KSECRET_AGE_KEY_FILE=path, XDG_CONFIG_HOME=tmp_path)
    for ref in (one, two, three, four):
        assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert found.own_ref() == one
    assert age(KSECRET_AGE_KEY_FILE=path, XDG_CONFIG_HOME=tmp_path).own_ref() == two
    assert age(XDG_CONFIG_HOME=tmp_path).own_ref() == four


def test_an_identity_of_a_mounted_secret_is_not_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes shows it 0440 at best, and nobody in the container can change that: a line in the log for each run."""
    identity, ref = x25519()
    path = tmp_path / "age.key"
    path.write_text(identity)
    path.chmod(0o440)
    wrapped = age().wrap(ref, DEK, {})
    told: list[str] = []
    for flags in (0, os.ST_RDONLY):
        flagged = os.statvfs_result((0,) * 8 + (flags, 255))
        monkeypatch.setattr(os, "statvfs", lambda _, flagged=flagged: flagged)
        environ = {"KSECRET_AGE_KEY_FILE": str(path), "XDG_CONFIG_HOME": os.devnull}
        assert Age(Settings(environ, Asked(None), warn=told.append)).unwrap(ref, wrapped, {}) == DEK
    assert told == [f"{path} holds a private key, and its mode 0440 lets others at it: chmod 600"]


def test_an_identity_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    """Kubernetes puts a changed Secret in its mounted file's place, by a link, while a service runs."""
    (first, one), (second, two) = x25519(), x25519()
    for version, text in enumerate((first, second)):
        (tmp_path / str(version)).write_text(text)
    path = tmp_path / "age.key"
    path.symlink_to("0")
    found = age(KSECRET_AGE_KEY_FILE=path)
    assert found.unwrap(one, age().wrap(one, DEK, {}), {}) == DEK
    (tmp_path / "new").symlink_to("1")
    (tmp_path / "new").rename(path)
    assert found.unwrap(two, age().wrap(two, DEK, {}), {}) == DEK
    with pytest.raises(KeyNotHeldError, match="none of the age identities at hand"):
        found.unwrap(one, age().wrap(one, DEK, {}), {})


def test_a_command_reads_an_identity_file_once(tmp_path: Path) -> None:
    (first, one), (second, two) = x25519(), x25519()
    path = tmp_path / "age.key"
    path.write_text(first)
    found = age(KSECRET_AGE_KEY_FILE=path, watches=False)
    assert found.own_ref() == one
    path.write_text(second)
    assert found.unwrap(one, age().wrap(one, DEK, {}), {}) == DEK
    with pytest.raises(KeyNotHeldError, match="none of the age identities at hand"):
        found.unwrap(two, age().wrap(two, DEK, {}), {})


def test_an_identity_from_a_pipe_is_kept_for_the_whole_run() -> None:
    identity, ref = x25519()
    reading, writing = os.pipe()
    os.write(writing, identity.encode())
    os.close(writing)
    found = age(KSECRET_AGE_KEY_FILE=f"/dev/fd/{reading}")
    for _ in range(2):
        assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    os.close(reading)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_ssh_keys_seal_and_open(tmp_path: Path, kind: str, passphrase: str) -> None:
    path = tmp_path / "id"
    public = ssh_key(path, kind, passphrase)
    ref = parsed(public.strip())
    assert ref.id == " ".join(public.split()[:2]), "without its comment"
    assert ref.id.startswith(f"ssh-{kind} AAAA")
    wrapped = age().wrap(ref, DEK, {})
    asked = Asked(passphrase or None)
    for place in ({"KSECRET_AGE_KEY_FILE": path}, {"KSECRET_AGE_KEY": path.read_text()}):
        assert age(asked, **place).unwrap(ref, wrapped, {}) == DEK
    places = [f"age identity {path}", "age identity KSECRET_AGE_KEY"]
    assert asked.questions == (places if passphrase else [])
    if passphrase:
        with pytest.raises(BackendError, match=f"^the passphrase does not open the SSH key in {path}$"):
            age(Asked("wrong"), KSECRET_AGE_KEY_FILE=path).unwrap(ref, wrapped, {})


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_an_ssh_key_of_ones_own_is_sealed_to(tmp_path: Path, kind: str, passphrase: str) -> None:
    ref = parsed(ssh_key(tmp_path / "id", kind, passphrase).strip())
    assert age(Asked(passphrase or None), KSECRET_AGE_KEY_FILE=tmp_path / "id").own_ref() == ref


BAD = {
    "junk": b"not an identity\n",
    "a plug-in's line": b"AGE-PLUGIN-YUBIKEY-1QQPQQQQZYXWVU\n",
    "no SSH key": b"-----BEGIN OPENSSH PRIVATE KEY-----\nqwerty\n",
    "behind a passphrase that nobody tells": locked(b"x"),
    "too large": b"#" * (1024 * 1024 + 1),
    "too many": b"x\n" * 101,
    "not text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("place", ["KSECRET_AGE_KEY", "KSECRET_AGE_KEY_FILE", "XDG_CONFIG_HOME"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_source_that_can_not_be_used_spoils_no_other(tmp_path: Path, place: str, bad: bytes) -> None:
    identity, ref = x25519()
    (tmp_path / "ksecret").mkdir()
    path = tmp_path / "ksecret" / "age.key"
    path.write_bytes(bad)
    good = tmp_path / "good.key"
    good.write_text(identity)
    environ = {
        "KSECRET_AGE_KEY": {"KSECRET_AGE_KEY": os.fsdecode(bad.replace(b"\0", b"")), "KSECRET_AGE_KEY_FILE": good},
        "KSECRET_AGE_KEY_FILE": {"KSECRET_AGE_KEY_FILE": path, "KSECRET_AGE_KEY": identity},
        "XDG_CONFIG_HOME": {"XDG_CONFIG_HOME": tmp_path, "KSECRET_AGE_KEY_FILE": good},
    }[place]
    found = age(**environ)
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert found.own_ref() == ref


def test_an_identity_file_that_is_not_there_spoils_no_other(tmp_path: Path) -> None:
    identity, ref = x25519()
    for absent in (tmp_path / "absent", tmp_path):
        found = age(KSECRET_AGE_KEY=identity, KSECRET_AGE_KEY_FILE=absent)
        assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK


@pytest.mark.parametrize(
    "around", ["AGE-PLUGIN-YUBIKEY-1QQPQQQQZYXWVU\n{}\njunk\n", "\ufeff{}\r\n", "\ufeff# mine\n{}"]
)
def test_lines_and_marks_around_an_identity_are_passed_over(tmp_path: Path, around: str) -> None:
    identity, ref = x25519()
    (tmp_path / "keys").write_bytes(around.format(identity).encode())
    found = age(KSECRET_AGE_KEY_FILE=tmp_path / "keys")
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK


def test_all_that_can_not_be_used_is_named_where_nothing_opens(tmp_path: Path) -> None:
    _, ref = x25519()
    wrapped = age().wrap(ref, DEK, {})
    path = tmp_path / "absent"
    bad = {"KSECRET_AGE_KEY": "junk", "KSECRET_AGE_KEY_FILE": path}
    said = f"KSECRET_AGE_KEY holds a line that is not an age identity; the age identity file {path} can't be read: "
    with pytest.raises(BackendError, match=f"^{said}"):
        age(**bad).unwrap(ref, wrapped, {})
    (tmp_path / "ksecret").mkdir()
    (tmp_path / "ksecret" / "age.key").write_text(x25519()[0])
    with pytest.raises(KeyNotHeldError, match=f"^none of the age identities at hand opens it; {said}"):
        age(**bad, XDG_CONFIG_HOME=tmp_path).unwrap(ref, wrapped, {})
    with pytest.raises(BackendError, match=f"^{said}"):
        age(**bad).own_ref()


def test_whether_an_identity_at_hand_opens_is_told_without_asking_anybody(tmp_path: Path) -> None:
    identity, ref = x25519()
    ssh = parsed(ssh_key(tmp_path / "id", "ed25519").strip())
    assert age(KSECRET_AGE_KEY=identity).holds(ref) is True
    assert age(KSECRET_AGE_KEY=identity, KSECRET_AGE_KEY_FILE=tmp_path / "id").holds(ssh) is True
    assert age(KSECRET_AGE_KEY=identity).holds(x25519()[1]) is False
    assert age().holds(ref) is False
    locked_identity(tmp_path / "ksecret" / "age.key")
    asked = Asked(PASSPHRASE)
    assert age(asked, XDG_CONFIG_HOME=tmp_path).holds(ref) is None
    assert asked.questions == []


def test_the_places_tell_what_was_found_in_each(tmp_path: Path) -> None:
    path = tmp_path / "ksecret" / "age.key"
    found = [(one.name, one.found, one.usable) for one in age(XDG_CONFIG_HOME=tmp_path).places()]
    assert found == [
        ("KSECRET_AGE_KEY", "not set", 0),
        ("KSECRET_AGE_KEY_FILE", "not set", 0),
        (str(path), "no such file", 0),
    ]
    path.parent.mkdir()
    path.write_text(f"{x25519()[0]}\nAGE-PLUGIN-1X\n")
    _, two = age(KSECRET_AGE_KEY_FILE=path, XDG_CONFIG_HOME=tmp_path).places()
    assert (two.name, two.usable, two.is_bad) == (str(path), 1, True)
    assert two.found == f"1 identity; {path} holds a line that is not an age identity"
    locked_identity(path)
    *_, last = age(XDG_CONFIG_HOME=tmp_path).places()
    assert (last.found, last.is_bad) == ("behind a passphrase", False)


def test_nothing_is_at_hand_or_nothing_that_fits() -> None:
    _, ref = x25519()
    wrapped = age().wrap(ref, DEK, {})
    for found, message, what_to_do in (
        (age(), "no age identity is at hand", "run `ksecret init`"),
        (
            age(KSECRET_AGE_KEY=x25519()[0]),
            "none of the age",
            "let somebody who opens it add yours: `ksecret keys add`",
        ),
    ):
        with pytest.raises(KeyNotHeldError, match=message) as caught:
            found.unwrap(ref, wrapped, {})
        assert what_to_do in caught.value.hint
    assert age().own_ref() is None


def test_a_wrapped_key_that_was_cut_or_changed_does_not_open() -> None:
    identity, ref = x25519()
    wrapped = age().wrap(ref, DEK, {})
    found = age(KSECRET_AGE_KEY=identity)
    for at in range(0, len(wrapped), 5):
        changed = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
        for damaged in (changed, wrapped[:at]):
            with pytest.raises((AlteredError, KeyNotHeldError), match=r"was altered|none of the age identities"):
                found.unwrap(ref, damaged, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not a key", "holds a line that is not an age identity"),
        ("AGE-SECRET-KEY-1QQQQ", "holds a line that is not an age identity"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQ", "holds a line that is not an age identity"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nqwerty\n", "is not one that age can use"),
        ("age-encryption.org/v1\nqwerty", "passphrase"),
    ],
)
def test_what_is_no_identity_is_named_by_its_place_and_not_shown(text: str, message: str) -> None:
    _, ref = x25519()
    with pytest.raises(BackendError, match=message) as caught:
        age(Asked("x"), KSECRET_AGE_KEY=text).unwrap(ref, age().wrap(ref, DEK, {}), {})
    assert "KSECRET_AGE_KEY" in caught.value.message
    for secret in ("not a key", "qwerty", "QQQQ"):
        assert secret not in caught.value.message + caught.value.hint


def test_identity_files_that_can_not_be_read(tmp_path: Path) -> None:
    _, ref = x25519()
    wrapped = age().wrap(ref, DEK, {})
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(1024 * 1024 + 1)
    for path, message in (
        (tmp_path / "absent", "can't be read: No such file or directory"),
        (tmp_path, "can't be read: Is a directory"),
        (large, "is no age identity file: it is too large"),
    ):
        with pytest.raises(BackendError, match=message) as caught:
            age(KSECRET_AGE_KEY_FILE=path).unwrap(ref, wrapped, {})
        assert str(path) in caught.value.message


def test_a_file_of_more_than_a_hundred_identities_is_refused(tmp_path: Path) -> None:
    made = [x25519() for _ in range(101)]
    path = tmp_path / "keys.txt"
    path.write_text("# mine\n\n" + "".join(f"{identity}\n" for identity, _ in made[:100]))
    wrapped = age().wrap(made[99][1], DEK, {})
    assert age(KSECRET_AGE_KEY_FILE=path).unwrap(made[99][1], wrapped, {}) == DEK
    path.write_text("".join(f"{identity}\n" for identity, _ in made))
    with pytest.raises(BackendError, match="holds more than 100 age identities"):
        age(KSECRET_AGE_KEY_FILE=path).unwrap(made[99][1], wrapped, {})


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_a_service_opens_by_the_identity_that_is_named_and_by_no_other(tmp_path: Path, passphrase: str) -> None:
    """Whoever may use one of its keys could write that one's name beside what is wrapped under another."""
    first, ours = x25519()
    second, other = x25519()
    ssh = parsed(ssh_key(tmp_path / "id", "ed25519", passphrase).strip())
    places = {"KSECRET_AGE_KEY": f"{first}\n{second}", "KSECRET_AGE_KEY_FILE": tmp_path / "id"}
    service = age(Asked(passphrase or None), named_only=True, **places)
    everybody = age(Asked(passphrase or None), **places)
    for ref in (ours, other, ssh):
        wrapped = age().wrap(ref, DEK, {})
        assert service.unwrap(ref, wrapped, {}) == DEK
        for named in {ours, other, ssh} - {ref}:
            assert everybody.unwrap(named, wrapped, {}) == DEK
            with pytest.raises(KeyNotHeldError, match="none of the age identities at hand opens it"):
                service.unwrap(named, wrapped, {})
