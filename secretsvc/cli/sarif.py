"""Findings as SARIF 2.1.0 (OASIS Standard, 27 March 2020), which code hosts show beside the lines."""

from __future__ import annotations

import os
from urllib.parse import quote

from secretsvc.operations.findings import RULES, SHORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from secretsvc.operations.findings import CheckRule, Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_SEVERITIES = {"error": "error", "note": "recommendation"}
"""SARIF's levels → what GitHub calls them."""


def log(findings: Iterable[Finding], version: str, *, complete: bool) -> dict[str, Any]:
    """The whole log. `version` is ksecret's; `complete` is false where a file could not be checked."""
    driver = {"name": "ksecret", "version": version, "rules": [_rule(rule) for rule in RULES.values()]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": complete}],
        "results": [_result(finding) for finding in findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: CheckRule) -> dict[str, Any]:
    """A reportingDescriptor (section 3.49); its `properties` are what GitHub reads."""
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": f"{rule.summary}."},
        "fullDescription": {"text": f"{rule.summary}. {rule.help}"},
        "help": {"text": rule.help, "markdown": rule.help},
        "defaultConfiguration": {"level": rule.level},
        "properties": {"tags": ["security", "secrets"], "problem.severity": _SEVERITIES[rule.level]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    """A result (section 3.27)."""
    place = {"artifactLocation": _location(finding.file), "region": {"startLine": max(finding.line, 1)}}
    said = f"in commit {finding.commit[:SHORT]}: {finding.message}" if finding.commit else finding.message
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": list(RULES).index(finding.code),
        "level": RULES[finding.code].level,
        "message": {"text": said.encode("utf-8", "replace").decode()},
        "locations": [{"physicalLocation": place}],
    }
    return result | {"properties": {"commit": finding.commit}} if finding.commit else result


def _location(path: str) -> dict[str, str]:
    """A file's URI (section 3.4; RFC 3986): relative to the folder that was checked from, or absolute."""
    uri = quote(os.fsencode(path))
    return {"uri": f"file://{uri}"} if os.path.isabs(path) else {"uri": uri, "uriBaseId": "%SRCROOT%"}
