"""kubesec's format and PGP keys through the service: for callers whose rules say `unbound`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.keyref import KeyRef
from tests import kubesec_support
from tests.e2e.cli import MANIFEST, MARKS, Person, b64
from tests.emulators.fake_service import TOKEN, FakeService
from tests.kubesec_support import GCP, Keys, Want
from tests.service import EVERY, Service, entry, rule
from tests.support import Lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.gpg_home import GpgHome

SECRET = MANIFEST.partition(b"stringData:")[0]


def test_files_of_kubesecs_are_worked_on_where_a_rule_says_so(tmp_path: Path, new_home: Callable[[], GpgHome]) -> None:
    home = new_home()
    ref = f"pgp:{home.make_pair('Service')}"
    service = Service(tmp_path, GNUPGHOME=home.path)
    service.config["tokens"].append(entry("bound"))
    service.config["rules"].append(rule("bound", *EVERY))
    with service:
        sealed = service.post("/v1/encrypt", SECRET, key=ref, format="kubesec")
        assert sealed.status == 200, sealed.body
        assert b"\n# kubesec:v:3\n" in sealed.body
        assert sealed.headers["ksecret-unbound"] == "true"
        opened = service.post("/v1/decrypt", sealed.body)
        assert opened.headers["ksecret-unbound"] == "true"
        assert b64(MARKS[0] + "-password").encode() in opened.body
        body = {"manifest": sealed.body.decode(), "values": {"password": "changed"}}
        changed = service.post("/v1/set", body)
        assert changed.status == 200, changed.body
        assert b64("changed").encode() in service.post("/v1/decrypt", changed.body).body
        for mode in ("rotate", "rewrap"):
            rotated = service.post("/v1/rotate", sealed.body, mode=mode)
            assert service.post("/v1/decrypt", rotated.body).body == opened.body
        assert service.post("/v1/verify", sealed.body).json() == {"sealed": 1, "bound": False}
        (told,) = service.post("/v1/inspect", sealed.body).json()["secrets"]
        assert told["keys"] == [{"ref": ref, "owner": ""}]
        tampered = sealed.body.replace(b"  username: ", b"  usernama: ")
        assert service.post("/v1/decrypt", tampered).problem == "altered"
        assert service.post("/v1/rotate", tampered, mode="rewrap").problem == "altered"
        for path in ("decrypt", "rotate", "verify", "inspect"):
            assert service.post(f"/v1/{path}", sealed.body, "bound").problem == "forbidden"


class _Parsing(Keys):
    """Every KEK, by names as they stand."""

    def parse(self, text: str) -> KeyRef:
        return KeyRef(*text.split(":", 1))


def test_a_value_added_by_hand_is_sealed_by_a_service_to_the_keys_that_the_file_has(tmp_path: Path) -> None:
    """Its policy's keys are for what is not sealed yet: said of a sealed Secret, a service refuses them."""
    person = Person(tmp_path)
    person.write(".ksecret.yaml", f"version: 1\nrules:\n  - keys: ['{GCP}']\n".encode())
    sealed = kubesec_support.seal(SECRET, Want(keys=(GCP,)))
    person.write("s.yaml", sealed.replace(b"\ndata:\n", f"\ndata:\n  added: {b64('new')}\n".encode()))
    with FakeService(Lock(_Parsing(), (GCP,))) as service:  # type: ignore[arg-type]
        person.ok("encrypt", "-i", "s.yaml", KSECRET_SERVER=service.url, KSECRET_TOKEN=TOKEN)
    (seen,) = service.seen
    assert [name for name, _ in seen.query if name == "key"] == []
    assert b64("new").encode() in kubesec_support.open_((person.work / "s.yaml").read_bytes())
