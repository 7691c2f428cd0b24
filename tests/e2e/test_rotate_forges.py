"""rotate.sh against a Git server over https and the forges' requests to merge.

What fails at a step is made up for by the next run, which looks at what is on the server. The token goes there only.
"""

from __future__ import annotations

import os
import signal
import subprocess
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.e2e.rotation import OLD, WORDS, created_on, git, new_pod, rotate
from tests.emulators.forge import LOST, REPOSITORY, TOKEN, Forge
from tests.support import NIGHT
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.cli import Person
    from tests.emulators.fake_service import FakeService

KINDS = ("gitlab", "github", "gitea")
BRANCH = "ksecret/rotate"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def forges(tmp_path: Path, authority: Authority) -> Iterator[Callable[[str], Forge]]:
    """Makes the one forge of a test, of that kind."""
    running: list[Forge] = []

    def start(kind: str) -> Forge:
        running.append(Forge(tmp_path / "forge", kind, authority.server_context("localhost")).__enter__())
        return running[-1]

    yield start
    for forge in running:
        forge.__exit__()


@pytest.fixture
def pod(tmp_path: Path, service: FakeService, authority: Authority) -> Person:
    """A pod and a repository on the forge, with four sealed files, two of them old."""
    person = new_pod(tmp_path, service, 4)
    served = tmp_path / "forge" / f"{REPOSITORY}.git"
    served.parent.mkdir(parents=True)
    (tmp_path / "origin.git").rename(served)
    git(person, "remote", "set-url", "origin", str(served))
    person.environ |= {"GIT_SSL_CAINFO": authority.ca_file, "CURL_CA_BUNDLE": authority.ca_file, "GIT_TOKEN": TOKEN}
    return person


def on(pod: Person, forge: Forge) -> Person:
    pod.environ |= {"GIT_URL": f"{forge.url}/{REPOSITORY}.git", "FORGE": forge.kind}
    return pod


def run(pod: Person, code: int = 0) -> str:
    """Standard error of a run that ends so. The token is in nothing that it prints."""
    done = rotate(pod)
    assert done.returncode == code, done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stderr


def request(title: str = "Rotate data keys of sealed Secrets") -> dict[str, str]:
    return {"head": BRANCH, "base": "main", "title": title}


@pytest.mark.parametrize("kind", KINDS)
def test_a_forge_is_asked_for_one_request_however_often_it_runs(
    pod: Person, forges: Callable[[str], Forge], kind: str
) -> None:
    forge = forges(kind)
    on(pod, forge)
    run(pod)
    run(pod)
    assert forge.open == [request()]
    assert OLD not in created_on(pod, BRANCH)
    assert git(pod, "log", "--format=%s", "main..FETCH_HEAD").count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "step", "statuses"),
    [
        ("github", "refs", [None, 500]),  # whether there is a branch can't be told: it is not taken for none
        ("github", "clone", [502]),
        ("github", "push", [500, 500, 500]),
        ("gitlab", "list", [403]),
        ("github", "create", [403]),
        ("gitea", "create", [500, 500, 500]),
        ("github", "create", [422]),  # not because there is one: nothing is open
        *(("github", step, [403]) for step in ("refs", "list") if NIGHT),
        *(("gitlab", "create", [500, 500, 500]) for _ in range(NIGHT)),
    ],
)
def test_what_failed_is_told_and_the_next_run_makes_up_for_it(
    pod: Person, forges: Callable[[str], Forge], kind: str, step: str, statuses: list[int | None]
) -> None:
    forge = forges(kind)
    forge.fails[step] = statuses
    on(pod, forge)
    done = rotate(pod)
    assert done.returncode not in {0, 143}
    assert done.stderr
    assert not forge.open
    run(pod)
    assert forge.open == [request()]
    assert OLD not in created_on(pod, BRANCH)


@pytest.mark.parametrize("step", ["push", "create"])
def test_an_answer_that_got_lost_is_no_failure(pod: Person, forges: Callable[[str], Forge], step: str) -> None:
    forge = forges("gitlab")
    forge.fails[step] = [LOST]
    run(on(pod, forge))
    assert forge.open == [request()]
    assert OLD not in created_on(pod, BRANCH)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_another_pod_opened_meanwhile_will_do(
    pod: Person, forges: Callable[[str], Forge], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    forge = forges(kind)
    create = forge.create

    def second(body: dict[str, object]) -> int:
        forge.open.append(request("of the other pod"))
        return create(body)

    monkeypatch.setattr(forge, "create", second)
    run(on(pod, forge))
    assert forge.open == [request("of the other pod")]


def test_the_token_goes_to_no_host_that_the_forge_redirects_to(pod: Person, forges: Callable[[str], Forge]) -> None:
    elsewhere, forge = forges(""), forges("github")
    forge.moved_to = elsewhere.url
    run(on(pod, forge), code=128)
    assert elsewhere.seen == []


def test_the_token_goes_to_no_host_that_the_api_redirects_to(
    pod: Person, forges: Callable[[str], Forge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the machine's curl follows redirects."""
    elsewhere, api, forge = forges("github"), forges("github"), forges("github")
    api.moved_to = elsewhere.url
    (pod.home / ".curlrc").write_text("location-trusted\n")
    pod.environ["FORGE_API"] = f"{api.url}/api/v3"
    assert "HTTP 302" in run(on(pod, forge), code=1)
    assert elsewhere.seen == []


@pytest.mark.parametrize("other", ["https://other.example", "https://localhost:1", "http://localhost"])
def test_git_has_the_token_for_one_host_only(pod: Person, other: str) -> None:
    """What the script sets up, asked by a program in git's place."""
    pod.environ["GIT_URL"] = "https://localhost/shop/deploy.git"
    fake = pod.home / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "url=%s\\n\\n" "$ASKED" | exec "$GIT" credential fill >"$TOLD"\n')
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{pod.environ['PATH']}"
    told = pod.home / "told"
    for asked, known in ((other, False), ("https://localhost", True)):
        real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
        rotate(pod, PATH=path, GIT=real, ASKED=asked, TOLD=str(told))
        assert (f"password={TOKEN}" in told.read_text()) is known


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"GIT_URL": f"https://me:{TOKEN}@localhost/shop/deploy.git"}, "GIT_TOKEN"),
        ({"FORGE": "sourceforge"}, "FORGE is"),
        ({"GIT_URL": "http://localhost/shop/deploy.git", "FORGE": "gitlab"}, "https://"),
        ({"BRANCH": 'a", "base": "b'}, "BRANCH"),
    ],
)
def test_settings_that_cannot_be_right_are_told_at_once(pod: Person, setting: dict[str, str], said: str) -> None:
    pod.environ |= setting
    assert said in run(pod, code=1)


def test_the_token_is_in_no_argument_and_ksecret_does_not_get_it(
    pod: Person, forges: Callable[[str], Forge], tmp_path: Path
) -> None:
    forge = forges("github")
    folder = tmp_path / "watched"
    folder.mkdir()
    for name in ("curl", "git", "ksecret"):
        real = subprocess.run(["which", name], env=pod.environ, capture_output=True, text=True, check=True)
        wrapper = folder / name
        log = f'{{ echo "{name} $*"; env | grep ^GIT_TOKEN; }} >> "{folder}/{name}.log"'
        wrapper.write_text(f'#!/bin/sh\n{log}\nexec {real.stdout.strip()} "$@"\n')
        wrapper.chmod(0o755)
    on(pod, forge).environ["PATH"] = f"{folder}{os.pathsep}{pod.environ['PATH']}"
    run(pod)
    logs = {name: (folder / f"{name}.log").read_text() for name in ("curl", "git", "ksecret")}
    assert TOKEN not in logs["ksecret"]
    for log in logs.values():
        assert not [line for line in log.splitlines() if TOKEN in line and not line.startswith("GIT_TOKEN=")]
    basic = b64encode(f"oauth2:{TOKEN}".encode()).decode()
    assert {one.credentials for one in forge.seen} == {"", f"Basic {basic}", f"Bearer {TOKEN}"}


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_signal_ends_it_at_once_and_leaves_nothing(
    pod: Person, forges: Callable[[str], Forge], tmp_path: Path, name: str, code: int
) -> None:
    forge = forges("github")
    forge.hangs.set()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environ = on(pod, forge).environ | {"TMPDIR": str(scratch)}
    running = subprocess.Popen(WORDS, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert forge.heard.wait(60)
    assert os.listdir(scratch)
    running.send_signal(getattr(signal, name))
    running.communicate(timeout=10)  # its curl would wait for a minute
    assert running.returncode == code
    assert not os.listdir(scratch)
