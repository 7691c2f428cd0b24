"""`Record`: a `typing.NamedTuple` that neither imports `typing` (10 ms) nor compiles code for each class (0.15 ms).

To type checkers it is `NamedTuple` itself. At run time it is as much of one as we use: an immutable tuple whose fields
have names, with defaults, `_replace` and `_asdict`. A start makes some forty such classes.
"""

from __future__ import annotations

__all__ = ["Record"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as Record
else:
    try:
        from _collections import _tuplegetter as _field  # what collections.namedtuple makes its fields of
    except ImportError:  # it is CPython's own

        def _field(index, doc):
            return property(lambda record: tuple.__getitem__(record, index), doc=doc)

    _made = tuple.__new__

    class _RecordType(type):
        """Makes fields of the annotations in a class's body, and defaults of what they are set to."""

        def __new__(mcs, name, bases, body):
            names = tuple(body.get("__annotations__", ()))
            if names:
                body["_fields"] = body["__match_args__"] = names
                body["_defaults"] = tuple(body[name] for name in names if name in body)
                body |= {name: _field(index, "") for index, name in enumerate(names)}
            return super().__new__(mcs, name, bases, body | {"__slots__": ()})

    class Record(tuple, metaclass=_RecordType):
        _fields = __match_args__ = ()
        _defaults = ()
        """Of the last fields."""

        def __new__(cls, *values, **named):
            lacking = len(cls._fields) - len(values)
            if not (lacking or named):
                return _made(cls, values)
            if named or not 0 <= lacking <= len(cls._defaults):
                values = cls._completed(values, named)
            elif lacking:
                values += cls._defaults[-lacking:]
            return _made(cls, values)

        @classmethod
        def _completed(cls, values, named):
            """The values of all fields in their order. Raises TypeError as a function of these arguments would."""
            names = cls._fields[len(values) :]
            given = dict(zip(reversed(cls._fields), reversed(cls._defaults), strict=False)) | named
            wrong = [name for name in names if name not in given] or [name for name in named if name not in names]
            if wrong or len(values) > len(cls._fields):
                raise TypeError(f"{cls.__name__}: one value for each of {cls._fields}: see {wrong or 'the last'}")
            return (*values, *(given[name] for name in names))

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changed):
            values = tuple(map(changed.pop, self._fields, self))
            if changed:
                raise TypeError(f"{type(self).__name__} has no field {list(changed)}")
            return _made(type(self), values)

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"
