"""SOPS's exit codes, and which of them an error of ours ends with.

https://github.com/getsops/sops/blob/main/cmd/sops/codes/codes.go.
"""

from __future__ import annotations

from secretsvc import errors

GENERIC = 1
UNREADABLE = 2
UNWRITABLE = 3
NOT_DUMPED = 4
CONTEXT = 6
SET_FORMAT = 7
CONFLICT = 8
VALUE = 25
NO_FILE_FOR_KEYS = 49
MAC = 51
TREE_PATH = 91
NO_DOCUMENT = 92
NO_FILE = 100
ORDER = 112
NO_KEY = 128
UNCHANGED = 200
EDITOR = 201
SEALED_ALREADY = 203

_BY_KIND: tuple[tuple[type[errors.KsecretError], int], ...] = (
    (errors.AlreadySealedError, SEALED_ALREADY),
    (errors.ManifestError, UNREADABLE),
    (errors.NoKeyError, NO_KEY),
    (errors.KsecretError, GENERIC),
)
"""For what no step has said a code of its own for (`exits`); the first kind that fits counts."""


class SopsError(errors.KsecretError):
    """An error of the command line, with the exit code that SOPS has for it."""

    def __init__(self, exit_code: int, message: str, *, hint: str = "", file: str = "") -> None:
        super().__init__(message, hint=hint, file=file)
        self.sops_code = exit_code


class exits:  # noqa: N801  a context manager is called like a function
    """Has what fails within end with that code, where nothing further in has said another."""

    def __init__(self, code: int) -> None:
        self._code = code

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, errors.KsecretError) and not hasattr(error, "sops_code"):
            error.sops_code = self._code  # type: ignore[attr-defined]


def code_of(error: errors.KsecretError) -> int:
    """Return the exit code for an error."""
    own: int | None = getattr(error, "sops_code", None)
    return next(code for kind, code in _BY_KIND if isinstance(error, kind)) if own is None else own
