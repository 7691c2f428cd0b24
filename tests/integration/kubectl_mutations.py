"""Manifests with a value in the clear, and what slips of the pen and tricks make of them, for kubectl to judge."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

BLOCK = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: VALUE\n"
DATA = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata:\n  password: BASE64\n"
FLOW = "{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {password: VALUE}}\n"
JSON = '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db"},"data":{"password":"BASE64"}}\n'
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"
MANIFESTS = (
    BLOCK,
    DATA,
    FLOW,
    JSON,
    f"apiVersion: v1\nkind: List\nitems:\n- {FLOW}",
    "apiVersion: v1\nkind: List\nitems:\n- " + BLOCK.rstrip().replace("\n", "\n  ") + "\n",
    f"{CONFIG}---\n{BLOCK}",
    f"{BLOCK}---\n{CONFIG}",
    f"{JSON}{JSON}",
    f"# a comment\n---\n{DATA}...\n---\n{CONFIG}",
    BLOCK.replace("VALUE", "|-\n    VALUE"),
    BLOCK.replace("kind: Secret", "x: &k Secret\nkind: *k"),
    BLOCK.replace("stringData:", "x: &d\n  password: VALUE\nstringData:\n  <<: *d\n  y: z\n#"),
    json.dumps(json.loads(JSON), indent=2) + "\n",
)
KINDS = (
    '"Secret"',
    "'Secret'",
    "!!str Secret",
    '!!str "Secret"',
    "! Secret",
    "!<tag:yaml.org,2002:str> Secret",
    "!!binary U2VjcmV0",
    "&a Secret",
    '"S\\x65cret"',
    '"\\u0053ecret"',
    '"\\U00000053ecret"',
    '"Sec\\\n  ret"',
    '"Secret\\\n  "',
    '"\\\n  Secret"',
    ">-\n  Secret",
    "|-\n  Secret",
    "\n  Secret",
    "# x\n  Secret",
    "Secret # x",
    "Secret\t",
    "  Secret",
    "ConfigMap\nkind: Secret",
    "Secret\nkind: ConfigMap",
)
BITS = (
    *"\"'\\{}[]:,#&*!|>%@`-?~ \t\n\r\0",
    "\x85",
    "\u2028",
    "\u00a0",
    "\ufeff",
    "\x0b",
    "\x0c",
    "---",
    "\n---\n",
    "\n---#\n",
    "\n---\u00a0\n",
    "\n--- # x\n",
    "\n...\n",
    "{{ x }}",
    "{{",
    "}}",
    "# {{ x }}\n",
    "{{- if .x }}\n",
    "<<: ",
    "!!str ",
    "!!binary ",
    "&a ",
    "*a ",
    "? ",
    "- ",
    "\\\n",
    "x: y\n",
    "sops: {}\n",
    "ksecret: {}\n",
    "# kubesec:v:3\n",
    "\n=======\n",
    "%YAML 1.1\n",
    "${X:-",
    "ksecret.v1.",
    "ENC[AES256_GCM,",
)


def _bit(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(BITS) + text[at + random.choice((0, 0, 1)) :]


def _line(text: str, random: Random) -> str:
    """A line changed as a whole: indented otherwise, twice, gone, or with another one in front."""
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines))
    line = lines[at]
    lines[at] = random.choice(
        (f"  {line}", line.lstrip(" "), line * 2, "", f"{random.choice(BITS)}{line}", f"\t{line}")
    )
    return "".join(lines)


def _kind(text: str, random: Random) -> str:
    return text.replace("kind: Secret", f"kind: {random.choice(KINDS)}", 1)


def _colon(text: str, random: Random) -> str:
    """A key, or what follows it, written in another way."""
    key = random.choice(("kind", "stringData", "data", "apiVersion", "password"))
    written = (f'"{key}":', f"'{key}':", f"{key} :", f"? {key}\n:", f"!!str {key}:", f'"\\x{ord(key[0]):x}{key[1:]}":')
    return text.replace(f"{key}:", random.choice(written), 1)


def _ends(text: str, random: Random) -> str:
    return text.replace("\n", random.choice(("\r\n", "\r", "\x85", "\u2028")))


def _around(text: str, random: Random) -> str:
    """Something in front of it, or behind it."""
    bit = random.choice((*BITS, CONFIG, "---#\n", '{"a":"b"}', "{}\n", "a: {{ x }}\n", ": x"))
    return random.choice((bit + text, text.rstrip("\n") + bit, text + bit))


MUTATIONS: tuple[Callable[[str, Random], str], ...] = (_bit, _bit, _line, _kind, _colon, _ends, _around, _around)


def mutated(random: Random, value: str) -> bytes:
    """A manifest with that value in the clear, changed up to three times."""
    text = random.choice(MANIFESTS)
    for _ in range(random.choice((1, 1, 2, 3))):
        text = random.choice(MUTATIONS)(text, random) if text else text
    text = text.replace("VALUE", value).replace("BASE64", b64encode(value.encode()).decode())
    return text.encode(random.choice((*["utf-8"] * 18, "utf-8-sig", "utf-16")), "surrogatepass")
