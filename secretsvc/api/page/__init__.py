"""The page that the service shows to people: its files, as they go out, and what browsers are told of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = "/page/"
"""Where the page's files are, but for itself."""
HOME = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content-Security-Policy (https://www.w3.org/TR/CSP3/): no script or style but these files, and no markup out of texts
(https://www.w3.org/TR/trusted-types/)."""
HEADERS = {
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), clipboard-write=(self)",
}


@cache
def files() -> dict[str, bytes]:
    """Return what there is, by name."""
    return {path.name: path.read_bytes() for path in Path(__file__).parent.iterdir() if path.suffix in TYPES}


def paths() -> set[str]:
    """Return the path of each."""
    return {"/", *(f"{FOLDER}{name}" for name in files() if name != HOME)}
