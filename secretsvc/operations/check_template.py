"""Templates before they are rendered: what of a text is put in later, and what is a value of its own.

Of Go templates (Helm, Argo CD; Jinja's `default(…)` too): https://pkg.go.dev/text/template; of the shell's variables
(envsubst, Flux): POSIX 2.6.2, Parameter Expansion; `${{ … }}` of OpenShift's Templates and GitHub's workflows.
"""

from __future__ import annotations

from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match

_ACTION = pattern(r"(?s)\$?\{\{((?:(?!\{\{|\}\}).)*)\}\}")
_STEERING = pattern(r"-?\s*+(?:(?:if|else|end|range|with|define|template|block|break|continue)\b|/\*|\$\w*+\s*+:?=)")
_ASSIGNMENT = pattern(r"-?\s*+\$(\w++)\s*+:?=")
_VARIABLE_FIRST = pattern(r"-?\s*+\(*+\s*+\$(\w++)")
_QUOTED = r"""\\?(?:"([^"\\]+)|`([^`]+)|'([^'\\]+))"""
_FUNCTION = r"""(?<![\w.$"'`])(?:{})\s{{0,9}}\(?\s{{0,9}}"""
_AMONG_WORDS = r"""[^()|"'`]{0,200}"""
_START = pattern(r"-?\s*+\(*+\s*+" + _QUOTED)
_FUNCTIONS = (
    pattern(_FUNCTION.format("default|ternary|print|b64enc|s?quote|toString") + _QUOTED),
    pattern(_FUNCTION.format("default") + "()()(-?[0-9][0-9.]*)"),
    pattern(_FUNCTION.format("printf") + r"""\\?(?:"([^"\\%]+)\\?"|`([^`%]+)`|'([^'%]+)')"""),
    # Of whose words each may be taken. `or` stands in sentences, too.
    pattern(_FUNCTION.format("coalesce|ternary") + _AMONG_WORDS + _QUOTED),
    pattern(r"(?:\A-?|[(|])\s{0,9}or\s" + _AMONG_WORDS + _QUOTED),
)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_CAPITALS = r"[A-Z_][A-Z0-9_]*"
_VARIABLE = pattern(
    rf"""\$\{{{_NAME}(?:(?::?[-=](?:""|''|\\"\\"|\${_CAPITALS})?)|:?\?[^{{}}]*)?\}}|\${_CAPITALS}(?![A-Za-z0-9])"""
)
_NESTED = 4
"""How deep defaults may stand in defaults: `${A:-${B:-}}`."""
LATER = "\ue000"
"""What `filled` puts where a value comes later; it is for private use in Unicode, and YAML takes it."""


def is_template(text: str) -> bool:
    """Tell whether something is to be put in later."""
    return _ACTION.search(text) is not None


def without_placeholders(text: str) -> str:
    """The text without what is put in later: `{{ … }}`, `${{ … }}`, `$NAME`, `${NAME}`, except for a literal in it."""
    bare = _ACTION.sub(_literal, text) if "{{" in text else text
    for _ in range(_NESTED if "$" in bare else 0):
        bare = _VARIABLE.sub("", bare)
    return bare.replace(LATER, "")


def filled(text: str) -> str:
    """The text, line by line, with LATER or a literal in place of each `{{ … }}`: what YAML may be able to read."""
    named = {name for action in _ACTION.finditer(text) for name in _named(action[1])}

    def filling(action: Match[str]) -> str:
        variable = _VARIABLE_FIRST.match(action[1])
        steers = _STEERING.match(action[1])
        literal = "" if steers else "literal" if variable and variable[1] in named else _literal(action)
        return (literal or LATER) + "\n" * action[1].count("\n")

    lines = _ACTION.sub(filling, text).split("\n")
    return "\n".join("" if LATER in line and not line.strip(f" \t\r{LATER}") else line for line in lines)


def _named(inside: str) -> list[str]:
    """The variable that an action gives a literal to."""
    found = _ASSIGNMENT.match(inside)
    return [found[1]] if found and _literal_in(inside[found.end() :]) else []


def _literal(action: Match[str]) -> str:
    """Return what a `{{ … }}` may yield by itself: its literal where that is a word, a word for it where it is none."""
    return "" if _STEERING.match(action[1]) else _literal_in(action[1])


def _literal_in(pipeline: str) -> str:
    found = _START.match(pipeline) or next(filter(None, (one.search(pipeline) for one in _FUNCTIONS)), None)
    if not found:
        return ""
    literal = found[1] or found[2] or found[3]
    return literal if literal.isalnum() else "literal"
