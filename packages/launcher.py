"""Starts ksecret from one file, as its `__main__`: unpacks what is in it once, and imports it from there.

Extension modules can't be imported from an archive, so they have to lie in a folder, and whoever can write there
decides what runs. It is `~/.cache/ksecret/SHA-256` (`XDG_CACHE_HOME`) where nobody else can write there, or to a
folder above it; else, and where that is read-only or `noexec`, a new private one in `TMPDIR`, gone when the run ends.
Nothing is imported but what is in the file, and Python's own library: neither `PYTHONPATH` nor site-packages count.
"""

import os
import stat
import sys

from built import DIGEST, PLATFORM, PROGRAMS, PYTHON

_NOT_STARTED = 7
"""Exit code of ksecret where reading or writing fails."""


def main() -> None:
    """Run the program that this file is called as: through a link named ksecret-sops that one, and else ksecret."""
    told = wrong_python()
    try:
        folder = told or cached() or temporary()
    except OSError as error:
        told = f"can't unpack it ({error.strerror}): name a folder of your own that can be written to in XDG_CACHE_HOME"
    if told:
        print(f"ksecret: {told}", file=sys.stderr)
        sys.exit(_NOT_STARTED)
    name = os.path.basename(sys.argv[0]).removesuffix(".pyz")
    module, _, function = PROGRAMS.get(name, PROGRAMS["ksecret"]).partition(":")
    sys.path[:] = [folder, *filter(is_pythons, sys.path)]
    __import__(module)
    getattr(sys.modules[module], function)()


def wrong_python() -> str:
    """Say what this Python is not, if it can't run what is in the file."""
    here = f"{sys.platform} {os.uname().machine}"
    if sys.version_info[:2] == PYTHON and here == PLATFORM:
        return ""
    wanted, found = (".".join(map(str, version)) for version in (PYTHON, sys.version_info[:2]))
    return f"this file is for Python {wanted} on {PLATFORM}, and this is Python {found} on {here}"


def is_pythons(path: str) -> bool:
    """Tell whether a folder to import from is one of Python's own library."""
    version = "{}.{}".format(*PYTHON)
    names = (f"python{version}", "lib-dynload", f"python{version.replace('.', '')}.zip")
    inside = path.startswith((f"{sys.base_prefix}{os.sep}", f"{sys.base_exec_prefix}{os.sep}"))
    return inside and os.path.basename(path) in names


def cached() -> str:
    """Return the folder of the cache, unpacked, or nothing where it can't be trusted or used."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    root = os.path.realpath(os.path.join(home, "ksecret"))
    folder = os.path.join(root, DIGEST)
    try:
        if not os.path.isabs(home):
            return ""
        os.makedirs(root, 0o700, exist_ok=True)
        if not is_ours(root) or is_noexec(root):
            return ""
        if not os.path.isdir(folder):
            unpack_once(root, folder)
    except OSError:  # read-only, full, no folder
        return ""
    return folder


def is_ours(folder: str) -> bool:
    """Tell whether nobody but this user and root can write to it, or put another in its place."""
    me, above = os.geteuid(), os.path.dirname(folder)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != me or found.st_mode & 0o022:
        return False
    while True:
        found = os.lstat(above)
        shared = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (0, me) or shared:
            return False
        if above == os.path.dirname(above):
            return True
        above = os.path.dirname(above)


def is_noexec(folder: str) -> bool:
    """Tell whether no code can be loaded from there."""
    return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))


def unpack_once(root: str, folder: str) -> None:
    """Unpack beside it and rename: another run sees all of it or nothing. Raises OSError."""
    import shutil
    import tempfile

    new = tempfile.mkdtemp(prefix=".new-", dir=root)
    try:
        unpack(new)
        os.rename(new, folder)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        if not os.path.isdir(folder):  # or another run was first
            raise


def temporary() -> str:
    """Unpack into a new folder that is gone when this run ends. Raises OSError."""
    import tempfile

    folder = tempfile.mkdtemp(prefix="ksecret-")
    remove_at_the_end(folder)
    unpack(folder)
    return folder


def remove_at_the_end(folder: str) -> None:
    """Have a process of its own remove it once this one, and those it forks, are gone, however they end.

    It reads from a pipe that nobody writes to. Forks inherit the other end, other programs do not (PEP 446).
    """
    import shutil

    reading, _ = os.pipe()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():  # an orphan, so that this process has no child that it did not start
        os._exit(0)
    try:
        os.setsid()
        for number in os.listdir("/dev/fd"):
            if int(number) != reading:
                os.closerange(
                    int(number), int(number) + 1
                )  # without a word where it is closed, as the listing's own is
        os.read(reading, 1)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)


def unpack(folder: str) -> None:
    """Unpack all that is in this file. Raises OSError, also where the file is not whole."""
    import hashlib
    import io
    import zipfile

    data = __loader__.get_data(os.path.join(__loader__.archive, "site.zip"))  # type: ignore[name-defined]
    if hashlib.sha256(data).hexdigest() != DIGEST:
        raise OSError(5, "the file is damaged")
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        packed.extractall(folder)


if __name__ == "__main__":
    main()
