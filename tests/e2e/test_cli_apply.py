"""`ksecret apply`: one stream into the real kubectl, or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from secretsvc.operations.output import as_data
from tests.e2e.cli import CONFIG_MAP, KSECRET, MANIFEST, MARK, NOT_YAML, PASSWORD, URL, USER, Person
from tests.emulators import apply_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.emulators.apply_server import Server

real = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")

STUB = """\
#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done > "$OUT/argv"
env > "$OUT/env"
[ -z "$LEAVE" ] || exit "$LEAVE"
cat > "$OUT/stdin"
[ -z "$WAIT" ] || { echo ready; exec sleep 60; }
echo applied
exit "${CODE:-0}"
"""


class Kubectl:
    """A program in kubectl's place that notes what it was given."""

    def __init__(self, folder: Path, me: Person) -> None:
        self._folder = folder / "kubectl"
        self._folder.mkdir()
        program = self._folder / "kubectl"
        program.write_text(STUB)
        program.chmod(0o755)
        me.environ |= {"OUT": str(self._folder), "PATH": os.pathsep.join((str(self._folder), me.environ["PATH"]))}

    @property
    def ran(self) -> bool:
        return (self._folder / "argv").exists()

    @property
    def words(self) -> list[str]:
        return (self._folder / "argv").read_text().splitlines()

    @property
    def environ(self) -> str:
        return (self._folder / "env").read_text()

    @property
    def stdin(self) -> bytes:
        return (self._folder / "stdin").read_bytes()


@pytest.fixture
def kubectl(tmp_path: Path, me: Person) -> Kubectl:
    return Kubectl(tmp_path, me)


@pytest.fixture
def server() -> Iterator[Server]:
    with apply_server.serving() as running:
        yield running


def other(name: str) -> bytes:
    return MANIFEST.replace(b"name: db", f"name: {name}".encode())


def test_kubectl_gets_one_stream_and_the_users_words(me: Person, kubectl: Kubectl) -> None:
    me.write_sealed("a.yaml")
    me.write_sealed("b.yaml", CONFIG_MAP + b"---\n" + other("b"))
    me.write("map.yaml", CONFIG_MAP)
    words = ["--context", "prod", "-n", "shop"]
    ran = me.ok("apply", "a.yaml", "b.yaml", "map.yaml", "--", *words, KSECRET_AGE_KEY=me.identity)
    assert ran == (0, b"applied\n", "")
    assert kubectl.words == ["apply", "--server-side", "-f", "-", *words]
    assert kubectl.stdin == b"---\n".join([as_data(MANIFEST), CONFIG_MAP, as_data(other("b")), CONFIG_MAP])
    assert "KSECRET_AGE_KEY" not in kubectl.environ
    assert me.names() == ["a.yaml", "b.yaml", "map.yaml"]


def test_a_folder_is_applied_whole_as_kubectl_does(me: Person, kubectl: Kubectl) -> None:
    me.write_sealed("d/a.yaml")
    me.write("d/map.yml", CONFIG_MAP)
    me.write("d/sub/odd.yaml", b"a: !tag [not, parsed, {{ .Values.x }}]\n")
    me.write("d/.ksecret.yaml", b"version: 1\n")
    me.write("d/README.md", b"# ksecret\n")
    assert "add -r" in me.fails(2, "apply", "d")
    me.ok("apply", "-r", "d")
    assert kubectl.stdin == b"---\n".join([as_data(MANIFEST), CONFIG_MAP, b"a: !tag [not, parsed, {{ .Values.x }}]\n"])


@pytest.mark.parametrize("pipe", [False, True], ids=["memfd", "pipe"])
def test_a_stream_larger_than_a_pipe_arrives_whole(me: Person, kubectl: Kubectl, pipe: bool) -> None:
    text = MANIFEST + f"  large: {MARK * 30_000}\n".encode()
    me.write_sealed("a.yaml", text)
    me.write_sealed("b.yaml", text.replace(b"name: db", b"name: b"))
    without = "import os, sys; del os.memfd_create; from secretsvc.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["apply", "a.yaml", "b.yaml"]
    ran = me.ok("-c", without, *words, program=sys.executable) if pipe else me.ok(*words)
    assert ran.out == b"applied\n"
    assert kubectl.stdin == as_data(text) + b"---\n" + as_data(text.replace(b"name: db", b"name: b"))
    unread = ["-c", without, *words] if pipe else words
    assert me.run(*unread, program=sys.executable if pipe else KSECRET, LEAVE="9").code == 9


def test_standard_input_is_a_file_too(me: Person, kubectl: Kubectl) -> None:
    sealed = me.write_sealed("a.yaml").read_bytes()
    me.ok("apply", "-", stdin=sealed)
    assert kubectl.stdin == as_data(MANIFEST)


def test_one_file_that_does_not_open_and_nothing_is_applied(me: Person, kubectl: Kubectl, tmp_path: Path) -> None:
    me.write_sealed("d/a.yaml")
    theirs = Person(tmp_path, "stranger").write_sealed("d/theirs.yaml", other("theirs"))
    assert "theirs.yaml" in me.fails(4, "apply", "-r", "d")
    theirs.unlink()
    altered = me.write("d/altered.yaml", (me.work / "d/a.yaml").read_bytes().replace(b"name: db", b"name: moved"))
    assert "d/altered.yaml" in me.fails(5, "apply", "-r", "d")
    altered.unlink()
    me.write("d/bad.yaml", NOT_YAML + b"# ksecret\n")
    assert "d/bad.yaml" in me.fails(3, "apply", "-r", "d")
    assert "gone.yaml" in me.fails(7, "apply", "d/a.yaml", "gone.yaml")
    assert "no file named" in me.fails(2, "apply", "--", "-n", "x")
    (me.work / "empty").mkdir()
    assert "no manifest is there to hand on" in me.fails(3, "apply", "-r", "empty")
    assert not kubectl.ran


@pytest.mark.parametrize("word", ["--server-side=false", "--server-side=0", "--server-side=F"])
def test_client_side_apply_is_refused_with_the_reason(me: Person, kubectl: Kubectl, word: str) -> None:
    me.write_sealed("a.yaml")
    message = me.fails(2, "apply", "a.yaml", "--", "-n", "x", word)
    assert "last-applied-configuration" in message
    assert "--force-conflicts" in message
    assert not kubectl.ran
    me.ok("apply", "a.yaml", "--", "--server-side=true", "--server-side")


def test_exit_codes_are_kubectls(me: Person, kubectl: Kubectl) -> None:
    me.write_sealed("a.yaml")
    assert me.run("apply", "a.yaml", CODE="42") == (42, b"applied\n", "")


def test_no_kubectl(me: Person) -> None:
    me.write_sealed("a.yaml")
    assert me.fails(127, "apply", "a.yaml", PATH=str(me.home)) == "ksecret: kubectl: not found\n"


def test_signals_are_kubectls(me: Person, kubectl: Kubectl) -> None:
    me.write_sealed("a.yaml")
    process = subprocess.Popen(
        [KSECRET, "apply", "a.yaml"], cwd=me.work, env=me.environ | {"WAIT": "1"}, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


@real
def test_the_real_kubectl_applies_on_the_server_and_leaves_no_annotation(me: Person, server: Server) -> None:
    me.write_sealed("a.yaml")
    me.write("map.yaml", CONFIG_MAP)
    ran = me.ok("apply", "a.yaml", "map.yaml", "--", "--server", server.url, KUBECONFIG=os.devnull)
    assert ran.out == b"secret/db serverside-applied\nconfigmap/plain serverside-applied\n"
    secret, config_map = server.patches
    assert (secret.path, secret.type) == ("/api/v1/namespaces/prod/secrets/db", "application/apply-patch+yaml")
    assert secret.query["fieldManager"] == ["kubectl"]
    sent = json.loads(secret.body)
    assert {key: b64decode(text).decode() for key, text in sent["data"].items()} == {
        "username": USER,
        "password": PASSWORD,
        "url": URL,
    }
    assert "stringData" not in sent
    assert "annotations" not in sent["metadata"]
    assert "ksecret" not in sent
    assert config_map.path == "/api/v1/namespaces/default/configmaps/plain"


@real
def test_the_real_kubectl_dry_run_on_the_server(me: Person, server: Server) -> None:
    me.write_sealed("a.yaml")
    ran = me.ok("apply", "a.yaml", "--", "--server", server.url, "--dry-run=server", KUBECONFIG=os.devnull)
    assert b"(server dry run)" in ran.out
    assert [patch.query["dryRun"] for patch in server.patches] == [["All"]]


@real
def test_the_real_kubectl_is_not_asked_where_a_file_does_not_open(me: Person, server: Server) -> None:
    me.write_sealed("a.yaml")
    me.write("b.yaml", (me.work / "a.yaml").read_bytes().replace(b"name: db", b"name: moved"))
    me.fails(5, "apply", "a.yaml", "b.yaml", "--", "--server", server.url, KUBECONFIG=os.devnull)
    assert server.requests == []


@real
def test_what_the_real_kubectl_refuses(me: Person, server: Server) -> None:
    me.write_sealed("a.yaml")
    ran = me.run("apply", "a.yaml", "--", "--server", server.url, "-n", "another", KUBECONFIG=os.devnull)
    assert ran.code == 1
    assert "does not match the namespace" in ran.err
    assert server.patches == []
