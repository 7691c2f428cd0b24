"""How long `ksecret report` takes for 5,000 sealed Secrets under a policy with names.

`python -m benchmarks.report [FILES]`; exits 1 where the bar is missed (benchmarks/bars.py). Each file holds one Secret,
sealed to two of four people: that is the most work, and `check` and the chart of ages have all of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyrage

from benchmarks.bars import Verdicts, median
from benchmarks.common import KSECRET, Bench, in_memory

PEOPLE = ("ann", "bob", "cy", "dee")


def policy(own: str) -> str:
    """A policy that names somebody else beside the owner of the key, and has each folder's own rule."""
    keys = {name: str(pyrage.x25519.Identity.generate().to_public()) for name in PEOPLE}
    people = "".join(f"  {name}: {key}\n" for name, key in (keys | {"me": own}).items())
    rules = "".join(f"- {{path: '{at:03}/**', keys: [me, {PEOPLE[at % 4]}]}}\n" for at in range(5))
    return f"version: 1\npeople:\n{people}rules:\n{rules}- keys: [me]\nrotation: {{maxAge: 90d}}\n"


def main(files: int = 5000, slack: float = 1.0) -> int:
    """Measures, prints, and gives the exit code. `slack`: how many times as long as its bar it may take."""
    with in_memory() as folder:
        bench = Bench(Path(folder))
        paths = bench.manifests(files)
        root = paths[0].parent.parent
        (root / ".ksecret.yaml").write_text(policy(bench.recipient))
        bench.run([KSECRET, "encrypt", "-i", "-r", str(root)])
        told = json.loads(bench.run([KSECRET, "report", "--json", str(root)]))
        if len(told["secrets"]) != files or any(len(one["openedBy"]) != 2 for one in told["secrets"]):
            print("wrong: not every Secret is in it, with both who open it")
            return 1
        page = str(Path(folder) / "report.html")
        forms: dict[str, list[str]] = {"text": [], "--json": ["--json"], "--html": ["--html", page]}
        commands = {name: [KSECRET, "report", *words, str(root)] for name, words in forms.items()}
        costs = bench.costs(commands, 5)
    verdicts = Verdicts(slack)
    for name, each in costs.items():
        wall, cpu = median(cost.wall for cost in each), median(cost.cpu for cost in each)
        print(f"ksecret report, {name}: {files} Secrets: {wall:.2f} s, CPU {cpu:.2f} (medians of {len(each)})")
        verdicts.tell("report", (wall if slack == 1 else cpu) * 5000 / files)
    return 0 if verdicts.held else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
