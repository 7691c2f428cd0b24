"""A service's answers about files in SOPS's format: what it makes of one passes, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import BackendError
from secretsvc.operations import document_answers, documents
from secretsvc.operations.documents import changes as document_changes
from secretsvc.operations.documents.keysets import SopsKeyset
from secretsvc.operations.documents.seal import SopsRule, seal_file
from secretsvc.operations.request import ANY_TIME, Changes, Request
from tests.sops_trees import TREES
from tests.support import NO_CHANGE, Lock, new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.operations.documents import SealedTree

NOW, LATER = "2026-01-02T03:04:05Z", "2026-02-02T03:04:05Z"
REQUEST = Request(NO_CHANGE, lambda *_: (), "", LATER, rotate_before=ANY_TIME)
FILES = {
    **{f"{name}.yaml": text.encode() for name, text in TREES.items()},
    "a.json": b'{"a": "x", "b": [1, 2.5, true, null], "clear_unencrypted": {"c": "y"}}\n',
    "a.env": b"# of A\nA=x\n\nB=two\\nlines\nC=\n# foot\n",
    "a.ini": b"; top\n; more\n[db]\n; of user\nuser = x ; inline\npassword: y\n[other]\na = 1\n",
    "a.bin": b"\x00\xff any bytes",
}
WORDS = {
    "a.json": "a",
    "a.env": "A",
    "a.ini": "db.user",
    "clear anchors.yaml": "sealed",
    "merge key.yaml": "c",
}


@pytest.fixture(scope="module")
def lock() -> Lock:
    return new_lock()


def sealed(lock: Lock, name: str, data: bytes) -> SealedTree:
    keys = SopsKeyset((tuple((ref, {}) for ref in lock.keys),))
    made = seal_file(data, keys, SopsRule(), lock.keyring, name=name, now=NOW)
    tree = documents.find(made.data, name)
    assert tree
    return tree


@pytest.mark.parametrize("name", FILES)
def test_what_a_service_makes_of_a_file_passes(lock: Lock, name: str) -> None:
    tree = sealed(lock, name, FILES[name])
    clear = documents.open_file(tree, lock.keyring).data
    document_answers.check_opened(tree, clear)
    document_answers.check_rotated(tree, document_changes.rotate(tree, REQUEST, lock.keyring).data)
    document_answers.check_rewrapped(tree, document_changes.rewrap(tree, LATER, lock.keyring).data)
    paths = [path for path in documents.paths(tree) if path != "clear_unencrypted.c"]
    word = WORDS.get(name, paths[0])
    for changes in (Changes({word: b"new"}), Changes({word: b""})):
        changed = document_changes.set_values(tree, changes, REQUEST, lock.keyring).data
        document_answers.check_set(tree, changed, changes)


YAML = (
    b"clear_unencrypted:\n  # at the top\n  a: 1\n"
    b"db:\n  password: hunter  # of May\n  port: 5432\nreplicas_unencrypted: 2\nlist: [a, b]\n"
)
ADDED = Changes({"db.user": b"admin", "db.port": b"5433", "replicas_unencrypted": b"3"})


class Answers:
    """A file, and what a service made of it."""

    def __init__(self, lock: Lock) -> None:
        self.tree = sealed(lock, "a.yaml", YAML)
        self.opened = documents.open_file(self.tree, lock.keyring).data
        self.rotated = document_changes.rotate(self.tree, REQUEST, lock.keyring).data
        self.rewrapped = document_changes.rewrap(self.tree, LATER, lock.keyring).data
        self.set = document_changes.set_values(self.tree, ADDED, REQUEST, lock.keyring).data
        self.others = sealed(lock, "a.yaml", YAML).document.data

    def pairs(self) -> list[tuple[Callable[[bytes], None], bytes]]:
        """Each check with the answer that passes."""
        tree = self.tree
        return [
            (lambda data: document_answers.check_opened(tree, data), self.opened),
            (lambda data: document_answers.check_rotated(tree, data), self.rotated),
            (lambda data: document_answers.check_rewrapped(tree, data), self.rewrapped),
            (lambda data: document_answers.check_set(tree, data, ADDED), self.set),
        ]


@pytest.fixture(scope="module")
def answers(lock: Lock) -> Answers:
    return Answers(lock)


def token(data: bytes, name: bytes) -> bytes:
    """What stands behind that key."""
    return (
        next(line for line in data.splitlines() if line.strip().startswith(name)).partition(b": ")[2].split(b"  #")[0]
    )


SPOILT: dict[str, Callable[[bytes, Answers], bytes]] = {
    "another file": lambda _, answers: answers.others,
    "nothing": lambda *_: b"",
    "no YAML": lambda *_: b"a: [",
    "a clear value that changed": lambda data, _: data.replace(b"replicas_unencrypted: ", b"replicas_unencrypted: 1"),
    "a comment of its own": lambda data, _: data + b"# more\n",
    "a comment that changed": lambda data, _: data.replace(b"# at the top", b"# on top"),
    "another indentation": lambda data, _: data.replace(b"list: [", b"list:   ["),
    "one value more": lambda data, _: b"more_unencrypted: x\n" + data,
    "a name that changed": lambda data, _: data.replace(b"list:", b"lists:"),
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT)
def test_no_other_answer_passes(answers: Answers, spoilt: Callable[[bytes, Answers], bytes]) -> None:
    for check, good in answers.pairs():
        check(good)
        with pytest.raises(BackendError, match=r"^the service's answer "):
            check(spoilt(good, answers))


def test_no_answer_passes_for_another(answers: Answers) -> None:
    pairs = answers.pairs()
    for check, good in pairs:
        for _, other in [*pairs, (check, answers.tree.document.data)]:
            if other is not good:
                with pytest.raises(BackendError, match=r"^the service's answer "):
                    check(other)


def test_a_value_in_the_clear_never_takes_a_tokens_place(answers: Answers) -> None:
    for check, good in answers.pairs()[1:]:
        for name in (b"password", b"port"):
            with pytest.raises(BackendError, match=r"a value in it is not sealed|other changes in it"):
                check(good.replace(token(good, name), b"hunter"))
    added = token(answers.set, b"user")
    with pytest.raises(BackendError, match="a value in it is not sealed"):
        answers.pairs()[3][0](answers.set.replace(added, b"admin"))


def test_neither_keys_nor_the_rule_change_unasked(lock: Lock, answers: Answers) -> None:
    other, ours = str(new_lock().keys[0].id), lock.keys[0].id
    for check, good in answers.pairs()[1:]:
        for spoilt in (good.replace(ours.encode(), other.encode()), good.replace(b'"_unencrypted"', b'"_clear"')):
            assert spoilt != good
            with pytest.raises(BackendError, match=r"other keys, or by another rule|is not sealed"):
                check(spoilt)


def test_rotation_leaves_no_old_token_and_a_change_no_new_one(answers: Answers) -> None:
    _, (rotated, new), (rewrapped, same), (changed, some) = answers.pairs()
    old = answers.tree.document.data
    with pytest.raises(BackendError, match="has not got a new data key"):
        rotated(new.replace(token(new, b"password"), token(old, b"password")))
    with pytest.raises(BackendError, match="other tokens"):
        rewrapped(same.replace(token(same, b"password"), token(new, b"password")))
    with pytest.raises(BackendError, match="other changes in it"):
        changed(some.replace(token(some, b"password"), token(new, b"password")))
