"""`ksecret-krm`: the generator that kustomize calls, in either of its two ways.

Without arguments it is a KRM function: a ResourceList on standard input, one on standard output
(https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md).
With one argument, the path of a configuration, it is a legacy exec plugin that prints manifests, which is all that
`kubectl kustomize --enable-alpha-plugins` can call. Both run in the kustomization's folder.
"""

from __future__ import annotations

import os
import sys

from secretsvc import core_dumps
from secretsvc.cli import options
from secretsvc.cli.report import printable, report, tell_unbound
from secretsvc.cli.session import LocalOpener
from secretsvc.errors import FileError, InputError, KsecretError, UsageError
from secretsvc.files import workspace
from secretsvc.files.workspace import standard_input
from secretsvc.manifest.kubernetes_objects import documents, with_data
from secretsvc.operations.output import dumped
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

API_VERSION = "ksecret.dev/v1alpha1"
KIND = "KsecretGenerator"
PASSED_ON = ("kustomize.config.k8s.io/needs-hash", "kustomize.config.k8s.io/behavior")
"""Annotations of the configuration that go to every Secret which does not say them itself; kustomize takes them off."""

RESTRICTOR = "KSECRET_LOAD_RESTRICTOR"
"""A variable with the values of kustomize's option --load-restrictor, which kustomize tells no generator of.

No field of the configuration: that comes from whoever wrote the kustomization, which may be a remote one.
"""
_ROOT_ONLY, _NONE = "LoadRestrictionsRootOnly", "LoadRestrictionsNone"

_EXAMPLE = f"write apiVersion: {API_VERSION}, kind: {KIND}, metadata.name and a list of sealed manifests as files"


class _Config(Record):
    files: list[str]
    annotations: dict[str, str]


def entry_point() -> NoReturn:
    """The console script. Exit code 0, or 1 with a line on standard error for each failure."""
    core_dumps.forbid()
    try:
        sys.exit(_run(sys.argv[1:]))
    except KsecretError as error:
        report(error)
    except OSError as error:
        print(f"ksecret: can't write the output: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        pass
    sys.exit(1)


def _run(words: list[str]) -> int:
    if len(words) > 1 or words[:1] == ["--help"]:
        raise UsageError(
            "ksecret-krm is called by kustomize: without arguments, or with the path of a configuration",
            hint="docs/kustomize.md shows how",
        )
    return _legacy(words[0]) if words else _function()


def _legacy(path: str) -> int:
    found = documents(workspace.read(path).data)
    generated, failures = _generate(_config(found[0] if found else None))
    if not failures:
        sys.stdout.buffer.write(b"---\n".join(map(dumped, generated)))
        sys.stdout.buffer.flush()
    return _tell(failures)


def _function() -> int:
    found = documents(standard_input())
    resources = found[0] if found else None
    if not isinstance(resources, dict) or resources.get("kind") != "ResourceList":
        raise InputError("standard input holds no ResourceList", hint="kustomize gives one: docs/kustomize.md")
    try:
        generated, failures = _generate(_config(resources.get("functionConfig")))
    except KsecretError as error:
        generated, failures = [], [error]
    # kustomize puts the configuration among the items as well, and would do to it what its annotations say.
    resources["items"] = [*(item for item in resources.get("items") or [] if not _is_ours(item)), *generated]
    if failures:
        resources["results"] = [_result(error) for error in failures]
    sys.stdout.buffer.write(dumped(resources))
    sys.stdout.buffer.flush()
    return _tell(failures)


def _tell(failures: list[KsecretError]) -> int:
    for error in failures:
        report(error)
    return 1 if failures else 0


def _result(error: KsecretError) -> dict[str, Any]:
    """One of the `results` of the functions specification."""
    told: dict[str, Any] = {"message": printable(error.told), "severity": "error"}
    return told | ({"file": {"path": error.file}} if error.file else {})


def _is_ours(config: Any) -> bool:
    return isinstance(config, dict) and (config.get("apiVersion"), config.get("kind")) == (API_VERSION, KIND)


def _config(config: Any) -> _Config:
    """Read a configuration. Raises InputError for one that is not ours, or says what we do not know."""
    if not _is_ours(config):
        raise InputError(f"the configuration is no {API_VERSION} {KIND}", hint=_EXAMPLE)
    unknown = sorted(set(config) - {"apiVersion", "kind", "metadata", "files"})
    if unknown:
        raise InputError(f"the {KIND} has fields that are not known: {', '.join(unknown)}", hint=_EXAMPLE)
    files = config.get("files")
    if not isinstance(files, list) or not files or not all(isinstance(file, str) for file in files):
        raise InputError(f"the {KIND} lists no files", hint=_EXAMPLE)
    for number, file in enumerate(files, 1):
        if "\0" in file:
            raise InputError(f"file {number} of the list can't be the name of one", hint=_EXAMPLE)
    metadata = config.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    stated = annotations if isinstance(annotations, dict) else {}
    return _Config(files, {name: stated[name] for name in PASSED_ON if name in stated})


def _generate(config: _Config) -> tuple[list[dict[str, Any]], list[KsecretError]]:
    """Every object in the listed files, opened, and what failed."""
    session = LocalOpener(options.backends(options.Unlocking()))
    anywhere = _may_lie_anywhere()
    unbound = 0
    generated: list[dict[str, Any]] = []
    failures: list[KsecretError] = []
    for file in config.files:
        try:
            if not (anywhere or _is_inside(file)):
                hint = f"move it there, or {RESTRICTOR}={_NONE}, as kustomize's --load-restrictor"
                raise FileError("it is not in or below the kustomization's folder", hint=hint)
            opened = session.open(workspace.read(file).data, file)
            unbound += not opened.bound
            generated += _objects(opened.data, config.annotations)
        except KsecretError as error:
            error.file = error.file or file
            failures.append(error)
    tell_unbound(unbound)
    return generated, failures


def _may_lie_anywhere() -> bool:
    """Raises UsageError."""
    said = os.environ.get(RESTRICTOR) or _ROOT_ONLY
    if said not in (_ROOT_ONLY, _NONE):
        raise UsageError(f"{RESTRICTOR}: there are {_ROOT_ONLY} and {_NONE}")
    return said == _NONE


def _is_inside(path: str) -> bool:
    """Tell whether it is in or below this folder, links followed.

    Source: kustomize's RestrictionRootOnly
    (https://github.com/kubernetes-sigs/kustomize/blob/master/api/internal/loader/loadrestrictions.go).
    """
    root = os.path.realpath(os.curdir)
    return os.path.commonpath([root, os.path.realpath(path)]) == root


def _objects(data: bytes, annotations: dict[str, str]) -> list[dict[str, Any]]:
    """A manifest's objects, those of Lists on their own, Secrets as the cluster would keep them."""
    found: list[dict[str, Any]] = []
    for document in documents(data):
        kind = document.get("kind") if isinstance(document, dict) else None
        listed = kind in ("List", "SecretList")
        for item in (document.get("items") or []) if listed else [document]:
            typed = {"apiVersion": "v1", "kind": "Secret"} | item if kind == "SecretList" else item
            is_secret = isinstance(typed, dict) and (typed.get("apiVersion"), typed.get("kind")) == ("v1", "Secret")
            found.append(_secret(typed, annotations) if is_secret else typed)
    return found


def _secret(secret: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    """The Secret, annotated, its `stringData` moved into `data`: kustomize merges and hashes no other field."""
    metadata = secret.get("metadata") or {}
    own = metadata.get("annotations") or {}
    if annotations:
        metadata = metadata | {"annotations": annotations | own}
    return with_data(secret) | {"metadata": metadata}
