"""What `ksecret apply` would change in a cluster, by `kubectl diff`: for `diff`, and for `drift`."""

from __future__ import annotations

import os

from secretsvc import core_dumps
from secretsvc.cli import kubectl
from secretsvc.cli.batch import stream
from secretsvc.cli.in_memory import open_all
from secretsvc.errors import BackendError, InputError
from secretsvc.files.private_folder import private_folder
from secretsvc.files.signals import end_tidily
from secretsvc.operations.live_diff import clear_values, differences, filled, live_values
from secretsvc.operations.output import as_data
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.in_memory import ClearFile
    from secretsvc.cli.options import Targets
    from secretsvc.cli.session import Opener
    from secretsvc.operations.live_diff import Difference, Form, Values

_ALL_LINES = b"diff -U1000000000 -N"
"""In the place of kubectl's own `diff -u -N`, so that both objects are there whole. Its words are letters, digits and
dashes, as kubectl passes over others; the user's own KUBECTL_EXTERNAL_DIFF would get what is not masked yet."""


class Answer(Record):
    """The files that were opened, what kubectl found to differ, and the exit code where files did not open."""

    files: list[ClearFile]
    found: list[Difference]
    failed: int


def compare(targets: Targets, opener: Opener, words: list[str]) -> Answer:
    """Opens everything in memory and has kubectl compare it with the cluster, values masked by kubectl.

    Fields that others own count as ours, as `--force-conflicts` has it: else kubectl would end with an error, and not
    tell what somebody changed by hand. Raises UsageError, InputError, BackendError.
    """
    core_dumps.keep_memory_private()
    end_tidily()  # a folder in memory is to be cleared away
    kubectl.refuse_client_side(words)
    opened, failed = open_all(targets, opener, pass_clear=True)
    if not (opened or failed):
        raise InputError("no manifest is there to compare")
    if failed:
        return Answer(opened, [], failed)
    files = [one._replace(data=as_data(one.data)) for one in opened]
    with private_folder(on_disk=True) as folder:  # kubectl writes both sides there, with the copies in annotations
        environ = {b"TMPDIR": os.fsencode(folder.path), b"KUBECTL_EXTERNAL_DIFF": _ALL_LINES, b"LC_ALL": b"C"}
        command = ["diff", "--server-side", "--force-conflicts", *words, "-f", "-"]
        printed = kubectl.run(command, stream([one.data for one in files]), environ)
    if printed.code not in (0, 1) or (printed.code and not printed.data):
        raise BackendError("kubectl diff failed", hint="what it said stands above")
    return Answer(files, differences(printed.data.decode("utf-8", "replace")), 0)


def with_values(answer: Answer, words: list[str], form: Form) -> list[Difference]:
    """The differences with what `form` makes of the values, which kubectl is asked for where there is one before."""
    ours: dict[str, Values] = {}
    for file in answer.files:
        ours |= clear_values(file.data)
    live = _live([one for one in answer.found if one.identity.is_secret and not one.is_new], words)
    return [_filled(one, ours, live, form) for one in answer.found]


def without_copies(answer: Answer) -> list[Difference]:
    """The differences with kubectl's masks, and without the copies that annotations keep."""
    return [filled(one, {}, {}, None) if one.identity.is_secret else one for one in answer.found]


def _filled(one: Difference, ours: dict[str, Values], live: dict[str, Values], form: Form) -> Difference:
    if not one.identity.is_secret:
        return one
    label = one.identity.label
    return filled(one, live.get(label, {}), ours.get(label) or ours.get(one.identity.name) or {}, form)


def _live(secrets: list[Difference], words: list[str]) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for namespace in dict.fromkeys(one.identity.namespace for one in secrets):
        names = [one.identity.name for one in secrets if one.identity.namespace == namespace]
        got = kubectl.get(["secrets", *names, *kubectl.of_connection(words), f"--namespace={namespace}"])
        found |= live_values(got)
    return found
