"""`ksecret check`."""

from __future__ import annotations

import os

from secretsvc.cli.checking import (
    MAX_RULED,
    OF_SOPS,
    Output,
    Source,
    check_all,
    may_hold_identities,
    may_hold_secrets,
    ruled,
    worth_reading,
)
from secretsvc.cli.report import progress, warn
from secretsvc.errors import FileError, UsageError
from secretsvc.files import workspace
from secretsvc.files.workspace import standard_input
from secretsvc.policy.policies import MISNAMED, NAME, NOWHERE, Policies, upwards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.checking import Form
    from secretsvc.cli.parser import Parser
    from secretsvc.git.index import GitIndex, Staged
    from secretsvc.policy.sops_configs import SopsConfigs


EXAMPLES = """\
  ksecret check                       every manifest in this folder and below; needs no key
  ksecret check --staged              what the next commit would hold, as Git's index has it
  ksecret check --range origin/main..HEAD    every commit of a branch, and not only what it ends with
  ksecret check --pre-receive         a push, as a server's pre-receive hook; docs/ci.md shows one
  ksecret check --sarif > ksecret.sarif
exit code: 0 nothing found, 1 findings, 3 and above: something could not be checked"""

_FORMAT = b"format"
"""Stands in a `.ksecret.yaml` that has rules for SOPS's files."""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument(
        "files", nargs="*", metavar="PATH", help="a manifest or a folder (default: .); - is standard input"
    )
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="as other commands have it: folders are walked anyway"
    )
    parser.add_argument("--path", metavar="FILE", default="", help="where - will stand, for the rules of .ksecret.yaml")
    parser.add_argument("--staged", action="store_true", help="check what Git's index holds that HEAD does not")
    parser.add_argument(
        "--range", metavar="A..B", default=None, help="check what each commit changed that B has and A has not"
    )
    parser.add_argument(
        "--pre-receive", action="store_true", help="the same of a push: reads Git's OLD NEW REF from standard input"
    )
    parser.add_argument(
        "--fail-on-new-keys", action="store_true", help="new data keys and recipients (KS017) are failures too"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per finding, a line each")
    parser.add_argument("--sarif", action="store_true", help="a SARIF 2.1.0 log, for code scanning")


def run(args: Arguments) -> int:
    """Checks; 0, or 1 where something was found, or the gravest error's exit code."""
    if args.json and args.sarif:
        raise UsageError("--json and --sarif are two forms of one output: choose one")
    if sum((args.staged, args.pre_receive, args.range is not None)) > 1:
        raise UsageError("--staged, --range and --pre-receive name different things to check: choose one")
    if args.path and args.files != ["-"]:
        raise UsageError("--path goes with standard input", hint="ksecret check --path FILE -")
    form: Form = "sarif" if args.sarif else "json" if args.json else "text"
    output = Output(form, fails_on_notices=args.fail_on_new_keys, debug=args.debug)
    if args.staged:
        _staged(args.files, output)
    elif args.pre_receive:
        from secretsvc.cli.verbs.check_history import check_push

        check_push(args.files, output)
    elif args.range is not None:
        from secretsvc.cli.verbs.check_history import check_range

        check_range(args.range, args.files, output)
    else:
        items, source_of = walked(args.files or ["."], output.failed, args.path)
        check_all(progress(map(source_of, items), len(items)), output)
    return output.finish()


def walked(
    paths: list[str], failed: Callable[[FileError], None], place: str = ""
) -> tuple[list[workspace.Item], Callable[[workspace.Item], Source]]:
    """Every file that these paths mean, of any name, and what makes a Source of one.

    `failed` is told of folders that can't be listed; `place`: where standard input will stand. Raises UsageError.
    """
    items = list(workspace.discover(paths, recursive=True, failed=failed, warn=_warn, ignoring=False, suffixes=("",)))
    policies = Policies()
    configs = _configs(policies, items, [*paths, place])
    return items, lambda item: _source(item, policies, place, configs)


def _configs(policies: Policies, items: list[workspace.Item], roots: list[str]) -> SopsConfigs | None:
    """What finds SOPS's rules for these files, found from these roots; None where there are none for any."""
    named = os.environ.get("SOPS_CONFIG", "")
    above = (folder for root in filter(None, roots) for folder in upwards(os.path.realpath(root), ""))
    known = [item.path for item in items if os.path.basename(item.path) in (OF_SOPS, NAME)]
    paths = (*known, *(os.path.join(folder, name) for folder in above for name in (OF_SOPS, NAME)))
    if not (named or any(map(_may_have_rules_of_sops, paths))):
        return None
    from secretsvc.policy.sops_configs import SopsConfigs

    return SopsConfigs(policies, named, lambda text: warn(text, once=text))


def _may_have_rules_of_sops(path: str) -> bool:
    """Tell it of a policy that may be there: `.ksecret.yaml` has some where it says `format: sops`."""
    if not os.path.lexists(path) or os.path.basename(path) == OF_SOPS:
        return os.path.lexists(path)
    try:
        return workspace.read_if(path, lambda data: data.find(_FORMAT) >= 0) is not None
    except FileError:
        return False


def _source(item: workspace.Item, policies: Policies, place: str, configs: SopsConfigs | None) -> Source:
    if item.path == "-":
        return Source(place or NOWHERE, standard_input, policies, configs=configs if place else None)
    manifest = item.named or workspace.is_manifest(item.path)
    name = item.path.removeprefix("./")

    def read() -> bytes | None:
        return _content(item.path, ruled(configs, name), manifest=manifest)

    return Source(name, read, policies, manifest, configs=configs)


def _content(
    path: str, may_be_ruled: Callable[[bytes | mmap], bool] = lambda _: False, *, manifest: bool
) -> bytes | None:
    """A file's bytes; None for one with nothing to find in it, however large it is. Raises FileError for manifests.

    `may_be_ruled`: as `ruled` has it.
    """
    test = may_hold_secrets if manifest else may_hold_identities
    try:
        snapshot = workspace.read_if(path, lambda data: test(data) or (len(data) <= MAX_RULED and may_be_ruled(data)))
    except FileError:
        if manifest:
            raise
        return None  # somebody else's file is no reason to fail
    return snapshot.data if snapshot else None


def _warn(why: str) -> None:
    warn(f"{why}; so what .gitignore names is checked too")


def _staged(paths: list[str], output: Output) -> None:
    from secretsvc.git.index import GitIndex

    with GitIndex() as index:
        named = (*index.named(NAME), *index.named(MISNAMED), *index.named(OF_SOPS))
        blobs = {os.path.join(index.top, staged.path): staged for staged in named}
        policies = Policies(lambda path: index.content(blobs[path]) if path in blobs else None, index.top)
        configs = None
        if any(os.path.basename(path) == OF_SOPS or _FORMAT in index.content(blobs[path]) for path in blobs):
            from secretsvc.policy.sops_configs import SopsConfigs

            configs = SopsConfigs(policies)
        check_all((_in_index(index, staged, policies, configs) for staged in index.changed(paths)), output)


def _in_index(index: GitIndex, staged: Staged, policies: Policies, configs: SopsConfigs | None) -> Source:
    manifest = workspace.is_manifest(staged.path)
    name = os.path.relpath(os.path.join(index.top, staged.path))

    def read() -> bytes | None:
        return worth_reading(
            lambda: index.content(staged),
            lambda most: index.content_up_to(most, staged),
            ruled(configs, name),
            manifest=manifest,
        )

    return Source(name, read, policies, manifest, configs=configs)
