"""Options of the commands that seal, and the request that follows from them."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from functools import cache, partial

from secretsvc import formats
from secretsvc.backends import unversioned
from secretsvc.cli import options
from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.recipients import add_recipients
from secretsvc.cli.report import printable, warn
from secretsvc.errors import KeyRefError, UsageError
from secretsvc.keyref import GROUP, MOST_GROUPS, THRESHOLD, Keyset, divided, keyset, parse_change
from secretsvc.manifest.hidden_secret import may_be_hidden
from secretsvc.operations.request import ANY_TIME, Request, stated
from secretsvc.policy.people import has_name
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from mmap import mmap

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.options import Targets
    from secretsvc.cli.parser import Parser
    from secretsvc.formats.base import Unproven
    from secretsvc.keyref import KeysetChange, Principal
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.keyring import Keyring
    from secretsvc.policy.people import People
    from secretsvc.policy.sops_yaml import CreationRule


class SealingOptions(Record):
    """Options about how files are sealed."""

    keys: tuple[str, ...] = ()
    """KeyRefs and names, `+` or `-` before those that are added or taken away; `--group` before those of a group."""
    place: str = ""
    """The path by which the policy's rule is chosen for all that is made; empty: that of each file."""
    format: str = ""
    scope: str = ""
    parent: str = ""
    """A sealed file whose keyset, DEK and tokens are taken."""
    rotate: bool = False
    """Whether all data keys are made anew."""
    recompute_mac: bool = False
    """Whether somebody is asked to vouch for a file whose MAC does not fit."""
    yes: bool = False
    """Whether they have said yes."""
    allow_repeated: bool = False
    files: tuple[str, ...] | None = None
    """Those that were named; others were found in folders. None: all were."""
    """Whether files are taken from folders."""

    def is_named(self, file: str) -> bool:
        """Tell whether a file was named, and not found in a folder."""
        return self.files is None or file in self.files


def may_hold_secret(content: bytes | mmap) -> bool:
    """Tell whether a file found in a folder may hold a Secret: a hidden one is refused or sealed, and not missed."""
    return content.find(b"Secret") >= 0 or may_be_hidden(content)


def place_of(path: str, targets: Targets) -> str:
    """The place of what a command with `--path` makes: that of `--path`, else of `-o`; else it is each file's own.

    What is printed, or goes to a pipe or a device, stands nowhere yet. Raises UsageError.
    """
    if path == "-" or path.endswith(os.sep) or os.path.isdir(path):
        raise UsageError("--path takes the path of a file", hint="the one that the sealed manifest will have")
    if path and targets.in_place:
        hint = "it says where standard input belongs, or what is printed"
        raise UsageError("--path does not go with a file that is changed in place", hint=hint)
    output = targets.output
    stands = output not in ("", "-") and (os.path.isfile(output) or not os.path.exists(output))
    return path or (output if stands else "")


def add_keys(parser: Parser) -> None:
    """`-k` and `-R`."""
    parser.add_argument(
        "-k", "--key", action="append", default=[], metavar="KEYREF", help="seal to it (repeat); +REF adds, -REF takes"
    )
    add_recipients(parser)
    add_groups(parser)


def add_groups(parser: Parser, dest: str = "key") -> None:
    """`--group` and `--threshold`, which count as words among the keys."""
    about = "a group of keys begins: --group -k A -k B --group -k C; one key of each is needed"
    parser.add_argument(GROUP, dest=dest, action="append_const", const=GROUP, help=about)
    about = "how many of the groups are needed (default: all)"
    parser.add_argument("--threshold", dest=dest, action="append", type=_threshold, metavar="N", help=about)


_ANY_ONE = "without groups, any one key opens"


def _threshold(text: str) -> str:
    """The word among the keys. Raises ValueError."""
    number = int(text)
    if not 2 <= number <= MOST_GROUPS:
        raise KeyRefError(f"a threshold is a number from 2 to {MOST_GROUPS}, of groups of keys", hint=_ANY_ONE)
    return f"{THRESHOLD}{number}"


def add_output(parser: Parser) -> None:
    """`-i`, `-o` and `--path`."""
    options.add_output(parser)
    add_path(parser)


def add_path(parser: Parser) -> None:
    """`--path`."""
    about = "where it will stand, for the rules of .ksecret.yaml (default: -o FILE, else FILE)"
    parser.add_argument("--path", metavar="FILE", default="", help=about)


def add_format(parser: Parser, *others: str) -> None:
    """`--format` and `--scope`."""
    parser.add_argument(
        "--format",
        choices=(*formats.names(), *others),
        default="",
        help="for what is not sealed yet (default: KSECRET_FORMAT, or ksecret)",
    )
    add_scope(parser)


def add_scope(parser: Parser) -> None:
    """`--scope`."""
    parser.add_argument("--scope", choices=("strict", "namespace", "any"), default="", help="what it is bound to")


def add_trust(parser: Parser) -> None:
    """`--recompute-mac` and `--yes`."""
    parser.add_argument(
        "--recompute-mac", action="store_true", help="kubesec's format: give a file without a fitting MAC a new one"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def add_repeated(parser: Parser) -> None:
    """`--allow-repeated`."""
    parser.add_argument(
        "--allow-repeated", action="store_true", help="pass values that the file repeats in the clear elsewhere"
    )


NO_KEY = "no key to seal to"
NO_KEY_HINT = "run `ksecret init` for one of your own, or say --key KEYREF or KSECRET_KEYS"


class Requests:
    """The request of this run for each of its files."""

    def __init__(self, wanted: SealingOptions, backends: Backends) -> None:
        """Raises UsageError."""
        self._wanted = wanted
        self._backends = backends
        self._lock = allocate_lock()
        self._keysets: set[Keyset] = set()
        self._has_names = has_name(wanted.keys)
        self._request = Request(
            self._parsed(() if self._has_names else wanted.keys),
            partial(self._default_keys, ""),
            wanted.scope,
            stated(),
            format_of(wanted.format),
            ANY_TIME if wanted.rotate else "",
            allow_repeated=wanted.allow_repeated,
        )
        self._own_keys = cache(partial(own_keys, backends))
        self._policies = FilePolicies(backends, wanted.place)

    def of(self, name: str, source: str = "") -> Request:
        """The request for the file of that name, whose DEK may come from the file `source`.

        Raises KeyRefError for a name in `--key` that its policy does not know, InputError and FileError for the policy.
        """
        return self._request._replace(
            change=self._change(name),
            renews=partial(self._policies.renews, (name, source)),
            default_keys=partial(self._default_keys, name),
            trust=partial(self._trusts, name) if self._wanted.recompute_mac else None,
            tell_keyset=partial(self._warn_unless_opened, name),
        )

    def people(self, name: str) -> People:
        """The names that the policy of the file of that name has for keys."""
        return self._policies.people(name)

    @property
    def change(self) -> KeysetChange:
        """The change of keysets that is asked for of every file; none where words are names, which hang on the file."""
        return self._request.change

    def sops_rule(self, name: str) -> CreationRule | None:
        """The rule by which the new file of that name is sealed in SOPS's format; None where that is not what is meant.

        Raises InputError, FileError.
        """
        return None if self._request.format else self._policies.sops_rule(name)

    def sops_rule_of_sealed(self, name: str) -> CreationRule | None:
        """The rule for a file that is in SOPS's format, or is to be. Raises as `sops_rule`."""
        return self._policies.sops_rule_of_sealed(name)

    def wants_sealed(self, file: str) -> bool:
        """Tell whether a rule of SOPS's wants that file sealed, though it was found in a folder. Raises FileError."""
        return self._policies.wants_sealed(file)

    def by_policy(self, name: str) -> Callable[[Secret, str], Keyset | None]:
        """The keyset that the policy of the file of that name has for a Secret; None where it has no say."""
        return lambda secret, _format: self._policies.keys(name, secret)

    def demanded(self, name: str) -> Callable[[Secret], Keyset]:
        """The keyset that the policy of the file of that name demands for a Secret; raises InputError for none."""
        return partial(self._policies.demanded, name)

    def _change(self, name: str) -> KeysetChange:
        spelled = self._policies.spelled(name, self._wanted.keys) if self._has_names else ()
        return self._parsed(spelled) if self._has_names else self._request.change

    def _parsed(self, words: Iterable[str]) -> KeysetChange:
        change = parse_change(words, self._backends.parse, self._backends.parse_held)
        return change._replace(unversioned=unversioned) if change.remove else change

    def keyring(
        self, name: str, source: str = "", *, data: bytes = b"", principals: Mapping[str, Principal] | None = None
    ) -> Keyring:
        """The backends, as the policies of these files, and of what is made of them, want them.

        `data`: what is to be opened with it; `principals`: KeyRef → who uses it, as `FilePolicies.keyring` takes them.
        Raises InputError, FileError.
        """
        return self._policies.keyring(name, source, data=data, principals=principals)

    def _warn_unless_opened(self, name: str, secret: Secret, refs: Keyset) -> None:
        """Warn, once a run, of a keyset none of whose keys is here. What only a KMS could tell is not asked."""
        with self._lock:
            is_new = refs not in self._keysets
            self._keysets.add(refs)
        if is_new and not self._may_open(refs):
            where = "standard input" if name == "-" else name
            keys = "too few groups of keys that are" if len(divided(refs)[0]) > 1 else "no key of yours"
            what = f"{where}: {secret.label} is sealed to {keys} on this machine, so you can't open it here"
            warn(what, once=" ".join(map(str, refs)))

    def _may_open(self, refs: Keyset) -> bool:
        groups, needed = divided(refs)
        return sum(self._backends.opens(group) is not False for group in groups) >= needed

    def _default_keys(self, name: str, secret: Secret, format_: str) -> Keyset:
        keys = self._policies.keys(name, secret) or self._own_keys(format_)
        if keys:
            return keys
        error = KeyRefError if self._policies.find(name) else UsageError  # its rules may have keys for other files
        raise error(NO_KEY, hint=NO_KEY_HINT)

    def _trusts(self, name: str, unproven: Unproven) -> bool:
        """Shows what somebody would vouch for, and asks. Raises UsageError where nobody can be asked."""
        people = self.people(name)
        with self._lock:
            lines = [
                f"{name}: {unproven.label}: {unproven.why}; with a new one you vouch for what it holds now:",
                *(f"  key    {people.named(ref)}  {self._backends.describe(ref)}".rstrip() for ref in unproven.keys),
                *(f"  entry  {entry}" for entry in unproven.entries),
            ]
            print("\n".join(map(printable, lines)), file=sys.stderr)
            if self._wanted.yes:
                return True
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise UsageError("nobody is here to be asked", hint="if that is as it should be, say --yes")
            print("Make it a new MAC? [y/N] ", end="", file=sys.stderr, flush=True)
            return sys.stdin.readline().strip().lower() in ("y", "yes")


def format_of(given: str) -> str:
    """The format asked for, by the option or KSECRET_FORMAT; may be empty. Raises UsageError."""
    wanted = given or os.environ.get("KSECRET_FORMAT", "")
    if wanted not in ("", *formats.names()):
        raise UsageError("KSECRET_FORMAT is not a format", hint=f"choose from {', '.join(formats.names())}")
    return wanted


def own_keys(backends: Backends, format_: str) -> Keyset:
    """`KSECRET_KEYS` (separated by commas or line breaks), else the user's own key of the format's kind; none is empty.

    Raises KeyRefError, and BackendError where there are identities and none of them can be used.
    """
    listed = os.environ.get("KSECRET_KEYS", "").replace("\n", ",").split(",")
    try:
        refs = [backends.parse(text) for text in listed if text.strip()]
    except KeyRefError as error:
        raise KeyRefError(f"KSECRET_KEYS: {error.message}", hint=error.hint) from error
    if refs:
        return keyset(refs)
    wished = formats.named(format_).default_key
    if wished:
        return (backends.parse(wished),)
    own = backends.own_ref()
    return (own,) if own else ()
