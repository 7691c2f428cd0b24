"""Made-up trees of YAML in SOPS's format: what is sealed opens to the same values and bytes, or the loss is told."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from secretsvc.document.yaml import YamlDocument
from secretsvc.errors import ManifestError
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.sealing import same
from secretsvc.operations.documents.seal import losses
from tests.sops_support import in_clear, sealed
from tests.support import NIGHT

WORDS = st.sampled_from(
    [
        "",
        "x",
        "yes",
        "12",
        "0x1F",
        "1e3",
        "~",
        "#",
        "- a",
        "a: b",
        "'",
        '"',
        "\n",
        "a\nb\n",
        " x ",
        "{}",
        "ENC[",
        "é",
        "😀",
    ]
)
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6).filter(
    lambda key: key != MEMBER
)
SCALARS = (
    WORDS
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"]), max_size=30)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.dates()
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
    ),
    min_size=1,
    max_size=5,
)
LAYOUTS = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([False, None, True]),
        "default_style": st.sampled_from([None, None, None, "'", '"', "|", ">"]),
        "indent": st.integers(2, 6),
        "width": st.sampled_from([20, 80, 1000]),
        "allow_unicode": st.booleans(),
        "explicit_start": st.booleans(),
    }
)


@settings(max_examples=settings().max_examples if NIGHT else 40)
@given(TREES, LAYOUTS)
def test_a_tree_opens_to_the_same_values_and_bytes_or_the_loss_is_told(tree: dict[str, Any], layout: Any) -> None:
    data = yaml.safe_dump(tree, sort_keys=False, **layout).encode()
    try:
        document = YamlDocument(data, MEMBER)
        made = sealed(data)
    except ManifestError as error:
        event("refused")
        lines = range(1, data.count(b"\n") + 2)
        if error.line not in lines:
            raise AssertionError("it is not told with a line") from error
        return
    opened = in_clear(made)
    assert same([leaf.value for leaf in YamlDocument(opened, MEMBER).leaves], [leaf.value for leaf in document.leaves])
    event("to the byte" if opened == data else "with losses")
    told = {line for line, _ in losses(document, opened)}
    before, after = data.split(b"\n"), opened.split(b"\n")
    if len(before) == len(after):
        for number, (was, is_) in enumerate(zip(before, after, strict=True), 1):
            of = max((leaf.line for leaf in document.leaves if leaf.line <= number), default=1)
            assert was == is_ or of in told, f"a loss in line {number} that nobody is told of"
