"""A program `age-plugin-ktest`, as https://c2sp.org/age-plugin has them: it shows what it is given, and asks for a PIN.

It is a plug-in in all but the device: it XORs the file key with the byte that a recipient, and its identity, are of.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def unpadded(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))


def commands() -> Iterator[tuple[list[str], bytes]]:
    """What the client sends, up to `done`."""
    while True:
        words = sys.stdin.readline().rstrip("\n").split(" ")[1:]
        body = ""
        while True:
            line = sys.stdin.readline().rstrip("\n")
            body += line
            if len(line) < 64:
                break
        if words[0] == "done":
            return
        yield words, unpadded(body)


def send(*words: str, body: bytes = b"") -> list[str]:
    """Send a command, and return the words of the answer."""
    text = b64encode(body).decode().rstrip("=")
    lines = [text[at : at + 64] for at in range(0, len(text) + 1, 64)]
    print("-> " + " ".join(words), *lines, sep="\n", flush=True)
    if words[0] == "done":
        return []
    answer = sys.stdin.readline().rstrip("\n").split(" ")[1:]
    sys.stdin.readline()
    return answer


def secret_of(text: str) -> int:
    """The first data letter's number stands for a key."""
    return LETTERS.index(text.lower().rpartition("1")[2][0])


def recipient(given: list[tuple[list[str], bytes]]) -> None:
    (text,) = (words[1] for words, _ in given if words[0] == "add-recipient")
    (file_key,) = (body for words, body in given if words[0] == "wrap-file-key")
    key = secret_of(text)
    send("recipient-stanza", "0", "ktest", str(key), body=bytes(byte ^ key for byte in file_key))


def identity(given: list[tuple[list[str], bytes]]) -> None:
    keys = [str(secret_of(words[1])) for words, _ in given if words[0] == "add-identity"]
    for words, body in given:
        if words[0] == "recipient-stanza" and words[2] == "ktest" and words[3] in keys:
            send("file-key", "0", body=bytes(byte ^ int(words[3]) for byte in body))


def main() -> None:
    state = sys.argv[1].removeprefix("--age-plugin=")
    given = list(commands())
    with open(os.environ["KTEST_LOG"], "a") as log:
        log.write(f"{state} {sorted(name for name in os.environ if name.startswith(('KSECRET_', 'SOPS_')))}\n")
    mode = os.environ.get("KTEST_MODE")
    if mode == "hangs":  # with a child, and whatever it is told
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        child = subprocess.Popen(["/bin/sleep", "20"])
        with open(os.environ["KTEST_LOG"], "a") as log:
            log.write(f"{os.getpid()} {child.pid}\n")
        time.sleep(20)
    if mode == "talks":
        send("msg", body=b"touch the \x1b[31mdevice\n")
        send("request-secret", body=b"PIN")
    if mode == "fails":
        send("error", "internal", body=b"no device is there")
    elif mode == "dies":
        sys.exit(3)
    elif mode == "lies":
        send("file-key", "1", body=bytes(16))
    else:
        (recipient if state == "recipient-v1" else identity)(given)
    send("done")


if __name__ == "__main__":
    main()
