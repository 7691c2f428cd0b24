"""What somebody who leaves could open, as a script for a shell that changes it, and as JSON.

The script is for people to read before they run it. Each line of it is a comment or one command; names from files are
quoted for a shell, and in comments nothing of theirs ends the line.
"""

from __future__ import annotations

import os
import shlex

from secretsvc.backends import canonical, complete
from secretsvc.cli.report import counted, printable, report
from secretsvc.errors import KeyRefError, KsecretError, UsageError, nearest
from secretsvc.operations.access import Unread
from secretsvc.operations.leaving import GONE, SAME, exposed, words_for
from secretsvc.operations.who_opens import ALONE, CLEAR
from secretsvc.policy.people import is_name
from secretsvc.programs import git
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.cli.reports.history import FormerVersions
    from secretsvc.operations.access import Access
    from secretsvc.operations.leaving import Exposed


class Leaver(Record):
    """Somebody who leaves, and what they could open."""

    name: str
    keys: dict[str, tuple[str, ...]]
    """KeyRef → the policies that give it that name; none where the key itself was named."""
    secrets: list[Exposed]
    access: Access
    versions: FormerVersions | None
    """None where history was not looked through."""
    paths: tuple[str, ...]


def leaver(name: str, access: Access, paths: tuple[str, ...], *, since_git: bool) -> Leaver:
    """Find what a name of a policy, or a KeyRef, could open.

    Raises KeyRefError for a name that nobody has, UsageError and FileError where history can't be looked through.
    """
    keys = _keys(name, access)
    versions: FormerVersions | None = None
    if since_git:
        from secretsvc.cli.reports import history

        def keys_of(policies: Iterable[tuple[str, bytes]]) -> dict[str, tuple[str, ...]]:
            for path, data in policies:
                for ref in history.people_in(data).get(name, ()):
                    sources = keys.get(ref, ())
                    keys[ref] = sources if path in sources else (*sources, path)
            return keys

        top = git.top_above(os.path.realpath(os.curdir)) or os.path.realpath(os.curdir)
        versions = history.versions(top, _in_repository(paths, top), keys_of)
        versions.unread.extend(_other_repositories(access, top))
    if not keys:
        known = [holder.name for holder in access.holders]
        hint = "" if since_git else "a KeyRef is taken as well; --since-git looks for names in former policies"
        raise KeyRefError(f"--leaver: no policy here has that name{nearest(name, known)}", hint=hint)
    return Leaver(
        name, keys, exposed(access.secrets, versions.former if versions else (), keys), access, versions, paths
    )


def _in_repository(paths: Iterable[str], top: str) -> list[str]:
    """Return the paths behind links, relative to the current folder. Raises UsageError for one of elsewhere."""
    real = [os.path.realpath(path) for path in paths]
    for path, place in zip(paths, real, strict=True):
        if not os.path.join(place, "").startswith(os.path.join(top, "")):
            what = "--since-git looks through the repository of the current folder, and this is not in it"
            raise UsageError(what, hint="run it there", file=path)
    return [os.path.relpath(place) for place in real]


def _other_repositories(access: Access, top: str) -> list[Unread]:
    """Tell of submodules and other repositories with Secrets in them, which have a history of their own."""
    folders = {os.path.dirname(one.file) for one in access.secrets}
    others = {git.top_above(os.path.realpath(folder or os.curdir)) for folder in folders} - {top}
    why = "a repository of its own, whose history was not looked through: run it there"
    return [Unread(os.path.relpath(other), 0, why) for other in sorted(others)]


def _keys(name: str, access: Access) -> dict[str, tuple[str, ...]]:
    if is_name(name):
        holder = access.named.get(name)
        return dict.fromkeys(holder.keys, holder.sources) if holder else {}
    try:
        return {str(canonical(complete(name))): ()}
    except KeyRefError:
        if name in {ref for one in access.secrets for ref in one.keys}:  # of a kind that has no backend here
            return {name: ()}
        raise


def as_script(one: Leaver) -> str:
    """The script."""
    now = [secret for secret in one.secrets if secret.now]
    former = len(one.secrets) - len(now)
    lines = [
        f"What {one.name} could open: {counted(len(now), 'Secret')} in the files as they stand now"
        + (f", and {former} more in Git's history." if one.versions else ". Git's history: --since-git."),
        *(f"  {ref}{_of(sources)}" for ref, sources in one.keys.items()),
        "",
        "1. Take the name out of the policies, and the keys out of the files:",
        *(f"     ksecret keys sync -r -- {_quoted(path)}" for path in one.paths),
        "   Files that no rule is for: ksecret keys remove -k KEYREF FILE",
        "2. Change what could be read, with the commands below, and wherever it is used: `set` changes the file only.",
        "   Read them first, delete what does not apply, and run them in this folder: bash FILE.",
        "   Do not paste them into zsh, which takes comments for commands there.",
    ]
    script = [_comment(line) for line in lines]
    environment = None
    for secret in one.secrets:
        if secret.environment != environment:
            environment = secret.environment
            script += ["", _comment(f"---- {environment}")]
        script += (line for line in _of_secret(secret) if line.startswith("#") or line not in script)
    script += ["", *map(_comment, _rest(one))]
    return "\n".join(script).rstrip("\n")


def _comment(text: str) -> str:
    return f"# {printable(text)}".rstrip()


def _of(sources: tuple[str, ...]) -> str:
    return f"  ({', '.join(sources)})" if sources else ""


def _of_secret(one: Exposed) -> Iterator[str]:
    facts = one.facts
    words, by_hand = words_for(one)
    yield _comment(f"{facts.file}: {facts.label}{_told(one)}")
    gone = [name for name, state in one.values.items() if state == GONE]
    command = _command(one, words)
    if command and one.how == ALONE:
        yield command
    elif command:
        yield _comment(f"  if another group's key was theirs too: {command}" if command.isprintable() else "")
    if by_hand:
        ways: dict[str, list[str]] = {}
        for name, why in by_hand.items():
            ways.setdefault(why, []).append(name)
        for why, names in ways.items():
            yield _comment(f"  by hand: {', '.join(names)} ({why})")
    if gone:
        yield _comment(f"  no longer in that file, perhaps still in use: {', '.join(gone)}")


def _told(one: Exposed) -> str:
    parts = []
    if one.how != ALONE:
        parts.append(
            f"not by these keys alone: they open too few of its groups of keys, {one.facts.needed} are needed together"
        )
    if one.commits and not one.now:
        first, last = (commit[:12] for commit in one.commits)
        parts.append(f"in history only, commits {first} to {last}" if first != last else f"in commit {first} only")
        if one.there and one.there.file != one.facts.file:
            parts.append(f"perhaps it is {one.there.file} now")
        others = [name for name, state in one.values.items() if state not in (SAME, GONE)]
        if others:
            parts.append("sealed anew since, perhaps with the same values")
    return f"  ({'; '.join(parts)})" if parts else ""


def _command(one: Exposed, words: list[str]) -> str:
    """The line that changes what may be any text; empty where nothing may."""
    facts = one.there
    if not words or not facts:
        return ""
    secret = [] if facts.format == "sops" else _option("--secret", facts.label)
    options = [word for text in words for word in _option("--random", text)]
    file = f"./{facts.file}" if facts.file == "-" else facts.file
    if "\0" in "".join([*secret, *options]):  # no program takes such a word: a shell would end it there
        return ""
    return " ".join(["ksecret set", *map(_quoted, [*secret, *options]), "--", _quoted(file)])


def _option(name: str, text: str) -> list[str]:
    """Return an option with its value, which is no option of its own."""
    return [f"{name}={text}"] if text.startswith("-") else [name, text]


def _quoted(text: str) -> str:
    """Quote a word for a shell. What a terminal would act upon is spelled (POSIX.1-2024, 2.2.4: dollar and quotes).

    No quote stands in between, not even behind a backslash: it would be the end for a shell that does not know these.
    """
    if text.isprintable():
        return shlex.quote(text)
    spelled = "".join(
        character if character.isprintable() and character not in "\\'" else _octal(character) for character in text
    )
    return f"$'{spelled}'"


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def _rest(one: Leaver) -> Iterator[str]:
    """What else is to be known."""
    clear = sum(secret.state == CLEAR for secret in one.access.secrets)
    if clear:
        who = "whoever may read the repository could read that"
        yield f"Besides, {counted(clear, 'Secret')} in the clear: {who} (ksecret check)."
    for unread in (*one.access.unread, *(one.versions.unread if one.versions else ())):
        where = f"{unread.file}:{unread.line}" if unread.line else unread.file
        yield f"NOT LOOKED AT, so see for yourself: {where}: {unread.message}"


def as_json(one: Leaver) -> str:
    """One JSON object: `name`, `keys`, `secrets`, `commits`, `unread`."""
    import json

    told = {
        "version": 1,
        "name": one.name,
        "keys": {ref: list(sources) for ref, sources in one.keys.items()},
        "secrets": [_secret(secret) for secret in one.secrets],
        "commits": one.versions.commits if one.versions else None,
        "unread": [unread._asdict() for unread in (*one.access.unread, *(one.versions.unread if one.versions else ()))],
    }
    return json.dumps(told, indent=1)


def _secret(one: Exposed) -> dict[str, object]:
    words, by_hand = words_for(one)
    facts = one.facts
    return {
        **{"file": facts.file, "label": facts.label, "type": facts.type, "format": facts.format},
        **{"environment": one.environment, "how": one.how, "now": one.now, "commits": one.commits},
        "standsIn": one.there.file if one.there else None,
        **{"values": one.values, "random": words, "byHand": by_hand},
    }


def tell_unread(versions: FormerVersions | None) -> int:
    """Tell of versions that can't be read; an exit code."""
    unread = versions.unread if versions else []
    for one in unread:
        report(KsecretError(one.message, file=one.file, line=one.line))
    return 3 if unread else 0


def refuse(*, since_git: bool, name: str, html: str) -> None:
    """Raises UsageError for options that do not go together."""
    if since_git and not name:
        raise UsageError("--since-git goes with --leaver", hint="ksecret report --leaver NAME --since-git")
    if name and html:
        raise UsageError("--leaver is a script, or --json: it has no page")
