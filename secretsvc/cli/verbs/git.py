"""`ksecret git`: what Git calls for sealed files, and how it is told to."""

from __future__ import annotations

import sys

from secretsvc.errors import KsecretError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.git.config import Report
    from secretsvc.operations.merge import Outcome
    from secretsvc.policy.people import People

EXAMPLES = """\
  ksecret git setup                                in a clone: readable diffs, merges key by key; commit .gitattributes
  ksecret git setup 'deploy/**/*.yaml'             for these files
  ksecret git setup --global                       the programs for all clones; the files stay each repository's matter
  ksecret git unsetup                              takes it back
  ksecret git resolve --theirs secret.yaml         after a merge: their values where both sides changed one
  ksecret git resolve --both-keys -r deploy/       every key of both sides, where both added some
values where a key is at hand, which Git is not to keep:
  git -c diff.ksecret.cachetextconv=false -c diff.ksecret.textconv='ksecret git textconv --show --' diff"""

_KEPT = b"# ksecret: no values are shown, as Git would keep them: add -c diff.ksecret.cachetextconv=false\n"

ACTIONS = {
    "setup": "tell Git of sealed files: diffs that can be read, merges key by key, a check of each merge",
    "unsetup": "take back what setup did",
    "resolve": "settle what a merge left to you",
    "textconv": "print a file as Git's diff shows it; Git itself calls it",
    "merge": "merge three versions of a file; Git itself calls it",
}

_WORDS = {
    "setup": ("PATTERN", "of the files that it is about, as in .gitattributes"),
    "resolve": ("FILE", "merged files"),
    "textconv": ("FILE", "the file"),
    "merge": ("WORD", "%%O %%A %%B %%P of a merge driver"),
    "": ("WORD", "setup: patterns; resolve: files; textconv: a file; merge: %%O %%A %%B %%P"),
}
"""By action: the name of its words in help, and what they are."""


def add_arguments(parser: Parser, action: str = "") -> None:
    """The options of that action; of all of them for none."""
    parser.set_defaults(action=action, words=[], everywhere=False, show=False)
    parser.set_defaults(ours=False, theirs=False, both_keys=False, recursive=False, yes=False)
    if not action:
        parser.add_argument("action", choices=ACTIONS, help="what to do")
    if action in _WORDS:
        metavar, about = _WORDS[action]
        parser.add_argument("words", nargs="*", metavar=metavar, help=about)
    if action in ("", "setup", "unsetup"):
        parser.add_argument(
            "--global", dest="everywhere", action="store_true", help="in your configuration of all clones"
        )
    if action in ("", "textconv"):
        parser.add_argument("--show", action="store_true", help="textconv: values where a key is at hand")
    if action in ("", "resolve"):
        for names, about in (
            (("--ours",), "take our values, and our list of keys"),
            (("--theirs",), "take theirs"),
            (("--both-keys",), "take the keys of both lists; needs a key"),
            (("-r", "--recursive"), "take folders"),
            (("-y", "--yes"), "vouch for values in kubesec's format"),
        ):
            parser.add_argument(*names, action="store_true", help=f"resolve: {about}")


def run(args: Arguments) -> int:
    """Does it; the exit code."""
    of_resolve = args.ours or args.theirs or args.both_keys or args.recursive or args.yes
    if (
        (args.show and args.action != "textconv")
        or (args.everywhere and args.action not in ("setup", "unsetup"))
        or (of_resolve and args.action != "resolve")
    ):
        raise UsageError(f"git {args.action} does not take that option", hint="ksecret git --help tells more")
    if args.action == "resolve":
        from secretsvc.cli.options import Targets
        from secretsvc.cli.verbs.git_resolve import resolve, resolving

        asked = resolving(ours=args.ours, theirs=args.theirs, both_keys=args.both_keys, yes=args.yes)
        targets = Targets(tuple(args.words), args.recursive, in_place=True, debug=args.debug)
        return resolve(targets, asked, _backends())
    actions: dict[str, Callable[[], int]] = {
        "setup": lambda: _setup(args.words, everywhere=args.everywhere),
        "unsetup": lambda: _unsetup(args.words, everywhere=args.everywhere),
        "textconv": lambda: _textconv(args.words, show=args.show),
        "merge": lambda: _merge(args.words),
    }
    return actions[args.action]()


def _setup(patterns: list[str], *, everywhere: bool) -> int:
    from shutil import which

    from secretsvc.git.config import setup

    report = setup(patterns, everywhere=everywhere)
    if not which("ksecret"):
        report.warnings.append("ksecret is not on PATH: Git would not find it, and diff and merge as it does without")
    return _tell(report)


def _unsetup(words: list[str], *, everywhere: bool) -> int:
    from secretsvc.git.config import unsetup

    if words:
        raise UsageError("git unsetup takes no patterns: it removes all that setup added")
    return _tell(unsetup(everywhere=everywhere))


def _tell(report: Report) -> int:
    from secretsvc.cli.report import printable

    for line in report.done:
        print(printable(line))
    for line in report.warnings:
        print(printable(f"ksecret: warning: {line}"), file=sys.stderr)
    return 0


def _textconv(words: list[str], *, show: bool) -> int:
    """Prints the file for `git diff`. Whatever happens it is 0: a failing textconv ends `git log -p`."""
    if len(words) != 1:
        raise UsageError("git textconv takes one file")
    try:
        with open(words[0], "rb") as stream:  # for which `workspace` would be too much to import
            text = _shown(stream.read(), show=show)
    except OSError as error:
        text = f"# ksecret: can't be read: {error.strerror}\n".encode()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
    return 0


def _shown(data: bytes, *, show: bool) -> bytes:
    from secretsvc.operations.textconv import structure, with_values

    note = b""
    if show:
        try:
            if _is_kept():
                return _KEPT + structure(data)
            return with_values(data, _backends, _people().name)
        except Exception as error:  # whatever it is, the rest of the log matters more
            note = f"# ksecret: values can't be shown ({type(error).__name__})\n".encode()
    try:
        return note + structure(data)
    except Exception:
        return note + data


def _people() -> People:
    """The names that the policy at the top has for keys: Git calls textconv there, and tells it no path."""
    from secretsvc.policy.people import NOBODY
    from secretsvc.policy.policies import NAME, Policies

    try:
        policy = Policies().find(NAME)
    except KsecretError:
        return NOBODY
    return policy.content.people if policy else NOBODY


def _is_kept() -> bool:
    from secretsvc.git.config import keeps_shown_values

    return keeps_shown_values()


def _backends() -> Backends:
    """Git passes no options, so it is the environment that says what backends want to know."""
    from secretsvc.cli import options

    return options.backends(options.Unlocking())


def _merge(words: list[str]) -> int:
    """Merges into the file of `%A` (gitattributes(5)): 0, or 1 where something is left to a person."""
    from secretsvc.cli.report import printable
    from secretsvc.files import workspace

    if len(words) != 4:
        raise UsageError("git merge takes four words: %O %A %B %P", hint="git calls it, after ksecret git setup")
    base, ours, theirs, name = words
    texts = [workspace.content(path) for path in (base, ours, theirs)]
    outcome = _merged(texts, name)
    workspace.create(ours, outcome.data, private=False)
    for line in outcome.conflicts:
        print(printable(f"ksecret: {name}: CONFLICT: {line}"), file=sys.stderr)
    if outcome.conflicts:
        from shlex import quote

        shown = f"git show {quote(f':2:{name}')} | ksecret decrypt -"
        print(printable(f"  {shown} opens ours; :3: opens theirs"), file=sys.stderr)
    return 1 if outcome.conflicts else 0


def _merged(texts: list[bytes], name: str) -> Outcome:
    from secretsvc.programs.git import merge_hunks, merge_lines

    if not any(b"sops" in text for text in texts):
        from secretsvc.operations.merge import merge_manifests

        return merge_manifests(texts[0], texts[1], texts[2], name, merge_lines)
    from secretsvc.cli.sealing import Requests, SealingOptions
    from secretsvc.operations.documents.merge import Tools, merge_files
    from secretsvc.operations.request import stated

    requests = Requests(SealingOptions(), _backends())
    tools = Tools(merge_lines, merge_hunks, lambda: requests.keyring(name, data=texts[1]), stated())
    return merge_files(texts[0], texts[1], texts[2], name, tools)
