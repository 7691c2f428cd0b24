"""What callers without `decrypt` learn of values that are sealed already: no more than the sealed file shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.emulators.aws import ENVIRON, KEY, StubKms
from tests.service import Answer, Service, entry, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 1024 * 1024
LINE = re.compile(r"^  [a-z]+: (ksecret\.v1\.\S+|\S+\.\S+\.\S+)", re.MULTILINE)
RIGHTS = ("set", "encrypt", "rotate", "verify", "inspect")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`blind` may do everything but open."""
    with StubKms() as aws:
        made = Service(tmp_path_factory.mktemp("service"), **ENVIRON, AWS_ENDPOINT_URL_KMS=aws.url)
        made.config["tokens"].append(entry("blind"))
        made.config["rules"].append(rule("blind", *RIGHTS, keys=[made.ref, f"aws:{KEY}"], unbound=True))
        made.config["limits"]["backendSeconds"] = 30
        with made:
            yield made


def clear(**values: str) -> bytes:
    lines = "".join(f"  {key}: {value}\n" for key, value in values.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: prod\nstringData:\n{lines}".encode()


def put(service: Service, sealed: bytes, **values: str | None) -> Answer:
    return service.post("/v1/set", {"manifest": sealed.decode(), "values": values}, "blind")


def tokens(data: bytes) -> list[str]:
    return LINE.findall(data.decode())


def told(answer: Answer) -> tuple[int, object]:
    """All of an answer that a hidden value could show in, tokens being of one length."""
    if answer.status == 200:
        return answer.status, [len(token) for token in tokens(answer.body)]
    return answer.status, {**answer.json(), "requestId": ""}


@pytest.mark.parametrize("over", [1, 0, -5, -20, -40, -63, -64, -80, -200])
def test_no_size_of_a_new_value_tells_how_long_a_hidden_one_is(service: Service, over: int) -> None:
    """Not by what the message says, nor by trying at which size the Secret gets too large."""
    sealed = {length: service.sealed(clear(password="-" * length)) for length in (3, 12, 40, 55)}
    assert len({len(tokens(one)[0]) for one in sealed.values()}) == 1, "so long as the file itself tells nothing"
    first, *others = (told(put(service, one, more="a" * (MOST + over))) for one in sealed.values())
    assert all(one == first for one in others)


def test_a_secret_that_gets_too_large_is_still_refused(service: Service) -> None:
    sealed = service.sealed(clear(password="x-" * (MOST // 2 - 100)))
    assert put(service, sealed, more="a" * 100).status == 200
    answer = put(service, sealed, more="a" * 1000)
    assert answer.status == 400
    assert answer.problem == "manifest"
    assert "1 MiB" in answer.json()["detail"]


@pytest.mark.parametrize("format", ["ksecret", "kubesec"])
def test_a_guess_changes_the_same_whether_it_is_right_or_wrong(service: Service, format: str) -> None:
    sealed = service.sealed(clear(password="hunter2", other="same"), format=format, key=f"aws:{KEY}")
    before = tokens(sealed)
    seen = set()
    for guess in ("hunter2", "hunter3"):
        changed = put(service, sealed, password=guess)
        assert changed.status == 200, changed.body
        after = tokens(changed.body)
        seen.add((after[0] == before[0], after[1] == before[1], len(changed.body), *changed.headers.keys()))
    assert len(seen) == 1
    assert not seen.pop()[0]


def test_the_mac_of_kubesecs_format_is_no_way_to_try_out_a_value(service: Service) -> None:
    """A MAC put back where it was must not prove that the value is what it was."""
    sealed = service.sealed(clear(password="hunter2", other="same"), format="kubesec", key=f"aws:{KEY}")
    mac = re.compile(rb"^# kubesec:mac:.*$", re.MULTILINE)
    (old,) = mac.findall(sealed)
    problems = set()
    for guess in ("hunter2", "hunter3"):
        changed = put(service, sealed, password=guess).body
        restored = mac.sub(lambda _: old, changed)
        answer = service.post("/v1/verify", restored, "blind")
        problems.add((answer.status, answer.json().get("detail")))
    assert len(problems) == 1


def test_a_guess_written_beside_a_hidden_value_is_not_compared_with_it(service: Service) -> None:
    """Values are looked for in what stays clear when they are sealed; hidden ones are not, by a caller's `set`."""
    sealed = service.sealed(clear(password="correct-horse-battery", other="same"))
    seen = set()
    for guess in (b"correct-horse-battery", b"something-else-altogether"):
        for place in (b"# " + guess + b"\n", b""):
            noted = place + sealed.replace(b"  name: db\n", b"  name: db\n  annotations: {note: " + guess + b"}\n")
            for answer in (
                put(service, noted, other="new value of it"),
                service.post(
                    "/v1/encrypt", noted.replace(b"stringData:\n", b"stringData:\n  new: clear text\n"), "blind"
                ),
                service.post("/v1/rotate", noted, "blind"),
                service.post("/v1/rotate", noted, "blind", mode="rewrap"),
                service.post("/v1/verify", noted, "blind"),
            ):
                seen.add((guess, answer.status))
    assert {status for guess, status in seen if guess.startswith(b"correct")} == {
        status for guess, status in seen if guess.startswith(b"something")
    }


def test_a_hidden_value_that_looks_like_a_token_is_a_value_like_any_other(service: Service) -> None:
    sealed = service.sealed(clear(password="ksecret.v2.abc"))
    assert put(service, sealed, more="x").status == 200
