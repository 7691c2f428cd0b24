"""The commands: which module does what, told without importing any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import UsageError, nearest

if TYPE_CHECKING:
    from types import ModuleType


class Command(NamedTuple):
    """A command: the module with its `add_arguments` and `run`, its one-line summary, its short names."""

    module: str
    summary: str
    aliases: tuple[str, ...] = ()


COMMANDS = {
    "init": Command("secretsvc.cli.init", "make an age identity of your own, and a first .ksecret.yaml"),
    "encrypt": Command("secretsvc.cli.encrypt", "seal the values of Secret manifests", ("e",)),
    "decrypt": Command("secretsvc.cli.decrypt", "open sealed manifests", ("d",)),
    "edit": Command("secretsvc.cli.edit", "edit a sealed manifest in your editor", ("ee",)),
    "create": Command("secretsvc.cli.create", "make a Secret as kubectl does, sealed at once", ("c",)),
    "snippet": Command("secretsvc.cli.snippet", "print the part of a Pod's spec that uses a Secret"),
    "get": Command("secretsvc.cli.get", "print one value, decoded"),
    "set": Command("secretsvc.cli.set", "set values of a sealed manifest"),
    "unset": Command("secretsvc.cli.unset", "take values away from a sealed manifest"),
    "rotate": Command("secretsvc.cli.rotate", "new data keys, or the same ones wrapped anew"),
    "keys": Command("secretsvc.cli.keys", "list and change whom files are sealed to"),
    "rename": Command("secretsvc.cli.rename", "seal for another name or namespace"),
    "patch": Command("secretsvc.cli.patch", "change single values, labels and annotations", ("p",)),
    "merge": Command("secretsvc.cli.merge", "seal a manifest with the values of another", ("m",)),
    "convert": Command("secretsvc.cli.convert", "from kubesec's format into ours, and back"),
    "inspect": Command("secretsvc.cli.inspect", "tell what can be told without a key", ("introspect", "i")),
    "check": Command("secretsvc.cli.check", "find Secrets in the clear and other mistakes; needs no key"),
    "verify": Command("secretsvc.cli.verify", "open and check everything, print nothing secret"),
    "exec": Command("secretsvc.cli.exec", "run a command with the values in its environment, or in files in memory"),
    "apply": Command("secretsvc.cli.apply", "open in memory and hand on to kubectl apply --server-side"),
    "kustomize": Command("secretsvc.cli.kustomize", "make kustomize find ksecret's generator"),
    "doctor": Command("secretsvc.cli.doctor", "try keys and backends, and tell what to do about those that fail"),
    "git": Command("secretsvc.cli.git", "readable diffs and merges of sealed files in Git"),
    "serve": Command("secretsvc.cli.serve", "the REST service"),
    "audit": Command("secretsvc.cli.audit", "verify the service's audit log"),
    "completion": Command("secretsvc.cli.completion", "print the completion script for a shell"),
}


def find(name: str) -> str:
    """The command that a word means. Raises UsageError."""
    for command, about in COMMANDS.items():
        if name == command or name in about.aliases:
            return command
    kind = "option" if name.startswith("-") else "command"
    raise UsageError(f"unknown {kind}{nearest(name, COMMANDS)}", hint="ksecret --help lists the commands")


def load(command: str) -> ModuleType:
    """The command's module."""
    from importlib import import_module

    return import_module(COMMANDS[command].module)
