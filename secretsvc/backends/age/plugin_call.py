"""One call of an age plug-in's program, in a process of its own: a request on standard input, the answer on output.

The program's messages go to standard error, and what it asks for is asked on the terminal, where there is one. The
processes stay in the group of ksecret's, so that they may read from its terminal and Ctrl-C ends them; whatever else
ends ksecret, or its patience, ends them by a process that watches.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from base64 import b64decode, b64encode

import pyrage

from secretsvc.programs import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Terminal:
    """What pyrage calls while the program runs. Nothing here raises: pyrage would end in a panic."""

    def __init__(self, name: str) -> None:
        self._program = f"age-plugin-{name}"

    def display_message(self, message: str) -> None:
        """Show what the program says."""
        print(self._said(message), file=sys.stderr, flush=True)

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None:
        """Ask a question with two answers; None where nobody is there."""
        answer = self._asked(f"{message} [y: {yes_string}" + (f", n: {no_string}] " if no_string else "] "))
        return None if answer is None else answer.strip().lower() in ("y", "yes")

    def request_public_string(self, description: str) -> str | None:
        """Ask for a text that is no secret."""
        return self._asked(f"{description}: ")

    def request_passphrase(self, description: str) -> str | None:
        """Ask for a PIN or a passphrase, which is not shown. No variable gives one: wrong PINs lock a device."""
        try:
            from getpass import getpass

            with open("/dev/tty"):
                return getpass(self._said(f"{description}: "))
        except (OSError, EOFError, KeyboardInterrupt):
            return None

    def _asked(self, question: str) -> str | None:
        try:
            with open("/dev/tty") as terminal:
                print(self._said(question), end="", file=sys.stderr, flush=True)
                return terminal.readline().rstrip("\n")
        except (OSError, ValueError):
            return None

    def _said(self, text: str) -> str:
        return f"{self._program}: " + "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:1000])


def main(lifeline: int) -> None:
    """Answer one request. `lifeline`: the end of a pipe whose other end is open as long as somebody waits."""
    _watch(lifeline)
    request = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        answer = _answer(request)
    except (pyrage.EncryptError, pyrage.DecryptError, pyrage.RecipientError, pyrage.IdentityError) as error:
        answer = _refusal(request, str(error))
    print(json.dumps(answer))


def _watch(lifeline: int) -> None:
    """Leave a process that ends this one, and all that it has started, once nobody waits any longer."""
    os.set_inheritable(lifeline, False)
    worker = os.getpid()
    if os.fork():
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.read(lifeline, 1)
    if os.getppid() == worker:  # else it has ended, and its number may be another's
        family.end(worker)
    os._exit(0)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    name, data, terminal = request["name"], b64decode(request["data"]), Terminal(request["name"])
    if "recipient" in request:
        recipient = pyrage.plugin.Recipient.from_str(request["recipient"])
        made = pyrage.encrypt(data, [pyrage.plugin.RecipientPluginV1(name, [recipient], [], terminal)])
    else:
        identities = [pyrage.plugin.Identity.from_str(text) for text in request["identities"]]
        made = pyrage.decrypt(data, [pyrage.plugin.IdentityPluginV1(name, identities, terminal)])
    return {"data": b64encode(made).decode()}


def _refusal(request: dict[str, Any], said: str) -> dict[str, Any]:
    if "No matching keys" in said:
        return {"data": ""}
    Terminal(request["name"]).display_message(said)
    return {}
