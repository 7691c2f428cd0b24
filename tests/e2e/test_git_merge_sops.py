"""Two people change a file that SOPS sealed on two branches; `git merge` brings them together, and sops opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.git_repository import Repository
from tests.sops_support import sops

if TYPE_CHECKING:
    from tests.e2e.cli import Person

FILE = "values.yaml"
CLEAR = "db:\n  user: n0t-public\n  port: 5432\n  pass: n0t-public-pass\nimage: app\n"


@pytest.fixture
def repository(me: Person) -> Repository:
    """A repository with a file that the real sops sealed, to the person's own key."""
    repository = Repository(me, "", "README")
    path = me.write(FILE, CLEAR.encode())
    done = sops("encrypt", "-i", "--age", me.ref.removeprefix("age:"), "--encrypted-regex", "^db$", path)
    assert not done.returncode, done.stderr
    repository.path, repository.name = path, FILE
    repository.commit()
    return repository


def set_by_sops(repository: Repository, path: str, value: str) -> None:
    done = sops("set", repository.path, path, value, identities=(repository.me.identity,))
    assert not done.returncode, done.stderr


def in_sops(repository: Repository) -> str:
    done = sops("decrypt", repository.path, identities=(repository.me.identity,))
    assert not done.returncode, done.stderr
    return done.stdout.decode()


def test_two_branches_that_change_different_values_merge_to_a_file_that_sops_opens(repository: Repository) -> None:
    me = repository.me
    done = repository.merged(
        lambda: me.ok("set", FILE, "db.user=n0t-public-2", "db.new=n0t-public-3"),
        lambda: set_by_sops(repository, '["db"]["port"]', "1"),
    )
    assert done.returncode == 0, done.stderr
    assert repository.ok("status", "--short") == ""
    expected = CLEAR.replace("n0t-public\n", "n0t-public-2\n").replace("5432", "1")
    assert in_sops(repository).split() == expected.replace("image", "  new: n0t-public-3\nimage").split()
    changed = repository.ok("diff", "HEAD^1", "-U0", "--no-textconv").splitlines()
    words = {line[1:].split(":")[0].strip() for line in changed if line.startswith("+ ")}
    assert {"port", "mac"} <= words <= {"port", "mac", "lastmodified"}


def test_without_a_key_the_mac_alone_is_in_conflict_and_verify_mends_it(repository: Repository) -> None:
    me = repository.me
    key = me.key_file.read_bytes()

    def theirs() -> None:
        set_by_sops(repository, '["db"]["port"]', "1")
        me.key_file.unlink()

    done = repository.merged(lambda: me.ok("set", FILE, "db.user=n0t-public-2"), theirs)
    assert done.returncode == 1
    assert "its MAC can't be made" in done.stderr
    assert "ksecret verify --mend values.yaml makes it" in done.stderr
    text = repository.text
    assert text.count("<<<<<<<") == 1
    between = text[text.index("<<<<<<<") : text.index(">>>>>>>")]
    assert {line.split(":")[0].strip() for line in between.splitlines()} <= {
        "<<<<<<< ours",
        "=======",
        "lastmodified",
        "mac",
    }
    me.fails(4, "verify", "--mend", FILE)
    me.key_file.write_bytes(key)
    me.ok("verify", "--mend", FILE)  # Git's index has both sides: nobody needs to vouch
    assert in_sops(repository).split() == CLEAR.replace("n0t-public\n", "n0t-public-2\n").replace("5432", "1").split()


def test_a_value_that_both_changed_is_git_s_conflict_until_somebody_takes_a_side(repository: Repository) -> None:
    me = repository.me
    done = repository.merged(
        lambda: me.ok("set", FILE, "db.user=n0t-public-ours", "db.pass=n0t-public-2"),
        lambda: me.ok("set", FILE, "db.user=n0t-public-theirs", "db.port=1"),
    )
    assert done.returncode == 1
    assert "1 marked with <<<<<<<" in done.stderr
    assert repository.text.count("    user: ENC[") == 2
    assert "more than its MAC" in me.fails(3, "verify", "--mend", FILE)
    me.ok("git", "resolve", "--theirs", FILE)
    clear = in_sops(repository)
    assert [word in clear for word in ("public-theirs", "public-ours", "n0t-public-2", "port: 1")] == [
        True,
        False,
        True,
        True,
    ]


def test_what_no_side_had_is_shown_before_it_gets_a_mac(repository: Repository) -> None:
    me = repository.me
    repository.merged(
        lambda: me.ok("set", FILE, "db.user=n0t-public-2"), lambda: me.ok("set", FILE, "db.user=n0t-public-3")
    )
    lines = repository.text.splitlines(keepends=True)
    marks = ("<<<<<<<", ">>>>>>>", "=======")
    kept = dict.fromkeys(line.split(":")[0] if line[:1] == " " else line for line in lines if line[:7] not in marks)
    by_key = {line.split(":")[0]: line for line in reversed(lines)}
    text = "".join(by_key.get(word, word) for word in kept)
    repository.path.write_text(text.replace("image: app", "image: evil"))
    ran = me.run("verify", "--mend", FILE)
    assert (ran.code, "nobody is here to be asked" in ran.err) == (2, True)
    assert "entry  image" in ran.err
    me.ok("verify", "--mend", "--yes", FILE)
    assert "image: evil" in in_sops(repository)
    repository.ok("commit", "-qam", "merged")
    assert me.ok("verify", "--mend", FILE).err == ""
