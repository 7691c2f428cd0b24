"""Keys and values in every style of YAML: quoted, plain, folded, and as block scalars."""

from __future__ import annotations

from tests.unit.strategies_pen import ESCAPES, NOT_STRINGS, Pen, plain_fits


def key_text(pen: Pen, name: str) -> str:
    style = pen.pick(["", "", "", "'", '"'])
    if style == '"' and pen.chance(2):
        return f'"\\x{ord(name[0]):02x}{name[1:]}"'
    return f"{style}{name}{style}" if style or plain_fits(name, flow=True) else f'"{name}"'


def single_quoted(pen: Pen, words: list[str], *, fold_at: int | None) -> str:
    out = [pen.pick(["", "", " "])]
    for index, word in enumerate(words):
        if index:
            folded = fold_at is not None and pen.chance(2)
            out.append(pen.pick(["", " ", "\t"]) + pen.fold(least=fold_at or 0) if folded else pen.pick([" ", "  "]))
        out.append(word.replace("'", "''"))
    return "".join(out) + str(pen.pick(["", "", " "]))


def double_quoted(pen: Pen, words: list[str], *, fold_at: int | None) -> str:
    out = [pen.pick(["", "", " "])]
    for index, word in enumerate(words):
        if index and fold_at is not None and pen.chance(2):
            out.append(pen.pick(["", " ", " \\", "\\n\\"]) + pen.fold(least=fold_at) + pen.pick(["", "\\ ", "\\t"]))
        elif index:
            out.append(pen.pick([" ", "  ", "\\n", " \\\\ "]))
        out.append(pen.pick(ESCAPES) if pen.chance(6) else escaped(pen, word))
    return "".join(out)


def escaped(pen: Pen, word: str) -> str:
    how = pen.number(0, 5)
    return "".join(f"\\{c}" if c in '"\\' else f"\\u{ord(c):04x}" if how == 5 and ord(c) < 0x10000 else c for c in word)


def plain(pen: Pen, words: list[str], *, flow: bool, fold_at: int | None) -> str | None:
    """The words without quotes, or None where they can't stand so."""
    if not plain_fits(" ".join(words), flow=flow):
        return None
    out = words[0]
    for word in words[1:]:
        fold = fold_at is not None and pen.chance(2) and not word.startswith("#")
        out += pen.fold(least=fold_at or 0) if fold else pen.pick([" ", "   "])
        out += word
    return out


def quoted_or_plain(pen: Pen, field: str, *, flow: bool, column: int, folds: bool) -> tuple[str, str]:
    """Quote and inside of a value of `field` in a mapping at `column`."""
    if pen.chance(10):
        return pen.pick(["'", '"']), ""
    style = pen.pick(["", "'", '"'])
    if field == "data":
        text = pen.base64()
        if style == '"' and folds and len(text) > 8 and pen.chance(2):
            cut = pen.number(1, len(text) - 1)
            return '"', text[:cut] + "\\\n" + " " * pen.number(column + 1, 14) + text[cut:]
        return (style if style or (text and not NOT_STRINGS.fullmatch(text)) else '"'), text
    words = pen.words()
    fold_at = column + 1 if folds and pen.chance(2) else None
    if style == "":
        text_or_none = plain(pen, words, flow=flow, fold_at=fold_at)
        if text_or_none is not None:
            return "", text_or_none
    if style == "'":
        return "'", single_quoted(pen, words, fold_at=fold_at)
    return '"', double_quoted(pen, words, fold_at=fold_at)


def block_scalar(pen: Pen, field: str, column: int) -> None:
    """Header, body and what trails it, behind `key:` in a block mapping at `column`."""
    style = "|" if field == "data" else pen.pick(["|", "|", ">"])
    step = pen.number(1, 8)
    digit = str(step) if pen.chance(3) else ""
    chomp = pen.pick(["", "-", "+"])
    pen.keep(style + pen.pick([digit + chomp, chomp + digit]) + pen.trail())
    indent = " " * (column + step)
    body = pen.chance(12) and [""] * pen.number(1, 3)
    if not body:
        body = base64_lines(pen, indent) if field == "data" else body_lines(pen, indent, digit=bool(digit))
    pen.body("\n".join(body))
    pen.keep("\n")
    pen.comment_limit = column + step - 1 if any(line.strip() for line in body) else column
    pen.blank_limit = column + step if field == "data" else 60
    for _ in range(pen.number(0, 3) if pen.chance(3) else 0):
        pen.keep(pen.pick(["\n", "\n", indent + "\n", indent[1:] + "\n"]))


def base64_lines(pen: Pen, indent: str) -> list[str]:
    text = pen.base64(50) or "AAAA"
    width = pen.pick([4, 16, 64, 1000])
    return [indent + text[at : at + width] for at in range(0, len(text), width)]


def body_lines(pen: Pen, indent: str, *, digit: bool) -> list[str]:
    lines: list[str] = []
    for _ in range(pen.number(0, 2) if pen.chance(4) else 0):
        lines.append(indent[: pen.number(0, len(indent))])
    for number in range(pen.number(1, 4)):
        lead = pen.pick(["", "", "", " ", "   ", "\t"]) if number or digit else ""
        lines.append(indent + lead + " ".join(pen.words()) + pen.pick(["", "", " ", "\t"]))
        if pen.chance(5):
            lines.append(pen.pick(["", indent, indent[1:], indent + "  ", indent + "\t"]))
    while not lines[-1].strip():
        lines.pop()
    return lines
