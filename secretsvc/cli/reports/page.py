"""The report as one page of HTML that needs nothing else: no other file, no network, no script to be read.

Whatever stands in files is escaped in one place, `_text`; attributes hold escaped text in quotes. Style and script are
allowed by their hashes only (Content Security Policy Level 3, section 6.7), so markup that got in all the same would
neither run nor load anything.
"""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files

from secretsvc.cli.report import counted, printable
from secretsvc.cli.reports.text import STATES, told_time
from secretsvc.operations.who_opens import ALONE, CLEAR, SEALED, TOGETHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsvc.operations.access import Access, Holder
    from secretsvc.operations.findings import Finding
    from secretsvc.operations.who_opens import SecretFacts

_CHART_WIDTH, _CHART_HEIGHT, _CHART_TOP, _CHART_FOOT = 560, 210, 18, 22
"""Units of the chart's own."""
_LABELS = 12
"""Months at most that have their name below them."""
_MOST_CELLS = 200_000
"""Of the matrix: more would take a browser longer to show than anybody looks at them."""
_MARKS = {ALONE: "\N{BLACK CIRCLE}", TOGETHER: "\N{CIRCLE WITH LEFT HALF BLACK}"}


def as_html(access: Access, paths: Iterable[str]) -> str:
    """Return the page. `paths`: what was looked at."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    looked_at = ", ".join(os.path.basename(os.getcwd()) if path == os.curdir else path for path in paths)
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Who opens what: {_text(looked_at)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>Who opens what</h1>
<p class="about"><code>{_text(looked_at)}</code>, {_minutes(access.now)}. Told without a key: nothing was opened.</p>
{_tiles(access)}
</header>
<main>
<div class="pair">
{_months(access)}
{_environments(access)}
</div>
{_holders(access)}
{_secrets(access)}
{_matrix(access)}
{_findings("Drift from the policy", "drift", access.drift)}
{_findings("Other findings", "findings", access.faults)}
{_unread(access)}
</main>
<footer><p>Made by <code>ksecret report</code>. It holds no value, but names of files, Secrets and people: keep it as
private as the repository.</p></footer>
<script>{script}</script>
</body>
</html>
"""


def _minutes(seconds: float) -> str:
    return f"{told_time(seconds)[:16].replace('T', ' ')} UTC"


def _asset(name: str) -> str:
    return files("secretsvc.cli.reports").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _text(text: str) -> str:
    """Text that is nothing but text, in an element and in a quoted attribute: what no one sees becomes a `?`."""
    return escape(printable(text), quote=True)


def _tiles(access: Access) -> str:
    sealed = sum(one.state == SEALED for one in access.secrets)
    clear = sum(one.state == CLEAR or bool(one.clear) for one in access.secrets)
    ages = [days for one in access.secrets if (days := access.days(one)) is not None]
    bare = len(access.holders) - len(access.named)
    faults = len(access.faults) + len(access.unread)
    told = [
        (len({one.file for one in access.secrets}), "files with Secrets", ""),
        (sealed, "sealed Secrets", ""),
        (len(access.named), "names of people and keys", ""),
        *([(bare, "keys without a name", "warn")] if bare else []),
        *([(max(ages), "days: the oldest data key", "")] if ages else []),
        (clear, "Secrets in the clear", "bad" if clear else "good"),
        (len(access.drift), "differ from the policy", "warn" if access.drift else "good"),
        (faults, "other findings", "bad" if faults else "good"),
    ]
    items = "".join(f'<li class="{kind}"><b>{number}</b><span>{label}</span></li>\n' for number, label, kind in told)
    return f'<ul class="tiles">\n{items}</ul>'


def _section(name: str, title: str, body: str, count: int | None = None) -> str:
    number = "" if count is None else f' <span class="count">{count}</span>'
    return f'<section id="{name}">\n<h2>{title}{number}</h2>\n{body}\n</section>'


def _table(heads: Iterable[tuple[str, str]], rows: Iterable[str]) -> str:
    """A table that can be sorted. `heads`: each column's name and class."""
    told = "".join(f'<th scope="col"{_class(kind)}>{name}</th>' for name, kind in heads)
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table class="sortable">\n<thead><tr>{told}</tr></thead>\n<tbody>\n{body}\n</tbody>'
        "\n</table></div>"
    )


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _months(access: Access) -> str:
    months = access.months()
    undated = access.undated()
    note = f'<p class="empty">Of {undated} more their format does not tell it.</p>' if undated else ""
    if not months:
        return _section("ages", "Data keys by month", note or '<p class="empty">None.</p>')
    most = max(months.values())
    step = _CHART_WIDTH / len(months)
    width = min(step * 0.72, 48)
    height = _CHART_HEIGHT - _CHART_TOP - _CHART_FOOT
    every = -(-len(months) // _LABELS)
    pieces = []
    for number, (month, count) in enumerate(months.items()):
        middle = step * (number + 0.5)
        tall = count / most * height
        top = _CHART_TOP + height - tall
        title = f"{month}: {counted(count, 'data key')}"
        pieces.append(
            f'<g role="listitem" aria-label="{title}"><title>{title}</title>'
            f'<rect class="bar" x="{middle - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{tall:.1f}" '
            'rx="3"/>'
        )
        if count and len(months) <= 2 * _LABELS:
            pieces.append(f'<text x="{middle:.1f}" y="{top - 5:.1f}" text-anchor="middle">{count}</text>')
        if not (len(months) - 1 - number) % every:
            name = month if len(months) <= 6 else f"{month[5:]}/{month[2:4]}"
            pieces.append(f'<text x="{middle:.1f}" y="{_CHART_HEIGHT - 6}" text-anchor="middle">{name}</text>')
        pieces.append("</g>\n")
    foot = _CHART_TOP + height + 0.5
    chart = (
        f'<svg viewBox="0 0 {_CHART_WIDTH} {_CHART_HEIGHT}" role="list" aria-label="Data keys by month">\n'
        f'{"".join(pieces)}<line class="base" x1="0" x2="{_CHART_WIDTH}" y1="{foot}" y2="{foot}"/>\n</svg>'
    )
    return _section("ages", "Data keys by the month they were made in", chart + note)


def _environments(access: Access) -> str:
    rows = (
        f'<tr><th scope="row">{_text(name)}</th><td class="number">{numbers["files"]}</td>'
        f'<td class="number">{numbers[SEALED]}</td>{_number(numbers[CLEAR], "bad")}</tr>'
        for name, numbers in sorted(access.environments().items())
    )
    heads = (("Environment", ""), ("Files", "number"), ("Sealed", "number"), ("In the clear", "number"))
    return _section("environments", "Files by environment", _table(heads, rows))


def _number(number: int, kind: str) -> str:
    told = f'<span class="badge {kind}">{number}</span>' if number else "0"
    return f'<td class="number" data-by="{number}">{told}</td>'


def _holders(access: Access) -> str:
    counts = access.counts()
    most = max(len(access.secrets), 1)
    is_split = any(numbers[TOGETHER] for numbers in counts.values())

    def row(holder: Holder) -> str:
        numbers = counts[holder.name]
        together = f'<td class="number">{numbers[TOGETHER]}</td>' if is_split else ""
        meter = (
            f'<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect class="track" width="100" height="8" rx="4"/>'
            f'<rect class="bar" width="{100 * numbers[ALONE] / most:.1f}" height="8" rx="4"/></svg>'
        )
        return (
            f'<tr><th scope="row">{_name(holder)}</th><td class="number" data-by="{numbers[ALONE]}">{numbers[ALONE]}'
            f"{meter}</td>{together}<td>{_keys(holder)}</td></tr>"
        )

    heads = [("Who", ""), ("Opens", "number")]
    heads += [("Only with others", "number")] if is_split else []
    body = (
        _table([*heads, ("Keys", "")], map(row, access.holders)) if access.holders else '<p class="empty">Nobody.</p>'
    )
    return _section("people", "People and keys", body, len(access.holders))


def _name(holder: Holder) -> str:
    if holder.sources:
        return f'<span class="chip">{_text(holder.name)}</span>'
    return f'<span class="chip" title="{_text(holder.name)}">{_text(holder.name)}</span>'


def _keys(holder: Holder) -> str:
    if not holder.sources:
        return '<span class="badge warn">no policy names it</span>'
    note = f'<span class="badge warn">not the same in each of {_text(", ".join(holder.sources))}</span>'
    shown = "".join(f'<code class="key" title="{_text(ref)}">{_text(ref)}</code>' for ref in holder.keys)
    return shown + (note if holder.is_divided else "")


def _secrets(access: Access) -> str:
    if not access.secrets:
        return _section("secrets", "Secrets", '<p class="empty">There are none.</p>')
    codes: dict[str, dict[str, str]] = {}
    for kind, findings in (("warn", access.drift), ("bad", access.faults)):
        for one in findings:
            codes.setdefault(one.file, {})[one.code] = kind
    chips: dict[tuple[tuple[str, str], ...], str] = {}

    def row(one: SecretFacts) -> str:
        who = tuple(access.holders_of(one).items())
        if who not in chips:
            chips[who] = "".join(map(_chip, who))
        days = access.days(one)
        badges = "".join(f'<span class="badge {kind}">{code}</span>' for code, kind in codes.get(one.file, {}).items())
        old = " old" if "KS009" in codes.get(one.file, {}) else ""
        return (
            f'<tr><th scope="row">{_text(one.label)}</th><td class="place">{_text(one.environment)}</td>'
            f'<td class="file">{_text(one.file)}:{one.line}</td><td>{_state(one)}{chips[who]}</td>'
            f'<td class="number{old}" data-by="{-1 if days is None else days}">{"" if days is None else days}</td>'
            f"<td>{_text(one.format)}</td><td>{badges}</td></tr>"
        )

    heads = [(name, "") for name in ("Secret", "Environment", "File", "Opened by")]
    heads += [("Days", "number"), ("Format", ""), ("Findings", "")]
    names = [holder.name for holder in access.holders]
    body = _filters(names, sorted(access.environments())) + _table(heads, map(row, access.secrets))
    return _section("secrets", "Secrets", body, len(access.secrets))


def _matrix(access: Access) -> str:
    """Secret × person or key, in the order of the table of Secrets: its script shows and hides the rows of both."""
    if not access.secrets:
        return ""
    title, names = "Secret \N{MULTIPLICATION SIGN} person or key", [holder.name for holder in access.holders]
    if len(names) * len(access.secrets) > _MOST_CELLS:
        return _section("matrix", title, '<p class="empty">It would be too large to look at: see --json.</p>')
    cells: dict[tuple[tuple[str, str], ...], str] = {}

    def row(one: SecretFacts) -> str:
        found = access.holders_of(one)
        who = tuple(found.items())
        if who not in cells:
            cells[who] = "".join(f"<td>{_MARKS.get(found.get(name, ''), '')}</td>" for name in names)
        return f'<tr><th scope="row">{_text(one.label)}</th>{cells[who]}</tr>'

    heads = "".join(f'<th scope="col"><span title="{_text(name)}">{_text(name)}</span></th>' for name in names)
    rows = "\n".join(map(row, access.secrets))
    legend = f"{_MARKS[ALONE]} opens it, {_MARKS[TOGETHER]} only together with holders of other groups of keys"
    return _section(
        "matrix",
        title,
        f'<p class="about">{legend}</p><div class="box" tabindex="0" role="region" aria-label="{title}"><table>\n'
        f'<thead><tr><th scope="col">Secret</th>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>',
    )


def _chip(who: tuple[str, str]) -> str:
    name, how = who
    told = f"{_text(name)}: together with holders of other groups of keys" if how == TOGETHER else _text(name)
    return f'<span class="chip{" part" if how == TOGETHER else ""}" title="{told}">{_text(name)}</span>'


def _state(one: SecretFacts) -> str:
    said = STATES[one.state] or (f"in the clear: {', '.join(one.clear)}" if one.clear else "")
    of = f"{one.needed} of {len(one.groups)} groups" if one.needed > 1 else ""
    told = f'<span class="badge bad">{_text(said)}</span>' if said else ""
    return told + (f'<span class="badge">{of}</span>' if of else "")


def _filters(people: Iterable[str], places: Iterable[str]) -> str:
    """Controls for those who have script: hidden until it shows them."""

    def options(texts: Iterable[str]) -> str:
        return "".join(f'<option value="{_text(text)}">{_text(text)}</option>' for text in texts)

    return (
        '<div class="filters" hidden><label>Opened by<select><option value="">anybody</option>'
        f'{options(people)}</select></label><label>Environment<select><option value="">any</option>'
        f"{options(places)}</select></label>"
        '<label>Words<input type="search" autocomplete="off" spellcheck="false"></label>'
        '<output aria-live="polite"></output></div>\n'
    )


def _findings(title: str, name: str, findings: list[Finding]) -> str:
    if not findings:
        return _section(name, title, '<p class="empty">None.</p>', 0)
    kind = "warn" if name == "drift" else "bad"
    rows = (
        f'<tr><td><span class="badge {kind}">{one.code}</span></td><td class="file">{_text(one.file)}:{one.line}</td>'
        f"<td>{_text(one.message)}</td></tr>"
        for one in findings
    )
    return _section(name, title, _table((("Code", ""), ("File", ""), ("What", "")), rows), len(findings))


def _unread(access: Access) -> str:
    if not access.unread:
        return ""
    places = ((f"{one.file}:{one.line}" if one.line else one.file, one.message) for one in access.unread)
    rows = (f'<tr><td class="file">{_text(place)}</td><td>{_text(why)}</td></tr>' for place, why in places)
    return _section("unread", "Not looked at", _table((("File", ""), ("Why", "")), rows), len(access.unread))
