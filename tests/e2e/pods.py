"""What a kubelet makes of a pod with one container, without an engine: its command as a process of this machine.

The container's paths lead to folders here: each mounted volume is one, and what names a path in it, in the command or
the environment, names the file there.
"""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.e2e.kubernetes import Object

INDEX = "batch.kubernetes.io/job-completion-index"
"""The annotation that tells a pod of an Indexed Job which one it is, as JOB_COMPLETION_INDEX does."""


class Cluster:
    """What pods take from a cluster: ConfigMaps and Secrets by name, each with its values by key, written to `folder`.

    `here`: what the machine itself gives every process. Tokens of service accounts are the text `token`.
    """

    def __init__(
        self, folder: Path, values: Mapping[str, Mapping[str, str]], token: str, here: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.values = values
        self.token = token
        self.here = dict(here)
        self.started = 0

    def start(self, pod: Object, index: int) -> Pod:
        """A pod of an Indexed Job, by its template's `spec`."""
        (container,) = pod["containers"]
        self.started += 1
        place = self.folder / f"pod-{self.started}"
        volumes = {volume["name"]: self._volume(volume, place) for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: str(volumes[mount["name"]]) for mount in container["volumeMounts"]}
        environ = self._environ(container) | {"JOB_COMPLETION_INDEX": str(index)}
        environ = {name: _led(text, mounts) for name, text in environ.items()}
        words = [_led(word, mounts) for word in container["command"]]
        return Pod(index, words, self.here | environ | {"TMPDIR": mounts["/tmp"]}, place)

    def _environ(self, container: Object) -> dict[str, str]:
        environ: dict[str, str] = {}
        for source in container["envFrom"]:
            environ |= self.values[source["configMapRef"]["name"]]
        for one in container["env"]:
            if "value" in one:
                environ[one["name"]] = one["value"]
            elif ref := one["valueFrom"].get("secretKeyRef"):  # else what the Job's controller adds: its index
                environ[one["name"]] = self.values[ref["name"]][ref["key"]]
        return environ

    def _volume(self, volume: Object, place: Path) -> Path:
        made = place / volume["name"]
        made.mkdir(parents=True)
        if "configMap" in volume:
            for key, text in self.values[volume["configMap"]["name"]].items():
                (made / key).write_text(text)
        for source in volume.get("projected", {}).get("sources", ()):
            (made / source["serviceAccountToken"]["path"]).write_text(self.token)
        return made


def _led(text: str, mounts: Mapping[str, str]) -> str:
    """Name the file here where the text is a path in the container."""
    for inside, outside in mounts.items():
        if text.startswith(f"{inside}/"):
            return outside + text[len(inside) :]
    return text


class Pod:
    """A running container: a session of processes, which end together."""

    def __init__(self, index: int, words: list[str], environ: dict[str, str], place: Path) -> None:
        self.index = index
        self._log = place / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                words, env=environ, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """As the kernel does where memory is short, or a node that goes away."""
        os.killpg(self._process.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """The exit code as Kubernetes states it; None before the end."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def wait(self) -> int:
        self._process.wait(150)
        code = self.poll()
        assert code is not None
        return code
