"""Env files, byte for byte as kubectl reads them (design KUBECTL, section 3.4)."""

from __future__ import annotations

from secretsvc.generators.entries import NewEntry, complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsvc.generators.entries import Warn

MAX_LINE_BYTES = 65_535

_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Go's unicode.IsSpace. Python's own has U+001C to U+001F too, which kubectl keeps."""


def env_items(data: bytes, environ: Mapping[bytes, bytes], flag: str, file: str, warn: Warn) -> Iterator[NewEntry]:
    """The entries of an env file's bytes, in its order. `environ` gives the value of a line without `=`.

    Raises InputError with the line's number and never its content: for text that is not UTF-8, for a key that is not
    valid, and for a line over 65,535 bytes, at which kubectl stops and drops the rest without a word.
    """
    lines = data.split(b"\n")
    for number, raw in enumerate(lines[:-1] if not lines[-1] else lines, 1):
        here = NewEntry("", b"", flag, file, number)
        if len(raw) > MAX_LINE_BYTES:
            hint = "kubectl would drop it and all that follows without a word; use --from-file"
            raise here.error(f"a line over {MAX_LINE_BYTES} bytes", hint)
        try:
            line = raw.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            hint = "save it as UTF-8, or use --from-file"
            raise here.error("it contains invalid UTF-8 bytes", hint) from None
        if number == 1:
            line = line.removeprefix("\ufeff")
        line = line.lstrip(_SPACE)
        if not line or line.startswith("#"):
            continue
        yield _item(here, line, environ, warn)


def _item(here: NewEntry, line: str, environ: Mapping[bytes, bytes], warn: Warn) -> NewEntry:
    key, equals, text = line.partition("=")
    found = complaints(key, env=True)
    if found:
        raise here.error(f"what stands before '=' is not a valid key name: {'; '.join(found)}", "a line is KEY=VALUE")
    if not equals:
        value = environ.get(key.encode())
        state = "taken from the environment" if value is not None else "empty, as the environment has none"
        warn(f"{here.file}:{here.line}: a key without '=': its value is {state}")
        return here._replace(key=key, value=value or b"")
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        warn(f"{here.file}:{here.line}: the quotes around the value are part of it, as for kubectl")
    return here._replace(key=key, value=text.encode())
