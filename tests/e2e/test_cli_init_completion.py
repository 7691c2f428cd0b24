"""`ksecret init`, `completion`, `--help`, `--version`, and the program's other name, `kubectl ksecret`."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from secretsvc import __version__
from secretsvc.cli.commands import COMMANDS, GROUPS
from tests.e2e.cli import BIN, KSECRET, MANIFEST, Person

if TYPE_CHECKING:
    from pathlib import Path

ALIASES = {"e": "encrypt", "d": "decrypt", "i": "inspect", "introspect": "inspect"}


@pytest.fixture
def me(tmp_path: Path) -> Person:
    return Person(tmp_path, identity=False)


def test_init_makes_an_identity_that_only_its_owner_reads(me: Person) -> None:
    ran = me.ok("init")
    first, second, third = ran.out.decode().splitlines()
    assert first == f"made your age identity: {me.key_file}"
    assert third == "next: ksecret encrypt -i secret.yaml"
    ref = second.split()[-1]
    assert re.fullmatch(r"age:age1[a-z0-9]{58}", ref)
    assert stat.S_IMODE(me.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(me.key_file.parent.stat().st_mode) == 0o700
    text = me.key_file.read_text()
    assert re.fullmatch(r"# created: \S+Z\n# public key: (age1\S+)\nAGE-SECRET-KEY-1[A-Z0-9]{58}\n", text)
    assert ref.removeprefix("age:") in text
    assert "AGE-SECRET-KEY" not in ran.out.decode() + ran.err
    me.write_sealed("secret.yaml")
    assert me.ok("decrypt", "secret.yaml").out == MANIFEST


def test_a_second_init_finds_it_and_changes_nothing(me: Person) -> None:
    made = me.ok("init").out
    before = me.key_file.read_bytes()
    assert me.ok("init").out == made.replace(b"made your", b"found your")
    assert me.key_file.read_bytes() == before


def test_init_tells_the_users_own_key_whatever_keys_the_environment_lists(me: Person, tmp_path: Path) -> None:
    made = me.ok("init").out
    ann, bob = Person(tmp_path, "ann"), Person(tmp_path, "bob")
    for listed in (ann.ref, f"{ann.ref},{bob.ref}", "age:not-a-key"):
        assert me.ok("init", KSECRET_KEYS=listed).out == made.replace(b"made your", b"found your")


def test_init_finds_the_identity_that_the_environment_names_and_makes_no_second_one(me: Person) -> None:
    path = me.write("keys.txt", f"# mine\n{me.identity}\n".encode())
    for environ, where in (
        ({"KSECRET_AGE_KEY": me.identity}, "KSECRET_AGE_KEY"),
        ({"KSECRET_AGE_KEY_FILE": str(path)}, str(path)),
    ):
        out = me.ok("init", **environ).out.decode()
        assert out.startswith(f"found your age identity: {where}\nyour key, for others to seal to:  {me.ref}\n")
        assert not me.key_file.exists()
        assert f'"{me.ref}"' in (me.work / ".ksecret.yaml").read_text()


def test_init_says_what_is_wrong_with_the_identity_that_the_environment_names(me: Person) -> None:
    err = me.fails(6, "init", KSECRET_AGE_KEY_FILE="absent.key")
    assert err.startswith("ksecret: the age identity file absent.key can't be read: No such file or directory\n")
    assert not me.key_file.exists()


def test_init_without_xdg_config_home_uses_the_home_folder(me: Person) -> None:
    me.ok("init", XDG_CONFIG_HOME="")
    assert (me.home / ".config" / "ksecret" / "age.key").is_file()


def test_init_where_no_folder_can_be_made(me: Person) -> None:
    (me.home / "ksecret").write_text("a file in the way")
    assert f"ksecret: {me.key_file}: can't be written: " in me.fails(7, "init")


def test_init_follows_no_link_out_of_the_repository(me: Person) -> None:
    (me.work / ".git").mkdir()
    (me.work / ".ksecret.yaml").symlink_to(me.home / ".profile")
    ran = me.run("init")
    assert (ran.code, (me.home / ".profile").exists()) == (7, False)
    assert f"the link .ksecret.yaml leads out of the repository, to {me.home}/.profile" in ran.err


def test_init_over_an_identity_of_another_kind_does_not_send_people_in_a_circle(me: Person) -> None:
    """`run ksecret init` is no hint for somebody who just did."""
    me.key_file.parent.mkdir()
    me.key_file.write_text("# nothing but a comment\n")
    err = me.fails(me.run("init").code, "init")
    assert "run `ksecret init`" not in err


def test_init_takes_no_words(me: Person) -> None:
    assert me.fails(2, "init", "here") == "ksecret: a word too many\n  ksecret init --help tells more\n"
    assert not me.key_file.exists()


@pytest.mark.parametrize("command", [*COMMANDS, *ALIASES])
def test_every_command_has_help_on_standard_output(me: Person, command: str) -> None:
    ran = me.ok(command, "--help")
    name = ALIASES.get(command, command)
    assert ran.out.decode().startswith(f"usage: ksecret {name} ")
    assert f"  ksecret {name}" in ran.out.decode().partition("examples:")[2] or name == "completion"
    assert b"examples:\n" in ran.out
    assert ran.err == ""
    assert me.ok(command, "-h").out == me.ok("help", command).out == ran.out
    assert me.ok(command, "some", "words", "--help").out == ran.out


def test_the_help_of_the_whole_lists_all_commands(me: Person) -> None:
    out = me.ok("--help").out.decode()
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} .*{re.escape(command.summary)}", out, re.MULTILINE)
    assert me.ok().out == me.ok("-h").out == me.ok("help").out == me.ok("--debug").out == out.encode()


def test_every_command_is_in_one_group() -> None:
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(set(names)) == sorted(COMMANDS)


def test_the_help_of_the_whole_tells_groups_variables_and_docs(me: Person) -> None:
    out = me.ok("--help").out.decode()
    for title in GROUPS:
        assert f"\n\n{title}:\n  " in out
    assert "\nvariables: KSECRET_KEYS, " in out
    assert "\ndocs: " in out


@pytest.mark.parametrize("words", [["--help"], ["encrypt", "--help"], ["keys", "add", "--help"]])
def test_help_is_as_wide_as_the_terminal(me: Person, words: list[str]) -> None:
    def widest(columns: str) -> int:
        text = me.ok(*words, COLUMNS=columns).out.decode().partition("examples:")[0]
        return max(len(line) for line in text.splitlines())

    assert widest("70") <= 70 < widest("110") <= 110
    assert widest("500") <= 120
    assert widest("1") <= 60  # a word is longer


def test_an_action_has_help_of_its_own(me: Person) -> None:
    out = me.ok("keys", "add", "--help").out.decode()
    assert out.startswith("usage: ksecret keys add [")
    assert "one more key may open them" in out
    assert "--key KEYREF" in out
    assert not any(word in out for word in ("keys remove", "keys sync", "{list,", "--json"))
    assert me.ok("help", "keys", "add").out.decode() == out
    listed = me.ok("keys", "list", "--help").out.decode()
    assert "--json" in listed
    assert "--key " not in listed
    whole = me.ok("keys", "--help").out.decode()
    assert all(f"ksecret keys {action} " in whole for action in ("list", "add", "remove", "sync"))
    assert "unknown option --json" in me.fails(2, "keys", "add", "-k", me.ref, "--json", "a.yaml")


@pytest.mark.parametrize(
    ("words", "own", "others"),
    [
        ("git setup", ["[--global]", "PATTERN ...", "ksecret git setup --global"], ["--ours", "--show", "{setup"]),
        ("git resolve", ["--both-keys", "[FILE ...]"], ["--global", "--show", "git setup"]),
        ("git unsetup", ["--global"], ["PATTERN", "--ours"]),
        ("git textconv", ["--show"], ["--global", "--ours"]),
        ("create tls", ["--cert PATH", "[NAME ...]", "--key PATH"], ["--username", "--from-literal", "--ttl"]),
        ("create generic", ["--from-literal KEY=VALUE", "--random"], ["--cert", "--docker-server", "create tls"]),
        ("audit verify", ["--contains HASH", "FILE [FILE ...]"], []),
    ],
)
def test_every_action_and_kind_has_help_of_its_own(me: Person, words: str, own: list[str], others: list[str]) -> None:
    command, action = words.split()
    out = me.ok(command, action, "--help").out.decode()
    assert out.startswith(f"usage: ksecret {words} [")
    assert all(word in out for word in own)
    assert not any(word in out for word in others)
    assert f" {action}: " not in out  # nothing else is meant here
    assert f"  ksecret {words} " in me.ok(command, "--help").out.decode()


def test_an_option_may_stand_before_the_action(me: Person, tmp_path: Path) -> None:
    other = Person(tmp_path, "other")
    sealed = other.write_sealed("a.yaml")
    other.ok("keys", "-k", me.ref, "add", "a.yaml")
    assert me.ref.encode() in sealed.read_bytes()


def test_the_version(me: Person) -> None:
    assert me.ok("--version") == (0, f"ksecret {__version__}\n".encode(), "")


def test_the_program_as_kubectls_plugin(me: Person) -> None:
    plugin = os.path.join(BIN, "kubectl-ksecret")
    assert me.ok("--version", program=plugin).out == f"ksecret {__version__}\n".encode()
    me.ok("init", program=plugin)
    me.write("a.yaml")
    me.ok("encrypt", "-i", "a.yaml", program=plugin)
    assert me.ok("decrypt", "a.yaml", program=plugin).out == MANIFEST


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")
def test_kubectl_finds_the_plugin(me: Person) -> None:
    kubectl = str(shutil.which("kubectl"))
    assert me.ok("ksecret", "--version", program=kubectl).out == f"ksecret {__version__}\n".encode()
    assert me.run("ksecret", "decrypt", "absent.yaml", program=kubectl).code == 7


def test_the_bash_script_is_bash_and_completes_commands_options_and_choices(me: Person) -> None:
    script = me.write("completion.bash", me.ok("completion", "bash").out)
    subprocess.run(["bash", "-n", str(script)], check=True)
    cases = {
        "ksecret en": {"encrypt"},
        "ksecret encrypt --sc": {"--scope"},
        "ksecret encrypt --scope n": {"namespace"},
        "ksecret decrypt --cl": {"--cleartext"},
        "ksecret completion z": {"zsh"},
    }
    for line, expected in cases.items():
        words = " ".join(f"'{word}'" for word in line.split())
        program = f"""
            source {script.name}
            COMP_WORDS=({words}); COMP_CWORD={len(line.split()) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}
            COMP_TYPE=9; COMP_KEY=9; COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
            _python_argcomplete ksecret; printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        ran = me.ok("-c", program, program="bash")
        assert {word.strip() for word in ran.out.decode().split()} == expected, line


@pytest.mark.parametrize(("shell", "word"), [("zsh", "#compdef ksecret"), ("fish", "complete --command ksecret")])
def test_the_other_shells_scripts(me: Person, shell: str, word: str) -> None:
    out = me.ok("completion", shell).out.decode()
    assert word in out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=out.encode(), check=True)


def test_completion_for_a_shell_that_it_does_not_know(me: Person) -> None:
    assert "ksecret completion --help tells more" in me.fails(2, "completion", "tcsh")
    assert "ksecret completion --help tells more" in me.fails(2, "completion")


def test_the_executable_is_this_environments() -> None:
    assert os.access(KSECRET, os.X_OK)
