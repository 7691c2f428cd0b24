"""`ksecret encrypt`: where its input comes from, where its output goes, and what each option does to it."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARK, PASSWORD, Person, b64, is_sealed, key_refs, member

if TYPE_CHECKING:
    from pathlib import Path

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def other(name: str) -> bytes:
    return MANIFEST.replace(b"name: db", f"name: {name}".encode())


def test_a_template_is_told_from_a_mistake(me: Person) -> None:
    template = MANIFEST + b"  {{- range .Values.more }}\n  {{ .key }}: {{ .value }}\n  {{- end }}\n"
    assert "it seems to be a template" in me.fails(3, "encrypt", "-", stdin=template)


def test_a_file_is_printed_sealed_and_left_as_it_was(me: Person) -> None:
    path = me.write("a.yaml")
    ran = me.ok("encrypt", "a.yaml")
    assert is_sealed(ran.out)
    assert ran.err == ""
    assert path.read_bytes() == MANIFEST
    assert me.names() == ["a.yaml"]
    for line in (b"# a comment\n", b"  # between\n", b"   # behind\n", b"  namespace: prod\n"):
        assert line in ran.out


def test_the_identity_that_the_environment_names_is_ones_own_key(me: Person, tmp_path: Path) -> None:
    other = Person(tmp_path, "other")
    for environ in ({"KSECRET_AGE_KEY": other.identity}, {"KSECRET_AGE_KEY_FILE": str(other.key_file)}):
        assert key_refs(me.ok("encrypt", "-", stdin=MANIFEST, **environ).out) == [other.ref]
    sealed = me.ok("encrypt", "-", stdin=MANIFEST, KSECRET_AGE_KEY_FILE="absent").out
    assert key_refs(sealed) == [me.ref], "a source that can't be used spoils no other"
    me.key_file.unlink()
    assert "the age identity file absent can't be read" in me.fails(
        6, "encrypt", "-", stdin=MANIFEST, KSECRET_AGE_KEY_FILE="absent"
    )


def test_standard_input_is_sealed(me: Person) -> None:
    sealed = me.ok("encrypt", "-", stdin=MANIFEST).out
    assert is_sealed(sealed)
    assert me.ok("decrypt", "-", stdin=sealed).out == MANIFEST


def test_in_place_changes_the_file_keeps_its_mode_and_prints_nothing(me: Person) -> None:
    path = me.write("a.yaml")
    path.chmod(0o640)
    assert me.ok("encrypt", "-i", "a.yaml") == (0, b"", "")
    assert is_sealed(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert me.names() == ["a.yaml"]


def test_several_files_give_one_stream_and_a_summary(me: Person) -> None:
    me.write("a.yaml")
    me.write("b.yaml", other("second"))
    ran = me.ok("encrypt", "a.yaml", "b.yaml")
    assert ran.out.count(b"\n---\n") == 1
    assert ran.err == "ksecret: 2 sealed, 0 unchanged, 0 failed\n"
    assert me.ok("decrypt", "-", stdin=ran.out).out == MANIFEST + b"---\n" + other("second")


def test_several_files_in_place_are_sealed_each(me: Person) -> None:
    paths = [me.write(name, other(name)) for name in ("a.yaml", "b.yaml", "c.json.yaml")]
    me.ok("encrypt", "-i", *(path.name for path in paths))
    assert all(is_sealed(path.read_bytes()) for path in paths)


def test_a_folder_needs_r_and_then_all_manifests_in_it_are_sealed(me: Person) -> None:
    me.write("d/a.yaml")
    me.write("d/deep/er/b.yml", other("b"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "j"}, "stringData": {"a": MARK}}
    in_json = me.write("d/c.json", json.dumps(secret).encode())
    me.write("d/map.yaml", CONFIG_MAP)
    me.write("d/readme.md", MANIFEST)
    err = me.fails(2, "encrypt", "-i", "d")
    assert err == "ksecret: d: it is a folder\n  add -r for all manifests in it\n"
    ran = me.ok("encrypt", "-i", "-r", "d")
    assert (ran.out, ran.err) == (b"", "ksecret: 3 sealed, 0 unchanged, 1 skipped, 0 failed\n")
    assert MARK not in in_json.read_text()
    assert (me.work / "d/readme.md").read_bytes() == MANIFEST
    assert (me.work / "d/map.yaml").read_bytes() == CONFIG_MAP
    assert me.ok("encrypt", "-i", "-r", "d").err == "ksecret: 0 sealed, 3 unchanged, 1 skipped, 0 failed\n"


def test_a_folder_is_printed_as_one_stream_in_the_order_of_names(me: Person) -> None:
    for name in ("z", "a", "m"):
        me.write(f"d/{name}.yaml", other(name))
    sealed = me.ok("encrypt", "-r", "d").out
    assert me.ok("decrypt", "-", stdin=sealed).out == b"---\n".join(map(other, "amz"))
    assert not is_sealed((me.work / "d/a.yaml").read_bytes())


def test_the_output_goes_to_a_file(me: Person) -> None:
    me.write("a.yaml")
    assert me.ok("encrypt", "-o", "out.yaml", "a.yaml") == (0, b"", "")
    out = me.work / "out.yaml"
    umask = os.umask(0)
    os.umask(umask)
    assert is_sealed(out.read_bytes())
    assert stat.S_IMODE(out.stat().st_mode) == 0o666 & ~umask
    assert me.names() == ["a.yaml", "out.yaml"]


def test_a_dash_as_output_is_standard_output(me: Person) -> None:
    me.write("a.yaml")
    assert is_sealed(me.ok("encrypt", "-o", "-", "a.yaml").out)
    assert me.names() == ["a.yaml"]


@pytest.mark.parametrize("words", [("-i", "-o", "x", "a.yaml"), ("-i", "-"), ("-i", "-o", "-", "a.yaml")])
def test_in_place_goes_with_neither_output_nor_standard_input(me: Person, words: tuple[str, ...]) -> None:
    path = me.write("a.yaml")
    assert "-i changes files in place" in me.fails(2, "encrypt", *words, stdin=MANIFEST)
    assert path.read_bytes() == MANIFEST
    assert me.names() == ["a.yaml"]


@pytest.mark.parametrize(
    "line",
    [
        "encrypt a.yaml -i -k REF",
        "encrypt -i a.yaml --key REF",
        "encrypt -k REF a.yaml --in-place",
        "encrypt a.yaml -ik REF",
        "encrypt -ikREF a.yaml",
        "encrypt --key=REF a.yaml -i",
        "encrypt -k=REF -i -- a.yaml",
        "e -i -k REF a.yaml",
        "--debug encrypt -i -k REF a.yaml",
        "encrypt a.yaml --debug -k REF -i",
    ],
)
def test_options_stand_anywhere_on_the_line(me: Person, tmp_path: Path, line: str) -> None:
    colleague = Person(tmp_path, "colleague")
    path = me.write("a.yaml")
    me.ok(*line.replace("REF", colleague.ref).split())
    assert key_refs(path.read_bytes()) == [colleague.ref]


def test_a_file_whose_name_starts_with_a_dash(me: Person) -> None:
    path = me.write("-i.yaml")
    me.ok("encrypt", "-i", "--", "-i.yaml")
    assert is_sealed(path.read_bytes())


@pytest.mark.parametrize(
    ("scope", "sealed_for"), [("strict", "prod/db"), ("namespace", '"prod/*"'), ("any", '"*/*"'), ("", "prod/db")]
)
def test_the_scope_says_what_it_is_bound_to(me: Person, scope: str, sealed_for: str) -> None:
    sealed = me.ok("encrypt", *(["--scope", scope] if scope else []), "-", stdin=MANIFEST).out
    assert member(sealed, "sealedFor") == sealed_for
    assert me.ok("decrypt", "-", stdin=sealed).out == MANIFEST


def test_a_changed_scope_is_kept_and_changed_back(me: Person) -> None:
    path = me.write_sealed("a.yaml", MANIFEST, "--scope", "any")
    me.ok("encrypt", "-i", "--scope", "namespace", "a.yaml")
    assert member(path.read_bytes(), "sealedFor") == '"prod/*"'
    me.ok("encrypt", "-i", "-k", "+" + Person(me.work.parent, "colleague").ref, "a.yaml")
    assert member(path.read_bytes(), "sealedFor") == '"prod/*"'


def test_a_parent_lends_keys_and_unchanged_tokens(me: Person, tmp_path: Path) -> None:
    colleague = Person(tmp_path, "colleague")
    old = me.write_sealed("old.yaml", MANIFEST, "-k", me.ref, "-k", colleague.ref).read_bytes()
    me.write("new.yaml", MANIFEST.replace(b64(PASSWORD).encode(), b64(f"{MARK}-changed").encode()))
    new = me.ok("encrypt", "--parent", "old.yaml", "new.yaml").out
    assert key_refs(new) == sorted([me.ref, colleague.ref])
    changed = [line for line in new.splitlines() if line not in old.splitlines()]
    assert [line.partition(b":")[0] for line in changed] == [b"  password"]
    assert colleague.ok("decrypt", "-", stdin=new).out == (me.work / "new.yaml").read_bytes()


def test_a_clear_value_in_the_place_of_a_token_is_sealed_and_the_rest_stays(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    edited = before.replace(member(before, "url").encode(), f'"{MARK} edited"'.encode())
    path.write_bytes(edited)
    me.ok("encrypt", "-i", "a.yaml")
    after = path.read_bytes()
    differing = [new for new, old in zip(after.splitlines(), before.splitlines(), strict=True) if new != old]
    assert [line.partition(b":")[0] for line in differing] == [b"  url"]
    assert f'url: "{MARK} edited"\n'.encode() in me.ok("decrypt", "a.yaml").out


def test_a_last_applied_annotation_is_refused_and_removed_on_demand(me: Person) -> None:
    annotation = f'  annotations:\n    {LAST_APPLIED}: \'{{"data":{{"password":"{b64(PASSWORD)}"}}}}\'\n    keep: me\n'
    leaking = MANIFEST.replace(b"type: Opaque", annotation.encode() + b"type: Opaque")
    me.write("a.yaml", leaking)
    err = me.fails(3, "encrypt", "a.yaml")
    assert err.startswith("ksecret: a.yaml:8: the annotation")
    me.write(
        "merged.yaml",
        leaking.replace(b"annotations:\n", b"annotations:\n    <<: &a\n").replace(b"    kube", b"      kube"),
    )
    assert me.fails(3, "encrypt", "merged.yaml").startswith("ksecret: merged.yaml:9: the annotation")
    assert "--from-cluster" in err
    sealed = me.ok("encrypt", "--strip-last-applied", "a.yaml").out
    assert LAST_APPLIED.encode() not in sealed
    assert is_sealed(sealed)
    expected = MANIFEST.replace(b"type: Opaque", b"  annotations:\n    keep: me\ntype: Opaque")
    assert me.ok("decrypt", "-", stdin=sealed).out == expected
