"""What `ksecret-sops` changes in a sealed file, beside the real binary: the same words, exit code, and data."""

from __future__ import annotations

import io
import json
import shlex
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.cli.main import main
from tests.integration.test_sops_words import STEP
from tests.sops_support import IDENTITY, RECIPIENT, by_sops, sops

if TYPE_CHECKING:
    from pathlib import Path

VALUES = b"""\
# about it
a: 1
b: x y
c: {d: [1, two, {e: f}], g: null}
m: |
  multi
  line
"""
OTHER = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sops-words-changing")
    found = {}
    for name, data in {"v.yaml": VALUES, "v.env": b"A=1\nB=x\n", "v.ini": b"[one]\nk = v\n", "v.bin": b"x\n"}.items():
        (folder / name).write_bytes(data)
        found[name] = by_sops(folder / name)
    (folder / "v.json").write_bytes(b'{"a": 1, "b": ["x", 2.5], "c": {}}')
    return {**found, "v.json": by_sops(folder / "v.json")}


@pytest.fixture
def folders(sealed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One for sops, and one for us, where we are."""
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "value.json").write_bytes(b'{"new": [1, {"x": "y"}]}')
        for file, data in sealed.items():
            (tmp_path / name / file).write_bytes(data)
    monkeypatch.chdir(tmp_path / "ours")
    monkeypatch.setenv("SOPS_AGE_KEY", IDENTITY)
    monkeypatch.setenv("HOME", "/nonexistent")
    return tmp_path / "theirs", tmp_path / "ours"


CHANGES = [
    """set v.yaml '["a"]' '"text"'""",
    """set v.yaml '["b"]' true""",
    """set v.yaml '["b"]' null""",
    """set v.yaml '["c"]["d"][1]' '"x: y"'""",
    """set v.yaml '["c"]["d"][7]' '"at the end"'""",
    """set v.yaml '["new"]["below"]["it"]' '"v"'""",
    """set v.yaml '["a"]["below"]' '"v"'""",
    """set v.yaml '["a"]' '{"aa": ["x", {"y": true}], "e": {}}'""",
    """set v.yaml '["c"]' '{}'""",
    """set v.yaml '["m"]' '"several\\nlines\\n"'""",
    """set v.json '["c"]["n"]' '{"x": "y"}'""",
    """set v.json '["b"][0]' 1.5""",
    """set v.env '["A"]' '"two\\nlines"'""",
    """set v.env '["NEW"]' '"v"'""",
    """set v.ini '["one"]["k"]' '"w"'""",
    """set v.ini '["two"]["k"]' '"w"'""",
    """set v.bin '["data"]' '"other"'""",
    """set --value-file v.yaml '["b"]' value.json""",
    """set --output-type json v.yaml '["b"]' '"in JSON"'""",
    """--set '["b"] "old form"' -i v.yaml""",
    """unset v.yaml '["b"]'""",
    """unset v.yaml '["c"]["d"]'""",
    """unset v.yaml '["c"]["d"][0]'""",
    """unset v.yaml '["c"]["d"][2]["e"]'""",
    """unset v.json '["b"]'""",
    """unset v.env '["A"]'""",
    """unset v.ini '["one"]["k"]'""",
    """unset --idempotent v.yaml '["no"]'""",
    """unset v.yaml '["no"]'""",
    """rotate -i v.yaml""",
    """-r -i v.json""",
    f"""rotate -i --add-age {OTHER} v.yaml""",
    """set v.yaml '["a"]' '[1]'""",
    """set v.yaml '["a"]' nonsense""",
    """set v.yaml a '"v"'""",
    """set v.env '["A"]' '{"nested": "v"}'""",
    """set nowhere.yaml '["a"]' '"v"'""",
    """set v.yaml '["a"]'""",
    """rotate nowhere.yaml""",
]


@pytest.mark.parametrize("line", CHANGES[::STEP])
def test_a_line_that_changes_a_file_leaves_the_same_data_as_with_sops(
    folders: tuple[Path, Path], capsysbinary: pytest.CaptureFixture[bytes], line: str
) -> None:
    """Each opens what the other has made."""
    words = shlex.split(line)
    theirs = sops(*words, cwd=folders[0])
    assert main(["sops", *words]) == theirs.returncode
    if theirs.returncode:
        return
    name = next(word for word in words if word.startswith("v."))
    kind = ("--input-type", "json") if "--output-type" in words else ()
    decrypt = ("decrypt", *kind, "--output-type", "json")
    by_them = sops(*decrypt, folders[1] / name)
    capsysbinary.readouterr()
    assert main(["sops", *decrypt, str(folders[0] / name)]) == by_them.returncode == 0
    assert json.loads(by_them.stdout) == json.loads(capsysbinary.readouterr().out)


def test_a_value_that_is_set_changes_its_line_and_those_of_the_mac_alone(folders: tuple[Path, Path]) -> None:
    path = folders[1] / "v.yaml"
    before = path.read_text().splitlines()
    assert main(["sops", "set", "v.yaml", '["b"]', '"new"']) == 0
    changed = [
        now.split(":")[0].strip() for was, now in zip(before, path.read_text().splitlines(), strict=True) if was != now
    ]
    assert changed in (["b", "lastmodified", "mac"], ["b", "mac"])


def test_what_is_the_same_already_is_not_written_where_that_is_asked(folders: tuple[Path, Path]) -> None:
    before = (folders[1] / "v.yaml").read_bytes()
    assert main(["sops", "set", "--idempotent", "v.yaml", '["c"]["g"]', "null"]) == 0
    assert main(["sops", "set", "--idempotent", "v.yaml", '["a"]', "1"]) == 0
    assert (folders[1] / "v.yaml").read_bytes() == before


def test_a_value_may_come_by_standard_input(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"x": 1}')))
    assert main(["sops", "set", "--value-stdin", "v.yaml", '["b"]']) == 0
    done = sops("decrypt", "--extract", '["b"]["x"]', folders[1] / "v.yaml")
    assert (done.returncode, done.stdout) == (0, b"1\n")


def test_a_member_of_the_format_s_own_is_not_set(folders: tuple[Path, Path]) -> None:
    """sops before 3.13 writes a file that it can't open any more."""
    before = (folders[1] / "v.yaml").read_bytes()
    assert main(["sops", "set", "v.yaml", '["sops"]["mac"]', '"v"']) == 203
    assert (folders[1] / "v.yaml").read_bytes() == before


def test_a_key_that_is_added_opens_and_one_that_is_taken_away_does_not(folders: tuple[Path, Path]) -> None:
    other = pyrage.x25519.Identity.generate()
    recipient = str(other.to_public())
    assert main(["sops", "rotate", "-i", "--add-age", recipient, "--rm-age", RECIPIENT, "v.yaml"]) == 0
    assert sops("decrypt", folders[1] / "v.yaml").returncode == 128
    assert main(["sops", "decrypt", "v.yaml"]) == 128
    assert sops("decrypt", folders[1] / "v.yaml", identities=(str(other),)).returncode == 0
