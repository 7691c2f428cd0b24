"""`ksecret diff` and `ksecret drift`: what apply would change, and no value where nobody asked for it.

A program in kubectl's place prints what the real one did (1.32, with GNU diff); test_control_plane.py asks that.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import ManifestError
from secretsvc.operations.live_diff import differences
from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARK, MARKS, PASSWORD, URL, USER, Person, b64

if TYPE_CHECKING:
    from pathlib import Path

STUB = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$OUT/calls"
[ "$1" = diff ] || exec cat "$OUT/live"
printf '%s' "$TMPDIR" > "$OUT/tmpdir"
stat -f -c %T "$TMPDIR" > "$OUT/filesystem"
echo clear > "$TMPDIR/LIVE"
cat > "$OUT/stdin"
cat "$OUT/diff"
exit "${CODE:-1}"
"""
LAST = "    kubectl.kubernetes.io/last-applied-configuration: |\n      {json}\n"


def secret(password: str = "***", url: str = "***", label: str = "web", last: str = "") -> str:
    """A Secret as kubectl prints it, values masked."""
    annotations = f"  annotations:\n{LAST.format(json=json.dumps({'data': {'a': last}}))}" if last else ""
    data = f"  password: '{password}'\n  url: '{url}'\n  username: '***'\n"
    metadata = f"{annotations}  labels:\n    app: {label}\n  name: db\n  namespace: prod\n"
    return f"apiVersion: v1\ndata:\n{data}kind: Secret\nmetadata:\n{metadata}type: Opaque\n"


def printed(before: str, after: str, file: str = "v1.Secret.prod.db") -> str:
    """What `diff -U1000000000 -N` makes of it, with all that is removed first."""
    old, new = before.splitlines(), after.splitlines()
    start = next((at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), 0)
    ends = f"LIVE-1/{file} MERGED-2/{file}"
    return "\n".join(
        [
            f"diff -U1000000000 -N /tmp/{ends.replace(' ', ' /tmp/')}",
            f"--- /tmp/LIVE-1/{file}\t2026-11-29 22:57:46.489965152 +0000",
            f"+++ /tmp/MERGED-2/{file}\t2026-11-29 22:57:46.489965152 +0000",
            f"@@ -{min(1, len(old))},{len(old)} +1,{len(new)} @@",
            *(f" {line}" for line in old[:start]),
            *(f"-{line}" for line in old[start:]),
            *(f"+{line}" for line in new[start:]),
            "",
        ]
    )


class Cluster:
    """A program in kubectl's place."""

    def __init__(self, folder: Path, me: Person) -> None:
        self.folder = folder / "kubectl"
        self.folder.mkdir()
        (self.folder / "kubectl").write_text(STUB)
        (self.folder / "kubectl").chmod(0o755)
        me.environ |= {"OUT": str(self.folder), "PATH": os.pathsep.join((str(self.folder), me.environ["PATH"]))}

    def differs(self, *found: str, **live: str) -> None:
        (self.folder / "diff").write_text("".join(found))
        data = {key: b64(text) for key, text in live.items()}
        one = {"kind": "Secret", "metadata": {"name": "db", "namespace": "prod"}, "data": data}
        (self.folder / "live").write_text(json.dumps(one))

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def cluster(tmp_path: Path, me: Person) -> Cluster:
    me.write_sealed("d/a.yaml")
    me.write("d/map.yaml", CONFIG_MAP)
    return Cluster(tmp_path, me)


CHANGED = printed(secret("*** (before)", label="x", last=b64(PASSWORD)), secret("*** (after)", last=b64(URL)))


def test_values_are_fingerprints_of_this_run(me: Person, cluster: Cluster) -> None:
    cluster.differs(CHANGED, password=URL, url=URL, username=USER)
    ran = me.run("diff", "-r", "d", "--", "--context", "blue", "-l", "a=b", "--field-manager=me", "-n", "prod")
    assert (ran.code, ran.err) == (1, "")
    text = ran.out.decode()
    assert not [mark for mark in MARKS if mark in text]
    found = re.findall(r"(?m)^([ +-]) {2}(\w+): <([0-9a-f]{12})>$", text)
    assert [sign + key for sign, key, _ in found] == ["-password", "+password", " url", " username"]
    was, becomes, url, user = (fingerprint for *_, fingerprint in found)
    assert was == url
    assert len({was, becomes, user}) == 3
    assert "-    app: x\n+    app: web\n" in text
    assert text.count("last-applied-configuration: <a copy of the Secret>") == 1
    again = me.run("diff", "d/a.yaml").out.decode()
    assert text != again
    assert re.sub("<[0-9a-f]{12}>", "", text) == re.sub("<[0-9a-f]{12}>", "", again)
    assert cluster.read("calls").splitlines()[:2] == [
        "diff --server-side --force-conflicts --context blue -l a=b --field-manager=me -n prod -f -",
        "get secrets db --context blue -n prod --namespace=prod -o json",
    ]


def test_values_are_shown_where_somebody_asks(me: Person, cluster: Cluster) -> None:
    cluster.differs(CHANGED, password=f"{MARK}\x1b[31m", url=URL, username=USER)
    text = me.run("diff", "--show", "d/a.yaml").out.decode()
    assert f'-  password: "{MARK}\\u001b[31m"' in text
    assert f'+  password: "{PASSWORD}"\n   url: "{URL}"\n' in text
    cluster.differs(CHANGED, password=f"{MARK} one\n{MARK} two\n", url=URL, username=USER)
    text = me.run("diff", "--show", "d/a.yaml").out.decode()
    assert f"-  password: |\n-    {MARK} one\n-    {MARK} two\n+  password: " in text
    assert b64(PASSWORD) not in text


def test_kubectl_writes_into_memory_and_nothing_is_left(me: Person, cluster: Cluster) -> None:
    cluster.differs(CHANGED, password=URL, url=URL, username=USER)
    me.run("diff", "d/a.yaml", KUBECTL_EXTERNAL_DIFF="leak")
    folder = cluster.read("tmpdir")
    assert os.path.basename(folder).startswith("ksecret-")
    assert not os.path.exists(folder)
    if os.path.isdir("/dev/shm"):
        assert cluster.read("filesystem") == "tmpfs\n"
    assert b64(PASSWORD) in cluster.read("stdin")


def test_exit_codes(me: Person, cluster: Cluster, tmp_path: Path) -> None:
    cluster.differs()
    assert me.ok("diff", "-r", "d", CODE="0") == (0, b"", "")
    assert "kubectl diff failed" in me.fails(6, "diff", "-r", "d", CODE="1")
    assert "kubectl diff failed" in me.fails(6, "drift", "d", CODE="3")
    (cluster.folder / "calls").unlink()
    assert "last-applied" in me.fails(2, "diff", "-r", "d", "--", "--server-side=false")
    assert "no file named" in me.fails(2, "diff")
    assert "no manifest is there to compare" in me.fails(3, "drift", str(me.home))
    Person(tmp_path, "stranger").write_sealed("d/theirs.yaml")
    assert "theirs.yaml" in me.fails(4, "diff", "-r", "d")
    assert "theirs.yaml" in me.fails(4, "drift", "d")
    assert not (cluster.folder / "calls").exists()


def test_a_copy_in_an_annotation_alone_is_no_difference(me: Person, cluster: Cluster) -> None:
    cluster.differs(printed(secret(last=b64(PASSWORD)), secret(last=b64(URL))), password=PASSWORD, url=URL)
    assert me.ok("diff", "-r", "d").out == b""
    assert me.ok("drift", "d").err == "ksecret: 2 same, 0 differ, 0 missing\n"


def test_what_is_new_or_no_secret_is_shown_as_kubectl_has_it(me: Person, cluster: Cluster) -> None:
    config_map = CONFIG_MAP.decode()
    changed = printed(config_map, config_map.replace("a: b", "a: c"), "v1.ConfigMap.prod.plain")
    cluster.differs(printed("null\n", secret()), changed)
    text = me.run("diff", "-r", "d").out.decode()
    assert text.startswith("--- LIVE/v1.Secret.prod.db\n+++ MERGED/v1.Secret.prod.db\n@@ -0,0 +1,")
    assert len(re.findall(r"(?m)^\+ {2}\w+: <", text)) == 3
    assert "-  a: b\n+  a: c\n" in text
    assert len(cluster.read("calls").splitlines()) == 1


def test_drift_tells_each_object_and_no_value(me: Person, cluster: Cluster) -> None:
    gone = secret("*** (before)", label="x").replace("  url", "  old")
    config_map = CONFIG_MAP.decode()
    cluster.differs(printed(gone, secret("*** (after)")), printed("", config_map, "v1.ConfigMap.prod.plain"))
    ran = me.run("drift", "d", "--", "-n", "prod")
    assert ran.code == 1
    assert ran.out.decode().splitlines() == [
        "d/a.yaml: Secret prod/db: password differs, url is missing, old is still in the cluster, other fields differ",
        "d/map.yaml: ConfigMap prod/plain: not in the cluster",
    ]
    assert ran.err == "ksecret: 0 same, 1 differ, 1 missing\n"
    told = json.loads(me.run("drift", "--json", "d").out)
    assert told["objects"][0] == {
        "file": "d/a.yaml",
        "kind": "Secret",
        "namespace": "prod",
        "name": "db",
        "state": "differs",
        "values": {"password": "differs", "url": "missing", "old": "extra"},
        "otherFields": True,
    }
    assert (told["objects"][1]["state"], told["same"], told["differs"], told["missing"]) == ("missing", 0, 1, 1)
    assert "get" not in cluster.read("calls")


def test_a_secret_that_would_be_pruned_is_told_as_such(me: Person, cluster: Cluster) -> None:
    for nothing in ("null\n", ""):
        cluster.differs(printed(secret(), nothing))
        ran = me.run("drift", "d", "--", "--prune", "-l", "app=web")
        assert (ran.code, ran.out.decode()) == (1, "d/a.yaml: Secret prod/db: in the cluster, and would be pruned\n")
        assert json.loads(me.run("drift", "--json", "d").out)["objects"][0]["state"] == "extra"
        assert me.run("diff", "-r", "d").out.decode().count("\n-") == len(secret().splitlines())


@pytest.mark.parametrize("after", [f"{secret()}---\n{secret()}", "- a\n", "text\n"])
def test_what_is_no_object_is_refused(me: Person, cluster: Cluster, after: str) -> None:
    cluster.differs(printed(secret(), after))
    assert "kubectl diff printed what is no Secret" in me.fails(3, "drift", "d")


@pytest.mark.parametrize(
    "text",
    [
        MANIFEST.decode(),
        "Binary files a and b differ\n",
        "--- a/v1.Secret.prod.db\n+++ b/v1.Secret.prod.db\n@@ -1 +1 @@\n-a\n",
        "--- a/v1.Secret.prod.db\n+++ b/v1.Secret.prod.db\n@@ -1 +1,2 @@\n-a\n-b\n+c\n",
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
    ],
)
def test_what_is_no_diff_of_objects_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ManifestError, match=r"^kubectl diff printed (what is no unified diff|a part only)$"):
        differences(text)


def test_lines_that_look_like_a_diff_s_own_are_an_object_s_text() -> None:
    before = "data:\n  a: |\n    --- x\n    +++ y\n    @@ -1 +1 @@\n"
    (found,) = differences(printed(before, before.replace("x", "z"), "apps.v1beta1.Thing..web.with.dots"))
    assert (found.before, found.after) == (before, before.replace("x", "z"))
    assert found.identity == ("apps", "Thing", "", "web.with.dots")
