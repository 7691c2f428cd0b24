"""The operations as a service does them, for runs with `--server`: the same results, the same errors.

Manifests are read here first: what is no manifest, or has nothing to do in it, is said without the service, and
never leaves this machine. No answer is handed on before `operations.answers` found it to be what was asked for.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode

from secretsvc import formats
from secretsvc.backends import canonical, complete
from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.sealing import format_of
from secretsvc.errors import (
    AlreadySealedError,
    InputError,
    RepeatedError,
    UsageError,
)
from secretsvc.keyref import KeyGroups, is_of_groups, keyset, parse_change
from secretsvc.manifest.reader import read
from secretsvc.operations import Result, answers, nothing
from secretsvc.operations.inspect import describe_manifest
from secretsvc.operations.open import nothing_sealed, refuse_lost, sops_tree
from secretsvc.operations.repeats import HINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.sealing import SealingOptions
    from secretsvc.cli.sops import Sealer
    from secretsvc.client.remote import Remote
    from secretsvc.keyref import KeyRef, Keyset
    from secretsvc.manifest.model import Manifest
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.documents.keysets import SopsKeyset
    from secretsvc.operations.documents.seal import SopsRule
    from secretsvc.operations.inspect import Description
    from secretsvc.operations.request import Changes
    from secretsvc.policy.sops_yaml import CreationRule

    Query = Sequence[tuple[str, str]]


class RemoteSession:
    """A session (`cli.session`) that a service does the work of. Safe in several threads."""

    jobs = 8
    """Files at a time, unless `--jobs` says."""

    forks = False
    """Whether it goes on in copies of this process: the service does the work."""

    def __init__(self, remote: Remote, backends: Backends, wanted: SealingOptions) -> None:
        """`backends`: know how keys are spelled; none is used. Raises UsageError."""
        self._remote = remote
        self._backends = backends
        self._policies = FilePolicies(backends, wanted.place)
        self._wanted = wanted
        self._sealer: Sealer | None = None
        if any(key.startswith(("+", "-")) and not is_of_groups(key) for key in wanted.keys):
            raise UsageError("a service changes no keyset by --key +REF or -REF", hint="name the whole keyset")

    def open(self, data: bytes, name: str) -> Result:
        """The manifest in the clear."""
        policy = self._policies.find_for_opening(name)
        is_signed = policy is not None and policy.require_signature
        tree = self._tree(data, name, is_signed=is_signed)
        if tree:
            from secretsvc.operations.document_answers import check_opened

            return self._about_tree("decrypt", tree, check_opened)
        manifest, _ = self._sealed(data, is_signed=is_signed)
        answer = self._ask("/v1/decrypt", data)
        answers.check_opened(manifest, answer)
        return _result(manifest, answer)

    def _rule(self, data: bytes, name: str) -> CreationRule | None:
        """The rule of `.sops.yaml` for a new file. Raises InputError, FileError, NothingToSealError."""
        from secretsvc.cli import sops

        return sops.rule_in_walk(self._policies.sops_rule, data, name, self._wanted)

    def wants_sealed(self, name: str) -> bool:
        """Tell whether a rule of SOPS's wants that file sealed, though it was found in a folder. Raises FileError."""
        return not self._wanted.format and self._policies.wants_sealed(name)

    def seal(self, data: bytes, name: str) -> Result:
        """The manifest sealed, to the keys that it would be sealed to here, else to those of the service's rules."""
        if sops_tree(data, name):
            what = "it is sealed already, in SOPS's format"
            raise AlreadySealedError(what, hint="ksecret rotate, keys and set change it")
        rule = None if format_of(self._wanted.format) else self._rule(data, name)
        if rule and not formats.holds_sealed(data):
            from secretsvc.cli import sealing, sops

            sops.refuse_others(self._wanted)
            if not self._sealer:
                requests = sealing.Requests(self._wanted, self._backends)
                self._sealer = sops.Sealer(self._backends, requests, self._wanted, remote=self)
            return self._sealer.sealed(data, name, rule)
        manifest, seen = self._read(data, is_signed=self._policies.wants_signatures(name))
        if not any(secret.entries for secret in manifest.secrets):
            raise nothing.nothing_to_seal(manifest)
        if all(map(_is_closed, seen)):
            raise AlreadySealedError("it is sealed already", hint="a service changes no keyset by encrypt")
        # The environment's format is for what is not sealed yet; options that do not fit, the service refuses.
        format_ = self._wanted.format if any(one.sealed for one in seen) else format_of(self._wanted.format)
        asked = self._keys_for(manifest, name)
        query = [*_asking(asked), ("format", format_), ("scope", self._wanted.scope)]
        query += [("allowRepeated", "true")] if self._wanted.allow_repeated else []
        answer = self._ask("/v1/encrypt", data, query)
        answers.check_encrypted(manifest, answer, asked, self._wanted.scope, format_)
        if any(one.sealed for one in seen) and self._renews(manifest, name):
            return self._rotated(read(answer), answer, "rotate")
        return _result(manifest, answer)

    def rotate(self, data: bytes, name: str, before: str) -> Result:
        """The manifest with new DEKs in all its Secrets, where one was made before that time (as envelopes say it)."""
        if self._wanted.scope or self._wanted.format:
            raise UsageError("a service rotates in the format and scope that a file has", hint="see ksecret convert")
        is_signed = self._policies.wants_signatures(name)
        tree = self._tree(data, name, is_signed=is_signed)
        if tree and tree.metadata.created >= before:
            raise AlreadySealedError("its data key is not that old")
        if tree:
            from secretsvc.operations.document_answers import check_rotated

            return self._about_tree("rotate", tree, check_rotated)
        manifest, seen = self._sealed(data, is_signed=is_signed)
        if all(one.created >= before for one in seen if one.sealed):
            raise AlreadySealedError("no data key in it is that old")
        return self._rotated(manifest, data, "rotate")

    def rewrap(self, data: bytes, name: str) -> Result:
        """The manifest with its DEKs wrapped anew."""
        is_signed = self._policies.wants_signatures(name)
        tree = self._tree(data, name, is_signed=is_signed)
        if tree:
            from secretsvc.operations.document_answers import check_rewrapped

            return self._about_tree("rotate", tree, check_rewrapped, [("mode", "rewrap")])
        manifest, _ = self._sealed(data, is_signed=is_signed)
        return self._rotated(manifest, data, "rewrap")

    def patch(self, data: bytes, name: str, changes: Changes, which: str) -> Result:
        """The manifest with `changes.values`, none of them None, sealed in."""
        is_signed = self._policies.wants_signatures(name)
        tree = self._tree(data, name, is_signed=is_signed)
        if tree:
            return self._patched_tree(tree, changes, which)
        manifest, _ = self._sealed(data, is_signed=is_signed)
        if self._renews(manifest, name):
            data = self._rotated(manifest, data, "rotate").data
            manifest = read(data)
        body = {"manifest": data.decode(), "secret": which, "stringData": changes.prefer_text}
        body |= {"base64Values": _in_base64(changes)}
        body |= {"allowRepeated": True} if self._wanted.allow_repeated else {}
        answer = self._ask("/v1/set", json.dumps(body).encode(), media="application/json")
        answers.check_set(manifest, answer, changes, which)
        return _result(manifest, answer)

    def seal_document(self, data: bytes, name: str, to: SopsKeyset, rule: SopsRule) -> Result:
        """The file sealed in SOPS's format, to these keys, else to those of the service's rules."""
        from secretsvc.document import kinds
        from secretsvc.operations.document_answers import check_encrypted
        from secretsvc.operations.documents.seal import has_secrets, read_clear

        keys = [ref for group in to.groups for ref, _ in group]
        if len(to.groups) > 1 or to.principals or any(context for group in to.groups for _, context in group):
            what = "a service seals to keys without groups, contexts, profiles and roles"
            raise InputError(what, hint="--server '' seals with the keys at hand")
        document = read_clear(data, kinds.kind_of(name), rule)
        query = [("format", "sops"), ("kind", document.kind), *(("key", str(ref)) for ref in keys)]
        query += [(_camel(rule.selection[0]), rule.selection[1])] if rule.selection else []
        query += [("macOnlyEncrypted", "true")] if rule.mac_only_encrypted else []
        answer = self._ask("/v1/encrypt", data, query, _media(document.kind))
        return Result(answer, 1, not has_secrets(document), check_encrypted(document, answer, keyset(keys), rule))

    def _tree(self, data: bytes, name: str, *, is_signed: bool) -> SealedTree | None:
        """The file, where SOPS's format seals it. Raises InputError."""
        tree = sops_tree(data, name)
        if tree and is_signed:
            raise _signed()
        return tree

    def _about_tree(
        self, operation: str, tree: SealedTree, check: Callable[[SealedTree, bytes], None], query: Query = ()
    ) -> Result:
        """What the service makes of such a file, checked."""
        kind, data = tree.document.kind, tree.document.data
        answer = self._ask(f"/v1/{operation}", data, [("kind", kind), *query], _media(kind))
        check(tree, answer)
        return Result(answer, 1)

    def _patched_tree(self, tree: SealedTree, changes: Changes, which: str) -> Result:
        from secretsvc.operations.document_answers import check_set
        from secretsvc.operations.documents.changes import refuse_others

        refuse_others(changes, which)
        try:
            text = tree.document.data.decode()
        except UnicodeDecodeError:
            what = "a service takes values for a file of UTF-8 text only"
            raise InputError(what, hint="--server '' works with the keys at hand") from None
        body = {"manifest": text, "kind": tree.document.kind, "base64Values": _in_base64(changes)}
        answer = self._ask("/v1/set", json.dumps(body).encode(), media="application/json")
        check_set(tree, answer, changes)
        return Result(answer, 1)

    def _rotated(self, manifest: Manifest, data: bytes, mode: str) -> Result:
        """Return the manifest with new DEKs (`rotate`), or with its DEKs wrapped anew (`rewrap`)."""
        answer = self._ask("/v1/rotate", data, [("mode", mode)])
        (answers.check_rewrapped if mode == "rewrap" else answers.check_rotated)(manifest, answer)
        return _result(manifest, answer)

    def _read(self, data: bytes, *, is_signed: bool) -> tuple[Manifest, list[Description]]:
        """`is_signed`: its policy demands what only keys at hand can show. Raises InputError."""
        if is_signed:
            raise _signed()
        return read(data), describe_manifest(data, lambda _: "")

    def _sealed(self, data: bytes, *, is_signed: bool) -> tuple[Manifest, list[Description]]:
        """Raises NotSealedError."""
        manifest, seen = self._read(data, is_signed=is_signed)
        refuse_lost(manifest)
        if not any(one.sealed for one in seen):
            raise nothing_sealed(manifest)
        return manifest, seen

    def _renews(self, manifest: Manifest, name: str) -> bool:
        """Tell whether the file's policy wants a new DEK for a change; a service that is asked to rotate makes it."""
        return any(self._policies.renews([name], secret) for secret in manifest.secrets)

    def _keys_for(self, manifest: Manifest, name: str) -> Keyset:
        """Keys by `--key`, the policy or KSECRET_KEYS; none where they say nothing, or all Secrets keep their own."""
        is_sealed = formats.of(manifest).is_sealed
        fresh = [secret for secret in manifest.secrets if secret.entries and not is_sealed(manifest, secret)]
        if self._wanted.keys or not fresh:
            return parse_change(self._policies.spelled(name, self._wanted.keys), _canonical).exact
        first, *others = [self._policies.keys(name, secret) for secret in fresh]
        if any(other != first for other in others):
            raise InputError(
                "its Secrets have different keysets by its policy", hint="a service takes them file by file"
            )
        listed = os.environ.get("KSECRET_KEYS", "").replace("\n", ",").split(",")
        return first or keyset(_canonical(text.strip()) for text in listed if text.strip())

    def _ask(self, path: str, body: bytes, query: Query = (), media: str = "application/yaml") -> bytes:
        """The service's answer, unchecked."""
        try:
            return self._remote.post(path, body, query=[(name, text) for name, text in query if text], media=media)
        except RepeatedError as error:
            error.hint = HINT
            raise
        except UsageError as error:
            error.ends_run = False  # it is about this file
            raise


def _media(kind: str) -> str:
    return f"application/{kind}" if kind in ("yaml", "json") else "application/octet-stream"


def _camel(rule: str) -> str:
    """The parameter for one of SOPS's rules."""
    first, *rest = rule.split("_")
    return first + "".join(map(str.capitalize, rest))


def _in_base64(changes: Changes) -> dict[str, str]:
    return {key: b64encode(value).decode() for key, value in changes.values.items() if value is not None}


def _signed() -> InputError:
    return InputError("its policy demands signatures, which a service is not told of", hint="say --server ''")


def _result(manifest: Manifest, answer: bytes) -> Result:
    return Result(answer, len(manifest.secrets), formats.of(manifest).binds)


def _is_closed(one: Description) -> bool:
    """Tell whether no value of it is in the clear."""
    return (one.sealed and not one.in_the_clear) or not any(one.entries.values())


def _canonical(text: str) -> KeyRef:
    return canonical(complete(text))


def _asking(keys: Keyset) -> list[tuple[str, str]]:
    """What asks a service to seal to these keys, or to groups of them."""
    if isinstance(keys, KeyGroups):
        groups = [("groups", ",".join(map(str, group))) for group in keys.groups]
        return [*groups, ("threshold", str(keys.threshold))]
    return [("key", str(ref)) for ref in keys]
