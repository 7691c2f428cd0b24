"""The chain of the audit log: what was done to a log shows."""

from __future__ import annotations

import json

import pytest

from secretsvc.api.audit.chain import FIRST, digest, render, verify


def log(count: int, previous: str = FIRST, chain: str = "") -> list[bytes]:
    lines = []
    for number in range(count):
        event = {"event": "outcome", "number": number, **({"chain": chain} if chain else {})}
        lines.append(render(event, previous))
        previous = digest(lines[-1])
    return lines


def findings(lines: list[bytes]) -> list[int]:
    return [one.line for one in verify(lines).findings]


def test_a_sound_log_has_no_findings_and_ends_with_its_last_hash() -> None:
    lines = log(20)
    verified = verify(line + b"\n" for line in lines)
    assert (verified.lines, verified.findings) == (20, [])
    assert verified.begins == {"": FIRST}
    assert verified.heads == {"": digest(lines[-1])}


@pytest.mark.parametrize("at", [0, 7, 18])
def test_what_was_done_to_a_line_shows_at_the_next(at: int) -> None:
    lines = log(20)
    altered = json.loads(lines[at]) | {"number": 99}
    assert findings([*lines[:at], json.dumps(altered, separators=(",", ":")).encode(), *lines[at + 1 :]]) == [at + 2]
    assert findings([*lines[:at], b"", *lines[at + 1 :]])
    assert findings([*lines[: at + 1], lines[at], *lines[at + 1 :]]) == [at + 2, *([at + 3] if at + 2 > 20 else [])]


@pytest.mark.parametrize("at", [1, 7, 18])
def test_a_line_that_is_gone_shows(at: int) -> None:
    lines = log(20)
    assert findings(lines[:at] + lines[at + 1 :]) == [at + 1]
    assert verify(lines[1:]).begins[""] != FIRST


def test_lines_in_another_order_show() -> None:
    lines = log(20)
    lines[4], lines[5] = lines[5], lines[4]
    assert findings(lines) == [5, 6, 7]


def test_a_file_cut_in_its_middle_shows_and_an_end_cut_off_by_the_hash_kept_elsewhere() -> None:
    lines = log(20)
    assert findings([*lines[:10], lines[10][:30]]) == [11]
    assert findings([*lines[:10], lines[10][:30], *lines[11:]]) == [11, 12]
    cut = verify(lines[:15])
    assert cut.findings == []
    assert cut.heads != verify(lines).heads


def test_a_torn_line_is_sound_only_where_the_next_start_says_so() -> None:
    lines = log(5)
    torn = lines[4][:20]
    start = render({"event": "start", "torn": True}, digest(torn))
    assert findings([*lines[:4], torn, start]) == []
    assert findings([*lines[:4], torn, render({"event": "start"}, digest(torn))]) != []
    assert findings([*lines[:4], b"something else", start]) != []


def test_each_line_that_is_none_of_the_logs_is_told() -> None:
    lines = log(5)
    assert findings([*lines[:4], b"junk", b"more junk", lines[4]]) == [5, 6]
    assert findings([*lines[:4], b"junk", b"more junk"]) == [5, 6]


def test_a_line_put_between_two_sound_ones_is_one_finding() -> None:
    lines = log(5)
    assert findings([*lines[:3], b"junk", *lines[3:]]) == [4]


def test_several_processes_on_one_standard_output_are_told_apart() -> None:
    one, two = log(3, chain="a"), log(3, chain="b")
    assert findings([one[0], two[0], two[1], one[1], one[2], two[2]]) == []
    assert findings([one[0], two[0], two[1], one[2], two[2]]) == [4]


def test_files_that_follow_each_other() -> None:
    lines = log(10)
    first = verify(lines[:6])
    assert verify(lines[6:], first.heads).findings == []
    assert [one.line for one in verify(lines[7:], first.heads).findings] == [1]
