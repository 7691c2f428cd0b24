"""`dataKey: fresh` against somebody without any key who seals a Secret to prod's public recipient under a DEK of their
own: what the maintainer adds with any command is not theirs to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.errors import AlteredError
from secretsvc.formats.base import Format
from secretsvc.operations.open import open_manifest
from secretsvc.operations.request import Request
from secretsvc.operations.seal import seal_manifest
from tests.e2e.cli import Person
from tests.service import Service, token
from tests.support import CREATED, LOCK, NO_CHANGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from secretsvc.keyref import WrappedKey

KNOWN = bytes(range(32))
PLACEHOLDER = (
    b"apiVersion: v1\nkind: Secret\nmetadata: {name: pay, namespace: prod}\nstringData:\n  api: placeholder\n  old: x\n"
)
REAL = "real-n0t-public"


class Attacker:
    """Holds no key, but the data key."""

    def unwrap(self, keys: Sequence[WrappedKey]) -> bytes:
        return KNOWN

    def signed(self) -> Attacker:
        return self

    def reads(self, sealed: bytes) -> bool:
        """Whether the DEK still is theirs."""
        try:
            return REAL.encode() in open_manifest(sealed, self).data  # type: ignore[arg-type]
        except AlteredError:
            return False


class Maintainer(Person):
    """Somebody with a Secret that an attacker sealed to them, in `s.yaml`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        ref = LOCK.keyring.parse(self.ref)
        with monkeypatch.context() as patched:
            patched.setattr(Format, "new_dek", lambda _: KNOWN)
            request = Request(NO_CHANGE, lambda *_: (ref,), "", CREATED)
            self.evil = seal_manifest(PLACEHOLDER, request, LOCK.keyring).data
        self.environ["EDITOR"] = f"sed -i s/placeholder/{REAL}/"
        self.other = f"age:{pyrage.x25519.Identity.generate().to_public()}"
        self.write("s.yaml", self.evil)

    def policy(self, text: str, name: str = ".ksecret.yaml") -> None:
        self.write(name, f"version: 1\n{text.format(self.ref)}\n".encode())

    @property
    def sealed(self) -> bytes:
        return (self.work / "s.yaml").read_bytes()

    def adds_by_hand(self) -> None:
        self.write("s.yaml", self.evil.replace(b"stringData:\n", f"stringData:\n  new: {REAL}\n".encode()))


def set_(me: Maintainer) -> None:
    me.ok("set", "s.yaml", f"api={REAL}")


def edit(me: Maintainer) -> None:
    me.ok("edit", "s.yaml")


def patch(me: Maintainer) -> None:
    me.ok("patch", "-i", "s.yaml", "-s", f"api={REAL}")


def encrypt(me: Maintainer) -> None:
    me.adds_by_hand()
    me.ok("encrypt", "-i", "s.yaml")


def sync(me: Maintainer) -> None:
    me.ok("keys", "sync", "s.yaml")
    set_(me)


def add(me: Maintainer) -> None:
    me.ok("keys", "add", "-k", me.other, "s.yaml")
    set_(me)


def rewrap(me: Maintainer) -> None:
    me.ok("rotate", "--rewrap", "s.yaml")
    set_(me)


def parent(me: Maintainer) -> None:
    me.write("../new.yaml", PLACEHOLDER.replace(b"placeholder", REAL.encode()))
    me.ok("encrypt", "--parent", "s.yaml", "-o", "s.yaml", "../new.yaml")


def parent_elsewhere(me: Maintainer) -> None:
    me.write("../s.yaml", me.evil)
    me.write("../new.yaml", PLACEHOLDER.replace(b"placeholder", REAL.encode()))
    me.ok("encrypt", "--parent", "../s.yaml", "-o", "s.yaml", "../new.yaml")


def merge(me: Maintainer) -> None:
    me.write("../new.yaml", PLACEHOLDER.replace(b"stringData:", f"stringData:\n  new: {REAL}".encode()))
    me.ok("merge", "s.yaml", "../new.yaml", "-o", "../merged.yaml")
    me.write("s.yaml", (me.work / "../merged.yaml").read_bytes())


WAYS = [set_, edit, patch, encrypt, sync, add, rewrap, parent, parent_elsewhere, merge]


@pytest.fixture
def me(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maintainer:
    return Maintainer(tmp_path, monkeypatch)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_is_added_is_not_readable_to_who_knew_the_data_key(
    me: Maintainer, way: Callable[[Maintainer], None]
) -> None:
    me.policy("rules: [{{keys: ['{}']}}]")
    way(me)
    assert Attacker().reads(me.sealed), "without it the attack works, or this tests nothing"
    me.write("s.yaml", me.evil)
    me.policy("dataKey: fresh\nrules: [{{keys: ['{}']}}]")
    way(me)
    assert not Attacker().reads(me.sealed)
    assert REAL in me.ok("decrypt", "s.yaml").out.decode()


def test_through_a_service_too(me: Maintainer, tmp_path: Path) -> None:
    me.policy("dataKey: fresh")
    with Service(tmp_path) as service:
        me.environ |= {"KSECRET_SERVER": f"http://127.0.0.1:{service.port}", "KSECRET_TOKEN": token("root")}
        me.write("s.yaml", PLACEHOLDER)
        me.ok("encrypt", "-i", "s.yaml")
        before = me.sealed
        set_(me)
        assert REAL in me.ok("decrypt", "s.yaml").out.decode()
        assert not {line for line in tokens(before) if line in tokens(me.sealed)}
        before = me.sealed
        me.write("s.yaml", before.replace(b"stringData:\n", f"stringData:\n  new: {REAL}\n".encode()))
        me.ok("encrypt", "-i", "s.yaml")
        assert not {line for line in tokens(before) if line in tokens(me.sealed)}
        assert me.ok("decrypt", "s.yaml").out.decode().count(REAL) == 2


def tokens(sealed: bytes) -> list[str]:
    return [word for word in sealed.decode().split() if word.startswith("ksecret.v1.")]


def test_nothing_is_made_anew_where_nothing_changes(me: Maintainer) -> None:
    me.policy("dataKey: fresh\nrules: [{{keys: ['{}']}}]")
    me.environ["EDITOR"] = "true"
    for words in (["edit"], ["keys", "sync"], ["encrypt", "-i", "--if-needed"], ["patch", "-i", "-l", "app=web"]):
        me.ok(*words, "s.yaml")
        assert tokens(me.sealed) == tokens(me.evil)
    me.ok("set", "s.yaml", "api=placeholder")
    assert tokens(me.sealed) == tokens(me.evil)


def test_an_entry_that_goes_takes_the_old_data_key_along(me: Maintainer) -> None:
    """Its token, put back, would open under that."""
    me.ok("unset", "s.yaml", "old")
    assert tokens(me.sealed) == tokens(me.evil)[:1]
    me.policy("dataKey: fresh")
    me.write("s.yaml", me.evil)
    me.ok("unset", "s.yaml", "old")
    assert len(tokens(me.sealed)) == 1
    assert tokens(me.sealed)[0] not in tokens(me.evil)
    me.write("s.yaml", me.evil)
    me.environ["EDITOR"] = "sed -i /old:/d"
    me.ok("edit", "s.yaml")
    assert tokens(me.sealed)[0] not in tokens(me.evil)


def test_a_rule_says_it_for_its_own_files(me: Maintainer) -> None:
    me.policy("dataKey: fresh\nrules: [{{name: pay, keys: ['{0}'], dataKey: kept}}, {{keys: ['{0}']}}]")
    set_(me)
    assert Attacker().reads(me.sealed)
    me.write("s.yaml", me.evil)
    me.policy("rules: [{{name: pay, keys: ['{0}'], dataKey: fresh}}, {{keys: ['{0}']}}]")
    set_(me)
    assert not Attacker().reads(me.sealed)
