"""JSON Schemas and the service's OpenAPI document as Markdown: tables that are read and searched without a script."""

from __future__ import annotations

import json
from typing import Any

Schema = dict[str, Any]


def fields(title: str, schema: Schema, about: str) -> str:
    """Return a page about a file that a schema describes: a table of its fields, and one for each of its parts."""
    text = f"# {title}\n\n{about}\n\n{_table(schema)}"
    for name, part in {**schema.get("definitions", {}), **schema.get("$defs", {})}.items():
        text += f"\n## {name}\n\n{part.get('description', '')}\n\n{_table(part)}"
    return text


def http_api(document: Schema) -> str:
    """Return a page of every path of an OpenAPI 3.1 document."""
    info, schemas = document["info"], document["components"]["schemas"]
    text = f"# HTTP API\n\n{info['description']} Version {info['version']}; [how it is used](../api.md). "
    text += "`GET /openapi.json` of a service is the document that this page is made from.\n"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            text += f"\n## {method.upper()} {path}\n\n{operation.get('description', '')}\n\n"
            text += _parameters(operation.get("parameters", [])) + _body(operation.get("requestBody"))
            text += _answers(operation["responses"])
    for name, schema in schemas.items():
        text += f"\n## {name}\n\n{schema.get('description', '')}\n\n{_table(schema)}"
    return text


def _parameters(parameters: list[Schema]) -> str:
    rows = [(f"`{one['name']}`", one["in"], _kind(one["schema"]), _said(one["schema"] | one)) for one in parameters]
    return f"{_rows(('parameter', 'in', 'type', 'what it is'), rows)}\n" if rows else ""


def _body(body: Schema | None) -> str:
    if not body:
        return ""
    kinds = ", ".join(f"`{media}`" for media in body["content"])
    text = f"**Body** ({kinds}): {body.get('description', '')}\n\n"
    for content in body["content"].values():
        if "properties" in content["schema"]:
            return text + _table(content["schema"]) + "\n"
    return text


def _answers(answers: dict[str, Schema]) -> str:
    rows = [(f"`{status}`", one["description"], _headers(one)) for status, one in sorted(answers.items())]
    return _rows(("answer", "what it means", "headers"), rows)


def _headers(answer: Schema) -> str:
    return "<br>".join(f"`{name}`: {one['description']}" for name, one in answer.get("headers", {}).items())


def _table(schema: Schema) -> str:
    rows = list(_fields(schema, ""))
    return _rows(("field", "type", "what it is"), rows) if rows else f"{_kind(schema)}\n"


def _fields(schema: Schema, above: str) -> list[tuple[str, str, str]]:
    """One row for a field, and those of its own fields below it."""
    found = []
    for name, one in schema.get("properties", {}).items():
        needed = " (needed)" if name in schema.get("required", []) else ""
        found.append((f"`{above}{name}`{needed}", _kind(one), _said(one)))
        found += _fields(one, f"{above}{name}.")
    return found


def _kind(schema: Schema) -> str:
    """What a value may be, in a few words."""
    if either := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(dict.fromkeys(map(_kind, either)))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{json.dumps(one).strip(chr(34))}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {_kind(schema['additionalProperties'])}"
    return str(schema.get("$ref", "").rpartition("/")[2] or schema.get("format") or schema.get("type") or "any")


def _said(schema: Schema) -> str:
    """What is told of a value, with its default and its bounds."""
    told = [schema.get("description", "")]
    told += [f"{word} {schema[name]}" for name, word in _BOUNDS.items() if name in schema]
    if schema.get("default") not in (None, "", [], {}):
        told.append(f"default `{json.dumps(schema['default'])}`")
    return "; ".join(filter(None, told))


_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "maxLength": "characters at most:",
    "maxItems": "items at most:",
}


def _rows(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in lines)


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("\n", " ")
