"""The command line's words: options anywhere, values that swallow the next word, clusters, `--` and `=`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.cli import argparsing
from secretsvc.cli.commands import COMMANDS, find, load
from secretsvc.cli.parser import Parser, parsing
from secretsvc.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"


def parsed(line: str | list[str]) -> dict[str, Any]:
    """What differs from the options' defaults."""
    parser = Parser("ksecret try", "to try it")
    parser.add_argument("files", nargs="*")
    parser.add_argument("-k", "--key", action="append", default=[])
    parser.add_argument("-o", "--output", default="")
    parser.add_argument("-i", "--in-place", action="store_true")
    parser.add_argument("-x", "--cleartext", action="store_true")
    parser.add_argument("--scope", choices=("strict", "any"), default="")
    words = line.split() if isinstance(line, str) else line
    return {name: value for name, value in vars(parser.parse(words)).items() if value}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("a b", {"files": ["a", "b"]}),
        ("-i a", {"in_place": True, "files": ["a"]}),
        ("a -i b", {"in_place": True, "files": ["a", "b"]}),
        ("a b -i", {"in_place": True, "files": ["a", "b"]}),
        ("a -ix", {"in_place": True, "cleartext": True, "files": ["a"]}),
        ("-xi -i a", {"in_place": True, "cleartext": True, "files": ["a"]}),
        ("-k K a", {"key": ["K"], "files": ["a"]}),
        ("-kK a", {"key": ["K"], "files": ["a"]}),
        ("-k=K a", {"key": ["K"], "files": ["a"]}),
        ("--key K a", {"key": ["K"], "files": ["a"]}),
        ("--key=K a", {"key": ["K"], "files": ["a"]}),
        ("a --key K b -k L", {"key": ["K", "L"], "files": ["a", "b"]}),
        ("-ixk K a", {"in_place": True, "cleartext": True, "key": ["K"], "files": ["a"]}),
        ("-ikK a", {"in_place": True, "key": ["K"], "files": ["a"]}),
        ("-k -i a", {"key": ["-i"], "files": ["a"]}),
        ("-k -K a", {"key": ["-K"], "files": ["a"]}),
        ("--key -K a", {"key": ["-K"], "files": ["a"]}),
        ("--key=-K a", {"key": ["-K"], "files": ["a"]}),
        ("-k-K a", {"key": ["-K"], "files": ["a"]}),
        ("-k +K a", {"key": ["+K"], "files": ["a"]}),
        ("-k --in-place a", {"key": ["--in-place"], "files": ["a"]}),
        ("--key= a", {"key": [""], "files": ["a"]}),
        ("--key=a=b c", {"key": ["a=b"], "files": ["c"]}),
        ("-k==b c", {"key": ["=b"], "files": ["c"]}),
        ("-o - a", {"output": "-", "files": ["a"]}),
        ("-o- a", {"output": "-", "files": ["a"]}),
        ("-o a -o b", {"output": "b"}),
        ("- a", {"files": ["-", "a"]}),
        ("-i -", {"in_place": True, "files": ["-"]}),
        ("-- -i", {"files": ["-i"]}),
        ("-i -- -k --key=K -", {"in_place": True, "files": ["-k", "--key=K", "-"]}),
        ("a -- b", {"files": ["a", "b"]}),
        ("--", {}),
        ("--scope any", {"scope": "any"}),
    ],
)
def test_words_are_read_as_kubectl_reads_them(line: str, expected: dict[str, Any]) -> None:
    assert parsed(line) == expected


def test_values_with_spaces_and_empty_ones_stay_whole() -> None:
    assert parsed(["-k", "ssh-ed25519 AAAA me", "--output", "", "", "a b"]) == {
        "key": ["ssh-ed25519 AAAA me"],
        "files": ["", "a b"],
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--nosuch", r"^unknown option --nosuch$"),
        (f"--nosuch={SECRET}", r"^unknown option --nosuch$"),
        (f"-z{SECRET}", r"^unknown option -z$"),
        (f"-iz{SECRET}", r"^unknown option -z$"),
        ("--in", r"^unknown option --in$"),
        ("--ke K", r"^unknown option --ke: did you mean --key\?$"),
        ("a -k", r"^option -k needs a value$"),
        ("a -ik", r"^option -k needs a value$"),
        ("a --key", r"^option --key needs a value$"),
        (f"--in-place={SECRET}", r"^option --in-place takes no value$"),
        ("-i=x", r"^unknown option -=$"),
        (f"--scope {SECRET}", r"--scope"),
        (f"--scope={SECRET}", r"--scope"),
    ],
)
def test_wrong_words_are_told_without_their_values(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parsed(line)
    assert SECRET not in caught.value.message + caught.value.hint
    assert caught.value.hint == "ksecret try --help tells more"
    assert "\n" not in caught.value.message


def test_a_word_too_many_is_not_shown() -> None:
    parser = Parser("ksecret try", "to try it")
    with pytest.raises(UsageError, match=r"^a word too many$"):
        parser.parse([SECRET])


def test_help_ends_the_run_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("ksecret try", "to try it", "  ksecret try this")
    with pytest.raises(SystemExit, match=r"^0$"):
        parser.parse(["a", "b", "--help"])
    out = capsys.readouterr().out
    assert "usage: ksecret try" in out
    assert out.endswith("examples:\n  ksecret try this\n")


@pytest.mark.parametrize(
    ("word", "command"),
    [
        *((name, name) for name in COMMANDS),
        ("e", "encrypt"),
        ("d", "decrypt"),
        ("i", "inspect"),
        ("introspect", "inspect"),
    ],
)
def test_commands_are_found_by_all_their_names(word: str, command: str) -> None:
    assert find(word) == command
    module = load(command)
    assert callable(module.run)
    assert callable(module.add_arguments)


@pytest.mark.parametrize("word", [SECRET, "--" + SECRET, "-" + SECRET, "enc", ""])
def test_a_command_that_there_is_not_is_not_repeated(word: str) -> None:
    with pytest.raises(UsageError, match=r"^unknown (command|option)$"):
        find(word)


def test_the_command_that_was_probably_meant_is_named() -> None:
    with pytest.raises(UsageError, match=r"^unknown command: did you mean encrypt\?$"):
        find("Encrypt")


def test_no_two_commands_share_a_name() -> None:
    names = [name for command, about in COMMANDS.items() for name in (command, *about.aliases)]
    assert len(names) == len(set(names))


DECLARED = sorted({"decrypt", "encrypt", "get", "inspect", "check", "rotate", "exec", "set", "doctor"})
LINES = [
    "",
    "a b",
    "a.yaml -",
    "-- a",
    "-o out a",
    "-rio- a b",
    "-k K --key=L a",
    "--debug a",
    "-j 4 a",
    "-j 0 a",
    "-j x a",
    "--format ksecret a",
    "--format nosuch a",
    "--output-format json a",
    "--scope any a",
    "--older-than 90d -n a",
]


@pytest.mark.parametrize("command", DECLARED)
def test_a_line_is_read_as_argparse_reads_it(command: str) -> None:
    """argparse is imported for lines that are not read without it; both have the same declarations."""
    for line in LINES:
        parser, words, _ = parsing(command, line.split())
        with suppress(UsageError):
            given, others = parser._sorted(words)
            found = parser._read(given, others)
            if found:
                assert vars(found) == vars(argparsing.read(parser, given, others)), line


def test_files_of_recipients_count_among_the_keys_in_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "team"
    path.write_text("age14rz0r4nvfdk7fulv3pcuvng66zhcwkfd6p7l2d7u7shyl4s7wvdqa8y4ml\n")
    parser, words, _ = parsing("encrypt", ["-k", "K", "-R", str(path), "-k", "L", "a"])
    given, others = parser._sorted(words)
    found = parser._read(given, others)
    assert found
    assert found.key == ["K", f"age:{path.read_text().strip()}", "L"]
    assert argparsing.read(parser, given, others).key == found.key


def test_only_declared_options_and_files_are_read_without_argparse() -> None:
    for line in ("a --help", "-j x a", "--output-format nosuch a"):
        parser, words, _ = parsing("decrypt", line.split())
        assert parser._read(*parser._sorted(words)) is None
