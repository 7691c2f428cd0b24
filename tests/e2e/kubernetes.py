"""What tests of manifests for a cluster share: rendering, Kubernetes' own schemas, and its restricted standard."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
OURS = {"monitoring.coreos.com/v1"}
"""API versions that are no part of Kubernetes, so that it has no schema for them."""

Object = dict[str, Any]


def tool(name: str, hint: str) -> str:
    """A program of the test environment or of PATH; the test is skipped where it is in neither."""
    found = shutil.which(name, path=os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"])))
    if not found:
        pytest.skip(f"{name} is not here: {hint}")
    return found


def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs it in the repository; it must end well."""
    done = subprocess.run(list(map(str, words)), cwd=ROOT, text=True, capture_output=True, timeout=120, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def parsed(text: str) -> list[Object]:
    return [found for found in yaml.safe_load_all(text) if found]


def kustomized(folder: str | Path) -> list[Object]:
    return parsed(run(tool("kubectl", "install kubectl"), "kustomize", folder).stdout)


def check_schemas(objects: list[Object]) -> None:
    """Against the schemas that Kubernetes publishes; members that they do not know are mistakes."""
    assert objects
    for found in objects:
        if found["apiVersion"] not in OURS:
            kubernetes_validate.validate(found, "1.31", strict=True)


def check_scores(objects: list[Object]) -> None:
    """kube-score, but for what is so on purpose: no limit of CPU, images by digest, and spreading by constraints."""
    ignored = "container-image-pull-policy,deployment-has-host-podantiaffinity"
    words = ("score", "-", "--output-format=ci", "--ignore-container-cpu-limit", f"--ignore-test={ignored}")
    kube_score = tool("kube-score", "scripts/go-tools builds it where there is a Go")
    done = subprocess.run(
        [kube_score, *words], input=yaml.safe_dump_all(objects), capture_output=True, text=True, check=False
    )
    found = [line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))]
    assert (found, done.returncode) == ([], 0), done.stderr
    assert "[OK]" in done.stdout


def one(objects: list[Object], kind: str) -> Object:
    (found,) = (found for found in objects if found["kind"] == kind)
    return found


def check_restricted(pod: Object) -> None:
    """Kubernetes' "Pod Security Standards", Restricted, and more: no root to write on, and no token by itself."""
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= {"configMap", "secret", "emptyDir", "projected"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}
        assert set(container["resources"]["requests"]) == {"cpu", "memory", "ephemeral-storage"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")} == {"tmp"}
