"""What scripts/release makes: parts of it with a small package; all of it with `KSECRET_TEST_RELEASE=1`, twice, which
takes ten minutes and the network, and then the commands of docs/install.md on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml
from packaging.requirements import Requirement

import secretsvc
from packages import names, programs, release
from tests.e2e.cli import MANIFEST
from tests.e2e.documents import ROOT, command_blocks
from tests.integration.gpg_home import GpgHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOME = "https://git.example.org/tools/ksecret"
NAME = names.single_file()


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what is packed up, and beside it `env`, whose site-packages and share it came from."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    folder = tmp_path / "dist"
    for path, text in {
        f"dist/{NAME}.pyz": "a program",
        f"dist/secretsvc-{secretsvc.__version__}.tar.gz": "sources",
        f"dist/{NAME}.cdx.json": '{"metadata": {"component": {"name": "secretsvc"}}}',
        "env/lib/python3/site-packages/secretsvc/cli/main.py": "def entry_point(): print('started')",
        "env/share/man/man1/ksecret.1": ".TH",
        "env/share/bash-completion/completions/ksecret": "complete",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    release.main(folder, tmp_path / "env" / "lib" / "python3" / "site-packages")
    return folder


def sha256(path: Path) -> str:
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_krews_manifest_names_the_archive_with_its_checksum(built: Path) -> None:
    manifest = yaml.safe_load((built / "krew.yaml").read_text())
    (platform,) = manifest["spec"]["platforms"]
    archive = built / platform["uri"].removeprefix(f"{HOME}/releases/download/v{secretsvc.__version__}/")
    assert platform["sha256"] == sha256(archive)
    with tarfile.open(archive) as packed:
        held = {member.name: oct(member.mode) for member in packed.getmembers()}
    assert held == {
        "ksecret": "0o755",
        "LICENSE": "0o644",
        "share/man/man1/ksecret.1": "0o644",
        "share/bash-completion/completions/ksecret": "0o644",
    }
    assert {one["from"] for one in platform["files"]} <= set(held)
    assert manifest["spec"]["version"] == f"v{secretsvc.__version__}"
    assert (
        len(manifest["spec"]["shortDescription"]) <= 50
    )  # https://krew.sigs.k8s.io/docs/developer-guide/develop/best-practices/


@pytest.mark.skipif(shutil.which("validate-krew-manifest") is None, reason="krew's validator is not on this machine")
def test_krew_takes_its_manifest(built: Path) -> None:
    (built / "ksecret.yaml").write_bytes((built / "krew.yaml").read_bytes())
    check = ["validate-krew-manifest", "-skip-install", "-manifest", str(built / "ksecret.yaml")]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_formula_names_the_sdist_with_its_checksum(built: Path) -> None:
    text = (built / "homebrew.rb").read_text()
    sdist = built / f"secretsvc-{secretsvc.__version__}.tar.gz"
    assert f'url "{HOME}/releases/download/v{secretsvc.__version__}/{sdist.name}"' in text
    assert f'sha256 "{sha256(sdist)}"' in text
    for path in re.findall(r'"(deploy/[\w.-]+)"', text):
        entries = re.findall(r"(?m)^\w.*", (ROOT / path).read_text())
        assert [entry for entry in entries if "sys_platform == 'darwin'" not in entry] == []  # pip would pass it over
    if shutil.which("ruby"):
        subprocess.run(["ruby", "-wc", built / "homebrew.rb"], check=True, capture_output=True)


def test_the_bill_of_materials_says_whose_and_which_version_it_is(built: Path) -> None:
    ours = json.loads((built / f"{NAME}.cdx.json").read_text())["metadata"]["component"]
    assert ours["purl"] == f"pkg:pypi/secretsvc@{secretsvc.__version__}"


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")
def test_a_debian_package_has_programs_that_import_its_libraries_only(built: Path, tmp_path: Path) -> None:
    package = built / f"{NAME}.deb"
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "root"], check=True)
    installed = {str(path.relative_to(tmp_path / "root")) for path in (tmp_path / "root").rglob("*") if path.is_file()}
    assert installed >= {f"usr/bin/{name}" for name in programs()} | {
        "usr/lib/ksecret/secretsvc/cli/main.py",
        "usr/share/man/man1/ksecret.1.gz",
        "usr/share/bash-completion/completions/ksecret",
        "usr/share/doc/ksecret/copyright",
    }
    program = (tmp_path / "root" / "usr" / "bin" / "ksecret").read_text()
    head, _, rest = program.partition("\n")
    assert head == "#!/usr/bin/python{}.{} -IS".format(*sys.version_info)
    here = rest.replace("/usr/lib/ksecret", str(tmp_path / "root" / "usr" / "lib" / "ksecret"))
    ran = subprocess.run([sys.executable, "-IS", "-c", here], capture_output=True, text=True, check=True)
    assert ran.stdout == "started\n"
    shown = subprocess.run(["dpkg-deb", "--field", package, "Version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{secretsvc.__version__}-1\n"


@pytest.mark.parametrize(("name", "whole"), [("pyz", ""), ("release", "-build")])
def test_what_a_release_is_made_of_is_locked_to_what_images_have(name: str, whole: str) -> None:
    """The same versions, every one with its hashes."""
    text, images = ((ROOT / "deploy" / f"requirements{one}.txt").read_text() for one in (f"-{name}", whole))
    pinned, elsewhere = (dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", found)) for found in (text, images))
    assert len(pinned) > 20
    assert {one: version for one, version in pinned.items() if elsewhere.get(one, version) != version} == {}
    assert all("--hash=sha256:" in entry for entry in re.split(r"(?m)^(?=\w)", text)[1:])
    assert name == "release" or set(pinned) <= set(elsewhere)


def test_the_single_file_has_the_libraries_of_every_kind_of_key() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(re.findall(r"\w+", project["optional-dependencies"]["all"][0])) - {"secretsvc", "server"}
    wanted = [*project["dependencies"], *(line for one in extras for line in project["optional-dependencies"][one])]
    names = {Requirement(line).name.lower() for line in wanted}
    pinned = set(re.findall(r"(?m)^([\w.-]+)==", (ROOT / "deploy" / "requirements-pyz.txt").read_text()))
    assert names - pinned == set(), "scripts/lock names the extras"


def test_a_folder_with_something_in_it_is_not_released_into(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    done = subprocess.run([ROOT / "scripts" / "release", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "is not empty" in done.stderr


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, GpgHome]]:
    """The same commit, released twice, once signed."""
    if not os.environ.get("KSECRET_TEST_RELEASE"):
        pytest.skip("KSECRET_TEST_RELEASE is not set")
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    gpg = GpgHome()
    signing = {"GNUPGHOME": gpg.path, "KSECRET_RELEASE_KEY": gpg.make_key("releaser")}
    for folder, more in ((first, signing), (second, {})):
        subprocess.run([ROOT / "scripts" / "release", folder], check=True, env=dict(os.environ) | more)
    yield first, second, gpg
    gpg.close()


@pytest.mark.timeout(3000)
def test_a_release_made_twice_is_the_same_to_the_byte(releases: tuple[Path, Path, GpgHome]) -> None:
    first, second, _ = releases
    made = {path.name: path.read_bytes() for path in second.iterdir()}
    assert len(made) == 9
    assert {path.name: path.read_bytes() for path in first.iterdir() if path.name != "SHA256SUMS.asc"} == made


@pytest.mark.timeout(3000)
def test_the_commands_of_the_page_about_installing_install_it(
    releases: tuple[Path, Path, GpgHome], tmp_path: Path
) -> None:
    first, _, gpg = releases
    typed = [line for block in command_blocks("docs/install.md") for line in block]
    lines = [line for line in typed if not line.startswith(("pipx", "uv", "scripts/release"))]
    assert len(lines) > 10
    work = tmp_path / "a folder"
    shutil.copytree(first, work)
    (work / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "home").mkdir(mode=0o700)
    environ = {"HOME": str(tmp_path / "home"), "GNUPGHOME": gpg.path}
    environ["PATH"] = f"{tmp_path}/home/.local/bin:{sys.exec_prefix}/bin:/usr/bin:/bin"
    try_it = ["ksecret init", "ksecret encrypt -i secret.yaml", "ksecret decrypt secret.yaml | cmp - clear.yaml"]
    at = next(index for index, line in enumerate(lines) if line.startswith("ksecret --version"))
    for name in ("secret.yaml", "clear.yaml"):
        (work / name).write_bytes(MANIFEST)
    script = "\n".join(["set -eux -o pipefail", *lines[: at + 1], *try_it, *lines[at + 1 :]])
    done = subprocess.run(["bash", "-c", script], cwd=work, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"ksecret {secretsvc.__version__}") == 2
    assert not (tmp_path / "home" / ".cache" / "ksecret").exists()
