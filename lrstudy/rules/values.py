"""Values of a study file, the same in memory and after a way through JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_lists(value: Any) -> Any:
    """The value with every tuple as a list, however deep.

    >>> as_lists(((0.3, 0.1), {"ends": (1, 2)}))
    [[0.3, 0.1], {'ends': [1, 2]}]
    """
    if isinstance(value, list | tuple):
        return [as_lists(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_lists(item) for key, item in value.items()}
    return value


def as_tuples(value: Any) -> Any:
    """The value with every list as a tuple, however deep.

    >>> as_tuples([[0.3, 0.1], {"ends": [1, 2]}])
    ((0.3, 0.1), {'ends': (1, 2)})
    """
    if isinstance(value, list | tuple):
        return tuple(as_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


def equal(one: Any, other: Any) -> bool:
    """Return True if two values are the same, tuples and lists alike; true is not 1, and 1 is 1.0.

    >>> equal([[1, 2]], ((1.0, 2),)), equal(True, 1), equal({"a": [0]}, {"a": (False,)})
    (True, False, False)
    """
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
