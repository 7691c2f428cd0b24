"""Whether the tests see a wrong program: the code changed in one place at a time, and the tests that touch it run.

`python -m tests.mutate [MODULE…] [--tests PATH…] [--count N] [--seed S]`, by hand and every night. A module is named as
in MODULES. Each variant that no test fails on is told with its line, and the exit code is 1: a check that can be taken
away so is to be pinned by a test, or deleted. What changes nothing that anybody could see goes into mutate-known.txt.
Works on a copy, in a temporary folder. A test that hangs counts as one that fails.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
KNOWN = Path(__file__).with_name("mutate-known.txt")
SECONDS = 300.0
"""For the tests of one variant."""
MODULES = {
    "api/audit/chain.py": ("unit/api/test_audit_chain.py",),
    "api/auth/authenticator.py": ("unit/api/test_auth.py",),
    "api/authorisation.py": ("unit/api/test_authorisation.py", "e2e/test_service_rights.py"),
    "api/auth/caller.py": ("unit/api/test_auth.py",),
    "api/auth/jwks.py": ("unit/api/test_jwks.py", "e2e/test_service_jwt.py"),
    "api/auth/jwt.py": ("e2e/test_service_jwt.py",),
    "api/limits.py": ("unit/api/test_limits.py", "e2e/test_service_manifests.py"),
    "api/plans.py": ("unit/api/test_plans.py", "e2e/test_service_rights.py", "e2e/test_service_manifests.py"),
    "backends/tries.py": ("unit/test_tries.py",),
    "backends/gnupg/status.py": ("unit/test_gnupg_status.py", "integration/test_gnupg_unwrap.py"),
    "formats/ksecret/crypto.py": ("unit/test_vectors.py", "e2e/test_tamper.py"),
    "formats/ksecret/envelope.py": ("e2e/test_tamper.py", "unit/test_vectors.py", "integration/test_reseal.py"),
    "formats/kubesec/crypto.py": ("unit/test_kubesec_crypto.py", "integration/test_kubesec_format.py"),
    "keyref.py": ("unit/test_keyref.py",),
    "manifest/json_reader.py": (
        "unit/test_json_reader.py",
        "integration/test_bounds.py",
        "integration/test_refusals.py",
    ),
    "formats/lost.py": ("e2e/test_lost_tokens.py",),
    "manifest/line_reader.py": ("integration/test_line_reader.py",),
    "manifest/rules.py": ("integration/test_refusals.py", "integration/test_corpus.py"),
    "manifest/scalars.py": (
        "integration/test_patch_styles.py",
        "integration/test_lone_returns.py",
        "integration/test_corpus.py",
        "e2e/test_cli_cleartext.py",
    ),
    "manifest/splice.py": (
        "integration/test_patch_styles.py",
        "integration/test_last_nets.py",
        "integration/test_lone_returns.py",
        "integration/test_corpus.py",
    ),
    "manifest/yaml_reader.py": ("integration/test_bounds.py", "integration/test_refusals.py"),
    "operations/keysets.py": ("e2e/test_cli_keysets.py", "e2e/test_git_resolve.py", "e2e/test_cli_kubesec.py"),
    "formats/ksecret/sealing.py": (
        "integration/test_last_nets.py",
        "e2e/test_tamper.py",
        "formats/test_conformance.py",
    ),
    "formats/kubesec/sealing.py": ("formats/test_conformance.py", "integration/test_kubesec_roundtrip.py"),
    "operations/open.py": ("integration/test_last_nets.py", "e2e/test_tamper.py"),
    "operations/rotate.py": ("e2e/test_cli_rotate.py", "integration/test_aws_kms.py", "e2e/test_cli_kubesec.py"),
    "operations/seal.py": (
        "formats/test_conformance.py",
        "integration/test_last_nets.py",
        "integration/test_reseal.py",
    ),
    "policy/reader.py": ("unit/test_policy_mistakes.py", "unit/test_policy.py", "e2e/test_cli_policy.py"),
    "tokens.py": ("unit/test_vectors.py", "e2e/test_tamper.py"),
}
"""What stands between a stranger and a value, and the tests of it, the quickest first."""

_OTHER: dict[type[ast.AST], Any] = {}
for one, other in (
    *((ast.Eq, ast.NotEq), (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.In, ast.NotIn), (ast.Is, ast.IsNot)),
    *((ast.And, ast.Or), (ast.Add, ast.Sub)),
):
    _OTHER |= {one: other, other: one}


class Variant(NamedTuple):
    """A place in a module (bytes of its text), and what stands there instead."""

    start: int
    end: int
    line: int
    old: str
    new: str


def variants(source: str) -> list[Variant]:
    """Every change of one operator, condition, constant, raise or call that this knows, in the order of the text."""
    data = source.encode()
    starts = [0]
    for text in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    found: dict[Variant, None] = {}
    for node in _nodes(ast.parse(source)):
        for place, new in _changes(node):
            start = starts[place.lineno - 1] + place.col_offset
            end = starts[(place.end_lineno or 0) - 1] + (place.end_col_offset or 0)
            one = Variant(start, end, place.lineno, data[start:end].decode(), new)
            if one.new != one.old:
                found[one] = None
    return sorted(found)


def _nodes(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Those that may be changed: no types, and nothing in an f-string, whose places Python 3.11 does not tell."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        return
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    for name, value in ast.iter_fields(node):
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST) and name not in ("annotation", "returns", "decorator_list"):
                yield from _nodes(inner)


def _changes(node: ast.expr | ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """What is to be replaced, the node or its condition, and by what."""
    match node:
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield node, "pass"
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield from ((test, constant) for constant in ("True", "False"))
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _OTHER:
            yield node, _text(ast.Compare(left, [_OTHER[type(operator)]()], [right]))
        case ast.BoolOp(op=operator, values=values):
            yield node, _text(ast.BoolOp(_OTHER[type(operator)](), values))
            for at in range(len(values)):
                rest = values[:at] + values[at + 1 :]
                yield node, _text(rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, _text(operand)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OTHER:
            yield node, _text(ast.BinOp(left, _OTHER[type(operator)](), right))
        case ast.Constant(value=bool(value)):
            yield node, str(not value)
        case ast.Constant(value=int(value)):
            yield node, str(value + 1)


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _label(module: str, one: Variant) -> str:
    """How mutate-known.txt and this program name a variant, wherever its line is."""
    return f"{module}: {' '.join(one.old.split())} -> {' '.join(one.new.split())}"


class Copy:
    """A copy of the tree that variants are written into."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tree"
        left_out = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".hypothesis", ".*_cache", ".coverage*")
        shutil.copytree(ROOT, self._folder, symlinks=True, ignore=left_out)
        self._environ = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
        self._environ |= {"PYTHONPATH": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(folder)}

    def passes(self, tests: Sequence[str]) -> bool:
        words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not alone", *tests]
        with subprocess.Popen(
            words, cwd=self._folder, env=self._environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                return process.wait(SECONDS) == 0
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return False

    def survives(self, module: str, one: Variant, tests: Sequence[str]) -> bool:
        path = self._folder / "secretsvc" / module
        right = path.read_bytes()
        path.write_bytes(right[: one.start] + one.new.encode() + right[one.end :])
        try:
            return self.passes(tests)
        finally:
            path.write_bytes(right)


def main() -> int:
    """Exit code 1 where a variant survives, 2 where the tests fail without any."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="such as api/plans.py; without any: all of MODULES"
    )
    parser.add_argument("--tests", nargs="+", default=[], help="paths below tests/, in place of the module's own")
    parser.add_argument("--count", type=int, default=20, help="how many variants, chosen at random; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    modules = given.modules or list(MODULES)
    known = set(KNOWN.read_text(encoding="utf-8").splitlines())
    drawn = [
        (module, one)
        for module in modules
        for one in variants((ROOT / "secretsvc" / module).read_text(encoding="utf-8"))
        if _label(module, one) not in known
    ]
    if 0 < given.count < len(drawn):
        drawn = sorted(random.Random(given.seed).sample(drawn, given.count))
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Copy(Path(folder))
        for module in modules:
            tests = [f"tests/{path}" for path in given.tests or MODULES[module]]
            of_this = [one for its, one in drawn if its == module]
            if of_this and not tree.passes(tests):
                sys.stderr.write(f"{module}: its tests fail as it is\n")
                return 2
            for one in of_this:
                if tree.survives(module, one, tests):
                    survivors += 1
                    sys.stdout.write(f"secretsvc/{module}:{one.line}: survives: {_label(module, one)}\n")
                    sys.stdout.flush()
    sys.stdout.write(f"{len(drawn)} variants, {survivors} survive (--seed {given.seed})\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
