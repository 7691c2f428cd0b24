"""`ksecret convert --policy`: a `.sops.yaml` as a `.ksecret.yaml`, and the other way."""

from __future__ import annotations

import os
import sys

from secretsvc.cli.batch import content
from secretsvc.cli.report import warn
from secretsvc.errors import FileError, UsageError
from secretsvc.files import workspace
from secretsvc.files.workspace import name_of
from secretsvc.policy import conversion
from secretsvc.policy.policies import NAME as OURS
from secretsvc.policy.sops_yaml import NAME as OF_SOPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.options import Targets


def convert(targets: Targets) -> int:
    """Print the policy in the other's words, or write it to `-o`, where none is yet; the exit code.

    Raises UsageError, FileError, and InputError for a rule that would have other people open files.
    """
    if len(targets.files) != 1 or targets.recursive or targets.in_place:
        raise UsageError("--policy takes one policy", hint="ksecret convert --policy -o .ksecret.yaml .sops.yaml")
    (path,) = targets.files
    data = content(path)
    name = os.path.basename(path)
    is_sops = name == OF_SOPS or (name != OURS and b"creation_rules" in data)

    def tell(line: int, what: str) -> None:
        warn(f"{name_of(path)}:{line}: left out: {what}")

    made = (conversion.to_ours if is_sops else conversion.to_sops)(data, path, tell)
    if targets.output in ("", "-"):
        sys.stdout.write(made)
    elif os.path.lexists(targets.output):
        raise FileError("-o: there is such a file already", hint="take it away, or print it", file=targets.output)
    else:
        workspace.create(targets.output, made.encode(), private=False)
    return 0
