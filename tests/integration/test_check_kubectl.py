"""What kubectl reads as a Secret with a value, `check` finds: the real kubectl is asked, where it is installed."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.operations.check import check_file
from secretsvc.operations.check_search import may_hold_secret
from tests.integration.kubectl_mutations import mutated
from tests.integration.kubectl_support import kubectl, needs_kubectl
from tests.support import DATA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSES = sorted((DATA / "check-misses").iterdir())
LINES = {
    "a-escaped-break.yaml": (2, "KS001"),
    "b-escaped-break.yaml": (5, "KS001"),
    "c-separator-without-blank.yaml": (5, "KS010"),
    "d-separator-in-quotes.yaml": (6, "KS010"),
    "e-json-then-template.yaml": (1, "KS001"),
    "f-flow-template.yaml": (1, "KS010"),
    "g-json-in-template.yaml": (2, "KS011"),
    "h-flow-item-template.yaml": (4, "KS010"),
    "i-tagged-template.yaml": (6, "KS011"),
    "j-blank-template.yaml": (6, "KS011"),
    "k-nextline-template.yaml": (7, "KS011"),
    "l-default-template.yaml": (6, "KS011"),
    "m-default-pipe-template.yaml": (6, "KS011"),
    "n-sops-lookalike.yaml": (5, "KS001"),
    "o-json-then-braces.yaml": (1, "KS010"),
    "p-json-as-yaml-key.yaml": (1, "KS010"),
    "q-json-then-marker-then-template.yaml": (1, "KS010"),
}
"""Where each is found, and as what."""
MANY = min(int(os.environ.get("KSECRET_TEST_MUTATIONS", "300")), 30_000)
"""How many mutated manifests kubectl is asked about: more at night (see test_mutations.py)."""


def findings(data: bytes) -> list[tuple[int, str]]:
    return [(found.line, found.code) for found in check_file(data, "a.yaml", None, 0).findings]


@pytest.mark.parametrize("path", MISSES, ids=lambda path: path.name)
def test_files_that_once_went_unseen_are_found_at_their_line(path: Path) -> None:
    data = path.read_bytes()
    assert may_hold_secret(data)
    assert LINES[path.name] in findings(data)


def objects(text: str) -> Iterator[dict[str, Any]]:
    """What kubectl printed, lists' items one by one."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, at)
        yield from found["items"] if isinstance(found.get("items"), list) else [found]


def seen_by_kubectl(folder: Path, manifests: list[bytes], values: list[str]) -> list[bool]:
    """Whether it reads the value in a Secret, for each; by one process, which prints what it reads of all files."""
    for number, manifest in enumerate(manifests):
        (folder / f"{number:05}.yaml").write_bytes(manifest)
    printed = kubectl(folder, ["annotate", "--local", "-o", "json", "-f", ".", "a=b"]).stdout.decode()
    secrets = (one for one in objects(printed) if (one.get("apiVersion"), one.get("kind")) == ("v1", "Secret"))
    words = "\n".join(json.dumps([one.get("data"), one.get("stringData")]) for one in secrets)
    return [value in words or b64encode(value.encode()).decode() in words for value in values]


@needs_kubectl
@pytest.mark.parametrize("seed", range(MANY // 300))
def test_whatever_kubectl_reads_of_a_mutated_manifest_is_found(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    values = [f"hunter{number:05}x" for number in range(300)]
    manifests = [mutated(random, value) for value in values]
    seen = seen_by_kubectl(tmp_path, manifests, values)
    missed = [data for data, is_seen in zip(manifests, seen, strict=True) if is_seen and not findings(data)]
    assert missed == []
    assert sum(seen) > 60, "else it proves little"
