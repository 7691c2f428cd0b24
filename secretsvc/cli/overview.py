"""`ksecret --help`: the commands in groups, the variables, and where there is more."""

from __future__ import annotations

from textwrap import fill

from secretsvc.cli.argparsing import help_width
from secretsvc.cli.commands import GROUPS

_VARIABLES = (
    "KSECRET_KEYS",
    "KSECRET_FORMAT",
    "KSECRET_AGE_KEY",
    "KSECRET_AGE_KEY_FILE",
    "KSECRET_AGE_PASSPHRASE",
    "KSECRET_GPG_PASSPHRASE",
    "KSECRET_SERVER",
    "KSECRET_SERVER_CA",
    "KSECRET_TOKEN",
    "KSECRET_TOKEN_FILE",
    "NO_COLOR",
)
_LAST = (
    "ksecret COMMAND --help tells more; ksecret sops takes the words of sops; ksecret --version; "
    "--debug shows tracebacks (never values)"
)


def overview() -> str:
    """The text, at the terminal's width."""
    width = help_width()
    lines = [
        "usage: ksecret COMMAND [OPTIONS] [FILE...]",
        "",
        "encrypts only the values of Kubernetes Secret manifests",
    ]
    column = max(len(name) for group in GROUPS.values() for name in group) + 4
    for title, group in GROUPS.items():
        lines += ["", f"{title}:"]
        for name, about in group.items():
            short = f" (also {', '.join(about.aliases)})" if about.aliases else ""
            text = f"  {name:{column - 2}}{about.summary}{short}"
            lines.append(fill(text, width, subsequent_indent=" " * column, break_on_hyphens=False))
    for text in (f"variables: {', '.join(_VARIABLES)}", f"docs: {_documentation()}", _LAST):
        lines += ["", fill(text, width, subsequent_indent="  ", break_on_hyphens=False)]
    return "\n".join(lines)


def _documentation() -> str:
    """Address of the documentation, as the installed distribution says."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("secretsvc").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    found = [url.partition(", ")[2] for url in urls if url.startswith("Documentation,")]
    return found[0] if found else "README.md, and docs/ beside it, in the source"
