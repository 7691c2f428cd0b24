"""A search for files that SOPS sealed among those whose names are no manifest's: by their bytes, before any is parsed.

To SOPS any name but five kinds is that of a file of any bytes, which it seals as JSON; but `--input-type` makes
`.env.prod` a dotenv file all the same, and a page of documentation, or a test's source, may quote a sealed file. So
where no name tells, a file is taken that could be nothing else: JSON with a MAC, or one that its metadata end. Of a
large file both ends are looked at: metadata come last, and a sealed file of any bytes begins with its token.
"""

from __future__ import annotations

import os
import stat

from secretsvc.document import kinds
from secretsvc.patterns import pattern
from secretsvc.tokens import SOPS_MARK

_WHOLE = 1 << 20
"""Bytes up to which a file is read whole."""
_HEAD, _TAIL = 4 * 1024, 256 * 1024
"""Bytes of a larger one that are read. Metadata take 1 to 5 KiB a key."""
_LEAST = 200
"""Bytes of the smallest file: a MAC alone takes 250."""

_NAMED = {"dotenv": pattern(rb"(?m)^sops_"), "ini": pattern(rb"(?m)^[ \t]*\[sops\]")}
"""Kinds that a name tells, and what only a sealed file has, whole or broken."""
_IN_JSON = pattern(rb'"(?:mac|data)"[ \t\r\n]*:[ \t\r\n]*"ENC\[AES256_GCM,')


def is_sealed_file(path: str) -> bool:
    """Tell whether SOPS seems to have sealed the file at a path. One that can't be read, and what is none, is not."""
    try:
        stream = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        status = os.fstat(stream)
        if not stat.S_ISREG(status.st_mode) or status.st_size < _LEAST:
            return False
        if status.st_size <= _WHOLE:
            return may_be_sealed(os.read(stream, _WHOLE), path)
        head, tail = os.pread(stream, _HEAD, 0), os.pread(stream, _TAIL, status.st_size - _TAIL)
        return may_be_sealed(b"%b\n%b" % (head, tail), path)
    except OSError:
        return False
    finally:
        os.close(stream)


def may_be_sealed(data: bytes, name: str) -> bool:
    """Tell it of a file's bytes, or of both ends of them."""
    if SOPS_MARK not in data or b"sops" not in data:
        return False
    kind = kinds.kind_of(name)
    if kind in _NAMED:
        return _NAMED[kind].search(data) is not None
    if data.lstrip()[:1] == b"{":
        return _IN_JSON.search(data) is not None and b'"sops"' in data
    return _ends_with_metadata(data.rstrip().splitlines())


def _ends_with_metadata(lines: list[bytes]) -> bool:
    """Tell whether the last lines are metadata, of dotenv, INI, or YAML."""
    if lines[-1].startswith(b"sops_"):
        return any(line.startswith(b"sops_mac=") for line in lines)
    is_block = is_section = True
    has_mac = False
    for line in reversed(lines):
        bare = line.strip()
        if (is_block and line.startswith(b"sops:")) or (is_section and bare == b"[sops]"):
            return has_mac
        has_mac = has_mac or bare.startswith((b"mac", b'"mac"'))
        is_block = is_block and (not bare or line[:1] in (b" ", b"\t"))
        is_section = is_section and (not bare or b"=" in bare or b":" in bare)
        if not (is_block or is_section):
            return False
    return False
