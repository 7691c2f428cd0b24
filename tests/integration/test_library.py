"""The library: each function does what the command of its name does, and the documents' examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

import secretsvc
from secretsvc import errors

ROOT = Path(secretsvc.__file__).parent.parent
IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = f"age:{IDENTITY.to_public()}"
CLEAR = (ROOT / "examples" / "secret.yaml").read_bytes()


@pytest.fixture
def keyring() -> secretsvc.Keyring:
    return secretsvc.Keyring.from_environ({"KSECRET_AGE_KEY": str(IDENTITY)})


@pytest.fixture
def sealed(keyring: secretsvc.Keyring) -> bytes:
    return secretsvc.encrypt(CLEAR, keyring, to=[RECIPIENT])


def test_the_names_of_the_library_are_these() -> None:
    functions = {"check", "decrypt", "encrypt", "generate", "inspect", "rewrap", "rotate", "set_values", "verify"}
    assert {name for name in secretsvc.__all__ if name.islower()} == functions
    assert {name for name in secretsvc.__all__ if name.istitle()} == {"Keyring", "Recipients"}
    assert set(secretsvc.__all__) <= set(dir(secretsvc))
    for name in secretsvc.__all__:
        assert getattr(secretsvc, name).__doc__, name
    stub = re.findall(r" as (\w+)$", Path(secretsvc.__file__).with_suffix(".pyi").read_text(), re.MULTILINE)
    assert sorted(stub) == sorted(secretsvc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'seal'"):
        secretsvc.seal  # noqa: B018


def test_every_error_that_is_named_is_of_the_tree_and_no_child_of_it_is_missing() -> None:
    named = {name for name in secretsvc.__all__ if name.endswith("Error")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {kind.__name__ for kind in kinds} == named
    assert all(issubclass(kind, secretsvc.KsecretError) for kind in kinds)


def test_the_import_alone_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import secretsvc; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split("'") if name.startswith("secretsvc")} == {"secretsvc"}


def test_what_is_sealed_opens_byte_for_byte(keyring: secretsvc.Keyring, sealed: bytes) -> None:
    assert b"YWRtaW4=" not in sealed
    assert secretsvc.decrypt(sealed, keyring) == CLEAR
    assert secretsvc.verify(sealed, keyring) == 1


def test_the_command_line_opens_what_the_library_sealed(tmp_path: Path, sealed: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(sealed)
    environ = {"KSECRET_AGE_KEY": str(IDENTITY), "PATH": "/usr/bin:/bin"}
    command = [str(Path(sys.executable).parent / "ksecret"), "decrypt", "a.yaml"]
    assert subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=True).stdout == CLEAR


def test_recipients_may_be_a_group_or_several(keyring: secretsvc.Keyring) -> None:
    for groups, threshold in [(((RECIPIENT,),), 0), (((RECIPIENT,), (RECIPIENT,)), 2), (((RECIPIENT,),) * 3, 2)]:
        sealed = secretsvc.encrypt(CLEAR, keyring, to=secretsvc.Recipients(groups, threshold))
        assert (b"threshold: 2" in sealed) is (len(groups) > 1)
        assert secretsvc.decrypt(sealed, keyring) == CLEAR
    with pytest.raises(secretsvc.KeyRefError, match="a threshold of 3 is none that 2 groups"):
        secretsvc.encrypt(CLEAR, keyring, to=secretsvc.Recipients(((RECIPIENT,), (RECIPIENT,)), 3))


def test_without_a_recipient_nothing_is_sealed(keyring: secretsvc.Keyring) -> None:
    with pytest.raises(secretsvc.KeyRefError, match="sample-db-auth has no recipient"):
        secretsvc.encrypt(CLEAR, keyring)


def test_what_was_sealed_before_keeps_its_keyset_and_its_other_tokens(
    keyring: secretsvc.Keyring, sealed: bytes
) -> None:
    token = re.search(rb"username: (\S+)", sealed)[1]
    changed = re.sub(rb"password: \S+", b"password: bm90LWEtc2VjcmV0LWVpdGhlcg==", sealed)
    again = secretsvc.encrypt(changed, keyring)
    assert token in again
    assert b"bm90LWEtc2VjcmV0LWVpdGhlcg==" in secretsvc.decrypt(again, keyring)


def test_a_parent_lends_its_keyset_and_unchanged_tokens(keyring: secretsvc.Keyring, sealed: bytes) -> None:
    again = secretsvc.encrypt(CLEAR, keyring, parent=sealed)
    assert again == sealed


def test_a_scope_lets_a_secret_move(keyring: secretsvc.Keyring) -> None:
    sealed = secretsvc.encrypt(CLEAR, keyring, to=[RECIPIENT], scope="namespace")
    moved = sealed.replace(b"name: sample-db-auth", b"name: other")
    assert secretsvc.verify(moved, keyring) == 1


def test_rotating_makes_new_data_keys_and_tokens(keyring: secretsvc.Keyring, sealed: bytes) -> None:
    rotated = secretsvc.rotate(sealed, keyring)
    assert not set(re.findall(rb"ksecret\.v1\.\S+", rotated)) & set(re.findall(rb"ksecret\.v1\.\S+", sealed))
    assert secretsvc.decrypt(rotated, keyring) == CLEAR


def test_rotating_to_others_shuts_the_former_ones_out(keyring: secretsvc.Keyring, sealed: bytes) -> None:
    other = pyrage.x25519.Identity.generate()
    rotated = secretsvc.rotate(sealed, keyring, to=[f"age:{other.to_public()}"])
    with pytest.raises(secretsvc.NoKeyError, match="none of the age identities"):
        secretsvc.decrypt(rotated, keyring)
    assert secretsvc.decrypt(rotated, secretsvc.Keyring.from_environ({"KSECRET_AGE_KEY": str(other)})) == CLEAR


def test_rewrapping_keeps_the_tokens(keyring: secretsvc.Keyring, sealed: bytes) -> None:
    rewrapped = secretsvc.rewrap(sealed, keyring)
    assert rewrapped != sealed
    assert re.findall(rb"ksecret\.v1\.\S+", rewrapped) == re.findall(rb"ksecret\.v1\.\S+", sealed)


def test_values_are_set_made_and_taken_out(keyring: secretsvc.Keyring, sealed: bytes) -> None:
    changed = secretsvc.set_values(
        sealed, keyring, {"password": b"not-a-secret-2", "more": b"not-a-secret-3", "username": None}
    )
    clear = secretsvc.decrypt(changed, keyring)
    assert b"username" not in clear
    assert b"bm90LWEtc2VjcmV0LTI=" in clear
    assert b"bm90LWEtc2VjcmV0LTM=" in clear
    with pytest.raises(secretsvc.InputError, match="2 Secrets that could be meant"):
        secretsvc.set_values(sealed + b"---\n" + sealed, keyring, {"password": b"x"})


def test_what_was_moved_does_not_open(keyring: secretsvc.Keyring, sealed: bytes) -> None:
    with pytest.raises(secretsvc.AlteredError, match="prod/sample-db-auth") as caught:
        secretsvc.decrypt(sealed.replace(b"namespace: prod", b"namespace: dev"), keyring)
    assert caught.value.hint


def test_inspect_and_check_need_no_key(sealed: bytes) -> None:
    (seen,) = secretsvc.inspect(sealed)
    assert (seen.label, seen.sealed, seen.keys[0]["ref"]) == ("prod/sample-db-auth", True, RECIPIENT)
    assert [finding.code for finding in secretsvc.check(CLEAR, "a.yaml")] == ["KS001"]
    assert secretsvc.check(sealed) == []


def test_a_generated_secret_is_refused_where_no_cluster_takes_it() -> None:
    made = secretsvc.generate("db", {"a": b"1"}, namespace="prod", labels={"app": "x"}, immutable=True)
    assert made.startswith(b"apiVersion: v1\ndata:\n  a: MQ==\nimmutable: true\n")
    with pytest.raises(secretsvc.UsageError, match="DNS subdomain"):
        secretsvc.generate("A B", {"a": b"1"})
    with pytest.raises(secretsvc.InputError, match="letters, digits"):
        secretsvc.generate("db", {"a b": b"1"})


@pytest.mark.parametrize("page", ["docs/library.md", "README.md"])
def test_the_examples_of_the_documents_run(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setenv("KSECRET_AGE_KEY", str(IDENTITY))
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", (ROOT / page).read_text())
    assert blocks
    names: dict[str, object] = {"RECIPIENT": RECIPIENT, "manifest": CLEAR}
    for block in blocks:
        exec(block.replace('"age:age1…"', "RECIPIENT"), names)
