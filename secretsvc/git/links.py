"""Links that Git tracks: by `s.yaml -> s.txt` kubectl reads as a manifest what has no manifest's name."""

from __future__ import annotations

from collections import ChainMap

from secretsvc.files.workspace import is_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LINK_MODE = b"120000"
MOST_BYTES = 4096
"""Limit for a link's text: PATH_MAX."""
_MOST_HOPS = 40
"""Links in a row that are followed, as Linux does (path_resolution(7))."""


class Links:
    """Links of one or several trees, from whose top all paths count."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        """`texts`: each link's path, and the path that it holds; of several versions of one, the last counts most."""
        versions = list(dict.fromkeys(texts))
        self._texts: dict[str, str] = dict(versions)
        self._names: dict[str, dict[str, None]] = {}
        self._through: dict[str, dict[str, None]] = {}
        for path, text in versions:
            if is_manifest(path):
                target, passed = _followed(path, text, self._texts)
                if target and not is_manifest(target):
                    self._names.setdefault(target, {})[path] = None
                for link in passed:
                    self._through.setdefault(link, {})[path] = None

    def names_of(self, path: str) -> list[str]:
        """The manifests' names by which a file is read that has none itself."""
        return list(self._names.get(path, ()))

    def changed(self, link: str, text: str) -> Iterator[tuple[str, str]]:
        """Manifests' names, and the files without one that they lead to, now that this link holds that text."""
        texts = ChainMap({link: text}, self._texts)
        for name in {**({link: None} if is_manifest(link) else {}), **self._through.get(link, {})}:
            target, _ = _followed(name, texts[name], texts)
            if target and not is_manifest(target):
                yield name, target


def _followed(path: str, text: str, links: Mapping[str, str]) -> tuple[str, set[str]]:
    """The path that a link leads to, empty for one out of the tree or in circles; and the links on the way."""
    passed: set[str] = set()
    done = path.split("/")[:-1]
    waiting = text.split("/")[::-1] if not text.startswith("/") else [".."] * (len(done) + 1)
    for _ in range(_MOST_HOPS):
        while waiting and "/".join(done) not in links:
            name = waiting.pop()
            if name == ".." and not done:
                return "", passed
            if name == "..":
                done.pop()
            elif name not in ("", "."):
                done.append(name)
        link = "/".join(done)
        if link not in links:
            return link, passed
        passed.add(link)
        if links[link].startswith("/"):
            break
        done.pop()
        waiting += links[link].split("/")[::-1]
    return "", passed
