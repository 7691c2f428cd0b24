"""What tests of deploy/rotate/rotate.sh share: a pod, a repository of sealed files, some of them old, and a run."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import sha256
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from tests.e2e.cli import MANIFEST, Person, member
from tests.e2e.kubernetes import ROOT
from tests.emulators.fake_service import TOKEN, Canned, FakeService, Seen
from tests.emulators.forge import REPOSITORY, Forge
from tests.support import new_lock
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.pods import Pod

FOLDER = ROOT / "deploy" / "rotate"
SCRIPT = FOLDER / "rotate.sh"
OLD = "2026-01-01T00:00:00Z"
WORDS = ["/bin/sh", str(SCRIPT)]


def new_pod(folder: Path, service: FakeService, files: int) -> Person:
    """A pod that knows a service, and a repository `origin` with that many sealed files, every other one old."""
    person = Person(folder, "pod", identity=False)
    person.environ |= {
        "KSECRET_SERVER": service.url,
        "KSECRET_TOKEN": TOKEN,
        "GIT_URL": f"file://{folder}/origin.git",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    for number in range(files):
        write_sealed(person, service, number, OLD if number % 2 else service.now)
    git(person, "init", "-q", "-b", "main", ".")
    commit(person, "Seal")
    git(person, "clone", "-q", "--bare", ".", str(folder / "origin.git"))
    git(person, "--git-dir", str(folder / "origin.git"), "config", "uploadpack.allowFilter", "true")
    git(person, "remote", "add", "origin", str(folder / "origin.git"))
    return person


def write_sealed(person: Person, service: FakeService, number: int, created: str) -> None:
    clear = MANIFEST.replace(b"name: db", b"name: db%d" % number)
    person.write(f"k8s/{number}.yaml", service.lock.seal(clear, created=created))


def commit(person: Person, message: str) -> None:
    """All that is in the work tree, as somebody who is not the script."""
    git(person, "add", ".")
    git(person, "-c", "user.name=a", "-c", "user.email=a@example", "commit", "-qm", message)


def git(person: Person, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=person.work, env=person.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rotate(person: Person, **environ: str) -> subprocess.CompletedProcess[str]:
    """A run of the script, that must leave nothing behind."""
    with TemporaryDirectory(dir=person.home) as folder:
        environ = person.environ | environ | {"TMPDIR": folder}
        done = subprocess.run(WORDS, env=environ, capture_output=True, text=True, timeout=150, check=False)
        assert not os.listdir(folder)
    return done


def created_on(person: Person, branch: str) -> list[str]:
    """When the data keys of a branch on the server were made."""
    git(person, "fetch", "-q", "origin", branch)
    names = git(person, "ls-tree", "--name-only", "FETCH_HEAD", "k8s/").split()
    return [member(git(person, "show", f"FETCH_HEAD:{name}").encode(), "created").strip('"') for name in names]


def on_a_forge(person: Person, forge: Forge) -> Person:
    """The same, with the repository on a forge."""
    served = forge.folder / f"{REPOSITORY}.git"
    served.parent.mkdir(parents=True)
    (person.work.parent / "origin.git").rename(served)
    git(person, "remote", "set-url", "origin", str(served))
    return person


class Scene(NamedTuple):
    """A service that is watched and a forge that has the repository, both behind TLS; somebody beside the cluster."""

    authority: Authority
    watched: Watched
    forge: Forge
    person: Person

    @property
    def settings(self) -> dict[str, str]:
        """What an overlay of deploy/rotate sets to reach both."""
        return {
            "GIT_URL": f"{self.forge.url}/{REPOSITORY}.git",
            "KSECRET_SERVER": self.watched.url,
            "GIT_SSL_CAINFO": "/etc/ksecret-ca/ca.crt",
            "CURL_CA_BUNDLE": "/etc/ksecret-ca/ca.crt",
        }

    @property
    def here(self) -> dict[str, str]:
        """What the machine gives each process of a pod."""
        return {name: self.person.environ[name] for name in ("PATH", "HOME", "LC_ALL", "GIT_CONFIG_GLOBAL")}


@contextmanager
def scene_of(folder: Path, its_files: list[str], files: int) -> Iterator[Scene]:
    """One with so many files, of which the victim's are `its_files`."""
    authority = Authority(folder / "ca")
    with (
        Watched(its_files, authority.server_context("localhost")) as watched,
        Forge(folder / "forge", "gitlab", authority.server_context("localhost")) as forge,
    ):
        yield Scene(authority, watched, forge, on_a_forge(new_pod(folder, watched, files), forge))


def shard_of(path: str, count: int) -> int:
    """As docs/rotation.md has it, so that pods of two releases agree."""
    return int.from_bytes(sha256(path.encode()).digest()[:8], "big") % count


def old_files(files: int, shards: int) -> dict[str, int]:
    """The old ones among so many files of `new_pod`, and to which shard each belongs."""
    return {f"k8s/{number}.yaml": shard_of(f"k8s/{number}.yaml", shards) for number in range(1, files, 2)}


def fullest(shards: dict[str, int]) -> tuple[int, list[str]]:
    """The shard that has the most files, and those."""
    index = Counter(shards.values()).most_common(1)[0][0]
    return index, [path for path, other in shards.items() if other == index]


class Watched(FakeService):
    """A service that tells which files it was asked for, and kills the victim as the second of its files comes."""

    def __init__(self, its_files: list[str], context: ssl.SSLContext | None = None) -> None:
        super().__init__(new_lock(), context)
        self.asked: list[str] = []
        self.victim: Future[Pod | subprocess.Popen[bytes]] = Future()
        self._its_files = its_files
        self._lock = threading.Lock()

    def answer(self, seen: Seen) -> Canned:
        path = f"k8s/{member(seen.body, 'name').removeprefix('db')}.yaml"
        with self._lock:
            self.asked.append(path)
            second = len([one for one in self.asked if one in self._its_files]) == 2
        if second and path in self._its_files:
            self.victim.result(60).kill()
            return Canned(drop=True)
        return super().answer(seen)
