"""How many calls of a KMS a Secret costs, by command: the table of docs/scale.md, whose money is reckoned from it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.main import main
from tests.emulators.aws import ENVIRON, KEY, StubKms
from tests.emulators.gcp import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
FILES = 3
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: db-{0}, namespace: prod}}\nstringData:\n  a: b\n  c: d\n"
RING = "projects/p/locations/europe-west1/keyRings/ring/cryptoKeys"
COMMANDS = {
    "encrypt": ["encrypt", "-i", "-r", "d"],
    "decrypt": ["decrypt", "-r", "-o", os.devnull, "d"],
    "verify": ["verify", "-r", "d"],
    "set": ["set", "d/0.yaml", "a=x"],
    "rotate": ["rotate", "-r", "d"],
    "rotate --older-than": ["rotate", "-r", "--older-than", "90d", "d"],
    "rotate --dry-run": ["rotate", "-r", "--dry-run", "d"],
    "rotate --rewrap": ["rotate", "-r", "--rewrap", "d"],
    "keys sync": ["keys", "sync", "-r", "d"],
    "keys sync, a key more": ["keys", "sync", "-r", "d"],
    "keys sync, a key less": ["keys", "sync", "-r", "d"],
    "check": ["check", "d"],
    "inspect": ["inspect", "-r", "d"],
}
"""As the table names them. `set` is of one file."""


@pytest.fixture
def kms(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Callable[[], int], list[str]]]:
    """A count of calls so far, and three keys; of AWS or of Google."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    if request.param == "AWS":
        with StubKms() as stub:
            for name, text in {**ENVIRON, "AWS_ENDPOINT_URL_KMS": stub.url}.items():
                monkeypatch.setenv(name, text)
            yield lambda: stub.calls, [f"aws:{KEY[:-1]}{digit}" for digit in "123"]
        return
    with Emulator() as emulator:
        monkeypatch.setenv("KSECRET_GCP_KMS_ENDPOINT", emulator.endpoint)
        names = [f"{RING}/key-{number}" for number in range(3)]
        for name in names:
            emulator.create_key(name)
        yield emulator.calls.total, [f"gcp:{name}" for name in names]


def table() -> dict[str, list[int]]:
    """The calls for a Secret, by command: AWS with one and two keys, Google with one and two."""
    rows = re.findall(r"(?m)^\| `([a-z, -]+)`[^|]*\|[^|]*((?:\| \d+ ){4})\|$", PAGE.read_text())
    return {command: list(map(int, re.findall(r"\d+", numbers))) for command, numbers in rows}


@pytest.mark.parametrize("kms", ["AWS", "Google"], indirect=True)
@pytest.mark.parametrize("keys", [1, 2])
def test_a_secret_costs_as_many_calls_as_the_document_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kms: tuple[Callable[[], int], list[str]],
    keys: int,
    request: pytest.FixtureRequest,
) -> None:
    count, refs = kms
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "d"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.yaml").write_text(SECRET.format(number))
    column = (request.node.callspec.params["kms"] == "Google") * 2 + keys - 1
    found: dict[str, float] = {}
    for command, words in COMMANDS.items():
        policy(tmp_path, refs[:keys] + refs[2:] * command.endswith("more"))
        before = count()
        assert main(words) == 0, words
        found[command] = (count() - before) / (1 if command == "set" else FILES)
    assert found == {command: numbers[column] for command, numbers in table().items()}


def test_the_money_is_the_calls_times_the_price() -> None:
    """At $0.03 for 10,000 calls."""
    rotate, verify = (table()[command][0] for command in ("rotate", "verify"))
    rows = re.findall(r"(?m)^\| ([0-9,]+) ((?:\| \$[0-9.,]+ ){4})\|$", PAGE.read_text())
    assert len(rows) == 3
    for secrets, prices in rows:
        price = int(secrets.replace(",", "")) * 0.03 / 10_000
        told = [float(text.replace(",", "")) for text in re.findall(r"\$([0-9.,]+)", prices)]
        assert told == pytest.approx([price * rotate, price * rotate * 4, price * verify, price * verify * 20 * 30])


def policy(folder: Path, keys: list[str]) -> None:
    named = "".join(f"      - {key}\n" for key in keys)
    (folder / ".ksecret.yaml").write_text(f'version: 1\nrules:\n  - path: "**"\n    keys:\n{named}')
