"""What the command line says where a word, a value or a place is off, and what to do then."""

from __future__ import annotations

import re
import socket

import pytest

from secretsvc.api.audit.chain import FIRST, digest, render
from tests.e2e.cli import MANIFEST, Person, b64

SECRET = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n"
LEAK = "count it as leaked"


@pytest.mark.parametrize(
    "words",
    [["apply", "a.yaml", "--context", "prod"], ["apply", "a.yaml", "-z"], ["exec", "a.yaml", "sh", "-c", "env"]],
)
def test_an_option_of_the_program_that_is_run_goes_behind_dashes(me: Person, words: list[str]) -> None:
    me.write_sealed("a.yaml")
    assert f"put it after --: ksecret {words[0]} FILE -- " in me.fails(2, *words)


@pytest.mark.parametrize(
    ("layout", "hint"),
    [
        (b">\n    %s\n    %s\n", "write `|` in place of `>`"),
        (b'"%s\n    %s"\n', "in one line, or under `|`"),
        (b"%s\n    %s\n", "in one line, or under `|`"),
        (b'"%s!%s"\n', "put clear text under stringData"),
    ],
)
def test_base64_whose_lines_are_joined_by_blanks_is_told_how_to_stand(me: Person, layout: bytes, hint: str) -> None:
    text = b64("n0t-public and so on").encode()
    me.write("a.yaml", SECRET + b"data:\n  a: " + layout % (text[:8], text[8:]))
    assert hint in me.fails(3, "encrypt", "a.yaml")


@pytest.mark.parametrize("value", ["hunter22", "Password", "CHANGEME", "deadbeefdeadbeef"])
def test_clear_text_that_decodes_by_chance_is_warned_of_and_not_shown(me: Person, value: str) -> None:
    me.write("d/a.yaml", SECRET + f"data:\n  a: {value}\n".encode())
    for words in (["d/a.yaml"], ["-r", "d"], ["-k", me.ref, "d/a.yaml"]):
        err = me.ok("encrypt", *words).err
        assert 'ksecret: warning: d/a.yaml:6: data["a"] decodes as base64, but to no text' in err
        assert value not in err
    assert me.ok("encrypt", "-x", "d/a.yaml").err == ""


@pytest.mark.parametrize("value", [b64("hunter2\n"), b64(bytes(range(128, 152))), b64("a"), '""', b64("abc")])
def test_base64_of_texts_and_of_random_bytes_is_not_warned_of(me: Person, value: str) -> None:
    me.write("a.yaml", SECRET + f"data:\n  a: {value}\n".encode())
    assert me.ok("encrypt", "a.yaml").err == ""
    me.write("b.yaml", SECRET + b"stringData:\n  a: hunter22\n")
    assert me.ok("encrypt", "b.yaml").err == ""


def test_a_private_identity_in_place_of_a_recipient_is_called_leaked_and_never_shown(me: Person) -> None:
    me.write("a.yaml")
    for words in (["-k", me.identity], ["-k", f"age:{me.identity}"], ["-k", me.identity.lower()]):
        assert LEAK in me.fails(2, "encrypt", *words, "a.yaml")
    assert LEAK in me.fails(2, "encrypt", "a.yaml", KSECRET_KEYS=me.identity)
    me.write("recipients.txt", f"# mine\n{me.identity}\n".encode())
    assert LEAK in me.fails(2, "encrypt", "-R", "recipients.txt", "a.yaml")
    me.write(".ksecret.yaml", f"version: 1\nrules:\n- keys: [{me.identity}]\n".encode())
    assert LEAK in me.fails(3, "encrypt", "a.yaml")


def test_an_unknown_key_of_a_policy_is_named_unless_it_may_be_a_secret(me: Person) -> None:
    me.write("a.yaml")
    me.write(".ksecret.yaml", b"version: 1\nrulez: []\n")
    assert "a policy has an unknown key `rulez`\n" in me.fails(3, "encrypt", "a.yaml")
    me.write(".ksecret.yaml", b"version: 1\nn0t-public: []\n")
    assert "a policy has an unknown key here\n" in me.fails(3, "encrypt", "a.yaml")


def test_a_service_that_can_not_be_reached_is_named(me: Person) -> None:
    me.write("a.yaml")
    with socket.socket() as held:  # bound and not listening: nobody else gets that port
        held.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{held.getsockname()[1]}"
        err = me.fails(6, "encrypt", "--server", f"http://{where}", "-k", me.ref, "a.yaml", KSECRET_TOKEN="x")
    assert f"the service at {where} can't be reached: Connection refused\n" in err


def test_one_of_a_kind_is_no_plural(me: Person) -> None:
    me.write("a.yaml")
    assert me.run("check").err == "ksecret: 1 checked, 1 finding, 0 allowed, 0 failed\n"
    me.write("b.yaml", MANIFEST.replace(b"name: db", b"name: two"))
    assert me.run("check").err == "ksecret: 2 checked, 2 findings, 0 allowed, 0 failed\n"


def test_an_audit_log_is_verified_from_standard_input(me: Person) -> None:
    lines = [render({"event": "start"}, FIRST)]
    lines.append(render({"event": "intent"}, digest(lines[0])))
    log = b"\n".join([*lines, b""])
    out = me.ok("audit", "verify", "-", stdin=log).out.decode()
    assert out.startswith("standard input: 2 lines, all sound\n")
    assert me.ok("audit", "verify", "-", stdin=lines[0] + b"\n").out.startswith(b"standard input: 1 line, all sound\n")
    me.ok("audit", "verify", "--contains", digest(lines[0]), "-", stdin=log)
    ran = me.run("audit", "verify", "--contains", "0" * 64, "-", stdin=log)
    assert (ran.code, "lines were removed from the end" in ran.err) == (1, True)
    ran = me.run("audit", "verify", "-", stdin=log.replace(b"start", b"stark"))
    assert (ran.code, re.search(r"^standard input:2: ", ran.err) is not None) == (1, True)
