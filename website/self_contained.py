"""Looks at a built site, `python -m website.self_contained site`: whether a browser would ask another host.

The exit code is 1 if it would, and each place is told; else the links are listed that people may follow.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

_FETCHED = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "audio": ("src",),
    "video": ("src", "poster"),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}
"""Attributes whose address a browser loads by itself."""
_NOT_FETCHED = {"canonical", "next", "prev", "alternate", "author", "license"}
_OUTSIDE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_IN_STYLES = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s;]+)", re.IGNORECASE)


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and _OUTSIDE.match(given.get("href", "")):
            self.links.append(given["href"])
        if tag == "link" and set(given.get("rel", "").split()) <= _NOT_FETCHED:
            return
        self.fetched += [given[name] for name in _FETCHED.get(tag, ()) if _OUTSIDE.match(given.get(name, ""))]
        self.fetched += _IN_STYLES.findall(given.get("style", ""))


def fetched(name: str, text: str) -> list[str]:
    """Return the addresses of other hosts that a browser loads with this file, by its name `.html` or `.css`."""
    if name.endswith(".css"):
        return _IN_STYLES.findall(text)
    styles = "".join(re.findall(r"<style.*?</style>", text, re.DOTALL))
    return _read(text).fetched + _IN_STYLES.findall(styles)


def _read(text: str) -> _Html:
    html = _Html()
    html.feed(text)
    return html


def main(site: Path) -> int:
    """Look at each file of a site; the exit code."""
    files = {path: path.read_text() for path in sorted(site.rglob("*")) if path.suffix in (".html", ".css")}
    wrong = [f"{path}: loads {one}" for path, text in files.items() for one in fetched(path.name, text)]
    if wrong or not files:
        print("\n".join(wrong) or f"{site} has no page", file=sys.stderr)
        return 1
    html = [text for path, text in files.items() if path.suffix == ".html"]
    links = {link.partition("#")[0] for text in html for link in _read(text).links}
    print(f"{len(files)} files load nothing from other hosts. Links out of the site, which nobody has followed:")
    print("\n".join(sorted(links)))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
