"""What SOPS seals we open, and what we seal SOPS opens: the same values, whatever the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.document.yaml import YamlDocument
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.sealing import same
from tests.sops_support import by_sops, in_clear, opened, sealed, sops
from tests.sops_trees import TREES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", TREES)
def test_a_tree_holds_both_ways(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_bytes(TREES[name].encode())
    values = [leaf.value for leaf in YamlDocument(path.read_bytes(), MEMBER).leaves]

    theirs = by_sops(path)
    _document, mine = opened(theirs)
    assert same(mine.values, values)
    assert not mine.warnings
    assert same([leaf.value for leaf in YamlDocument(in_clear(theirs), MEMBER).leaves], values)

    path.write_bytes(sealed(path.read_bytes()))
    done = sops("decrypt", path)
    assert not done.returncode, done.stderr.decode()
    assert not done.stderr  # no comment in the clear
    assert same([leaf.value for leaf in YamlDocument(done.stdout, MEMBER).leaves], values)
    assert same([leaf.value for leaf in YamlDocument(in_clear(path.read_bytes()), MEMBER).leaves], values)


EXACT = {
    "quotes": "a: 'it''s'\nb: \"say \\\"hi\\\"\"\nc: ''\nd: ' x '   # why\n",
    "blocks": "a: |\n  one\n  two\n\nb: |-\n  one\nc: |+\n  kept\n\n\nd: |2\n    more\n  less\ne: x\n",
    "flow": "a: {b: 1, c: [x, z, 2.5, true], d: {e: ~}, f: 'g'}\n",
    "comments": "# top\n\n# second\na: x # inline\nb:\n  # in b\n  c: z\n  # foot\n\n# end\n",
    "lists": "l:\n- a\n-   b  # b\n-\n  - c\n",
    "spaces": "a:   x   \nb:\n\n  c:    z\n\n\n",
    "CRLF": "a: x\r\nb: |\r\n  one\r\n  two\r\nc: z\r\n",
    "BOM and umlauts": '\ufeffä: ü\n"ö": "ß"\nc: grüße und küsse\n',
    "documents": "a: x\n---\n# two\nb: z\n---\nc: w\n...\n",
    "no last line break": "a: x\nb: z",
    "flow root": "{a: x, b: {c: z}}\n",
    "anchors of texts": "a: &x one\nb: z\n",
    "header": "a: | # why\n  x\nb: > # so\n  folded\n",
    "plain": "a: -foo\nb: a - b\nc: a#b\nd: https://u:p@h/p?q=1#f\ne: a@b.c\nf: über\ng: a, b\n",
}


@pytest.mark.parametrize("name", EXACT)
def test_sealing_and_opening_gives_every_byte_again(name: str) -> None:
    data = EXACT[name].encode()
    made = sealed(data)
    assert made != data
    assert in_clear(made) == data


def test_a_file_of_every_rule_opens_in_sops(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    clear = b"# secret\na: x # secret\nb_s:\n  # not\n  c: y\n  d: z # secret\ndata:\n  e: w\n"
    values = [leaf.value for leaf in YamlDocument(clear, MEMBER).leaves]
    rules = (
        ("encrypted_suffix", "_s"),
        ("unencrypted_suffix", "_s"),
        ("encrypted_regex", "^(data|stringData)$"),
        ("unencrypted_regex", "(?i)^DATA$"),
        ("encrypted_comment_regex", "secret"),
        ("unencrypted_comment_regex", "^ se[c]ret"),
    )
    for rule in rules:
        for fields in ({}, {"mac_only_encrypted": True}):
            path.write_bytes(sealed(clear, rule, **fields))
            done = sops("decrypt", path)
            assert not done.returncode, (rule, done.stderr.decode())
            assert same([leaf.value for leaf in YamlDocument(done.stdout, MEMBER).leaves], values)
            path.write_bytes(clear)
            theirs = by_sops(path, f"--{rule[0].replace('_', '-')}", rule[1]) if "comment" not in rule[0] else None
            if theirs:
                assert same(opened(theirs)[1].values, values)
