"""Plans: whether a call is allowed, and with which keys. Asked about the very bytes that are worked on then."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import formats
from secretsvc.api.authorisation import EVERY, Target, fits
from secretsvc.api.operations import DECRYPT, SEALED_HINT, SET
from secretsvc.api.problems import FORBIDDEN, TOO_LARGE, RefusedError
from secretsvc.backends import canonical, complete, find
from secretsvc.errors import NotSealedError, UsageError
from secretsvc.keyref import KeyGroups, KeysetChange, keyset
from secretsvc.operations.request import ANY_TIME, Request, stated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from secretsvc.api.auth.caller import Caller
    from secretsvc.api.authorisation import AccessRules
    from secretsvc.api.keyring import CallerKeyring, Permitted
    from secretsvc.api.operations import Call, Operation
    from secretsvc.backends.registry import Backends
    from secretsvc.keyref import KeyRef, Keyset
    from secretsvc.manifest.model import Secret
    from secretsvc.operations import Result
    from secretsvc.operations.inspect import Description
    from secretsvc.policy.reader import KeyRule

MOST_KEYS = 100
"""KeyRefs in one manifest: gpg is asked for each, and what a file says must not keep its home busy for minutes."""
LONGEST = 253
"""Characters of a name or a namespace, as Kubernetes has it: rules compare them with every pattern."""

_DOCUMENTS = "SOPS's format"


class AllowedCall(NamedTuple):
    """A call that was found to be allowed."""

    uris: frozenset[str]
    """The KeyRefs that it needs."""
    work: Callable[[CallerKeyring], Result]
    permitted: Permitted
    """Keyset → those of its KeyRefs that may open it."""


class Planner:
    """Holder of rules, key rules and the parsers of KeyRefs. Does no I/O."""

    def __init__(self, rules: AccessRules, key_rules: Sequence[KeyRule], names: Backends, documents: int) -> None:
        """`documents`: how many Secrets one manifest may have. Raises KeyRefError for key rules that name no key."""
        self._rules = rules
        self._names = names
        self._documents = documents
        self._key_rules = [(rule, rule.keyset(self.parse)) for rule in key_rules]

    def parse(self, text: str) -> KeyRef:
        """Return the canonical KeyRef. Raises KeyRefError."""
        scheme, _, name = text.partition(":")
        kind = find(scheme.strip()) if name.strip() == "default" else None
        if kind and kind.has_default:  # gpg would be started, to tell whom it takes for the caller
            what = f"the service has no {kind.title} key of its own"
            raise UsageError(what, hint=f"name the key: {kind.name}:{kind.example}")
        named = canonical(complete(text))
        kind = find(named.scheme)
        if kind and kind.leaves_version(named):  # its home would be asked, and everybody would wait for that
            raise UsageError("that names no version of the key", hint="give it: the service looks none up")
        return self._names.parse(text)

    def keyset_of(self, namespace: str, name: str) -> Keyset:
        """Return the keyset of the first key rule that fits. Raises UsageError."""
        for rule, keys in self._key_rules:
            if rule.fits("", namespace, name):
                return keys
        label = f"{namespace}/{name}" if namespace else name
        raise UsageError(f"no key rule of the service fits {label}", hint="name the keys: ?key=KEYREF")

    def ruled(self) -> list[KeyRef]:
        """Return every key that the key rules name."""
        return [ref for _, keys in self._key_rules for ref in keys]

    def keys(self, caller: Caller) -> list[str]:
        """Return the KeyRefs that the caller may seal to, as far as rules name them."""
        patterns = self._rules.sealing_keys(caller)
        named = {pattern for pattern in patterns if not set("*?[") & set(pattern)}
        ruled = map(str, self.ruled())
        return sorted(named | {uri for uri in ruled if fits(patterns, uri)})

    def rights(self, caller: Caller) -> list[dict[str, object]]:
        """Return what rules allow the caller, as the configuration says it but for who else is meant."""
        return [rule.model_dump(by_alias=True, exclude={"callers"}) for rule in self._rules.of(caller)]

    def may(self, caller: Caller, operation: str) -> None:
        """Refuse a caller who may do that with nothing at all. Raises RefusedError (403)."""
        if not self._rules.may(caller, operation):
            raise _denied(operation)

    def plan(self, caller: Caller, call: Call, seen: Sequence[Description]) -> AllowedCall:
        """Return how the call is to be carried out. `seen`: what its manifest holds.

        Raises RefusedError (403, 413) and UsageError.
        """
        if len(seen) > self._documents:
            raise RefusedError(TOO_LARGE, f"more than {self._documents} Secrets in one manifest")
        if len({key["ref"] for one in seen for key in one.keys}) > MOST_KEYS:
            raise RefusedError(TOO_LARGE, f"more than {MOST_KEYS} keys in one manifest")
        if any(len(name or "") > LONGEST for one in seen for name in (one.namespace, one.name)):
            raise RefusedError(TOO_LARGE, f"a name of more than {LONGEST} characters")
        _check_options(call)
        change = self._change(call)
        if call.seals_document and not change.exact:
            change = change._replace(exact=self.keyset_of("", ""))
        uris: set[str] = set()
        permitted: dict[frozenset[str], frozenset[str]] = {}
        for one in seen:
            may_use = self._keys_allowed(caller, call, one)
            wanted = self._wanted(call, one, change)
            if not all(map(may_use, wanted)):
                raise _denied(call.operation.name, one, "with these keys")
            for held in one.openers:
                usable = frozenset(filter(may_use, held))
                # Two Secrets with one keyset and different rules: what both may use.
                permitted[held] = permitted.get(held, usable) & usable
                uris |= usable
            if call.operation.opens and _opening(one, permitted) < min(one.needed, len(one.openers)):
                raise _denied(call.operation.name, one, "with these keys")
            uris |= wanted
        if call.operation.needs_sealed and not any(one.sealed for one in seen):
            raise NotSealedError("no Secret in it is sealed", hint="POST /v1/encrypt seals one")
        work = partial(call.operation.work, call, self._request(call, change, seen))
        return AllowedCall(frozenset(uris), work, permitted)

    def _keys_allowed(self, caller: Caller, call: Call, one: Description) -> Callable[[str], bool]:
        """Return what tells whether a key may be used for it, with every right that is needed under every name.

        Raises RefusedError where a rule lacks for one of these.
        """
        operations = [call.operation]
        if call.operation.seals_clear and one.sealed and one.in_the_clear:
            operations.append(SET)  # to put a value where a token was is what set does
        if call.operation.opens and one.is_document:
            operations.append(DECRYPT)  # who learns whether it opens can try out values: its MAC has no key's names
        found: list[list[str]] = []
        for operation in operations:
            for target in _targets(call, one):
                patterns = self._rules.keys(caller, operation.name, target)
                if patterns is None:
                    raise _denied(operation.name, one, _widely(one, target))
                found.append(patterns)
        return lambda uri: all(fits(patterns, uri) for patterns in found)

    def _change(self, call: Call) -> KeysetChange:
        """Return what the call says of keysets. Raises UsageError."""
        exact, add, remove = (keyset(map(self.parse, texts)) for texts in (call.keys, call.add, call.remove))
        if set(add) & set(remove):
            raise UsageError("a key can't be added and removed in one call")
        if call.groups:
            if exact:
                raise UsageError("key and groups do not go together", hint="groups name every key")
            exact = KeyGroups((map(self.parse, group.split(",")) for group in call.groups), call.threshold)
        elif call.threshold:
            raise UsageError("a threshold is one of groups of keys", hint="say groups=KEYREF,KEYREF for each")
        if call.mode == "rewrap" and (add or remove):
            raise UsageError("mode=rewrap changes no keyset", hint="leave mode away, or add and remove")
        return KeysetChange(exact, add, remove, group=call.group)

    def _request(self, call: Call, change: KeysetChange, seen: Sequence[Description]) -> Request:
        def default_keys(secret: Secret, _format: str) -> Keyset:
            return self.keyset_of(secret.namespace or "", secret.name or "")

        return Request(
            change,
            default_keys,
            call.scope,
            stated(),
            call.format,
            ANY_TIME if _proves_values(call.operation, seen) else "",
            blind=True,
            allow_repeated=call.allow_repeated,
        )

    def _wanted(self, call: Call, one: Description, change: KeysetChange) -> set[str]:
        """Return the KeyRefs that a Secret will be sealed to: all of them must be allowed."""
        held = {key["ref"] for key in one.keys}
        if not call.operation.seals:
            return set()
        if call.operation.seals_clear:
            if one.sealed:
                if call.keys or call.groups or call.scope or call.format:
                    raise UsageError(
                        "a Secret in it is sealed already, so key, scope and format can't be said", hint=SEALED_HINT
                    )
                return held if one.in_the_clear else set()
            if not any(one.entries.values()):
                return set()
            return {str(ref) for ref in change.exact or self.keyset_of(one.namespace or "", one.name or "")}
        if not one.sealed:
            return set()
        gone = set() if change.group else {str(ref) for ref in change.remove}  # it may stay in another group
        return (held | {str(ref) for ref in change.add}) - gone


def _proves_values(operation: Operation, seen: Sequence[Description]) -> bool:
    """Tell whether what comes of it could be used to try out a value: a MAC may be over values.

    An older file's MAC fits again where values are what they were, as long as the DEK is the same; so it is not.
    """
    changing = operation.seals and (operation.needs_sealed or any(one.in_the_clear for one in seen))
    return changing and any(one.sealed and one.proves_values for one in seen)


def _check_options(call: Call) -> None:
    """Refuse what only other formats know. Raises UsageError."""
    if call.seals_document and (call.scope or call.allow_repeated):
        raise UsageError("scope and allowRepeated do not go with SOPS's format")
    if not call.seals_document and (call.selection or call.mac_only_encrypted):
        raise UsageError("a rule says what SOPS's format seals", hint="say format=sops")


def _opening(one: Description, permitted: Permitted) -> int:
    """Count the groups of keys that a caller has one of; also those that nobody could open here, whoever asks."""
    return sum(not held or bool(permitted[held]) for held in one.openers)


def _targets(call: Call, one: Description) -> Iterable[Target]:
    """Yield the Secret as it is called here; and as all that it may be called, where it is bound to less than that.

    A document has neither a namespace nor a name, whatever stands in it.
    """
    if one.is_document:
        yield Target("", "", unbound=True)
        return
    stated = Target(one.namespace or "", one.name or "", not (one.bound and formats.named(call.format).binds))
    yield stated
    scope = call.scope if not one.sealed else _scope(one.sealed_for)
    if scope == "namespace":
        yield stated._replace(name=EVERY)
    elif scope == "any":
        yield stated._replace(namespace=EVERY, name=EVERY)


def _widely(one: Description, target: Target) -> str:
    """Say what about the seal makes a rule for the name alone too little."""
    if target.unbound:
        return f"in {_DOCUMENTS if one.is_document else formats.unbinding()}, which binds it to no name"
    if target.name != EVERY:
        return ""
    return "sealed for any namespace" if target.namespace == EVERY else "sealed for its whole namespace"


def _scope(sealed_for: str) -> str:
    if sealed_for == "*/*":
        return "any"
    return "namespace" if sealed_for.endswith("/*") else ""


def _denied(operation: str, one: Description | None = None, more: str = "") -> RefusedError:
    label = "/".join(filter(None, (one.namespace, one.name))) or "a Secret without a name" if one else "anything"
    detail = " ".join(filter(None, (f"no rule lets this caller {operation} {label}", more)))
    return RefusedError(
        FORBIDDEN, detail, hint="the service's rules name callers, operations, namespaces, names and keys"
    )
