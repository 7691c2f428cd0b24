"""Completion, as bash, zsh and kubectl ask for it: words that fit, each with a line about it, and no key asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.candidates import MOST_BYTES
from secretsvc.cli.verbs.create_options import KINDS
from tests.e2e.cli import BIN, MANIFEST, Person

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = os.path.join(BIN, "kubectl_complete-ksecret")
PGP = f"pgp:{'62060000' * 5}"
BREAKS = " \t\n\"'><=;|&(:"


def asked(me: Person, line: str, shell: str = "zsh") -> dict[str, str]:
    """What argcomplete's scripts get for that line with the cursor at its end: each word and what is said of it."""
    environ = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": shell, "_ARGCOMPLETE_IFS": "\n", "COMP_TYPE": "9"}
    environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    environ |= {"_ARGCOMPLETE_COMP_WORDBREAKS": BREAKS if shell == "bash" else ""}
    ran = me.ok("-c", "exec ksecret 8>&1 9>/dev/null >/dev/null", program="sh", **environ)
    words = ran.out.decode().split("\n") if ran.out else []
    if shell != "zsh":
        return dict.fromkeys(words, "")
    halves = [word.replace("\\:", "\0").partition(":") for word in words]
    return {word.replace("\0", ":"): about for word, _, about in halves}


def plugin(me: Person, *words: str) -> tuple[dict[str, str], str]:
    """What kubectl gets from its plugin, and the directive."""
    *lines, directive = me.ok(*words, program=PLUGIN).out.decode().splitlines()
    return {word: about for word, _, about in (line.partition("\t") for line in lines)}, directive


def test_commands_come_with_what_they_do(me: Person) -> None:
    found = asked(me, "ksecret en")
    assert found == {"encrypt": "seal the values of Secret manifests"}
    assert asked(me, "ksecret ")["apply"] == "open in memory and hand on to kubectl apply --server-side"
    assert asked(me, "ksecret --v") == {}
    assert "get" in asked(me, "ksecret --debug g")


def test_no_option_comes_before_a_dash_is_typed(me: Person) -> None:
    me.write("a.yaml")
    me.write("dir/b.yaml")
    assert set(asked(me, "ksecret encrypt ")) == {"a.yaml", "dir/"}
    assert set(asked(me, "ksecret encrypt -i -r di")) == {"dir/"}
    found = asked(me, "ksecret encrypt -")
    assert found["--scope"] == "what it is bound to"
    assert "a.yaml" not in found
    assert set(asked(me, "ksecret encrypt a.yaml --sc")) == {"--scope"}


def test_an_options_value_is_completed_wherever_the_option_stands(me: Person) -> None:
    me.write("a.yaml")
    assert set(asked(me, "ksecret encrypt --scope n")) == {"namespace"}
    assert set(asked(me, "ksecret encrypt a.yaml --scope=n")) == {"--scope=namespace"}
    assert set(asked(me, "ksecret encrypt --scope=n", "bash")) == {"namespace"}
    assert set(asked(me, "ksecret encrypt -io ")) == {"a.yaml"}
    assert set(asked(me, "ksecret encrypt --output=a")) == {"--output=a.yaml"}
    assert asked(me, "ksecret decrypt -j ") == {}


def test_kinds_actions_and_shells(me: Person) -> None:
    assert asked(me, "ksecret create ") == KINDS
    assert set(asked(me, "ksecret c -n x t")) == {"tls"}
    assert asked(me, "ksecret create tls ") == {}
    assert set(asked(me, "ksecret create tls --c")) == {"--cert", "--context", "--cluster"}
    assert set(asked(me, "ksecret create generic --cert")) == set()
    assert set(asked(me, "ksecret git setup --")) == {"--help", "--debug", "--global"}
    assert set(asked(me, "ksecret audit ")) == {"verify"}
    assert asked(me, "ksecret keys a") == {"add": "one more key may open them, with the same data key"}
    assert set(asked(me, "ksecret keys add --js")) == set()
    assert set(asked(me, "ksecret completion ")) == {"bash", "zsh", "fish"}


def test_the_names_of_a_files_entries(me: Person) -> None:
    me.write_sealed("a.yaml")
    me.environ["XDG_CONFIG_HOME"] = me.environ["HOME"] = str(me.work)  # where there is no key
    assert set(asked(me, "ksecret get ")) == {"a.yaml"}
    assert asked(me, "ksecret get a.yaml ") == {name: "prod/db" for name in ("username", "password", "url")}
    assert set(asked(me, "ksecret get a.yaml p")) == {"password"}
    assert asked(me, "ksecret get a.yaml url ") == {}
    assert set(asked(me, "ksecret set a.yaml u")) == {"username=", "url="}
    assert set(asked(me, "ksecret unset a.yaml url --scope x u")) == {"username"}
    assert asked(me, "ksecret get --secret other a.yaml ") == {}


def test_files_that_can_not_be_read_give_nothing(me: Person) -> None:
    me.write("large.yaml", MANIFEST + b"#" * MOST_BYTES)
    me.write("bad.yaml", b"kind: Secret\n  : {")
    os.mkfifo(me.work / "pipe")
    for name in ("large.yaml", "bad.yaml", "absent.yaml", "pipe", ".", "-"):
        assert asked(me, f"ksecret get {name} ") == {}
    odd = MANIFEST.replace(b"password:", b'"pass\\x1b]0;word":')
    me.write("odd.yaml", odd)
    assert "\x1b" not in str(asked(me, "ksecret get odd.yaml "))


def test_the_keys_of_the_policy(me: Person, tmp_path: Path) -> None:
    bob = Person(tmp_path, "bob")
    me.write("prod/.ksecret.yaml", f"version: 1\nrules: [{{keys: [{me.ref}, {PGP}]}}]\n".encode())
    me.write("prod/a.yaml")
    assert asked(me, "ksecret encrypt prod/a.yaml -k ") == dict.fromkeys((me.ref, PGP), "prod/.ksecret.yaml")
    assert set(asked(me, "ksecret encrypt prod/a.yaml -k +p")) == {f"+{PGP}"}
    assert asked(me, "ksecret keys add -k ") == {}
    me.environ["KSECRET_KEYS"] = f"{bob.ref}, pgp:7777"
    assert asked(me, "ksecret keys add -k ") == {bob.ref: "KSECRET_KEYS", "pgp:7777": "KSECRET_KEYS"}
    me.write(".ksecret.yaml", b"version: 99\n")
    assert asked(me, "ksecret keys add -k ") == {}


def test_the_names_that_the_policy_gives_keys(me: Person, tmp_path: Path) -> None:
    bob = Person(tmp_path, "bob")
    people = f"people: {{alice: {me.ref}, bob: {bob.ref}}}\nrules: [{{keys: [alice]}}]\n"
    me.write(".ksecret.yaml", f"version: 1\n{people}".encode())
    told = "people of .ksecret.yaml"
    assert asked(me, "ksecret keys add -k ") == {"alice": told, "bob": told, me.ref: "alice"}
    assert set(asked(me, "ksecret encrypt -k +b")) == {"+bob"}


def test_what_follows_two_dashes_is_another_programs(me: Person) -> None:
    me.write("a.yaml")
    assert set(asked(me, "ksecret exec a.yaml -- a")) == {"a.yaml"}
    assert set(asked(me, "ksecret exec a.yaml -- --sc")) == set()


def test_kubectl_gets_the_same_from_its_plugin(me: Person) -> None:
    me.write_sealed("a.yaml")
    assert plugin(me, "encr") == ({"encrypt": "seal the values of Secret manifests"}, ":4")
    assert plugin(me, "get", "a.yaml", "u") == (dict.fromkeys(("username", "url"), "prod/db"), ":4")
    assert plugin(me, "set", "a.yaml", "u") == (dict.fromkeys(("username=", "url="), "prod/db"), ":6")
    assert plugin(me, "encrypt", "") == ({}, ":0")  # names of files, which the shell knows
    assert plugin(me, "encrypt", "--scope", "n") == ({"namespace": ""}, ":4")
    assert plugin(me, "encrypt", "--scope=n") == ({"--scope=namespace": ""}, ":4")
    assert plugin(me, "nonsense", "") == ({}, ":4")
    assert len(plugin(me)[0]) > 20


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")
def test_the_real_kubectl_asks_the_plugin(me: Person) -> None:
    me.write_sealed("a.yaml")
    ran = subprocess.run(
        [str(shutil.which("kubectl")), "__complete", "ksecret", "get", "a.yaml", "p"],
        env=me.environ,
        cwd=me.work,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[:2] == ["password\tprod/db", ":4"]
