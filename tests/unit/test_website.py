"""The site of docs/: that every page is in it, and what pages are made into. `scripts/nightly` builds it."""

from __future__ import annotations

import json
import re
from posixpath import normpath
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from packages import manpages
from website import manual, pages, schemas, self_contained

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGE = "https://git.example.org/tools/ksecret"
IN_DOCS = sorted(str(path.relative_to(pages.ROOT / "docs")) for path in pages.ROOT.glob("docs/**/*.md"))


def in_nav(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for item in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from in_nav(item)


def test_every_page_is_in_the_nav_and_in_the_index_of_docs() -> None:
    config = yaml.safe_load((pages.ROOT / "mkdocs.yml").read_text())
    nav = [page for page in in_nav(config["nav"]) if not page.startswith(pages.MADE)]
    there = {*pages.MOVED.values(), *IN_DOCS} - {"README.md"}
    assert there - set(nav) == set(), "a new page has its place in the nav of mkdocs.yml"
    assert set(nav) - there == set()
    assert len(nav) == len(set(nav))
    index = set(re.findall(r"\]\(([^)#]+)", (pages.ROOT / "docs/README.md").read_text()))
    listed = {page for page in IN_DOCS if not page.startswith("adr/")} - {"README.md"}
    assert listed - index == set(), "docs/README.md has a line for each page"


def test_the_night_builds_it_and_each_warning_counts() -> None:
    """MkDocs counts the warnings that it shows: with `--quiet` a strict build ends with 0 whatever is wrong."""
    script = (pages.ROOT / "scripts/docs").read_text()
    assert re.findall(r"(?m)^\S+ -m mkdocs (.*?)(?: #.*)?$", script) == ["build --strict"]
    assert "scripts/docs" in (pages.ROOT / "scripts/nightly").read_text()


@pytest.mark.parametrize("page", [*pages.MOVED.values(), *(page for page in IN_DOCS if page != "README.md")])
def test_every_link_leads_to_a_page_of_the_site_or_into_the_repository(page: str) -> None:
    text = pages.adapted((pages.ROOT / pages.source(page)).read_text(), page, FORGE)
    pictures = {f"images/{path.name}" for path in pages.ROOT.glob("docs/images/*.png")}
    known = {*pages.MOVED.values(), *IN_DOCS, *pictures, "ksecret-yaml.schema.json", "service.schema.json"}
    for link in re.findall(r"\]\(([^)\s#]+)", re.sub(r"(?ms)^```.*?^```$", "", text)):
        there = normpath(f"{page}/../{link}")
        assert link.startswith("https://") or there in known, link


@pytest.mark.parametrize(
    ("page", "link", "leads"),
    [
        ("index.md", "docs/git.md#merge", "git.md#merge"),
        ("backends/age.md", "../../SECURITY.md", "../security.md"),
        ("library.md", "README.md#keys", "contents.md#keys"),
        ("contents.md", "adr/", "adr/README.md"),
        ("contents.md", "service.schema.json", "service.schema.json"),
        ("service.md", "../deploy/helm/ksecret", "chart.md"),
        ("rotation.md", "../deploy/rotate", f"{FORGE}/tree/main/deploy/rotate"),
        ("chart.md", "values.yaml#L3", f"{FORGE}/blob/main/deploy/helm/ksecret/values.yaml#L3"),
        ("index.md", "#install", "#install"),
        ("index.md", "https://semver.org", "https://semver.org"),
    ],
)
def test_a_link_of_the_repository_is_one_of_the_site(page: str, link: str, leads: str) -> None:
    assert pages.adapted(f"See [it]({link}).", page, FORGE) == f"See [it]({leads})."


def test_a_link_to_nothing_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"docs/git\.md: no-such\.md leads to nothing"):
        pages.adapted("[it](no-such.md)", "git.md", FORGE)


def test_lists_and_pipes_are_as_mkdocs_reads_them_and_blocks_stay() -> None:
    text = "These:\n- one\n  more\n- two `a\\|b`\n\n```sh\nx:\n- [a](b.md)\n```\n"
    wanted = "These:\n\n- one\n  more\n- two `a|b`\n\n```sh\nx:\n- [a](b.md)\n```\n"
    assert pages.adapted(text, "git.md", FORGE) == wanted


def test_every_man_page_is_a_page_without_a_word_of_roff() -> None:
    found = {path: manual.markdown(text) for path, text in manpages.pages("2026-01-01").items()}
    assert len(found) > 25
    for path, text in found.items():
        prose = re.sub(r"(?ms)^```.*?^```$", "", text)
        assert text.startswith("# ksecret"), path
        assert not re.search(r"(?m)^\.[A-Z]{2}|\\f[BIR]|\\\(|\\\[u|\\&", prose), path
        named = {path.partition("/")[2].rpartition(".")[0] for path in found}
        assert set(re.findall(r"\]\(([^)]+)\.md\)", prose)) <= named, path
    assert "`-k` *KEYREF*, `--key` *KEYREF*\n:   " in found["man1/ksecret-encrypt.1"]
    assert "[`ksecret.yaml`(5)](ksecret.yaml.md)" in found["man1/ksecret-encrypt.1"]


def test_a_macro_that_man_pages_did_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the macro \.TQ is not known here"):
        manual.markdown(".TH KSECRET 1\n.TQ\n")


@pytest.mark.parametrize("name", ["ksecret-yaml", "service"])
def test_the_schemas_pages_have_a_row_for_each_field(name: str) -> None:
    schema = json.loads((pages.ROOT / f"docs/{name}.schema.json").read_text())
    page = schemas.fields("it", schema, "")
    parts = [schema, *schema.get("definitions", {}).values(), *schema.get("$defs", {}).values()]
    for field in (field for part in parts for field in part.get("properties", {})):
        assert f"| `{field}`" in page, field
    assert len({row.count(" | ") for row in page.splitlines() if row.startswith("|")}) == 1


def test_the_http_apis_page_tells_paths_parameters_bodies_and_answers() -> None:
    operation = {
        "description": "Opens it.",
        "parameters": [{"name": "kind", "in": "query", "schema": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}}],
        "requestBody": {"content": {"application/yaml": {"schema": {"type": "string"}}}, "description": "A manifest"},
        "responses": {"200": {"description": "It", "headers": {"X-It": {"description": "how many"}}}},
    }
    document = {
        "info": {"description": "About.", "version": "1"},
        "components": {"schemas": {"Problem": {"properties": {"line": {"type": "integer", "minimum": 1}}}}},
        "paths": {"/v1/decrypt": {"post": operation}},
    }
    page = schemas.http_api(document)
    assert "## POST /v1/decrypt\n\nOpens it." in page
    assert "| `kind` | query | `a` or `b` or null |" in page
    assert "**Body** (`application/yaml`): A manifest" in page
    assert "| `200` | It | `X-It`: how many |" in page
    assert "| `line` | integer | at least 1 |" in page


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example.org/a.js"></script>'),
        ("a.html", "<SCRIPT SRC=//cdn.example.org/a.js></SCRIPT>"),
        ("a.html", '<link rel="preconnect" href="https://fonts.example.org">'),
        ("a.html", '<link rel="stylesheet" href="http://fonts.example.org/a.css">'),
        ("a.html", '<img src="https://badges.example.org/a.svg">'),
        ("a.html", '<p style="background: url(https://a.example.org/a.png)">'),
        ("a.html", "<style>@import 'https://a.example.org/a.css';</style>"),
        ("a.css", '@font-face { src: url("https://fonts.example.org/a.woff2") }'),
    ],
)
def test_what_a_browser_would_load_from_another_host_is_found(name: str, text: str) -> None:
    assert len(self_contained.fetched(name, text)) == 1


def test_links_and_own_files_are_nothing_that_is_loaded() -> None:
    text = '<link rel="next" href="https://a.example.org"><a href="https://a.example.org">a</a><img src="a.png">'
    assert self_contained.fetched("a.html", text) == []
    assert self_contained.fetched("a.css", "@font-face { src: url(data:font/woff2;base64,AA) }") == []
