"""How long one `ksecret decrypt` of a small Secret takes as a whole process, against Python itself, sops and gpg.

`python -m benchmarks.cold_start [RUNS]`; exits 1 where a bar is missed. Needs the `dev` extra (sops) and gpg. sops is
the executable inside its wheel: the wheel's console script is a Python that starts it, which doubles what sops takes.
Bars: age, at most 6 × `python -I -c pass` and at most 4.5 × `sops decrypt` of the same Secret;
PGP, at most 2.5 × `gpg -d` of the wrapped DEK plus the cold start with age.
Figures are medians of RUNS runs, all commands in turn; what PGP takes over age is the median of each turn's difference,
which cancels what slows a whole turn.
For the KMSs it tells what the import of the SDK costs and what is left for client and call; servers are the tests' own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from base64 import b64decode
from contextlib import ExitStack
from pathlib import Path

import yaml

from benchmarks.bulk import ARN, RESOURCE, server
from benchmarks.common import KSECRET, PYTHON, Bench, verdict

PGP_KEYS = {"rsa3072": ("rsa3072", "rsa3072"), "cv25519": ("ed25519", "cv25519")}
"""Algorithms of the primary key and of its encryption subkey."""

SDKS = {"aws": "boto3.session", "gcp": "google.cloud.kms_v1"}
"""What a KMS decrypt imports beside our own modules."""


def main(runs: int, *, kms: bool = True) -> int:
    """Measures, prints, and gives the exit code. `kms`: the KMSs too, which have no bar."""
    with tempfile.TemporaryDirectory(prefix="ks") as name:
        bench = Bench(Path(name))
        ours, theirs, aws, gcp, *for_pgp = bench.manifests(4 + len(PGP_KEYS))
        bench.seal_with_ksecret(ours)
        bench.seal_with_sops(theirs, "--age", bench.recipient)
        commands = {
            "python": [PYTHON, "-I", "-c", "pass"],
            "age": [KSECRET, "decrypt", str(ours)],
            "sops": [bench.sops, "decrypt", str(theirs)],
        }
        bench.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        (bench.folder / "gnupg").mkdir(mode=0o700)
        bench.environ["GNUPGHOME"] = str(bench.folder / "gnupg")
        with ExitStack() as stack:
            stack.callback(subprocess.run, ["gpgconf", "--kill", "all"], env=bench.environ, check=False)
            for path, (algorithm, how) in zip(for_pgp, PGP_KEYS.items(), strict=True):
                commands |= _pgp_commands(bench, path, algorithm, how)
            if kms:
                commands |= _kms_commands(bench, stack, aws, gcp)
            times = bench.times(commands, runs)
    return 0 if _report(times) else 1


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


def _kms_commands(bench: Bench, stack: ExitStack, aws: Path, gcp: Path) -> dict[str, list[str]]:
    """Opening a Secret with each of the KMSs, which run as long as the stack, and the import of its SDK."""
    stack.enter_context(server(bench, "tests.emulators.aws", "--stub"))
    stack.enter_context(server(bench, "tests.emulators.gcp", "--key", RESOURCE))
    commands = {}
    for name, path, key in (("aws", aws, ARN), ("gcp", gcp, RESOURCE)):
        bench.seal_with_ksecret(path, key=f"{name}:{key}")
        commands[name] = [KSECRET, "decrypt", str(path)]
        commands[f"{name} SDK"] = [PYTHON, "-I", "-c", f"import os, {SDKS[name]}; os._exit(0)"]
    return commands


def _report(times: dict[str, list[float]]) -> bool:
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, seconds in medians.items():
        print(f"{name:12} {seconds * 1000:7.1f} ms (median; the fastest {min(times[name]) * 1000:.1f})")
    age = medians["age"]
    held = [
        verdict("age decrypt / python -I -c pass", age / medians["python"], 6),
        verdict("age decrypt / sops decrypt", age / medians["sops"], 4.5),
    ]
    for algorithm in PGP_KEYS:
        over = statistics.median(ours - base for ours, base in zip(times[algorithm], times["age"], strict=True))
        name = f"({algorithm} decrypt - age decrypt) / gpg -d"
        held.append(verdict(name, over / medians[f"gpg {algorithm}"], 2.5))
    for kms in sorted(SDKS.keys() & medians):
        over, sdk = medians[kms] - age, medians[f"{kms} SDK"] - medians["python"]
        print(
            f"{kms}: {over * 1000:.0f} ms over age: {sdk * 1000:.0f} import, {(over - sdk) * 1000:.0f} client and call"
        )
    return all(held)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 21))
