"""A Kubernetes control plane on this machine: a real etcd and kube-apiserver, and nothing that would run a pod.

The controller of Jobs comes on top where a test asks for it. `scripts/control-plane FOLDER` builds all three. By hand:
`python -m tests.e2e.control_plane FOLDER`.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import URLError

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support import quiet_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER = "https://kubernetes.default.svc"
"""What Kubernetes' own installers take for --service-account-issuer, with or without `.cluster.local`."""


class ControlPlane(NamedTuple):
    """Where it listens, and how an administrator gets in."""

    url: str
    token: str
    authority: Path
    kubeconfig: Path


def _signing_key(folder: Path) -> Path:
    key = rsa.generate_private_key(65537, 2048)
    path = folder / "service-accounts.key"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form))
    return path


def _kubeconfig(made: ControlPlane) -> None:
    words: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        "clusters": [{"name": "here", "cluster": {"server": made.url, "certificate-authority": str(made.authority)}}],
        "users": [{"name": "admin", "user": {"token": made.token}}],
    }
    made.kubeconfig.touch(0o600)
    made.kubeconfig.write_text(json.dumps(words))


def _wait(made: ControlPlane, running: list[subprocess.Popen[bytes]], log: Path) -> None:
    end = time.monotonic() + 90
    request = urllib.request.Request(f"{made.url}/readyz", headers={"Authorization": f"Bearer {made.token}"})
    while True:
        with contextlib.suppress(URLError, OSError):
            context = ssl.create_default_context(cafile=made.authority)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # what the server makes for itself has no key identifiers
            urllib.request.urlopen(request, timeout=5, context=context).close()
            return
        assert all(one.poll() is None for one in running), log.read_text()[-4000:]
        assert time.monotonic() < end, log.read_text()[-4000:]
        time.sleep(0.2)


@contextlib.contextmanager
def started(programs: Path, folder: Path) -> Iterator[ControlPlane]:
    """RBAC and the default admission plugins, PodSecurity among them; gone, with all that it held, after the block."""
    with (
        quiet_port() as etcd,
        quiet_port() as peer,
        quiet_port() as port,
        _running(programs, folder, etcd, peer, port) as made,
    ):
        yield made


@contextlib.contextmanager
def _running(programs: Path, folder: Path, etcd: int, peer: int, port: int) -> Iterator[ControlPlane]:
    url = f"https://127.0.0.1:{port}"
    made = ControlPlane(url, secrets.token_hex(), folder / "certs" / "apiserver.crt", folder / "kubeconfig")
    (folder / "tokens.csv").write_text(f"{made.token},admin,admin,system:masters\n")
    _kubeconfig(made)
    key = _signing_key(folder)
    commands = (
        [
            programs / "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ],
        [
            programs / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={port}",
            f"--cert-dir={folder / 'certs'}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--service-cluster-ip-range=10.96.0.0/24",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
        ],
    )
    log = folder / "log"
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        running = []
        for words in commands:
            running.append(subprocess.Popen(list(map(str, words)), stdout=output, stderr=output, cwd=folder))
            stack.callback(running[-1].wait)
            stack.callback(running[-1].kill)
        _wait(made, running, log)
        yield made


@contextlib.contextmanager
def jobs_are_run(programs: Path, made: ControlPlane, folder: Path) -> Iterator[None]:
    """The controller of Jobs, from kube-controller-manager, for as long as the block lasts."""
    words = [programs / "kube-controller-manager", f"--kubeconfig={made.kubeconfig}", "--controllers=job-controller"]
    words += ["--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=false"]
    with (folder / "controllers.log").open("wb") as log:
        running = subprocess.Popen(list(map(str, words)), stdout=log, stderr=log, cwd=folder)
        try:
            yield
        finally:
            running.kill()
            running.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory() as place,
        started(Path(sys.argv[1]).resolve(), Path(place)) as made,
    ):
        sys.stdout.write(f"export KUBECONFIG={made.kubeconfig}\n")
        sys.stdout.flush()
        signal.pause()
