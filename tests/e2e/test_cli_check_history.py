"""`ksecret check --range` and `--pre-receive` as users meet them: real repositories, real pushes, no key."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pyrage
import pytest

from tests.e2e.cli import BIN, KSECRET, MANIFEST, Person
from tests.e2e.git_repository import Repository
from tests.e2e.test_cli_check import SARIF

CLEAR = 'KS001 prod/db is not sealed; in the clear: data["username"], data["password"], stringData["url"]'
DOCUMENTED = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
(HOOK,) = re.findall(r"(?s)```sh\n(#!/bin/sh\n.*?--pre-receive\n)```", DOCUMENTED)


@pytest.fixture
def repo(me: Person) -> Repository:
    """With one commit, which holds nothing but a README."""
    return Repository(me, "", "README", plain=True)


def found(repo: Repository, code: int, *words: str, **environ: str) -> list[tuple[str, str, int, str]]:
    """Commit's subject, file, line and code of each finding."""
    ran = repo.me.run("check", "--json", *words, **environ)
    assert ran.code == code, ran.err
    told = [json.loads(line) for line in ran.out.splitlines()]
    return [
        (repo.ok("log", "-1", "--format=%s", one["commit"]).strip(), one["file"], one["line"], one["code"])
        for one in told
    ]


def commit(repo: Repository, subject: str, **files: bytes | None) -> str:
    """The commit's id. A file's name has `_` for a dot."""
    for name, data in files.items():
        path = repo.me.work / name.replace("_", ".")
        if data is None:
            path.unlink()
        else:
            repo.me.write(name.replace("_", "."), data)
    repo.commit(subject)
    return repo.ok("rev-parse", "HEAD").strip()


def sealed(repo: Repository, *options: str, data: bytes = MANIFEST) -> bytes:
    return repo.me.ok("encrypt", *options, "-", stdin=data).out


def test_clear_text_that_a_later_commit_seals_is_found(repo: Repository) -> None:
    first = commit(repo, "clear", a_yaml=MANIFEST)
    commit(repo, "sealed", a_yaml=sealed(repo))
    repo.me.ok("check")
    ran = repo.me.run("check", "--range", "HEAD~2..HEAD")
    assert ran.code == 1
    lines = ran.out.decode().splitlines()
    assert lines[0] == f"{first[:12]}:a.yaml:9: {CLEAR}"
    assert re.fullmatch(
        r"[0-9a-f]{12}:a\.yaml:14: KS017 prod/db is newly sealed, to age1\w+; .*", lines[1].replace("age:", "")
    )
    assert ran.err == "ksecret: 2 checked, 1 finding, 0 allowed, 0 failed, 1 notice\n"
    assert MANIFEST.decode() == repo.ok("show", ":".join(lines[0].split(":")[:2])), "as Git names it"
    assert found(repo, 0, "--range", "HEAD~1..HEAD") == [("sealed", "a.yaml", 14, "KS017")]
    assert found(repo, 1, "--range", "HEAD~1..HEAD", "--fail-on-new-keys") == [("sealed", "a.yaml", 14, "KS017")]
    assert found(repo, 0, "--range", "HEAD..HEAD~1") == []
    assert found(repo, 0, "--range", "HEAD~2..HEAD", "docs") == []
    assert len(found(repo, 1, "--range", "HEAD~2..HEAD", "--", "a.yaml")) == 2


def test_a_version_of_a_file_is_told_of_once_and_a_comment_allows_it(repo: Repository) -> None:
    start = commit(repo, "start", b_yaml=b"a: b\n")
    allowed = MANIFEST.replace(b"a comment", b"ksecret:allow made up")
    for subject in ("one", "two"):
        commit(repo, subject, a_yaml=MANIFEST, c_yaml=allowed)
        commit(repo, f"{subject} gone", a_yaml=None, c_yaml=None)
    assert found(repo, 1, "--range", f"{start}..HEAD") == [("one", "a.yaml", 9, "KS001")]
    assert (
        repo.me.run("check", "--range", f"{start}..HEAD").err == "ksecret: 2 checked, 1 finding, 1 allowed, 0 failed\n"
    )


def test_a_merge_gives_what_none_of_its_sides_has(repo: Repository) -> None:
    commit(repo, "start", a_yaml=b"a: 1\n")
    repo.on("side", lambda: repo.me.write("side.yaml"))
    repo.ok("checkout", "-q", "main")
    commit(repo, "main goes on", old_yaml=MANIFEST)
    repo.ok("checkout", "-q", "side")
    repo.ok("merge", "-q", "--no-commit", "main")
    repo.me.write("evil.yaml")
    repo.commit("merged")
    assert found(repo, 1, "--range", "main..side") == [
        ("side", "side.yaml", 9, "KS001"),
        ("merged", "evil.yaml", 9, "KS001"),
    ]


def test_each_commit_is_judged_by_its_own_policy(repo: Repository) -> None:
    start = repo.ok("rev-parse", "HEAD").strip()
    other = f"age:{pyrage.x25519.Identity.generate().to_public()}"
    policy = f"version: 1\nrules: [{{path: prod/, keys: ['{repo.me.ref}']}}]\n".encode()
    repo.me.write("prod/a.yaml", sealed(repo, "-k", repo.me.ref))
    repo.me.write("b.yaml", sealed(repo, "-k", repo.me.ref))
    commit(repo, "no policy")
    repo.me.write(".ksecret.yaml", policy)
    repo.me.write("prod/a.yaml", sealed(repo, "-k", other))
    repo.me.write("b.yaml", sealed(repo, "-k", other))
    commit(repo, "policy")
    repo.me.write("prod/.ksecret.yaml", policy.replace(repo.me.ref.encode(), other.encode()))
    repo.me.write("prod/a.yaml", sealed(repo, "-k", other))
    commit(repo, "nearer")
    repo.me.write("od d\n/b.yaml", sealed(repo, "-k", repo.me.ref))
    repo.me.write("od d\n/.ksecret.yaml", policy.replace(b"prod/", b"nowhere/"))
    commit(repo, "odd")
    repo.me.write("b.yaml", sealed(repo, "-k", repo.me.ref))
    repo.me.write(".ksecret.yaml", b"version: 1\nruls: []\n")
    broken = commit(repo, "broken")
    for path in (".ksecret.yaml", "prod/.ksecret.yaml"):
        (repo.me.work / path).unlink()
    ran = repo.me.run("check", "--json", "--range", f"{start}..HEAD")
    assert ran.code == 3
    assert f"ksecret: {broken[:12]}:.ksecret.yaml:2: a policy has an unknown key `ruls`\n" in ran.err
    told = [one for one in found(repo, 3, "--range", f"{start}..HEAD") if one[3] != "KS017"]
    assert [(subject, file, code) for subject, file, _, code in told] == [
        ("policy", "b.yaml", "KS015"),
        ("policy", "prod/a.yaml", "KS008"),
        ("nearer", "prod/a.yaml", "KS015"),
        ("odd", "od d\n/b.yaml", "KS015"),
    ]


def test_a_policy_of_a_name_that_is_not_read_is_found_in_the_index_and_in_history(repo: Repository) -> None:
    start = commit(repo, "start", a_yaml=b"a: 1\n")
    repo.me.write("prod/.ksecret.yml", f"version: 1\nrules: [{{keys: ['{repo.me.ref}']}}]\n".encode())
    repo.git("add", "-A")
    assert repo.me.run("check", "--staged").out.startswith(b"prod/.ksecret.yml:1: KS015 this file is not read")
    commit(repo, "policy")
    repo.me.write("prod/a.yaml", sealed(repo, "-k", repo.me.ref))
    repo.git("add", "-A")
    assert b"KS015 prod/.ksecret.yml is not read" in repo.me.run("check", "--staged").out
    commit(repo, "Secret")
    told = [one for one in found(repo, 1, "--range", f"{start}..HEAD") if one[3] != "KS017"]
    assert [(subject, file, code) for subject, file, _, code in told] == [
        ("policy", "prod/.ksecret.yml", "KS015"),
        ("Secret", "prod/a.yaml", "KS015"),
    ]


def test_new_data_keys_and_recipients_are_told_of(repo: Repository) -> None:
    """The attack: a Secret sealed anew in a pull request, under a data key that its author knows."""
    other = f"age:{pyrage.x25519.Identity.generate().to_public()}"
    commit(repo, "new", a_yaml=sealed(repo))
    repo.me.ok("set", "a.yaml", "password=n0t-public")
    commit(repo, "set")
    repo.me.ok("rotate", "--rewrap", "a.yaml")
    commit(repo, "wrapped anew")
    repo.ok("mv", "a.yaml", "b.yaml")
    commit(repo, "moved")
    commit(repo, "sealed anew", b_yaml=sealed(repo))
    repo.me.ok("keys", "add", "-k", other, "b.yaml")
    commit(repo, "another reader")
    repo.me.ok("keys", "remove", "-k", other, "b.yaml")
    commit(repo, "and gone")
    ran = repo.me.ok("check", "--range", "HEAD~7..HEAD")
    said = [line.split(b": ", 1)[1].partition(b";")[0].decode() for line in ran.out.splitlines()]
    assert said == [
        f"KS017 prod/db is newly sealed, to {repo.me.ref}",
        "KS017 prod/db was sealed anew",
        f"KS017 prod/db was sealed anew, to {other} as well",
        f"KS017 prod/db was sealed anew, no longer to {other}",
    ]
    log = json.loads(repo.me.ok("check", "--sarif", "--range", "HEAD~7..HEAD").out)
    jsonschema.validate(log, SARIF)
    results = log["runs"][0]["results"]
    assert {result["level"] for result in results} == {"note"}
    head = repo.ok("rev-parse", "HEAD").strip()
    assert results[-1]["properties"] == {"commit": head}
    assert results[-1]["message"]["text"].startswith(f"in commit {head[:12]}: ")
    assert results[-1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "b.yaml"
    (last,) = [json.loads(line) for line in repo.me.ok("check", "--json", "--range", "HEAD~1..HEAD").out.splitlines()]
    assert (last["rule"], last["level"], last["commit"]) == ("new-data-key", "note", head)


def test_one_wrapped_key_that_stays_does_not_hide_that_another_was_exchanged(repo: Repository) -> None:
    """Who holds the other key opens the file under a data key that its author knows."""
    other = f"age:{pyrage.x25519.Identity.generate().to_public()}"
    before, after = (sealed(repo, "-k", repo.me.ref, "-k", other).decode() for _ in range(2))
    line = next(line for line in before.splitlines() if other in line)
    created = next(line for line in before.splitlines() if "created:" in line)
    mixed = re.sub(rf"(?m)^ +{re.escape(other)}: .*$", line, re.sub("(?m)^ +created: .*$", created, after))
    commit(repo, "before", a_yaml=before.encode())
    commit(repo, "exchanged", a_yaml=mixed.encode())
    assert found(repo, 0, "--range", "HEAD~1..HEAD") == [("exchanged", "a.yaml", 14, "KS017")]


def test_an_envelope_that_is_spelled_in_escapes_hides_no_new_data_key(repo: Repository) -> None:
    simple = b"apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData:\n  a: hidden\n"
    spelled = re.sub(rb"ksecret(\.v1\.[\w+/=]+)?", rb'"\\x6bsecret\1"', sealed(repo, data=simple))
    assert b"ksecret" not in spelled
    commit(repo, "spelled", a_yaml=spelled)
    assert [code for *_, code in found(repo, 0, "--range", "HEAD~1..HEAD")] == ["KS017"]


@pytest.mark.parametrize(
    ("code", "said", "range_"),
    [
        (2, "takes A..B", "HEAD"),
        (2, "takes A..B", ""),
        (2, "takes A..B", "..HEAD"),
        (2, "takes A..B", "HEAD.."),
        (2, "takes A..B", "HEAD...HEAD"),
        (2, "takes A..B", "HEAD..HEAD..HEAD"),
        (2, "does not begin with a dash", "--output=made..HEAD"),
        (2, "does not begin with a dash", "HEAD..--all"),
        (2, "zeros are Git's word for no commit", f"{'0' * 40}..HEAD"),
        (3, "there is no commit nothing", "nothing..HEAD"),
        (3, "there is no commit a b", "HEAD..a b"),
        (3, "there is no commit HEAD:README", "HEAD..HEAD:README"),
    ],
)
def test_a_range_that_is_none_never_passes(repo: Repository, code: int, said: str, range_: str) -> None:
    assert said in repo.me.fails(code, "check", f"--range={range_}")
    assert not (repo.me.work / "made").exists()


def test_ways_of_checking_that_exclude_each_other(repo: Repository) -> None:
    assert "choose one" in repo.me.fails(2, "check", "--staged", "--range", "HEAD~1..HEAD")
    assert "choose one" in repo.me.fails(2, "check", "--pre-receive", "--range", "HEAD~1..HEAD")


def test_outside_of_a_repository(me: Person) -> None:
    assert "needs a Git repository" in me.fails(2, "check", "--range", "a..b", GIT_CEILING_DIRECTORIES=str(me.work))


def test_a_shallow_clone_says_so(repo: Repository, tmp_path: Path) -> None:
    for number in range(4):
        commit(repo, str(number), a_yaml=f"a: {number}\n".encode())
    repo.ok("clone", "-q", "--depth", "2", f"file://{repo.me.work}", str(tmp_path / "clone"))
    first = repo.ok("rev-parse", "HEAD~3").strip()
    repo.me.work = tmp_path / "clone"
    assert "there is no commit" in (said := repo.me.fails(3, "check", "--range", f"{first}..HEAD"))
    assert "git fetch --unshallow" in said
    repo.ok("fetch", "-q", "--depth", "1", "origin", first)
    said = repo.me.fails(3, "check", "--range", f"{first}..HEAD")
    assert "the clone is shallow: what came before" in said
    repo.me.ok("check", "--range", "HEAD~1..HEAD")
    repo.ok("fetch", "-q", "--unshallow")
    repo.me.ok("check", "--range", f"{first}..HEAD")


def test_a_partial_clone_says_so_and_asks_nobody(repo: Repository, tmp_path: Path) -> None:
    commit(repo, "clear", a_yaml=MANIFEST)
    commit(repo, "gone", a_yaml=None)
    repo.ok("config", "uploadpack.allowFilter", "true")
    repo.ok("clone", "-q", "--filter=blob:none", f"file://{repo.me.work}", str(tmp_path / "clone"))
    repo.me.work = tmp_path / "clone"
    program = repo.me.write("program", b"#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    repo.ok("config", "remote.origin.uploadpack", str(program))
    said = repo.me.run("check", "--range", "HEAD~2..HEAD")
    assert (said.code, said.out) == (7, b"")
    assert "a.yaml: git has not got its content\n  a partial clone lacks it" in said.err
    assert not (repo.me.work / "ran").exists()


def test_paths_count_from_the_current_folder_and_findings_from_the_top(repo: Repository) -> None:
    repo.me.write("sub/a.yaml")
    repo.me.write("b.yaml")
    commit(repo, "clear")
    repo.me.work /= "sub"
    assert found(repo, 1, "--range", "HEAD~1..HEAD", "a.yaml") == [("clear", "sub/a.yaml", 9, "KS001")]
    assert len(found(repo, 1, "--range", "HEAD~1..HEAD")) == 2


def test_a_replaced_object_does_not_hide_what_was_committed(repo: Repository) -> None:
    commit(repo, "clear", a_yaml=MANIFEST)
    blob = repo.ok("rev-parse", "HEAD:a.yaml").strip()
    other = repo.ok("hash-object", "-w", "README").strip()
    repo.ok("replace", blob, other)
    assert found(repo, 1, "--range", "HEAD~1..HEAD") == [("clear", "a.yaml", 9, "KS001")]


def test_links_and_submodules_are_no_files_and_identities_are_found_in_every_file(repo: Repository) -> None:
    (repo.me.work / "link.yaml").symlink_to("AGE-SECRET-KEY-1")
    repo.ok("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub.yaml")
    repo.me.write("notes.txt", MANIFEST + repo.me.identity.encode())
    (repo.me.work / "sub.yaml").mkdir()
    repo.ok("add", "link.yaml", "notes.txt")
    repo.ok("commit", "-qm", "x")
    assert found(repo, 1, "--range", "HEAD~1..HEAD") == [("x", "notes.txt", 14, "KS013")]


def test_a_file_that_a_link_calls_a_manifest_is_checked_as_one(repo: Repository) -> None:
    """`kubectl -f FOLDER` reads what `s.yaml` leads to, whatever that is called."""
    (repo.me.work / "s.yaml").symlink_to("hop/../t.json")
    (repo.me.work / "t.json").symlink_to("hop/s.txt")
    (repo.me.work / "hop").symlink_to("deep")
    (repo.me.work / "out.yaml").symlink_to("../../s.txt")
    (repo.me.work / "round.yaml").symlink_to("round.yaml")
    commit(repo, "links")
    assert found(repo, 0, "--range", "HEAD~1..HEAD") == []
    path = repo.me.write("deep/s.txt", MANIFEST)
    repo.commit("clear")
    assert found(repo, 1, "--range", "HEAD~1..HEAD") == [("clear", name, 9, "KS001") for name in ("s.yaml", "t.json")]
    path.write_bytes(sealed(repo))
    repo.commit("sealed")
    assert {one[:2] + one[3:] for one in found(repo, 1, "--range", "HEAD~2..HEAD")} == {
        *(("clear", name, "KS001") for name in ("s.yaml", "t.json")),
        *(("sealed", name, "KS017") for name in ("s.yaml", "t.json")),
    }


def test_a_link_whose_text_has_a_line_break_hides_neither_its_file_nor_the_next(repo: Repository) -> None:
    """Git answers a name a line: a second line in one would have each later answer belong to another file."""
    (repo.me.work / "two\nlines").write_bytes(MANIFEST)
    (repo.me.work / "a.yaml").symlink_to("two\nlines")
    (repo.me.work / "b.yaml").symlink_to("gone\nHEAD:README")
    repo.me.write("c.yaml", MANIFEST)
    repo.commit("clear")
    told = found(repo, 1, "--range", "HEAD~1..HEAD")
    assert told == [("clear", name, 9, "KS001") for name in ("a.yaml", "c.yaml")]


def test_a_link_that_is_turned_to_a_clear_file_is_found(repo: Repository) -> None:
    repo.me.write("s.txt", MANIFEST)
    (repo.me.work / "a.yaml").symlink_to("gone.txt")
    commit(repo, "file")
    (repo.me.work / "a.yaml").unlink()
    (repo.me.work / "a.yaml").symlink_to("s.txt")
    commit(repo, "turned")
    assert found(repo, 1, "--range", "HEAD~1..HEAD") == [("turned", "a.yaml", 9, "KS001")]
    (repo.me.work / "a.yaml").unlink()
    commit(repo, "away")
    assert found(repo, 1, "--range", "HEAD~2..HEAD") == [("turned", "a.yaml", 9, "KS001")]


class Server:
    """A bare repository whose pre-receive hook is ksecret, and a clone that pushes to it."""

    def __init__(self, repo: Repository, folder: Path) -> None:
        self.repo = repo
        self.path = folder / "server.git"
        repo.ok("init", "-q", "--bare", str(self.path))
        repo.ok("remote", "add", "origin", str(self.path))
        hook = self.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(HOOK.replace("/opt/ksecret/bin", BIN))
        hook.chmod(0o755)

    def push(self, *words: str) -> tuple[bool, str]:
        done = self.repo.git("push", "-q", "origin", *words)
        return done.returncode == 0, done.stderr

    def refs(self) -> list[str]:
        return self.repo.ok("ls-remote", "origin").split()[1::2]


@pytest.fixture
def server(repo: Repository, tmp_path: Path) -> Server:
    made = Server(repo, tmp_path)
    assert made.push("main")[0]
    return made


def test_a_server_refuses_a_push_with_clear_text_in_any_commit(repo: Repository, server: Server) -> None:
    first = commit(repo, "clear", a_yaml=MANIFEST)
    commit(repo, "sealed", a_yaml=sealed(repo))
    for name in ("main", "main:new"):
        went, said = server.push(name)
        assert not went
        assert f"{first[:12]}:a.yaml:9: {CLEAR}" in said
    assert server.refs() == ["HEAD", "refs/heads/main"]
    repo.ok("reset", "-q", "--hard", "HEAD~2")
    commit(repo, "sealed from the start", a_yaml=sealed(repo))
    went, said = server.push("main", "main:new")
    assert went
    assert "KS017 prod/db is newly sealed" in said
    commit(repo, "more", b_yaml=b"a: b\n")
    repo.ok("tag", "-a", "-m", "x", "v1")
    assert server.push("main", "v1", ":new") == (
        True,
        "remote: ksecret: 1 checked, 0 findings, 0 allowed, 0 failed        \n",
    )
    repo.ok("commit", "-q", "--amend", "-m", "again")
    repo.me.write("a.yaml")
    repo.ok("commit", "-qam", "clear")
    assert not server.push("--force", "main")[0]
    repo.ok("reset", "-q", "--hard", "HEAD~1")
    assert server.push("--force", "main")[0]
    assert server.push(":v1")[0]


def test_tags_of_trees_and_blobs_are_looked_into(repo: Repository, server: Server) -> None:
    commit(repo, "clear", a_yaml=MANIFEST)
    for what in ("HEAD^{tree}", "HEAD:a.yaml"):
        for words in ([], ["-a", "-m", "x"]):
            repo.ok("tag", "-f", *words, "t", what)
            went, said = server.push("t")
            assert not went, what
            assert ":9: KS001" in said
    repo.ok("tag", "-f", "t", "HEAD:README")
    assert server.push("t")[0]


def test_lines_that_are_not_gits(repo: Repository) -> None:
    me = repo.me
    head = repo.ok("rev-parse", "HEAD").strip()
    assert "there was none" in me.fails(2, "check", "--pre-receive")
    for line in (f"{head} {head}", f"{head} --all refs/heads/main", f"{head}..x {head} refs/heads/main", "n0t-public"):
        said = me.fails(3, "check", "--pre-receive", stdin=f"{head} {head} refs/heads/a\n{line}\n".encode())
        assert "standard input:2: not a line of Git's about a push" in said
    missing = f"{head} {'1' * 40} refs/heads/main\n".encode()
    assert "git has not got" in me.fails(7, "check", "--pre-receive", stdin=missing)
    assert "a push of more than 16 MiB" in me.fails(3, "check", "--pre-receive", stdin=b"x" * (16 * 1024 * 1024 + 1))


def test_a_repository_with_long_object_names(me: Person) -> None:
    repo = Repository.__new__(Repository)
    repo.me = me
    me.environ |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    me.environ |= {f"GIT_{who}_{what}": "x@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    repo.ok("init", "-q", "--object-format=sha256")
    commit(repo, "start", a_yaml=b"a: b\n")
    commit(repo, "clear", a_yaml=MANIFEST)
    assert found(repo, 1, "--range", "HEAD~1..HEAD") == [("clear", "a.yaml", 9, "KS001")]
    head = repo.ok("rev-parse", "HEAD").strip()
    repo.ok("update-ref", "-d", "HEAD")
    ran = me.run("check", "--pre-receive", stdin=f"{'0' * 64} {head} refs/heads/main\n".encode())
    assert (ran.code, ran.out.count(b"KS001")) == (1, 1)


def test_a_thousand_commits_take_seconds(repo: Repository) -> None:
    start = repo.ok("rev-parse", "HEAD").strip()
    lines = []
    for number in range(1000):
        data = MANIFEST if number == 500 else f"a: {number}\n".encode()
        lines.append(f"commit refs/heads/main\ncommitter x <x@x> {1700000000 + number} +0000\ndata 1\nx\n".encode())
        lines.append(f"from {start}\n".encode() if not number else b"")
        lines.append(f"M 644 inline d{number % 50}/a.yaml\ndata {len(data)}\n".encode() + data + b"\n")
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=repo.me.work, env=repo.me.environ, input=b"".join(lines), check=True
    )
    done = subprocess.run(
        [KSECRET, "check", "--range", f"{start}..main"],
        cwd=repo.me.work,
        env=repo.me.environ,
        capture_output=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout.count(b"KS001")) == (1, 1)
    assert done.stderr == b"ksecret: 1000 checked, 1 finding, 0 allowed, 0 failed\n"
