"""age: recipients and identities of each kind, where identities come from, and what a passphrase opens."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from base64 import b64decode, b64encode
from time import process_time
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from secretsvc.backends import verify
from secretsvc.backends.age import SCHEME
from secretsvc.backends.age.backend import Age
from secretsvc.backends.age.identities import default_identity_path
from secretsvc.backends.base import Settings
from secretsvc.errors import AlteredError, BackendError, KeyNotHeldError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.e2e.cli import KSECRET, MANIFEST, Person, member

if TYPE_CHECKING:
    from pathlib import Path

DEK = bytes(range(32))
PASSPHRASE = "open sesame ü"


class Asked:
    """Somebody who knows a passphrase, or does not, and counts how often they are asked."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer
        self.questions: list[str] = []

    def __call__(self, what: str) -> bytes | None:
        self.questions.append(what)
        return None if self.answer is None else self.answer.encode()


def age(passphrase: Asked | None = None, **environ: Any) -> Age:
    alone = {"XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull}
    return Age(Settings(alone | {name: str(text) for name, text in environ.items()}, passphrase or Asked(None)))


def parsed(text: str) -> KeyRef:
    """What a person may write, as the registry takes it."""
    ref = SCHEME.parse(text)
    SCHEME.verify(ref)
    return ref


def x25519() -> tuple[str, KeyRef]:
    made = pyrage.x25519.Identity.generate()
    return str(made), KeyRef("age", str(made.to_public()))


def ssh_key(path: Path, kind: str, passphrase: str = "") -> str:
    """Makes a private key file; gives the public key's line."""
    if shutil.which("ssh-keygen"):
        bits = ["-b", "2048"] if kind == "rsa" else []
        words = ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "me@example.com", "-f", str(path)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        return path.with_suffix(".pub").read_text()
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)
    lock = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, lock))
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return public.decode() + " me@example.com\n"


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


def locked(data: bytes, passphrase: str = PASSPHRASE) -> bytes:
    """An age file behind a passphrase (age-encryption.org/v1, scrypt), with a work factor of milliseconds."""

    def derived(salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, info).derive(file_key)

    def unpadded(raw: bytes) -> bytes:
        return b64encode(raw).rstrip(b"=")

    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping = Scrypt(b"age-encryption.org/v1/scrypt" + salt, 32, 2**4, 8, 1).derive(passphrase.encode())
    body = unpadded(ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, b""))
    header = b"age-encryption.org/v1\n-> scrypt " + unpadded(salt) + b" 4\n" + body + b"\n---"
    mac = HMAC(derived(b"", b"header"), SHA256())
    mac.update(header)
    payload = ChaCha20Poly1305(derived(nonce, b"payload")).encrypt(bytes(11) + b"\x01", data, b"")
    return header + b" " + unpadded(mac.finalize()) + b"\n" + nonce + payload


def armored(data: bytes) -> bytes:
    lines = [b64encode(data[at : at + 48]) for at in range(0, len(data), 48)]
    return b"\n".join((b"-----BEGIN AGE ENCRYPTED FILE-----", *lines, b"-----END AGE ENCRYPTED FILE-----", b""))


def locked_identity(path: Path) -> KeyRef:
    identity, ref = x25519()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(locked(f"{identity}\n".encode()))
    return ref


@pytest.mark.parametrize("in_armor", [False, True])
def test_an_identity_file_behind_a_passphrase_is_unlocked_once_a_run(tmp_path: Path, in_armor: bool) -> None:
    path = tmp_path / "ksecret" / "age.key"
    ref = locked_identity(path)
    if in_armor:
        path.write_bytes(armored(path.read_bytes()))
    asked = Asked(PASSPHRASE)
    found = age(asked, KSECRET_AGE_KEY_FILE=path)
    for _ in range(3):
        assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert asked.questions == [f"age identity {path}"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("wrong", r"^the passphrase does not open the age identity in "),
        ("", r"^the passphrase does not open the age identity in "),
        (None, r"is protected by a passphrase, and there is nobody to ask$"),
    ],
)
def test_a_passphrase_that_is_wrong_or_unknown_fails_once_and_for_all(
    tmp_path: Path, answer: str | None, message: str
) -> None:
    ref = locked_identity(tmp_path / "ksecret" / "age.key")
    asked = Asked(answer)
    found = age(asked, XDG_CONFIG_HOME=tmp_path)
    for _ in range(3):
        with pytest.raises(BackendError, match=message):
            found.unwrap(ref, age().wrap(ref, DEK, {}), {})
    assert len(asked.questions) == 1


def test_passphrases_on_the_command_line(tmp_path: Path) -> None:
    me = Person(tmp_path)
    identity = me.key_file.read_bytes()
    names = [f"{number}.yaml" for number in range(3)]
    for name in names:
        me.write_sealed(name)
    me.key_file.write_bytes(locked(identity))
    (me.home / "right").write_text(f"{PASSPHRASE}\nanother line\n")
    (me.home / "wrong").write_text("0ther\n")
    right = ("--passphrase-file", str(me.home / "right"))
    assert me.ok("decrypt", *right, names[0]).out == MANIFEST
    assert me.ok("decrypt", names[0], KSECRET_AGE_PASSPHRASE=PASSPHRASE).out == MANIFEST
    assert me.ok("decrypt", *names, *right).out == b"---\n".join([MANIFEST] * 3)
    assert me.ok("encrypt", "-", *right, stdin=MANIFEST).out.count(me.ref.encode()) == 1
    err = me.fails(6, "decrypt", "--passphrase-file", str(me.home / "wrong"), names[0])
    assert f"the passphrase does not open the age identity in {me.key_file}" in err
    assert "0ther" not in err
    assert PASSPHRASE not in me.fails(6, "decrypt", names[0], KSECRET_AGE_PASSPHRASE=PASSPHRASE + "!")
    err = me.fails(6, "decrypt", names[0])
    assert (
        "is protected by a passphrase, and there is nobody to ask\n  give the passphrase with --passphrase-file" in err
    )
    err = me.fails(7, "decrypt", "--passphrase-file", "absent", names[0])
    assert err == "ksecret: absent: the passphrase can't be read: No such file or directory\n"


def at_a_terminal(me: Person, *words: str) -> bytes:
    """Runs it at a terminal, types the passphrase once, and gives what the terminal showed."""
    ours, theirs = os.openpty()
    terminal = 'exec 0<>"$0" 1>&0 2>&0; exec "$@"'  # who leads a session and opens a terminal, has it from then on
    with subprocess.Popen(
        ["sh", "-c", terminal, os.ttyname(theirs), KSECRET, *words],
        cwd=me.work,
        env=me.environ,
        start_new_session=True,
    ) as process:
        try:
            shown = b""
            while b"age.key: " not in shown:
                assert select.select([ours], [], [], 30)[0], "it asked for nothing"
                shown += os.read(ours, 1000)
            os.write(ours, PASSPHRASE.encode() + b"\n")
            assert process.wait(timeout=10) == 0
            shown += os.read(ours, 1000)
        finally:
            process.kill()
    os.close(ours)
    os.close(theirs)
    return shown


def test_on_a_terminal_the_passphrase_is_asked_for_once_and_not_echoed(tmp_path: Path) -> None:
    me = Person(tmp_path)
    names = [me.write_sealed(f"{number}.yaml").name for number in range(3)]
    me.key_file.write_bytes(locked(me.key_file.read_bytes()))
    shown = at_a_terminal(me, "decrypt", "-o", "clear.yaml", *names)
    assert (me.work / "clear.yaml").read_bytes() == b"---\n".join([MANIFEST] * 3)
    edited, new = me.work / names[0], me.write("new.yaml")
    edited.write_bytes(edited.read_bytes().replace(b"stringData:\n", b"stringData:\n  more: text\n"))
    both = at_a_terminal(me, "encrypt", "-i", edited.name, new.name)
    assert member(new.read_bytes(), me.ref)
    for screen in (shown, both):
        assert screen.count(b"passphrase for age identity") == 1
        assert PASSPHRASE.encode() not in screen


def test_an_ssh_key_behind_a_passphrase_on_the_command_line(tmp_path: Path) -> None:
    me = Person(tmp_path)
    ssh = me.home / "id"
    ref = "age:" + ssh_key(ssh, "ed25519", PASSPHRASE).strip()
    sealed = me.ok("encrypt", "-k", ref, "-", stdin=MANIFEST).out
    environ = {"KSECRET_AGE_KEY_FILE": str(ssh), "XDG_CONFIG_HOME": os.devnull}
    assert me.ok("decrypt", "-", stdin=sealed, KSECRET_AGE_PASSPHRASE=PASSPHRASE, **environ).out == MANIFEST
    err = me.fails(6, "decrypt", "-", stdin=sealed, KSECRET_AGE_PASSPHRASE="0ther", **environ)
    assert f"the passphrase does not open the SSH key in {ssh}" in err
    assert "nobody to ask" in me.fails(6, "decrypt", "-", stdin=sealed, **environ)


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


def test_of_two_locked_sources_the_second_is_asked_for_where_the_first_does_not_open(tmp_path: Path) -> None:
    ref = locked_identity(tmp_path / "ksecret" / "age.key")
    first = locked_identity(tmp_path / "other" / "age.key")
    asked = Asked(PASSPHRASE)
    environ = {"KSECRET_AGE_KEY_FILE": tmp_path / "other" / "age.key", "XDG_CONFIG_HOME": tmp_path}
    found = age(asked, **environ)
    assert found.unwrap(first, age().wrap(first, DEK, {}), {}) == DEK
    assert len(asked.questions) == 1
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert len(asked.questions) == 2


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


def test_a_passphrase_that_nothing_needs_is_not_asked_for(tmp_path: Path) -> None:
    """An identity at hand in the clear opens it; the locked one beside it is no obstacle."""
    locked_identity(tmp_path / "ksecret" / "age.key")
    identity, ref = x25519()
    found = age(Asked(None), KSECRET_AGE_KEY=identity, XDG_CONFIG_HOME=tmp_path)
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK


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


def test_what_was_wrapped_for_many_recipients_is_refused_before_age_looks_at_it() -> None:
    identity, ref = x25519()
    own = pyrage.x25519.Recipient.from_str(ref.id)
    others = [pyrage.x25519.Identity.generate().to_public() for _ in range(700)]
    backend = age(KSECRET_AGE_KEY=identity)
    for few in ([own], [*others[:3], own]):
        assert backend.unwrap(ref, pyrage.encrypt(DEK, few), {}) == DEK
    for many in (pyrage.encrypt(DEK, [own, *others]), pyrage.encrypt(DEK, [own, *others[:12]]), bytes(10_000_000)):
        before = process_time()
        with pytest.raises(AlteredError, match="its wrapped data key is too long"):
            backend.unwrap(ref, many, {})
        assert process_time() - before < 1  # 20 for 98 KB, and no other thread runs meanwhile


def test_a_dek_wrapped_by_a_passphrase_costs_nothing_where_identities_open() -> None:
    identity, ref = x25519()
    wrapped = pyrage.passphrase.encrypt(DEK, "x")
    before = process_time()
    for _ in range(100):
        with pytest.raises(KeyNotHeldError, match="none of the age identities at hand opens it"):
            age(KSECRET_AGE_KEY=identity).unwrap(ref, wrapped, {})
    assert process_time() - before < 5  # scrypt takes a second each


def test_a_file_of_more_than_a_hundred_identities_is_refused(tmp_path: Path) -> None:
    made = [x25519() for _ in range(101)]
    path = tmp_path / "keys.txt"
    path.write_text("# mine\n\n" + "".join(f"{identity}\n" for identity, _ in made[:100]))
    wrapped = age().wrap(made[99][1], DEK, {})
    assert age(KSECRET_AGE_KEY_FILE=path).unwrap(made[99][1], wrapped, {}) == DEK
    path.write_text("".join(f"{identity}\n" for identity, _ in made))
    with pytest.raises(BackendError, match="holds more than 100 age identities"):
        age(KSECRET_AGE_KEY_FILE=path).unwrap(made[99][1], wrapped, {})


def test_a_recipient_has_one_spelling() -> None:
    _, ref = x25519()
    for text in (ref.id, ref.id.upper(), f" {ref.id}\n"):
        assert parsed(text) == ref


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age1qqqq",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-dss AAAA me",
        "age1yubikey1qqqq",
        "-----BEGIN X",
        "x",
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(KeyRefError, match=r"^that is not an age recipient(: it was cut|$)"):
        parsed(text)


def test_a_recipient_with_a_wrong_letter_is_refused() -> None:
    _, ref = x25519()
    letter = "q" if ref.id[10] != "q" else "p"
    with pytest.raises(KeyRefError, match="that is not an age recipient"):
        parsed(ref.id[:10] + letter + ref.id[11:])


def agree(text: str) -> bool:
    """Whether pyrage takes it; without it the same must be told."""
    try:
        age().wrap(SCHEME.parse(text), DEK, {})
    except KeyRefError:
        with pytest.raises(KeyRefError, match="that is not an age recipient"):
            verify(f"age:{text}")
        return False
    verify(f"age:{text}")
    return True


def test_a_recipient_with_a_slip_is_told_from_a_whole_one_without_the_backend(tmp_path: Path) -> None:
    _, ref = x25519()
    assert agree(ref.id)
    for at in range(4, len(ref.id)):
        assert not agree(ref.id[:at] + ("q" if ref.id[at] != "q" else "p") + ref.id[at + 1 :])
    for kind in ("ed25519", "rsa"):
        public = parsed(ssh_key(tmp_path / kind, kind).strip()).id
        assert agree(public)
        for wrong in (
            public[:-8],
            f"ssh-{kind} AAAA",
            public.replace(f"ssh-{kind}", "ssh-rsa" if kind == "ed25519" else "ssh-ed25519"),
        ):
            assert not agree(wrong)


def test_a_private_identity_is_refused_and_not_shown() -> None:
    identity, _ = x25519()
    for text in (identity, identity.lower(), "AGE-SECRET-KEY-PQ-1QQ"):
        with pytest.raises(KeyRefError, match=r"^that is a private age identity, not a recipient$") as caught:
            parsed(text)
        assert identity[20:40].lower() not in (caught.value.message + caught.value.hint).lower()


def test_the_wrapped_key_is_an_age_file_that_age_itself_opens() -> None:
    identity, ref = x25519()
    wrapped = age().wrap(ref, DEK, {"ksecret-name": "x"})
    assert wrapped.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert pyrage.decrypt(wrapped, [pyrage.x25519.Identity.from_str(identity)]) == DEK
    by_age = pyrage.encrypt(
        DEK, [pyrage.x25519.Recipient.from_str(ref.id), pyrage.x25519.Recipient.from_str(x25519()[1].id)]
    )
    assert age(KSECRET_AGE_KEY=identity).unwrap(ref, by_age, {}) == DEK
    assert age().wrap(ref, DEK, {}) != wrapped


def test_the_key_in_a_sealed_file_is_an_age_file_of_32_bytes(tmp_path: Path) -> None:
    me = Person(tmp_path)
    wrapped = b64decode(member(me.write_sealed("a.yaml").read_bytes(), me.ref), validate=True)
    assert len(pyrage.decrypt(wrapped, [pyrage.x25519.Identity.from_str(me.identity)])) == 32


def test_an_ssh_key_as_sealing_key_on_the_command_line(tmp_path: Path) -> None:
    me = Person(tmp_path)
    ssh = me.home / "id"
    public = ssh_key(ssh, "ed25519").strip()
    path = me.write_sealed("a.yaml", MANIFEST, "-k", f"age:{public}", "-k", me.ref)
    canonical = " ".join(public.split()[:2])
    assert f"\n    age:{canonical}: ".encode() in path.read_bytes()
    for environ in ({}, {"KSECRET_AGE_KEY_FILE": str(ssh), "XDG_CONFIG_HOME": os.devnull}):
        assert me.ok("decrypt", "a.yaml", **environ).out == MANIFEST
    me.ok("encrypt", "-i", "-k", f"-age:{public} another comment", "a.yaml")
    assert canonical.encode() not in path.read_bytes()
    assert me.ok("inspect", "a.yaml").out.count(b"  key ") == 1
