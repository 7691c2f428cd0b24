"""The Indexed Job of deploy/rotate on a real control plane: etcd, kube-apiserver, and Kubernetes' controller of Jobs.

A kubelet is simulated: it runs each pod's command as processes here (tests/e2e/pods.py) and tells how they end.
"""

from __future__ import annotations

import json
import os
import time
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import MANIFEST
from tests.e2e.control_plane import ControlPlane, jobs_are_run, started
from tests.e2e.kubernetes import kustomized, run, tool
from tests.e2e.pods import INDEX, Cluster, Pod
from tests.e2e.rotation import (
    FOLDER,
    OLD,
    Scene,
    Watched,
    commit,
    created_on,
    fullest,
    git,
    old_files,
    scene_of,
    shard_of,
)
from tests.emulators.fake_service import TOKEN
from tests.emulators.forge import TOKEN as FORGE_TOKEN
from tests.support import new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.kubernetes import Object

PROGRAMS = os.environ.get("KSECRET_TEST_APISERVER", "")

pytestmark = pytest.mark.skipif(
    not os.path.exists(os.path.join(PROGRAMS, "kube-controller-manager")) or not PROGRAMS,
    reason="scripts/control-plane builds a control plane",
)

FILES, SHARDS = 24, 8
OLD_FILES = old_files(FILES, SHARDS)
VICTIM, ITS_FILES = fullest(OLD_FILES)
NODE: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "here"}}
SECONDS = 300


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    tool("kubectl", "install kubectl")
    folder = tmp_path_factory.mktemp("plane")
    with started(Path(PROGRAMS), folder) as made, jobs_are_run(Path(PROGRAMS), made, folder):
        given(made, NODE)
        yield made


def kubectl(plane: ControlPlane, *words: str, **options: Any) -> str:
    return run("kubectl", "--kubeconfig", plane.kubeconfig, *words, **options).stdout


def given(plane: ControlPlane, found: Object, *words: str) -> None:
    kubectl(plane, "create", "-f", "-", *words, input=json.dumps(found))


class Kubelet:
    """A node's: runs the pods of one namespace, all of which are its own, and tells of their ends."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path, here: dict[str, str]) -> None:
        self._plane = plane
        self._namespace = ("-n", namespace)
        self._folder = folder
        self._here = here
        self.pods: dict[str, Pod] = {}
        """Those that run, or have run, by name."""
        self._told: set[str] = set()

    def get(self, kind: str) -> list[Object]:
        found: list[Object] = json.loads(kubectl(self._plane, "get", kind, *self._namespace, "-o", "json"))["items"]
        return found

    def look(self) -> None:
        """Once: starts what is new, and tells of what has ended."""
        for found in self.get("pods"):
            name = found["metadata"]["name"]
            if name not in self.pods:
                self._bind(name)
                index = int(found["metadata"]["annotations"][INDEX])
                self.pods[name] = self._cluster().start(found["spec"], index)
                self._tell(name, {"phase": "Running"})
            elif name not in self._told and (code := self.pods[name].poll()) is not None:
                self._told.add(name)
                ended = {"exitCode": code, "reason": "Error" if code else "Completed"}
                status = {"name": "rotate", "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
                phase = "Failed" if code else "Succeeded"
                self._tell(name, {"phase": phase, "containerStatuses": [status | {"state": {"terminated": ended}}]})

    def _bind(self, name: str) -> None:
        """As the scheduler does."""
        (namespace,) = self._namespace[1:]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": "here"},
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/binding"
        kubectl(self._plane, "create", "--raw", path, "-f", "-", input=json.dumps(binding))

    def _tell(self, name: str, status: Object) -> None:
        patch = json.dumps({"status": status})
        kubectl(self._plane, "patch", "pod", name, *self._namespace, "--subresource=status", "-p", patch)

    def _cluster(self) -> Cluster:
        values: dict[str, dict[str, str]] = {}
        for found in self.get("configmaps"):
            values.setdefault(found["metadata"]["name"], {}).update(found.get("data", {}))
        for found in self.get("secrets"):
            opened = {key: b64decode(text).decode() for key, text in found["data"].items()}
            values.setdefault(found["metadata"]["name"], {}).update(opened)
        return Cluster(self._folder / str(len(self.pods)), values, TOKEN, self._here)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(tmp_path, ITS_FILES, FILES) as made:
        yield made


@pytest.fixture
def kubelet(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    plane: ControlPlane,
    scene: Scene,
) -> Kubelet:
    """Of a namespace in which all is as docs/rotation.md has it, with the addresses of an overlay's own."""
    namespace = "rotation-" + str(request.node.name).replace("_", "-")[-40:]
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    given(plane, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    for found in kustomized(FOLDER):
        if found["metadata"]["name"] == "ksecret-rotate-settings":
            found["data"] |= scene.settings
        given(plane, found, "-n", namespace)
    for words in (
        ("secret", "generic", "ksecret-rotate", f"--from-literal=git-token={FORGE_TOKEN}"),
        ("configmap", "ksecret-ca", f"--from-file=ca.crt={scene.authority.ca_file}"),
    ):
        kubectl(plane, "create", *words, "-n", namespace)
    given(plane, yaml.safe_load((FOLDER / "indexed-job.yaml").read_text()), "-n", namespace)
    return Kubelet(plane, namespace, tmp_path / "pods", scene.here)


def until_the_end(kubelet: Kubelet, watched: Watched) -> Object:
    """The Job's status, once it is done, or has failed; the first pod of the victim's index is the victim."""
    end = time.monotonic() + SECONDS
    while True:
        (job,) = kubelet.get("jobs")
        conditions = {one["type"] for one in job["status"].get("conditions", ()) if one["status"] == "True"}
        if conditions & {"Complete", "Failed"}:
            status: Object = job["status"]
            return status
        kubelet.look()
        for pod in kubelet.pods.values():
            if pod.index == VICTIM and not watched.victim.done():
                watched.victim.set_result(pod)
        assert time.monotonic() < end, [job["status"], *(pod.log for pod in kubelet.pods.values())]
        time.sleep(0.2)


def test_a_killed_pods_index_is_given_to_a_successor_and_the_job_completes(kubelet: Kubelet, scene: Scene) -> None:
    watched, person = scene.watched, scene.person
    status = until_the_end(kubelet, watched)
    assert status["completedIndexes"] == "0-7", status
    assert (status["succeeded"], status["failed"]) == (SHARDS, 1)
    assert sorted(pod.index for pod in kubelet.pods.values()) == sorted([*range(SHARDS), VICTIM])
    assert OLD not in created_on(person, "ksecret/rotate")
    commits = git(person, "log", "--no-merges", "--format=", "--name-only", "main..FETCH_HEAD").split()
    assert sorted(commits) == sorted(OLD_FILES)
    others = [path for path in watched.asked if path not in ITS_FILES]
    assert len(others) == len(set(others))
    assert len(scene.forge.open) == 1


def test_what_no_key_opens_fails_its_index_at_once_and_the_others_complete(kubelet: Kubelet, scene: Scene) -> None:
    """Exit code 4, in which podFailurePolicy sees nothing to try again."""
    person = scene.person
    index = next(one for one in range(SHARDS) if one != VICTIM)
    name = next(f"k8s/x{number}.yaml" for number in range(1000) if shard_of(f"k8s/x{number}.yaml", SHARDS) == index)
    foreign = MANIFEST.replace(b"name: db", b"name: dbforeign")
    person.write(name, new_lock().seal(foreign, created=OLD))
    commit(person, "To somebody else")
    git(person, "push", "-q", "origin", "main")
    status = until_the_end(kubelet, scene.watched)
    assert status["failedIndexes"] == str(index), status
    assert status["succeeded"] == SHARDS - 1
    assert sorted(pod.index for pod in kubelet.pods.values()) == sorted([*range(SHARDS), VICTIM])
    assert created_on(person, "ksecret/rotate").count(OLD) == 1
    assert len(scene.forge.open) == 1
