"""Every place that starts a program: no word of a file's is an option there, and nothing of ours is handed on.

Programs that note their words and their environment stand first on PATH; those that are needed go on as the real ones.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import secretsvc
from secretsvc import programs
from tests.e2e.cli import BIN, PASSWORD, Person
from tests.e2e.git_repository import Repository
from tests.support import NIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCES = Path(secretsvc.__file__).parent

PLACES = {
    "backends/age/plugins.py _put_out": "tests/integration/test_age_plugins.py",
    "backends/age/plugin_call.py _watch": "no program: a copy of this process, which waits for its end",
    "programs/family.py _listed": "no word of anybody's",
    "backends/age/places_of_sops.py output": "test_a_command_that_sops_asks_for_identities",
    "backends/gnupg/run.py _Call.start": "test_gpg",
    "cli/verbs/apply.py _give": "no program: a copy of this process that writes into a pipe",
    "cli/child.py become": "test_kubectl, test_exec",
    "cli/child.py run": "test_exec",
    "cli/kubectl.py run": "test_kubectl_that_is_asked",
    "cli/workers.py _Team._fork": "no program: copies of this process, which share the files",
    "cli/editor.py _is_vim": "test_editors",
    "cli/editor.py run_editor": "test_editors",
    "generators/docker_login.py _ask": "test_credential_helpers",
    "git/objects.py GitObjects.__enter__": "test_git_reads_the_index, test_git_tells_of_a_range",
    "git/objects.py GitObjects.git": "test_git_reads_the_index, test_git_tells_of_a_range",
    "files/walk.py _git": "test_git_lists_files",
    "programs/git.py git": "test_git_setup, test_git_merges",
    "api/transport/workers.py Workers._started": "no other program: the service's own workers",
}
"""Where programs are started, and what proves that place."""

STARTERS = {
    "subprocess": {"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"},
    "os": {"system", "popen", "fork", "forkpty", "startfile", "posix_spawn", "posix_spawnp"}
    | {f"exec{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")}
    | {f"spawn{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")},
    "pty": {"spawn", "fork"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "multiprocessing": {"Process", "Pool", "get_context"},
    "concurrent.futures": {"ProcessPoolExecutor"},
}


class _Walk(ast.NodeVisitor):
    """Collects the functions in which something of STARTERS is named, other than in an annotation."""

    def __init__(self, name: str) -> None:
        self.found: set[str] = set()
        self._at = [name]

    def _enter(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self._at.append(node.name)
        for child in node.body:
            self.visit(child)
        self._at.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _enter  # noqa: N815

    def _note(self, module: str | None, name: str) -> None:
        if name in STARTERS.get(module or "", ()):
            self.found.add(f"{self._at[0]} {'.'.join(self._at[1:])}")

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._note(node.module, alias.name)

    def visit_Import(self, node: ast.Import) -> None:
        renamed = [alias.name for alias in node.names if alias.name in STARTERS and alias.asname]
        assert not renamed, f"{self._at[0]}: {renamed} under another name: this test would not see what it starts"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._note(ast.unparse(node.value), node.attr)
        self.generic_visit(node)


def test_every_place_that_starts_a_program_is_listed_here() -> None:
    """A new one: give it words that are options, below, and add it."""
    found: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        walk = _Walk(str(path.relative_to(SOURCES)))
        walk.visit(ast.parse(path.read_text()))
        found |= walk.found
    assert found == set(PLACES)
    tests = {word.strip() for said in PLACES.values() for word in said.split(",") if word.strip().startswith("test_")}
    assert tests <= set(globals())


CANARY = "canary-3f1c"
SECRETS = {
    "KSECRET_AGE_PASSPHRASE": f"{CANARY}-1",
    "KSECRET_GPG_PASSPHRASE": f"{CANARY}-2",
    "KSECRET_TOKEN": f"{CANARY}-3",
    "KSECRET_SERVE_NEW": f"{CANARY}-4",
    "KSECRET_WHAT_COMES_NEXT_YEAR": f"{CANARY}-5",
    "SOPS_AGE_KEY": f"{CANARY}-6",
}
SETTINGS = {
    "KSECRET_AGE_KEY_FILE": "/dev/null",
    "KSECRET_FORMAT": "ksecret",
    "KSECRET_FILES": "/outer",
}
HOSTILE = [
    *("--homedir=.g", "--status-file=pwned", "--output=pwned", "-opwned", "-c", "-calias.x=!touch pwned", "-C"),
    *("--upload-pack=touch pwned", "--exec-path=.", "--ext-diff", "--textconv", "-f", "--kubeconfig=k", "--"),
]
RECORDER = """\
#!{python} -SE
import json, os, sys
call = {{"program": {name!r}, "words": sys.argv[1:], "environ": dict(os.environ), "path": sys.argv[0]}}
with open(f"{folder}/{{os.getpid()}}-{{os.urandom(4).hex()}}.json", "x") as stream:
    json.dump(call, stream)
{then}
"""


class Call(NamedTuple):
    """One start of a program."""

    program: str
    words: list[str]
    environ: dict[str, str]
    path: str

    @property
    def options(self) -> list[str]:
        """The words that it reads as options."""
        return self.words[: self.words.index("--")] if "--" in self.words else self.words


class Programs:
    """A folder that is first on a person's PATH, and what was started from it."""

    def __init__(self, folder: Path, me: Person) -> None:
        self.me = me
        self.folder = folder / "programs"
        self.folder.mkdir()
        self._notes = folder / "notes"
        self._notes.mkdir()
        me.environ |= SECRETS | SETTINGS | {"KSECRET_AGE_KEY": me.identity}
        me.environ["PATH"] = os.pathsep.join((str(self.folder), me.environ["PATH"]))

    def add(self, name: str, then: str = "") -> Path:
        """A program of that name, which goes on as the Python in `then` says, or as the real one of that name."""
        real = shutil.which(name)
        then = then or f"os.execv({real!r}, sys.argv)"
        path = self.folder / name
        path.write_text(RECORDER.format(python=sys.executable, name=name, folder=self._notes, then=then))
        path.chmod(0o755)
        return path

    def calls(self) -> list[Call]:
        """What was started since it was asked for last. In none of it is anything that opens files."""
        found = []
        for path in sorted(self._notes.iterdir()):
            found.append(Call(**json.loads(path.read_text())))
            path.unlink()
        for call in found:
            told = json.dumps(call)
            assert CANARY not in told, call.program
            assert self.me.identity not in told
        return found

    def started(self, *names: str) -> list[Call]:
        """The same, where just these were to be started, and get nothing of ours at all."""
        found = self.calls()
        assert {call.program for call in found} == set(names)
        for call in found:
            assert not [name for name in call.environ if name.startswith("KSECRET_")], call.program
            assert not set(call.options) & (set(HOSTILE) - {"-c", "-C"}), call.words
        return found


@pytest.fixture
def fakes(tmp_path: Path, me: Person) -> Iterator[Programs]:
    made = Programs(tmp_path, me)
    yield made
    assert made.calls() == []


def test_the_environment_of_a_program_holds_nothing_of_ours_but_what_is_named_as_harmless() -> None:
    named = {
        name
        for path in SOURCES.rglob("*.py")
        for name in ast.walk(ast.parse(path.read_text()))
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.startswith("KSECRET_")
        for name in [name.value]
    }
    assert {"KSECRET_AGE_KEY", "KSECRET_TOKEN", "KSECRET_GPG_PASSPHRASE", "KSECRET_AGE_PASSPHRASE"} <= named
    environ = {"PATH": "/bin", "KSECRETX": "1"} | dict.fromkeys(named | set(SECRETS), "x")
    assert programs.environment(environ) == {"PATH": "/bin", "KSECRETX": "1"}
    kept = programs.environment(environ, calls_ksecret=True)
    addresses = {"KSECRET_AZURE_ADDRESSES", "KSECRET_VAULT_ADDRESSES"}
    assert {"KSECRET_AGE_KEY_FILE", "KSECRET_SERVER", "PATH", *addresses} <= set(kept)
    assert not set(kept) & (set(SECRETS) | {"KSECRET_AGE_KEY"})


def test_a_command_that_sops_asks_for_identities(me: Person, fakes: Programs) -> None:
    """Only where no identity at hand opens the file; its words are the user's own, and no shell's."""
    path = me.write_sealed("a.yaml")
    fakes.add("give-identity", f"print({me.identity!r})")
    me.environ["SOPS_AGE_KEY_CMD"] = "give-identity --for 'me; touch pwned'"
    me.ok("decrypt", str(path))
    assert fakes.calls() == []
    del me.environ["KSECRET_AGE_KEY"]
    me.ok("decrypt", str(path), XDG_CONFIG_HOME=os.devnull)
    (call,) = fakes.started("give-identity")
    assert call.words == ["--for", "me; touch pwned"]


def test_kubectl(me: Person, fakes: Programs) -> None:
    fakes.add("kubectl", "sys.exit(b'password' not in sys.stdin.buffer.read())")
    for number, word in enumerate(HOSTILE):
        me.write_sealed(f"d/{word.replace('/', '_')}{number}.yaml")
    fakes.calls()
    me.ok("apply", "-r", "d", "--", "--context=mine")
    (call,) = fakes.calls()
    assert call.words == ["apply", "--server-side", "-f", "-", "--context=mine"]
    assert not set(call.environ) & set(SECRETS)
    assert {name: call.environ[name] for name in SETTINGS} == SETTINGS  # a login of kubectl's may ask ksecret


def test_kubectl_that_is_asked(me: Person, fakes: Programs) -> None:
    fakes.add("kubectl", "sys.exit(print('{}'))")
    for word in HOSTILE:
        me.run("import", f"secret/{word}")
        me.run("import", word)
    assert not fakes.calls()
    me.run("import", "secret/db", "-n", "--kubeconfig=x", "--", "--context=mine")
    (call,) = fakes.calls()
    assert call.words == ["get", "secrets", "db", "--namespace=--kubeconfig=x", "--context=mine", "-o", "json"]
    assert not set(call.environ) & set(SECRETS)
    me.write_sealed("d/--context=x.yaml")
    me.run("diff", "-r", "d", "--", "--context=mine")
    (call,) = fakes.calls()
    assert call.words == ["diff", "--server-side", "--force-conflicts", "--context=mine", "-f", "-"]
    assert call.environ["KUBECTL_EXTERNAL_DIFF"] == "diff -U1000000000 -N"
    assert not set(call.environ) & set(SECRETS)


def test_exec(me: Person, fakes: Programs) -> None:
    tool = fakes.add("tool", "sys.exit()")
    me.write_sealed("./--homedir=.g.yaml")
    for more in ([], ["--files"]):
        me.ok("exec", *more, "./--homedir=.g.yaml", "--", str(tool), *HOSTILE)
        (call,) = fakes.calls()
        assert call.words == HOSTILE
        assert call.environ.get("password") == (None if more else PASSWORD)
        assert call.environ["KSECRET_AGE_KEY_FILE"] == "/dev/null"
        assert (call.environ["KSECRET_FILES"] == "/outer") == (not more)


def hostile_files(me: Person) -> list[str]:
    """Manifests whose names are options of a program."""
    names = [f"{word.replace('/', '_')}.yaml" for word in HOSTILE]
    for name in names:
        me.write(name)
    return names


@pytest.mark.parametrize("name", ["ed-it", "vi", "vim", "nano"])
def test_editors(me: Person, fakes: Programs, name: str) -> None:
    fakes.add(name, "print('VIM - Vi IMproved') if sys.argv[1:] == ['--version'] else None")
    names = hostile_files(me)
    me.ok("encrypt", "-i", "--", *names)
    found = {} if name in ("vi", "nano") else {"EDITOR": f"{name} --mine"}
    for file in names[:: 1 if name == "ed-it" else 4]:
        me.ok("edit", "--", file, **found, PATH=os.pathsep.join((str(fakes.folder), BIN)))
        (edited,) = (call for call in fakes.started(name) if call.words != ["--version"])
        assert os.path.isabs(edited.words[-1])
        assert edited.words[-1].endswith(".yaml")
        assert ("--mine" in edited.words) == bool(found)


def test_credential_helpers(me: Person, fakes: Programs) -> None:
    fakes.add("docker-credential-mine", """print('{"Username": "me", "Secret": "n0t-public"}'); sys.stdin.read()""")
    config = me.home / "config.json"
    words = ["create", "docker-registry", "pull", f"--from-docker-config={config}", "-k", me.ref]
    for word in HOSTILE:
        config.write_text(json.dumps({"credHelpers": {word: "mine"}}))
        me.ok(*words, "--server", "" if word == "--" else word)
        (call,) = fakes.started("docker-credential-mine")
        assert call.words == ["get"]
        for helper in (word, f"mine {word}", f"../programs/{word}", ".", ""):
            config.write_text(json.dumps({"credsStore": helper, "auths": {"x": {}}}))
            assert me.run(*words).code in (3, 7), helper


@pytest.fixture
def repo(me: Person, fakes: Programs) -> Repository:
    """With the drivers set up and files staged whose names are options; git notes how it is called from here on."""
    made = Repository(me)
    hostile_files(me)
    me.write_sealed("deploy/--output=pwned.yaml")
    made.ok("add", "--all")
    fakes.add("git")
    return made


def test_git_reads_the_index(repo: Repository, fakes: Programs) -> None:
    names = {f"{word.replace('/', '_')}.yaml" for word in HOSTILE}
    for words, expected in (([], names), (["--", *names], names), (["--", *HOSTILE[:-1]], set())):
        ran = repo.me.run("check", "--staged", *words)
        assert {line.partition(b":")[0].decode() for line in ran.out.splitlines()} == expected
        assert ran.code == bool(expected), ran.err
        fakes.started("git")


def test_git_lists_files(repo: Repository, fakes: Programs) -> None:
    names = {f"{word.replace('/', '_')}.yaml" for word in HOSTILE}
    for folder in ("--others", "-c", "--exclude=x"):
        repo.me.write(f"{folder}/a.yaml")
    for words, expected in (([], names | {"--others/a.yaml", "-c/a.yaml", "--exclude=x/a.yaml"}),
                            (["--", "--others", "-c"], {"--others/a.yaml", "-c/a.yaml"})):  # fmt: skip
        found = {
            line.partition(b":")[0].decode().removeprefix("./")
            for line in repo.me.run("check", *words).out.splitlines()
        }
        assert found == expected
        fakes.started("git")


def test_git_tells_of_a_range(repo: Repository, fakes: Programs) -> None:
    (fakes.folder / "git").unlink()
    repo.ok("commit", "-qm", "names that are options")
    fakes.add("git")
    for number, word in enumerate(HOSTILE):
        every = (word, f"{word}..HEAD", f"HEAD..{word}")
        for revisions in every if NIGHT else every[number % 3 :][:1]:
            assert repo.me.run("check", f"--range={revisions}").code == 2, revisions
        if NIGHT or number % 2:
            repo.me.run("check", "--range=HEAD..HEAD", "--", word)
        if NIGHT or not number % 2:
            repo.me.run("check", "--pre-receive", stdin=f"{'0' * 40} {word} refs/heads/{word}\n".encode())
    fakes.started("git")


def test_git_setup(repo: Repository, fakes: Programs) -> None:
    assert "sealed files not covered" not in repo.me.ok("git", "setup", "--", *HOSTILE[:-1]).err
    repo.me.ok("git", "unsetup")
    assert len(fakes.started("git")) > 10


def test_git_merges(repo: Repository, fakes: Programs) -> None:
    for name, text in (("--base", "a: 1\n"), ("--ours", "a: 2\n"), ("-theirs", "a: 1\nb: 1\n")):
        repo.me.write(name, text.encode())
    for word in HOSTILE[:-1]:
        assert repo.me.run("git", "merge", "--", "--base", "--ours", "-theirs", word).code in (0, 1)
        (call,) = fakes.started("git")
        assert call.options[-8:] == ["-q", "-p", "-L", "ours", "-L", "base", "-L", "theirs"]
        assert [os.path.isabs(path) for path in call.words[-3:]] == [True] * 3


def test_completing_a_word_starts_nothing(tmp_path: Path, me: Person, fakes: Programs) -> None:
    for name in ("bash", "sh"):
        fakes.add(name)
    for name in ("a'$(touch ..%s)'.yaml", "a;b.yaml", "-x.yaml"):
        me.write(name.replace("%s", "sprung"))
    out = tmp_path / "completed"
    for typed in ("a", "a\\'", "-", "./-x"):
        line = f"ksecret decrypt {typed}"
        environ = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(out), "COMP_LINE": line}
        me.run(COMP_POINT=str(len(line)), **environ)
        assert out.read_text() or typed == "-", typed
        out.unlink()
    assert not (tmp_path / "sprung").exists()


ENVELOPES: list[Callable[[str], bytes]] = [
    lambda key: f"""\
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: prod}}
data:
  password: ksecret.v1.{b64encode(bytes(92)).decode()}
ksecret:
  version: 1
  sealedFor: prod/db
  created: "2026-01-01T00:00:00Z"
  keys:
    {json.dumps(key)}: {b64encode(bytes(64)).decode()}
  seal: {b64encode(bytes(32)).decode()}
""".encode(),
    lambda key: f"""\
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: prod}}
data:
  password: AAAA.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA==
# kubesec:v:3
# kubesec:{key}:{b64encode(bytes(64)).decode()}
# kubesec:mac:AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA==
""".encode(),
]
READERS = (
    *("inspect", "keys list", "decrypt", "verify", "rotate", "doctor", "check", "git textconv --show", "keys sync"),
    *("exec", "apply", "edit"),
)


@pytest.mark.parametrize("word", ["--homedir=.g", "--status-file=pwned", "-opwned", "--output=pwned", "-c"])
@pytest.mark.parametrize("envelope", ENVELOPES, ids=["ksecret", "kubesec"])
def test_gpg(me: Person, fakes: Programs, envelope: Callable[[str], bytes], word: str) -> None:
    """Whether a command refuses the file is its own business: no word of it gets to where gpg reads options."""
    fakes.add("gpg")
    fakes.add("kubectl", "sys.exit(1)")
    me.environ["GNUPGHOME"] = str(me.home / "gnupg")
    (me.home / "gnupg").mkdir(mode=0o700)
    me.write("a.yaml", envelope(f"pgp:{'A' * 40}"))
    me.run("inspect", "a.yaml")
    assert all("A" * 40 in call.words and "A" * 40 not in call.options for call in fakes.started("gpg"))
    me.write("a.yaml", envelope(f"pgp:{word}"))
    for reader in READERS:
        behind = {"exec": ["--", "true"]}.get(reader, [])
        me.run(*reader.split(), "a.yaml", *behind, EDITOR="false")
        assert not (me.work / "pwned").exists(), reader
        for call in fakes.calls():
            assert call.program == "gpg"
            assert word not in call.options, reader
