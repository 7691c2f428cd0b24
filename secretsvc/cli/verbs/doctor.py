"""`ksecret doctor`."""

from __future__ import annotations

import os

from secretsvc.backends import every, names
from secretsvc.backends.offers import Offers
from secretsvc.cli import options
from secretsvc.cli.colour import BAD, GOOD, WARNING, painted
from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.recipients import add_recipients
from secretsvc.cli.report import brief
from secretsvc.cli.sealing import NO_KEY, NO_KEY_HINT, own_keys
from secretsvc.errors import BackendError, KeyRefError, KsecretError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.base import Scheme
    from secretsvc.backends.registry import Backends
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.operations.inspect import Description

EXAMPLES = """\
  ksecret doctor                             what is installed, and whether your own keys and .ksecret.yaml's work
  ksecret doctor -k gcp:projects/… -k age:…  these keys
  ksecret doctor secret.yaml                 the keys that it is sealed to"""

_COLOURS = {"ok": GOOD, "part": WARNING, "no": WARNING, "FAIL": BAD}


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a sealed manifest, for its keys")
    parser.add_argument("-k", "--key", action="append", default=[], metavar="KEYREF", help="a key to try (repeat)")
    add_recipients(parser)
    options.add_backends(parser)


class _Finding(Record):
    """One line, `ok`, `part` (seals, but does not open here), `no` or `FAIL`, and what to do about it."""

    grade: str
    about: str
    said: str
    hint: str = ""
    exit_code: int = 0


def run(args: Arguments) -> int:
    """Prints what works and what does not; the exit code of the worst failure among the keys that were tried."""
    known = options.backends(options.unlocking(args))
    findings = [*map(_installed, every()), *_identities(known)]
    if args.key or args.files:
        described = _described(args.files)
        texts = _named(args.key, described, known)
        policy = FilePolicies(known).find_for_opening("-")
        used = known.with_principals(policy.content.principals) if policy else known
        tried = [_try(used, text) for text in texts]
        opened = {text for text, one in zip(texts, tried, strict=True) if one.grade == "ok"}
        findings += tried
        findings += [_of_groups(path, one, opened) for path, one in described if one.needed > 1]
    else:
        findings += [*_local(known), *_own(known), *_policys(known)]
    for one in findings:
        print(painted(f"{one.grade:5}", _COLOURS[one.grade]), brief(f"{one.about}: {one.said}"))
        if one.hint:
            print(brief(f"        {one.hint}"))
    return max((one.exit_code for one in findings), default=0)


def _described(files: list[str]) -> list[tuple[str, Description]]:
    """What each Secret of the files tells, with its file's name."""
    from secretsvc.files import workspace
    from secretsvc.operations.inspect import describe_manifest

    found = []
    for path in files:
        try:
            found += [(path, one) for one in describe_manifest(workspace.read(path).data, lambda _ref: "")]
        except KsecretError as error:
            error.file = path
            raise
    return found


def _named(keys: list[str], described: list[tuple[str, Description]], known: Backends) -> list[str]:
    """The keys of the command line, and of its files, each once."""
    texts = FilePolicies(known).spelled("-", keys)
    of_files = dict.fromkeys(key["ref"] for _, one in described for key in one.keys)
    return [*texts, *(text for text in of_files if text not in texts)]


def _of_groups(path: str, one: Description, opened: set[str]) -> _Finding:
    """Tell which groups of a Secret's keys open here."""
    here: list[str] = []
    lacking: list[str] = []
    for number, group in enumerate(one.openers, 1):
        (here if group & opened else lacking).append(str(number))
    said = [f"groups that open here: {', '.join(here) or 'none'}"]
    said += [f"that do not: {', '.join(lacking)}"] if lacking else []
    about = f"{path}: {one.label}"
    text = f"{'; '.join(said)}; {one.needed} are needed"
    if len(here) >= one.needed:
        return _Finding("ok", about, text)
    return _Finding("no", about, text, "ask who holds a key of another group, or: ksecret keys add --group N")


def _own(known: Backends) -> list[_Finding]:
    """The keys that sealing would take where no policy says anything."""
    try:
        refs = own_keys(known, "ksecret")
    except (KeyRefError, BackendError) as error:
        return [_Finding("FAIL", "your own keys", error.message, error.hint, error.exit_code)]
    if not refs:  # to have none yet is no failure
        return [_Finding("no", "your own keys", NO_KEY, NO_KEY_HINT)]
    return [_try(known, str(ref)) for ref in refs]


def _policys(known: Backends) -> list[_Finding]:
    """The recipients of the policy for the current folder; that others' keys do not open here is no failure."""
    from secretsvc.policy.policies import NAME, Policies

    try:
        found = Policies().find(NAME)
    except KsecretError as error:
        return [_Finding("FAIL", error.where, error.message, error.hint, error.exit_code)]
    if found and found.is_misnamed:
        return [_Finding("no", found.source, "it is not read", f"a policy's name is {NAME}: rename it")]
    if not found or not found.content.rules:
        return []
    texts = dict.fromkeys(key for rule in found.content.rules for key in rule.keys)
    used = known.with_principals(found.content.principals)
    tried = [_try(used, text) for text in texts]
    named = [one._replace(about=found.content.people.named(one.about)) for one in tried]
    findings = [one._replace(exit_code=0) if one.grade == "part" else one for one in named]
    count = sum(one.grade == "ok" for one in findings)
    said = f"{count} of its {len(findings)} keys {'opens' if count == 1 else 'open'} here"
    if count:
        return [*findings, _Finding("ok", found.source, said)]
    return [*findings, _Finding("no", found.source, said, "ksecret init tells which line to add to it")]


def _installed(scheme: Scheme) -> _Finding:
    """Tell whether what the backend needs is here; that it is not is a failure only for a key that needs it."""
    found = scheme.installed()
    return _Finding("ok" if found.ok else "no", scheme.name, found.said, found.hint)


def _identities(known: Backends) -> list[_Finding]:
    """Places of identities, in the order in which they count; what can't be used is no failure beside what can."""
    places = [(name, place) for name, backend in known.with_identities() for place in backend.places()]
    return [
        _Finding("no" if place.is_bad else "ok", f"{name}: {place.name}", place.found, place.hint)
        for name, place in places
        if not place.is_absent
    ]


def _local(known: Backends) -> list[_Finding]:
    """The keys of one's own that are on this machine, of kinds whose backends list them; none is no failure."""
    findings = []
    for scheme in every():
        if scheme.is_local and scheme.installed().ok:
            backend = known.backend(scheme.name)
            try:
                offers = backend.offers() if isinstance(backend, Offers) else []
            except KsecretError as error:
                findings.append(_Finding("no", scheme.name, error.message, error.hint))
                continue
            findings += [_Finding("ok", f"{scheme.name}: your key", f"{one.ref} {one.about}".strip()) for one in offers]
    return findings


def _try(known: Backends, text: str) -> _Finding:
    """The round trip of a throw-away DEK."""
    context = {
        "ksecret-doctor": "1"
    }  # which no Secret has: docs/backends/aws-kms.md lets a key's policy tell them apart
    dek = os.urandom(32)
    try:
        ref = known.parse(text)
    except KsecretError as error:  # the text may be a private key given by mistake, so it is not shown
        scheme = text.partition(":")[0]
        scheme = f"{scheme}:…" if scheme in names() else "a key"
        return _Finding("FAIL", scheme, f"can't seal to it: {error.message}", error.hint, error.exit_code)
    try:
        wrapped = known.wrap(ref, dek, context)
    except KsecretError as error:
        return _Finding("FAIL", str(ref), f"can't seal to it: {error.message}", error.hint, error.exit_code)
    try:
        opened = known.backend(ref.scheme).unwrap(ref, wrapped, context)
    except KsecretError as error:
        said = f"seals, but does not open here: {error.told}"
        return _Finding("part", str(ref), said, error.hint, error.exit_code)
    if opened != dek:
        return _Finding("FAIL", str(ref), "gives back something else than was wrapped", "", 6)
    return _Finding("ok", str(ref), "seals and opens")
