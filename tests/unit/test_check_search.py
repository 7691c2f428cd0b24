"""Which bytes may hold a Secret, told before anything is parsed."""

from __future__ import annotations

from random import Random

import pytest

from secretsvc.errors import KsecretError
from secretsvc.manifest import line_reader, nodes, reader
from secretsvc.operations.check_search import is_in_other_letters, may_hold_secret
from tests.mutations import FRAGMENTS, corpus, mutated


@pytest.mark.parametrize(
    "text",
    [
        *("kind: Secret\n", "kind: Secret", "kind:\n  Secret\n", "kind: &a Secret\n", "kind: !!str Secret # x\n"),
        *("{kind: Secret, data: {}}", '"kind":"Secret"', "? kind\n: Secret\n", "kind: SecretList\n", "kind: secret\n"),
        *("KIND: SECRET\n", "kind:" + " " * 100 + "'secret'\n", '"Kind"\t:\n"sEcret"\n', "a: 'b\\nkind: Secret'\n"),
        *("# a note\rkind: Secret\n", "kind: # a\r Secret\n", "# a\x85kind: Secret\n", "# a\u2028kind: Secret\n"),
        *(
            "# {{ x }}kind: Secret\n",
            "# ${X}kind: Secret\n",
            "kind: {{ if x }} Secret\n",
            "a: Secret",
            "kind: secre\\x74",
        ),
        *(f"{'a ' * 300}Secret\n", "#" + "a" * 300 + " kind: Secret\n"),
    ],
)
def test_what_may_be_a_secret_is_read(text: str) -> None:
    assert may_hold_secret(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "kind: ExternalSecret\n",
            "kind: Deployment\nname: my-secret\n",
            "secretName: Secrets\n",
            "kind: Secretive\n",
        ),
        *("# The password is in a Secret\n", "a: names the Secret\n  that holds it\n"),
        *("kinds: a secret\n", "kind secret\n", "Kind: Secrets\n"),
    ],
)
def test_what_only_speaks_of_secrets_is_not(text: str) -> None:
    assert not may_hold_secret(text.encode())


def test_whatever_is_a_secret_to_a_parser_may_hold_one() -> None:
    """Of spoilt manifests that lack the usual line, which would answer at once."""
    random, texts, seen = Random(7), corpus(), 0
    words = (*FRAGMENTS, "a ", "The ", "# ", "\n", "\n  ", "kind: ", "{{", "$A ")
    for _ in range(3000):
        text = random.choice(texts).replace(
            b"kind: Secret\n", b"kind: Secret" + random.choice((b" ", b"  # a ", b" #")) + b"\n"
        )
        at = max(text.find(b"kind: Secret"), 0)
        for _again in range(random.randrange(3)):
            where = at + random.randrange(14)
            text = text[:where] + random.choice(words).encode() + text[where:]
        data = mutated(random, text, texts) if random.randrange(3) == 0 else text
        found, _ = line_reader.leading_documents(data.decode("utf-8", "replace"))
        try:
            secrets = [root for one in found for root in reader.secret_roots(one, nodes.MergeKeys())]
        except KsecretError:
            continue
        seen += bool(secrets)
        assert not secrets or may_hold_secret(data), data
        assert is_in_other_letters(data) == is_in_other_letters(bytearray(data)), "not as its pattern by itself says"
    assert seen > 500, "else it proves little"
