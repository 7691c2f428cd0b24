"""`ksecret-sops` beside the real binary: the same words, the same exit code, the same data."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from secretsvc.cli.main import main
from tests.sops_support import IDENTITY, RECIPIENT, by_sops, sops

if TYPE_CHECKING:
    from pathlib import Path

STEP = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 3
"""Every third line is run on both for a change, all are at night: sops takes a twentieth of a second to start."""

VALUES = b"""\
a: 1
b: x y
c: {d: [1, two, {e: f}], g: null}
f: 1.5
t: 2024-01-01
m: |
  multi
  line
e: {}
l: []
bb: true
sections:
  one: {k: v}
"""
FLAT = b"# told\nA=1\nB=x y\nC=two\\nlines\n"
SECTIONS = b"[one]\nk = v\nlonger = 12\n"
WHOLE = b'""{}\0\xff of any kind'


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sops-words")
    for name, data in {"v.yaml": VALUES, "v.env": FLAT, "v.ini": SECTIONS, "v.bin": WHOLE}.items():
        (folder / name).write_bytes(data)
        (folder / f"enc.{name}").write_bytes(by_sops(folder / name))
    (folder / "v.json").write_bytes(b'{"a": 1, "b": ["x", 2.5], "c": {}}')
    (folder / "enc.v.json").write_bytes(by_sops(folder / "v.json"))
    (folder / "empty.yaml").write_bytes(b"")
    (folder / "broken.yaml").write_bytes(b"a: [\n")
    sealed = (folder / "enc.v.env").read_text()
    (folder / "swapped.env").write_text(sealed.replace("\nA=", "\nX=").replace("\nB=", "\nA=").replace("\nX=", "\nB="))
    (folder / "mac.env").write_text(sealed.replace("#ENC", "D=new\n#ENC").replace("sops_mac=", "sops_mac=x"))
    (folder / "reordered.env").write_text("".join(sorted(sealed.splitlines(keepends=True), reverse=True)))
    return folder


@pytest.fixture
def folder(laid_out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(laid_out)
    monkeypatch.setenv("SOPS_AGE_KEY", IDENTITY)
    monkeypatch.setenv("HOME", "/nonexistent")
    return laid_out


def ours(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, bytes]:
    capsysbinary.readouterr()
    code = main(["sops", *words])
    out, err = capsysbinary.readouterr()
    assert not code or err.startswith(b"ksecret: ")
    return code, out


OPENING = [
    "-d enc.v.yaml",
    "decrypt enc.v.json",
    "decrypt enc.v.env",
    "--decrypt enc.v.ini",
    "decrypt enc.v.bin",
    "decrypt --output-type json enc.v.yaml",
    "decrypt --output-type yaml enc.v.json",
    "decrypt --output-type=yaml enc.v.env",
    "decrypt -output-type yaml enc.v.ini",
    "decrypt --output-type json enc.v.ini",
    "decrypt --output-type dotenv enc.v.yaml",
    "decrypt --output-type ini enc.v.yaml",
    "decrypt --output-type binary enc.v.yaml",
    "decrypt --output-type json enc.v.bin",
    "decrypt --input-type json --output-type json enc.v.bin",
    'decrypt --extract ["a"] enc.v.yaml',
    'decrypt --extract ["b"] enc.v.yaml',
    "decrypt --extract ['c']['d'] enc.v.yaml",
    'decrypt enc.v.yaml --extract ["c"]["d"][2]',
    'decrypt --extract ["c"] --output-type json enc.v.yaml',
    'decrypt --extract ["m"] enc.v.yaml',
    'decrypt --extract ["t"] enc.v.yaml',
    'decrypt --extract ["e"] enc.v.yaml',
    'decrypt --extract ["b"] enc.v.json',
    'decrypt --extract ["A"] enc.v.env',
    'decrypt --extract ["one"]["k"] enc.v.ini',
    'decrypt --extract ["one"] enc.v.ini',
    'decrypt --extract ["no"] enc.v.yaml',
    "decrypt --extract no enc.v.yaml",
    "filestatus enc.v.yaml",
    "filestatus v.yaml",
    "filestatus v.bin",
    "filestatus nowhere.yaml",
    "decrypt v.yaml",
    "decrypt v.bin",
    "decrypt nowhere.yaml",
    "decrypt .",
    "decrypt broken.yaml",
    "decrypt swapped.env",
    "decrypt mac.env",
    "decrypt --ignore-mac mac.env",
    "decrypt reordered.env",
    "decrypt --ignore-mac reordered.env",
    "decrypt --decryption-order age,age enc.v.yaml",
    "decrypt --decryption-order pgp,age enc.v.env",
    "decrypt --input-type nothing enc.v.yaml",
    "decrypt --in-place --output x enc.v.yaml",
    "decrypt --nothing enc.v.yaml",
    "-d",
    "exec-env enc.v.yaml true",
    "exec-env enc.v.env",
]


@pytest.mark.parametrize("line", OPENING[::STEP])
def test_a_line_that_opens_ends_as_with_sops(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes], line: str
) -> None:
    theirs = sops(*line.split(), cwd=folder)
    code, out = ours(capsysbinary, *line.split())
    assert code == theirs.returncode
    assert told(out) == (told(theirs.stdout) if not code else None)


def told(out: bytes) -> object:
    """The data of an output; bytes that are none of YAML or JSON stay."""
    try:
        return yaml.safe_load(out)
    except (yaml.YAMLError, UnicodeDecodeError):
        return out


@pytest.mark.parametrize("kind", ["yaml", "dotenv", "ini", "json"])
def test_a_file_of_one_kind_comes_out_as_another_byte_for_byte_as_from_sops(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes], kind: str
) -> None:
    name = {"dotenv": "enc.v.env", "ini": "enc.v.ini", "json": "enc.v.yaml", "yaml": "enc.v.json"}[kind]
    wanted = sops("decrypt", "--output-type", kind, folder / name).stdout
    code, out = ours(capsysbinary, "decrypt", "--output-type", kind, name)
    assert (code, out) == (0, wanted if kind not in ("dotenv", "ini") else out)


LAID_OUT = b"""\
# first
n: 'n'
time: '1:30'
sign: 'x: y'
hash: "#no comment"
tab: "x\\ty"
smile: "\xf0\x9f\x98\x80"
small: 1.5e-7
large: 123456789.123
block: "one\\n\\ntwo\\n"
kept: "one\\n\\n"
open: "one\\ntwo"
items:
# of the list
- kind: Secret
  data: {k: YQ==, l: [1, {m: x}]}
- - a
  - - b
empty: {}
"""


def test_a_file_laid_out_anew_is_so_to_the_byte_as_by_sops(
    folder: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "v.yaml"
    path.write_bytes(LAID_OUT)
    path.write_bytes(by_sops(path))
    theirs = sops("decrypt", path)
    assert ours(capsysbinary, "decrypt", "--indent", "4", str(path)) == (0, theirs.stdout)


def test_standard_input_is_any_bytes_unless_an_option_says_more(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((folder / "enc.v.bin").read_bytes())))
    assert ours(capsysbinary, "decrypt") == (0, WHOLE)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((folder / "enc.v.env").read_bytes())))
    assert ours(capsysbinary, "decrypt", "--input-type", "dotenv", "--output-type", "dotenv") == (0, FLAT)


def test_what_is_sealed_by_its_words_sops_opens(
    folder: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for line in (
        f"encrypt --age {RECIPIENT} v.yaml",
        f"-e --age {RECIPIENT} --encrypted-regex ^(a|b)$ v.yaml",
        f"--mac-only-encrypted encrypt --age {RECIPIENT} --encrypted-suffix a v.json",
        f"encrypt --age {RECIPIENT} v.env",
        f"encrypt --age {RECIPIENT} --output-type json v.yaml",
        f"encrypt --age {RECIPIENT} --output-type yaml v.ini",
    ):
        name = line.rpartition(".")[2]
        kind = line.partition("--output-type ")[2].partition(" ")[0] or {"env": "dotenv"}.get(name, name)
        code, out = ours(capsysbinary, *line.split())
        assert code == 0
        sealed = tmp_path / "sealed"
        sealed.write_bytes(out)
        back = sops("decrypt", "--input-type", kind, "--output-type", "json", sealed)
        clear = sops("decrypt", "--output-type", "json", folder / f"enc.v.{name}")
        assert (back.returncode, json.loads(back.stdout)) == (0, json.loads(clear.stdout))


SEALING_REFUSED = [
    f"encrypt --age {RECIPIENT} enc.v.yaml",
    f"encrypt --age {RECIPIENT} empty.yaml",
    f"encrypt --age {RECIPIENT} broken.yaml",
    f"encrypt --age {RECIPIENT} nowhere.yaml",
    f"encrypt --age {RECIPIENT} --encrypted-regex a --encrypted-suffix b v.yaml",
    f"encrypt --age {RECIPIENT} --output-type dotenv v.yaml",
    f"encrypt --age {RECIPIENT} --in-place --output x v.yaml",
    f"encrypt --age {RECIPIENT}",
    "encrypt v.yaml",
    "-e v.yaml",
]


@pytest.mark.parametrize("line", SEALING_REFUSED, ids=lambda line: line.replace(RECIPIENT, "RECIPIENT"))
def test_a_line_that_can_t_seal_ends_as_with_sops(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes], line: str
) -> None:
    theirs = sops(*line.split(), cwd=folder)
    assert theirs.returncode
    assert ours(capsysbinary, *line.split()) == (theirs.returncode, b"")


def test_the_keys_and_the_rule_of_the_nearest_file_upwards_from_the_working_directory_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / ".sops.yaml").write_text(
        f"creation_rules: [{{path_regex: '^sub/x', encrypted_regex: ^k$, age: {RECIPIENT}}}]"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.yaml").write_bytes(b"k: v\nclear: w\n")
    monkeypatch.chdir(tmp_path / "sub")
    for words in (("x.yaml",), ("--config", "../.sops.yaml", "x.yaml")):
        code, out = ours(capsysbinary, "encrypt", *words)
        assert code == 0
        assert b"\nclear: w\n" in out
        assert b"encrypted_regex" in out
        assert not sops("decrypt", "--input-type", "yaml", "--output-type", "yaml", stdin=out).returncode
    (tmp_path / "other.yaml").write_bytes(b"k: v\n")
    for line in (
        "encrypt ../other.yaml",
        f"encrypt --age {RECIPIENT} ../other.yaml",
        "encrypt --encrypted-suffix k x.yaml",
    ):
        theirs = sops(*line.split(), cwd=tmp_path / "sub")
        assert theirs.returncode
        assert ours(capsysbinary, *line.split())[0] == theirs.returncode


def test_in_place_and_into_a_file_nothing_comes_out(
    folder: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "v.yaml"
    path.write_bytes(VALUES)
    assert ours(capsysbinary, "encrypt", "-i", "--age", RECIPIENT, str(path)) == (0, b"")
    assert b"ENC[" in path.read_bytes()
    assert ours(capsysbinary, "decrypt", "--output", str(tmp_path / "out"), str(path)) == (0, b"")
    assert ours(capsysbinary, "-d", "-i", str(path)) == (0, b"")
    assert (
        path.read_bytes() == (tmp_path / "out").read_bytes() == VALUES.replace(b"2024-01-01", b"2024-01-01T00:00:00Z")
    )


def test_a_command_gets_the_values_as_variables_and_its_exit_code_comes_back(folder: Path) -> None:
    done = start("exec-env", "enc.v.env", 'printf "%s|%s|%s|$HOME" "$A" "$B" "$C"; exit 3')
    assert (done.returncode, done.stdout) == (3, b"1|x y|two\nlines|/nonexistent")
    done = start("exec-env", "--pristine", "enc.v.env", "env")
    assert b"HOME=" not in done.stdout
    assert b"B=x y\n" in done.stdout


def test_a_command_gets_the_file_in_the_clear_by_a_path_that_is_gone_afterwards(folder: Path) -> None:
    done = start("exec-file", "--filename", "got.json", "--output-type", "json", "enc.v.env", "echo {}; cat {}; exit 4")
    path, _, content = done.stdout.partition(b"\n")
    assert (done.returncode, json.loads(content)) == (4, {"A": "1", "B": "x y", "C": "two\nlines"})
    assert path.endswith(b"/got.json")
    assert not os.path.exists(path)


def start(*words: str) -> subprocess.CompletedProcess[bytes]:
    """A process of its own, which goes on as another program."""
    code = "from secretsvc.cli.main import entry_point_of_sops as run; run()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False)


REFUSED = [
    ("decrypt -i=perhaps enc.v.yaml", 1, b"true or false"),
    ("decrypt --add-age age1 enc.v.yaml", 1, b"decrypt has no option -add-age"),
    ("decrypt --keyservice tcp://h enc.v.yaml", 1, b"key services"),
    ("decrypt --indent x --output-type json enc.v.yaml", 1, b"takes a number"),
    ("decrypt --extract " + '["a"]' * 1000 + " enc.v.yaml", 91, b"steps"),
    ("decrypt --extract", 1, b"needs a value"),
    ("encrypt --hckms region:k v.yaml", 1, b"no backend"),
    ("encrypt --kms arn:aws:kms:eu-west-1:1:key/k+arn:aws:iam::1:role/r v.yaml", 1, b"role"),
    (f"encrypt --age {RECIPIENT} --encryption-context nonsense v.yaml", 6, b"NAME:VALUE"),
    ("-d -e v.yaml", 1, b"more than one"),
    ("exec-file --filename ../x enc.v.env true", 1, b"without a folder"),
    ("exec-env --user root enc.v.env true", 1, b"not offered"),
    ("exec-env --background --same-process enc.v.env true", 8, b"--same-process"),
]


@pytest.mark.parametrize(("line", "code", "said"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_is_not_done_is_refused_in_a_line_that_says_so(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes], line: str, code: int, said: bytes
) -> None:
    capsysbinary.readouterr()
    assert main(["sops", *line.split()]) == code
    out, err = capsysbinary.readouterr()
    assert not out
    assert said in err


def test_options_of_before_a_verb_and_behind_the_file_of_the_old_form(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The former count; the latter are warned of, and not read, as sops has it."""
    assert ours(capsysbinary, "--ignore-mac", "decrypt", "reordered.env")[0] == 0
    before = (folder / "enc.v.yaml").read_bytes()
    assert main(["sops", "-d", "enc.v.yaml", "-i"]) == 0
    assert b"are not read" in capsysbinary.readouterr().err
    assert (folder / "enc.v.yaml").read_bytes() == before
    assert main(["sops", "-d", "-e=false", "enc.v.yaml"]) == 0


def test_what_is_not_offered_says_so_and_the_version_is_one_that_scripts_can_read(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["sops", "publish", "enc.v.yaml"]) == 1
    assert b"nothing is published" in capsysbinary.readouterr().err
    assert ours(capsysbinary, "--version")[1].split()[:2] == [b"sops", b"3.13.3"]
    assert b"exec-file" in ours(capsysbinary, "--help")[1]


@pytest.mark.parametrize("text", ["k: |\n  x\n  y", "k: >\n  x\n  y", "k: |+\n  x"])
def test_a_block_that_ends_the_file_without_a_line_break_has_none_as_for_sops(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], text: str
) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(f"a: 1\n{text}")
    clear = yaml.safe_load(path.read_text())["k"].encode()
    for rule in ("--encrypted-regex=k", "--unencrypted-regex=k"):
        code, out = ours(capsysbinary, "encrypt", "--age", RECIPIENT, rule, str(path))
        if "+" not in text or "un" not in rule:
            assert code == 0
            back = sops("decrypt", "--input-type", "yaml", "--extract", '["k"]', stdin=out)
            assert (back.returncode, back.stdout) == (0, clear)


def test_the_user_s_own_ssh_key_opens_what_is_sealed_to_it_as_with_sops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # the public one has a + in it
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    (tmp_path / ".ssh").mkdir()
    key = tmp_path / ".ssh" / "id_ed25519"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    key.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SOPS_AGE_KEY", raising=False)
    (tmp_path / "v.env").write_bytes(FLAT)
    assert ours(capsysbinary, "encrypt", "-i", "--age", public, str(tmp_path / "v.env")) == (0, b"")
    theirs = sops("decrypt", tmp_path / "v.env", identities=(), HOME=str(tmp_path))
    assert (theirs.returncode, theirs.stdout) == (0, FLAT)
    assert ours(capsysbinary, "decrypt", str(tmp_path / "v.env")) == (0, FLAT)
    key.unlink()
    assert ours(capsysbinary, "decrypt", str(tmp_path / "v.env")) == (128, b"")
