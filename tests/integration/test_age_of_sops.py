"""age identities are found where SOPS finds them, after ksecret's own places."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import BackendError, KeyNotHeldError
from tests.integration.age_support import DEK, PASSPHRASE, Asked, age, locked_identity, parsed, ssh_key, x25519

if TYPE_CHECKING:
    from pathlib import Path


def command(folder: Path, text: str, then: str = "") -> str:
    """Words that print that text, and note that they were run."""
    script = folder / "give.py"
    script.write_text(f"print({text!r})\nopen({str(folder / 'runs')!r}, 'a').write('x')\n{then}\n")
    return shlex.join([sys.executable, str(script)])


def runs(folder: Path) -> int:
    noted = folder / "runs"
    return len(noted.read_text()) if noted.exists() else 0


@pytest.mark.parametrize("name", ["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "XDG_CONFIG_HOME", "HOME"])
def test_an_identity_is_found_in_each_of_sops_places(tmp_path: Path, name: str) -> None:
    identity, ref = x25519()
    text = f"# created: today\n{identity}\n"
    folder = tmp_path / ".config" if name == "HOME" else tmp_path
    (folder / "sops" / "age").mkdir(parents=True)
    path = folder / "sops" / "age" / "keys.txt"
    path.write_text(text)
    path.chmod(0o600)
    said = {"SOPS_AGE_KEY": text, "SOPS_AGE_KEY_FILE": path, "SOPS_AGE_KEY_CMD": command(tmp_path, text)}
    found = age(**{name: said.get(name, tmp_path)} | ({"XDG_CONFIG_HOME": ""} if name == "HOME" else {}))
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert found.own_ref() == ref


def test_a_folder_of_sops_that_comes_later_counts_from_then_on(tmp_path: Path) -> None:
    identity, ref = x25519()
    found, wrapped = age(XDG_CONFIG_HOME=tmp_path), age().wrap(ref, DEK, {})
    with pytest.raises(KeyNotHeldError, match="no age identity is at hand"):
        found.unwrap(ref, wrapped, {})
    (tmp_path / "sops" / "age").mkdir(parents=True)
    (tmp_path / "sops" / "age" / "keys.txt").write_text(identity)
    assert found.unwrap(ref, wrapped, {}) == DEK
    (tmp_path / "sops" / "age" / "keys.txt").unlink()
    with pytest.raises(KeyNotHeldError, match="no age identity is at hand"):
        found.unwrap(ref, wrapped, {})


@pytest.mark.parametrize("name", ["SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD"])
def test_an_ssh_key_is_found_in_each_of_sops_places(tmp_path: Path, name: str) -> None:
    ref = parsed(ssh_key(tmp_path / "id", "ed25519"))
    said = str(tmp_path / "id") if name.endswith("FILE") else command(tmp_path, (tmp_path / "id").read_text())
    assert age(**{name: said}).unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK


def test_all_places_count_together_and_ours_first(tmp_path: Path) -> None:
    (first, one), (second, two), (third, three) = (x25519() for _ in range(3))
    (tmp_path / "keys").write_text(third)
    found = age(KSECRET_AGE_KEY=first, SOPS_AGE_KEY=second, SOPS_AGE_KEY_FILE=tmp_path / "keys")
    for ref in (one, two, three):
        assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert found.own_ref() == one
    assert age(SOPS_AGE_KEY=second, SOPS_AGE_KEY_FILE=tmp_path / "keys").own_ref() == two


def test_a_command_is_run_once_and_only_where_no_identity_at_hand_opens_it(tmp_path: Path) -> None:
    (at_hand, one), (given, two) = x25519(), x25519()
    found = age(KSECRET_AGE_KEY=at_hand, SOPS_AGE_KEY_CMD=command(tmp_path, given))
    assert found.unwrap(one, age().wrap(one, DEK, {}), {}) == DEK
    assert runs(tmp_path) == 0
    assert found.holds(two) is None
    assert [place.found for place in found.places() if place.name == "SOPS_AGE_KEY_CMD"] == ["given by a command"]
    for _ in range(2):
        assert found.unwrap(two, age().wrap(two, DEK, {}), {}) == DEK
    assert runs(tmp_path) == 1
    assert found.holds(two) is True


def test_the_words_of_a_command_are_not_a_shells(tmp_path: Path) -> None:
    _, ref = x25519()
    line = f"{command(tmp_path, 'AGE-SECRET-KEY-1QQ')} '; touch {tmp_path / 'pwned'}' $HOME"
    with pytest.raises(BackendError, match="SOPS_AGE_KEY_CMD holds a line that is not an age identity"):
        age(SOPS_AGE_KEY_CMD=line).unwrap(ref, age().wrap(ref, DEK, {}), {})
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("'", r"the command in SOPS_AGE_KEY_CMD failed$"),
        ("no-such-program-here", r"the command in SOPS_AGE_KEY_CMD failed$"),
        (" ", r"the command in SOPS_AGE_KEY_CMD failed$"),
        ("", "no age identity is at hand"),
    ],
)
def test_a_command_that_is_none_is_told_where_nothing_else_opens_it(line: str, match: str) -> None:
    _, ref = x25519()
    with pytest.raises((BackendError, KeyNotHeldError), match=match):
        age(SOPS_AGE_KEY_CMD=line).unwrap(ref, age().wrap(ref, DEK, {}), {})


def test_a_command_that_fails_spoils_nothing_else_and_its_output_is_not_told(tmp_path: Path) -> None:
    _, ref = x25519()
    failing = command(tmp_path, "hunter2", "raise SystemExit(3)")
    with pytest.raises(BackendError, match=r"the command in SOPS_AGE_KEY_CMD failed with exit status 3$"):
        age(SOPS_AGE_KEY_CMD=failing).unwrap(ref, age().wrap(ref, DEK, {}), {})
    other = locked_identity(tmp_path / "keys")
    found = age(Asked(PASSPHRASE), SOPS_AGE_KEY_CMD=failing, SOPS_AGE_KEY_FILE=tmp_path / "keys")
    assert found.unwrap(other, age().wrap(other, DEK, {}), {}) == DEK


def test_an_identity_that_a_command_gives_behind_a_passphrase_is_asked_for(tmp_path: Path) -> None:
    ref = parsed(ssh_key(tmp_path / "id", "ed25519", PASSPHRASE))
    asked = Asked(PASSPHRASE)
    found = age(asked, SOPS_AGE_SSH_PRIVATE_KEY_CMD=command(tmp_path, (tmp_path / "id").read_text()))
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK
    assert asked.questions == ["age identity SOPS_AGE_SSH_PRIVATE_KEY_CMD"]


def test_who_has_none_of_sops_places_is_told_of_none_and_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    assert not [place for place in age(XDG_CONFIG_HOME=tmp_path).places() if place.name.endswith("keys.txt")]
    (tmp_path / "sops" / "age").mkdir(parents=True)
    found = age(XDG_CONFIG_HOME=tmp_path)
    assert not [place for place in found.places() if place.name.endswith("keys.txt")]
    identity, ref = x25519()
    (tmp_path / "sops" / "age" / "keys.txt").write_text(identity)
    assert found.unwrap(ref, age().wrap(ref, DEK, {}), {}) == DEK


def test_copies_of_a_process_have_no_identities_of_a_command() -> None:
    assert age(SOPS_AGE_KEY="x", SOPS_AGE_KEY_FILE=os.devnull + "x").forks is False
    assert age(SOPS_AGE_KEY_CMD="give").forks is False
    assert age(SOPS_AGE_KEY="x").forks is True
