"""The batches of a user's training: passes over a loader, and the way back to the middle of one.

A loader with ``state_dict`` and ``load_state_dict`` (torchdata's ``StatefulDataLoader``) restores its
position itself. Any other is replayed: the pass begins again from the random states it began with, and the
batches that the checkpoint has seen are drawn and dropped. Then its random states are restored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, Final

from lrstudy.engine.function.random_states import (
    State,
    generators_of,
    load_generators,
    load_random,
    samplers_of,
    save_random,
)
from lrstudy.engine.function.reports import refusal

_END: Final = object()


class Batches:
    """The passes over one loader: ``passes`` are complete, ``seen`` are batches of the current one."""

    def __init__(self, loader: Iterable[Any], state: State | None = None) -> None:
        if isinstance(loader, Iterator):
            message = f"trial.steps got a {type(loader).__name__}, which gives its batches only once"
            remedy = "Pass what it was made from: a DataLoader, a list, or an object with __iter__."
            raise refusal(message, remedy)
        self.loader = loader
        self.length = length_of(loader)
        """The number of batches of the current pass; None if the loader does not know."""
        self.passes = self.seen = 0
        self._generators = generators_of(loader)
        self._begin: State | None = None
        self._next: Any = _END  # drawn ahead by ``has_more``
        self._current: Iterator[Any] | None = None
        self._mark: State | None = None
        self._restored = state

    def one_pass(self) -> Iterator[Any]:
        """Yield the rest of the current pass; counts it once it is over."""
        self._current = self._rest()
        self.length = length_of(self.loader)
        while True:
            batch, self._next = self._next, _END
            if batch is _END and (batch := next(self._current, _END)) is _END:
                break
            self.seen += 1
            yield batch
        if not self.seen:
            raise refusal("trial.steps: the loader gave no batch", "Give a loader with at least one batch.")
        self.end_pass()

    def end_pass(self) -> None:
        """Count the pass; the rest of its batches, if any, is left."""
        self.passes, self.seen, self._current = self.passes + 1, 0, None
        self._next = _END

    def has_more(self) -> bool:
        """Return True if the pass has another batch; draws it, and keeps the position before that."""
        if self._current is None:
            return False
        if self._next is _END:
            self._mark = self._position()
            self._next = next(self._current, _END)
        return self._next is not _END

    def state_dict(self) -> State:
        """Return the position: before the batch that ``has_more`` drew, or between two passes."""
        return self._position() if self._next is _END or self._mark is None else self._mark

    def _position(self) -> State:
        state: State = {"passes": self.passes, "seen": self.seen, "begin": self._begin, "loader": None}
        if self.seen and _is_stateful(self.loader):
            # Accelerate's loaders have the method, and without torchdata no state.
            with contextlib.suppress(AttributeError):
                state["loader"] = self.loader.state_dict()  # type: ignore[attr-defined]
        return state | {"now": save_random(self._generators)}

    def _rest(self) -> Iterator[Any]:
        restored, self._restored = self._restored, None
        if restored is None or not restored["seen"]:
            if restored is not None:
                self.passes = restored["passes"]
                load_generators(restored["now"], self._generators)
            self._begin = save_random(self._generators)
            return self._iterate()
        batches = self._replay(restored)
        load_random(restored["now"], self._generators)
        self.passes, self.seen = restored["passes"], restored["seen"]
        return batches

    def _replay(self, restored: Mapping[str, Any]) -> Iterator[Any]:
        self._begin, seen, self.passes = restored["begin"], restored["seen"], restored["passes"]
        if restored["loader"] is not None and _is_stateful(self.loader):
            self.loader.load_state_dict(restored["loader"])  # type: ignore[attr-defined]
            return self._iterate()
        if self._begin is not None:
            load_random(self._begin, self._generators)
        batches = self._iterate()
        for _ in range(seen):
            if next(batches, _END) is _END:
                message = f"trial.steps: the loader has fewer batches now than the {seen} of the checkpoint"
                raise refusal(message, "Give the same data as when the trial began.")
        return batches

    def _iterate(self) -> Iterator[Any]:
        """Begin a pass. Samplers that shuffle by its number (torch's ``DistributedSampler``) are given it."""
        for sampler in samplers_of(self.loader).values():
            if callable(set_epoch := getattr(sampler, "set_epoch", None)):
                set_epoch(self.passes)
        return iter(self.loader)


def length_of(loader: Iterable[Any]) -> int | None:
    """Return the number of batches that a loader gives; None if it does not know."""
    if not isinstance(loader, Sized):
        return None
    try:
        return len(loader) or None
    except (TypeError, NotImplementedError):  # a DataLoader over an iterable data set
        return None


def rows_of(batch: Any) -> int | None:
    """Return the number of rows of a batch, the length of its first tensor; None if there is none."""
    while isinstance(batch, tuple | list | Mapping) and batch:
        batch = next(iter(batch.values())) if isinstance(batch, Mapping) else batch[0]
    shape = getattr(batch, "shape", None)
    return int(shape[0]) if shape is not None and len(shape) else None


def _is_stateful(loader: object) -> bool:
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
