"""`ksecret --server` against the service itself: one's own commands, with no key at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cli import MANIFEST, PASSWORD, Person, b64, is_sealed
from tests.service import Service, token

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_whole_round_without_a_key(tmp_path: Path) -> None:
    person = Person(tmp_path, identity=False)
    with Service(tmp_path) as service:
        person.environ |= {"KSECRET_SERVER": f"http://127.0.0.1:{service.port}", "KSECRET_TOKEN": token("root")}
        person.write("db.yaml")
        person.ok("encrypt", "-i", "db.yaml")
        sealed = (person.work / "db.yaml").read_bytes()
        assert is_sealed(sealed)
        assert service.ref.encode() in sealed
        assert person.ok("decrypt", "db.yaml").out == MANIFEST
        for options in ([], ["--rewrap"]):
            person.ok("rotate", *options, "db.yaml")
            assert person.ok("decrypt", "db.yaml").out == MANIFEST
        person.ok("set", "db.yaml", "password=-", stdin=b"changed")
        opened = person.ok("decrypt", "db.yaml").out.decode()
        assert b64("changed") in opened
        assert b64(PASSWORD) not in opened
        person.ok("create", "generic", "new", "-n", "prod", f"--from-literal=a={PASSWORD}", "-o", "new.yaml")
        assert b64(PASSWORD) in person.ok("decrypt", "new.yaml").out.decode()
        moved = person.write("moved.yaml", sealed.replace(b"namespace: prod", b"namespace: dev"))
        assert "it was moved or renamed" in person.fails(5, "decrypt", moved.name)
        denied = person.fails(6, "decrypt", "new.yaml", KSECRET_TOKEN="kst_other")
        assert "the service's request" in denied


@pytest.mark.parametrize("path", ["compose/config.yaml"])
def test_the_configurations_to_deploy_are_sound(tmp_path: Path, path: str) -> None:
    Person(tmp_path).ok("serve", "--check", "--config", str(DEPLOY / path))
