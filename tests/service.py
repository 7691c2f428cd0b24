"""`ksecret serve` as a real process on a real socket, and those who call it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode

import pyrage
import yaml

from tests.e2e import forks
from tests.e2e.cli import BIN, KSECRET, MARKS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

YAML = "application/yaml"
EVERY = ["encrypt", "decrypt", "rotate", "set", "inspect", "verify", "generate"]


_LIMITED = """\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Answer(NamedTuple):
    """What a request got."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The name of the problem, once it is found to be a whole one."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        told = self.json()
        assert told["status"] == self.status
        assert told["requestId"] == self.headers["x-request-id"]
        assert not any(mark in self.body.decode() for mark in MARKS)
        return str(told["type"]).removeprefix("/problems/")


def token(name: str) -> str:
    """A static token that tests know by its holder's name."""
    return f"kst_{name}-{sha256(name.encode()).hexdigest()}"


def entry(name: str) -> dict[str, str]:
    """Its entry in the configuration."""
    return {"name": name, "sha256": sha256(token(name).encode()).hexdigest()}


def rule(caller: str, *operations: str, **more: Any) -> dict[str, Any]:
    """What that token's holder may do: with everything, where nothing else is said."""
    found = {"namespaces": ["*"], "names": ["*"], "keys": ["*"], **more}
    return {"callers": [{"token": caller}], "operations": list(operations), **found}


class Service:
    """The service, with an age identity of its own and a configuration that tests may change before it starts."""

    def __init__(self, folder: Path, *words: str, **environ: str) -> None:
        self.folder = folder
        self.words = words
        identity = pyrage.x25519.Identity.generate()
        self.identity = str(identity)
        self.ref = f"age:{identity.to_public()}"
        kept = {name: text for name, text in os.environ.items() if name.startswith("PYTHON")}
        self.environ = {
            **kept,
            "LC_ALL": "C.UTF-8",
            "PATH": os.pathsep.join((BIN, os.environ.get("PATH", os.defpath))),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "KSECRET_AGE_KEY": str(identity),
            **environ,
        }
        self.audit = folder / "audit.jsonl"
        self.key_rules = [{"keys": [self.ref]}]
        self.config: dict[str, Any] = {
            "version": 1,
            "listen": {"port": 0, "stopDelay": 0.2},
            "tokens": [entry("root")],
            "rules": [rule("root", *EVERY, unbound=True)],
            "keyRules": "rules.yaml",
            "audit": {"file": "audit.jsonl"},
            "limits": {"requestsPerSecond": 100000, "burst": 100000},
        }
        self.context: ssl.SSLContext | None = None
        self.program = [KSECRET]
        self.process: subprocess.Popen[bytes] | forks.Forked = None  # type: ignore[assignment]
        self.log = folder / "log"
        self.out = folder / "out"

    def write(self) -> Path:
        """The configuration's files."""
        path = self.folder / "service.yaml"
        path.write_text(yaml.safe_dump(self.config))
        (self.folder / "rules.yaml").write_text(yaml.safe_dump({"version": 1, "rules": self.key_rules}))
        return path

    def start(self, file_bytes: int = 0) -> Self:
        """`file_bytes`: no file that it writes may become larger, as on a full disk: coverage's would be cut off."""
        words = ["--config", str(self.write()), *self.words] if "--dev" not in self.words else list(self.words)
        command = [*self.program, "serve", *words]
        with self.log.open("wb") as log, self.out.open("wb") as out, open(os.devnull, "rb") as nothing:
            streams = [stream.fileno() for stream in (nothing, out, log)]
            if file_bytes:
                command = [sys.executable, "-c", _LIMITED, str(file_bytes), *command]
            if file_bytes or not self._may_fork(command):
                environ = self.environ | (forks.measuring() if not file_bytes else {})
                self.process = subprocess.Popen(
                    command, stdin=streams[0], stdout=streams[1], stderr=streams[2], env=environ, cwd=self.folder
                )
            else:
                self.process = forks.Forked(command, self.folder, self.environ, streams, count=True)
        try:
            self._wait()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def _may_fork(self, command: list[str]) -> bool:
        """Whether it is `ksecret` itself, alone: its workers would start anew from what forks."""
        alone = "--workers" not in command and self.config["listen"].get("workers", 1) == 1
        chosen = not forks.from_nothing([self.folder.name])
        return chosen and alone and self.program == [KSECRET] and forks.can_fork(command, self.environ)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while not (found := re.search(r"listening at (https?)://([^:]+|\[.*\]):(\d+)", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        self.host, self.port = found[2], int(found[3])
        health = re.search(r"health at http://.*:(\d+)", self.log.read_text())
        self.health_port = int(health[1]) if health else 0
        while not self._answers():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.get("/livez", caller="").status == 200
        except (ConnectionError, http.client.HTTPException):
            return False

    def __enter__(self) -> Self:
        """Starts it, where that was not done by hand."""
        return self if self.process and self.process.poll() is None else self.start()

    def stop(self) -> int:
        """Asks it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
        told = self.log.read_text() + self.out.read_text() + (self.audit.read_text() if self.audit.exists() else "")
        for secret in (*MARKS, self.identity, "kst_root"):
            assert secret not in told, f"{secret} in the logs"

    def connect(self) -> http.client.HTTPConnection:
        if self.context:
            return http.client.HTTPSConnection(self.host, self.port, timeout=30, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {name.lower(): text for name, text in answer.getheaders()})
        finally:
            connection.close()

    def get(self, path: str, caller: str = "root", **headers: str) -> Answer:
        return self.send("GET", path, None, {**self.bearer(caller), **headers})

    def bearer(self, caller: str) -> dict[str, str]:
        text = caller if caller.count(".") == 2 else token(caller)
        return {"Authorization": f"Bearer {text}"} if caller else {}

    def post(
        self, path: str, body: bytes | object, caller: str = "root", kind: str = "", **query: str | list[str]
    ) -> Answer:
        """A body of bytes is YAML, where nothing else is said, and anything else is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = kind or (YAML if isinstance(body, bytes) else "application/json")
        asked = f"{path}?{urlencode(query, doseq=True)}" if query else path
        return self.send("POST", asked, data, {**self.bearer(caller), "Content-Type": kind})

    def sealed(self, data: bytes, **query: str | list[str]) -> bytes:
        """A manifest that root has sealed."""
        answer = self.post("/v1/encrypt", data, **query)
        assert answer.status == 200, answer.body
        return answer.body

    def audited(self) -> list[dict[str, Any]]:
        """The audit log's lines."""
        return [json.loads(line) for line in self.audit.read_bytes().splitlines()]
