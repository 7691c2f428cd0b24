"""Other programs: where they are found, and the environment that they get.

Whoever starts one takes both from here. tests/e2e/test_programs.py walks through every place that does, and gives each
of them words that would be options.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS = "KSECRET_"
"""Beginning of the names of ksecret's own variables: identities, passphrases, tokens, settings, and whatever comes."""

_OF_OTHERS = frozenset(("SOPS_AGE_KEY",))
"""Variables of other programs' that ksecret reads keys from: they open the same files."""

_NO_SECRET = frozenset(
    _OURS + name
    for name in (
        "AGE_KEY_FILE",  # a path, and so are the next two: who may read what they name can do so without them
        "TOKEN_FILE",
        "FILES",
        "SERVER",
        "SERVER_CA",
        "SERVER_CERT",
        "SERVER_KEY",
        "SERVER_INSECURE",
        "TOKEN_AUDIENCE",
        "KEYS",
        "FORMAT",
        "GCP_KMS_ENDPOINT",
        "AZURE_ADDRESSES",
        "VAULT_ADDRESSES",
        "AGE_PLUGINS",
        "LOAD_RESTRICTOR",
    )
)
"""Variables for programs that call ksecret again: names, addresses and paths."""


def environment(environ: Mapping[str, str], *, calls_ksecret: bool = False) -> dict[str, str]:
    """Return the environment of a program that is started from one with `environ`, without what opens our files.

    With `calls_ksecret`, which the user's own commands may do, settings that are no secrets stay. A new variable is
    kept from everybody until it is named above.
    """
    kept = _NO_SECRET if calls_ksecret else frozenset()
    return {
        name: text
        for name, text in environ.items()
        if (not name.startswith(_OURS) or name in kept) and name not in _OF_OTHERS
    }


def find(name: str, environ: Mapping[str, str]) -> str:
    """The path of a program by its name; empty where no folder of PATH has it.

    Relative folders of PATH are passed over: they would run whatever lies in a repository that is checked out.
    """
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""
