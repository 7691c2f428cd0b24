"""Errors and summaries as people read them, on standard error."""

from __future__ import annotations

import io
import sys

from secretsvc.errors import printable as printable  # noqa: PLC0414 - what is told to people is found here
from secretsvc.keyref import MAX_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    from secretsvc.errors import KsecretError

    R = TypeVar("R")

MANY = 50
"""Files from which on a person may wonder how far it is."""


def report(error: KsecretError, *, debug: bool = False) -> None:
    """`ksecret: FILE[:LINE]: [KEYREF:] what is wrong`, a line for each reason, then what to do on one of its own."""
    where = f"{error.where}: " if error.where else ""
    print(brief(f"ksecret: {where}{_keyed(error, error.message)}"), file=sys.stderr)
    for reason in error.reasons:
        print(brief(f"    {reason}"), file=sys.stderr)
    if error.hint:
        print(brief(f"  {error.hint}"), file=sys.stderr)
    if debug:
        _traceback(error)


class Kept(io.StringIO):
    """A worker's standard error: it keeps what is to be told until the parent gets it."""

    def __init__(self) -> None:
        super().__init__()
        self._once: list[tuple[str, str]] = []

    def tell_once(self, about: str, line: str) -> None:
        """Keep a line about something of which a run tells once."""
        self._once.append((about, line))

    def take(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return what was kept, and lines by what they are about; from now on nothing is."""
        text, once, self._once = self.getvalue(), tuple(self._once), []
        self.seek(0)
        self.truncate()
        return text, once


def warn(text: str, *, once: str = "") -> None:
    """`ksecret: warning: …`. `once`: what it is about, where that is told once a run; the caller remembers it too."""
    line = brief(f"ksecret: warning: {text}")
    if once and isinstance(sys.stderr, Kept):
        sys.stderr.tell_once(once, line)
    else:
        print(line, file=sys.stderr)


def warn_of_walk(why: str) -> None:
    """Warn that a walk by `.gitignore` files may miss some."""
    warn(f"{why}; files that it tracks though .gitignore names them are passed over")


def said(error: KsecretError) -> str:
    """`[KEYREF:] what is wrong`, its reasons included."""
    return _keyed(error, error.told)


def _keyed(error: KsecretError, text: str) -> str:
    return f"{error.key_ref}: {text}" if error.key_ref and error.key_ref not in text else text


def brief(text: str) -> str:
    """Return a line for people, in which a key's name of 2,000 characters is cut: it would hide what is said of it."""
    if len(text) > MAX_LENGTH:
        from re import sub

        text = sub(r"\b(age1(?:pq|tagpq)1[a-z0-9]{12})[a-z0-9]{1900,}", r"\1…", text)
    return printable(text)


def _traceback(error: BaseException) -> None:
    """Print where it happened, without the messages of causes: those may quote the input."""
    from traceback import format_tb

    cause: BaseException | None = error
    while cause is not None:
        print(f"  {type(cause).__name__} raised", file=sys.stderr)
        print("".join(format_tb(cause.__traceback__)), end="", file=sys.stderr)
        cause = cause.__cause__


def progress(results: Iterator[R], total: int) -> Iterator[R]:
    """The results, with a bar on standard error where that is a terminal and there are many."""
    if total < MANY or not sys.stderr.isatty():
        yield from results
        return
    from tqdm import tqdm  # a start without a terminal does not pay for it

    tqdm.monitor_interval = 0  # its thread would be there when workers are forked

    with tqdm(total=total, unit="file", leave=False, file=sys.stderr) as bar:
        for result in results:
            bar.clear()
            yield result
            bar.update()


def tell_unbound(count: int) -> None:
    """One line on how many files were opened whose format does not bind them to their identity, if any were."""
    if count:
        from secretsvc import formats

        print(
            f"ksecret: {counted(count, 'file')} opened in {formats.unbinding()}, which binds no Secret to its name and "
            "namespace: ksecret convert --to ksecret does",
            file=sys.stderr,
        )


def tell_withheld(*, may_keep_going: bool) -> None:
    """One line on files that were done and not put out, because others failed."""
    way = ": --keep-going puts out the others" if may_keep_going else ""
    print(f"ksecret: nothing is put out where a file fails{way}", file=sys.stderr)


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun if number == 1 else noun + 's'}"


def summary(counts: dict[str, int]) -> None:
    """`ksecret: 3 sealed, 1 unchanged, 0 failed`; files that were skipped are told of only where there are any."""
    nouns = {"findings": "finding", "notices": "notice"}
    told = (
        counted(count, nouns[word]) if word in nouns else f"{count} {word}"
        for word, count in counts.items()
        if count or word != "skipped"
    )
    print("ksecret: " + ", ".join(told), file=sys.stderr)
