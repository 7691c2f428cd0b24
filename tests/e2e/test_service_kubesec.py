"""kubesec's format and PGP keys through the service: for callers whose rules say `unbound`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.cli import MANIFEST, MARKS, b64
from tests.service import EVERY, Service, entry, rule

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
