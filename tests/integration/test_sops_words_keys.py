"""`ksecret-sops updatekeys`, `groups` and `edit`: files that sops opens again."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.cli.main import main
from tests.sops_support import IDENTITY, RECIPIENT, by_sops, sops

if TYPE_CHECKING:
    from pathlib import Path

OTHER = pyrage.x25519.Identity.generate()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOPS_AGE_KEY", IDENTITY)
    monkeypatch.setenv("HOME", "/nonexistent")
    (tmp_path / "v.yaml").write_bytes(b"a: 1\nb: two\n")
    (tmp_path / "v.yaml").write_bytes(by_sops(tmp_path / "v.yaml"))
    return tmp_path / "v.yaml"


def opens(path: Path, *identities: str) -> int:
    return sops("decrypt", path, identities=identities).returncode


def rule(*recipients: str) -> str:
    return f"creation_rules: [{{age: '{','.join(recipients)}'}}]"


def test_updatekeys_gives_a_file_the_keys_of_its_rule_once_that_is_agreed(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(OTHER.to_public())
    (path.parent / ".sops.yaml").write_text(rule(RECIPIENT, other))
    before = path.read_bytes()
    for answer, code in (("n\n", 0), ("", 1)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert main(["sops", "updatekeys", "v.yaml"]) == code
        assert path.read_bytes() == before
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["sops", "updatekeys", "v.yaml"]) == 0
    assert f"+++ age:{other}" in capsys.readouterr().out
    assert (opens(path, str(OTHER)), opens(path, IDENTITY)) == (0, 0)
    (path.parent / ".sops.yaml").write_text(rule(other))
    assert main(["sops", "updatekeys", "-y", "v.yaml"]) == 0
    assert (opens(path, str(OTHER)), opens(path, IDENTITY)) == (0, 128)
    assert main(["sops", "updatekeys", "-y", "nowhere.yaml", "v.yaml"]) == 1
    assert main(["sops", "updatekeys", "v.yaml"]) == 0  # nothing to do: nothing is asked


def test_updatekeys_without_rules_is_an_error_as_with_sops(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["sops", "updatekeys", "-y", "v.yaml"]) == sops("updatekeys", "-y", path, cwd=path.parent).returncode == 1
    )
    assert ".sops.yaml" in capsys.readouterr().err


def test_a_group_that_is_added_is_needed_and_one_that_is_taken_away_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    other = str(OTHER.to_public())
    assert main(["sops", "groups", "add", "-f", "v.yaml", "--age", other]) == 0
    assert b"key_groups" in capsysbinary.readouterr().out
    assert b"key_groups" not in path.read_bytes()
    assert main(["sops", "groups", "add", "-i", "-f", "v.yaml", "--age", other]) == 0
    assert (opens(path, IDENTITY), opens(path, IDENTITY, str(OTHER))) == (128, 0)
    monkeypatch.setenv("SOPS_AGE_KEY", f"{IDENTITY}\n{OTHER}")
    assert main(["sops", "groups", "delete", "-i", "-f", "v.yaml", "7"]) == 1
    assert main(["sops", "groups", "delete", "-i", "-f", "v.yaml", "0"]) == 0
    assert (opens(path, IDENTITY), opens(path, str(OTHER))) == (128, 0)
    assert main(["sops", "groups", "delete", "-i", "-f", "v.yaml", "0"]) == 1


@pytest.mark.parametrize(
    ("editor", "code", "text"),
    [
        ("sed -i s/two/three/", 0, b"a: 1\nb: three\n"),
        ("true", 200, b"a: 1\nb: two\n"),
        ("false", 201, b"a: 1\nb: two\n"),
        ("no-such-editor", 201, b"a: 1\nb: two\n"),
        ("sed -i 1s/a:/[/", 2, b"a: 1\nb: two\n"),
    ],
)
def test_what_somebody_edits_is_sealed_again_and_else_the_file_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch, editor: str, code: int, text: bytes
) -> None:
    monkeypatch.setenv("SOPS_EDITOR", editor)
    monkeypatch.setenv("EDITOR", "never-called")
    before = path.read_bytes().splitlines()
    assert main(["sops", "v.yaml"] if code else ["sops", "edit", "v.yaml"]) == code
    assert path.read_bytes().splitlines()[0] == before[0]
    assert sops("decrypt", path).stdout == text


def test_only_files_that_are_there_are_edited_and_no_keys(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sops", "edit", "nowhere.yaml"]) == 100
    assert main(["sops", "-s", "v.yaml"]) == 1
    assert "keys are not edited by hand" in capsys.readouterr().err
