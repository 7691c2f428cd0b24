"""Patterns as SOPS takes them, in Go's regular expressions: https://github.com/google/re2/wiki/Syntax.

RE2 itself reads and matches them, in a time that grows with the text's length alone: whoever writes a `.sops.yaml` or
a sealed file chooses the pattern, and one can keep Python's `re` busy for ever. That also means otherwise by `$`.
"""

from __future__ import annotations

from secretsvc.errors import InputError

MOST_CHARACTERS = 1000
"""Of a pattern."""

_QUOTED_OR_ESCAPED = r"\\Q.*?(?:\\E|\Z)|\\."
_NAME_OF_GROUP = r"\(\?P?<(\w+)>"


class GoRegexp:
    """One pattern, ready to be looked for."""

    def __init__(self, pattern: str) -> None:
        """Raises InputError for what Go would not take; the pattern itself is not repeated."""
        import re

        import re2  # a quarter of a megabyte: only where a pattern is matched

        self.pattern = pattern
        if len(pattern) > MOST_CHARACTERS:
            raise _refused(f"it is longer than {MOST_CHARACTERS} characters")
        escapes = re.findall(_QUOTED_OR_ESCAPED, pattern, re.DOTALL)
        if r"\C" in escapes:  # RE2 has it, Go has not
            raise _refused("invalid escape sequence")
        names = re.findall(_NAME_OF_GROUP, re.sub(_QUOTED_OR_ESCAPED, "", pattern, flags=re.DOTALL))
        if len(set(names)) < len(names):
            raise _refused("two groups of one name")
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(pattern.encode(), options)
        except UnicodeEncodeError:
            raise _refused("it is not UTF-8") from None
        except re2.error as error:
            reason = str(error.args[0], "utf-8", "replace").partition(":")[0] if error.args else "RE2 refuses it"
            raise _refused(reason) from None

    def finds(self, text: bytes) -> bool:
        """Tell whether it fits anywhere in a text. What is no UTF-8 counts as U+FFFD, byte by byte, as for Go."""
        whole = text.decode("utf-8", "surrogateescape")
        if not whole.isascii():
            import re

            whole = re.sub("[\ud800-\udfff]", "\ufffd", whole)
        return self._compiled.search(whole.encode()) is not None


def _refused(why: str) -> InputError:
    hint = "Go's syntax counts, as for SOPS: https://github.com/google/re2/wiki/Syntax"
    return InputError(f"that is no regular expression that SOPS would take: {why}", hint=hint)
