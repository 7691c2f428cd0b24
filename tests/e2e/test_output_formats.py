"""`ksecret decrypt --output-format`: Kubernetes' JSON, and variables as a shell reads them."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from base64 import b64decode
from typing import Any

import pytest
import yaml

from tests.e2e.cli import CONFIG_MAP, KSECRET, MANIFEST, MARK, PASSWORD, URL, USER, Person, b64

SHELLS = [shell for shell in ("sh", "bash", "dash", "busybox", "ksh", "zsh") if shutil.which(shell)]


def as_json(me: Person, *files: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(me.ok("decrypt", "--output-format=json", *files).out)
    return found


def manifest(**entries: bytes) -> bytes:
    rows = "".join(f"  {key}: {b64(value)!r}\n" for key, value in entries.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata:\n{rows}".encode()


def test_one_secret_is_an_object(me: Person) -> None:
    more = b'  labels: &l {"12": "1e3", "on": off!}\n  annotations: *l\nimmutable: true\ntype:'
    text = MANIFEST.replace(b"type:", more)
    me.write_sealed("a.yaml", CONFIG_MAP + b"---\n" + text)
    assert as_json(me, "a.yaml") == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "db",
            "namespace": "prod",
            "labels": {"12": "1e3", "on": "off!"},
            "annotations": {"12": "1e3", "on": "off!"},
        },
        "immutable": True,
        "type": "Opaque",
        "data": {"username": b64(USER), "password": b64(PASSWORD)},
        "stringData": {"url": URL},
    }
    assert me.ok("decrypt", "--output-format=yaml", "a.yaml").out == CONFIG_MAP + b"---\n" + text


def test_several_secrets_are_a_list(me: Person) -> None:
    me.write_sealed("d/a.yaml")
    entry = f'"data": {{"a": "{b64(MARK)}"}}'
    secrets = ", ".join(f'{{"metadata": {{"name": "{name}"}}, {entry}}}' for name in "xy")
    me.write_sealed("d/b.json", f'{{"apiVersion": "v1", "kind": "SecretList", "items": [{secrets}]}}'.encode())
    me.write("d/map.yaml", CONFIG_MAP)
    me.write("d/clear.yaml", MANIFEST)
    found = as_json(me, "-r", "d")
    assert (found["apiVersion"], found["kind"]) == ("v1", "List")
    assert [(one["kind"], one["metadata"]["name"]) for one in found["items"]] == [
        ("Secret", "db"),
        ("Secret", "x"),
        ("Secret", "y"),
    ]


def test_json_is_yaml_too_whatever_the_value(me: Person) -> None:
    text = '"\\x00\\x7f\\x85\\u2028\\ufeff é \\U0001F511 \\\\ \\" ' + MARK + '"'
    me.write_sealed(
        "a.yaml", f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData:\n  k: {text}\n".encode()
    )
    out = me.ok("decrypt", "--output-format=json", "a.yaml").out
    expected = f'\0\x7f\x85\u2028\ufeff é \U0001f511 \\ " {MARK}'
    assert json.loads(out)["stringData"]["k"] == expected
    assert yaml.load(out, Loader=yaml.CSafeLoader)["stringData"]["k"] == expected


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (b"immutable: yes\n", "parsers read in several ways"),
        (b"extra: {a: 0x1F}\n", "parsers read in several ways"),
        (b"extra: {a: !own x}\n", "has a tag"),
        (b"extra: {1: x}\n", "a key that is not a string"),
        (b"extra: {<<: {a: b}}\n", "merge key"),
        (
            b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
            "alias",
        ),
    ],
    ids=["yes", "hex", "tag", "key", "merge", "bomb"],
)
def test_what_json_can_not_say_for_sure_is_refused(me: Person, extra: bytes, message: str) -> None:
    me.write_sealed("a.yaml", manifest(k=MARK.encode()) + extra)
    assert message in me.fails(3, "decrypt", "--output-format=json", "a.yaml")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_the_variables_exactly(me: Person, shell: str) -> None:
    every = bytes(range(1, 256)) + MARK.encode()
    text = MARK.encode() + b"'\"$(touch ran)`touch ran`\\ \n#!~*\r\n\ttail \n"
    me.write_sealed(
        "a.yaml", manifest(every=every, text=text, empty=b"", plain=b"1", _x9=b"=a b") + b"stringData: {plain: '2'}\n"
    )
    me.ok("decrypt", "--output-format", "env", "-o", "a.env", "a.yaml")
    assert stat.S_IMODE((me.work / "a.env").stat().st_mode) == 0o600
    script = "set -a; . ./a.env; exec printenv -0"
    words = [shell, "sh", "-c", script] if shell == "busybox" else [shell, "-c", script]
    out = subprocess.run(words, cwd=me.work, capture_output=True, check=True, env={"PATH": me.environ["PATH"]}).stdout
    found = dict(line.split(b"=", 1) for line in out.split(b"\0") if b"=" in line)
    assert found[b"every"] == every
    assert found[b"text"] == text
    assert (found[b"empty"], found[b"plain"], found[b"_x9"]) == (b"", b"2", b"=a b")
    assert sorted(me.names()) == ["a.env", "a.yaml"]


def test_plain_values_stand_as_they_are(me: Person) -> None:
    me.write_sealed("a.yaml")
    assert me.ok("decrypt", "--output-format=env", "a.yaml").out.decode() == (
        f"username={USER}\npassword={PASSWORD}\nurl={URL}\n"
    )


def test_what_is_no_variable_is_refused_by_name(me: Person) -> None:
    me.write_sealed("a.yaml", manifest(a=b"1", **{"tls.crt": MARK.encode(), "1st": MARK.encode()}))
    message = me.fails(2, "decrypt", "--output-format=env", "a.yaml")
    assert "not names of environment variables: tls.crt, 1st" in message
    me.write_sealed("b.yaml", manifest(a=b"1", b=b"x\0" + MARK.encode()))
    assert me.fails(3, "decrypt", "--output-format=env", "b.yaml").startswith(
        "ksecret: b.yaml:7: the value of b has a NUL"
    )
    me.write_sealed("c.yaml", manifest(a=MARK.encode()))
    me.write_sealed("d.yaml", manifest(a=MARK.encode()))
    message = me.fails(2, "decrypt", "--output-format=env", "c.yaml", "d.yaml")
    assert "a is there twice, in c.yaml:6 and d.yaml:6" in message
    assert "ksecret exec --only" in message, "decrypt has no such option"


@pytest.mark.parametrize("shape", ["json", "env"])
def test_nothing_comes_out_where_a_file_fails(me: Person, shape: str) -> None:
    me.write_sealed("a.yaml")
    me.write("b.yaml")
    assert "b.yaml: no Secret in it is sealed" in me.fails(
        3, "decrypt", f"--output-format={shape}", "-o", "out", "a.yaml", "b.yaml"
    )
    assert me.names() == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize("name", ["values.yaml", "app.env"])
def test_a_sealed_file_without_a_secret_is_no_empty_list(me: Person, name: str) -> None:
    me.write(name, f"password: {MARK}\n".encode() if name == "values.yaml" else f"password={MARK}\n".encode())
    me.ok("encrypt", "-i", "--format", "sops", "-k", me.ref, name)
    me.write_sealed("a.yaml")
    for files in ([name], ["a.yaml", name]):
        message = me.fails(3, "decrypt", "--output-format=json", *files)
        assert f"{name}: it holds no Secret" in message
        assert "ksecret-sops decrypt --output-type json" in message
    assert json.loads(me.ok("decrypt", "--output-type", "json", name, program=f"{KSECRET}-sops").out) == {
        "password": MARK
    }


def test_options_that_do_not_go_together(me: Person) -> None:
    me.write_sealed("a.yaml")
    for word in ("-i", "-x"):
        assert "--output-format goes" in me.fails(2, "decrypt", "--output-format=json", word, "a.yaml")
    assert "choose" in me.fails(2, "decrypt", "--output-format=toml", "a.yaml")


def test_values_are_what_kubernetes_would_hand_to_a_container(me: Person) -> None:
    me.write_sealed("a.yaml", manifest(a=bytes(range(256)) + MARK.encode()))
    assert b64decode(as_json(me, "a.yaml")["data"]["a"]) == bytes(range(256)) + MARK.encode()
