"""`ksecret create` against what the real kubectl answered: the same object, or an error of the same class."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from secretsvc.cli.main import main
from tests.integration.kubectl_support import Case, comparable, load, standard_input
from tests.support import LOCK, open_

if TYPE_CHECKING:
    from pathlib import Path

CASES = load()
USAGE, INPUT, FILE = 2, 3, 7

DELIBERATE: dict[str, tuple[int, str]] = {
    # What of kubectl's output formats is a file's name here, and what writes none at all.
    "generic/o-name": (FILE, "such a file"),
    "generic/o-none": (0, ""),
    "generic/o-jsonpath": (0, ""),
    "generic/o-bad": (0, ""),
    # It would copy the values into an annotation in the clear.
    "generic/save-config": (USAGE, "--save-config"),
    "generic/save-config-no-data": (USAGE, "--save-config"),
    "generic/append-hash/save-config": (USAGE, "--save-config"),
    "tls/save-config": (USAGE, "--save-config"),
    "docker/save-config": (USAGE, "--save-config"),
    # kubectl drops such a line of an env file and all that follows it, without a word.
    "generic/env/line-65536": (INPUT, "over 65535 bytes"),
    "generic/env/comment-65536": (INPUT, "over 65535 bytes"),
    "generic/env/line-65536-eof": (INPUT, "over 65535 bytes"),
    "generic/env/line-65535-crlf": (INPUT, "over 65535 bytes"),
}
"""Where ksecret differs and says why: the exit code, and what the message holds."""

CLASSES = [
    (r"unknown flag: (--[a-z-]+)", USAGE, r"unknown option {0}"),
    (r'invalid argument ".*" for "(--from-file)" flag: parse error.*bare "', USAGE, '{0}: a bare "'),
    (r'invalid argument ".*" for "(--from-file)" flag: parse error.*extraneous', USAGE, '{0}: extraneous or missing "'),
    (r'invalid argument ".*" for "(--append-hash)" flag: strconv', USAGE, "{0}: invalid value"),
    (r"exactly one NAME is required, got (\d)", USAGE, "exactly one NAME is required, got {0}"),
    (r"unknown command|Create a secret with specified type", USAGE, "which kind of Secret"),
    (r"name must be specified", USAGE, "NAME must be specified"),
    (r"invalid literal source", USAGE, "--from-literal number 1: invalid source"),
    (
        r"is not valid key name for a Secret must not ((?:be|start with) '\.+')",
        INPUT,
        r"valid key name.*it must not {0}",
    ),
    (r"is not valid key name for a Secret must be no more than 253", INPUT, "valid key name.*no more than 253"),
    (r"is not valid key name for a Secret a valid config", INPUT, "valid key name.*it must consist of"),
    (r"is not a valid key name: must not ((?:be|start with) '\.+')", INPUT, r"valid key name.*it must not {0}"),
    (r"is not a valid key name: a valid environment", INPUT, "valid key name.*not start with a digit"),
    (r"cannot add key .*, another key", INPUT, "another key by that name already exists"),
    (r"error reading (.*): (no such file.*|not a directory|too many.*)\n", FILE, "{0}: --from-.*-?file: .*{1}"),
    (r"file path for key name .* missing", USAGE, "the file path after '=' is missing"),
    (r"key name for file path .* missing", USAGE, "the key name before '=' is missing"),
    (r"key names or file paths cannot contain", USAGE, "key names or file paths can't contain '='"),
    (r"cannot give a key name for a directory path", USAGE, "a folder can't be given a key"),
    (r"env secret file cannot be a directory", USAGE, "an env file can't be a folder"),
    (r"from-env-file cannot be combined", USAGE, "--from-env-file can't be combined with"),
    (r"env file (.*) contains invalid utf8 bytes at line (\d+)", INPUT, "{0}:{1}: .*invalid UTF-8"),
    (r"key and cert must be specified", USAGE, "--key and --cert must be specified"),
    (r"Cannot read file (\S+), open \S+: (no such file.*)\n", FILE, "{0}: --(cert|key): .*{1}"),
    (r"failed to find any PEM data in (cert|key)", INPUT, r"\.pem: --{0}: no PEM data"),
    (r"did find a private key; PEM inputs may have", INPUT, "--cert: a private key and no certificate"),
    (r'failed to find "CERTIFICATE" PEM block', INPUT, '--cert: no PEM block "CERTIFICATE"'),
    (r"found a certificate rather than a key", INPUT, "--key: a certificate rather than a private key"),
    (r'failed to find PEM block with type ending in "PRIV', INPUT, '--key: no PEM block that ends in "PRIVATE KEY"'),
    (r"x509: malformed certificate", INPUT, "--cert: malformed certificate"),
    (r"x509: unsupported elliptic curve", INPUT, "--cert: unsupported elliptic curve"),
    (r"failed to parse private key", INPUT, "--key: failed to parse the private key"),
    (r"private key type does not match public key type", INPUT, "--key: the private key's type does not match"),
    (r"private key does not match public key", INPUT, "--key: the private key does not match"),
    (r"unknown public key algorithm", INPUT, "--cert: unknown public key algorithm"),
    (r"either --from-file or the combination of --docker", USAGE, "either --from-file, or --docker-username"),
]
"""kubectl's message → our exit code, and a pattern that our message matches: flag, file and reason stay the same."""


@pytest.fixture
def laid_out(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The case's files, in the working directory, and its environment."""
    case.lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KSECRET_X", raising=False)
    for name, text in case.env.items():
        monkeypatch.setenv(name, text)
    return tmp_path


def run(case: Case, capfdbinary: pytest.CaptureFixture[bytes], *more: str) -> tuple[int, bytes, str]:
    with standard_input(case.stdin):
        code = main([*case.words, *more])
    out, err = capfdbinary.readouterr()
    return code, out, err.decode()


def same_class(kubectl_said: str, code: int, err: str) -> bool:
    """Whether our error is of the class of kubectl's, naming the same flag and file."""
    for pattern, exit_code, ours in CLASSES:
        found = re.search(pattern, kubectl_said, re.S)
        if found:
            words = ours.replace("{0}", re.escape((found.groups() or ("",))[0]))
            words = words.replace("{1}", re.escape((*found.groups(), "", "")[1]))
            return code == exit_code and re.search(words, err) is not None
    raise AssertionError(f"a message of no known class: {kubectl_said}")


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in DELIBERATE], ids=str)
def test_the_same_object_or_error(case: Case, laid_out: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, out, err = run(case, capfdbinary, "--plaintext")
    if case.code:
        assert (out, same_class(case.stderr, code, err)) == (b"", True), (case.stderr, code, err)
        return
    assert code == 0, err
    assert case.object
    assert yaml.load(out, Loader=Texts) == comparable(case.object)
    code, out, err = run(case, capfdbinary, "--plaintext", "-o", "json")
    assert json.loads(out) == comparable(case.object)


class Texts(yaml.SafeLoader):
    """Every scalar as text: what is quoted where is another test's business (kubectl reads it there)."""


Texts.yaml_implicit_resolvers = {}


@pytest.mark.parametrize("name", sorted(DELIBERATE))
def test_each_deliberate_difference_says_why(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (case,) = [case for case in CASES if case.name == name]
    case.lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    more = [] if "/o-" in name and name != "generic/o-none" else ["--plaintext"]
    if name == "generic/o-name":
        (tmp_path / "name").touch()
    monkeypatch.setenv("KSECRET_KEYS", str(LOCK.keys[0]))
    code, out, err = run(case, capfdbinary, *more)
    expected, words = DELIBERATE[name]
    assert code == expected, err
    assert words in err
    if name in ("generic/o-jsonpath", "generic/o-bad"):
        assert out == b""
        assert (tmp_path / case.args[-1]).read_bytes().startswith(b"apiVersion: v1\n")


@pytest.mark.parametrize("case", [case for case in CASES if case.object and case.name not in DELIBERATE], ids=str)
def test_sealed_at_once_and_the_same_when_opened(
    case: Case, laid_out: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSECRET_KEYS", str(LOCK.keys[0]))
    scope = [] if case.name != "tls/empty-name" else ["--scope", "any"]
    code, out, err = run(case, capfdbinary, *scope)
    if "/append-hash" in case.name:  # of values that may be guessed, and the name is in the clear
        assert (code, out) == (USAGE, b"")
        assert "--append-hash would put a hash of the values into the name" in err
        return
    assert code == 0, err
    assert case.object
    if "data" not in case.object:
        assert "nothing to seal" in err
        assert yaml.load(out, Loader=Texts) == comparable(case.object)
        return
    assert b"\nksecret:\n" in out
    for value in case.object["data"].values():
        assert len(value) < 5 or value.encode() not in out
    assert yaml.load(open_(out), Loader=Texts) == comparable(case.object)
