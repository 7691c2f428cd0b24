"""Makes one executable file of a site-packages folder: `ksecret-VERSION-PYTHON-PLATFORM.pyz`.

    python -m packages.single_file SITE FILE         # with SOURCE_DATE_EPOCH; for this Python, on this platform

shiv's bootstrap would do, but for where it unpacks to: `~/.shiv` with whatever mode and owner that has, a HOME of /tmp
included, and nowhere at all where the home is read-only. `launcher.py` is what stands in its place; the archive is
the standard library's zipapp (PEP 441).
"""

from __future__ import annotations

import compileall
import hashlib
import io
import os
import py_compile
import shutil
import sys
import tempfile
import time
import zipapp
import zipfile
from pathlib import Path

from packages import ROOT, programs

_LEAST = 315532800
"""1980, which is the earliest that a ZIP archive can tell."""
_OF_THE_MACHINE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What an installer writes beside a package's metadata: of the folders and the way of this one installation."""


def make(site: Path, target: Path, timestamp: int) -> None:
    """Write the file; timestamp: seconds since 1970 for all that is in it."""
    _tidy(site)
    _compile(site)
    packed = io.BytesIO()
    _zip(site, packed, timestamp, zipfile.ZIP_DEFLATED)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copyfile(ROOT / "packages" / "launcher.py", folder / "__main__.py")
        (folder / "site.zip").write_bytes(packed.getvalue())
        (folder / "built.py").write_text(_built(packed.getvalue()))
        whole = io.BytesIO()
        _zip(folder, whole, timestamp, zipfile.ZIP_STORED)
    # -I and -S: no PYTHON* variables, no folder of the caller's and no site-packages to import from.
    python = "{}.{}".format(*sys.version_info[:2])
    whole.seek(0)
    zipapp.create_archive(whole, target, interpreter=f"/usr/bin/env -S python{python} -IS")
    target.chmod(0o755)


def _built(packed: bytes) -> str:
    """The launcher's constants."""
    constants = {
        "DIGEST": hashlib.sha256(packed).hexdigest(),
        "PLATFORM": f"{sys.platform} {os.uname().machine}",
        "PROGRAMS": programs(),
        "PYTHON": tuple(sys.version_info[:2]),
    }
    return "".join(f"{name} = {value!r}\n" for name, value in constants.items())


def _tidy(site: Path) -> None:
    for name in _OF_THE_MACHINE:
        for path in site.glob(f"*.dist-info/{name}"):
            path.unlink()
    for path in [*site.glob("**/__pycache__")]:
        shutil.rmtree(path)


def _compile(site: Path) -> None:
    """Compile what is in it, for files that nobody changes: Python is not to compare them with their sources."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(site, quiet=2, stripdir=str(site), invalidation_mode=mode, workers=1)


def _zip(folder: Path, target: io.BytesIO, timestamp: int, compression: int) -> None:
    """Pack a folder's files: their order, times and modes are the same wherever that is done."""
    date = time.gmtime(max(timestamp, _LEAST))[:6]
    with zipfile.ZipFile(target, "w") as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            about = zipfile.ZipInfo(str(path.relative_to(folder)), date)
            about.external_attr = 0o644 << 16
            packed.writestr(about, path.read_bytes(), compression, 9)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), int(os.environ["SOURCE_DATE_EPOCH"]))
