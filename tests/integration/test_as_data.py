"""stringData handed on as data: the API server makes the same Secrets of both, by a reader of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from secretsvc.errors import ManifestError
from secretsvc.operations.output import as_data, as_json
from tests.support import kubernetes_values

CORPUS = Path(__file__).parents[1] / "data" / "manifests"
FILES = sorted(path for path in CORPUS.iterdir() if path.suffix in (".yaml", ".json"))
AS_THEY_ARE = ("anchors-outside-data.yaml",)
"""An alias elsewhere names what an anchor in a Secret holds."""


def test_the_corpus_is_whole() -> None:
    assert len(FILES) >= 83


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_values_are_the_same_and_none_is_left(path: Path) -> None:
    before = path.read_bytes()
    after = as_data(before)
    had, has = kubernetes_values(before), kubernetes_values(after)
    assert [by_key(one) for one in has] == [by_key(one) for one in had]
    if path.name in AS_THEY_ARE:
        assert after == before
        return
    assert not any(field == "stringData" for one in has for field, _ in one)
    assert (after == before) == (not any(field == "stringData" for one in had for field, _ in one))


def by_key(values: dict[tuple[str, str], bytes]) -> dict[str, bytes]:
    """Of two that share a key, the one under stringData, as Kubernetes takes it."""
    return {key: value for (_, key), value in sorted(values.items())}


def test_all_else_keeps_its_bytes_and_the_rest_of_a_secret_what_it_says() -> None:
    around = b"# above\n---\nkind: ConfigMap  # here\n---\n", b"---\n# below\na:   'b'\n"
    secret = (
        b'apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  labels: {x: "1"}\nimmutable: true\n'
        b"data:\n  k: YQ==\n  other: Yg==\nstringData:\n  k: |\n    c\n"
    )
    after = as_data(around[0] + secret + around[1])
    assert after.startswith(around[0])
    assert after.endswith(b"\n" + around[1])
    assert yaml.safe_load(after[len(around[0]) : -len(around[1])]) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a", "labels": {"x": "1"}},
        "immutable": True,
        "data": {"k": "Ywo=", "other": "Yg=="},
    }


@pytest.mark.parametrize(
    "text",
    [
        b"kind: [\n",
        b"apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: {x: 1e3}}\nstringData: {a: b}\n",
        b"kind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a, labels: &l {x: y}}\n"
        b"  stringData: {a: b}\n- kind: ConfigMap\n  metadata: {name: b, labels: *l}\n",
    ],
)
def test_what_can_not_be_told_as_an_object_is_left_as_it_is(text: bytes) -> None:
    assert as_data(text) == text


def test_half_of_a_surrogate_pair_is_refused_in_words() -> None:
    text = b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","labels":{"b":"\\udd11"}},"data":{"c":"YQ=="}}'
    with pytest.raises(ManifestError, match="half of a surrogate pair"):
        as_json([("f.json", text)])
    assert as_data(text) == text
