"""`-r` as people use it: on a terminal, on a CI job's pipe, over what is not for ksecret."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
from base64 import b64encode
from typing import TYPE_CHECKING

from tests.e2e.cli import KSECRET, Person

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: bjB0LXB1YmxpYw==\n"


def test_a_terminal_gets_a_bar_and_a_pipe_gets_none(me: Person) -> None:
    for number in range(60):
        me.write(f"d/{number}.yaml", MANIFEST)
    assert "%|" not in me.ok("encrypt", "-r", "d").err
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    done = subprocess.run(
        [KSECRET, "encrypt", "-r", "d"], cwd=me.work, env=me.environ, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how a terminal's other end says that it is closed
        pass
    os.close(ours)
    assert done.returncode == 0
    assert b"60" in shown
    assert b"file/s" in shown
    assert shown.endswith(b"ksecret: 60 sealed, 0 unchanged, 0 failed\r\n")
    assert done.stdout.count(b"kind: Secret") == 60


def test_a_secret_that_hides_its_kind_is_not_missed_in_a_walk(me: Person) -> None:
    me.write("d/escaped.yaml", MANIFEST.replace(b"kind: Secret", b'kind: "\\x53ecret"'))
    me.write("d/escaped.json", b'{"apiVersion":"v1","kind":"\\u0053ecret","metadata":{"name":"x"},"data":{"a":"YQ=="}}')
    me.ok("encrypt", "-i", "-r", "d")
    assert b"ksecret.v1." in (me.work / "d/escaped.yaml").read_bytes()
    assert b"ksecret.v1." in (me.work / "d/escaped.json").read_bytes()
    me.write("d/utf-16.yaml", MANIFEST.decode().encode("utf-16"))
    ran = me.run("encrypt", "-i", "-r", "d")
    assert (ran.code, ran.err.count("and not UTF-8")) == (3, 1)


def test_every_command_takes_what_is_tracked_though_it_is_ignored(me: Person) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=me.work, env=me.environ, check=True)

    git("init", "-q")
    me.write("d/a.yaml", MANIFEST)
    me.write("d/local.yaml", MANIFEST.replace(b"name: x", b"name: local"))
    me.write(".gitignore", b"d/*\n")
    git("add", "-f", "d/a.yaml", ".gitignore")
    assert me.run("check").out.startswith(b"d/a.yaml:6: KS001 ")
    assert me.ok("encrypt", "-i", "-r", ".").err == "ksecret: 1 sealed, 0 unchanged, 0 failed\n"
    me.ok("check")
    assert me.ok("verify", "-r", ".").err == "ksecret: 1 verified, 0 unchanged, 0 failed\n"
    assert me.ok("keys", "list", "-r", ".").out.startswith(b"d/a.yaml: x  age:")
    assert me.ok("rotate", "-r", ".").err == "ksecret: 1 rotated, 0 unchanged, 0 failed\n"
    assert me.ok("inspect", "-r", ".").out.count(b"a.yaml") == 1
    assert me.ok("decrypt", "-r", ".").out == MANIFEST
    assert (me.work / "d" / "local.yaml").read_bytes().endswith(b"bjB0LXB1YmxpYw==\n")
    alone = me.home / "empty"
    alone.mkdir()
    ran = me.ok("verify", "-r", ".", PATH=str(alone))
    assert ran.err == (
        f"ksecret: warning: {me.work}: git is not on the PATH; "
        "files that it tracks though .gitignore names them are passed over\n"
        "ksecret: 0 verified, 0 unchanged, 0 failed\n"
    )
    ran = me.run("check", PATH=str(alone))
    assert ran.out.startswith(b"d/local.yaml:6: KS001 "), "a gate that can't tell takes all"
    assert "so what .gitignore names is checked too\n" in ran.err


def test_messages_name_files_without_a_dot_and_a_slash(me: Person) -> None:
    me.write("d/clear.yaml", MANIFEST)
    me.write_sealed("d/a.yaml", MANIFEST)
    for words in (("./d/a.yaml",), ("-r", "./d"), ("-r", ".//d")):
        assert me.ok("verify", *words).out == b"d/a.yaml: 1 sealed, all sound\n"
    assert me.run("check", "./d").out.startswith(b"d/clear.yaml:6: KS001 ")
    for command in ("decrypt", "get", "edit", "encrypt"):
        assert me.run(command, "./d/none.yaml").err.startswith("ksecret: d/none.yaml: ")
    me.write_sealed("./-", MANIFEST)  # which is no standard input
    assert me.ok("verify", "./-").out == b"./-: 1 sealed, all sound\n"


def test_what_has_nothing_to_do_with_secrets_is_left_alone(me: Person) -> None:
    me.write("d/template.yaml", b"{{- if .Values.x }}\nkind: ConfigMap\n{{ end }}\n")
    me.write("d/data.json", b'{"not": "a manifest"')
    me.write("d/a.yaml", MANIFEST)
    assert me.ok("encrypt", "-i", "-r", "d").err == "ksecret: 1 sealed, 0 unchanged, 2 skipped, 0 failed\n"
    assert me.ok("encrypt", "-i", "-r", "d").err == "ksecret: 0 sealed, 1 unchanged, 2 skipped, 0 failed\n"


def test_the_number_of_jobs_is_checked(me: Person) -> None:
    me.write("a.yaml", MANIFEST)
    for wrong in ("0", "-1", "n0t-public", "257"):
        assert "-j/--jobs: not a value that it takes" in me.fails(2, "encrypt", "--jobs", wrong, "a.yaml")
    me.ok("encrypt", "-j4", "a.yaml")


def test_a_secret_of_exactly_one_mebibyte_is_sealed_and_one_byte_more_is_not(me: Person) -> None:
    for size, code in ((1024 * 1024, 0), (1024 * 1024 + 1, 3)):
        half = size // 2
        data = MANIFEST.replace(b"bjB0LXB1YmxpYw==", b64encode(os.urandom(half))) + b"stringData:\n  b: |-\n"
        data += b"    " + b"x" * (size - half) + b"\n"
        me.write("a.yaml", data)
        ran = me.run("encrypt", "-o", "sealed.yaml", "a.yaml")
        assert ran.code == code
        if code == 0:
            assert me.ok("decrypt", "sealed.yaml").out == data
        else:
            assert "1048577 bytes of data" in ran.err


def test_the_doctor_names_what_works_and_what_does_not(me: Person) -> None:
    out = me.ok("doctor").out.decode()
    assert f"ok    {me.ref}: seals and opens\n" in out
    stranger = "age:age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
    ran = me.run("doctor", "-k", stranger, "-k", "age:nonsense")
    assert ran.code == 4
    assert f"part  {stranger}: seals, but does not open here" in ran.out.decode()
    assert "FAIL  age:…: can't seal to it: that is not an age recipient" in ran.out.decode()
    me.write_sealed("a.yaml", MANIFEST)
    assert f"ok    {me.ref}: seals and opens\n" in me.ok("doctor", "a.yaml").out.decode()


def test_the_doctor_names_each_place_of_identities_and_what_can_not_be_used(me: Person, tmp_path: Path) -> None:
    other = Person(tmp_path, "other", identity=False)
    out = me.ok("doctor", KSECRET_AGE_KEY=other.identity, KSECRET_AGE_KEY_FILE="absent").out.decode()
    assert f"ok    {other.ref}: seals and opens\n" in out, "the first of one's own is the one that is sealed to"
    assert "ok    age: KSECRET_AGE_KEY: 1 identity\n" in out
    assert "no    age: absent: the age identity file absent can't be read: No such file or directory\n" in out
    assert f"ok    age: {me.key_file}: 1 identity\n" in out
    assert "age: KSECRET_AGE_KEY_FILE" not in me.ok("doctor").out.decode()


def test_the_doctor_never_repeats_what_is_no_key(me: Person) -> None:
    for wrong in (f"age:{me.identity}", me.identity, f"age:{me.identity.lower()}"):
        ran = me.run("doctor", "-k", wrong)
        assert ran.code == 2
        assert me.identity.lower() not in (ran.out.decode() + ran.err).lower()


def test_the_doctor_tells_why_the_users_own_keys_can_not_be_tried(me: Person) -> None:
    ran = me.run("doctor", KSECRET_KEYS="age:nonsense")
    assert ran.code == 2
    assert "FAIL  your own keys: KSECRET_KEYS: that is not an age recipient" in ran.out.decode()
    me.write("broken.yaml", b"kind: [")
    assert me.fails(3, "doctor", "broken.yaml").startswith("ksecret: broken.yaml:")
