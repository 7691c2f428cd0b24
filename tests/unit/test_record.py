"""`Record` is to do what `typing.NamedTuple` does: type checkers take it for one."""

from __future__ import annotations

import copy
import pickle
import runpy
import sys
from typing import Any, NamedTuple

import pytest

from secretsvc import record
from secretsvc.record import Record


class Place(Record):
    """A class such as ours are."""

    file: str
    line: int = 0
    column: int = 1

    @property
    def shown(self) -> str:
        return f"{self.file}:{self.line}"


class Model(NamedTuple):
    file: str
    line: int = 0
    column: int = 1


class Near(Place):
    """A class below it, without fields of its own."""


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("a",), {}),
    (("a", 2), {}),
    (("a", 2, 3), {}),
    ((), {"file": "a"}),
    (("a",), {"column": 3}),
    ((), {"column": 3, "line": 2, "file": "a"}),
]
WRONG: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((), {"line": 1}),
    (("a", 1, 2, 3), {}),
    (("a",), {"file": "a"}),
    (("a",), {"odd": 1}),
]


@pytest.mark.parametrize(("values", "named"), CALLS)
def test_a_record_is_made_as_a_named_tuple_is(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    made, model = Place(*values, **named), Model(*values, **named)
    assert tuple(made) == tuple(model)
    assert made == model
    assert hash(made) == hash(model)
    assert (made.file, made.line, made.column) == (model.file, model.line, model.column)
    assert made._asdict() == model._asdict()
    assert repr(made) == repr(model).replace("Model", "Place")


@pytest.mark.parametrize(("values", "named"), WRONG)
def test_wrong_values_are_refused(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Model(*values, **named)
    with pytest.raises(TypeError, match="Place"):
        Place(*values, **named)


def test_a_record_is_never_changed_but_replaced() -> None:
    place = Place("a", 2)
    for name in ("line", "other"):
        with pytest.raises(AttributeError):
            setattr(place, name, 3)
    assert place._replace(line=3) == Place("a", 3)
    assert type(Near("a")._replace(line=3)) is Near
    with pytest.raises(TypeError, match="Place has no field"):
        place._replace(odd=3)


def test_a_record_is_unpacked_matched_copied_and_pickled() -> None:
    place = Place("a", 2)
    file, *rest = place
    assert (file, rest) == ("a", [2, 1])
    match place:
        case Place(name, line):
            assert (name, line) == ("a", 2)
    assert copy.copy(place) == copy.deepcopy(place) == pickle.loads(pickle.dumps(place)) == place
    assert place.shown == Near("a", 2).shown == "a:2"


def test_without_what_is_cpythons_own_fields_are_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_collections", None)
    base: Any = runpy.run_path(str(record.__file__))["Record"]

    class Pair(base):
        first: int
        second: int = 2

    assert (Pair(1).first, Pair(1).second, Pair(1)._replace(first=0).first) == (1, 2, 0)
    assert isinstance(vars(Pair)["first"], property)
