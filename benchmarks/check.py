"""How long `ksecret check` takes for 5,000 YAML files, one in ten of them a Secret.

`python -m benchmarks.check [FILES]`; exits 1 where the bar is missed. Half of the Secrets are sealed, the others in the
clear; the rest is what stands in such repositories: Deployments that name Secrets, ConfigMaps, ExternalSecrets, CRDs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import KSECRET, MANIFEST, Bench, verdict

BAR = 5.0
"""Seconds, on two cores."""

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


def main(files: int = 5000, bar: float = BAR) -> int:
    """Measures, prints, and gives the exit code."""
    with tempfile.TemporaryDirectory(prefix="ks") as folder:
        bench = Bench(Path(folder))
        root = tree(bench, files)
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            done = subprocess.run([KSECRET, "check", str(root)], env=bench.environ, capture_output=True, text=True)
            taken.append(time.perf_counter() - start)
            found = len(done.stdout.splitlines())
            if (done.returncode, found) != (1, files // 20):
                print(f"wrong: exit code {done.returncode}, {found} findings")
                return 1
    megabytes = sum(len(plain(number)) for number in range(files) if number % 10) / 1e6
    print(f"ksecret check: {files} files ({megabytes:.1f} MB): {min(taken):.2f} s (best of 3)")
    return 0 if verdict(f"seconds for {files} files", min(taken), bar) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
