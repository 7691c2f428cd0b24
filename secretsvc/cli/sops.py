"""`encrypt --format sops`: its own options, and what `.sops.yaml` says of a file."""

from __future__ import annotations

from secretsvc.errors import InputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.registry import Backends
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Targets
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.sealing import Requests
    from secretsvc.operations import Result
    from secretsvc.operations.document_sealing import SopsKeyset, SopsRule
    from secretsvc.policy.sops_yaml import CreationRule

NAME = "sops"
_RULES = ("encrypted", "unencrypted")
_WHAT = {"regex": "keys that this Go pattern finds", "suffix": "keys with this end", "comment_regex": "comments"}


def add_rules(parser: Parser) -> None:
    """Add the options that say what of a file is sealed, as SOPS has them."""
    for which in _RULES:
        for how, what in _WHAT.items():
            about = f"--format sops: {'seal' if which == 'encrypted' else 'leave in the clear'} what is under {what}"
            option = f"--{which}-{how.replace('_', '-')}"
            parser.add_argument(option, metavar="TEXT", default="", help=about)
    parser.add_argument(
        "--mac-only-encrypted", action="store_true", help="--format sops: a MAC over sealed values only"
    )
    parser.add_argument(
        "--exact", action="store_true", help="--format sops: refuse what will come back spelled otherwise"
    )


def _rules(args: Arguments) -> list[tuple[str, str]]:
    names = [f"{which}_{how}" for which in _RULES for how in _WHAT]
    return [(name, getattr(args, name)) for name in names if getattr(args, name)]


def refuse_rules(args: Arguments) -> None:
    """Refuse these options for other formats, which seal all values of Secrets. Raises UsageError."""
    if _rules(args) or args.mac_only_encrypted or args.exact:
        raise UsageError("that option says what SOPS's format seals", hint="say --format sops")


def encrypt(args: Arguments, targets: Targets) -> int:
    """Seal files in SOPS's format; the exit code. Raises UsageError."""
    from secretsvc.cli import options
    from secretsvc.cli.batch import Batch
    from secretsvc.cli.sealing import Requests, SealingOptions, place_of

    others = {
        "--cleartext": args.cleartext,
        "--parent": args.parent,
        "--from-cluster": args.from_cluster,
        "--scope": args.scope,
        "--if-needed": args.if_needed,
        "--recompute-mac": args.recompute_mac,
        "--recursive": args.recursive,
        "--server": options.server(args).url,
    }
    for option, value in others.items():
        if value:
            raise UsageError(f"{option} does not go with --format sops")
    if len(_rules(args)) > 1:
        raise UsageError("one rule says what is sealed", hint="leave the others away")
    backends = options.backends(options.unlocking(args))
    place = place_of(args.path, targets)
    sealer = _Sealer(args, place, backends, Requests(SealingOptions(tuple(args.key), place), backends))
    return Batch(targets, "sealed", private=False).run(sealer.sealed, backends)


class _Sealer:
    """Seals the files of one run."""

    def __init__(self, args: Arguments, place: str, backends: Backends, requests: Requests) -> None:
        self._args = args
        self._place = place
        self._backends = backends
        self._requests = requests

    def sealed(self, data: bytes, name: str) -> Result:
        """Seal one file. Raises UsageError, and what sealing raises."""
        from secretsvc.operations.document_sealing import seal_file
        from secretsvc.policy.sops_yaml import rule_for

        where = self._place or ("" if name == "-" else name)
        if not where:
            raise UsageError("of which kind is it, and which rule is for it?", hint="say --path FILE")
        found = rule_for(where)
        request = self._requests.of(name)
        keys, rule = self._keys(found, where), self._rule(found)
        result = seal_file(data, keys, rule, self._requests.keyring(name), name=where, now=request.created)
        if result.notes and self._args.exact:
            line, what = result.notes[0]
            raise InputError(what, hint="without --exact it is sealed all the same", line=line)
        return result

    def _rule(self, found: CreationRule | None) -> SopsRule:
        """By the options, else by `.sops.yaml`."""
        from secretsvc.operations.document_sealing import SopsRule

        said = _rules(self._args)
        only = self._args.mac_only_encrypted or bool(found and found.mac_only_encrypted)
        return SopsRule(said[0] if said else found.selection if found else None, only)

    def _keys(self, found: CreationRule | None, where: str) -> SopsKeyset:
        """By `-k`, else by `.sops.yaml`, else the caller's own. Raises UsageError, InputError, KeyRefError."""
        from secretsvc.cli.policies import FilePolicies
        from secretsvc.cli.sealing import NO_KEY, NO_KEY_HINT, own_keys
        from secretsvc.operations.document_sealing import SopsKeyset

        change = self._requests.of(where).change
        if change.add or change.remove:
            raise UsageError("there is no keyset yet that +REF or -REF could change", hint="name keys with -k REF")
        if change.exact:
            return SopsKeyset((tuple((ref, {}) for ref in change.exact),))
        if found and any(found.groups):
            return self._of_config(found)
        if FilePolicies(self._backends, where).find(where):
            what = "the rules of .ksecret.yaml are for Secrets in ksecret's formats"
            raise UsageError(what, hint="name keys with -k, or write a .sops.yaml")
        own = own_keys(self._backends, "")
        if not own:
            raise UsageError(NO_KEY, hint=NO_KEY_HINT)
        return SopsKeyset((tuple((ref, {}) for ref in own),))

    def _of_config(self, found: CreationRule) -> SopsKeyset:
        from secretsvc.operations.document_sealing import SopsKeyset

        groups = []
        for group in found.groups:
            for key in group:
                if key.role or key.profile:
                    what = f"{key.text}: ksecret uses no role and no profile that .sops.yaml names"
                    raise InputError(what, hint="`sops encrypt` does; or name keys with -k", line=key.line)
            groups.append(tuple((self._backends.parse(key.text), key.context) for key in group))
        return SopsKeyset(tuple(groups), found.threshold)
