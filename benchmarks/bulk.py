"""How long 1,000 small age-sealed manifests take in one process, against `sops decrypt` in a loop.

`python -m benchmarks.bulk [FILES] [SOPS_RUNS]`; exits 1 where the bar is missed. sops is timed on SOPS_RUNS files
(100) and extrapolated, since its cost is the start of a process per file. Needs the `dev` extra.
Bar: at least 25 × faster.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.common import KSECRET, SOPS, Bench, verdict


def main(files: int, sops_runs: int) -> int:
    """Measures, prints, and gives the exit code."""
    with tempfile.TemporaryDirectory(prefix="ks") as name:
        bench = Bench(Path(name))
        ours = bench.manifests(files)
        seal = bench.seconds([KSECRET, "encrypt", "-i", "-r", "-k", f"age:{bench.recipient}", str(ours[0].parent)])
        opened = min(bench.seconds([KSECRET, "decrypt", "-r", str(ours[0].parent)]) for _ in range(3))
        (theirs,) = bench.manifests(1)
        bench.seal_with_sops(theirs)
        loop = sum(bench.seconds([SOPS, "decrypt", str(theirs)]) for _ in range(sops_runs)) * files / sops_runs
        unseal = bench.seconds([KSECRET, "decrypt", "-i", "-r", str(ours[0].parent)])
    print(f"ksecret encrypt -i -r, {files} files: {seal:6.2f} s")
    print(f"ksecret decrypt -r,    {files} files: {opened:6.2f} s (best of 3)")
    print(f"ksecret decrypt -i -r, {files} files: {unseal:6.2f} s")
    print(f"sops decrypt in a loop, {files} files: {loop:6.2f} s (from {sops_runs})")
    return 0 if verdict("sops loop / ksecret decrypt -r", loop / opened, 25, at_least=True) else 1


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(words + [1000, 100][len(words) :])))
