"""The service among everything that goes wrong around it, in turns: does it ever answer wrongly, or lose what it did?

    python -m benchmarks.chaos [SECONDS]

Two workers behind TLS with client certificates, age and a KMS. Eight callers seal, open, rewrap, and try what they may
not, and know what each answer has to be; meanwhile, and for `SECONDS` (600), there are slow clients, workers are
killed, certificates and authorities replaced, the disk is full, and the KMS hangs, each in turn, with a pause between.
Refusals and cut connections are no wrong answers while it lasts; what counts is told line by line, and the exit code is
1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import resource
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.common import KSECRET, MANIFEST, verdict
from benchmarks.load import prepared
from benchmarks.service import family
from tests.emulators.aws import ENVIRON, KEY, StubKms
from tests.issuer import certificate
from tests.service import YAML, Answer, Service, entry, rule, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLERS = 8
TURNS = 5
LONGEST, SHORTEST = 8.0, 1.5
"""Seconds of a turn: a twelfth of the whole, within these."""
RECOVERS = 30.0
"""Seconds after a turn in which every key has to work again."""
GROWTH = 16.0
"""MiB by which the worker that lives longest may be larger in the last quarter than in the second."""
LEAST = 180.0
"""Seconds of a run that says something of memory."""
DISK = 700
"""Bytes that are left on the full disk: a line and a half."""
BUSY = {429, 503, 504}
"""How one may be refused without a fault of one's own."""


class Told(NamedTuple):
    """What was answered as it had to be, to hold against the audit log."""

    request: str
    outcome: str


class World:
    """The service and its files, what its callers saw, and whether all goes on."""

    def __init__(self, folder: Path, kms: StubKms) -> None:
        self.kms = kms
        self.ca = certificate(folder / "ca.pem", "test CA")
        self.pem, self.roots = certificate(folder / "server.pem", ca=self.ca), folder / "roots.pem"
        self.roots.write_bytes(self.ca.read_bytes())
        self.service = Service(folder, **ENVIRON, AWS_ENDPOINT_URL_KMS=kms.url)
        files = {"tlsCert": str(self.pem), "tlsKey": str(self.pem), "tlsClientCa": str(self.roots)}
        self.service.config["listen"] |= {"workers": 2, **files}
        self.service.config["limits"] |= {"backendSeconds": 2, "operationSeconds": 20, "headerSeconds": 3}
        self.service.config["tokens"].append(entry("reader"))
        self.service.config["rules"].append(rule("reader", "verify"))
        self.service.context = ssl.create_default_context(cafile=self.ca)
        self.service.context.load_cert_chain(certificate(folder / "client.pem", "client", ca=self.ca))
        self.keys = {"age": self.service.ref, "aws": f"aws:{KEY}"}
        self.ends = threading.Event()
        self.lock = threading.Lock()
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        """How often each was answered: `age 200`, `aws 504 timeout`, `age cut off`."""
        self.told: list[Told] = []
        self.last_error = ""
        """Of what was tried to see whether all works."""

    def note(self, what: str, told: Told | None = None) -> None:
        """Counts it."""
        with self.lock:
            self.seen[what] += 1
            if told:
                self.told.append(told)

    def count(self, end: str) -> int:
        """How often it was answered so, with any key."""
        with self.lock:
            return sum(count for what, count in self.seen.items() if what.endswith(end))

    def workers(self) -> list[int]:
        """Their process ids, the oldest first."""
        found = []
        for pid in family(self.service.process.pid):
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    found.append((int(stat[19]), pid))
        return [pid for _, pid in sorted(found)]

    def works(self) -> bool:
        """Whether all keys do, ten times in a row, so that both workers are asked."""
        return all(self._seals(key) for key in self.keys.values() for _ in range(5))

    def _seals(self, key: str) -> bool:
        try:
            answer = self.service.post("/v1/encrypt", MANIFEST.format(number=0).encode(), key=key)
            self.last_error = f"{answer.status} {answer.problem}" if answer.status != 200 else ""
            return answer.status == 200
        except (OSError, http.client.HTTPException) as error:
            self.last_error = repr(error)
            return False


class Caller(threading.Thread):
    """Asks over one connection for as long as that lasts, and judges every answer."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._random = random.Random(number)
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        number = 0
        while not self._world.ends.is_set():
            number += 1
            try:
                self._round(number)
            except Exception as error:  # a caller that fell silent would make the service look sound
                self._world.wrong.append(f"the caller failed: {error!r}")
            time.sleep(0.02)
        if self._connection:
            self._connection.close()

    def _round(self, number: int) -> None:
        """One Secret's life. What is refused for want of something ends it."""
        name = self._random.choice(list(self._world.keys))
        value = b64encode(self._random.randbytes(24)).decode()
        clear = f"{MANIFEST.format(number=number)}  own: {value}\n".encode()
        sealed = self._ask(name, f"encrypt?key={self._world.keys[name]}", clear)
        if not sealed:
            return
        self._expect(f"{name} encrypt", b"ksecret:" in sealed and value.encode() not in sealed)
        rewrapped = self._ask(name, "rotate?mode=rewrap", sealed)
        for each in (sealed, rewrapped):
            opened = each and self._ask(name, "decrypt", each)
            self._expect(f"{name} decrypt", not opened or opened == clear)
        self._ask(name, "verify", sealed)
        if number % 5 == 0:
            self._ask(name, "decrypt", sealed.replace(b"name: bench-", b"name: other-"), 409, outcome="failed")
            self._ask(name, "decrypt", sealed, 403, caller="reader", outcome="denied")
            self._ask(name, "decrypt", sealed, 401, caller="nobody", outcome="")

    def _expect(self, what: str, holds: bool) -> None:
        if not holds:
            self._world.wrong.append(f"{what}: another text than it has to be")

    def _ask(
        self, name: str, path: str, body: bytes, status: int = 200, *, caller: str = "root", outcome: str = "done"
    ) -> bytes | None:
        """The answer's body, where it has that status."""
        try:
            answer = self._exchange(f"/v1/{path}", body, caller)
        except (OSError, http.client.HTTPException):
            if self._connection:
                self._connection.close()
            self._connection = None
            self._world.note(f"{name} cut off")
            return None
        if answer.status == status:
            told = Told(answer.headers["x-request-id"], outcome) if outcome else None
            self._world.note(f"{name} {status}", told)
            return answer.body
        problem = answer.problem
        self._world.note(f"{name} {answer.status} {problem}")
        if answer.status not in BUSY:
            self._world.wrong.append(f"{name} {path.partition('?')[0]}: {answer.status} {problem}, not {status}")
        return None

    def _exchange(self, path: str, body: bytes, caller: str) -> Answer:
        self._connection = self._connection or self._world.service.connect()
        self._connection.request("POST", path, body, {**self._world.service.bearer(caller), "Content-Type": YAML})
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read(), {name.lower(): text for name, text in answer.getheaders()})


class Memory(threading.Thread):
    """Looks every half second how much RAM the oldest worker holds, in MiB."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world = world
        self.found: list[float] = []

    def run(self) -> None:
        oldest = self._world.workers()[0]
        while not self._world.ends.wait(0.5):
            with suppress(OSError):
                self.found.append(int(Path(f"/proc/{oldest}/statm").read_text().split()[1]) * 4096 / 2**20)

    def growth(self) -> float:
        """From the second quarter of the time to the last."""
        part = max(1, len(self.found) // 4)
        return statistics.median(self.found[-part:]) - statistics.median(self.found[part : 2 * part] or self.found)


def until(happened: Callable[[], bool], seconds: float) -> bool:
    """Whether it happens in that time."""
    ends = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > ends:
            return False
        time.sleep(0.1)
    return True


def slow_clients(world: World, seconds: float) -> bool:
    """They say nothing, say it byte by byte, or take no answers; whether callers were served meanwhile."""
    whole = prepared("POST", "/v1/encrypt", token("root"), b"#" * 5000)
    bad = prepared("POST", "/v1/encrypt", token("nobody"), b"")
    said = [b"", whole[:60], whole[:-1000], bad * 50, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 500]
    before = world.count(" 200")
    context = world.service.context
    assert context
    with ExitStack() as stack:
        opened: list[socket.socket] = []
        for text in said * 10:
            with suppress(OSError):
                raw = stack.enter_context(socket.create_connection((world.service.host, world.service.port), timeout=5))
                if len(opened) % 10 == 9:
                    continue  # not even a handshake
                secured = stack.enter_context(context.wrap_socket(raw, server_hostname="localhost"))
                secured.settimeout(0.05)
                secured.sendall(text)
                opened.append(secured)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for one in opened:
                with suppress(OSError):
                    one.sendall(b"x")
            time.sleep(0.3)
    return world.count(" 200") > before


def killed_workers(world: World, seconds: float) -> bool:
    """The younger one, again and again; whether another took its place each time."""
    ends, replaced = time.monotonic() + seconds, True
    while replaced and time.monotonic() < ends:
        victim = world.workers()[-1]
        os.kill(victim, signal.SIGKILL)
        replaced = until(lambda gone=victim: len(world.workers()) == 2 and gone not in world.workers(), 15)  # type: ignore[misc]
        time.sleep(1)
    return replaced


def replaced_certificates(world: World, seconds: float) -> bool:
    """The service's own, and the clients' authorities; whether the new ones count, and who was let in comes anew."""
    before = world.service.connect()
    with suppress(OSError):
        before.connect()
    new = certificate(world.pem.with_suffix(".new"), ca=world.ca)
    expected = ssl.PEM_cert_to_DER_cert(new.read_text().partition("-----BEGIN PRIVATE")[0])
    new.replace(world.pem)
    both = world.ca.read_bytes() + certificate(world.roots.with_name("other.pem"), "another CA").read_bytes()
    moved = world.roots.with_suffix(".new")
    moved.write_bytes(both)
    moved.replace(world.roots)

    def shown() -> bool:
        connection = world.service.connect()
        with suppress(OSError):
            connection.connect()
            found = connection.sock.getpeercert(binary_form=True)
            connection.close()
            return bool(found == expected)
        return False

    time.sleep(seconds)
    counts = until(lambda: all(shown() for _ in range(6)), 15)
    if not before.sock:
        return False
    before.sock.settimeout(5)
    with suppress(ConnectionError):
        counts = counts and before.sock.recv(1) == b""
    before.close()
    return counts


@contextmanager
def _no_file_larger_than(world: World, size: int) -> Iterator[None]:
    """For every process of the service, as on a full disk."""
    try:
        for pid in family(world.service.process.pid):
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        yield
    finally:
        for pid in family(world.service.process.pid):
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


def full_disk(world: World, seconds: float) -> bool:
    """No audit line can be written; whether that refused something."""
    before = world.count(" 503 audit")
    with _no_file_larger_than(world, world.service.audit.stat().st_size + DISK):
        time.sleep(seconds)
        return until(lambda: world.count(" 503 audit") > before, 10)


def hanging_kms(world: World, seconds: float) -> bool:
    """It answers nothing; whether the other keys went on, and its own were refused."""
    before = world.seen.copy()
    world.kms.states[KEY] = "Slow"
    time.sleep(seconds)
    felt = until(lambda: any(world.seen[what] > before[what] for what in ("aws 504 timeout", "aws 503 busy")), 10)
    goes_on = until(lambda: world.seen["age 200"] > before["age 200"], 10)  # all callers may ask for its key at once
    del world.kms.states[KEY]
    return felt and goes_on


def turns(world: World, seconds: float) -> bool:
    """One after the other until the time is over, each of them at least once; whether all did what they should."""
    length = min(LONGEST, max(SHORTEST, seconds / (2 * TURNS + 2)))
    ends, holds, first = time.monotonic() + seconds, True, True
    while first or time.monotonic() < ends:
        for turn in (slow_clients, killed_workers, replaced_certificates, full_disk, hanging_kms):
            if not (first or time.monotonic() < ends):
                break
            name = turn.__name__.replace("_", " ")
            felt = turn(world, length)
            began = time.monotonic()
            recovered = until(world.works, RECOVERS)
            took = time.monotonic() - began
            said = f"{name}: {'as it should' if felt else 'NOT AS IT SHOULD'}, then all keys work after {took:.1f} s"
            print(said if recovered else f"{name}: NO RECOVERY; {world.workers()=}; {world.last_error}", flush=True)
            holds = holds and felt and recovered
            time.sleep(length / 4)
        first = False
    return holds


def audited(world: World) -> list[bool]:
    """What the audit log has of what was answered."""
    lines = world.service.audited()
    outcomes = Counter((line["request"], line["outcome"]) for line in lines if line["event"] == "outcome")
    intents = Counter(line["request"] for line in lines if line["event"] == "intent")
    lost = sum(outcomes[tuple(told)] != 1 for told in world.told)
    unsaid = sum(intents[told.request] != 1 for told in world.told if told.outcome == "done")
    ran = subprocess.run([KSECRET, "audit", "verify", str(world.service.audit)], capture_output=True, text=True)
    print(f"{len(lines)} audit lines; ksecret audit verify: {(ran.stdout + ran.stderr).strip()[:300]}")
    torn = sum(bool(line.get("torn")) for line in lines)
    return [
        verdict("answers whose outcome is not in the audit log once", lost, 0),
        verdict("answers whose intent is not in it once", unsaid, 0),
        verdict("exit code of audit verify", ran.returncode, 0),
        verdict("torn lines", torn, 0),
    ]


def run(seconds: float) -> bool:
    """Whether every promise was kept."""
    with TemporaryDirectory() as folder, StubKms(slow=4.0) as kms:
        world = World(Path(folder), kms)
        with world.service:
            if not until(world.works, RECOVERS):
                print("it does not even start to work")
                return False
            memory = Memory(world)
            callers = [Caller(world, number) for number in range(CALLERS)]
            for thread in (memory, *callers):
                thread.start()
            turned = turns(world, seconds)
            world.ends.set()
            for thread in callers:
                thread.join(60)
            code = world.service.stop()
        print("; ".join(f"{what}: {count}" for what, count in sorted(world.seen.items())))
        lines = world.service.log.read_text().splitlines()
        print(f"{len(lines)} lines in its log, the last of which are", *lines[-8:], sep="\n  ")
        for text, count in Counter(world.wrong).most_common(10):
            print(f"WRONG, {count} times: {text}")
        sizes = [round(one) for one in memory.found[:: max(1, len(memory.found) // 20)]]
        print(f"the oldest worker, MiB: {sizes}")
        return all(
            [
                verdict("turns that were not as they should, or no recovery", int(not turned), 0),
                verdict("wrong answers", len(world.wrong), 0),
                *audited(world),
                verdict("MiB that the oldest worker grew", memory.growth() if seconds >= LEAST else 0.0, GROWTH),
                verdict("exit code of the service", code, 0),
            ]
        )


def main() -> None:
    """Prints what became of each turn and promise; exit code 1 where one was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("seconds", type=float, nargs="?", default=600)
    sys.exit(0 if run(parser.parse_args().seconds) else 1)


if __name__ == "__main__":
    main()
