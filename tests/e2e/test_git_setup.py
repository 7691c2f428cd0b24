"""`ksecret git setup` and `unsetup` in real repositories: what they write, and that they take back just that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.git.drivers import CONFIG, PRE_MERGE_COMMIT
from tests.e2e.cli import MARK, Person, b64
from tests.e2e.git_repository import FILE, Repository

if TYPE_CHECKING:
    from pathlib import Path

DEFAULTS = "".join(f"*secret*.{end} diff=ksecret merge=ksecret\n" for end in ("yaml", "yml", "json"))


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(Person(tmp_path), plain=True)


def config(repo: Repository, scope: str = "--local") -> dict[str, str]:
    lines = repo.git("config", scope, "--list").stdout.splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if "ksecret" in name}


def hook(repo: Repository) -> Path:
    return repo.me.work / ".git" / "hooks" / "pre-merge-commit"


def test_setup_writes_configuration_and_attributes_and_twice_is_as_good_as_once(repo: Repository) -> None:
    before = (repo.me.work / ".git" / "config").read_text()
    for expected in ("3 lines added; commit it", "0 lines added"):
        assert expected in repo.me.ok("git", "setup").out.decode()
        assert config(repo) == CONFIG
        assert hook(repo).read_text() == PRE_MERGE_COMMIT
        assert hook(repo).stat().st_mode & 0o111
        assert (repo.me.work / ".gitattributes").read_text() == DEFAULTS
    repo.me.ok("git", "unsetup")
    assert (repo.me.work / ".git" / "config").read_text() == before
    assert not (repo.me.work / ".gitattributes").exists()
    assert not hook(repo).exists()


@pytest.mark.parametrize(
    "own",
    [
        b"*.png binary\n",
        b"*.png binary",
        b"*.png binary\r\n\r\n# x diff=ksecret merge=ksecret\n",
        b"*.yaml text -diff\n",
    ],
)
def test_the_lines_of_others_stay(repo: Repository, own: bytes) -> None:
    attributes = repo.me.write(".gitattributes", own)
    repo.me.ok("git", "setup")
    text, ends = attributes.read_bytes(), b"\r\n" if b"\r" in own else b"\n"
    assert text.startswith(own)
    added = text.removeprefix(own).removeprefix(b"" if own.endswith(b"\n") else ends)
    assert added.rstrip() == DEFAULTS.encode().replace(b"\n", ends).rstrip()
    assert repo.ok("check-attr", "merge", "diff", "--", "x-secret.yaml").count(": ksecret\n") == 2
    repo.me.ok("git", "unsetup")
    assert attributes.read_bytes() == own


@pytest.mark.parametrize("absent", [True, False])
def test_a_link_to_a_file_outside_is_not_followed_and_nothing_is_set_up(repo: Repository, absent: bool) -> None:
    outside = repo.me.home / ".profile"
    if not absent:
        outside.write_text("# mine\n")
    (repo.me.work / ".gitattributes").symlink_to(outside)
    for action in ("setup", "unsetup"):
        message = repo.me.fails(7, "git", action)
        assert f"not written: the link .gitattributes leads out of the repository, to {outside}" in message
    assert config(repo) == {}
    assert (outside.exists(), absent or outside.read_text()) == ((False, True) if absent else (True, "# mine\n"))


def test_a_link_out_of_a_work_tree_without_a_git_folder_is_not_followed(repo: Repository) -> None:
    (repo.me.work / ".git").rename(repo.me.home / "dot.git")
    (repo.me.work / ".gitattributes").symlink_to(repo.me.home / "new")
    where = {"GIT_DIR": str(repo.me.home / "dot.git"), "GIT_WORK_TREE": str(repo.me.work)}
    assert "leads out of the repository" in repo.me.fails(7, "git", "setup", **where)
    assert not (repo.me.home / "new").exists()


def test_patterns_with_blanks_and_quotes_reach_their_files(repo: Repository) -> None:
    names = ["my file.yaml", 'a"b.yaml', "deploy/x/y.yaml", "#x.yaml"]
    repo.me.ok("git", "setup", "my file.yaml", 'a"b.yaml', "deploy/**/*.yaml", "#x.yaml")
    assert repo.ok("check-attr", "merge", "--", *names).count(": merge: ksecret\n") == 4
    repo.me.ok("git", "unsetup")
    assert not (repo.me.work / ".gitattributes").exists()


def test_it_finds_the_top_of_the_work_tree(repo: Repository) -> None:
    repo.me.write("deploy/x")
    repo.me.work = repo.me.work / "deploy"
    assert "3 lines added" in repo.me.ok("git", "setup").out.decode()
    assert not (repo.me.work / ".gitattributes").exists()
    assert (repo.me.work.parent / ".gitattributes").read_text() == DEFAULTS


@pytest.mark.parametrize(
    ("own", "name", "words"),
    [
        (DEFAULTS, FILE, []),
        (DEFAULTS, FILE, ["*secret*.yaml"]),
        (DEFAULTS.replace("\n", "\r\n"), FILE, []),
        (DEFAULTS.rstrip(), FILE, []),
        ("# ours\n*.yaml\t text  merge=ksecret diff=ksecret  \n*.png binary\n", "a b.yaml", []),
        ("# ours\n*.yaml\t text  merge=ksecret diff=ksecret  \n*.png binary\n", "a b.yaml", ["*.yaml"]),
        ('"a b.yaml" diff=ksecret merge=ksecret\n', "a b.yaml", ["a b.yaml"]),
        ("*.yaml merge=ksecret -diff\n", "a b.yaml", []),
    ],
)
def test_a_clone_whose_attributes_have_their_patterns_stays_clean(
    repo: Repository, own: str, name: str, words: list[str]
) -> None:
    attributes = repo.me.write(".gitattributes", own.encode())
    repo.ok("mv", "-k", FILE, name)
    repo.commit()
    before = attributes.stat()
    ran = repo.me.ok("git", "setup", *words)
    assert ("0 lines added" in ran.out.decode(), ran.err) == (True, "")
    assert repo.ok("status", "--porcelain") == ""
    assert (before.st_ino, before.st_mtime_ns) == (attributes.stat().st_ino, attributes.stat().st_mtime_ns)


SEALED = {
    "deploy/db.yaml": "/deploy/*.yaml",
    "deploy/DB.YAML": "/deploy/*.YAML",
    "mixed/one.yaml": "/mixed/one.yaml",
    "mixed/a b.yaml": '"/mixed/a b.yaml"',
    "mixed/*[x]?.yaml": r"/mixed/\*\[x]\?.yaml",
    'mixed/back\\sl"ash.yaml': r'"/mixed/back\\\\sl\"ash.yaml"',
    "mixed/new\nline.yaml": r'"/mixed/new\012line.yaml"',
    "mixed/ü.json": "/mixed/*.json",
    "#top/#x.Yml": "/#top/*.Yml",
    "!no/!x.yml": "/!no/*.yml",
}


def test_sealed_files_that_it_finds_get_patterns_that_mean_them_and_no_others(repo: Repository) -> None:
    sealed = repo.path.read_bytes()
    for name in SEALED:
        repo.me.write(name, sealed)
    others = ["mixed/plain.yaml", "mixed/a[x]b.yaml", "mixed/x.yaml", "plain.yaml", "other/db.yaml"]
    for name in others:
        repo.me.write(name, b"a: 1\n")
    attributes = repo.me.write(".gitattributes", b"# ours\r\n*.png binary\r\n")
    repo.commit()
    ran = repo.me.ok("git", "setup")
    assert ran.err == ""
    lines = attributes.read_bytes().decode().split("\r\n")
    assert lines[:2] == ["# ours", "*.png binary"]
    assert sorted(lines[5:]) == sorted([f"{pattern} diff=ksecret merge=ksecret" for pattern in SEALED.values()] + [""])
    told = repo.ok("check-attr", "-z", "merge", "--", *SEALED, *others).split("\0")
    assert told[2::3] == ["ksecret"] * len(SEALED) + ["unspecified"] * len(others)
    repo.commit()
    assert "0 lines added" in repo.me.ok("git", "setup").out.decode()
    assert repo.ok("status", "--porcelain") == ""
    repo.me.ok("git", "unsetup")
    assert attributes.read_bytes() == b"# ours\r\n*.png binary\r\n"


def test_files_that_sops_sealed_get_patterns_of_whichever_kind_they_are(repo: Repository) -> None:
    token = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]"
    texts = {
        "d/values.enc.yaml": f"a: {token}\nsops:\n    mac: {token}\n",
        "d/x.json": f'{{"a": "{token}",\n"sops": {{\n"mac": "{token}"}}}}\n',
        "d/app.env": f"A={token}\nsops_mac={token}\n",
        "d/.env": f"A={token}\nsops_mac={token}\n",
        "d/app.ini": f"[a]\nb = {token}\n[sops]\nmac = {token}\n",
        "d/key": f'{{\n\t"data": "{token}",\n\t"sops": {{\n\t\t"mac": "{token}"\n\t}}\n}}\n',
    }
    others = {"d/about.md": texts["d/values.enc.yaml"], "d/other": "a\n", "e/.env": "A=b\n"}
    for name, text in (texts | others).items():
        repo.me.write(name, text.encode())
    repo.ok("add", "d/values.enc.yaml")
    repo.me.ok("git", "setup")
    told = repo.ok("check-attr", "-z", "merge", "--", *texts, *others).split("\0")
    assert told[2::3] == ["ksecret"] * len(texts) + ["unspecified"] * len(others)
    lines = (repo.me.work / ".gitattributes").read_text().splitlines()
    patterns = [line.split()[0] for line in lines if line.startswith("/")]
    assert sorted(patterns) == ["/d/*.env", "/d/*.ini", "/d/*.json", "/d/*.yaml", "/d/.env", "/d/key"]
    assert "0 lines added" in repo.me.ok("git", "setup").out.decode()


def test_a_sealed_file_that_is_not_yet_added_gets_its_pattern_at_once(repo: Repository) -> None:
    repo.me.write_sealed("deploy/db.yaml")
    repo.me.write_sealed("mixed/db.yaml")
    repo.me.write("mixed/plain.yaml", b"a: 1\n")
    repo.me.write_sealed("ignored/db.yaml")
    repo.me.write(".gitignore", b"ignored/\n")
    repo.me.ok("git", "setup")
    lines = (repo.me.work / ".gitattributes").read_text().splitlines()
    assert lines[3:] == [f"{one} diff=ksecret merge=ksecret" for one in ("/deploy/*.yaml", "/mixed/db.yaml")]
    repo.commit()
    assert "0 lines added" in repo.me.ok("git", "setup").out.decode()


def test_patterns_of_somebody_s_are_added_and_those_of_sealed_files_that_they_miss(repo: Repository) -> None:
    repo.me.write_sealed("deploy/db.yaml")
    repo.commit()
    repo.me.ok("git", "setup", "secret.*")
    assert (repo.me.work / ".gitattributes").read_text().splitlines() == [
        "secret.* diff=ksecret merge=ksecret",
        "/deploy/*.yaml diff=ksecret merge=ksecret",
    ]


def test_files_that_another_folder_s_attributes_mean_need_no_line_at_the_top(repo: Repository) -> None:
    repo.me.write("deploy/.gitattributes", b"*.yaml merge=ksecret diff=ksecret\n")
    repo.me.write_sealed("deploy/db.yaml")
    repo.ok("rm", "-q", FILE)
    repo.commit()
    assert "0 lines added" in repo.me.ok("git", "setup").out.decode()
    assert repo.ok("status", "--porcelain") == ""


def test_a_sealed_file_for_which_another_line_says_otherwise_is_told_of(repo: Repository) -> None:
    repo.me.write("deploy/.gitattributes", b"*.yaml -merge\n")
    repo.me.write_sealed("deploy/db.yaml")
    repo.commit()
    told = "1 sealed file not covered, deploy/db.yaml first: another line of .gitattributes says otherwise"
    assert repo.me.ok("git", "setup").err == f"ksecret: warning: {told}\n"
    before = (repo.me.work / ".gitattributes").read_bytes()
    repo.me.ok("git", "setup")
    assert (repo.me.work / ".gitattributes").read_bytes() == before


@pytest.mark.parametrize("option", ["grep.patternType=fixed", "color.ui=always", "grep.fullName=true"])
def test_a_user_s_configuration_hides_no_sealed_file(repo: Repository, option: str) -> None:
    repo.ok("config", "--global", *option.split("="))
    repo.me.write_sealed("deploy/db.yaml")
    repo.commit()
    repo.me.ok("git", "setup")
    assert "/deploy/*.yaml " in (repo.me.work / ".gitattributes").read_text()


def test_what_git_kept_of_diffs_is_removed_and_values_in_it_are_told_of(repo: Repository) -> None:
    repo.me.ok("git", "setup")
    repo.ok("config", "diff.ksecret.textconv", 'ksecret() { cat "$2"; }; ksecret --show')
    repo.set("one", "1")
    repo.commit()
    repo.ok("log", "-p")
    assert "refs/notes/textconv/ksecret" in repo.ok("for-each-ref", "refs/notes")
    assert "values shown by --show had been kept" in repo.me.ok("git", "setup").err
    assert repo.ok("for-each-ref", "refs/notes") == ""
    repo.ok("log", "-p")
    assert "refs/notes/textconv/ksecret" in repo.ok("for-each-ref", "refs/notes")
    assert repo.me.ok("git", "setup").err == ""
    assert repo.ok("for-each-ref", "refs/notes") == ""


def test_a_merge_is_checked_for_clear_text_by_the_hook(repo: Repository) -> None:
    repo.me.ok("git", "setup")
    repo.commit()
    clear = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: b\ndata:\n  a: {b64(MARK)}\n".encode()
    repo.on("ours", lambda: repo.set("one", "1"))
    repo.on("theirs", lambda: repo.me.write("b.yaml", clear))
    repo.ok("checkout", "-q", "ours")
    done = repo.git("merge", "-q", "theirs")
    assert done.returncode != 0
    assert "b.yaml:6: KS001 b is not sealed" in done.stdout + done.stderr
    repo.ok("merge", "--abort")
    bare = repo.git("merge", "-q", "theirs", PATH="/usr/bin:/bin")
    assert bare.returncode == 0
    assert "the merge was not checked" in bare.stderr


@pytest.mark.parametrize(
    ("text", "told"), [("#!/bin/sh\n", True), ("#!/bin/sh\nksecret check --staged && make\n", False)]
)
def test_a_hook_of_somebody_s_stays(repo: Repository, text: str, told: bool) -> None:
    hook(repo).write_text(text)
    assert ("there is a hook pre-merge-commit already" in repo.me.ok("git", "setup").err) is told
    repo.me.ok("git", "unsetup")
    assert hook(repo).read_text() == text


def test_hooks_that_are_elsewhere_are_left_to_whoever_keeps_them_there(repo: Repository) -> None:
    repo.ok("config", "core.hooksPath", ".husky")
    assert "hooks are elsewhere (core.hooksPath, or a link)" in repo.me.ok("git", "setup").err
    assert not hook(repo).exists()
    assert not (repo.me.work / ".husky").exists()


def test_global_is_for_all_clones_and_leaves_the_attributes_alone(repo: Repository) -> None:
    repo.me.ok("git", "setup", "--global")
    assert len(config(repo, "--global")) == 4
    assert config(repo) == {}
    assert not (repo.me.work / ".gitattributes").exists()
    repo.me.fails(2, "git", "setup", "--global", "*.yaml")
    repo.me.ok("git", "unsetup", "--global")
    assert config(repo, "--global") == {}


def test_without_ksecret_on_the_path_it_says_so(repo: Repository) -> None:
    assert "not on PATH" in repo.me.ok("git", "setup", PATH="/usr/bin:/bin").err


def test_outside_a_work_tree(tmp_path: Path) -> None:
    me = Person(tmp_path)
    assert "no Git work tree" in me.fails(3, "git", "setup", GIT_CEILING_DIRECTORIES=str(tmp_path))
    me.fails(3, "git", "unsetup", GIT_CEILING_DIRECTORIES=str(tmp_path))


def test_without_git(tmp_path: Path) -> None:
    assert "git is not installed" in Person(tmp_path).fails(6, "git", "setup", PATH=str(tmp_path))


@pytest.mark.parametrize(
    "words",
    [
        ["git"],
        ["git", "frob"],
        ["git", "merge", "a"],
        ["git", "textconv"],
        ["git", "setup", "--show"],
        ["git", "unsetup", "x"],
        ["git", "textconv", "--global", FILE],
        ["git", "setup", "a\nb"],
        ["git", "setup", "!x"],
    ],
)
def test_wrong_usage(repo: Repository, words: list[str]) -> None:
    repo.me.fails(2, *words)
    assert not (repo.me.work / ".gitattributes").exists()
