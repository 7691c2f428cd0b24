"""age: identity files and SSH keys behind a passphrase, and who is asked for it when."""

from __future__ import annotations

import os
import select
import subprocess
from base64 import b64encode
from time import process_time
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.errors import BackendError, KeyNotHeldError
from tests.e2e.cli import KSECRET, MANIFEST, Person, member
from tests.integration.age_support import DEK, PASSPHRASE, Asked, age, locked, locked_identity, ssh_key, x25519

if TYPE_CHECKING:
    from pathlib import Path


def armored(data: bytes) -> bytes:
    lines = [b64encode(data[at : at + 48]) for at in range(0, len(data), 48)]
    return b"\n".join((b"-----BEGIN AGE ENCRYPTED FILE-----", *lines, b"-----END AGE ENCRYPTED FILE-----", b""))


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


def test_a_passphrase_that_nothing_needs_is_not_asked_for(tmp_path: Path) -> None:
    """An identity at hand in the clear opens it; the locked one beside it is no obstacle."""
    locked_identity(tmp_path / "ksecret" / "age.key")
    identity, ref = x25519()
    found = age(Asked(None), KSECRET_AGE_KEY=identity, XDG_CONFIG_HOME=tmp_path)
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK


def test_a_dek_wrapped_by_a_passphrase_costs_nothing_where_identities_open() -> None:
    identity, ref = x25519()
    wrapped = pyrage.passphrase.encrypt(DEK, "x")
    before = process_time()
    for _ in range(100):
        with pytest.raises(KeyNotHeldError, match="none of the age identities at hand opens it"):
            age(KSECRET_AGE_KEY=identity).unwrap(ref, wrapped, {})
    assert process_time() - before < 5  # scrypt takes a second each
