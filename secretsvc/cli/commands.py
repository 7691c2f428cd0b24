"""The commands: which module does what, told without importing any of them."""

from __future__ import annotations

import sys

from secretsvc.errors import UsageError, nearest
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


class Command(Record):
    """A command: its module below `secretsvc.cli` (`add_arguments`, `run`), a line that sums it up, its aliases."""

    module: str
    summary: str
    aliases: tuple[str, ...] = ()


GROUPS = {
    "to begin with": {
        "init": Command("verbs.init", "make an age identity of your own, and a first .ksecret.yaml"),
        "doctor": Command("verbs.doctor", "try keys and backends, and tell what to do about those that fail"),
        "completion": Command("completion", "print the completion script for a shell"),
    },
    "seal and open": {
        "encrypt": Command("verbs.encrypt", "seal the values of Secret manifests", ("e",)),
        "decrypt": Command("verbs.decrypt", "open sealed manifests", ("d",)),
        "create": Command("verbs.create", "make a Secret as kubectl does, sealed at once", ("c",)),
        "import": Command("verbs.import_live", "take Secrets of a cluster, sealed at once"),
        "convert": Command("verbs.convert", "from one format into another: ksecret, kubesec, sops"),
    },
    "change what is sealed": {
        "edit": Command("verbs.edit", "edit a sealed manifest in your editor", ("ee",)),
        "get": Command("verbs.get", "print one value, decoded"),
        "set": Command("verbs.set", "set values of a sealed manifest"),
        "unset": Command("verbs.unset", "take values away from a sealed manifest"),
        "patch": Command("verbs.patch", "change single values, labels and annotations", ("p",)),
        "merge": Command("verbs.merge", "seal a manifest with the values of another", ("m",)),
        "rename": Command("verbs.rename", "seal for another name or namespace"),
    },
    "keys": {
        "keys": Command("verbs.keys", "list and change whom files are sealed to"),
        "rotate": Command("verbs.rotate", "new data keys, or the same ones wrapped anew"),
    },
    "look and check": {
        "inspect": Command("verbs.inspect", "tell what can be told without a key", ("introspect", "i")),
        "check": Command("verbs.check", "find Secrets in the clear and other mistakes; needs no key"),
        "report": Command("verbs.report", "who opens what, how old data keys are, what differs from the policy"),
        "verify": Command("verbs.verify", "open and check everything, print nothing secret"),
    },
    "use": {
        "apply": Command("verbs.apply", "open in memory and hand on to kubectl apply --server-side"),
        "diff": Command("verbs.diff", "show what apply would change in the cluster, values as fingerprints"),
        "drift": Command("verbs.drift", "tell which objects of a tree the cluster lacks or has otherwise, for CI"),
        "render": Command("verbs.render", "print what apply would hand on: opened manifests, and the others too"),
        "exec": Command("verbs.exec", "run a command with the values in its environment, or in files in memory"),
        "kustomize": Command("verbs.kustomize", "make kustomize find ksecret's generator"),
        "snippet": Command("verbs.snippet", "print the part of a Pod's spec that uses a Secret"),
    },
    "Git": {
        "git": Command("verbs.git", "readable diffs and merges of sealed files in Git"),
    },
    "service": {
        "serve": Command("verbs.serve", "the REST service"),
        "audit": Command("verbs.audit", "verify the service's audit log"),
    },
}
"""Commands, by what one wants to do."""

COMMANDS = {name: about for group in GROUPS.values() for name, about in group.items()}


def find(name: str) -> str:
    """The command that a word means. Raises UsageError."""
    for command, about in COMMANDS.items():
        if name == command or name in about.aliases:
            return command
    kind = "option" if name.startswith("-") else "command"
    raise UsageError(f"unknown {kind}{nearest(name, COMMANDS)}", hint="ksecret --help lists the commands")


def load(command: str) -> ModuleType:
    """The command's module."""
    name = f"secretsvc.cli.{COMMANDS[command].module}"
    __import__(name)
    return sys.modules[name]
