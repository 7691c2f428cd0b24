"""Many at work on one repository: the Indexed Job's pods, as its manifest has them, and shards over one tree.

Every file is rotated once. What a pod that was killed had is its successor's, and the others' is theirs.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from secretsvc.cli.verbs.rotate import shard
from secretsvc.files.workspace import Item
from tests.e2e.cli import KSECRET, member
from tests.e2e.kubernetes import Object, kustomized
from tests.e2e.pods import Cluster
from tests.e2e.rotation import (
    FOLDER,
    OLD,
    Scene,
    Watched,
    created_on,
    fullest,
    git,
    new_pod,
    old_files,
    scene_of,
    shard_of,
)
from tests.emulators.fake_service import TOKEN
from tests.emulators.forge import TOKEN as FORGE_TOKEN
from tests.support import NIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator

BRANCH = "ksecret/rotate"
JOB: Object = yaml.safe_load((FOLDER / "indexed-job.yaml").read_text())["spec"]
SHARDS = JOB["completions"] if NIGHT else 3
"""A pod takes a second of a core, and three can be in each other's way."""
FILES = 3 * SHARDS


OLD_FILES = old_files(FILES, SHARDS)
VICTIM, ITS_FILES = fullest(OLD_FILES)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(tmp_path, ITS_FILES, FILES) as made:
        yield made


@pytest.fixture
def cluster(tmp_path: Path, scene: Scene) -> Cluster:
    """What `kubectl apply -k` and the two commands before it make, with the addresses of an overlay's own."""
    maps = {one["metadata"]["name"]: one["data"] for one in kustomized(FOLDER) if one["kind"] == "ConfigMap"}
    values = {
        "ksecret-rotate": maps["ksecret-rotate"] | {"git-token": FORGE_TOKEN},
        "ksecret-rotate-settings": maps["ksecret-rotate-settings"] | scene.settings,
        "ksecret-ca": {"ca.crt": Path(scene.authority.ca_file).read_text()},
    }
    return Cluster(tmp_path / "cluster", values, TOKEN, scene.here)


def test_a_killed_pods_files_are_its_successors_and_all_are_in_one_request(cluster: Cluster, scene: Scene) -> None:
    watched, person = scene.watched, scene.person
    template = deepcopy(JOB["template"]["spec"])
    (container,) = template["containers"]
    assert container["env"].pop() == {"name": "SHARDS", "value": str(JOB["completions"])}
    container["env"].append({"name": "SHARDS", "value": str(SHARDS)})
    running = {index: cluster.start(template, index) for index in range(SHARDS)}
    watched.victim.set_result(running[VICTIM])
    ended = {index: pod.wait() for index, pod in running.items()}
    logs = "\n".join(pod.log for pod in running.values())
    assert ended == {index: 137 if index == VICTIM else 0 for index in range(SHARDS)}, logs
    assert created_on(person, BRANCH).count(OLD) == len(ITS_FILES)

    successor = cluster.start(template, VICTIM)
    assert successor.wait() == 0, successor.log
    assert OLD not in created_on(person, BRANCH)
    assert set(watched.asked) == set(OLD_FILES)
    others = [path for path in watched.asked if path not in ITS_FILES]
    assert len(others) == len(set(others))
    commits = git(person, "log", "--no-merges", "--format=", "--name-only", "main..FETCH_HEAD").split()
    assert sorted(commits) == sorted(OLD_FILES), "one commit each"
    subjects = git(person, "log", "--no-merges", "--format=%s", "main..FETCH_HEAD").splitlines()
    title = "Rotate data keys of sealed Secrets"
    assert sorted(subjects) == sorted(f"{title}, shard {index} of {SHARDS}" for index in set(OLD_FILES.values()))
    assert scene.forge.open == [{"head": BRANCH, "base": "main", "title": title}]


def test_shards_over_one_tree_and_a_successor_that_goes_on_by_the_report(tmp_path: Path) -> None:
    """Without Git: pods that share a volume."""
    with Watched(ITS_FILES) as service:
        me = new_pod(tmp_path, service, FILES)

        def start(index: int) -> subprocess.Popen[bytes]:
            words = [KSECRET, "rotate", "-r", "--jobs", "1", "--older-than", "90d", "--shard", f"{index}/{SHARDS}"]
            words += ["--report", f"../{index}.jsonl", "."]
            return subprocess.Popen(words, cwd=me.work, env=me.environ, stderr=subprocess.DEVNULL)

        running = {index: start(index) for index in set(OLD_FILES.values())}
        service.victim.set_result(running[VICTIM])
        assert {index: process.wait(60) for index, process in running.items()} == dict.fromkeys(running, 0) | {
            VICTIM: -9
        }
        report = (tmp_path / f"{VICTIM}.jsonl").read_text()
        assert report.count('"outcome": "rotated"') == 1
        assert '"finished"' not in report
        assert start(VICTIM).wait(60) == 0
    assert sorted(service.asked) == sorted([*OLD_FILES, _second_of(service)])
    reports = [json.loads(line) for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sorted(line["file"] for line in reports if line.get("outcome") == "rotated") == sorted(OLD_FILES)
    for path in OLD_FILES:
        assert member((me.work / path).read_bytes(), "created") != f'"{OLD}"'


def _second_of(service: Watched) -> str:
    """Return the file at which the pod was killed: the only one that was asked for again."""
    return [path for path in service.asked if path in ITS_FILES][1]


@pytest.mark.parametrize("count", [2, 8, 100])
def test_shards_are_even(count: int) -> None:
    paths = [f"clusters/eu-{n % 3}/team-{n % 17}/app-{n % 211}/secret-{n}.yaml" for n in range(count * 200)]
    sizes = Counter(shard_of(path, count) for path in paths)
    assert len(sizes) == count
    assert min(sizes.values()) > 140
    assert max(sizes.values()) < 260


def test_a_file_stays_in_its_shard_whatever_else_there_is_and_in_every_release() -> None:
    count = 8
    known = {"k8s/1.yaml": 6, "clusters/eu/db.yaml": 3, "a.yaml": 3}
    for path, index in known.items():
        item = Item(f"../there/{path}", False, "../there")
        assert [part for part in range(count) if shard(f"{part}/{count}")(item)] == [index]
        assert shard_of(path, count) == index
