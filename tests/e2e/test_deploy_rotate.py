"""deploy/rotate: the manifests, and the script run against a real Git repository, by several pods at a time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import MANIFEST
from tests.e2e.kubernetes import ROOT, check_restricted, check_schemas, check_scores, kustomized, one
from tests.e2e.rotation import FOLDER, OLD, SCRIPT, created_on, git, new_pod, rotate
from tests.support import new_lock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli import Person
    from tests.emulators.fake_service import FakeService


@pytest.fixture
def pod(tmp_path: Path, service: FakeService) -> Person:
    return new_pod(tmp_path, service, 24)


def indexed_job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "indexed-job.yaml").read_text())
    return found


def test_the_cron_job_is_what_kubernetes_takes() -> None:
    objects = kustomized(FOLDER)
    check_schemas(objects)
    pod = one(objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    check_restricted(pod)
    names = {found["metadata"]["name"] for found in objects if found["kind"] == "ConfigMap"}
    assert names == {"ksecret-rotate", "ksecret-rotate-settings"}
    assert {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume} - names == {"ksecret-ca"}


def test_the_indexed_job_is_the_same_pod_with_a_shard_of_its_own() -> None:
    job = indexed_job()
    check_schemas([job])
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", spec["parallelism"])
    pod = spec["template"]["spec"]
    check_restricted(pod)
    environ = pod["containers"][0]["env"]
    assert environ.pop() == {"name": "SHARDS", "value": str(spec["completions"])}
    assert pod == one(kustomized(FOLDER), "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_what_another_try_would_find_again_is_not_tried_again_and_a_drained_pod_costs_no_try() -> None:
    """ksecret's exit codes: 2 usage; 3, 4 and 5 files that are no manifests, that no key opens, that were altered."""
    cron = one(kustomized(FOLDER), "CronJob")["spec"]["jobTemplate"]["spec"]
    for spec, action in ((cron, "FailJob"), (indexed_job()["spec"], "FailIndex")):
        ignored, failed = spec["podFailurePolicy"]["rules"]
        assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        assert failed["action"] == action
        assert failed["onExitCodes"]["values"] == [2, 3, 4, 5]
        assert spec["template"]["spec"]["restartPolicy"] == "Never"  # else Kubernetes takes no such policy
    assert indexed_job()["spec"]["backoffLimitPerIndex"] == 2


def test_its_pods_reach_the_forge_and_the_service_and_nobody_reaches_them() -> None:
    objects = kustomized(FOLDER)
    check_scores([found for found in objects if found["kind"] != "ConfigMap"])
    policy = one(objects, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [53, 53, 443, 8200]
    for job in (one(objects, "CronJob")["spec"]["jobTemplate"], indexed_job()):
        assert job["spec"]["template"]["metadata"]["labels"] == policy["podSelector"]["matchLabels"]


def test_the_tokens_audience_is_the_service_that_it_is_for() -> None:
    """Else whoever runs another service with that audience could use it here."""
    objects = kustomized(FOLDER)
    settings = next(found["data"] for found in objects if found["metadata"]["name"] == "ksecret-rotate-settings")
    (volume,) = (one["projected"] for one in indexed_job()["spec"]["template"]["spec"]["volumes"] if "projected" in one)
    assert volume["sources"][0]["serviceAccountToken"]["audience"] == settings["KSECRET_SERVER"]


def test_one_pod_puts_what_was_old_on_a_branch(pod: Person, service: FakeService) -> None:
    done = rotate(pod)
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line).get("outcome") for line in done.stdout.splitlines() if line.startswith("{")]
    assert (outcomes.count("rotated"), outcomes.count("unchanged")) == (12, 12)
    assert created_on(pod, "main").count(OLD) == 12
    assert OLD not in created_on(pod, "ksecret/rotate")
    said = git(pod, "log", "--format=%an <%ae> %s", "main..FETCH_HEAD")
    assert said == "ksecret <ksecret@localhost> Rotate data keys of sealed Secrets, shard 0 of 1\n"
    assert git(pod, "diff", "--name-only", "main", "FETCH_HEAD").count("k8s/") == 12
    assert len(service.seen) == 12


def test_a_second_run_finds_nothing_to_do(pod: Person) -> None:
    rotate(pod)
    done = rotate(pod)
    assert done.returncode == 0, done.stderr
    assert "nothing to commit in shard 0 of 1" in done.stdout


def test_what_could_be_rotated_is_pushed_though_a_file_fails(pod: Person) -> None:
    path = pod.work / "k8s" / "1.yaml"
    path.write_bytes(new_lock().seal(MANIFEST, created=OLD))
    git(pod, "-c", "user.name=a", "-c", "user.email=a@example", "commit", "-qam", "To somebody else")
    git(pod, "push", "-q", "origin", "main")
    done = rotate(pod)
    assert done.returncode == 4
    assert created_on(pod, "ksecret/rotate").count(OLD) == 1


def test_what_stops_it_before_the_first_file_is_told_alone(pod: Person) -> None:
    done = rotate(pod, OLDER_THAN="0d")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ksecret: --older-than takes")
    assert "report" not in done.stderr


def test_rewrapping(pod: Person) -> None:
    assert rotate(pod, REWRAP="1").returncode == 0
    assert created_on(pod, "ksecret/rewrap").count(OLD) == 12
    assert git(pod, "diff", "--name-only", "main", "FETCH_HEAD").count("k8s/") == 24
    assert git(pod, "log", "--format=%s", "main..FETCH_HEAD") == "Rewrap data keys of sealed Secrets, shard 0 of 1\n"


def test_the_document_tells_every_setting_of_the_script() -> None:
    document = (ROOT / "docs" / "rotation.md").read_text()
    for name in re.findall(r"\$\{?([A-Z][A-Z_]+)", SCRIPT.read_text()):
        known = document + SCRIPT.read_text().split("set -eu")[0]
        assert name in known or name in {"GIT_NAME", "GIT_EMAIL", "JOB_COMPLETION_INDEX"}, name
