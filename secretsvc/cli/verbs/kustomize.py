"""`ksecret kustomize`."""

from __future__ import annotations

import os
import sys

from secretsvc.cli.report import printable
from secretsvc.errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

PROGRAM = "ksecret-krm"

PLACE = os.path.join("ksecret.dev", "v1alpha1", "ksecretgenerator", "KsecretGenerator")
"""Path of a legacy plugin in kustomize's plugin folder: group, version, kind in small letters, kind."""

EXAMPLES = """\
  ksecret kustomize install
  kubectl kustomize --enable-alpha-plugins overlays/prod | kubectl apply --server-side -f -"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("what", choices=["install"], help="put a link to ksecret-krm where kustomize looks for plugins")


def run(_args: Arguments) -> int:
    """Puts the link there; the exit code."""
    target = _program()
    link = os.path.join(_plugin_home(), PLACE)
    try:
        if os.path.lexists(link):
            if not os.path.islink(link) or os.path.basename(os.readlink(link)) != PROGRAM:
                raise FileError("something else is there already", hint="remove it and run again", file=link)
            os.unlink(link)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(target, link)
    except OSError as error:
        raise FileError(f"the link can't be made: {error.strerror}", file=link) from error
    print(printable(f"{link} -> {target}"))
    return 0


def _program() -> str:
    """`ksecret-krm` beside the program that runs. Raises FileError."""
    from shutil import which

    found = which(PROGRAM, path=os.path.dirname(os.path.abspath(sys.argv[0]))) or which(PROGRAM)
    if not found:
        raise FileError(f"{PROGRAM} is not installed beside ksecret", hint="install secretsvc again with pip or pipx")
    return os.path.abspath(found)


def _plugin_home() -> str:
    """Folder of plugins, as kustomize finds it (kubectl.docs.kubernetes.io/guides/extending_kustomize/exec_plugins)."""
    home = os.environ.get("HOME") or os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return os.environ.get("KUSTOMIZE_PLUGIN_HOME") or os.path.join(config, "kustomize", "plugin")
