"""Findings in the Secrets of a file, told without any key. Imports no cryptography."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.backends import canonical, unversioned_uri
from secretsvc.errors import KsecretError, ManifestError
from secretsvc.keyref import divided
from secretsvc.manifest import nodes, reader, rules
from secretsvc.manifest.hidden_secret import may_be_hidden
from secretsvc.operations import check_repeats
from secretsvc.operations.check_search import (
    holds_identity,
    is_in_other_letters,
    may_be_in_conflict,
    may_hold_more,
    may_hold_secret,
)
from secretsvc.patterns import pattern
from secretsvc.record import Record
from secretsvc.tokens import SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from secretsvc.formats.base import Examined
    from secretsvc.formats.base import Flaw as Hit
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.operations.check_refused import Group
    from secretsvc.operations.findings import Finding
    from secretsvc.policy.policies import Policies, Policy
    from secretsvc.policy.reader import KeyRule

_ALLOWED = pattern(r"(?:^|\s)#\s*ksecret:allow\s+\S")
_ALLOWED_ABOVE = pattern(r"\s*(?:---\s+)?#\s*ksecret:allow\s+\S")
_TO_SEAL = ("KS001", "KS002", "KS010")
_LISTED = 5
"""How many entries or keys a message lists."""
_DAY = 86400


class Checked(Record):
    """The result of checking one file."""

    findings: list[Finding]
    allowed: int
    """How many findings a comment in the file allows."""


def check_other(data: bytes, file: str) -> Checked:
    """The findings in a file that is no manifest: age identities, by line."""
    lines = data.decode("utf-8", "replace").splitlines()
    found = [number for number, line in enumerate(lines, 1) if holds_identity(line.encode())]
    said = "an age identity (a private key) stands here in the clear"
    from secretsvc.operations.findings import Finding

    findings = [Finding(file, number, "KS013", said) for number in found if not _is_allowed(lines, number)]
    return Checked(findings, len(found) - len(findings))


def check_file(
    data: bytes, file: str, policies: Policies | None, now: float, seen: Callable[[Manifest], None] | None = None
) -> Checked:
    """The findings in a manifest, by line. `file` is its path; `now`, the time, is in seconds since 1970.

    The path may be the policy's NOWHERE. Without `policies` nothing is compared with a policy. `seen` is given what
    was read of it, for those who want to know more; each version where it is in conflict.

    Raises InputError and FileError for its policy, and for nothing that stands in the file itself.
    """
    if not may_hold_secret(data):
        secrets = Checked([], 0)
    elif may_be_in_conflict(data):
        secrets = _check_versions(data, file, policies, now, seen)
    else:
        secrets = _check_secrets(data, file, policies, now, seen)
    others = check_other(data, file) if holds_identity(data) else Checked([], 0)
    findings = sorted([*secrets.findings, *others.findings], key=lambda finding: finding.line)
    return Checked(findings, secrets.allowed + others.allowed)


def _check_versions(
    data: bytes, file: str, policies: Policies | None, now: float, seen: Callable[[Manifest], None] | None
) -> Checked:
    """The findings in what stands there; between conflict markers, in each version of it."""
    from secretsvc.operations import check_conflict, check_refused, check_text  # as few files are in conflict
    from secretsvc.operations.findings import Finding

    line = check_conflict.first_marker(data)
    if not line:
        return _check_secrets(data, file, policies, now, seen)
    text = check_refused.as_text(data)
    is_looked_through = len(text) <= check_refused.MOST_LOOKED_THROUGH
    whole = [check_conflict.with_quoted_markers(text).encode()] if is_looked_through else []
    versions = (*check_conflict.versions(data), *whole)
    checked = [_check_secrets(version, file, policies, now, seen) for version in versions]
    findings = {(found.line, found.code): found for one in reversed(checked) for found in one.findings}
    allowed = max(one.allowed for one in checked)
    if is_looked_through and not (findings or allowed or formats.holds_sealed(data) or check_text.seems_to_hold(text)):
        return Checked([], 0)
    if _is_allowed(text.splitlines(), line):
        return Checked(list(findings.values()), allowed + 1)
    marker = Finding(file, line, "KS016", "a conflict marker: nobody has chosen between two versions of a Secret yet")
    return Checked([marker, *findings.values()], allowed)


def _check_secrets(
    data: bytes, file: str, policies: Policies | None, now: float, seen: Callable[[Manifest], None] | None
) -> Checked:
    manifest, refusal = _read(data)
    if not manifest:
        from secretsvc.operations import check_refused

        text = check_refused.as_text(data)
        return _judged(text.splitlines(), file, check_refused.refused(text, refusal), first_only=True)
    if seen:
        seen(manifest)
    policy = _policy(policies, file, manifest)
    comments = check_repeats.commented_out(manifest)
    groups: list[Group] = [
        ((secret.line,), [*_secret(manifest, secret, file, policy, now), *comments.get(secret.line, [])])
        for secret in manifest.secrets
    ]
    groups += _elsewhere(manifest, data)
    has_comments = any(hits for _, hits in groups) and not manifest.is_json
    return _judged(manifest.text.splitlines() if has_comments else [], file, groups)


def _judged(lines: list[str], file: str, groups: Iterable[Group], *, first_only: bool = False) -> Checked:
    """Return what no comment allows. `first_only`: of what a refused file is refused for, the first tells it all."""
    findings: list[Finding] = []
    allowed = 0
    for first_lines, hits in groups:
        if not hits:
            continue
        if any(_is_allowed(lines, line) for line in first_lines):
            allowed += len(hits)
            continue
        from secretsvc.operations.findings import Finding

        found = [Finding(file, *hit) for hit in hits]
        if findings[-1:] != found:
            findings += found
        if first_only and any(finding.code == "KS010" for finding in found):
            break
    return Checked(findings, allowed)


def _read(data: bytes) -> tuple[Manifest | None, ManifestError]:
    """The manifest, or why it is none: without the trace, which would keep what was read of it in memory."""
    try:
        return reader.read(data, allow_binary_tag=True), ManifestError("")
    except ManifestError as error:
        return None, error.with_traceback(None)


def needs_sealing(data: bytes, file: str) -> bool:
    """Tell whether a value in it is in the clear and no comment allows that, or nobody can tell."""
    if not may_hold_secret(data):
        return False
    return any(finding.code in _TO_SEAL for finding in check_file(data, file, None, 0).findings)


def _policy(policies: Policies | None, file: str, manifest: Manifest) -> Policy | None:
    """The policy, looked for only where something is sealed or to be sealed. Raises InputError, FileError."""
    is_sealed = any(formats.of(manifest).is_sealed(manifest, secret) for secret in manifest.secrets)
    if not policies or not (is_sealed or any(secret.entries for secret in manifest.secrets)):
        return None
    try:
        return policies.find(file)
    except KsecretError:
        if is_sealed:
            raise
        return None  # what is in the clear is told, whatever the policy says


def _is_allowed(lines: list[str], first_line: int) -> bool:
    """Tell whether a comment on a Secret's first line or right above it says why it may stay as it is."""
    if not 0 < first_line <= len(lines):
        return False
    if _ALLOWED.search(lines[first_line - 1]):
        return True
    return first_line > 1 and _ALLOWED_ABOVE.match(lines[first_line - 2]) is not None


def _secret(manifest: Manifest, secret: Secret, file: str, policy: Policy | None, now: float) -> Iterator[Hit]:
    yield from check_repeats.copied(secret)
    format_ = formats.of(manifest)
    if format_.is_sealed(manifest, secret):
        sealed: Examined | None = format_.examine(manifest, secret)
    else:
        from secretsvc.formats.sops_metadata import sealed_by_sops

        sealed = sealed_by_sops(secret)
    yield from sealed.flaws if sealed else ()
    for slip in rules.misspelled(secret):
        yield slip.key.line, "KS010", f"its Secret is refused: {rules.no_field(slip).message}"
    yield from _entries(secret, sealed)
    if policy:
        yield from _held_against(policy, secret, sealed, file, now)
    left = [entry for entry in secret.entries if sealed and entry.key.endswith(SUFFIX)]
    if left:
        yield (
            left[0].scalar.line,
            "KS012",
            f"a merge of {secret.label} waits for you: {_listed([e.path for e in left])}",
        )


def _held_against(policy: Policy, secret: Secret, sealed: Examined | None, file: str, now: float) -> Iterator[Hit]:
    """Return what differs from the policy. Keys and age of what SOPS sealed are not known."""
    who = file, secret.namespace, secret.name
    rule = policy.rule_for(*who)
    if rule and sealed and sealed.keys and policy.is_certain(*who):
        yield from _keyset(secret, sealed, rule, policy)
    if not rule and policy.has_say:
        clear = [entry.scalar.line for entry in secret.entries if not sealed and _code_for(entry, None) == "KS001"]
        lines = [sealed.line] if sealed and sealed.keys else clear
        misnamed = f"{policy.source} is not read, for a policy's name is .ksecret.yaml"
        why = misnamed if policy.is_misnamed else f"no rule of {policy.source} fits {secret.label}"
        what = f"{why}, so nothing says who may open it"
        yield from ((line, "KS015", what) for line in lines[:1])
    if sealed and policy.max_age and sealed.created and now - sealed.created > policy.max_age:
        days, limit = int(now - sealed.created) // _DAY, policy.max_age / _DAY
        age = f"{days} day{'' if days == 1 else 's'}"
        what = f"the data key of {secret.label} is {age} old, and {policy.source} allows {limit:g}"
        yield sealed.line, "KS009", what


def _entries(secret: Secret, sealed: Examined | None) -> Iterator[Hit]:
    """Return what stands where tokens should."""
    found: dict[str, list[Entry]] = {}
    for entry in secret.entries:
        code = _code_for(entry, sealed)
        if code:
            found.setdefault(code, []).append(entry)
    says = {
        "KS001": "is not sealed; in the clear",
        "KS002": "is sealed, but not all of it; in the clear",
        "KS003": "has tokens but no envelope, so nothing opens it",
        "KS004": "has tokens that were base64-encoded",
    }
    for code, entries in found.items():
        names = _listed([entry.path for entry in entries])
        yield entries[0].scalar.line, code, f"{secret.label} {says[code]}: {names}"


def _code_for(entry: Entry, sealed: Examined | None) -> str:
    if sealed and sealed.is_token(entry.value):
        return ""
    from secretsvc.formats import lost  # a file that is sealed whole has no more to look for

    if lost.is_encoded(entry):
        return "KS004"
    if sealed:
        return "KS002"
    if any(format_.is_token(entry.value) for format_ in formats.every()):
        return "KS003"
    from secretsvc.operations.check_template import without_placeholders  # only where something is in the clear

    return "KS001" if without_placeholders(entry.value).strip() else ""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _keyset(secret: Secret, sealed: Examined, rule: KeyRule, policy: Policy) -> Iterator[Hit]:
    if rule not in policy.keysets:
        policy.keysets[rule] = rule.keyset(canonical)
    wanted, needed = divided(policy.keysets[rule])
    parts: list[str] = []
    if len(wanted) != len(sealed.keys):
        parts.append(f"its keys are in {_count(len(sealed.keys))} and not in {_count(len(wanted))}")
    else:
        for number, (keys, refs) in enumerate(zip(sealed.keys, wanted, strict=True), 1):
            where = f"group {number} " if len(wanted) > 1 else ""
            parts += _differing(set(keys), set(map(str, refs)), where, policy)
        if sealed.threshold != needed:
            parts.append(f"{sealed.threshold} of its groups of keys open it and not {needed}")
    if parts:
        yield sealed.line, "KS008", f"{secret.label} differs from {policy.source}: {'; '.join(parts)}"


def _differing(held: set[str], ruled: set[str], where: str, policy: Policy) -> Iterator[str]:
    named = policy.content.people.named
    missing = ruled - held - set(map(unversioned_uri, held))
    beyond = {ref for ref in held - ruled if unversioned_uri(ref) not in ruled}
    lacking, extra = ([named(ref) for ref in sorted(refs)] for refs in (missing, beyond))
    if lacking:
        yield f"{where}not sealed to {_listed(lacking)}"
    if extra:
        yield f"{where}sealed to {_listed(extra)} as well"


def _count(groups: int) -> str:
    return f"{groups} groups" if groups > 1 else "no groups"


def _elsewhere(manifest: Manifest, data: bytes) -> Iterator[Group]:
    """Return values in the clear outside of what ksecret takes for Secrets."""
    why = _why_refused(manifest)
    may_hold_others = _may_hold_others(manifest, data)
    if not why and not may_hold_others:
        return
    from secretsvc.operations import check_refused

    if may_hold_others:
        known = {secret.root.start for secret in manifest.secrets}
        yield from check_refused.in_objects(manifest.documents, manifest.text, known)
    if why:
        yield from check_refused.refused(manifest.text, why)


def _why_refused(manifest: Manifest) -> ManifestError | None:
    """Tell why a manifest that can be read is looked through as one that can't be."""
    if not manifest.is_json and ("---" in manifest.text or manifest.text.lstrip()[:1] == "{"):
        from secretsvc.manifest.kubectl_stream import divided_otherwise

        line = divided_otherwise(manifest.text)
        if line:
            return rules.another_division(line)
    texts = [document for document in manifest.documents if isinstance(document, nodes.Scalar)]
    if texts:
        from secretsvc.operations.check_refused import unread

        if any(map(unread, texts)):
            return ManifestError("a document that is nothing but a text")
    return None


def _may_hold_others(manifest: Manifest, data: bytes) -> bool:
    """Tell whether more may be a Secret than is known to be: most files need no second look at every node."""
    if b"&" in data or may_be_hidden(data) or is_in_other_letters(data):
        return True
    return may_hold_more(data, sum(nodes.member(secret.root, "kind") is not None for secret in manifest.secrets))
