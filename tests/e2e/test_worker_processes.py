"""Runs over many files, which several processes share: all that is seen of them is as if one had done it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pyrage
import pytest
import yaml

from tests.e2e.cli import CONFIG_MAP, MARK
from tests.e2e.editing import Running, another_key
from tests.e2e.many import FILES, Many, clear
from tests.emulators.aws import ENVIRON, KEY, StubKms
from tests.integration.age_support import PASSPHRASE, locked_identity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World


@pytest.fixture
def me(tmp_path: Path) -> Many:
    return Many(tmp_path)


def spoil(path: Path) -> None:
    text = path.read_text()
    path.write_text(text.replace("namespace: prod", "namespace: test"))


@pytest.mark.parametrize(
    "words",
    [
        ("decrypt", "-r", "d"),
        ("decrypt", "--keep-going", "-r", "d"),
        ("decrypt", "--keep-going", "-o", "all.yaml", "-r", "d"),
        ("decrypt", "--output-format", "json", "--keep-going", "-r", "d"),
        ("decrypt", "--template", "{{ range $k, $v := .data }}{{ $k }}{{ end }}", "--keep-going", "-r", "d"),
        ("verify", "-r", "d"),
        ("convert", "--to", "ksecret", "-r", "d"),
        ("encrypt", "-i", "-r", "d"),
    ],
    ids=" ".join,
)
def test_output_order_errors_summary_and_code_are_those_of_one_process(me: Many, words: tuple[str, ...]) -> None:
    me.write_all_sealed()
    spoil(me.path(7))
    spoil(me.path(31))
    me.path(12).write_bytes(CONFIG_MAP)
    me.path(20).write_text("kind: Secret\nksecret: [\n")
    one = me.run(*words[:1], "--jobs", "1", *words[1:])
    assert me.workers() == []
    assert me.many(*words) == one
    assert len(me.workers()) == 3
    assert one.code


def test_what_is_changed_in_place_and_reported_is_the_same_as_by_one_process(me: Many) -> None:
    me.write_all_sealed()
    spoil(me.path(7))
    ran = me.many("rotate", "-r", "--report", "run.jsonl", "d")
    assert len(me.workers()) == 3
    assert ran.code == 5
    assert ran.err.endswith(f"ksecret: {FILES - 1} rotated, 0 unchanged, 1 failed\n")
    lines = list(map(json.loads, (me.work / "run.jsonl").read_text().splitlines()))
    assert [line["file"] for line in lines[1:-1]] == [f"d/{number:02}.yaml" for number in range(FILES)]
    assert [line["outcome"] for line in lines[1:-1]] == ["rotated"] * 7 + ["failed"] + ["rotated"] * (FILES - 8)
    assert "it was moved or renamed" in lines[8]["error"]
    assert lines[-1]["counts"] == {"rotated": FILES - 1, "failed": 1}
    assert all(me.is_whole(number) for number in range(FILES) if number != 7)


def test_each_process_wraps_by_randomness_of_its_own(me: Many) -> None:
    me.write_clear()
    ran = me.many("encrypt", "-r", "d")
    assert len(me.workers()) == 3
    wrapped = [b64decode(next(iter(one["ksecret"]["keys"].values()))) for one in yaml.safe_load_all(ran.out)]
    shares = [re.findall(rb"-> X25519 (\S+)\n", text)[0] for text in wrapped]
    bodies = [text.rpartition(b"\n--- ")[2].partition(b"\n")[2] for text in wrapped]
    tokens = re.findall(rb"ksecret\.v1\.\S{20}", ran.out)
    assert len(set(shares)) == len(set(bodies)) == FILES
    assert len(set(tokens)) == len(tokens) == 3 * FILES


def with_late_passphrase(me: Many) -> None:
    """From the tenth file on, another identity opens them, which is behind a passphrase."""
    me.write_all_sealed()
    ref = locked_identity(me.home / "late.key")
    late = [me.write(f"d/{number:02}.yaml", clear(number)) for number in range(10, FILES)]
    me.ok("encrypt", "-i", "-k", str(ref), *map(str, late))
    me.environ |= {"KSECRET_AGE_KEY_FILE": str(me.home / "late.key")}


def test_a_passphrase_that_is_needed_late_is_asked_for_once(me: Many) -> None:
    with_late_passphrase(me)
    running = Running(me, me.command("verify", "-r", "d"))
    running.read(f"passphrase for age identity {me.home / 'late.key'}: ")
    running.type(f"{PASSPHRASE}\n")
    code, screen = running.end()
    assert code == 0
    assert screen.count("passphrase for") == 1
    assert screen.count("all sound") == FILES
    assert len(me.workers()) == 3


def test_a_passphrase_that_is_needed_late_and_can_be_read_once_is_read_once(me: Many) -> None:
    with_late_passphrase(me)
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode() + b"\n")
    os.close(writing)
    command = me.command("verify", "-r", "--passphrase-file", f"/dev/fd/{reading}", "d")
    done = subprocess.run(command, cwd=me.work, env=me.environ, capture_output=True, pass_fds=[reading], timeout=60)
    os.close(reading)
    assert done.stderr.decode() == f"ksecret: {FILES} verified, 0 unchanged, 0 failed\n"
    assert len(me.workers()) == 3


def test_where_nobody_can_be_asked_each_file_says_so(me: Many) -> None:
    with_late_passphrase(me)
    one = me.run("verify", "--jobs", "1", "-r", "d")
    assert len(re.findall("ksecret: d/.*there is nobody to ask", one.err)) == FILES - 10
    assert me.many("verify", "-r", "d") == one


def test_identities_that_come_through_a_pipe_are_not_asked_for_by_several(me: Many) -> None:
    me.write_all_sealed()
    me.key_file.unlink()
    reading, writing = os.pipe()
    os.write(writing, me.identity.encode() + b"\n")
    os.close(writing)
    me.environ["KSECRET_AGE_KEY_FILE"] = f"/dev/fd/{reading}"
    command = me.command("verify", "-r", "d")
    done = subprocess.run(command, cwd=me.work, env=me.environ, capture_output=True, pass_fds=[reading], timeout=60)
    os.close(reading)
    assert done.stderr.decode() == f"ksecret: {FILES} verified, 0 unchanged, 0 failed\n"
    assert me.workers() == []


def test_what_a_run_tells_once_several_processes_tell_once(me: Many) -> None:
    me.write_clear()
    stranger = another_key()
    rules = [{"path": "d/0*", "keys": [me.ref]}, {"keys": [stranger]}]
    me.write(".ksecret.yaml", json.dumps({"version": 1, "rules": rules}).encode())
    one = me.run("encrypt", "--jobs", "1", "-r", "d")
    assert one.err.count("is sealed to no key of yours") == 1
    ran = me.many("encrypt", "-r", "d")
    assert len(me.workers()) == 3
    assert ran.err.count("is sealed to no key of yours") == 1
    assert ran.err.endswith(one.err.splitlines()[-1] + "\n")


def test_warnings_about_each_file_are_all_told(me: Many) -> None:
    for number in range(FILES):
        me.write(f"d/{number:02}.yaml", clear(number).replace(b"metadata:", b"metadata:\n  uid: 12345678-1234"))
    one = me.run("encrypt", "--jobs", "1", "-r", "d")
    ran = me.many("encrypt", "-r", "d")
    assert sorted(ran.err.splitlines()) == sorted(one.err.splitlines())
    assert ran.err.count("uid: only a cluster sets that") == FILES


def test_an_error_that_would_be_said_of_every_file_is_said_once(me: Many) -> None:
    me.write_all_sealed()
    fails = "if os.getpid() != parent: raise batch.UsageError('it is the same everywhere')"
    ran = me.many("verify", "-r", "d", each=fails)
    assert (ran.code, ran.err) == (2, "ksecret: it is the same everywhere\n")
    assert len(me.workers()) == 3


def test_who_starts_it_may_ignore_the_ends_of_children(me: Many) -> None:
    """Then nobody is told of them (wait(2), ECHILD)."""
    me.write_all_sealed()
    ignores = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    assert me.many("rotate", "-r", "d", before=ignores).err == f"ksecret: {FILES} rotated, 0 unchanged, 0 failed\n"
    dies = "if rest[-1].path == 'd/13.yaml' and os.getpid() != parent: os.kill(os.getpid(), 9)"
    ran = me.many("verify", "-r", "d", each=dies, before=ignores)
    assert ran.code == 7
    assert "ksecret: d/13.yaml: the process that was to work on it was ended\n" in ran.err


def test_where_the_system_grants_no_process_one_does_it(me: Many) -> None:
    me.write_all_sealed()
    refuses = """
def refused(left=[1]):
    if not left:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    left.pop()
    return forked()

os.fork = refused
"""
    ran = me.many("rotate", "-r", "d", before=refuses)
    assert ran.err == f"ksecret: {FILES} rotated, 0 unchanged, 0 failed\n"
    assert len(me.workers()) == 1
    assert all(map(me.is_whole, range(FILES)))


def test_what_is_too_large_for_a_frame_comes_all_the_same(me: Many) -> None:
    me.write_all_sealed()
    one = me.run("decrypt", "--jobs", "1", "-r", "d")
    assert me.many("decrypt", "-r", "d", before="workers._MAX_FRAME = 200") == one
    assert len(me.workers()) == 3


@pytest.mark.parametrize("words", [("--jobs", "1"), ("--debug",)], ids=["one job", "tracebacks"])
def test_one_process_does_what_several_can_not(me: Many, words: tuple[str, ...]) -> None:
    me.write_all_sealed()
    assert me.many("verify", *words, "-r", "d").code == 0
    assert me.workers() == []


def test_jobs_that_are_asked_for_are_the_most_of_all_processes_together(me: Many) -> None:
    me.write_all_sealed()
    assert me.many("verify", "--jobs", "2", "-r", "d").code == 0
    assert len(me.workers()) == 2


def test_a_key_that_is_removed_is_told_of_as_by_one_process(me: Many) -> None:
    me.write_all_sealed()
    other = another_key()
    me.ok("keys", "add", "-k", other, "-r", "d")
    ran = me.many("keys", "remove", "-k", other, "-r", "d")
    assert "so it was taken away nowhere" not in ran.err
    assert ran.err.startswith(f"ksecret: {FILES} changed")


def test_each_process_calls_aws_kms_by_a_connection_of_its_own(me: Many) -> None:
    me.write_clear()
    with StubKms(latency=0.005) as kms:
        me.environ |= {**ENVIRON, "AWS_ENDPOINT_URL_KMS": kms.url}
        sealed = me.many("encrypt", "-i", "-r", "-k", f"aws:{KEY}", "d")
        assert sealed.err == f"ksecret: {FILES} sealed, 0 unchanged, 0 failed\n"
        assert len(me.workers()) == 3
        assert kms.calls == FILES
        opened = me.many("decrypt", "-r", "d")
        assert len(me.workers()) == 6
        assert kms.calls == 2 * FILES
    assert opened.out == b"---\n".join(map(clear, range(FILES)))


def test_credentials_of_the_machine_are_asked_for_by_each_process(me: Many) -> None:
    """Whoever shared a kept connection with others would read their answers."""
    me.write_clear()
    given = {"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": "2099-01-01T00:00:00Z"}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.client_address)
            body = json.dumps(given).encode()
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with StubKms() as kms, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as machine:
        threading.Thread(target=machine.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{machine.server_port}/"
        me.environ |= {"AWS_ENDPOINT_URL_KMS": kms.url, "AWS_CONTAINER_CREDENTIALS_FULL_URI": url}
        ran = me.many("encrypt", "-i", "-r", "-k", f"aws:{KEY}", "d")
        machine.shutdown()
    assert ran.err == f"ksecret: {FILES} sealed, 0 unchanged, 0 failed\n"
    assert len(set(asked)) == len(asked) == 1 + len(me.workers()) == 4


def test_keys_of_gpg_serve_several_processes(world: World, tmp_path: Path) -> None:
    me = Many(tmp_path, "alice")
    me.environ["GNUPGHOME"] = str(world.alice.path)
    for number in range(12):
        me.write(f"d/{number:02}.yaml", clear(number))
    sealed = me.many("encrypt", "-i", "-r", "-k", str(world.ref("alice")), "d")
    opened = me.many("decrypt", "-r", "d")
    assert (sealed.code, opened.out) == (0, b"---\n".join(map(clear, range(12))))
    assert len(me.workers()) == 4


def test_how_far_it_is_shows_on_a_terminal(me: Many) -> None:
    me.write_all_sealed()
    me.environ |= {"TQDM_NCOLS": "80", "TQDM_NROWS": "24"}  # the terminal of a test has no size
    running = Running(me, me.command("verify", "-r", "d", before="from secretsvc.cli import report; report.MANY = 8"))
    code, screen = running.end()
    assert code == 0
    assert screen.count("all sound") == FILES
    assert f"| 0/{FILES} [" in screen
    assert len(me.workers()) == 3


def test_no_value_and_no_identity_is_shown_where_workers_end(me: Many) -> None:
    me.write_all_sealed()
    ran = me.many("decrypt", "-r", "d", each="if rest[-1].path == 'd/13.yaml': os.kill(os.getpid(), 9)")
    assert ran.code == 7
    assert MARK.encode() not in ran.out
    assert pyrage.x25519.Identity.from_str(me.identity)
