"""`ksecret git resolve` and `keys sync` after real merges: one command settles a conflict, in one file or in thirty."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.cli import MARK, Person, b64, key_refs
from tests.e2e.git_repository import CLEAR, FILE, Repository, changed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.gnupg_support import World


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(Person(tmp_path))


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path, "ann")


@pytest.fixture
def bob(tmp_path: Path) -> Person:
    return Person(tmp_path, "bob")


def in_conflict(repo: Repository, ours: Callable[[], object], theirs: Callable[[], object]) -> str:
    """The file's text after a merge that stopped."""
    assert repo.merged(ours, theirs).returncode == 1
    assert "CONFLICT" in repo.text
    return repo.text


def settled(repo: Repository, *words: str) -> str:
    """The clear text after the command, without a key at hand, in a file that has no trace of the conflict."""
    ran = repo.me.ok("git", "resolve", *words, FILE, HOME="/nowhere", XDG_CONFIG_HOME="/nowhere")
    assert (ran.out, ran.err) == (b"", "")
    assert "CONFLICT" not in repo.text
    assert "conflict:" not in repo.text
    text = repo.text
    repo.me.ok("git", "resolve", *words, FILE)
    assert repo.text == text, "twice is as good as once"
    return repo.clear()


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_value_changed_on_both_sides(repo: Repository, side: str) -> None:
    def change(value: str) -> None:
        repo.set("two", value)
        repo.set("three" if value == "ours" else "one", value)

    in_conflict(repo, lambda: change("ours"), lambda: change("theirs"))
    assert settled(repo, f"--{side}") == changed(two=side, three="ours", one="theirs")
    repo.commit()
    assert repo.me.run("check", FILE).code == 0


@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.parametrize("removed_by", ["ours", "theirs"])
def test_a_value_removed_here_and_changed_there(repo: Repository, side: str, removed_by: str) -> None:
    changes = [lambda: repo.remove("one"), lambda: repo.set("one", "1")]
    in_conflict(repo, *(changes if removed_by == "ours" else reversed(changes)))
    assert settled(repo, f"--{side}") == changed(one="" if side == removed_by else "1")


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_an_entry_added_twice_in_quotes_in_a_block_with_comments_and_last_in_the_file(
    tmp_path: Path, side: str
) -> None:
    head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n"
    repo = Repository(Person(tmp_path), f"{head}stringData:\n  a: {MARK}")
    texts = {
        "ours": f"  # from us\n  \"k.ey\": '{MARK} 1' # behind\n",
        "theirs": f'  # from them\n  "k.ey": |-\n    {MARK} 2\n',
    }

    def add(whose: str) -> Callable[[], None]:
        return lambda: repo.replace("stringData:\n", f"stringData:\n{texts[whose]}")

    in_conflict(repo, add("ours"), add("theirs"))
    assert settled(repo, f"--{side}") == f"{head}stringData:\n{texts[side]}  a: {MARK}"


def test_crlf_stays(tmp_path: Path) -> None:
    repo = Repository(Person(tmp_path), CLEAR.replace("\n", "\r\n"))
    in_conflict(repo, lambda: repo.set("two", "ours"), lambda: repo.set("two", "theirs"))
    assert settled(repo, "--theirs") == changed(two="theirs").replace("\n", "\r\n")


@pytest.mark.parametrize("rotated", ["ours", "theirs"])
def test_a_new_data_key_against_a_changed_value(repo: Repository, rotated: str) -> None:
    def change() -> None:
        repo.set("one", "1")
        repo.add("one", "new", "n")

    other = "theirs" if rotated == "ours" else "ours"
    changes = [repo.rotate, change]
    text = in_conflict(repo, *(changes if rotated == "ours" else reversed(changes)))
    refusal = repo.me.fails(3, "git", "resolve", f"--{other}", FILE)
    assert f'data["one"]: {other} sealed it under another data key' in refusal
    assert f"git checkout --{other}" in refusal
    assert repo.text == text
    assert settled(repo, f"--{rotated}") == CLEAR


def test_two_new_data_keys(repo: Repository) -> None:
    in_conflict(repo, repo.rotate, repo.rotate)
    assert "two key lists, of two data keys" in repo.me.fails(3, "git", "resolve", "--ours", "--both-keys", FILE)
    repo.me.fails(3, "git", "resolve", "--theirs", FILE)
    assert settled(repo, "--ours") == CLEAR


def add_keys(repo: Repository, ann: Person, bob: Person) -> str:
    return in_conflict(
        repo,
        lambda: repo.me.ok("encrypt", "-i", "-k", "+" + ann.ref, FILE),
        lambda: repo.me.ok("encrypt", "-i", "-k", "+" + bob.ref, FILE),
    )


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_one_of_two_key_lists_needs_no_key(repo: Repository, ann: Person, bob: Person, side: str) -> None:
    add_keys(repo, ann, bob)
    assert settled(repo, f"--{side}") == CLEAR
    assert repo.text == repo.ok("show", f"{side}:{FILE}")


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n"])
def test_key_lists_at_the_end_of_a_file_leave_it_as_it_ends(tmp_path: Path, ann: Person, bob: Person, end: str) -> None:
    newline = "\r\n" if "\r" in end else "\n"
    clear = changed().partition("stringData:")[0].rstrip().replace("\n", newline) + end
    repo = Repository(Person(tmp_path), clear)
    text = add_keys(repo, ann, bob)
    for side in ("ours", "theirs"):
        repo.path.write_bytes(text.encode())
        assert settled(repo, f"--{side}") == clear
        assert repo.path.read_bytes().decode() == repo.ok("show", f"{side}:{FILE}")
    repo.path.write_bytes(text.encode())
    repo.me.ok("git", "resolve", "--both-keys", FILE)
    assert repo.clear() == clear


def test_both_key_lists_keep_all_that_is_wrapped_and_every_token(repo: Repository, ann: Person, bob: Person) -> None:
    add_keys(repo, ann, bob)
    repo.me.ok("git", "resolve", "--both-keys", FILE)
    assert key_refs(repo.path.read_bytes()) == sorted([repo.me.ref, ann.ref, bob.ref])
    assert ann.ok("decrypt", FILE).out.decode() == bob.ok("decrypt", FILE).out.decode() == repo.clear() == CLEAR
    for side in ("ours", "theirs"):
        lines = set(repo.ok("show", f"{side}:{FILE}").splitlines()) - set(repo.text.splitlines())
        assert [line.split(":")[0] for line in lines] == ["  seal"]
    repo.me.ok("verify", FILE)


def test_values_and_key_lists_at_once(repo: Repository, ann: Person, bob: Person) -> None:
    def change(who: Person, value: str) -> None:
        repo.me.ok("encrypt", "-i", "-k", "+" + who.ref, FILE)
        repo.set("one", value)

    text = in_conflict(repo, lambda: change(ann, "ours"), lambda: change(bob, "theirs"))
    assert 'data["one"] is in conflict, too' in repo.me.fails(3, "git", "resolve", "--both-keys", FILE)
    assert "ksecret git resolve" in repo.me.fails(5, "decrypt", FILE)
    assert repo.text == text
    repo.me.ok("git", "resolve", "--theirs", "--both-keys", FILE)
    assert repo.clear() == changed(one="theirs")
    assert len(key_refs(repo.path.read_bytes())) == 3


def test_a_key_that_somebody_slips_into_the_other_list_is_not_taken(
    repo: Repository, ann: Person, bob: Person, tmp_path: Path
) -> None:
    """The list that is set aside is a text that anybody could write: the data key's own seal must vouch for it."""
    eve = Person(tmp_path, "eve")
    text = add_keys(repo, ann, bob).replace(f"      {bob.ref}:", f"      {eve.ref}:")
    repo.path.write_text(text)
    repo.me.fails(5, "git", "resolve", "--both-keys", FILE)
    assert repo.text == text


def test_no_comment_no_guess(repo: Repository, ann: Person, bob: Person) -> None:
    bare = re.sub(r"(?m)^ *# .*\n", "", add_keys(repo, ann, bob))
    repo.path.write_text(bare)
    assert "no comment tells any more" in repo.me.fails(3, "git", "resolve", "--theirs", FILE)
    repo.ok("checkout", "-q", "-f", "ours")
    repo.ok("branch", "-q", "-D", "theirs")
    repo.on("theirs", lambda: repo.set("one", "1"))
    repo.ok("checkout", "-q", "ours")
    repo.set("one", "2")
    repo.commit()
    assert repo.git("merge", "-q", "theirs").returncode == 1
    bare = re.sub(r"(?m)^ *# .*\n", "", repo.text)
    repo.path.write_text(bare)
    assert "no comment tells any more" in repo.me.fails(3, "git", "resolve", "--ours", FILE)
    assert repo.text == bare


def teams(tmp_path: Path, ann: Person, bob: Person, files: list[str]) -> Repository:
    """Two branches that each added a teammate to all files, by the policy, and were merged."""
    me = Person(tmp_path)
    me.write(".ksecret.yaml", f"version: 1\nrules:\n- keys: [{me.ref}]\n".encode())
    repo = Repository(me, name=files[0])
    for name in files[1:]:
        me.write_sealed(name, CLEAR.encode())
    repo.commit()

    def add(person: Person) -> None:
        me.write(".ksecret.yaml", f"version: 1\nrules:\n- keys: [{me.ref}, {person.ref}]\n".encode())
        me.ok("keys", "sync", "-r", ".")

    done = repo.merged(lambda: add(ann), lambda: add(bob))
    assert done.returncode == 1
    assert len(repo.ok("diff", "--name-only", "--diff-filter=U").splitlines()) == len(files) + 1
    me.write(".ksecret.yaml", f"version: 1\nrules:\n- keys: [{me.ref}, {ann.ref}, {bob.ref}]\n".encode())
    return repo


@pytest.mark.parametrize(
    ("count", "words"), [(30, ("git", "resolve", "--both-keys", "-r", ".")), (5, ("keys", "sync", "-r", "."))]
)
def test_two_teammates_in_thirty_files_take_one_command(
    tmp_path: Path, ann: Person, bob: Person, count: int, words: tuple[str, ...]
) -> None:
    files = [f"deploy/{number}/secret.yaml" for number in range(count)]
    repo = teams(tmp_path, ann, bob, files)
    assert f"{count} settled" in repo.me.ok(*words).err.replace("changed", "settled")
    repo.ok("commit", "-q", "-a", "-m", "merged")
    for name in (files[0], files[-1]):
        assert key_refs((repo.me.work / name).read_bytes()) == sorted([repo.me.ref, ann.ref, bob.ref])
    assert ann.ok("decrypt", files[3]).out.decode() == bob.ok("decrypt", files[3]).out.decode() == CLEAR
    repo.me.ok("check")
    assert f"{count} unchanged, 1 skipped" in repo.me.ok("keys", "sync", "-r", ".").err


def test_a_dry_run_of_sync_tells_what_the_second_list_brings(repo: Repository, ann: Person, bob: Person) -> None:
    add_keys(repo, ann, bob)
    keys = ", ".join([repo.me.ref, ann.ref, bob.ref])
    repo.me.write(".ksecret.yaml", f"version: 1\nrules: [{{keys: [{keys}]}}]\n".encode())
    assert repo.me.ok("keys", "sync", "-n", FILE).out.decode() == f"{FILE}: prod/db: +{bob.ref}\n"


@pytest.mark.parametrize("gone", ["ours", "theirs"])
def test_who_is_in_no_policy_any_more_gets_no_key_of_the_new_data_key(
    repo: Repository, ann: Person, bob: Person, gone: str
) -> None:
    add_keys(repo, ann, bob)
    stays, leaves = (bob, ann) if gone == "ours" else (ann, bob)
    repo.me.write(".ksecret.yaml", f"version: 1\nrules: [{{keys: [{repo.me.ref}, {stays.ref}]}}]\n".encode())
    assert f"-{leaves.ref}\n" in repo.me.ok("keys", "sync", "-n", FILE).out.decode()
    repo.me.ok("keys", "sync", FILE)
    assert key_refs(repo.path.read_bytes()) == sorted([repo.me.ref, stays.ref])
    assert stays.ok("decrypt", FILE).out.decode() == CLEAR
    assert not set(re.findall("ksecret.v1.*", repo.text)) & set(
        re.findall("ksecret.v1.*", repo.ok("show", "ours:" + FILE))
    )
    leaves.fails(4, "decrypt", FILE)


def test_a_key_removed_here_and_added_there(repo: Repository, ann: Person, bob: Person) -> None:
    """The other side's list still has who was removed here: the command in the comment names the new one only."""
    repo.me.ok("encrypt", "-i", "-k", "+" + ann.ref, FILE)
    repo.commit()
    text = in_conflict(
        repo,
        lambda: repo.me.ok("encrypt", "-i", "-k", "-" + ann.ref, FILE),
        lambda: repo.me.ok("encrypt", "-i", "-k", "+" + bob.ref, FILE),
    )
    assert re.findall(r"then: ksecret (encrypt .*)", text) == [f"encrypt -i -k +{bob.ref} {FILE}"]
    assert "two key lists, of two data keys" in repo.me.fails(3, "git", "resolve", "--both-keys", FILE)
    repo.me.write(".ksecret.yaml", f"version: 1\nrules: [{{keys: [{repo.me.ref}, {bob.ref}]}}]\n".encode())
    repo.me.ok("keys", "sync", FILE)
    assert bob.ok("decrypt", FILE).out.decode() == CLEAR
    ann.fails(4, "decrypt", FILE)


@pytest.fixture
def kubesec(tmp_path: Path, world: World) -> Repository:
    """A repository whose file is in kubesec's format, sealed to a PGP key."""
    me = Person(tmp_path)
    me.environ |= {"GNUPGHOME": world.alice.path}
    repo = Repository(me, "")
    repo.path.write_text(changed().partition("stringData:")[0])
    me.ok("encrypt", "-i", "--format", "kubesec", "-k", str(world.ref("alice")), FILE)
    repo.commit()
    return repo


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_kubesec_s_format_gets_a_mac_for_what_two_sides_vouch_for(kubesec: Repository, side: str) -> None:
    me = kubesec.me

    def change(value: str) -> None:
        me.ok("set", FILE, f"one={value} {MARK}", f"{'two' if value == 'ours' else 'three'}={value} {MARK}")

    in_conflict(kubesec, lambda: change("ours"), lambda: change("theirs"))
    me.ok("git", "resolve", f"--{side}", FILE)
    assert "CONFLICT" not in kubesec.text
    expected = changed(one=side, two="ours", three="theirs").partition("stringData:")[0]
    values = yaml.safe_load(me.ok("decrypt", FILE).out)["data"]
    assert values == yaml.safe_load(expected)["data"]


def test_kubesec_s_format_is_vouched_for_by_somebody_where_no_index_does(kubesec: Repository) -> None:
    me = kubesec.me
    in_conflict(kubesec, lambda: me.ok("set", FILE, f"one=1 {MARK}"), lambda: me.ok("set", FILE, f"two=2 {MARK}"))
    kubesec.ok("add", FILE)
    text = kubesec.text
    ran = me.run("git", "resolve", "--ours", FILE)
    assert (ran.code, "--yes" in ran.err) == (2, True)
    assert kubesec.text == text
    assert "you vouch for" in me.ok("git", "resolve", "--ours", "--yes", FILE).err
    assert b64(f"1 {MARK}") in me.ok("decrypt", FILE).out.decode()


def test_a_value_of_neither_side_is_not_vouched_for(kubesec: Repository) -> None:
    me = kubesec.me
    in_conflict(kubesec, lambda: me.ok("set", FILE, f"one=1 {MARK}"), lambda: me.ok("set", FILE, f"two=2 {MARK}"))
    old = re.findall("  three: (.*)", kubesec.text)[0]
    kubesec.me.write("other.yaml", kubesec.ok("show", f"main:{FILE}").encode())
    me.ok("set", "other.yaml", f"three=3 {MARK}")
    new = re.findall("  three: (.*)", (me.work / "other.yaml").read_text())[0]
    kubesec.path.write_text(kubesec.text.replace(old, new))
    ran = me.run("git", "resolve", "--ours", FILE)
    assert ran.code == 2
    assert "you vouch for what it holds now" in ran.err


@pytest.mark.parametrize("whose", ["nobody's", "another data key's"])
def test_a_key_that_no_side_has_for_this_data_key_is_not_vouched_for(
    kubesec: Repository, world: World, whose: str
) -> None:
    me, two = kubesec.me, str(world.ref("two"))

    def theirs() -> None:
        if whose != "nobody's":
            me.ok("rotate", FILE)
            me.ok("keys", "add", "-k", two, FILE)
        me.ok("set", FILE, f"one=2 {MARK}")

    kubesec.merged(lambda: me.ok("set", FILE, f"one=1 {MARK}"), theirs)
    note = "# ksecret: CONFLICT: the MAC below\n# x\n# x\n"
    ours, other = (kubesec.ok("show", f"{side}:{FILE}") for side in ("ours", "theirs"))
    wrapped = re.findall(r"(?m)^# kubesec:(pgp:.*)$", other)
    line = next((one for one in wrapped if one.startswith(two)), f"{two}:{wrapped[0].rpartition(':')[2]}")
    text = ours.replace("# kubesec:v:", f"{note}# kubesec:v:").replace(
        "# kubesec:mac:", f"# kubesec:{line}\n# kubesec:mac:"
    )
    kubesec.path.write_text(text)
    ran = me.run("git", "resolve", "--ours", FILE)
    assert (ran.code, "you vouch for what it holds now" in ran.err) == (2, True)
    assert kubesec.text == text


def test_kubesec_s_two_lists_are_one_after_sync(kubesec: Repository, world: World) -> None:
    me = kubesec.me
    for name, other in (("ours", "bob"), ("theirs", "two")):
        kubesec.on(name, lambda other=other: me.ok("keys", "add", "-k", str(world.ref(other)), FILE))
    kubesec.ok("checkout", "-q", "ours")
    assert kubesec.git("merge", "-q", "theirs").returncode == 1
    keys = [str(world.ref(name)) for name in ("alice", "bob", "two")]
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{keys: [{', '.join(keys)}]}}]\n".encode())
    text = kubesec.text
    me.ok("git", "resolve", "--both-keys", FILE)
    resolved = kubesec.text
    kubesec.path.write_text(text)
    me.ok("keys", "sync", FILE)
    for one in (resolved, kubesec.text):
        assert sorted(re.findall("(?m)^# kubesec:(pgp:[0-9A-F]+):", one)) == sorted(keys)
        assert "CONFLICT" not in one
    me.ok("decrypt", FILE)


def test_git_s_own_markers_are_told_of_and_left_to_a_person(repo: Repository) -> None:
    def change(value: str) -> None:
        repo.set("one", value)
        repo.replace("app: shop", f"app: {value}")

    text = in_conflict(repo, lambda: change("ours"), lambda: change("theirs"))
    line = text.splitlines().index("<<<<<<< ours") + 1
    for words in ((FILE,), ("-r", ".")):
        ran = repo.me.run("git", "resolve", "--ours", *words)
        assert ran.code == 3
        assert f"{FILE}:{line}: Git's conflict markers stand in it" in ran.err
    assert repo.text == text


@pytest.mark.parametrize(
    "words",
    [
        ("--ours", "--theirs", FILE),
        (FILE,),
        ("--ours",),
        ("--ours", "."),
        ("--show", "--ours", FILE),
    ],
)
def test_wrong_usage(repo: Repository, words: tuple[str, ...]) -> None:
    repo.me.fails(2, "git", "resolve", *words)


def test_what_has_no_conflict_is_left_alone(repo: Repository) -> None:
    before = repo.path.stat()
    repo.me.write("a.yaml", b"a: 1\n")
    assert "2 unchanged" in repo.me.ok("git", "resolve", "--ours", FILE, "a.yaml").err
    assert repo.path.stat().st_ino == before.st_ino
