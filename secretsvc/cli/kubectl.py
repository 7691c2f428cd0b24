"""`kubectl`, asked for what a cluster has: what it prints stays in memory."""

from __future__ import annotations

from secretsvc.cli import child
from secretsvc.errors import BackendError, ManifestError, UsageError
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_PRINTED = 256 * 1024 * 1024
"""Bytes that are read of what it prints: some hundreds of the largest Secrets that Kubernetes takes."""

_FALSE = ("0", "f", "F", "false", "FALSE", "False")
"""Words that pflag takes for false (Go's strconv.ParseBool)."""
_OF_DIFF = {"force-conflicts": 0, "server-side": 0, "prune": 0, "show-managed-fields": 0, "recursive": 0, "R": 0}
_OF_DIFF |= dict.fromkeys(("field-manager", "selector", "l", "prune-allowlist", "concurrency"), 1)
_OF_DIFF |= dict.fromkeys(("filename", "f", "kustomize", "k"), 1)
"""Options of `kubectl diff` that `kubectl get` does not take, or not with names, and how many words follow each."""

_REFERENCE = pattern(r"(?:secrets?/)([a-z0-9][-a-z0-9.]{0,252})")


class Printed(Record):
    """What kubectl left. Its standard error was the user's own."""

    code: int
    data: bytes

    def __repr__(self) -> str:
        return f"Printed({self.code}, masked)"


def run(words: list[str], stdin: bytes = b"", environ: Mapping[bytes, bytes] | None = None) -> Printed:
    """Runs it to its end. Raises FileError where it can't be run, ManifestError for more than is read of it."""
    from subprocess import PIPE, Popen
    from threading import Thread

    command = [child.find("kubectl"), *words]
    try:
        started = Popen(command, stdin=PIPE, stdout=PIPE, env=child.environment(environ or {}))  # noqa: S603
    except OSError as error:
        raise child.not_started(command[0], error) from error
    with started as running:
        assert running.stdin
        assert running.stdout
        try:
            writer = Thread(target=_write, args=(running.stdin, stdin))  # it may print before it has read all
            writer.start()
            data = running.stdout.read(MOST_PRINTED + 1)
            if len(data) > MOST_PRINTED:
                running.kill()
            writer.join()
        except BaseException:  # a signal that ends this process ends it, too
            running.terminate()
            raise
    if len(data) > MOST_PRINTED:
        what = f"kubectl printed more than {MOST_PRINTED // 1024 // 1024} MiB"
        raise ManifestError(what, hint="take a part at a time: -- -l LABEL=VALUE, or --field-selector type=Opaque")
    return Printed(running.returncode, data)


def _write(stream: Any, data: bytes) -> None:
    from contextlib import suppress

    with suppress(OSError):  # whoever has ended reads no more
        stream.write(data)
    with suppress(OSError):
        stream.close()


def get(words: list[str]) -> Any:
    """What `kubectl get … -o json` prints, as Python reads it. Raises as `run`, and BackendError."""
    printed = run(["get", *words, "-o", "json"])
    if printed.code:
        raise BackendError("kubectl get failed", hint="what it said stands above")
    from json import loads

    try:
        return loads(printed.data)
    except (ValueError, RecursionError):
        raise BackendError("kubectl printed something else than JSON", hint="leave out -o behind --") from None


def secret_named(word: str) -> str:
    """The name in `secret/NAME`. Raises UsageError."""
    found = _REFERENCE.fullmatch(word)
    if not found:
        raise UsageError(
            "a Secret in the cluster is named secret/NAME", hint="what is in a file: ksecret encrypt seals"
        )
    return found[1]


def refuse_client_side(words: list[str]) -> None:
    """Raises UsageError where words for `kubectl apply`, or `diff`, ask for what is no server-side apply."""
    for word in words:
        name, _, value = word.partition("=")
        if name == "--server-side" and value in _FALSE:
            raise UsageError(
                "client-side apply would store every value once more, in the annotation last-applied-configuration",
                hint="leave out --server-side=false; where fields are owned by others, add --force-conflicts",
            )


def of_connection(words: list[str]) -> list[str]:
    """Those of the words for `kubectl diff` that `kubectl get` takes, too: which cluster, as whom, where."""
    kept: list[str] = []
    left = list(reversed(words))
    while left:
        word = left.pop()
        name, equals, _ = word.lstrip("-").partition("=")
        short = name if word.startswith("--") else name[:1]
        if not word.startswith("-") or short not in _OF_DIFF:
            kept.append(word)
        elif _OF_DIFF[short] and not equals and short == name and left:
            left.pop()
    return kept
