"""A trial of the user's own training function, as a trial group of one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final

import torch

from lrstudy.engine.function.function_call import call, check_end, keep_warning
from lrstudy.engine.function.interval_clock import Every
from lrstudy.engine.function.random_states import seed_all
from lrstudy.engine.function.reports import Report
from lrstudy.engine.function.trial_handle import Trial
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.engine.group import LeftoverError, Pause
from lrstudy.engine.trial import State
from lrstudy.errors import Problem
from lrstudy.records import EvaluationRecord
from lrstudy.rules.outcome import Outcome
from lrstudy.rules.surroundings import process_kept
from lrstudy.rules.user_line import defining_line, line_of_thread

# Between two pauses of a function that reports nothing: the caller may save or stop the trial there.
_PAUSE_SECONDS: Final = 1.0
# A function that catches the end of its trial is waited for this long.
_END_SECONDS: Final = 30.0


class _Caller:
    """The side of the group in the function's thread: hands over the turn, and waits for it."""

    def __init__(self, pause_seconds: float) -> None:
        self.said: queue.Queue[Pause | BaseException | None] = queue.Queue()
        self.turn: queue.Queue[bool] = queue.Queue()
        self.safe = False
        self.notes: list[str] = []
        self._every = Every(pause_seconds)

    def pause(self, row: EvaluationRecord | None, *, safe: bool) -> bool:
        self.safe = safe
        self.said.put(Pause({} if row is None else {0: row}))
        continues = self.turn.get()
        self._every.restart()
        return continues

    def due(self) -> bool:
        return self._every.over()

    def share(self, report: Report, step: int) -> Report:
        return report

    def note(self, text: str) -> None:
        self.notes.append(text)


class FunctionGroup:
    """A trial whose function runs in a thread of this process, and waits there while ``run`` yields.

    A checkpoint can be taken at the pauses between two batches or passes alone: what follows a report in
    the loop's body must not be repeated or left out. ``function`` is called with a ``Trial``. What it does to
    the process (random states, torch's settings, the current folder) is undone by ``close``.
    """

    def __init__(
        self,
        function: Callable[[Trial], Any],
        settings: Settings,
        outcome: Callable[[list[EvaluationRecord], str | None], Outcome],
        *,
        pause_seconds: float = _PAUSE_SECONDS,
        end_seconds: float = _END_SECONDS,
    ) -> None:
        self._function, self._settings, self._outcome = function, settings, outcome
        self._end_seconds = end_seconds
        self._caller = _Caller(pause_seconds)
        self._trial = Trial(settings, self._caller)
        self._rows: list[EvaluationRecord] = []
        self._thread: threading.Thread | None = None
        self._returned = self._finished = self._dropped = self._warned = False
        self._state: State | None = None
        self._threads = torch.get_num_threads()
        self._before = set(threading.enumerate())
        self._process = ExitStack()
        self._process.enter_context(process_kept())

    @property
    def active(self) -> tuple[int, ...]:
        """As in ``TrialGroup``."""
        ended = self._returned or self._finished or self._dropped
        return () if ended or self._trial.reason is not None else (0,)

    def run(self) -> Iterator[Pause]:
        """Run the function; yield at its reports, and between batches about once a second."""
        self._start(self._state)
        while self.active:
            self._caller.turn.put(True)
            said = self._caller.said.get()
            if isinstance(said, Pause):
                self._rows += said.rows.values()
                yield said
            elif self._trial.misfit is not None:
                self._caller.notes.append(
                    f"its checkpoint does not fit ({self._trial.misfit}): the trial starts again from step 1"
                )
                self._rows.clear()
                self._start(None)
            else:
                self._returned = True
                if said is not None:
                    raise said
                self._check_end()

    def state(self, i: int) -> State | None:
        """Return the checkpoint; None at a report, and if the function keeps nothing."""
        if not self._caller.safe:
            return None
        state = self._trial.state()
        return state if state is None else state | {"values": [row_values(row) for row in self._rows]}

    def load(self, i: int, state: State) -> None:
        """As in ``TrialGroup``; whether the function's objects fit is seen when its training begins."""
        self._rows = [EvaluationRecord(**values) for values in state["values"]]
        self._state = state

    def drop(self, i: int) -> None:
        """As in ``TrialGroup``."""
        self._dropped = True

    def finish(self, i: int) -> None:
        """As in ``TrialGroup``."""
        self._finished = True

    def outcome(self, i: int) -> Outcome:
        """As in ``TrialGroup``; the test split is the function's own affair."""
        return self._outcome(self._rows, self._trial.reason)

    def notes(self, i: int) -> tuple[str, ...]:
        """Return what the function logged since the last call, and, once, a warning if it keeps nothing."""
        notes, self._caller.notes = self._caller.notes, []
        warning = keep_warning(self._trial)
        if warning is not None and not self._warned:
            self._warned = True
            notes.append(warning)
        return tuple(notes)

    def close(self) -> None:
        """Let the function unwind; raises ``LeftoverError`` if it does not end."""
        thread, self._thread = self._thread, None
        try:
            if thread is not None:
                self._caller.turn.put(False)
                thread.join(self._end_seconds)
            self._trial.close()
        finally:
            self._process.close()
        if thread is not None and thread.is_alive():
            message = f"the function did not end within {self._end_seconds:g} s of the end of its trial"
            remedy = "Do not catch BaseException around trial.report or in the training loop."
            raise LeftoverError(Problem("task", "train", message + defining_line(self._function), remedy))

    def _check_end(self) -> None:
        """Raise ``ContractError`` if the function returned too early; note the threads that it left."""
        check_end(self._function, self._trial)
        for thread in set(threading.enumerate()) - self._before:
            if place := line_of_thread(thread):
                self._caller.notes.append(f"the training function returned and left a thread running{place}")

    def _start(self, state: State | None) -> None:
        self._trial.close()
        self._caller.safe = False
        self._trial = Trial(self._settings, self._caller, state)
        self._thread = threading.Thread(target=self._call, args=(self._trial,), daemon=True, name="training")
        self._before.add(self._thread)
        self._thread.start()

    def _call(self, trial: Trial) -> None:
        said: BaseException | None = None
        try:
            if self._caller.turn.get():
                torch.set_num_threads(self._threads)  # an earlier trial's thread may have set another number
                seed_all(trial.seed)
                call(self._function, trial)
        except BaseException as error:  # noqa: BLE001 - run raises it in the worker's thread
            said = error
        self._caller.said.put(said)


def row_values(row: EvaluationRecord) -> dict[str, Any]:
    """Return a record as plain data, for a checkpoint."""
    values = {name: getattr(row, name) for name in row.__slots__}
    return values | {"metrics": dict(row.metrics)}
