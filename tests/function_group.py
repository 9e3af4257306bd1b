"""A training function that owns its loop, as a trial group: it calls its ``Trial`` and waits there."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lrstudy.engine.group import Pause
from lrstudy.records import EvaluationRecord, Status
from lrstudy.rules.outcome import Outcome


class Left(BaseException):
    """Unwinds a function whose trial is over."""


class Trial:
    """The function's handle: every call hands the turn to the group's caller."""

    def __init__(self, seed: int) -> None:
        self.seed, self.epoch = seed, 0
        self.kept: dict[str, Any] = {}
        self.said: queue.Queue[Pause | BaseException | None] = queue.Queue()
        self.turn: queue.Queue[bool] = queue.Queue()

    def step(self) -> None:
        self._wait(Pause())

    def report(self, value: float) -> None:
        self.epoch += 1
        zero = ("train_seconds", "estimate_seconds", "eval_seconds", "lr", "lr_min", "lr_max")
        numbers = dict.fromkeys(zero, 0.0)
        row = EvaluationRecord(evaluation=self.epoch, step=self.epoch, **numbers, train_loss=value)
        self._wait(Pause({0: row}))

    def _wait(self, pause: Pause) -> None:
        self.said.put(pause)
        if not self.turn.get():
            raise Left


class FunctionGroup:
    """``keeps`` is False for a function that names nothing to be saved."""

    def __init__(self, function: Callable[[Trial], None], seed: int, *, keeps: bool = True) -> None:
        self._trial, self._over, self._dropped, self._keeps = Trial(seed), False, False, keeps
        self._thread = threading.Thread(target=self._call, args=(function,))

    def _call(self, function: Callable[[Trial], None]) -> None:
        try:
            if self._trial.turn.get():
                function(self._trial)
            self._trial.said.put(None)
        except Left:
            self._trial.said.put(None)
        except BaseException as error:  # noqa: BLE001 - run raises it
            self._trial.said.put(error)

    @property
    def active(self) -> tuple[int, ...]:
        return () if self._over or self._dropped else (0,)

    def run(self) -> Iterator[Pause]:
        self._thread.start()
        while self.active:
            self._trial.turn.put(True)
            said = self._trial.said.get()
            if isinstance(said, Pause):
                yield said
                continue
            self._over = True
            if said is not None:
                raise said

    def state(self, i: int) -> dict[str, Any] | None:
        return None if not self._keeps else {"epoch": self._trial.epoch, "kept": dict(self._trial.kept)}

    def load(self, i: int, state: dict[str, Any]) -> None:
        self._trial.epoch, self._trial.kept = state["epoch"], dict(state["kept"])

    def drop(self, i: int) -> None:
        self._dropped = True

    def outcome(self, i: int) -> Outcome:
        return Outcome(Status.COMPLETED, self._trial.epoch)

    def note(self, i: int) -> str | None:
        return None

    def close(self) -> None:
        self._trial.turn.put(False)
        if self._thread.ident is not None:
            self._thread.join()
