"""Pages of the site that stand elsewhere in the repository, and links as they must be on the site.

The pages are written for a forge, which shows them as they are: links go from file to file. What differs on the site is
changed on the way there, so that no page is written for it.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

ROOT = Path(__file__).parents[1]
MOVED = {
    "README.md": "index.md",
    "docs/README.md": "contents.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "deploy/helm/ksecret/README.md": "chart.md",
}
"""Files of the repository that are pages of the site under another path."""
MADE = "reference/"
"""Where pages stand that are made from the code: no file of the repository is one."""

_BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def source(page: str) -> str:
    """Return the file of the repository that a page of the site is made from."""
    return next((file for file, moved in MOVED.items() if moved == page), f"docs/{page}")


def page_of(file: str) -> str:
    """Return the page of the site that a file or folder of the repository is, or nothing."""
    for name in (file, f"{file}/README.md"):
        if name in MOVED:
            return MOVED[name]
        if name.startswith("docs/") and name.endswith(".md") and (ROOT / name).is_file():
            return name.removeprefix("docs/")
    return ""


def adapted(text: str, page: str, forge: str) -> str:
    """Return a page's text with the site's links, and in MkDocs' Markdown: `forge` leads to files that are no pages."""
    parts = _BLOCK.split(text)
    return "".join(part if part.startswith("```") else _prose(part, page, forge) for part in parts)


def _prose(text: str, page: str, forge: str) -> str:
    linked = _LINK.sub(lambda link: f"]({target(link[1], page, forge)})", text)
    plain = re.sub(r"`[^`\n]+`", lambda code: code[0].replace(r"\|", "|"), linked)
    return _apart(plain)


def _apart(text: str) -> str:
    """Put an empty line before each list: forges need none."""
    lines: list[str] = []
    in_list = False
    for line in text.split("\n"):
        if _ITEM.match(line) and not in_list and lines and lines[-1]:
            lines.append("")
        in_list = bool(_ITEM.match(line)) or (in_list and line.startswith("  "))
        lines.append(line)
    return "\n".join(lines)


def target(link: str, page: str, forge: str) -> str:
    """Return where a link of a page leads on the site. Raises LookupError for one that leads to no file."""
    path, _, heading = link.partition("#")
    if not path or re.match(r"[a-z]+:", link) or page.startswith(MADE):
        return link
    file = normpath(join(dirname(source(page)), path))
    anchor = f"#{heading}" if heading else ""
    if to := page_of(file):
        return relpath(to, dirname(page) or ".") + anchor
    if not (ROOT / file).exists():
        raise LookupError(f"{source(page)}: {link} leads to nothing")
    if file.startswith("docs/") and (ROOT / file).is_file():
        return relpath(file.removeprefix("docs/"), dirname(page) or ".")
    return f"{forge}/{'tree' if (ROOT / file).is_dir() else 'blob'}/main/{file}{anchor}"
