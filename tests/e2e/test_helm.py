"""Helm with ksecret: values files in SOPS's format, the backend for helm-secrets, Secrets that open after rendering.

helm-secrets itself is not here: a stand-in makes the calls that its scripts/commands/ make of a backend.
"""

from __future__ import annotations

import json
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cli import MARK, Person, b64
from tests.e2e.documents import ROOT, command_blocks, run_in_order
from tests.e2e.kubernetes import one, parsed, tool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli import Ran

BACKEND = ROOT / "deploy" / "helm-secrets" / "ksecret.sh"
CALLED = 'set -euf; SECRET_BACKEND_ARGS=${HELM_SECRETS_BACKEND_ARGS:-}; . "$0"; "$@"'
"""What helm-secrets' scripts/run.sh and scripts/lib/backend.sh do with a backend."""
DOWNLOADER = """\
#!/bin/sh
set -euf
file=${4#secrets://}
if [ -z "${HELM_SECRETS_BACKEND:-}" ]; then
  exec "$HELM_SECRETS_SOPS_PATH" --decrypt --input-type yaml --output-type yaml "$file"
fi
SECRET_BACKEND_ARGS=
. "$HELM_SECRETS_BACKEND"
_custom_backend_is_file_encrypted "$file" || exec cat "$file"
_custom_backend_decrypt_file auto "$file" ''
"""
VALUES = f"db:\n  password: {MARK}-values   # a comment\nreplicas: 2\n".encode()
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: prod}}\ndata: {{url: {b64(MARK)}}}\n".encode()
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: app\nversion: 0.1.0\n",
    "values.yaml": "db: {password: '', host: localhost}\n",
    "templates/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\n"
    "stringData:\n  password: {{ .Values.db.password | quote }}\n  host: {{ .Values.db.host | quote }}\n",
}


@pytest.fixture
def values(me: Person) -> Path:
    """A values file that is sealed by the rule above it."""
    me.write(".sops.yaml", f"creation_rules: [{{age: {me.ref.removeprefix('age:')}}}]\n".encode())
    path = me.write("values.yaml", VALUES)
    me.ok("encrypt", "-i", "values.yaml")
    return path


@pytest.fixture
def helm(me: Person, values: Path) -> str:
    """The real one, with a chart to render: a Secret of its own, and one that is sealed."""
    for name, text in CHART.items():
        me.write(f"chart/{name}", text.encode())
    me.write("common.yaml", b"db: {host: db.example.com}\n")
    me.write_sealed("chart/templates/db.yaml", SECRET, "--format", "ksecret", "-k", me.ref)
    plugin = {"name": "stand-in", "version": "1.0.0", "command": "true"}
    plugin |= {"downloaders": [{"command": "downloader", "protocols": ["secrets"]}]}
    me.write("../plugins/stand-in/plugin.yaml", json.dumps(plugin).encode())
    me.write("../plugins/stand-in/downloader", DOWNLOADER.encode()).chmod(0o755)
    me.environ["HELM_PLUGINS"] = str(me.work.parent / "plugins")
    return tool("helm", "scripts/go-tools builds it where there is a Go")


def called(me: Person, function: str, *arguments: str, **environ: str) -> Ran:
    return me.run("-c", CALLED, str(BACKEND), f"_custom_backend_{function}", *arguments, program="/bin/sh", **environ)


def test_the_backend_opens_to_where_helm_secrets_wants_it(me: Person, values: Path) -> None:
    assert called(me, "is_file_encrypted", "values.yaml")[:2] == (0, b"")
    assert called(me, "decrypt_file", "auto", "values.yaml", "") == (0, VALUES, "")
    called(me, "decrypt_file", "yaml", "values.yaml", "values.yaml.dec")
    beside = me.work / "values.yaml.dec"
    assert (beside.read_bytes(), stat.S_IMODE(beside.stat().st_mode)) == (VALUES, 0o600)
    called(me, "decrypt_file", "auto", "values.yaml", "values.yaml")
    assert values.read_bytes() == VALUES
    ran = called(me, "decrypt_file", "yaml", "values.yaml", "", HELM_SECRETS_BACKEND_ARGS="--server ftp://x")
    assert (ran.code, "the service's address is not a URL" in ran.err) == (2, True), "options reach ksecret"


def test_the_backend_seals_and_edits(me: Person, values: Path) -> None:
    values.write_bytes(VALUES)
    assert called(me, "is_file_encrypted", "values.yaml").code == 1
    assert called(me, "encrypt_file", "yaml", "values.yaml", "values.yaml").code == 0
    assert called(me, "edit_file", "yaml", "values.yaml", EDITOR="sed -i s/replicas/pods/").code == 0
    assert called(me, "decrypt_literal", values.read_text()).out == VALUES.replace(b"replicas", b"pods")
    assert called(me, "decrypt_literal", "in the clear").out == b"in the clear"


def test_the_backend_lets_no_token_pass_for_a_value(me: Person, values: Path) -> None:
    """helm-secrets hands to Helm as it is what its backend says is not sealed."""
    sealed = values.read_text()
    me.write("lost.yaml", sealed[: sealed.index("sops:")].encode())
    me.write("cut.yaml", re.sub(r"(?m)^ +mac: .*\n", "", sealed).encode())
    for name in ("lost.yaml", "cut.yaml"):
        assert called(me, "is_file_encrypted", name).code == 0
        ran = called(me, "decrypt_file", "yaml", name, "")
        assert (ran.code > 2, ran.out) == (True, b""), ran.err
        assert name in ran.err


def test_a_files_name_is_no_option_of_ksecrets(me: Person, values: Path) -> None:
    values.rename(me.work / "-i")
    assert called(me, "decrypt_file", "yaml", "-i", "-d").code == 0
    assert (me.work / "-d").read_bytes() == VALUES
    (me.work / "-i").rename(me.work / "-")
    assert called(me, "is_file_encrypted", "-").code == 0


def rendered(me: Person, helm: str, *words: str, **environ: str) -> dict[str, Any]:
    """The Secret of the chart's own that Helm makes."""
    out = me.ok("template", "app", "chart", "-s", "templates/secret.yaml", *words, program=helm, **environ).out
    secret = one(parsed(out.decode()), "Secret")
    found: dict[str, Any] = secret["stringData"]
    return found


def test_helm_gets_values_by_the_backend(me: Person, helm: str) -> None:
    me.write("clear.yaml", b"db: {host: clear}\n")
    found = rendered(
        me, helm, "-f", "secrets://values.yaml", "-f", "secrets://clear.yaml", HELM_SECRETS_BACKEND=str(BACKEND)
    )
    assert found == {"password": f"{MARK}-values", "host": "clear"}


def test_the_pages_lines_hand_to_helm_what_they_say(me: Person, helm: str, tmp_path: Path) -> None:
    """`helm template` in place of `helm upgrade`, which needs a cluster; what is Helm 4's is left out."""
    (me.work / "deploy").symlink_to(ROOT / "deploy")
    me.environ["PATH"] += f":{helm.removesuffix('/helm')}"
    blocks = [block for block in command_blocks("docs/helm.md") if not block[0].startswith("helm plugin")]
    typed = [[line.replace("helm upgrade", "helm template") for line in block] for block in blocks]
    (tmp_path / "lines").mkdir()
    done = run_in_order(me, typed, tmp_path / "lines")
    assert [ran for ran in done if ran.code] == []
    made = [parsed((tmp_path / "lines" / f"{number}.out").read_text()) for number in range(len(done))]
    values, in_files, _, by_backend, sealed = made
    for objects in (values, in_files):
        own = next(found for found in objects if found["metadata"]["name"] == "own")
        assert own["stringData"] == {"password": f"{MARK}-values", "host": "db.example.com"}
    assert any(found.get("stringData", {}).get("password") == f"{MARK}-values" for found in by_backend)
    assert {found["metadata"]["name"]: found["data"] for found in sealed}["db"] == {"url": b64(MARK)}
    assert not list(me.work.glob("**/*.dec"))


def test_a_secret_that_does_not_open_ends_helm(me: Person, helm: str) -> None:
    words = ("--post-renderer", "ksecret", "--post-renderer-args", "render", "--post-renderer-args", "-")
    me.key_file.unlink()
    ran = me.run("template", "app", "chart", *words, program=helm)
    assert (ran.code, ran.out) == (1, b"")
    assert "no age identity is at hand" in ran.err


def test_a_secret_in_sopss_format_ends_helm_too(me: Person, helm: str) -> None:
    me.write_sealed("chart/templates/db.yaml", SECRET, "--format", "sops")
    words = ("--post-renderer", "ksecret", "--post-renderer-args", "render", "--post-renderer-args", "-")
    ran = me.run("template", "app", "chart", *words, program=helm)
    assert (ran.code, ran.out, "it is sealed by SOPS" in ran.err) == (1, b"", True)


def test_helm_4_opens_hooks_too_by_the_plugin(me: Person, helm: str) -> None:
    helm4 = tool("helm4", "a Helm 4 by that name")
    hook = SECRET.replace(b"name: db", b"name: hook, annotations: {helm.sh/hook: pre-install}")
    me.write_sealed("chart/templates/hook.yaml", hook, "--format", "ksecret", "-k", me.ref)
    del me.environ["HELM_PLUGINS"]  # whose plugin is Helm 3's
    me.ok("plugin", "install", str(ROOT / "deploy" / "helm-postrenderer"), program=helm4)
    objects = parsed(me.ok("template", "app", "chart", "--post-renderer", "ksecret-render", program=helm4).out.decode())
    opened = [found["metadata"]["name"] for found in objects if found.get("data") == {"url": b64(MARK)}]
    assert sorted(opened) == ["db", "hook"]


def test_the_services_own_chart_takes_sealed_values(me: Person, helm: str) -> None:
    me.write("own.yaml", b"tls: {existingSecret: sealed-tls}\n")
    me.ok("encrypt", "-i", "own.yaml")
    clear = me.ok("decrypt", "own.yaml").out
    chart = str(ROOT / "deploy" / "helm" / "ksecret")
    out = me.ok("template", "app", chart, "--kube-version", "1.31.0", "-f", "-", program=helm, stdin=clear).out
    assert b"secretName: sealed-tls" in out
