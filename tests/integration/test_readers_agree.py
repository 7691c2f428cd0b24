"""PyYAML, ruamel.yaml, JSON tools and kubectl read sealed and opened manifests as they read the plain ones.

What such a tool prints of a sealed manifest opens to the same values.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ruamel.yaml import YAML

from tests.integration.fake_apiserver import ApiServer, Kinds, documents
from tests.integration.test_corpus import FILES, NOT_FOR_PYYAML
from tests.support import CarefulDumper, Lock, kubernetes_values, new_lock
from tests.unit.test_roundtrip import json_tree, without_secrets, yaml_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YAMLS = [path for path in FILES if path.suffix != ".json"]
JSONS = [path for path in FILES if path.suffix == ".json"]
NOT_FOR_KUBECTL = ["directive-and-markers.yaml", "flow-behind-marker.yaml", "flow-whole-document-bare.yaml"]
UNLIMITED = 10**7

each_yaml = pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.name)
each_json = pytest.mark.parametrize("path", JSONS, ids=lambda path: path.name)
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")


def text_of(data: bytes) -> str:
    """Without a BOM, and its last line ended, as Kubernetes reads it."""
    text = data.decode().removeprefix("\ufeff")
    return text if text.endswith("\n") else text + "\n"


def ruamel_tree(text: str) -> list[Any]:
    """By ruamel.yaml, with every scalar a text."""
    reader = YAML(typ="base", pure=True)
    return list(reader.load_all(io.StringIO(text, newline="")))


READERS: dict[str, Callable[[str], list[Any]]] = {"PyYAML": yaml_tree, "ruamel.yaml": ruamel_tree}


def as_json(data: bytes) -> bytes:
    """As `yq -o json` prints it: one JSON document after another."""
    documents = yaml.load_all(text_of(data), Loader=yaml.CSafeLoader)
    return "\n".join(json.dumps(one, default=str) for one in documents if one is not None).encode()


def by_pyyaml(data: bytes) -> bytes:
    """As PyYAML prints it: keys sorted, its own quotes and indentation, long lines whole."""
    documents = [one for one in yaml.load_all(text_of(data), Loader=yaml.CSafeLoader) if one is not None]
    return yaml.dump_all(documents, Dumper=CarefulDumper, width=UNLIMITED, allow_unicode=True).encode()


class Quoting(CarefulDumper):
    """Every text between double quotes."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def by_pyyaml_quoting(data: bytes) -> bytes:
    documents = [one for one in yaml.load_all(text_of(data), Loader=yaml.CSafeLoader) if one is not None]
    return yaml.dump_all(documents, Dumper=Quoting, width=UNLIMITED, indent=6).encode()


def by_ruamel(data: bytes) -> bytes:
    """As ruamel.yaml's round trip prints it: comments and styles kept, indentation its own."""
    editor = YAML()
    editor.width = UNLIMITED
    editor.preserve_quotes = True
    editor.indent(mapping=4, sequence=6, offset=3)
    documents = [one for one in editor.load_all(io.StringIO(text_of(data), newline="")) if one is not None]
    out = io.StringIO()
    editor.dump_all(documents, out)
    return out.getvalue().encode()


BROKEN_BY = {("keys-explicit.yaml", "ruamel.yaml")}  # it can't read its own output: a comment behind `? key`
FORMATTERS = {"JSON": as_json, "PyYAML": by_pyyaml, "PyYAML with quotes": by_pyyaml_quoting, "ruamel.yaml": by_ruamel}


@pytest.mark.parametrize("reader", READERS)
@each_yaml
def test_readers_see_nothing_else_changed(path: Path, reader: str, lock: Lock) -> None:
    data = path.read_bytes()
    sealed = lock.seal(data)
    before, after = (READERS[reader](text_of(one)) for one in (data, sealed))
    assert after != before
    assert [without_secrets(one) for one in after] == [without_secrets(one) for one in before]
    assert READERS[reader](text_of(lock.open_(sealed))) == before


@each_json
def test_json_readers_see_nothing_else_changed(path: Path, lock: Lock) -> None:
    data = path.read_bytes()
    sealed = lock.seal(data)
    before, after = (json_tree(text_of(one)) for one in (data, sealed))
    assert [without_secrets(one) for one in after] == [without_secrets(one) for one in before]
    assert json_tree(text_of(lock.open_(sealed))) == before


@pytest.mark.parametrize("formatter", FORMATTERS)
@each_yaml
def test_a_formatted_sealed_manifest_opens_to_the_same_values(path: Path, formatter: str, lock: Lock) -> None:
    if (path.name, formatter) in BROKEN_BY:
        pytest.skip("the formatter's output is not YAML")
    data = path.read_bytes()
    formatted = FORMATTERS[formatter](lock.seal(data))
    assert kubernetes_values(lock.open_(formatted)) == kubernetes_values(data)


@each_json
def test_formatted_sealed_json_opens_to_the_same_values(path: Path, lock: Lock) -> None:
    data = path.read_bytes()
    documents = json_tree(text_of(lock.seal(data)))
    for layout in ({"indent": 3}, {"separators": (",", ":")}, {"sort_keys": True, "ensure_ascii": False}):
        formatted = "\n".join(json.dumps(one, **layout) for one in documents).encode()
        assert kubernetes_values(lock.open_(formatted)) == kubernetes_values(data)
    as_yaml = yaml.dump_all(documents, Dumper=CarefulDumper, width=UNLIMITED).encode()
    if path.name not in NOT_FOR_PYYAML:
        assert kubernetes_values(lock.open_(as_yaml)) == kubernetes_values(data)


# -- kubectl ----------------------------------------------------------------------------------------------------------


def kinds_in(documents: list[Any]) -> Kinds:
    found: Kinds = {("v1", "Secret")}
    for one in documents:
        if isinstance(one, dict) and "kind" in one:
            found.add((one["apiVersion"], one["kind"]))
            found |= kinds_in(one.get("items") or [])
    return found


def kubectl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": os.devnull, "HOME": str(folder)}
    return subprocess.run(
        ["kubectl", *arguments], env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120
    )


def created(folder: Path, server: str) -> list[Any]:
    """What `kubectl create --dry-run=client` makes of all files in a folder."""
    cache = str(folder.parent / "cache")
    words = ["create", "--dry-run=client", "-o", "json", "--validate=false", "-f", str(folder)]
    done = kubectl(folder.parent, *words, "--server", server, "--cache-dir", cache)
    assert not done.stderr, done.stderr[:500]
    return json_tree(done.stdout)


def filled(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def corpus() -> tuple[Lock, dict[str, bytes], dict[str, bytes]]:
    """A lock, and all that kubectl can read: plain and sealed."""
    lock = new_lock()
    plain = {path.name: path.read_bytes() for path in FILES if path.name not in NOT_FOR_KUBECTL}
    return lock, plain, {name: lock.seal(data) for name, data in plain.items()}


Corpus = tuple[Lock, dict[str, bytes], dict[str, bytes]]


def all_kinds(files: dict[str, bytes]) -> Kinds:
    return kinds_in(
        [
            one
            for name, data in files.items()
            for one in (json_tree if name.endswith(".json") else yaml_tree)(text_of(data))
        ]
    )


@needs_kubectl
def test_kubectl_creates_the_same_objects_of_opened_files(corpus: Corpus, tmp_path: Path) -> None:
    lock, plain, sealed = corpus
    with ApiServer(documents(all_kinds(plain))) as server:
        before = created(filled(tmp_path / "plain", plain), server.url)
        after = created(
            filled(tmp_path / "opened", {name: lock.open_(data) for name, data in sealed.items()}), server.url
        )
    assert len(before) >= 250
    assert after == before


@needs_kubectl
def test_kubectl_creates_the_same_objects_of_formatted_and_opened_files(corpus: Corpus, tmp_path: Path) -> None:
    """The values that a formatter made ksecret write anew are, to Kubernetes, the old ones."""
    lock, plain, sealed = corpus
    names = [name for name in plain if name not in NOT_FOR_PYYAML]
    opened = {name: lock.open_(by_pyyaml(sealed[name])) for name in names}
    with ApiServer(documents(all_kinds(plain))) as server:
        before = created(filled(tmp_path / "plain", {name: plain[name] for name in names}), server.url)
        after = created(filled(tmp_path / "opened", opened), server.url)
    assert [one for one in after if one["kind"] == "Secret"] == [one for one in before if one["kind"] == "Secret"]


@needs_kubectl
def test_what_kubectl_prints_of_sealed_files_opens(corpus: Corpus, tmp_path: Path) -> None:
    """kubectl as a formatter: YAML in, JSON out, Lists taken apart, namespaces added (hence the scope)."""
    lock, plain, _ = corpus
    sealed = {name: lock.seal(data, scope="any") for name, data in plain.items()}
    with ApiServer(documents(all_kinds(plain))) as server:
        printed = created(filled(tmp_path / "sealed", sealed), server.url)
    opened = lock.open_("\n".join(json.dumps(one) for one in printed).encode())
    expected = [values for name in sorted(plain) for values in kubernetes_values(plain[name])]
    assert kubernetes_values(opened) == expected


@needs_kubectl
@pytest.mark.parametrize("name", ["type-tls-cert-manager.yaml", "kubectl-get-secret.json", "base64-wrapped.yaml"])
def test_kubectl_does_not_decode_sealed_data(name: str, corpus: Corpus, tmp_path: Path) -> None:
    """A token is not base64: no typed client takes a sealed `data` for values."""
    _, plain, sealed = corpus
    for data, said in ((sealed[name], "illegal base64 data"), (plain[name], "is not a pod")):
        (tmp_path / name).write_bytes(data)
        done = kubectl(tmp_path, "set", "env", "--local", "-f", str(tmp_path / name), "ZZ=1")
        assert done.returncode != 0
        assert said in done.stderr


@needs_kubectl
def test_kubectl_decodes_sealed_stringdata(lock: Lock, tmp_path: Path) -> None:
    """Nothing offline does for `stringData` what base64 does for `data`: there only the unknown field `ksecret` stops
    it, where a server validates strictly. Recorded, so that nobody takes it for more.
    """
    file = tmp_path / "a.yaml"
    file.write_bytes(lock.seal(b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  a: b\n"))
    done = kubectl(tmp_path, "set", "env", "--local", "-f", str(file), "ZZ=1")
    assert "is not a pod" in done.stderr
    assert "unable to decode" not in done.stderr
