"""The objects that a user's training keeps: what a checkpoint of its trial holds."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from lrstudy.engine.function.function_schedule import TrialSchedule
from lrstudy.engine.function.random_states import State
from lrstudy.engine.function.reports import refusal
from lrstudy.engine.function.sharding import for_rank, whole
from lrstudy.safe_text import describe


class Kept(Protocol):
    """An object that a checkpoint can hold."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state, as tensors and plain data."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Continue from a state."""
        ...


class KeptObjects:
    """Objects by name, each with ``state_dict`` and ``load_state_dict``; schedules are kept in any case.

    ``whole`` is a framework's checkpoint, which holds everything else, the schedules included.
    """

    def __init__(self) -> None:
        self._objects: dict[str, Any] = {}
        self.whole: Kept | None = None
        self.schedules: list[TrialSchedule] = []

    @property
    def any(self) -> bool:
        """Return True if the function keeps something."""
        return bool(self._objects) or self.whole is not None

    def add(self, objects: Mapping[str, Any]) -> None:
        """Keep these objects; raises ``ContractError`` for one that has no state to save."""
        if not objects:
            raise refusal("trial.keep was called without an object", "For example trial.keep(model=model).")
        for name, kept in objects.items():
            lacks = [
                each for each in ("state_dict", "load_state_dict") if not callable(getattr(kept, each, None))
            ]
            if lacks:
                message = (
                    f"trial.keep: {name} is a {type(kept).__name__}, which has no {' and no '.join(lacks)}"
                )
                remedy = (
                    "Keep objects with both: models, optimizers, scalers, or a class that you give the two."
                )
                raise refusal(message, remedy)
            if self._objects.get(name, kept) is not kept:
                raise refusal(f"trial.keep got two objects named {name}", "Give each its own name.")
            self._objects[name] = kept

    def check_states(self) -> None:
        """Raise ``ContractError`` for an object whose state no checkpoint can hold."""
        for name, kept in self._objects.items():
            try:
                state = kept.state_dict()
            except Exception as error:
                message = f"trial.keep: the state_dict of {name} raised {describe(error)}"
                raise refusal(message, "Correct it, or do not keep that object.") from error
            if (cause := why_not_saved(state)) is not None:
                message = f"trial.keep: the state_dict of {name} ({type(kept).__name__}) {cause}"
                remedy = "Let it return tensors, numbers, texts, None, and lists and dicts of these."
                raise refusal(message, remedy)

    def state_dict(self) -> State:
        """Return all states. An optimizer that a schedule steers is kept with it.

        Of a trial with several workers all ranks must call it; divided tensors are whole on rank 0.
        """
        if self.whole is not None:
            return {"whole": self.whole.state_dict()}
        kept = {id(each) for each in self._objects.values()}
        return {
            "objects": {name: whole(each.state_dict()) for name, each in self._objects.items()},
            "optimizers": [
                None if id(each.optimizer) in kept else whole(each.optimizer.state_dict())
                for each in self.schedules
            ],
            "schedules": [each.state_dict() for each in self.schedules],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore all states: the optimizers before the schedules, which read the rates there."""
        if self.whole is not None:
            self.whole.load_state_dict(state["whole"])
            return
        saved = state["objects"]
        if saved.keys() != self._objects.keys() or len(state["schedules"]) != len(self.schedules):
            raise ValueError(
                f"it holds {', '.join(saved) or 'nothing'}, and the function keeps other objects"
            )
        for name, kept in self._objects.items():
            kept.load_state_dict(for_rank(saved[name], kept))
        for schedule, optimizer in zip(self.schedules, state["optimizers"], strict=True):
            if optimizer is not None:
                schedule.optimizer.load_state_dict(for_rank(optimizer, schedule.optimizer))
        for schedule, position in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(position)


def why_not_saved(state: Any) -> str | None:
    """Return the reason why a checkpoint cannot hold this state; None if it can.

    It is saved and loaded as a checkpoint is, with an empty tensor for each tensor in it.
    """
    buffer = io.BytesIO()
    try:
        torch.save(_without_values(state), buffer)
    except Exception as error:  # noqa: BLE001 - pickle calls users' code
        return f"cannot be saved: {_first_line(error)}"
    buffer.seek(0)
    try:
        torch.load(buffer, weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises several kinds
        return f"cannot be loaded safely: {_first_line(error)}"
    return None


def _without_values(state: Any) -> Any:
    if isinstance(state, torch.Tensor):
        return torch.zeros(())
    if type(state) in (list, tuple):
        return type(state)(_without_values(each) for each in state)
    if type(state) in (dict, OrderedDict):
        return {key: _without_values(value) for key, value in state.items()}
    return state


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in describe(error).splitlines()]
    named = [line for line in lines if "WeightsUnpickler error" in line]
    return (named or lines)[0]
