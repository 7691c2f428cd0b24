"""The words of kubesec's -d, -s, -a, -l and -m."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.entries import data_changes, metadata, pairs
from secretsvc.errors import FileError, KsecretError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_every_form_of_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.crt").write_bytes(b"\xff=")
    (tmp_path / "a=b").write_bytes(b"odd")
    words = [
        "k=v",
        "e=",
        "q=a=b",
        "file:ca.crt",
        "file:key.pem=ca.crt",
        "file:x=a=b",
        "u=file:ca.crt",
        "~gone",
        "r=\udcff",
    ]
    assert data_changes(words, removal=True) == {
        "k": b"v",
        "e": b"",
        "q": b"a=b",
        "ca.crt": b"\xff=",
        "key.pem": b"\xff=",
        "x": b"odd",
        "u": b"file:ca.crt",
        "gone": None,
        "r": b"\xff",
    }


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["hunter2"], UsageError, "--data number 1: expected KEY=VALUE, file:PATH or file:KEY=PATH$"),
        (["~k"], UsageError, "--data number 1: expected KEY=VALUE"),
        (["k=1", "k=hunter2"], UsageError, "--data number 2: that key was given before"),
        (["hunter2 =1"], UsageError, "--data number 1: a key consists of"),
        (["=hunter2"], UsageError, "--data number 1: a key consists of"),
        (["a\n=1"], UsageError, "--data number 1: a key consists of"),
        (["file:gone.txt"], FileError, "--data number 1: can't read it: no such file"),
        (["file:bad key=gone.txt"], UsageError, "--data number 1: a key consists of"),
        (["file:"], UsageError, "--data number 1: a key consists of"),
    ],
)
def test_words_that_are_off_are_counted_and_not_shown(words: list[str], kind: type[KsecretError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        data_changes(words)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_removal_is_for_those_who_ask() -> None:
    assert data_changes(["~k"], removal=True) == {"k": None}
    with pytest.raises(UsageError, match="or ~KEY to remove it"):
        data_changes(["k"], removal=True)
    with pytest.raises(UsageError, match="--data number 2: that key was given before"):
        data_changes(["k=1", "~k"], removal=True)


def test_pairs_and_metadata() -> None:
    assert pairs(["a=b", "c=d=e", "f="], "--label") == {"a": "b", "c": "d=e", "f": ""}
    assert metadata(["name=n", "namespace=x"]) == {"name": "n", "namespace": "x"}
    for words, message in (
        (["a"], "--label number 1: expected KEY=VALUE"),
        (["a=b", "=b"], "--label number 2: expected KEY=VALUE"),
        (["a=b", "a=c"], "--label number 2: that key was given before"),
    ):
        with pytest.raises(UsageError, match=message):
            pairs(words, "--label")
    with pytest.raises(UsageError, match="--metadata: name=… or namespace=…"):
        metadata(["labels=x"])
