"""The state that a torch scheduler needs to continue, without functions and other constants."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from lrstudy.compat.torch import NESTED_STATES
from lrstudy.errors import ContractError, Problem


class PlainState:
    """Saves and loads a scheduler's state as plain data.

    torch's schedulers keep functions and counters in their ``state_dict`` (``CyclicLR``,
    ``MultiStepLR``), which a safe ``torch.load`` refuses. Those never change, and the scheduler that
    continues is built from the same arguments, so they are left out.
    """

    def __init__(self, scheduler: LRScheduler) -> None:
        self._scheduler = scheduler
        rest = _split(scheduler.state_dict())[1]
        self._constants = {
            key: copy.copy(value) if _has_value(value) else value for key, value in rest.items()
        }

    def save(self) -> dict[str, Any]:
        """The state; raises ``ContractError`` where something that is not plain data has changed."""
        plain, rest = _split(self._scheduler.state_dict())
        changed = [key for key, value in rest.items() if not _same(self._constants.get(key), value)]
        if changed:
            name = type(self._scheduler).__name__
            message = "its state_dict holds something that is neither plain data nor constant"
            remedy = "Keep numbers, texts, lists, dicts and tensors in its attributes."
            raise ContractError([Problem(name, key, message, remedy) for key in changed])
        return copy.deepcopy(plain)

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        merged = _merge(self._scheduler.state_dict(), copy.deepcopy(dict(state)))
        self._scheduler.load_state_dict(merged)


def _split(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    plain = {key: value for key, value in state.items() if _is_plain(value)}
    rest = {key: value for key, value in state.items() if key not in plain}
    for key, value in list(rest.items()):
        if key == NESTED_STATES:  # SequentialLR and ChainedScheduler nest their parts' states
            parts = [_split(part) for part in value]
            plain[key] = [part[0] for part in parts]
            rest[key] = [part[1] for part in parts]
    return plain, rest


def _merge(current: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    merged = {**current, **saved}
    if NESTED_STATES in saved:
        pairs = zip(current[NESTED_STATES], saved[NESTED_STATES], strict=True)
        merged[NESTED_STATES] = [_merge(old, new) for old, new in pairs]
    return merged


def _has_value(value: object) -> bool:
    """Return True if an object is compared by value, like a set, and not by identity, like a model."""
    return type(value).__eq__ is not object.__eq__


def _same(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except (ValueError, RuntimeError):  # an array's comparison is an array, without one truth
        return False


def _is_plain(value: object) -> bool:
    if value is None or isinstance(value, Tensor) or type(value) in (bool, int, float, str):
        return True
    if type(value) in (list, tuple):
        assert isinstance(value, list | tuple)
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value.keys())) and all(map(_is_plain, value.values()))
    return False
