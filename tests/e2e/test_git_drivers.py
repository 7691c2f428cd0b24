"""The merge driver under the real git: merge, rebase, cherry-pick, stash; afterwards the file opens, or is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.cli import MARK, Person, b64, key_refs
from tests.e2e.git_repository import CLEAR, FILE, Repository, changed, with_added

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(Person(tmp_path))


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path, "ann")


def in_conflict(repo: Repository) -> str:
    """The file's text after a merge that left a conflict: good YAML without markers, marked unmerged, and refused."""
    text = repo.text
    assert "<<<<<<<" not in text
    assert "# ksecret: CONFLICT" in text
    yaml.compose(text)
    assert yaml.safe_load(text)["kind"] == "Secret"
    assert repo.ok("diff", "--name-only", "--diff-filter=U").strip('"\n') == FILE
    refusal = repo.me.fails(5, "decrypt", FILE)
    if "# kubesec:" not in text:
        assert "a merge waits for you" in refusal
        assert b" KS012 " in repo.me.run("check", FILE).out
    assert repo.me.run("encrypt", "-i", FILE).code != 0
    assert repo.text == text
    return text


def without_comments(text: str) -> str:
    """A conflict's comment lines deleted."""
    return re.sub(r"(?m)^ *# (ksecret: CONFLICT|Keep|Delete|To take).*\n", "", text)


def resolve(repo: Repository, text: str) -> str:
    repo.path.write_text(text)
    return repo.clear()


def test_entries_added_at_the_same_place_are_both_kept(repo: Repository) -> None:
    done = repo.merged(lambda: repo.add("two", "mine", "m"), lambda: repo.add("two", "yours", "y"))
    assert done.returncode == 0
    assert repo.clear() == with_added(CLEAR, "two", ("mine", "m"), ("yours", "y"))
    repo.me.ok("verify", FILE)


def test_plain_git_would_have_conflicted(tmp_path: Path) -> None:
    repo = Repository(Person(tmp_path), plain=True)
    assert repo.merged(lambda: repo.add("two", "mine", "m"), lambda: repo.add("two", "yours", "y")).returncode == 1


def test_neighbouring_values_changed_on_two_sides_merge(repo: Repository) -> None:
    done = repo.merged(lambda: repo.set("one", "1"), lambda: repo.set("two", "2"))
    assert done.returncode == 0
    assert repo.clear() == changed(one="1", two="2")


def test_what_nobody_changed_stays_and_what_somebody_changed_around_is_taken(repo: Repository) -> None:
    def ours() -> None:
        repo.set("one", "1")
        repo.replace("# behind", "# still behind")
        repo.replace("# for the shop", "# for the big shop")

    def theirs() -> None:
        repo.set("two", "2")
        repo.replace("# above three", "# over three")
        repo.replace("app: shop", "app: store")

    assert repo.merged(ours, theirs).returncode == 0
    expected = changed(one="1", two="2").replace("# behind", "# still behind").replace("above", "over")
    assert repo.clear() == expected.replace("for the shop", "for the big shop").replace("app: shop", "app: store")


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_removed_entry_that_the_other_side_left_alone_is_removed(repo: Repository, side: str) -> None:
    changes = [lambda: repo.remove("one"), lambda: repo.set("two", "2")]
    assert repo.merged(*(changes if side == "ours" else reversed(changes))).returncode == 0
    assert repo.clear() == changed(one="", two="2")


def test_the_same_value_changed_twice_keeps_both_tokens_and_opens_once_one_is_chosen(repo: Repository) -> None:
    done = repo.merged(lambda: repo.set("two", "ours"), lambda: repo.set("two", "theirs"))
    assert done.returncode == 1
    assert f'ksecret: {FILE}: CONFLICT: prod/db: data["two"]' in done.stderr + done.stdout
    text = in_conflict(repo)
    values = yaml.safe_load(text)["data"]
    assert {values["two"], values["two.CONFLICT"]} == {
        yaml.safe_load(repo.ok("show", f"{side}:{FILE}"))["data"]["two"] for side in ("ours", "theirs")
    }
    bare = without_comments(text)
    assert "CONFLICT" in bare
    assert resolve(repo, re.sub(r".*two\.CONFLICT.*\n", "", bare)) == changed(two="ours")
    assert resolve(repo, re.sub(r" *two:.*\n", "", bare).replace(".CONFLICT", "")) == changed(two="theirs")
    assert MARK in repo.me.ok("decrypt", "-x", "-", stdin=repo.ok("show", f":3:{FILE}").encode()).out.decode()


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_removed_here_and_changed_there_is_a_conflict(repo: Repository, side: str) -> None:
    changes = [lambda: repo.remove("one"), lambda: repo.set("one", "1")]
    assert repo.merged(*(changes if side == "ours" else reversed(changes))).returncode == 1
    text = in_conflict(repo)
    other = "theirs" if side == "ours" else "ours"
    assert f'{side} removed "one", {other} changed it' in text
    assert resolve(repo, without_comments(text).replace(".CONFLICT", "")) == changed(one="1")
    assert resolve(repo, re.sub(r".*one\.CONFLICT.*\n", "", without_comments(text))) == changed(one="")


def test_the_same_key_added_twice_is_a_conflict_in_quotes_and_blocks_too(repo: Repository) -> None:
    def add(value: str) -> None:
        repo.replace("stringData:\n", f'stringData:\n  "k.ey": {value}\n')

    done = repo.merged(lambda: add(f"'{MARK} 1'"), lambda: add(f"|-\n    {MARK} 2"))
    assert done.returncode == 1
    bare = without_comments(in_conflict(repo))
    expected = CLEAR.replace("stringData:\n", f"stringData:\n  \"k.ey\": '{MARK} 1'\n")
    assert resolve(repo, re.sub(r' *"k\.ey\.CONFLICT".*\n.*\n', "", bare)) == expected
    expected = CLEAR.replace("stringData:\n", f'stringData:\n  "k.ey": |-\n    {MARK} 2\n')
    assert resolve(repo, re.sub(r' *"k\.ey":.*\n', "", bare).replace(".CONFLICT", "")) == expected


def test_rebase(repo: Repository) -> None:
    repo.on("ours", lambda: repo.add("two", "mine", "m"))
    repo.on("theirs", lambda: repo.add("two", "yours", "y"))
    repo.set("one", "1")
    repo.commit()
    repo.ok("rebase", "-q", "ours")
    expected = with_added(CLEAR, "two", ("mine", "m"), ("yours", "y"))
    assert repo.clear() == expected.replace(b64(f"one {MARK}"), b64(f"1 {MARK}"))


def test_a_rebase_that_stops_says_ours_for_the_branch_that_it_goes_onto(repo: Repository) -> None:
    repo.on("onto", lambda: repo.set("one", "onto"))
    repo.on("mine", lambda: repo.set("one", "mine"))
    assert repo.git("rebase", "onto").returncode == 1
    bare = without_comments(in_conflict(repo))
    assert resolve(repo, re.sub(r".*one\.CONFLICT.*\n", "", bare)) == changed(one="onto")
    resolve(repo, re.sub(r" *one:.*\n", "", bare).replace(".CONFLICT", ""))
    repo.ok("add", FILE)
    repo.ok("rebase", "--continue")
    assert repo.clear() == changed(one="mine")


def test_cherry_pick_and_revert(repo: Repository) -> None:
    repo.on("other", lambda: repo.set("three", "3"))
    repo.add("two", "yours", "y")
    repo.commit()
    repo.on("mine", lambda: repo.add("two", "mine", "m"), "main")
    repo.ok("cherry-pick", "other")
    assert repo.clear() == with_added(CLEAR, "two", ("mine", "m"), ("yours", "y"))
    repo.ok("revert", "--no-edit", "HEAD~1")
    assert repo.clear() == with_added(CLEAR, "two", ("yours", "y"))


def test_stash_pop(repo: Repository) -> None:
    repo.add("two", "mine", "m")
    repo.ok("stash", "-q")
    repo.add("two", "yours", "y")
    repo.commit()
    repo.ok("stash", "pop", "-q")
    assert repo.clear() == with_added(CLEAR, "two", ("yours", "y"), ("mine", "m"))


def test_a_criss_cross_merge_does_not_settle_a_conflict_by_itself(repo: Repository) -> None:
    """Git merges the two ancestors first, with the same driver, and what it leaves there is the base."""
    repo.on("a", lambda: repo.set("one", "a"))
    repo.on("b", lambda: repo.set("one", "b"))
    texts = {name: repo.ok("show", f"{name}:{FILE}") for name in ("a", "b")}
    for branch, other, taken in (("x", "b", "a"), ("y", "a", "b")):
        repo.ok("checkout", "-q", "-b", branch, taken)
        assert repo.git("merge", "-q", other).returncode == 1
        repo.path.write_text(texts[taken])
        repo.commit()
    assert repo.git("merge", "-q", "x").returncode == 1
    assert set(yaml.safe_load(in_conflict(repo))["data"]) == {"one", "one.CONFLICT", "two", "three"}


def test_a_key_added_here_and_an_entry_there(repo: Repository, ann: Person) -> None:
    done = repo.merged(
        lambda: repo.me.ok("encrypt", "-i", "-k", "+" + ann.ref, FILE), lambda: repo.add("three", "new", "n")
    )
    assert done.returncode == 0
    assert ann.ok("decrypt", FILE).out.decode() == repo.clear() == with_added(CLEAR, "three", ("new", "n"))


def test_keys_added_on_both_sides_conflict_and_what_is_told_settles_it(
    repo: Repository, ann: Person, tmp_path: Path
) -> None:
    bob = Person(tmp_path, "bob")
    done = repo.merged(
        lambda: repo.me.ok("encrypt", "-i", "-k", "+" + ann.ref, FILE),
        lambda: repo.me.ok("encrypt", "-i", "-k", "+" + bob.ref, FILE),
    )
    assert done.returncode == 1
    text = in_conflict(repo)
    (command,) = re.findall(r"then: ksecret (encrypt .*)", text)
    lines = without_comments(text).splitlines(keepends=True)
    repo.path.write_text("".join(lines[: lines.index("  conflict: |\n")]))
    repo.me.ok(*command.split())
    assert key_refs(repo.path.read_bytes()) == sorted([repo.me.ref, ann.ref, bob.ref])
    assert bob.ok("decrypt", FILE).out.decode() == ann.ok("decrypt", FILE).out.decode() == CLEAR


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_new_data_key_is_taken_whole_where_the_other_side_changed_no_entry(repo: Repository, side: str) -> None:
    changes = [repo.rotate, lambda: repo.replace("app: shop", "app: store")]
    assert repo.merged(*(changes if side == "ours" else reversed(changes))).returncode == 0
    assert repo.clear() == CLEAR.replace("app: shop", "app: store")
    assert [line for line in repo.text.splitlines() if "ksecret.v1." in line] == [
        line for line in repo.ok("show", f"{side}:{FILE}").splitlines() if "ksecret.v1." in line
    ]


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_new_data_key_and_a_changed_value_conflict(repo: Repository, side: str) -> None:
    def change() -> None:
        repo.set("one", "1")
        repo.add("one", "new", "n")

    changes = [repo.rotate, change]
    assert repo.merged(*(changes if side == "ours" else reversed(changes))).returncode == 1
    text = in_conflict(repo)
    assert f"{side} has a new data key" in text
    lines = [line for line in without_comments(text).splitlines(keepends=True) if ".CONFLICT" not in line]
    assert resolve(repo, "".join(lines)) == CLEAR
    repo.set("one", "1")
    assert repo.clear() == changed(one="1")


def test_wrapped_anew_on_both_sides_and_values_changed(repo: Repository) -> None:
    def change(key: str) -> None:
        repo.me.ok("rotate", "--rewrap", FILE)
        repo.set(key, key.upper())

    assert repo.merged(lambda: change("one"), lambda: change("two")).returncode == 0
    assert repo.clear() == changed(one="ONE", two="TWO")


def test_new_data_keys_on_both_sides_conflict(repo: Repository) -> None:
    assert repo.merged(repo.rotate, repo.rotate).returncode == 1
    assert "both sides have a new data key" in in_conflict(repo)
    repo.ok("checkout", "--theirs", FILE)
    assert repo.clear() == CLEAR


def test_a_conflict_outside_the_values_is_marked_as_git_does_and_the_values_are_merged(repo: Repository) -> None:
    def change(key: str) -> None:
        repo.set(key, key.upper())
        repo.replace("app: shop", f"app: {key}")

    assert repo.merged(lambda: change("one"), lambda: change("two")).returncode == 1
    text = repo.text
    assert re.search("<<<<<<< ours\n    app: one\n=======\n    app: two\n>>>>>>> theirs\n", text)
    assert resolve(repo, re.sub(r"(<<<<<<<|=======|>>>>>>>).*\n(    app: two\n)?", "", text)) == changed(
        one="ONE", two="TWO"
    ).replace("app: shop", "app: one")


@pytest.mark.parametrize(
    "name", ["a b.yaml", "it's.yaml", 'qu"ote.yaml', "new\nline.yaml", "-dash.yaml", "$(x).yaml", "ü.yaml"]
)
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    repo = Repository(Person(tmp_path), name=name)
    assert repo.merged(lambda: repo.add("two", "mine", "m"), lambda: repo.add("two", "yours", "y")).returncode == 0
    assert repo.clear() == with_added(CLEAR, "two", ("mine", "m"), ("yours", "y"))
    assert "<sealed " in repo.ok("log", "-p", "-1", "-m", "--first-parent")
    repo.ok("checkout", "-q", "main")
    repo.set("one", "1")
    assert "<sealed " in repo.ok("diff")


def test_crlf(tmp_path: Path) -> None:
    repo = Repository(Person(tmp_path), CLEAR.replace("\n", "\r\n"))
    assert repo.merged(lambda: repo.add("two", "mine", "m"), lambda: repo.add("two", "yours", "y")).returncode == 0
    assert repo.clear() == with_added(CLEAR, "two", ("mine", "m"), ("yours", "y")).replace("\n", "\r\n")


def test_crlf_in_the_work_tree_only(repo: Repository) -> None:
    repo.ok("config", "core.autocrlf", "true")
    assert repo.merged(lambda: repo.add("two", "mine", "m"), lambda: repo.add("two", "yours", "y")).returncode == 0
    assert "\n" not in repo.text.replace("\r\n", "")
    assert repo.clear().replace("\r", "") == with_added(CLEAR, "two", ("mine", "m"), ("yours", "y"))


def test_one_side_turned_to_crlf(repo: Repository) -> None:
    def convert() -> None:
        repo.path.write_bytes(repo.text.replace("\n", "\r\n").encode())

    assert repo.merged(convert, lambda: repo.set("one", "1")).returncode == 0
    assert repo.clear().replace("\r", "") == changed(one="1")
    assert "\n" not in repo.text.replace("\r\n", "")


DOCUMENTS = f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: a}}
data:
  plain: text
---
apiVersion: v1
kind: Secret
metadata: {{name: first}}
data:
  one: {b64(MARK)}
---
apiVersion: v1
kind: Secret
metadata: {{name: second}}
data:
  two: {b64(MARK)}"""
LISTED = f"""\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {{name: first}}
  data:
    one: {b64(MARK)}
- kind: Secret
  apiVersion: v1
  metadata: {{name: second}}
  data:
    two: {b64(MARK)}
"""


@pytest.mark.parametrize("clear", [DOCUMENTS, LISTED])
def test_several_secrets_in_a_file(tmp_path: Path, clear: str) -> None:
    repo = Repository(Person(tmp_path), clear)

    def ours() -> None:
        repo.add("one", "mine", "m")
        repo.add("two", "mine2", "m")

    def theirs() -> None:
        repo.add("one", "yours", "y")
        repo.set("two", "2")

    assert repo.merged(ours, theirs).returncode == 0
    first, second = [
        document["data"] for document in yaml.safe_load_all(repo.clear()) if document["kind"] == "Secret"
    ] or [item["data"] for item in yaml.safe_load(repo.clear())["items"]]
    text = {key: b64(f"{value} {MARK}") for key, value in {"m": "m", "y": "y", "2": "2"}.items()}
    assert first == {"one": b64(MARK), "mine": text["m"], "yours": text["y"]}
    assert second == {"two": text["2"], "mine2": text["m"]}


def test_json_merges_as_git_merges_it(tmp_path: Path) -> None:
    lines = ['{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},', '"data": {"a": "YQ=="}}']
    repo = Repository(Person(tmp_path), "\n\n\n".join(lines), "s.json")
    sealed = repo.text.splitlines()[-1]
    done = repo.merged(
        lambda: repo.replace('"v1", ', '"v1",  '), lambda: repo.replace(sealed, sealed.replace('"a": ', '"a":  '))
    )
    assert done.returncode == 0
    assert repo.clear() == "\n\n\n".join(lines).replace('"v1", ', '"v1",  ').replace('"a": ', '"a":  ')


def test_the_same_line_of_json_conflicts_with_markers(tmp_path: Path) -> None:
    clear = (
        '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {\n"a": "YQ==",\n"b": "Yg=="\n}}\n'
    )
    repo = Repository(Person(tmp_path), clear, "s.json")

    def change() -> None:
        repo.replace(re.findall('"(ksecret.v1[^"]*)"', repo.text)[0], b64(MARK))

    done = repo.merged(change, change)
    assert done.returncode == 1
    assert "<<<<<<<" in repo.text


@pytest.mark.parametrize("text", ["a: 1\n\nb: 2\n\nc: 3\n", "{{ if }}\n\nb: 2\n\nkind: Secret\n"])
def test_other_files_merge_as_git_merges_them(tmp_path: Path, text: str) -> None:
    repo = Repository(Person(tmp_path), "", "plain.yaml")
    repo.path.write_text(text)
    repo.commit()

    def change(old: str, new: str) -> None:
        repo.path.write_text(repo.text.replace(old, new))

    first, last = text.splitlines()[0], text.splitlines()[-1]
    assert repo.merged(lambda: change(first, "x: 1"), lambda: change(last, "y: 1")).returncode == 0
    assert repo.text == "x: 1\n\nb: 2\n\ny: 1\n"
    repo.ok("checkout", "-q", "ours")
    change("x: 1", "z: 1")
    repo.commit()
    repo.on("fourth", lambda: change("x: 1", "w: 1"), "HEAD~1")
    assert repo.git("merge", "ours").returncode == 1
    assert "<<<<<<< ours\nw: 1\n=======\nz: 1\n>>>>>>> theirs\n" in repo.text


@pytest.fixture
def kubesec(tmp_path: Path, world: World) -> Repository:
    """A repository whose file is in kubesec's format, sealed to a PGP key."""
    me = Person(tmp_path)
    me.environ |= {"GNUPGHOME": world.alice.path}
    repo = Repository(me, "", plain=True)
    me.ok("git", "setup")
    repo.path.write_text(changed().partition("stringData:")[0])
    me.ok("encrypt", "-i", "--format", "kubesec", "-k", str(world.ref("alice")), FILE)
    repo.commit()
    return repo


def test_kubesec_s_format_merges_and_gets_its_mac_from_somebody_with_a_key(kubesec: Repository) -> None:
    me = kubesec.me
    done = kubesec.merged(lambda: me.ok("set", FILE, f"one=1 {MARK}"), lambda: me.ok("set", FILE, f"two=2 {MARK}"))
    assert done.returncode == 1
    text = kubesec.text
    assert "<<<<<<<" not in text
    assert me.run("decrypt", FILE).code == 5
    (command,) = re.findall(r"# ksecret (encrypt -i --recompute-mac .*)", text)
    kubesec.path.write_text(re.sub(r"(?m)^# (ksecret|Settle).*\n", "", text))
    me.ok(*command.split(), "--yes")
    expected = changed(one="1", two="2").partition("stringData:")[0]
    assert me.ok("decrypt", FILE).out.decode() == expected


def test_kubesec_s_format_with_one_value_changed_twice(kubesec: Repository) -> None:
    me = kubesec.me
    done = kubesec.merged(lambda: me.ok("set", FILE, f"one=1 {MARK}"), lambda: me.ok("set", FILE, f"one=2 {MARK}"))
    assert done.returncode == 1
    assert me.run("encrypt", "-i", "--recompute-mac", "--yes", FILE).code == 5
    text = without_comments(kubesec.text)
    kubesec.path.write_text(re.sub(r".*one\.CONFLICT.*\n", "", re.sub(r"(?m)^# (ksecret|Settle).*\n", "", text)))
    me.ok("decrypt", FILE)  # for it is what ours was, and so is the MAC
    assert "+  one: <sealed" in kubesec.ok("show", "theirs")
    show = (
        "-c",
        "diff.ksecret.textconv=ksecret git textconv --show --",
        "-c",
        "diff.ksecret.cachetextconv=false",
        "show",
    )
    assert f'+  one: "2 {MARK}"' in kubesec.ok(*show, "theirs")
    kubesec.commit()
    me.ok("set", FILE, f"two=first {MARK}\nsecond\n")
    kubesec.commit()
    me.ok("set", FILE, f"two=first {MARK}\nsecond of two\n")
    lines = kubesec.ok(*show[:-1], "diff").splitlines()
    at = lines.index(f'   two: "first {MARK}\\n')
    assert lines[at + 1 : at + 3] == [r'-    second\n"   # behind', r'+    second of two\n"   # behind']
