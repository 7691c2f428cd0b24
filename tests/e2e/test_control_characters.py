"""What files say of themselves (names, keys, their own names) is shown, and controls no terminal.

ESC and its eight-bit relatives (C1), line separators, and what turns the direction of text.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.cli import Person, Ran, b64
from tests.e2e.git_repository import Repository

ODD = "\x1b[31m\x07\x7f\x9b31m\x85\x90q\u2028\u2029\u202e\u2066\u200b\u061c\ufeff"
FILE = f"a{ODD}b.yaml"
MANIFEST = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: "nxyz", namespace: "sxyz", labels: {{"lxyz": x}}}}
type: "txyz"
data:
  "kuvw": {b64("n0t-public")}
"""


def is_harmless(ran: Ran) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in ran.out.decode() + ran.err)


def sealed(me: Person) -> None:
    """The odd manifest under its odd name, as somebody made it out of a sealed one, and one in the clear."""
    path = me.write_sealed(FILE, MANIFEST.encode())
    odd = json.dumps(ODD)[1:-1]
    path.write_text(path.read_text().replace("xyz", odd))
    me.write(f"key-{FILE}", path.read_bytes().replace(b"uvw", odd.encode()))
    me.write(f"clear-{FILE}", MANIFEST.replace("xyz", odd).encode())


READERS = [
    *(["inspect"], ["inspect", "--json"], ["keys", "list"], ["keys", "list", "--json"], ["verify"], ["check"]),
    *(["check", "--json"], ["check", "--sarif"], ["rotate", "--dry-run"], ["keys", "sync", "--dry-run"]),
    *(["get", "--secret=x"], ["doctor"], ["decrypt", "--output-format", "json"], ["decrypt", "--output-format", "env"]),
    *(["exec"], ["merge"], ["rename"], ["convert", "--to", "kubesec"], ["unset"], ["edit"], ["audit", "verify"]),
]


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_what_is_told_of_a_file_controls_no_terminal(me: Person, words: list[str]) -> None:
    sealed(me)
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{keys: ['{me.ref}']}}]\n".encode())
    for more in (
        [FILE],
        [f"key-{FILE}"],
        [f"clear-{FILE}"],
        [f"absent-{FILE}"],
        [FILE, f"k{ODD}"],
        [f"--x{ODD}"],
        [FILE, f"-z{ODD}"],
    ):
        ran = me.run(*words, *more, EDITOR="true")
        assert is_harmless(ran), more


def test_json_says_the_same_as_before(me: Person) -> None:
    sealed(me)
    (told,) = map(json.loads, me.ok("inspect", "--json", FILE).out.splitlines())
    assert (told["file"], told["name"], told["namespace"], told["type"]) == (FILE, f"n{ODD}", f"s{ODD}", f"t{ODD}")
    (listed,) = map(json.loads, me.ok("keys", "list", "--json", FILE).out.splitlines())
    assert (listed["file"], listed["name"]) == (FILE, f"n{ODD}")
    me.write_sealed("b.yaml", MANIFEST.replace('"lxyz": x', f"l: {json.dumps(ODD)}").encode())
    ran = me.ok("decrypt", "--output-format", "json", "b.yaml")
    assert json.loads(ran.out)["metadata"]["labels"] == {"l": ODD}
    assert is_harmless(ran)


def test_a_report_and_the_log_of_a_service_that_lie_there(me: Person) -> None:
    sealed(me)
    me.write("r.jsonl", json.dumps({"run": "rotate", "shard": "", "started": ODD}).encode() + b"\n")
    ran = me.run("rotate", "-r", "--report", "r.jsonl", ".")
    assert "going on with the run that began at" in ran.err
    assert is_harmless(ran)
    assert is_harmless(Ran(0, (me.work / "r.jsonl").read_bytes(), ""))
    me.write(f"log{ODD}", json.dumps({"chain": ODD, "previous": "0" * 64}).encode() + b"\nx\nx\n")
    assert is_harmless(me.run("audit", "verify", f"log{ODD}"))


def test_paths_of_ones_own(me: Person) -> None:
    odd = {"XDG_CONFIG_HOME": str(me.home / ODD), "KUSTOMIZE_PLUGIN_HOME": str(me.home / ODD)}
    for words in (["init"], ["init"], ["kustomize", "install"], ["kustomize", "install"], ["serve", "--check"]):
        assert is_harmless(me.run(*words, **odd)), words
    assert is_harmless(me.run("serve", "--check", "--config", ODD))


def test_what_git_says(me: Person) -> None:
    repo = Repository(me)
    sealed(me)
    repo.ok("add", "--all")
    for words in (["check", "--staged"], ["git", "setup", "x.yaml"], ["git", "merge", FILE, FILE, FILE, FILE]):
        assert is_harmless(me.run(*words)), words
