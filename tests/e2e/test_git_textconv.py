"""What `git diff`, `git show` and `git log -p` show of sealed files, with and without a key."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from tests.e2e.cli import MARK, MARKS, Person, b64
from tests.e2e.git_repository import CLEAR, FILE, Repository

CACHED_SHOW = ("-c", "diff.ksecret.textconv=ksecret git textconv --show --")
SHOW = ("-c", "diff.ksecret.cachetextconv=false", *CACHED_SHOW)
COMMITS = 40
SECONDS = 12
"""Of processor time for all of them, two files each: 150 ms a file, where 40 are usual."""


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(Person(tmp_path))


def changed_lines(diff: str) -> list[str]:
    return [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def nothing_secret(text: str) -> bool:
    return not any(mark in text for mark in MARKS) and "ksecret.v1." not in text


def test_a_changed_value_is_one_changed_fingerprint(repo: Repository) -> None:
    repo.set("two", "2")
    repo.replace("app: shop", "app: store")
    diff = repo.ok("diff")
    removed, added, *tokens = changed_lines(diff)
    assert (removed, added) == ("-    app: shop", "+    app: store")
    assert [line.split("<")[0] for line in tokens] == ["-  two: ", "+  two: "]
    assert tokens[0] != tokens[1]
    assert all(line.endswith(">   # behind") and len(line) < 50 for line in tokens)
    assert nothing_secret(diff)


def test_show_opens_where_a_key_is_at_hand_and_only_there(repo: Repository, tmp_path: Path) -> None:
    repo.set("two", "2")
    assert [line.split("#")[0].strip() for line in changed_lines(repo.ok(*SHOW, "diff"))] == [
        f'-  two: "two {MARK}"',
        f'+  two: "2 {MARK}"',
    ]
    stranger = Person(tmp_path, "stranger").environ
    diff = repo.ok(*SHOW, "diff", HOME=stranger["HOME"], XDG_CONFIG_HOME=stranger["XDG_CONFIG_HOME"])
    assert len(changed_lines(diff)) == 2
    assert nothing_secret(diff)


def test_a_value_in_the_clear_is_not_shown(repo: Repository) -> None:
    repo.me.ok("decrypt", "-i", FILE)
    diff = repo.ok("diff")
    assert "+  two: <in the clear>   # behind" in diff
    assert nothing_secret(diff)
    assert f"+  two: {b64(f'two {MARK}')}   # behind" in repo.ok("diff", "--no-textconv")


def test_added_keys_and_removed_entries_show(repo: Repository, tmp_path: Path) -> None:
    ann = Person(tmp_path, "ann")
    repo.remove("one")
    repo.me.ok("encrypt", "-i", "-k", "+" + ann.ref, FILE)
    lines = [line.partition("<")[0] for line in changed_lines(repo.ok("diff"))]
    assert sorted(lines) == sorted(["-  one: ", f"+    {ann.ref}: ", "-  seal: ", "+  seal: "])


def kept(repo: Repository) -> str:
    """All that Git kept of what textconv printed."""
    ref = "refs/notes/textconv/ksecret"
    if not repo.ok("for-each-ref", ref):
        return ""
    names = repo.ok("ls-tree", "-r", "--name-only", ref).split()
    return "".join(repo.ok("cat-file", "blob", f"{ref}:{name}") for name in names)


def test_git_keeps_what_is_shown_without_values_and_never_values(repo: Repository) -> None:
    repo.set("two", "2")
    repo.commit()
    shown = repo.ok("log", "-p")
    texts = kept(repo)
    assert texts.count("<sealed ") == 10, "two versions of five values"
    assert nothing_secret(texts)
    assert repo.ok("log", "-p", PATH=repo.me.environ["PATH"].split(":", 1)[1]) == shown, "from what is kept"
    assert f'+  two: "2 {MARK}"' in repo.ok(*SHOW, "log", "-p")
    assert kept(repo) == texts


@pytest.mark.parametrize("value", ["true", "1", "yes", ""])
def test_values_are_not_shown_where_git_would_keep_them(repo: Repository, value: str) -> None:
    """As the alias in an older manual has it, in a clone whose setup switched the keeping on."""
    repo.ok("config", "diff.ksecret.cachetextconv", value)
    repo.set("two", "2")
    repo.commit()
    log = repo.ok(*CACHED_SHOW, "log", "-p")
    if value:
        assert "# ksecret: no values are shown, as Git would keep them" in log
        assert nothing_secret(log)
    assert nothing_secret(kept(repo))
    repo.me.write(".gitattributes", b"*.yaml diff=mine\n")
    repo.commit()
    mine = ("-c", "diff.Mi.ne.textconv=ksecret git textconv --show --", "-c", "diff.Mi.ne.cachetextconv=true")
    repo.me.write(".gitattributes", b"*.yaml diff=Mi.ne\n")
    assert nothing_secret(repo.ok(*mine, "log", "-p"))


@pytest.mark.parametrize("show", [(), SHOW])
def test_nothing_in_a_history_stops_the_log(repo: Repository, show: tuple[str, ...]) -> None:
    sealed = repo.text
    for content in (
        b"",
        b"\xff\0\xfe",
        b"a: [",
        b"kind: Secret\n<<<<<<< x\n",
        b"\xef\xbb\xbf{}",
        sealed.encode()[:-60],
    ):
        repo.path.write_bytes(content)
        repo.commit()
    repo.ok("rm", "-q", FILE)
    repo.commit("gone")
    repo.path.write_text(sealed.replace("version: 1", "version: 9"))
    repo.commit()
    log = repo.ok(*show, "log", "-p", "--text")
    assert log.count("\ncommit ") == 8
    assert "ksecret.v1." not in log


@pytest.mark.timeout(600)
def test_a_log_over_many_commits_needs_no_key_and_is_quick(repo: Repository) -> None:
    sealed = repo.text
    for number in range(COMMITS):
        repo.path.write_text(sealed.replace("app: shop", f"app: shop-{number}"))
        repo.ok("commit", "-q", "-am", "x")
    stranger = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}
    before = getrusage(RUSAGE_CHILDREN)
    log = repo.ok("log", "-p", **stranger)
    after = getrusage(RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert log.count("\ncommit ") == COMMITS
    assert log.count("\n+    app: shop-") == COMMITS
    assert nothing_secret(log)
    assert 0.2 < took < SECONDS


def test_the_file_s_own_text_is_kept_around_the_values(repo: Repository) -> None:
    shown = repo.me.ok("git", "textconv", "--show", FILE).out.decode()
    opened = repo.me.ok("decrypt", "-x", FILE).out.decode()
    assert shown.startswith(opened)
    assert [line.split(":")[0] for line in shown.removeprefix(opened).splitlines()] == [
        "ksecret", "  version", "  sealedFor", "  created", "  keys", "    age", "  seal",
    ]  # fmt: skip
    assert CLEAR.splitlines()[0] == shown.splitlines()[0]


def test_a_file_that_can_t_be_read_is_told_of_and_no_failure(repo: Repository) -> None:
    assert repo.me.ok("git", "textconv", "nowhere").out == b"# ksecret: can't be read: No such file or directory\n"


def recipes() -> tuple[str, list[str]]:
    """The alias that docs/git.md defines, and the commands of its recipes."""
    text = (Path(__file__).parents[2] / "docs" / "git.md").read_text()
    (alias,) = re.findall(r"(?m)^\$ (git config --global alias\.s .*)$", text)
    section = text[text.index("**Recipes**") : text.index("## Merges")]
    return alias, re.findall(r"(?m)^\$ (.*)$", section)


def test_the_manual_s_recipes_find_a_value_in_the_history(tmp_path: Path) -> None:
    repo = Repository(Person(tmp_path), name="deploy/secret.yaml")
    repo.set("one", "hunter2")
    repo.commit("it came")
    repo.set("one", "other")
    repo.commit("it went")
    alias, (log, grep, who, blame, _, piped) = recipes()

    def run(command: str) -> str:
        return subprocess.run(
            ["bash", "-c", command], cwd=repo.me.work, env=repo.me.environ, capture_output=True, text=True, check=True
        ).stdout

    run(alias)
    assert [line.split(" ", 1)[1] for line in run(log).splitlines()] == ["it went", "it came"]
    assert run(grep) == f'HEAD~1:deploy/secret.yaml:10:  one: "hunter2 {MARK}"\n'
    (line,) = [line for line in run(who).splitlines() if "  one: " in line]
    assert line.endswith(f'10)   one: "other {MARK}"')
    raw = run(blame)
    assert [line.split(") ", 1)[1] for line in raw.splitlines()] == repo.text.splitlines()
    found = run(f"value=hunter2\n{piped}")
    assert [line.split(" ")[0] for line in found.splitlines()] == ["commit", "-", "commit", "+", "commit"]
