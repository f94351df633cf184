"""Dataclasses of numbers, texts and arrays as plain JSON and back, without pydantic."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

Made = TypeVar("Made")


def to_plain(value: Any) -> Any:
    """Mappings, lists, numbers and texts; a NaN or an infinity stays what it is."""
    if is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: to_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(one) for one in value]
    return value


def from_plain(kind: type[Made], given: Any) -> Made:
    """The dataclass `kind` that `to_plain` made `given` of; arrays come back as float64.

    Raises: ValueError, naming the field, if `given` is something else.
    """
    made: Made = _read(kind, given, kind.__name__)
    return made


def _read(kind: Any, given: Any, where: str) -> Any:  # noqa: PLR0911  (one for each kind)
    if is_dataclass(kind):
        return _read_dataclass(kind, given, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union or origin is types.UnionType:
        return _read_union(arguments, given, where)
    if origin is Literal:
        return _checked(given in arguments, given, where)
    if origin is np.ndarray:
        return np.asarray(given, dtype=np.float64)
    if origin is tuple:
        _checked(isinstance(given, list), given, where)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_read(arguments[0], one, where) for one in given)
        _checked(len(given) == len(arguments), given, where)
        return tuple(_read(one, part, where) for one, part in zip(arguments, given, strict=True))
    if kind is float:
        numeric = isinstance(given, int | float) and not isinstance(given, bool)
        return float(_checked(numeric, given, where))
    return _checked(type(given) is kind, given, where)


def _read_dataclass(kind: Any, given: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    _checked(isinstance(given, dict) and given.keys() == hints.keys(), given, where)
    return kind(**{name: _read(hints[name], given[name], f"{where}.{name}") for name in hints})


def _read_union(kinds: tuple[Any, ...], given: Any, where: str) -> Any:
    if given is None and type(None) in kinds:
        return None
    present = [kind for kind in kinds if kind is not type(None)]
    _checked(len(present) == 1, given, where)
    return _read(present[0], given, where)


def _checked(holds: bool, given: Any, where: str) -> Any:
    if not holds:
        raise ValueError(f"{where} cannot be {str(given)[:100]!r}")
    return given
