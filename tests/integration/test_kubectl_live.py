"""`ksecret create` beside the kubectl of this machine, over generated words and files."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.integration.kubectl_support import (
    FEWER,
    STEP,
    Case,
    agree,
    comparable,
    ksecret,
    kubectl,
    load,
    needs_kubectl,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_kubectl

CASES = load()
SPACES = "\t\v\f \x1c\x1f\x85\xa0\u2003\u2028\u200b\ufeff"
PIECES = ["A", "B_1", "c.d", "-", ".", "..", "1", "=", "=", "=", "#", '"', "'", "\\", "$X", "é", "\r", *SPACES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that words may name."""
    made = tmp_path_factory.mktemp("kubectl")
    for name in ("a", "b", "a,b", "k=a", 'q"q', "c d", " b"):
        (made / name).write_bytes(name.encode() + b"\xff\n")
    (made / "d").mkdir()
    (made / "d" / "x").write_bytes(b"in a folder")
    return made


def lines(pieces: list[str]) -> st.SearchStrategy[bytes]:
    text = st.lists(st.sampled_from(pieces), max_size=7).map("".join)
    return st.one_of(text.map(str.encode), text.map(lambda line: line.encode() + b"\xff"))


@pytest.mark.parametrize("case", CASES[::STEP], ids=str)
def test_the_record_is_what_this_kubectl_answers(case: Case, tmp_path: Path) -> None:
    case.lay_out(tmp_path)
    done = kubectl(tmp_path, [*case.args[:-1], "json"] if case.object else case.args, case.stdin, **case.env)
    assert done.returncode == case.code
    if case.object:
        assert comparable(json.loads(done.stdout)) == comparable(case.object)
    else:
        assert done.stderr.decode().lower() == case.stderr.lower()


@FEWER
@given(st.lists(lines(PIECES), max_size=5), st.booleans())
@example([b"A=1", b"\xef\xbb\xbfB=2"], True)
@example([b"\x1cA=1"], True)
def test_env_files(folder: Path, text: list[bytes], ended: bool) -> None:
    (folder / "f.env").write_bytes(b"\n".join(text) + (b"\n" if ended else b""))
    agree(folder, "generic", "s", "--from-env-file=f.env")


VALID = st.tuples(st.sampled_from(["A", "B_1", "c.d", "_", "x-y"]), st.lists(st.sampled_from(PIECES)).map("".join))


@FEWER
@given(st.lists(VALID, unique_by=lambda pair: pair[0], min_size=1))
def test_env_files_that_are_taken(folder: Path, entries: list[tuple[str, str]]) -> None:
    text = "".join(f"# {value}\n \t\r\n{key}={value}\r\n" for key, value in entries)
    (folder / "g.env").write_text(text, encoding="utf-8", newline="")
    made = agree(folder, "generic", "s", "--from-env-file=g.env")
    assert made
    assert made["data"] == {key: b64encode(value.encode()).decode() for key, value in entries}


WORD = st.lists(
    st.sampled_from(["a", "b", "k", "d", "c d", "=", "=", ",", ",", '"', '"', "\n", "\r", " ", "/"]), max_size=8
)


@FEWER
@given(WORD.map("".join), st.sampled_from(["--from-file", "--from-env-file"]))
@example("a\nb", "--from-file")
@example('"a,b"', "--from-file")
@example('"k=a,b",b', "--from-file")
@example("\n\na\r", "--from-file")
@example('"a""', "--from-file")
@example('a,"b" ', "--from-file")
@example("d,k=b", "--from-file")
@example("=", "--from-file")
def test_lists_of_files(folder: Path, word: str, flag: str) -> None:
    agree(folder, "generic", "s", f"{flag}={word}")


ARGUMENT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
RAW = st.binary(max_size=12).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)
NASTY = st.one_of(ARGUMENT, RAW, st.text('<>&"\\\b\f\n\r\t\x01\x7f\u2028\u2029\ufffd:@/', max_size=8))


@FEWER
@given(st.lists(st.tuples(st.text("ab.-_=1 é\n", max_size=5), NASTY), max_size=3), ARGUMENT, st.booleans())
def test_literals_types_and_hashes(folder: Path, pairs: list[tuple[str, str]], kind: str, hashed: bool) -> None:
    words = [f"--from-literal={key}={value}" for key, value in pairs]
    agree(folder, "generic", "s", *words, f"--type={kind}", f"--append-hash={str(hashed).lower()}")


@FEWER
@given(NASTY, NASTY.filter(lambda word: not word.startswith("@")), NASTY, NASTY, st.booleans())
@example("ü", "<\udcff\ufffd\udce2\udc82", "https://r.io/?a&b", "e", True)
def test_docker_logins(folder: Path, user: str, password: str, server: str, email: str, hashed: bool) -> None:
    options = [f"--docker-username={user}", f"--docker-password={password}", f"--docker-email={email}"]
    more = ["--append-hash"] if hashed else []
    agree(folder, "docker-registry", "s", *options, f"--docker-server={server}", *more)


NAMES = st.text("aB1.-_ /*", max_size=6).filter(lambda name: name != "--")  # no value here (docs/create.md)


@FEWER
@given(NAMES, NAMES, st.lists(st.sampled_from(["t", "TRUE", "yes", "0", "", "tRUE", "False", "1"]), max_size=1))
def test_names_and_booleans(folder: Path, name: str, namespace: str, hashed: list[str]) -> None:
    options = [f"--append-hash={word}" for word in hashed]
    for kind in ("generic", "docker-registry"):
        agree(folder, kind, name, f"--namespace={namespace}", "--from-file=a", *options)


@pytest.mark.parametrize(
    "words",
    [
        ["generic", "--", "s"],
        ["generic", "s", "--", "t"],
        ["generic", "s", "--"],
        ["generic", "-n", "x", "s", "--from-literal", "a=b"],
        ["generic", "-nx", "s"],
        ["generic", "-n=x", "s"],
        ["generic", "s", "--from-file", "--from-literal=a=b"],
        ["generic", "s", "--append-hash", "true"],
        ["generic", "s", "--type=a", "--type=b"],
        ["generic", "s", "--cert=a"],
        ["tls", "s", "--from-file=a"],
        ["tls", "s", "--type=a"],
        ["docker-registry", "s", "--from-env-file=a"],
        ["generic", "s", "--validate"],
        ["generic", "s", "--validate=junk"],
        ["generic", "s", "--validate=warn", "--field-manager=me"],
        ["generic", "s", "--dry-run=junk"],
        ["generic", "s", "--dry-run=CLIENT"],
        ["generic", "s", "--from-literal"],
        ["generic", "s", "--from-file=a", "--from-file=b,k=a"],
        ["generic", "s", "--from-file=d/"],
        ["generic", "s", "--from-file=d//x"],
        ["generic", "s", "--from-file="],
        ["basic", "s"],
    ],
    ids=" ".join,
)
def test_words(folder: Path, words: list[str]) -> None:
    if "--dry-run" in " ".join(words):  # kubectl's last one wins
        theirs = kubectl(folder, ["create", "secret", *words, "-o", "json"])
        assert (theirs.returncode, ksecret(folder, ["create", *words]).code) == (1, 2)
        return
    agree(folder, *words)


TEXTS = "true null y n on off ~ - -- --- ... 1e3 08 0o17 0x1F 1_000 .5 .inf 1:30 2001-01-01 << 0x_ .1_ 12e3 a10 a2"
LOOKS = TEXTS.split()
KEYS = [key for key in LOOKS if set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")]


@FEWER
@given(
    st.lists(st.sampled_from(KEYS), unique=True),
    st.binary(min_size=3, max_size=3),
    st.sampled_from([text for text in LOOKS if not text.startswith("-")]),
)
@example(KEYS[:-1], b"\xd7\x67\xb7", "123")
def test_kubectl_reads_our_yaml_as_it_is_meant(folder: Path, keys: list[str], value: bytes, name: str) -> None:
    """Keys and base64 that look like numbers or booleans; `12e3` is the base64 of d7 67 b7."""
    (folder / "raw").write_bytes(value)
    words = [f"--from-file={key}=raw" for key in keys if not key.startswith("..")]
    labels = ["--label=a=true", "--label=b=1e3", "--annotation=c=null", "--annotation=d= two\nlines\n", "--immutable"]
    made = ksecret(folder, ["create", "generic", name, f"--type={name}", f"-s=x={name}", *words, *labels])
    assert made.code == 0, made.err
    (folder / "made.yaml").write_bytes(made.out)
    read = kubectl(folder, ["label", "--local", "-f", "made.yaml", "-o", "json", "checked=yes"])
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout)
    assert (found["metadata"]["name"], found["type"], found["immutable"]) == (name, name, True)
    assert found["metadata"]["labels"] == {"a": "true", "b": "1e3", "checked": "yes"}
    assert found["metadata"]["annotations"] == {"c": "null", "d": " two\nlines\n"}
    encoded = b64encode(value).decode()
    assert found.get("data", {}) == {key: encoded for key in keys if not key.startswith("..")}
    assert found["stringData"] == {"x": name}
