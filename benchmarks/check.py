"""How long `ksecret check` takes for 5,000 YAML files, one in ten of them a Secret.

`python -m benchmarks.check [FILES]`; exits 1 where the bar is missed (benchmarks/bars.py). Half of the Secrets are
sealed, the others in the clear; the rest is what stands in such repositories: Deployments that name Secrets,
ConfigMaps, ExternalSecrets, CRDs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.bars import READ, Verdicts, median
from benchmarks.common import KSECRET, MANIFEST, PYTHON, Bench, in_memory

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app-{number}, namespace: prod}}
spec:
  template:
    spec:
      imagePullSecrets: [{{name: pull}}]
      containers:
        - name: app
          image: app:{number}
          env:
            # The password is in a Secret
            - name: PASSWORD
              valueFrom: {{secretKeyRef: {{name: bench-{number}, key: password}}}}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c-{number}\ndata:\n  a: b\n"
EXTERNAL = """\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {{name: e-{number}}}
spec:
  target: {{name: e-{number}, creationPolicy: Owner}}
"""
CRD_PROPERTY = """\
            field{at}:
              description: Names the Secret that holds the password of number {at}. The Secret
                is read at every start.
              type: string
"""


def plain(number: int) -> str:
    """A manifest that is no Secret."""
    if number % 500 == 1:
        head = f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: d-{number}\n"
        return f"{head}spec:\n          properties:\n" + "".join(CRD_PROPERTY.format(at=at) for at in range(2000))
    return (DEPLOYMENT, CONFIG_MAP, EXTERNAL)[number % 3].format(number=number)


def tree(bench: Bench, files: int) -> Path:
    """A folder with that many manifests, a hundred to a subfolder."""
    root = bench.folder / "tree"
    secrets = []
    for number in range(files):
        path = root / f"team-{number // 100:02}" / f"{number:04}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plain(number) if number % 10 else MANIFEST.format(number=number))
        if not number % 10:
            secrets.append(path)
    bench.seal_with_ksecret(*secrets[::2])
    return root


_READ = "import pathlib, sys; [path.read_text() for path in pathlib.Path(sys.argv[1]).rglob('*.yaml')]"
"""What any program has to do with the tree, by Python."""


def main(files: int = 5000, slack: float = 1.0) -> int:
    """Measures, prints, and gives the exit code.

    `slack`: how many times as long as its bar it may take, and longer where files are read slowly, as tests want it.
    """
    with in_memory() as folder:
        bench = Bench(Path(folder))
        root = str(tree(bench, files))
        command = [KSECRET, "check", root]
        done = subprocess.run(command, env=bench.environ, capture_output=True, text=True)
        found = len(done.stdout.splitlines())
        if (done.returncode, found) != (1, files // 20):
            print(f"wrong: exit code {done.returncode}, {found} findings")
            return 1
        costs = [bench.once(command, code=1) for _ in range(5)]
        reading = median(bench.once([PYTHON, "-I", "-c", _READ, root]).cpu for _ in range(5)) * 5000 / files
    megabytes = sum(len(plain(number)) for number in range(files) if number % 10) / 1e6
    wall, cpu = median(cost.wall for cost in costs), median(cost.cpu for cost in costs)
    print(f"ksecret check: {files} files ({megabytes:.1f} MB): {wall:.2f} s, CPU {cpu:.2f} (medians of {len(costs)})")
    print(f"Python reads them in {reading:.2f} s of CPU")
    verdicts = Verdicts(slack)
    if slack == 1:
        verdicts.tell("check", wall * 5000 / files)
    else:
        verdicts.tell("check", cpu * 5000 / files, max(1.0, reading / READ))
    return 0 if verdicts.held else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
