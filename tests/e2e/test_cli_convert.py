"""What is told of kubesec's files, what it takes to trust an old one, and how they become ours."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.cli import KSECRET, MANIFEST, MARK, SUMMARY, Person, b64
from tests.e2e.kubesec_people import (
    ONE_UNBOUND,
    UNBOUND,
    VALUES,
    Homes,
    by_the_other_reader,
    changed_lines,
    keys_of,
    person,
    seal,
)
from tests.integration.gpg_home import GpgHome
from tests.kubesec_support import VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def me(tmp_path: Path, homes: Homes) -> Person:
    return person(tmp_path, "me", homes.mine)


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
    assert ran.err == "ksecret: 3 converted, 1 unchanged, 2 skipped, 0 failed\n" + UNBOUND.format("3 files")
    for name in ("d/a.yaml", "d/deep/b.yml", "d/c.json.yaml"):
        now = (me.work / name).read_bytes()
        assert b"\nksecret:\n" in now
        assert b"# kubesec:" not in now
    for name in ("d/ours.yaml", "d/clear.yaml", "d/map.yaml"):
        assert (me.work / name).read_bytes() == before[name]
    ran = me.ok("convert", "--to", "kubesec", "-r", "d")
    assert ran.err == "ksecret: 4 converted, 0 unchanged, 2 skipped, 0 failed\n"
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
    assert "ksecret: 2 converted, 1 unchanged, 2 skipped, 1 failed\n" in ran.err
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
    assert "SealedSecrets: --sealed-secrets-key FILE" in me.fails(2, "convert", "secret.yml")
    assert "--to" in me.fails(2, "convert", "--to", "vault", "secret.yml")
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
