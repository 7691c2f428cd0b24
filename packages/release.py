"""Makes, of what is built, what package managers take: an archive, a Debian package, manifests of krew and Homebrew.

    python -m packages.release FOLDER SITE       # with SOURCE_DATE_EPOCH; FOLDER has the sdist and the single file

One version, that of the package, and one address, that of its metadata; checksums are of the files that lie there.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from email.utils import formatdate
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from packages import ROOT, home, names, programs
from secretsvc import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""A kernel's word → Debian's and Go's."""
_LIBRARY = "usr/lib/ksecret"


def values() -> dict[str, str]:
    """Return what every template may name."""
    machine = os.uname().machine
    return {
        "version": __version__,
        "home": home(),
        "python": "{}.{}".format(*sys.version_info[:2]),
        "os": sys.platform,
        "arch": ARCHITECTURES.get(machine, machine),
    }


def filled(template: str, given: Mapping[str, str]) -> str:
    """Return a template's text. Raises KeyError for a name that nobody gave."""
    return Template((ROOT / "packages" / "templates" / template).read_text()).substitute(given)


def archive(folder: Path, shared: Path) -> Path:
    """Write the single file with its licence, pages and completions as a tar.gz; its path."""
    target = folder / f"{names.single_file()}.tar.gz"
    held = {"ksecret": (folder / f"{names.single_file()}.pyz").read_bytes(), "LICENSE": (ROOT / "LICENSE").read_bytes()}
    held |= {f"share/{path.relative_to(shared)}": path.read_bytes() for path in shared.rglob("*") if path.is_file()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in sorted(held.items()):
            about = tarfile.TarInfo(name)
            about.size, about.mtime, about.mode = len(data), _timestamp(), 0o755 if name == "ksecret" else 0o644
            tar.addfile(about, io.BytesIO(data))
    target.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return target


def debian(folder: Path, site: Path, shared: Path) -> Path | None:
    """Write a Debian package of the same, unpacked, where there is a dpkg-deb; its path."""
    if not shutil.which("dpkg-deb"):
        return None
    target = folder / f"{names.single_file()}.deb"
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        shutil.copytree(site, root / _LIBRARY)
        shutil.copytree(shared, root / "usr" / "share")
        for page in (root / "usr" / "share" / "man").glob("*/*"):
            _compressed(page)
        for name, program in programs().items():
            module, _, function = program.partition(":")
            text = filled("program", values() | {"module": module, "function": function})
            _write(root / "usr" / "bin" / name, text, 0o755)
        about = root / "usr" / "share" / "doc" / "ksecret"
        dated = values() | {"date": formatdate(_timestamp()), "year": formatdate(_timestamp())[12:16]}
        _write(about / "copyright", filled("deb-copyright", dated))
        _write(about / "changelog", (ROOT / "CHANGELOG.md").read_text())
        _write(about / "changelog.Debian", filled("deb-changelog", dated))
        for text in about.glob("changelog*"):
            _compressed(text)
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) // 1024
        _write(root / "DEBIAN" / "control", filled("deb-control", values() | {"size": str(size)}))
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        build = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--threads-max=1", "--build", root, target]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return target


def manifests(folder: Path, packed: Path) -> None:
    """Write krew's and Homebrew's, with the checksums of what they install."""
    sdist = folder / f"secretsvc-{__version__}.tar.gz"
    given = values() | {"archive": packed.name, "archive_sha256": _sha256(packed)}
    given |= {"sdist": sdist.name, "sdist_sha256": _sha256(sdist)}
    (folder / "krew.yaml").write_text(filled("krew.yaml", given))
    (folder / "homebrew.rb").write_text(filled("homebrew.rb", given))


def name_version(bill: Path) -> None:
    """Put the version into a CycloneDX document, whose maker reads no version that pyproject.toml only points to."""
    document = json.loads(bill.read_text())
    ours = document["metadata"]["component"]
    ours |= {"version": __version__, "purl": f"pkg:pypi/{ours['name']}@{__version__}"}
    bill.write_text(json.dumps(document, indent=2) + "\n")


def _timestamp() -> int:
    return int(os.environ["SOURCE_DATE_EPOCH"])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _compressed(path: Path) -> None:
    """As Debian's policy wants documents: gzip's best, without a name or a time."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    path.unlink()


def main(folder: Path, site: Path) -> None:
    """All of it, for this Python; site: an environment's site-packages, compiled as the single file has it."""
    shared = site.parents[2] / "share"
    name_version(folder / f"{names.single_file()}.cdx.json")
    debian(folder, site, shared)
    manifests(folder, archive(folder, shared))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
