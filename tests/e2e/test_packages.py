"""What is built of a commit: the sdist, the wheel with everything that is installed, and the man pages in it."""

from __future__ import annotations

import email
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import secretsvc
from packages import manpages, roff
from packages.build_hook import COMPLETIONS
from secretsvc import errors
from secretsvc.api import page
from secretsvc.cli import overview
from secretsvc.cli.commands import COMMANDS
from secretsvc.cli.completion import script
from secretsvc.cli.parser import parsing

ROOT = Path(secretsvc.__file__).parent.parent
PAGES = manpages.pages("2026-11-29")


def test_the_distributions_hold_every_module(tmp_path: Path) -> None:
    """The sdist despite the links at the top (hatchling follows them), the wheel made from it, and every import."""
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert f"dist/{wheel.name}[aws]" in (ROOT / "README.md").read_text()
    check_contents(wheel)
    check_repeats(tmp_path, tmp_path / "again")
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    check_metadata(target / f"secretsvc-{secretsvc.__version__}.dist-info" / "METADATA")
    found = pkgutil.walk_packages([str(ROOT / "secretsvc")], "secretsvc.")
    names = [module.name for module in found if module.name != "secretsvc.__main__"]  # whose import runs it
    assert len(names) > 30
    code = f"import importlib, secretsvc\nassert secretsvc.__file__.startswith({str(target)!r})\n"
    code += f"for name in {names!r}: importlib.import_module(name)"
    subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ) | {"PYTHONPATH": str(target)}, cwd=tmp_path, check=True
    )
    script = target / "bin" / "ksecret"
    ran = subprocess.run([script, "--version"], env=dict(os.environ) | {"PYTHONPATH": str(target)}, capture_output=True)
    assert ran.stdout.decode() == f"ksecret {secretsvc.__version__}\n"
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


def check_repeats(made: Path, folder: Path) -> None:
    """The same sources make the same bytes: the sdist, and the wheel, from the sdist as in an image."""
    for builder in (SdistBuilder(str(ROOT)), WheelBuilder(str(in_an_image(folder / "src")))):
        (again,) = builder.build(directory=str(folder), versions=["standard"])
        assert Path(again).read_bytes() == (made / Path(again).name).read_bytes()


def in_an_image(folder: Path) -> Path:
    """What the Dockerfile's first stage copies, which is all that a build has there."""
    stage = (ROOT / "Dockerfile").read_text().partition(" AS build\n")[2].partition("\nFROM ")[0]
    for line in re.findall(r"(?m)^COPY (.*)", stage):
        *paths, target = line.split()
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if (ROOT / path).is_dir():
                shutil.copytree(ROOT / path, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (folder / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, folder / target)
    return folder


def check_contents(wheel: Path) -> None:
    """The package, pages and completions, and nothing else: no tests, and no folder that a link at the top leads to."""
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        shared = {name.partition("/share/")[2]: packed.read(name).decode() for name in names if "/share/" in name}
    tops = {name.split("/")[0] for name in names}
    stem = f"secretsvc-{secretsvc.__version__}"
    assert tops == {"secretsvc", f"{stem}.dist-info", f"{stem}.data"}
    assert set(shared) == {f"man/{path}" for path in PAGES} | set(COMPLETIONS.values())
    for shell, path in COMPLETIONS.items():
        assert shared[path] == f"{script(shell)}\n"
    assert {f"secretsvc/api/page/{name}" for name in page.files()} <= set(names)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_page_has_every_option_that_its_help_has(command: str) -> None:
    page = PAGES[f"man1/ksecret-{command}.1"]
    for option in parsing(command, []).parser.arguments:
        words = [rf"\fB{word.replace('-', chr(92) + '-')}\fR" for word in option.option_strings]
        assert option.is_hidden or all(word in page for word in words), option.dest


def test_pages_tell_of_every_variable_and_of_every_exit_code() -> None:
    assert set(manpages.VARIABLES) == set(overview._VARIABLES)
    codes = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "exit_code")}
    assert codes <= set(manpages.EXIT_CODES)
    told = re.search(r"Exit codes: (.*?)\.", (ROOT / "docs" / "usage.md").read_text(), re.DOTALL)
    assert told
    assert {int(code) for code in re.findall(r"(?:^|·\s)(\d)", told[1])} == set(manpages.EXIT_CODES)


def rendered(page: str, *command: str) -> str:
    done = subprocess.run(command, input=page, capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not on this machine")
def test_groff_has_nothing_to_say_of_the_pages() -> None:
    shown = rendered("".join(PAGES.values()), "groff", "-man", "-ww", "-Tutf8", "-P-cbou")
    assert "ksecret-decrypt - open sealed manifests" in shown


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not on this machine")
def test_mandoc_has_nothing_to_warn_of(tmp_path: Path) -> None:
    paths = manpages.write(tmp_path, 1_700_000_000)
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *paths], cwd=tmp_path, capture_output=True, text=True)
    assert lint.stdout == lint.stderr == ""


ODD = [r"a\fBb\n", "'br", ".SH NAME", r'--x="a" `b` ^~', "a  b", "…·é", r"\(aq", "-\\-", "%s #{x}"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not on this machine")
def test_no_text_is_an_instruction_to_roff() -> None:
    page = roff.title("x", 1, "2026-11-29", "x") + ".EX\n" + "".join(f"{roff.escaped(one)}\n" for one in ODD) + ".EE\n"
    lines = [line.strip() for line in rendered(page, "groff", "-man", "-Tutf8", "-P-cbou").splitlines()]
    assert [line for line in lines if line in ODD] == ODD
