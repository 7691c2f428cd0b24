"""The configuration's schema, variables and lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from secretsvc.api.settings import Algorithm, Config
from secretsvc.api.settings_reader import MistakesError, names, read

DOCS = Path(__file__).parents[3] / "docs"
SOUND = b"version: 1\naudit: {stdout: true}\n"


def mistakes(data: bytes, **environ: str) -> list[str]:
    with pytest.raises(MistakesError, match="mistakes") as caught:
        read(data, "f.yaml", environ)
    return [f"{one.where}: {one.message}" for one in caught.value.found]


def test_the_published_schema_is_what_the_service_takes() -> None:
    published = json.loads((DOCS / "service.schema.json").read_text())
    assert published == Config.model_json_schema(by_alias=True), "run scripts/service-schema"


def test_every_variable_is_in_the_operators_guide() -> None:
    guide = (DOCS / "service.md").read_text()
    assert [name for name in names() if name not in guide] == []


def test_the_guides_example_is_sound() -> None:
    guide = (DOCS / "service.md").read_text()
    example = guide.split("```yaml\n")[1].split("```")[0]
    config = read(example.encode(), "service.md", {})
    assert config.rules
    assert config.issuers


def test_a_sound_one_has_defaults() -> None:
    config = read(SOUND, "f.yaml", {})
    assert (config.listen.host, config.listen.port) == ("127.0.0.1", 8200)
    assert config.limits.body_bytes == 4 * 1024 * 1024
    assert config.rules == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nversion: 1\n", "f.yaml:2: a key that is there twice"),
        ("version: 1\n- a\n", "f.yaml:2: not valid YAML"),
        ("- a\n", "f.yaml:1: a configuration is one YAML mapping"),
        ("version: 1\n---\nversion: 1\n", "f.yaml:1: a configuration is one YAML mapping"),
        ("version: 1\nlisten: !x {}\n", "f.yaml:2: a tag"),
        ("version: 1\nlisten: &a {host: *a}\n", "f.yaml:2: an alias inside what it stands for"),
        ("version: 1\nlisten: {host: !x y}\n", "f.yaml:2: a tag"),
        ("version: 1\nlisten:\n  port: '8200'\n", "f.yaml:3: listen.port: Input should be a valid integer"),
        ("version: 1\nlisten:\n  port: 70000\n", "f.yaml:3: listen.port: Input should be less"),
        ("version: 1\nlimits:\n  backendSeconds: 0\n", "f.yaml:3: limits.backendSeconds: Input should be greater"),
        ("version: 1\nwithoutCaller: [encrypt]\n", "f.yaml:2: withoutCaller[0]: Input should be 'metrics' or 'docs'"),
        ("audit: {stdout: true}\n", "f.yaml:1: version: it is missing"),
        (
            "version: 1\nrules:\n- callers: [{token: a}]\n  operations: [inspect]\n  namespaces: [a]\n  names: [a]\n",
            "f.yaml:3: rules[0].callers[0]: a rule names a token or an issuer that is not there",
        ),
    ],
)
def test_mistakes_have_lines(text: str, said: str) -> None:
    assert any(one.startswith(said) for one in mistakes(text.encode())), mistakes(text.encode())


def test_not_utf8() -> None:
    assert mistakes(b"version: 1\na: \xff\n") == ["f.yaml:2: not UTF-8 text"]


def test_paths_start_at_the_files_folder() -> None:
    text = b"""version: 1
listen: {tlsCert: tls/a.crt, tlsKey: /b.key}
issuers:
  - {name: a, issuer: "https://a", audience: a, jwksFile: jwks.json}
  - {name: b, issuer: "https://b", audience: b, caFile: ca}
keyRules: ../rules.yaml
audit: {file: log}
"""
    config = read(text, "/etc/ksecret/f.yaml", {})
    assert (config.listen.tls_cert, config.listen.tls_key) == ("/etc/ksecret/tls/a.crt", "/b.key")
    assert [one.jwks_file + one.ca_file for one in config.issuers] == ["/etc/ksecret/jwks.json", "/etc/ksecret/ca"]
    assert (config.key_rules, config.audit.file) == ("/etc/ksecret/../rules.yaml", "/etc/ksecret/log")


def test_variables_override_scalars_and_are_all_known() -> None:
    environ = {"KSECRET_SERVE_LISTEN_PORT": "1234", "KSECRET_SERVE_AUDIT_FILE": "12", "KSECRET_KEYS": "other"}
    config = read(SOUND, "f.yaml", environ)
    assert (config.listen.port, config.audit.file) == (1234, str(Path.cwd() / "12"))
    assert mistakes(SOUND, KSECRET_SERVE_LISTEN_PORT="x")[0].startswith("KSECRET_SERVE_LISTEN_PORT: ")
    assert mistakes(SOUND, KSECRET_SERVE_TOKENS="x") == ["KSECRET_SERVE_TOKENS: a variable that is not known"]


def test_no_algorithm_shares_a_secret() -> None:
    assert not [name for name in get_args(Algorithm) if name.startswith("HS") or name == "none"]
