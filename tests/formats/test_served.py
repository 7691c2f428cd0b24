"""What every format does through the service itself, whose process has the toy's row in its table and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc import formats
from tests.emulators.aws import ENVIRON, KEY, StubKms
from tests.formats.test_conformance import CLEAR, VALUES, tokens, values
from tests.service import EVERY, Service, entry, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_THE_TOY = """\
import sys

from secretsvc import formats
from secretsvc.cli.main import main
from tests.formats import toy

formats.TABLE["toy"] = toy.ROW
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with StubKms() as kms:
        root = str(Path(__file__).parents[2])
        made = Service(tmp_path_factory.mktemp("served"), **ENVIRON, AWS_ENDPOINT_URL_KMS=kms.url, PYTHONPATH=root)
        made.program = [sys.executable, "-c", _WITH_THE_TOY]
        made.config["tokens"].append(entry("bound"))
        made.config["rules"].append(rule("bound", *EVERY))
        made.key_rules = [{"keys": [f"aws:{KEY}"]}]
        with made:
            yield made


def test_it_is_sealed_opened_changed_and_rotated(service: Service, name: str) -> None:
    before = service.sealed(CLEAR, format=name)
    assert not any(value in before.decode() for value in VALUES.values())
    assert values(service.post("/v1/decrypt", before).body) == VALUES
    answer = service.post("/v1/set", {"manifest": before.decode(), "values": {"a": "new"}})
    assert answer.status == 200, answer.body
    # A MAC over values would tell whoever sets some whether they guessed others: a service makes a new data key.
    assert len(tokens(answer.body) & tokens(before)) == (0 if formats.named(name).proves_values else 2)
    assert values(service.post("/v1/decrypt", answer.body).body)["data", "a"] == "bmV3"
    for mode, stay in (("rotate", 0), ("rewrap", 3)):
        rotated = service.post("/v1/rotate", before, mode=mode).body
        assert len(tokens(rotated) & tokens(before)) == stay
        assert values(service.post("/v1/decrypt", rotated).body) == VALUES


def test_it_is_told_apart_and_what_binds_no_name_needs_a_rule_that_says_so(service: Service, name: str) -> None:
    data = service.sealed(CLEAR, format=name)
    told = service.post("/v1/inspect", data).json()["secrets"][0]
    binds = formats.named(name).binds
    assert (told["sealed"], told["keys"][0]["ref"]) == (True, f"aws:{KEY}")
    assert service.post("/v1/verify", data).json() == {"sealed": 1, "bound": binds}
    assert service.post("/v1/decrypt", data, "bound").status == (200 if binds else 403)
    assert service.post("/v1/decrypt", data.replace(b"  a: ", b"  aa: ")).problem == "altered"
