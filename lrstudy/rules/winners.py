"""The winner of a tuning: the best of its configurations, or of the best few after a selection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrstudy.rules.configurations import Configuration, T, rank
from lrstudy.rules.objective import Objective


def best_of(tried: Iterable[Configuration[T]], objective: Objective) -> Configuration[T] | None:
    """Return the best configuration that did not fail, or None."""
    return min((one for one in tried if not one.failed), key=lambda one: rank(one, objective), default=None)


def finalists_of(
    tried: Iterable[Configuration[T]], number: int, objective: Objective
) -> list[Configuration[T]]:
    """Return the best configurations that did not fail, at most ``number``, the best first.

    They differ: a search may suggest the same choices twice.
    """
    different: dict[str, Configuration[T]] = {}
    for one in sorted(tried, key=lambda one: rank(one, objective)):
        if not one.failed:
            different.setdefault(params_key(one.params), one)
    return list(different.values())[:number]


def winner_of(
    best: Configuration[T] | None, selected: Sequence[Configuration[T]], objective: Objective
) -> Configuration[T] | None:
    """Return the best of the ``selected``; the ``best`` of the search where there are none, or all failed."""
    return best_of(selected, objective) or best


def params_key(params: Mapping[str, Any]) -> str:
    """Return hyperparameters as a text that is equal for equal ones, also after a store.

    >>> params_key({"b": (1, 2), "a": 0.1})
    '{"a": 0.1, "b": [1, 2]}'
    """
    return json.dumps(dict(params), sort_keys=True)
