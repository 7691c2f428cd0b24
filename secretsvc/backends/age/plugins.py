"""age's plug-ins (https://c2sp.org/age-plugin): programs `age-plugin-NAME` that wrap to hardware keys and open by them.

A recipient's letters name the program, and a recipient may stand in a stranger's repository: so none is started but
those that the user has said may be, by `KSECRET_AGE_PLUGINS` or by an identity of theirs. Each call is a process of its
own (`plugin_call`): pyrage, which speaks to the program, would look for it in relative folders of PATH, hand it our
secrets' variables, and hold the interpreter's lock as long as it takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode

from secretsvc import programs
from secretsvc.backends.age import bech32, is_bech32
from secretsvc.errors import RESTORE_HINT, AlteredError, BackendError, BackendUnavailableError
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLE = "KSECRET_AGE_PLUGINS"
"""The environment variable that says which plug-ins may be started, by their names, parted by commas."""

_SECONDS = 300
"""That a program may take: somebody may have to look for a device, and touch it."""
_MOST_BYTES = 64 * 1024
_NAME = pattern(r"[a-z0-9](?:[a-z0-9_+-]{0,30}[a-z0-9])?")
_IDENTITY = pattern(r"AGE-PLUGIN-([A-Z0-9_+-]{1,32})-1[AC-HJ-NP-Z02-9]{6,2000}")
_PQ = pattern(r"AGE-SECRET-KEY-PQ-1[AC-HJ-NP-Z02-9]{58}")
_CHILD = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from secretsvc.backends.age.plugin_call import main
main(int(sys.argv[2]))
"""


def name_of_recipient(text: str) -> str:
    """Return the name of the plug-in that a recipient is of; empty where it can be none."""
    name = text[len("age1") :].rpartition("1")[0]
    return name if _NAME.fullmatch(name) else ""


def name_of_identity(text: str) -> str:
    """Return the name of the plug-in that an identity is of; empty where it is none."""
    found = _IDENTITY.fullmatch(text)
    name = found[1].lower() if found else ""
    return name if _NAME.fullmatch(name) else ""


def identity(word: str) -> str:
    """Return a line of an identity file; as age-plugin-pq has it, where it is of age's own post-quantum type."""
    text = word.lower()
    if not _PQ.fullmatch(word) or not is_bech32(text):
        return word
    return bech32("age-plugin-pq-", text.rpartition("1")[2][:-6]).upper()


def allowed(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names that `KSECRET_AGE_PLUGINS` has."""
    return frozenset(filter(None, map(str.strip, environ.get(VARIABLE, "").lower().split(","))))


def wrap(recipient: str, dek: bytes, environ: Mapping[str, str]) -> bytes:
    """Return a DEK wrapped to a plug-in's recipient. Raises BackendError, BackendUnavailableError."""
    made = _called(name_of_recipient(recipient), {"recipient": recipient, "data": b64encode(dek).decode()}, environ)
    if not made:
        raise BackendError("the plug-in wrapped nothing")
    return made


def unwrap(name: str, identities: Iterable[str], wrapped: bytes, environ: Mapping[str, str]) -> bytes | None:
    """Return what a plug-in's identities open; None where it is not for them. Raises BackendError, AlteredError."""
    return _called(name, {"identities": list(identities), "data": b64encode(wrapped).decode()}, environ)


def _called(name: str, asked: Mapping[str, object], environ: Mapping[str, str]) -> bytes | None:
    program = f"age-plugin-{name}"
    path = programs.find(program, environ)
    if not path:
        hint = f"install {program} into a folder of PATH, or open by another key"
        raise BackendUnavailableError(f"age's plug-in {program} is not installed", hint=hint)
    folders = [folder for folder in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(folder)]
    own = programs.environment(environ) | {"PATH": os.pathsep.join([os.path.dirname(path), *folders])}
    ours = json.dumps([folder for folder in sys.path if os.path.isabs(folder)])  # nothing of the current folder
    request = json.dumps({"name": name, **asked}).encode()
    try:
        answer = json.loads(_put_out([sys.executable, "-I", "-c", _CHILD, ours], request, own)[:_MOST_BYTES])
    except subprocess.TimeoutExpired:
        what = f"{program} has not answered in {_SECONDS} seconds"
        raise BackendUnavailableError(what, hint="is the device there?") from None
    except (OSError, ValueError):
        answer = {}
    if answer.get("altered"):
        raise AlteredError("its wrapped data key was altered", hint=RESTORE_HINT)
    if "data" not in answer:
        raise BackendError(f"{program} failed", hint="what it said stands above")
    return b64decode(answer["data"]) if answer["data"] else None


def _put_out(words: list[str], request: bytes, environ: Mapping[str, str]) -> bytes:
    """Return what a call puts out. What it has started ends with it, whether nobody waits any longer or we are killed.

    Raises OSError, TimeoutExpired.
    """
    watched, held = os.pipe()  # the second end is closed however this process ends
    with (
        open(held, "wb") as lifeline,
        open(watched, "rb"),
        subprocess.Popen(  # noqa: S603  our own module; a program of the user's, by the name that they allowed
            [*words, str(watched)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[watched],
        ) as process,
    ):
        try:
            return process.communicate(request, _SECONDS)[0]
        finally:
            lifeline.close()
