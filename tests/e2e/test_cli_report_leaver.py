"""`ksecret report --leaver`: what they could open, in files as they stand and in any commit, and what changes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from secretsvc.cli.candidates import candidates
from secretsvc.cli.main import main
from tests.e2e.cli import MANIFEST, MARKS, Person
from tests.e2e.test_cli_report import Team, team

__all__ = ["team"]  # a fixture, for pytest to find here


def script(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What is printed about Bob."""
    assert main(["report", "--leaver", "bob@example.org", *words]) == code
    captured = capsys.readouterr()
    assert not any(mark in captured.out + captured.err for mark in MARKS)
    return captured.out


def exposed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """The same by file."""
    found = json.loads(script(capsys, "--json", "--since-git", *words, code=code))
    return {one["file"]: one for one in found["secrets"]}


def named(name: str, entries: str) -> bytes:
    """A manifest with these entries under `stringData`."""
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n{entries}".encode()


def git(team: Team, *words: str, **environ: str) -> str:
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", *who, *words], cwd=team.work, env=team.environ | settings | environ, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def commit(team: Team) -> str:
    git(team, "add", "-A")
    git(team, "commit", "-qm", "x")
    return git(team, "rev-parse", "HEAD")


def test_the_script_changes_every_value_that_may_be_any_text(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    team.seal("prod/db.yaml", team)
    team.seal("dev/db.yaml", team, team.bob)
    before = (team.work / "dev/db.yaml").read_text()
    out = script(capsys)
    assert out.startswith("# What bob@example.org could open: 1 Secret in the files as they stand now.")
    assert f"#   {team.bob.ref}  (.ksecret.yaml)\n" in out
    assert "\nksecret set --secret prod/db --random password=32 -- dev/db.yaml\n" in out
    assert "#   by hand: username, url (see what is in it)\n" in out
    assert "prod/db.yaml" not in out
    done = subprocess.run(["sh", "-e"], input=out, text=True, cwd=team.work, env=team.environ, capture_output=True)
    assert done.returncode == 0, done.stderr
    after = (team.work / "dev/db.yaml").read_text()
    assert sum(old != new for old, new in zip(before.splitlines(), after.splitlines(), strict=True)) == 1
    opened = team.lock.open_(after.encode()).decode()
    assert "password: " in opened
    assert not any(mark in opened.partition("password: ")[2].partition("\n")[0] for mark in MARKS)


def test_hostile_names_are_one_word_of_the_script_and_reach_no_terminal(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("-rf; touch broke #.yaml", "$(touch broke)\n\x1b[2Jtouch broke\n'\\.yaml", "dev/-")
    for number, name in enumerate(names):
        path = f"./{name}" if name.startswith("-") else name
        team.seal(path, team, team.bob, data=named(f'"x{number} `touch broke`"', "  a: x\n"))
    before = {name: (team.work / name).read_bytes() for name in names}
    out = script(capsys, ".", "dev/-")
    assert "\x1b" not in out
    assert out.count("\nksecret set ") == 3
    done = subprocess.run(["bash", "-e"], input=out, text=True, cwd=team.work, env=team.environ, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not (team.work / "broke").exists()
    for name in names:
        assert (team.work / name).read_bytes() != before[name], name


def test_a_shell_that_knows_no_dollar_quotes_runs_nothing_of_a_name(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "\x1b' && touch broke #'; touch broke #.yaml"
    team.seal(name, team, team.bob, data=named("db", "  -a: x\n"))
    out = script(capsys, ".")
    assert "\nksecret set --secret db --random=-a=32 -- $'" in out
    for shell in ("sh", "bash"):
        subprocess.run([shell], input=out, text=True, cwd=team.work, env=team.environ, capture_output=True)
        assert not (team.work / "broke").exists(), shell


def test_a_name_that_no_program_can_be_given_has_no_line_in_the_script(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell would end it at the NUL, and another Secret's value be changed."""
    team.seal("a.yaml", team, team.bob, data=named("db", "  a: x\n"))
    (team.work / "a.yaml").write_text((team.work / "a.yaml").read_text().replace("name: db", r'name: "db\0x"'))
    out = script(capsys, ".")
    assert "a.yaml" in out
    assert "ksecret set" not in out


def test_types_tell_what_is_done_by_hand(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    tls = named("web", "  tls.crt: x\n  tls.key: x\n") + b"type: kubernetes.io/tls\n"
    team.seal("dev/tls.yaml", team.bob, data=tls)
    team.seal("dev/api.yaml", team.bob, data=named("api", "  api-key: x\n  ca.crt: x\n  user: x\n"))
    out = script(capsys)
    assert "#   by hand: tls.crt, tls.key (issue a new certificate with a new key)\n" in out
    assert "ksecret set --secret api --random api-key=32 -- dev/api.yaml\n#   by hand: ca.crt, user (see what" in out
    assert "--secret web" not in out


def test_of_files_of_sops_the_lines_name_entries_and_paths_and_groups_below_their_threshold_are_told(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    ann, bob = team.ref[4:], team.bob.ref[4:]
    rules = (
        f"{{path_regex: '^split', shamir_threshold: 2, key_groups: [{{age: [{ann}]}}, {{age: [{bob}]}}]}}",
        f"{{path_regex: yaml$, encrypted_regex: ^(data|stringData)$, age: '{ann},{bob}'}}",
        f"{{age: '{ann},{bob}'}}",
    )
    team.write("apps/.sops.yaml", f"creation_rules: [{', '.join(rules)}]\n".encode())
    team.write("apps/split.env", b"PASSWORD=n0t-public\n")
    team.write("apps/app.json", b'{"db": {"pass word": "n0t-public", "a=b": "kept"}}\n')
    team.write("apps/secret.yaml")
    team.ok("encrypt", "-i", "apps/split.env", "apps/app.json", "apps/secret.yaml")
    before = (team.work / "apps/secret.yaml").read_bytes()
    out = script(capsys, "apps")
    assert "# apps/split.env: apps/split.env  (not by these keys alone: they open too few of its groups" in out
    assert "#   if another group's key was theirs too: ksecret set --random PASSWORD=32 -- apps/split.env\n" in out
    assert "\nksecret set --random password=32 -- apps/secret.yaml\n" in out
    assert 'by hand: db["a=b"] (ksecret edit changes it)' in out
    done = subprocess.run(["sh", "-e"], input=out, text=True, cwd=team.work, env=team.environ, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (team.work / "apps/secret.yaml").read_bytes() != before
    assert "n0t-public" not in team.ok("decrypt", "apps/app.json").out.decode()


def test_a_key_that_nobody_has_a_name_for_is_named_itself_and_a_wrong_name_is_an_error(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = Person(team.home, "stranger")
    team.seal("prod/db.yaml", team, stranger)
    assert main(["report", "--leaver", stranger.ref]) == 0
    assert "-- prod/db.yaml" in capsys.readouterr().out
    assert "bob@example.org" in candidates(["report", "--leaver"], "bo").words
    assert main(["report", "--leaver", "bob@example.com"]) == 2
    assert "no policy here has that name: did you mean bob@example.org?" in capsys.readouterr().err
    assert main(["report", "--since-git"]) == 2
    assert main(["report", "--leaver", "ann", "--html", "x"]) == 2


@pytest.fixture
def grown(team: Team) -> Team:
    """A repository in which Bob had another key once, and lost access; and refs to what nobody has checked out."""
    old = Person(team.home, "old")
    policy = (team.work / ".ksecret.yaml").read_text()
    git(team, "init", "-q", "-b", "main", ".")
    team.write(".ksecret.yaml", policy.replace(team.bob.ref, old.ref).encode())
    team.seal("dev/a.yaml", team, old)
    team.seal("dev/moved.yaml", team, team.bob, data=MANIFEST.replace(b"name: db", b"name: moved"))
    team.seal("other.yaml", team)
    commit(team)
    team.write(".ksecret.yaml", policy.encode())
    team.seal("dev/a.yaml", team)
    team.seal("prod/moved.yaml", team, data=MANIFEST.replace(b"name: db", b"name: moved"))
    (team.work / "dev/moved.yaml").unlink()
    commit(team)
    git(team, "checkout", "-q", "-b", "side")
    team.seal("dev/side.yaml", team, team.bob)
    commit(team)
    git(team, "checkout", "-q", "main")
    git(team, "update-ref", "refs/notes/side", "side")
    git(team, "branch", "-q", "-D", "side")
    team.seal("tagged.yaml", team.bob)
    blob = git(team, "hash-object", "-w", "tagged.yaml")
    git(team, "tag", "-a", "-m", "x", "blob", blob)
    (team.work / "tagged.yaml").unlink()
    return team


def test_history_tells_what_former_keys_opened_in_any_commit_of_any_ref(
    grown: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "0 Secrets" in script(capsys)
    found = exposed(capsys)
    assert set(found) == {"dev/a.yaml", "dev/moved.yaml", "dev/side.yaml", "refs/tags/blob"}
    assert not any(one["now"] for one in found.values())
    assert found["dev/a.yaml"]["values"] == dict.fromkeys(("username", "password", "url"), "other")
    assert found["dev/moved.yaml"]["random"] == ["password=32"]
    assert found["dev/moved.yaml"]["standsIn"] == "prod/moved.yaml"
    assert set(found["dev/side.yaml"]["values"].values()) == {"gone"}
    out = script(capsys, "--since-git")
    assert "0 Secrets in the files as they stand now, and 4 more in Git's history." in out
    assert "\nksecret set --secret prod/moved --random password=32 -- prod/moved.yaml\n" in out
    assert "-- dev/side.yaml" not in out
    assert not exposed(capsys, "prod")  # it was under another name then


def test_a_token_that_stands_there_still_is_told_from_one_that_was_made_anew(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    git(team, "init", "-q", "-b", "main", ".")
    team.seal("dev/db.yaml", team, team.bob)
    first = commit(team)
    team.ok("set", "dev/db.yaml", "--random", "password=20")
    (one,) = exposed(capsys).values()
    assert (one["now"], set(one["values"].values()), one["commits"]) == (True, {"same"}, [first, first])
    text = (team.work / "dev/db.yaml").read_text()
    lines = text.splitlines(keepends=True)
    (team.work / "dev/db.yaml").write_text("".join(line for line in lines if team.bob.ref not in line))
    (one,) = exposed(capsys).values()
    assert (one["now"], one["values"]) == (False, {"username": "same", "password": "other", "url": "same"})


def test_what_can_t_be_read_in_history_is_no_pass(grown: Team, capsys: pytest.CaptureFixture[str]) -> None:
    sealed = (grown.work / "dev/a.yaml").read_text()
    grown.write("dev/broken.yaml", sealed.replace("metadata:", "metadata: [").encode())
    broken = commit(grown)
    (grown.work / "dev/broken.yaml").unlink()
    commit(grown)
    assert f"# NOT LOOKED AT, so see for yourself: {broken[:12]}:dev/broken.yaml" in script(
        capsys, "--since-git", code=3
    )
    git(grown, "clone", "-q", "--depth", "1", f"file://{grown.work}", str(grown.home / "shallow"))
    os.chdir(grown.home / "shallow")
    assert main(["report", "--leaver", "bob@example.org", "--since-git"]) == 3
    assert "the clone is shallow" in capsys.readouterr().err


def test_paths_in_history_are_never_options_of_git(
    team: Team, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    git(team, "init", "-q", "-b", "main", ".")
    team.seal("./--output=broke/x.yaml", team, team.bob)
    commit(team)
    shutil.rmtree(team.work / "--output=broke")
    assert set(exposed(capsys)) == {"--output=broke/x.yaml"}
    assert set(exposed(capsys, "./--output=broke")) == {"--output=broke/x.yaml"}
    assert not (team.work / "broke").exists()
    (team.work / "sub").mkdir()
    monkeypatch.chdir(team.work / "sub")
    assert set(exposed(capsys, "..")) == {"../--output=broke/x.yaml"}


def test_what_another_repository_has_in_its_history_is_not_passed_over_in_silence(
    grown: Team, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (grown.work / "link").symlink_to("dev")
    assert set(exposed(capsys, "dev")) == {"dev/a.yaml", "dev/side.yaml", "dev/moved.yaml"}
    assert set(exposed(capsys, "link")) == {"dev/a.yaml", "dev/side.yaml", "dev/moved.yaml"}
    git(grown, "init", "-q", "sub")
    grown.seal("sub/db.yaml", grown)
    assert "NOT LOOKED AT, so see for yourself: sub: a repository of its own" in script(capsys, "--since-git", code=3)
    monkeypatch.chdir(grown.work / "sub")
    assert main(["report", "--leaver", grown.bob.ref, "--since-git", "../dev"]) == 2
    assert "looks through the repository of the current folder, and this is not in it" in capsys.readouterr().err
