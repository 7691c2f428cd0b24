"""The hooks under the real pre-commit: installed from a repository by its own means, in an environment of its own.

No network: what pip would download is found in the environment that the tests run in (links to all but ksecret itself),
so pip builds and installs ksecret for the hook, and takes what it needs as already there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARKS, Person, is_sealed

ROOT = Path(__file__).parents[2]
PARTS = (
    ".pre-commit-hooks.yaml",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "docs/ksecret-yaml.schema.json",
    "packages",
    "secretsvc",
)


def run(folder: Path, environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, timeout=170)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of ksecret (`ksecret`), pre-commit's own folder (`cache`), and Python packages (`packages`)."""
    folder = tmp_path_factory.mktemp("hooks")
    (folder / "ksecret" / "docs").mkdir(parents=True)
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / "ksecret" / name)
    environ = git_environ(dict(os.environ))
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x"), ("tag", "v1")):
        assert run(folder / "ksecret", environ, "git", *words).returncode == 0
    (folder / "packages").mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith("secretsvc"):
            (folder / "packages" / entry.name).symlink_to(entry)
    return folder


def git_environ(environ: dict[str, str]) -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {name: text for name, text in environ.items() if not name.startswith(("GIT_", "PIP_", "COVERAGE_"))} | names


class Committer(Person):
    """Somebody with a Git repository and a policy, who commits through pre-commit."""

    def __init__(self, folder: Path, home: Path, *hooks: str) -> None:
        super().__init__(folder)
        self.git_environ = git_environ(self.environ) | {
            "PRE_COMMIT_HOME": str(home / "cache"),
            "PYTHONPATH": str(home / "packages"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's spelling of "no isolation"
            "PIP_NO_CACHE_DIR": "1",
        }
        self.do("git", "init", "-q")
        self.write(".ksecret.yaml", f"version: 1\nrules: [{{keys: ['{self.ref}']}}]\n".encode())
        repository = {"repo": str(home / "ksecret"), "rev": "v1", "hooks": [{"id": hook} for hook in hooks]}
        self.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [repository]}).encode())
        self.do(sys.executable, "-m", "pre_commit", "install")
        self.do("git", "add", ".")
        self.do("git", "commit", "-qm", "start")

    def do(self, *words: str) -> str:
        done = run(self.work, self.git_environ, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self) -> tuple[bool, str]:
        """Whether it went through, and what the hooks said, in which no value may stand."""
        done = run(self.work, self.git_environ, "git", "commit", "-qm", "more")
        said = done.stdout + done.stderr
        assert not [mark for mark in MARKS if mark in said]
        assert "Traceback" not in said
        return done.returncode == 0, said

    def committed(self, name: str) -> bytes:
        return self.do("git", "show", f"HEAD:{name}").encode()


def test_the_check_stops_a_commit_with_a_secret_in_the_clear(tmp_path: Path, home: Path) -> None:
    me = Committer(tmp_path, home, "ksecret-check")
    me.write("a b.yaml")
    me.write("--help.yaml")
    me.write("plain.yaml", CONFIG_MAP)
    me.do("git", "add", ".")
    went, said = me.commit()
    assert not went
    (installed,) = (home / "cache").glob("repo*/py_env*/bin/ksecret")
    assert str(installed.parent) in installed.read_text().splitlines()[0], "it runs in pre-commit's environment"
    assert 'a b.yaml:9: KS001 prod/db is not sealed; in the clear: data["username"]' in said
    assert "--help.yaml:9: KS001" in said
    me.ok("encrypt", "-i", "--", "a b.yaml", "--help.yaml")
    assert not me.commit()[0], "what is staged is still in the clear"
    me.do("git", "add", ".")
    me.write("a b.yaml")
    went, said = me.commit()
    assert went, said
    assert is_sealed(me.committed("a b.yaml"))
    assert (me.work / "a b.yaml").read_bytes() == MANIFEST, "what was not staged is back"


def test_the_check_stops_a_commit_of_what_sops_yaml_wants_sealed(tmp_path: Path, home: Path) -> None:
    me = Committer(tmp_path, home, "ksecret-check")
    (me.work / ".ksecret.yaml").unlink()
    me.write(".sops.yaml", f"creation_rules: [{{path_regex: ^prod/, age: {me.ref.removeprefix('age:')}}}]\n".encode())
    (me.work / "prod").mkdir()
    for name, text in (("values.yaml", f"db: {MARKS[0]}\n"), (".env", f"PASSWORD={MARKS[0]}\n")):
        me.write(f"prod/{name}", text.encode())
    me.do("git", "add", ".")
    went, said = me.commit()
    assert not went
    assert "prod/values.yaml:1: KS001 .sops.yaml wants it sealed (line 1); in the clear: db" in said
    assert "prod/.env:1: KS001" in said
    me.ok("encrypt", "-i", "prod/values.yaml", "prod/.env")
    me.do("git", "add", ".")
    went, said = me.commit()
    assert went, said


def test_a_merge_is_stopped_by_the_same_check_once_its_hook_is_installed(tmp_path: Path, home: Path) -> None:
    me = Committer(tmp_path, home, "ksecret-check")
    me.do("git", "checkout", "-qb", "other")
    me.write("a.yaml")
    me.do("git", "add", ".")
    me.do("git", "commit", "-qm", "in the clear", "--no-verify")
    me.do("git", "checkout", "-q", "-")
    me.do("git", "commit", "-qm", "x", "--allow-empty")
    me.do(sys.executable, "-m", "pre_commit", "install", "-t", "pre-merge-commit")
    done = run(me.work, me.git_environ, "git", "merge", "-q", "other")
    assert done.returncode != 0
    assert "a.yaml:9: KS001" in done.stdout + done.stderr


def test_the_check_of_all_files_tells_what_was_committed_before(tmp_path: Path, home: Path) -> None:
    me = Committer(tmp_path, home, "ksecret-check")
    me.write("a.yaml")
    me.do("git", "add", ".")
    me.do("git", "commit", "-qm", "in the clear", "--no-verify")
    done = run(me.work, me.git_environ, sys.executable, "-m", "pre_commit", "run", "--all-files")
    assert done.returncode == 1
    assert "a.yaml:9: KS001" in done.stdout


def test_the_other_hook_seals_and_lets_the_next_commit_through(tmp_path: Path, home: Path) -> None:
    me = Committer(tmp_path, home, "ksecret-encrypt", "ksecret-check")
    fixture = MANIFEST.replace(b"a comment", b"ksecret:allow made up")
    template = b"kind: Secret\napiVersion: v1\nmetadata: {name: {{ .x }}}\ndata:\n  a: {{ .y }}\n"
    others = {"plain.yaml": CONFIG_MAP, "fixture.yaml": fixture, "template.yaml": template, "list.json": b"[]\n"}
    for name, data in others.items():
        me.write(name, data)
    me.write("a.yaml")
    me.do("git", "add", ".")
    went, said = me.commit()
    assert not went
    assert "files were modified by this hook" in said
    assert is_sealed((me.work / "a.yaml").read_bytes())
    assert me.ok("decrypt", "a.yaml").out == MANIFEST
    me.do("git", "add", ".")
    went, said = me.commit()
    assert went, said
    assert is_sealed(me.committed("a.yaml"))
    assert {name: me.committed(name) for name in others} == others


def test_sealing_that_fails_stops_the_commit(tmp_path: Path, home: Path) -> None:
    me = Committer(tmp_path, home, "ksecret-encrypt")
    me.write("broken.yaml", MANIFEST.replace(b"data:\n", b"data: [\n", 1))
    me.do("git", "add", ".")
    went, said = me.commit()
    assert not went
    assert "ksecret: broken.yaml:" in said


def test_a_push_is_stopped_by_what_a_later_commit_sealed(tmp_path: Path, home: Path) -> None:
    me = Committer(tmp_path, home, "ksecret-check-push")
    me.do(sys.executable, "-m", "pre_commit", "install", "--hook-type", "pre-push")
    me.do("git", "init", "-q", "--bare", str(tmp_path / "server"))
    me.do("git", "remote", "add", "origin", str(tmp_path / "server"))
    me.do("git", "push", "-q", "origin", "HEAD:main")
    me.write("a.yaml")
    me.do("git", "add", ".")
    me.do("git", "commit", "-qm", "clear")
    me.ok("encrypt", "-i", "a.yaml")
    me.do("git", "commit", "-qam", "sealed")
    for branch in ("main", "new"):
        done = run(me.work, me.git_environ, "git", "push", "-q", "origin", f"HEAD:{branch}")
        assert done.returncode != 0
        assert ":a.yaml:9: KS001 prod/db is not sealed" in done.stdout + done.stderr
    me.do("git", "reset", "-q", "--soft", "HEAD~2")
    me.do("git", "commit", "-qm", "sealed from the start")
    me.do("git", "push", "-q", "origin", "HEAD:main")


def test_the_documented_local_hook(tmp_path: Path, home: Path) -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    (example,) = [part for part in text.split("```") if part.startswith("yaml") and "repo: local" in part]
    me = Committer(tmp_path, home, "ksecret-check")
    me.write(".pre-commit-config.yaml", example.removeprefix("yaml").encode())
    me.write("--a.yaml")
    me.do("git", "add", ".")
    went, said = me.commit()
    assert not went
    assert "--a.yaml:9: KS001" in said
