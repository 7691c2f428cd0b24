"""deploy/argocd: the sidecar as kustomize puts it into Argo CD's Deployment, and plugin.yaml's command lines, run."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
import yaml

from secretsvc.operations.output import as_data
from tests.e2e.cli import CONFIG_MAP, MANIFEST, Person
from tests.e2e.kubernetes import ROOT, check_schemas, kustomized, one, tool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli import Ran
    from tests.e2e.kubernetes import Object

FOLDER = ROOT / "deploy" / "argocd"
PLUGIN = yaml.safe_load((FOLDER / "plugin.yaml").read_text())
MOUNTED = "/home/argocd/cmp-server/config"
"""Where the sidecar has this folder's files."""
GIVEN = {
    "ARGOCD_APP_NAME": "teams_shop",  # NAMESPACE_NAME, for an Application in a namespace that is not Argo CD's
    "ARGOCD_APP_NAMESPACE": "prod",
    "ARGOCD_APP_PROJECT_NAME": "shop",
    "KUBE_VERSION": "1.31.0",
    "KUBE_API_VERSIONS": "apps/v1,batch/v1",
}
"""What Argo CD sets for a plug-in's commands (its user guide, "Build Environment")."""
CHART = b"apiVersion: v2\nname: shop\nversion: 1.0.0\n"
TEMPLATE = (
    b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"
    b"data:\n  a: '{{ .Values.a }}'\n  of: '{{ .Release.Name }} in {{ .Release.Namespace }}'\n"
    b"  'on': '{{ .Capabilities.KubeVersion }}'\n"
)


class Sidecar:
    """Runs plugin.yaml's commands as argocd-cmp-server does: its words, in the Application's folder."""

    def __init__(self, me: Person, tmp_path: Path) -> None:
        self.me = me
        self.config = FOLDER
        self.programs = tmp_path / "renderers"
        self.programs.mkdir()
        me.environ["PATH"] = f"{self.programs}:{me.environ['PATH']}"
        me.work /= "app"
        me.work.mkdir()

    def discovers(self) -> bool:
        ran = self._run(PLUGIN["spec"]["discover"]["find"], {})
        assert ran.code == 0, ran.err  # or Argo CD tells of an error for every other folder
        return ran.out != b""

    def generates(self, **environ: str) -> list[Object]:
        ran = self._run(PLUGIN["spec"]["generate"], environ)
        assert ran.code == 0, ran.err
        return [found for found in yaml.safe_load_all(ran.out) if found]

    def refuses(self, **environ: str) -> str:
        ran = self._run(PLUGIN["spec"]["generate"], environ)
        assert ran.out == b""
        assert ran.code != 0
        return ran.err

    def _run(self, command: dict[str, Any], environ: dict[str, str]) -> Ran:
        words = [word.replace(MOUNTED, str(self.config)) for word in command["command"] + command.get("args", [])]
        program, *words = words
        return self.me.run(*words, program=program, **(GIVEN | environ))

    def has(self, name: str, script: str = "") -> None:
        """Gives it a program: the real one, or a script in its place."""
        path = self.programs / name
        if script:
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        else:
            path.symlink_to(tool(name, "scripts/go-tools builds it where there is a Go"))

    def has_kustomize(self) -> None:
        """The real one where it is; else what is built into kubectl."""
        if shutil.which("kustomize"):
            self.has("kustomize")
        else:
            self.has("kustomize", f'[ "$1" = build ] && exec {tool("kubectl", "install kubectl")} kustomize "$2"')


@pytest.fixture
def sidecar(me: Person, tmp_path: Path) -> Sidecar:
    return Sidecar(me, tmp_path)


OPENED = yaml.safe_load(as_data(MANIFEST))
PLAIN = yaml.safe_load(CONFIG_MAP)


def test_a_plain_folder_is_found_and_rendered_with_its_subfolders(sidecar: Sidecar) -> None:
    sidecar.me.write("map.yaml", CONFIG_MAP)
    assert not sidecar.discovers()
    sidecar.me.write_sealed("sub/db.yaml")
    assert sidecar.discovers()
    assert sidecar.generates() == [PLAIN, OPENED]


def test_what_kustomize_builds_is_rendered(sidecar: Sidecar) -> None:
    sidecar.has_kustomize()
    sidecar.me.write("map.yaml", CONFIG_MAP)
    sidecar.me.write_sealed("db.yaml")
    sidecar.me.write("kustomization.yaml", b"namespace: prod\nresources: [map.yaml, db.yaml]\n")
    built = sidecar.generates()
    assert one(built, "Secret")["data"] == OPENED["data"]
    assert one(built, "ConfigMap")["metadata"]["namespace"] == "prod"


def test_what_helm_templates_is_rendered_with_the_values_files_that_the_application_names(sidecar: Sidecar) -> None:
    sidecar.has("helm")
    sidecar.me.write("Chart.yaml", CHART)
    sidecar.me.write("values.yaml", b"a: from the chart\n")
    sidecar.me.write("prod/values.yaml", b"a: from the file\n")
    sidecar.me.write("templates/map.yaml", TEMPLATE)
    sidecar.me.write_sealed("templates/db.yaml")
    assert sidecar.discovers()
    built = sidecar.generates(ARGOCD_ENV_VALUES="values.yaml prod/values.yaml")
    assert one(built, "Secret")["data"] == OPENED["data"]
    assert one(built, "ConfigMap")["data"] == {"a": "from the file", "of": "shop in prod", "on": "v1.31.0"}


@pytest.mark.parametrize(
    "named",
    [
        *("--post-renderer=sh", "-f", "/identities/age.key", "../other/values.yaml", "a/../../b", "$(id)", "*"),
        *("https://evil.example/v", "values.yaml,/identities/age.key", "good.yaml --set=a=b"),
    ],
)
def test_a_values_file_is_never_an_option_an_address_or_outside_of_the_folder(sidecar: Sidecar, named: str) -> None:
    sidecar.has("helm", "echo 'kind: Started'")
    sidecar.me.write("Chart.yaml", CHART)
    sidecar.me.write("good.yaml", b"a: b\n")
    assert "is no file of this folder" in sidecar.refuses(ARGOCD_ENV_VALUES=named)


@pytest.mark.parametrize(("program", "file"), [("helm", "Chart.yaml"), ("kustomize", "kustomization.yaml")])
def test_what_a_renderer_printed_before_it_failed_is_handed_to_nobody(
    sidecar: Sidecar, program: str, file: str
) -> None:
    sidecar.has(program, "echo 'kind: Half'; echo broken >&2; exit 1")
    sidecar.me.write(file, CHART)
    assert "broken" in sidecar.refuses()


def test_what_was_copied_from_another_team_opens_for_nobody(sidecar: Sidecar) -> None:
    sidecar.me.write_sealed("db.yaml")
    assert "was sealed for prod/db" in sidecar.refuses(ARGOCD_APP_NAMESPACE="team")
    assert "the name of one namespace" in sidecar.refuses(ARGOCD_APP_NAMESPACE="")
    sidecar.has("kustomize", "cat db.yaml")
    sidecar.me.write("kustomization.yaml", b"")
    assert "was sealed for prod/db" in sidecar.refuses(ARGOCD_APP_NAMESPACE="team")


def test_a_project_with_an_identity_of_its_own_has_no_other(sidecar: Sidecar, tmp_path: Path) -> None:
    """Of /identities, which tests can't make, the place in this script alone is another."""
    identities = tmp_path / "identities"
    identities.mkdir()
    (identities / "other.age.key").write_text(str(pyrage.x25519.Identity.generate()))
    sidecar.me.write_sealed("db.yaml")
    script = (FOLDER / "generate.sh").read_text()
    sidecar.config = tmp_path / "config"
    sidecar.config.mkdir()
    (sidecar.config / "generate.sh").write_text(script.replace("/identities/", f"{identities}/"))
    assert "/identities/" in script
    both = {"KSECRET_AGE_KEY_FILE": str(sidecar.me.key_file), "XDG_CONFIG_HOME": str(tmp_path)}
    assert sidecar.generates(**both) == [OPENED]
    assert "none of the age identities" in sidecar.refuses(**both, ARGOCD_APP_PROJECT_NAME="other")


def test_links_out_of_the_folder_and_files_that_are_no_manifests_render_nothing(sidecar: Sidecar) -> None:
    sidecar.me.write_sealed("../other/db.yaml")
    sidecar.me.write("map.yaml", CONFIG_MAP)
    (sidecar.me.work / "db.yaml").symlink_to("../other/db.yaml")
    assert not sidecar.discovers()
    assert "db.yaml: a link that leads out of the folder" in sidecar.refuses()


UPSTREAM = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "argocd-repo-server"},
    "spec": {
        "selector": {"matchLabels": {"app.kubernetes.io/name": "argocd-repo-server"}},
        "template": {
            "metadata": {"labels": {"app.kubernetes.io/name": "argocd-repo-server"}},
            "spec": {
                "serviceAccountName": "argocd-repo-server",
                "automountServiceAccountToken": False,
                "initContainers": [{"name": "copyutil", "image": "argocd:latest"}],
                "containers": [{"name": "argocd-repo-server", "image": "argocd:latest"}],
                "volumes": [{"name": "var-files", "emptyDir": {}}, {"name": "plugins", "emptyDir": {}}],
            },
        },
    },
}
"""What the patch relies on in Argo CD's own manifests (manifests/base/repo-server)."""


def installed(folder: Path, *components: str) -> list[Object]:
    shutil.copytree(FOLDER, folder / "argocd")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "argocd-repo-server"}}
    (folder / "base.yaml").write_text(yaml.safe_dump_all([UPSTREAM, account]))
    made = {
        "namespace": "argocd",
        "resources": ["base.yaml"],
        "components": ["argocd", *(f"argocd/{one}" for one in components)],
        "images": [{"name": "argocd", "newTag": "v9"}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(made))
    return kustomized(folder)


def test_the_sidecar_is_what_argo_cd_asks_of_a_plug_in(tmp_path: Path) -> None:
    objects = installed(tmp_path, "pgp", "eks", "gke", "aks")
    check_schemas(objects)
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    ours = {found["name"]: found for found in pod["containers"] + pod["initContainers"] if "ksecret" in found["name"]}
    assert set(ours) == {"ksecret", "ksecret-renderers", "ksecret-pgp"}
    for container in ours.values():
        security = container["securityContext"]
        assert (security["runAsUser"], security["readOnlyRootFilesystem"]) == (999, True)
        assert (security["allowPrivilegeEscalation"], security["capabilities"]) == (False, {"drop": ["ALL"]})
    sidecar = ours["ksecret"]
    assert sidecar["command"] == ["/var/run/argocd/argocd-cmp-server"]
    assert ours["ksecret-renderers"]["image"] == "argocd:v9"
    config = one(objects, "ConfigMap")
    assert yaml.safe_load(config["data"]["plugin.yaml"]) == PLUGIN
    assert config["data"]["generate.sh"] == (FOLDER / "generate.sh").read_text()
    mounts = {mount["mountPath"]: mount["name"] for mount in sidecar["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes[mounts["/home/argocd/cmp-server/config"]]["configMap"]["name"] == config["metadata"]["name"]
    assert (mounts["/home/argocd/cmp-server/plugins"], mounts["/var/run/argocd"]) == ("plugins", "var-files")
    assert mounts["/tmp"] == "ksecret-tmp"
    assert volumes[mounts["/gnupg"]]["emptyDir"]["medium"] == "Memory"
    assert len(one(objects, "ServiceAccount")["metadata"]["annotations"]) == 3
    (theirs,) = (found for found in pod["containers"] if found["name"] == "argocd-repo-server")
    assert "volumeMounts" not in theirs
