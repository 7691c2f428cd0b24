"""What MkDocs calls while it makes the site: see mkdocs.yml, and `scripts/docs`, which builds it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from mkdocs.structure.files import File
from pymdownx.slugs import slugify

import secretsvc
from packages import manpages
from secretsvc.api import openapi
from secretsvc.api.routes import batch, generate, manifest, status
from website import manual, pages, schemas

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks")
_UNDATED = "1970-01-01"
"""The day of a man page, which the site does not show."""
COMMANDS = f"{pages.MADE}commands/"


def on_config(config: MkDocsConfig) -> None:
    """Name headings' anchors as forges do, and put the commands' pages into the nav, where their overview stands."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    _below(config.nav, _commands())


def _below(nav: list[Any], commands: dict[str, str]) -> None:
    for item in nav:
        for title, inner in item.items() if isinstance(item, dict) else ():
            if title == "Commands":
                inner += [{name: page} for page, name in commands.items() if page not in inner]
            elif isinstance(inner, list):
                _below(inner, commands)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add what stands elsewhere in the repository, and what is made from the code."""
    for name, page in pages.MOVED.items():
        files.append(File.generated(config, page, content=(pages.ROOT / name).read_text()))
    for name in ("site.css", "favicon.svg"):
        files.append(File.generated(config, name, content=(pages.ROOT / "website" / name).read_text()))
    for page, text in _made().items():
        files.append(File.generated(config, page, content=text))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Change a page's links to the site's."""
    try:
        return pages.adapted(markdown, page.file.src_uri, config.repo_url)
    except LookupError as error:
        log.warning("%s", error)
        return markdown


def _manual() -> dict[str, str]:
    """The man pages by the site's page: `man1/ksecret-get.1` is `reference/commands/ksecret-get.md`."""
    made = manpages.pages(_UNDATED).items()
    return {f"{COMMANDS}{path.partition('/')[2].rpartition('.')[0]}.md": text for path, text in made}


def _commands() -> dict[str, str]:
    return {page: page.removeprefix(COMMANDS).removesuffix(".md") for page in _manual()}


def _made() -> dict[str, str]:
    policy = json.loads((pages.ROOT / "docs/ksecret-yaml.schema.json").read_text())
    service = json.loads((pages.ROOT / "docs/service.schema.json").read_text())
    about_policy = "[How it is used](../policy.md), [as JSON](../ksecret-yaml.schema.json)."
    about_service = "[How it is used](../service.md), [as JSON](../service.schema.json)."
    return {
        **{page: manual.markdown(text) for page, text in _manual().items()},
        f"{pages.MADE}library.md": _library(),
        f"{pages.MADE}http-api.md": schemas.http_api(_openapi()),
        f"{pages.MADE}policy.md": schemas.fields(".ksecret.yaml", policy, about_policy),
        f"{pages.MADE}service-configuration.md": schemas.fields("The service's configuration", service, about_service),
    }


def _library() -> str:
    """The library's public names, which mkdocstrings tells of from their docstrings, by the module they stand in."""
    text = "# Library\n\nEvery public name of `secretsvc`; [how they are used](../library.md).\n"
    for title, home in {"Functions": "library", "Keys": "keyref", "Errors": "errors"}.items():
        text += f"\n## {title}\n"
        for name in sorted(secretsvc._HOMES[home]):
            text += f"\n::: secretsvc.{home}.{name}\n"
    return text


def _openapi() -> dict[str, Any]:
    app = FastAPI(title="ksecret", version=secretsvc.__version__, openapi_url=None, docs_url=None, redoc_url=None)
    for routes in (manifest, generate, batch, status):
        app.include_router(routes.router)
    return openapi.document(app)
