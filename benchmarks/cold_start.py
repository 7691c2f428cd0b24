"""How long ksecret takes for one small file as a whole process, against Python itself, sops and gpg.

`python -m benchmarks.cold_start [RUNS]`; exits 1 where a bar is missed (benchmarks/bars.py). Needs the `dev` extra
(sops) and gpg. sops is the executable inside its wheel: the wheel's console script is a Python that starts it, which
doubles what sops takes.

All commands run in turn. What PGP takes over age is the median of each turn's difference, which cancels what slows a
whole turn, over the median of `gpg -d` of the wrapped DEK. The agent decrypts, and its processor time is nobody's here.
For the KMSs it tells what the import of the SDK costs, for AWS's also what client and call take (`first_call`); servers
are the tests' own. What SOPS's file takes is held against sops with the same file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from base64 import b64decode
from contextlib import ExitStack
from pathlib import Path

import yaml

from benchmarks.bars import PYTHON as PYTHON_CPU
from benchmarks.bars import SOPS, Verdicts, median
from benchmarks.bulk import ARN, AWS_ENVIRON, AZURE, RESOURCE, TRANSIT, server
from benchmarks.common import KSECRET, PYTHON, Bench, Cost

PGP_KEYS = {"rsa3072": ("rsa3072", "rsa3072"), "cv25519": ("ed25519", "cv25519")}
"""Algorithms of the primary key and of its encryption subkey."""

SDKS = {
    "aws": "boto3.session",
    "gcp": "google.cloud.kms_v1",
    "vault": "hvac",
    "azure": "azure.identity, azure.keyvault.keys",
}
"""What a KMS decrypt imports beside our own modules."""


def main(runs: int = 21, *, coarse: bool = False) -> int:
    """Measures, prints, and gives the exit code.

    `coarse`: as tests want it, 1.5 times the bars, by processor time, and neither gpg nor KMSs. Where larger programs
    start slowly, as sops's own start tells, what is held against Python's may take longer.
    """
    with tempfile.TemporaryDirectory(prefix="ks") as name, ExitStack() as stack:
        bench = Bench(Path(name))
        ours, theirs, aws, gcp, vault, azure, *for_pgp = bench.manifests(6 + len(PGP_KEYS))
        bench.seal_with_ksecret(ours)
        bench.seal_with_sops(theirs, "--age", bench.recipient)
        commands = {
            "python": [PYTHON, "-I", "-c", "pass"],
            "age": [KSECRET, "decrypt", str(ours)],
            "sops": [bench.sops, "decrypt", str(theirs)],
            "SOPS's file": [KSECRET, "decrypt", str(theirs)],
            "textconv": [KSECRET, "git", "textconv", str(ours)],
            "inspect": [KSECRET, "inspect", str(ours)],
            "check": [KSECRET, "check", str(ours)],
        }
        if not coarse:
            bench.environ |= AWS_ENVIRON
            (bench.folder / "gnupg").mkdir(mode=0o700)
            bench.environ["GNUPGHOME"] = str(bench.folder / "gnupg")
            stack.callback(subprocess.run, ["gpgconf", "--kill", "all"], env=bench.environ, check=False)
            for path, (algorithm, how) in zip(for_pgp, PGP_KEYS.items(), strict=True):
                commands |= _pgp_commands(bench, path, algorithm, how)
            kms = {"aws": (aws, ARN), "gcp": (gcp, RESOURCE), "vault": (vault, TRANSIT), "azure": (azure, AZURE)}
            commands |= _kms_commands(bench, stack, kms)
        costs = bench.costs(commands, runs)
        first_call = [PYTHON, "-m", "benchmarks.first_call", str(aws)]
        calls = [] if coarse else [float(bench.run(first_call)) for _ in range(runs)]
    verdicts = Verdicts(1.5 if coarse else 1.0)
    _report(costs, verdicts, by_cpu=coarse)
    if calls:
        verdicts.tell("aws", median(calls), median(cost.cpu for cost in costs["python"]) * 1e3 / PYTHON_CPU)
    return 0 if verdicts.held else 1


def _pgp_commands(bench: Bench, manifest: Path, algorithm: str, how: tuple[str, str]) -> dict[str, list[str]]:
    """Opening a PGP-sealed Secret, and opening its wrapped DEK by gpg alone, for a key of that algorithm."""
    user = f"{algorithm} <{algorithm}@example.org>"
    make = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    bench.run([*make, "--quick-gen-key", user, how[0], "sign", "0"])
    listed = bench.run(["gpg", "--list-keys", "--with-colons", user]).decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    bench.run([*make, "--quick-add-key", fingerprint, how[1], "encr", "0"])
    bench.seal_with_ksecret(manifest, key=f"pgp:{fingerprint}")
    (wrapped,) = yaml.safe_load(manifest.read_text())["ksecret"]["keys"].values()
    message = manifest.with_suffix(".gpg")
    message.write_bytes(b64decode(wrapped))
    return {
        algorithm: [KSECRET, "decrypt", str(manifest)],
        f"gpg {algorithm}": ["gpg", "--batch", "--quiet", "-d", str(message)],
    }


def _kms_commands(bench: Bench, stack: ExitStack, kms: dict[str, tuple[Path, str]]) -> dict[str, list[str]]:
    """Opening a Secret with each of the KMSs, which run as long as the stack, and the import of its SDK."""
    stack.enter_context(server(bench, "tests.emulators.aws", "--stub"))
    stack.enter_context(server(bench, "tests.emulators.gcp", "--key", RESOURCE))
    stack.enter_context(server(bench, "tests.emulators.vault", "--key", TRANSIT))
    stack.enter_context(server(bench, "tests.emulators.azure", "--key", AZURE.partition("/keys/")[2]))
    bench.environ["NO_PROXY"] = "127.0.0.1"  # Azure's emulator is a proxy
    commands = {}
    for name, (path, key) in kms.items():
        bench.seal_with_ksecret(path, key=f"{name}:{key}")
        commands[name] = [KSECRET, "decrypt", str(path)]
        sdk = f"import gc, os; gc.set_threshold(100_000); import {SDKS[name]}; os._exit(0)"
        commands[f"{name} SDK"] = [PYTHON, "-I", "-c", sdk]
    return commands


def _report(costs: dict[str, list[Cost]], verdicts: Verdicts, *, by_cpu: bool) -> None:
    wall = {name: median(cost.wall for cost in taken) for name, taken in costs.items()}
    cpu = {name: median(cost.cpu for cost in taken) for name, taken in costs.items()}
    for name, taken in costs.items():
        fastest = min(cost.wall for cost in taken)
        print(f"{name:12} {wall[name] * 1e3:7.1f} ms, the fastest {fastest * 1e3:.1f}; CPU {cpu[name] * 1e3:.1f}")
    figures = cpu if by_cpu else wall
    slower = max(1.0, figures["sops"] / figures["python"] / SOPS) if by_cpu else 1.0
    verdicts.tell("age/sops", figures["age"] / figures["sops"])
    for name in ("age", "textconv", "inspect", "check"):
        verdicts.tell(f"{name}/python", figures[name] / figures["python"], slower)
    verdicts.tell("sops file/sops", figures["SOPS's file"] / figures["sops"])
    for algorithm in sorted(PGP_KEYS.keys() & costs):
        longer = median(one.wall for one in _over(costs, algorithm, "age"))
        verdicts.tell(algorithm, longer / wall[f"gpg {algorithm}"])
    for kms in sorted(SDKS.keys() & costs):
        over, sdk = _over(costs, kms, "age"), _over(costs, f"{kms} SDK", "python")
        print(f"{kms}: {median(one.cpu for one in over) * 1e3:.0f} ms of CPU over age,", end=" ")
        print(f"{median(one.cpu for one in sdk) * 1e3:.0f} of them the SDK's import")


def _over(costs: dict[str, list[Cost]], name: str, base: str) -> list[Cost]:
    """What a command takes over another one, turn by turn: that cancels what slows a whole turn."""
    pairs = zip(costs[name], costs[base], strict=True)
    return [Cost(one.wall - other.wall, one.cpu - other.cpu) for one, other in pairs]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
