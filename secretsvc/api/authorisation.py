"""Authorisation: rules over callers, operations, Secrets and KeyRefs. What no rule allows is denied."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.api.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretsvc.api.auth.caller import Caller
    from secretsvc.api.settings import Callers, Rule

EVERY = "*"


class Target(NamedTuple):
    """A Secret that an operation is about.

    One that is sealed for a whole namespace, or for any, opens under every name there; so rules must allow all of
    these names: `namespace` or `name` is EVERY then, which no pattern but `*` fits.
    """

    namespace: str
    name: str
    unbound: bool = False
    """In a format that binds a Secret to no name: whoever holds the file could give it another."""

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class AccessRules:
    """Rules that allow callers something, asked once for each Secret."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules

    def keys(self, caller: Caller, operation: str, target: Target) -> list[str] | None:
        """Return patterns of the KeyRefs that may be used for it; None where no rule allows it at all."""
        fitting = [rule for rule in self._of(caller, operation) if _covers(rule, target)]
        return [key for rule in fitting for key in rule.keys] if fitting else None

    def may(self, caller: Caller, operation: str) -> bool:
        """Tell whether there is anything that the caller may do so."""
        return any(True for _ in self._of(caller, operation))

    def of(self, caller: Caller) -> list[Rule]:
        """Return the rules that are about the caller."""
        return [rule for rule in self._rules if any(_is(caller, one) for one in rule.callers)]

    def sealing_keys(self, caller: Caller) -> list[str]:
        """Return patterns of the KeyRefs that the caller may seal to, somewhere."""
        return [
            key
            for operation in OPERATIONS.values()
            if operation.seals_clear
            for rule in self._of(caller, operation.name)
            for key in rule.keys
        ]

    def _of(self, caller: Caller, operation: str) -> Iterator[Rule]:
        return (
            rule
            for rule in self._rules
            if operation in rule.operations and any(_is(caller, one) for one in rule.callers)
        )


def fits(patterns: Iterable[str], text: str) -> bool:
    """Tell whether one of the patterns (`*`, `?`, `[…]`, letter case counts) fits the whole text."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _covers(rule: Rule, target: Target) -> bool:
    return (
        _reaches(rule.namespaces, target.namespace)
        and _reaches(rule.names, target.name)
        and (rule.unbound or not target.unbound)
    )


def _reaches(patterns: Sequence[str], text: str) -> bool:
    return EVERY in patterns if text == EVERY else fits(patterns, text)


def _is(caller: Caller, wanted: Callers) -> bool:
    if wanted.token:
        return caller.token == wanted.token
    return caller.issuer == wanted.issuer and all(
        any(fnmatchcase(text, pattern) for text in _texts(_at(caller.claims, path)))
        for path, pattern in wanted.claims.items()
    )


def _at(claims: object, path: str) -> object:
    """Return the claim of that name, or at that way into objects; names with dots in them first (`kubernetes.io`)."""
    if not isinstance(claims, dict):
        return None
    if path in claims:
        return claims[path]
    for at in range(len(path) - 1, 0, -1):
        if path[at] == "." and path[:at] in claims:
            return _at(claims[path[:at]], path[at + 1 :])
    return None


def _texts(claim: object) -> list[str]:
    if isinstance(claim, bool):
        return ["true" if claim else "false"]
    if isinstance(claim, str | int):
        return [str(claim)]
    return [text for item in claim for text in _texts(item)] if isinstance(claim, list) else []
