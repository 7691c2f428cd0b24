"""Every exception that users can meet.

KsecretError                      exit
├── UsageError                       2   the call's words are off
│   └── KeyRefError                  2   a text is not the name of a key
├── InputError                       3   the input can't be worked on
│   ├── ManifestError                3   malformed, or refused with a way out
│   │   ├── BoundError               3   more nodes or merge keys than is worked on
│   │   └── RepeatedError            3   a value stands in the clear elsewhere in it
│   ├── NotSealedError               3   there is nothing to open
│   ├── AlreadySealedError           3   there is nothing left to seal
│   └── NothingToSealError           3   no Secret with values in it
├── NoKeyError                       4   none of the keyset's keys could be used here
│   └── KeyNotHeldError              4   this machine does not hold that one key
├── AlteredError                     5   altered, or moved from what it was sealed for
├── BackendError                     6   a key's home failed (denied, throttled, broken)
│   └── BackendUnavailableError      6   it can't be reached, or is not installed
└── FileError                        7   reading or writing a file failed

Each names the file, line, entry and KeyRef where they are known, says what is wrong and, as the
hint, what to do about it. None ever holds a secret value or a line of input that did not parse.
The HTTP status of each stands in api/problems.py.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NAMES, _LONGEST_NAME = 200, 64
"""Limits for names that a word is compared with: the time for each pair grows with the square of their length."""


class KsecretError(Exception):
    """The root. `message` is one line, `reasons` are several that follow it; `hint` says what to do, or is empty."""

    exit_code = 7
    ends_run = False
    """Whether it would be said of every file, so that a run over many ends with it."""

    def __init__(
        self,
        message: str,
        *,
        reasons: tuple[str, ...] = (),
        hint: str = "",
        file: str = "",
        line: int = 0,
        entry: str = "",
        key_ref: str = "",
        pointer: str = "",
    ) -> None:
        self.message = message
        self.reasons = reasons
        super().__init__(self.told)
        self.hint = hint
        self.file = file
        self.line = line
        self.entry = entry
        self.key_ref = key_ref
        self.pointer = pointer

    @property
    def told(self) -> str:
        """Message and reasons in one line."""
        return f"{self.message}: {'; '.join(self.reasons)}" if self.reasons else self.message

    @property
    def where(self) -> str:
        """`FILE`, `FILE:LINE`, `line LINE`, or nothing: as much of the place as is known, without a `./`."""
        file = self.file.removeprefix("./")
        if file and self.line:
            return f"{file}:{self.line}"
        return file or (f"line {self.line}" if self.line else "")


class UsageError(KsecretError):
    """The call's words are off."""

    exit_code = 2
    ends_run = True


class KeyRefError(UsageError):
    """A text is not the name of a key, or not of one that can be used: in a file, or for it by its policy."""

    ends_run = False


class InputError(KsecretError):
    """The input can't be worked on."""

    exit_code = 3


class ManifestError(InputError):
    """Malformed YAML or JSON, or something that can't be kept byte for byte; `line` says where."""


class BoundError(ManifestError):
    """More nodes, or more that merge keys bring in, than is worked on (docs/limits.md)."""


class RepeatedError(ManifestError):
    """A value would stand in the clear beside its token: in a comment, an annotation, another object."""


class NotSealedError(InputError):
    """No Secret in the input is sealed."""


class AlreadySealedError(InputError):
    """Every Secret in the input is sealed already, and no change was asked for."""


class NothingToSealError(InputError):
    """The input holds nothing that is to be sealed: no Secret with values, or none that the rule means."""


class NoKeyError(KsecretError):
    """None of the keyset's keys could be used here; the message lists each with its reason."""

    exit_code = 4


class KeyNotHeldError(NoKeyError):
    """This machine does not hold that key: not a failure of the backend, so the next key is tried."""


class AlteredError(KsecretError):
    """The envelope or a token was altered, or the Secret is not the one it was sealed for."""

    exit_code = 5


class BackendError(KsecretError):
    """A backend failed: permission, throttling, an unusable key, a broken answer."""

    exit_code = 6


class BackendUnavailableError(BackendError):
    """A backend can't be reached, or its library or program is not installed."""


class FileError(KsecretError):
    """Reading or writing a file failed; what stood there before still stands."""


RESTORE_HINT = "restore the file from Git"
"""What to do about a file that was altered."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Guess what was meant, for the end of a message; the word itself is not repeated, for it may be a secret."""
    from difflib import get_close_matches
    from itertools import islice

    short = (name for name in islice(known, _MOST_NAMES) if len(name) <= _LONGEST_NAME)
    found = get_close_matches(word, short, n=1, cutoff=0.7) if len(word) <= _LONGEST_NAME else []
    return f": did you mean {found[0]}?" if found else ""


def install_hint(extra: str) -> str:
    """Say what to do where the libraries of an extra (`aws`, `gcp`, `server`) are not installed."""
    return f"pip install 'secretsvc[{extra}]', or from a clone pip install '.[{extra}]'"


def printable(text: str) -> str:
    """One line that a terminal only shows: names in manifests and of files may hold control sequences."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)
