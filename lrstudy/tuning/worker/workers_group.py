"""A trial that several worker processes train together, as a trial group of one.

Ray Train's ``TorchTrainer`` starts the processes in a placement group, sets up torch's process group in
them, and ends them all once one of them has failed. It makes no second attempt and keeps no checkpoint:
both are the study's, as for any trial.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import ray
from ray.exceptions import RayActorError

from lrstudy.compat.train import TRAIN_ENVIRONMENT, lost_worker, no_idle_cleaner
from lrstudy.engine.function.function_group import row_values
from lrstudy.engine.function.rank_training import Answer
from lrstudy.engine.function.start_function import outcome_of
from lrstudy.engine.group import LeftoverError, Pause
from lrstudy.engine.trial import State, TrialConfig
from lrstudy.errors import Problem
from lrstudy.records import EvaluationRecord
from lrstudy.rules.outcome import Outcome
from lrstudy.safe_text import describe
from lrstudy.spec import Study
from lrstudy.tuning.fault import Fault, RankError
from lrstudy.tuning.worker.mailbox import (
    Mailbox,
    Note,
    RankFailed,
    RankPause,
    RanksEnded,
    RankState,
    Restarted,
    Started,
)
from lrstudy.tuning.worker.process import Payload
from lrstudy.tuning.worker.rank_process import RankStart, pack, run_rank, unpack

# Functions that catch the end of their trial are waited for this long, with the end of their processes.
_END_SECONDS: Final = 60.0


class WorkersGroup:
    """A trial of ``study.resources.workers`` processes, each with ``request`` of Ray's resources.

    ``on_device`` is called with the name of the device that rank 0 trains on. At a report no checkpoint can
    be taken, as in ``FunctionGroup``; the safe pause that follows it is the only other one.
    """

    def __init__(
        self,
        payload: Payload,
        study: Study,
        config: TrialConfig,
        request: dict[str, float],
        on_device: Callable[[str], None],
    ) -> None:
        self._payload, self._study, self._config, self._request = payload, study, config, request
        self._on_device = on_device
        self._mailbox = Mailbox.create()
        self._folder = tempfile.mkdtemp(prefix="lrstudy-train-")
        self._thread: threading.Thread | None = None
        self._rows: list[EvaluationRecord] = []
        self._notes: list[str] = []
        self._failed: list[RankFailed] = []
        self._error: BaseException | None = None
        self._state: State | None = None
        self._pause: RankPause | None = None
        self._reason: str | None = None
        self._returned = self._finished = self._dropped = False

    @property
    def active(self) -> tuple[int, ...]:
        """As in ``TrialGroup``."""
        ended = self._returned or self._finished or self._dropped
        return () if ended or self._reason is not None else (0,)

    def run(self) -> Iterator[Pause]:
        """Start the processes; yield at the reports of rank 0 and at the safe pause after each."""
        self._thread = threading.Thread(target=self._fit, daemon=True, name="ranks")
        self._thread.start()
        while self.active:
            if self._pause is not None:
                self._pause = None
                self._mailbox.answer(Answer.CONTINUE)
            said, _ = self._receive()
            if isinstance(said, RankPause):
                self._pause, self._reason = said, said.reason
                rows = {} if said.row is None else {0: said.row}
                self._rows += rows.values()
                yield Pause(rows)
            elif isinstance(said, RanksEnded):
                self._end()

    def state(self, i: int) -> State | None:
        """Return the checkpoint of all ranks; None at a report, and if the function keeps nothing."""
        pause = self._pause
        if pause is None or not pause.safe or not pause.keeps:
            return None
        self._mailbox.answer(Answer.SAVE)
        said, attached = self._receive()
        if isinstance(said, RanksEnded):
            self._end()
        assert isinstance(said, RankState)
        if said.problem is not None:
            self._notes.append(said.problem)
            return None
        return unpack(ray.get(attached[0])) | {"values": [row_values(row) for row in self._rows]}

    def load(self, i: int, state: State) -> None:
        """As in ``TrialGroup``; the ranks find out if the function's objects fit."""
        if len(state["ranks"]) != self._study.resources.workers:
            raise ValueError(f"it was saved by {len(state['ranks'])} workers")
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
        return outcome_of(self._study, self._rows, self._reason)

    def notes(self, i: int) -> tuple[str, ...]:
        """Return what the function logged on any rank since the last call, and warnings about it."""
        notes, self._notes = self._notes, []
        return tuple(notes)

    def close(self) -> None:
        """Let the functions unwind and wait for their processes; raises ``LeftoverError`` if they do not end.

        The trial's process must end then, and with it Ray ends all that it has started.
        """
        thread, self._thread = self._thread, None
        try:
            if thread is not None and not self._returned:
                self._mailbox.answer(Answer.END)
                thread.join(_END_SECONDS)
                if thread.is_alive():
                    message = f"its workers did not end within {_END_SECONDS:g} s of the end of the trial"
                    remedy = "Do not catch BaseException around trial.report or in the training loop."
                    raise LeftoverError(Problem("task", "train", message, remedy))
        finally:
            self._mailbox.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _fit(self) -> None:
        """Run the processes to their end; the body of a thread."""
        try:
            fit_ranks(self._start(), self._study.resources.workers, self._request, self._folder)
        except BaseException as error:  # noqa: BLE001 - run raises it in the worker's thread
            self._error = error
        self._mailbox.put(RanksEnded())

    def _start(self) -> RankStart:
        packed = None if self._state is None else (ray.put(pack(self._state)),)
        return RankStart(self._payload, self._config, self._mailbox, packed)

    def _receive(self) -> tuple[RankPause | RankState | RanksEnded, tuple[ray.ObjectRef[Any], ...]]:
        """Return the next message that the group must act on, with its references."""
        while True:
            said, attached = self._mailbox.next()
            if isinstance(said, Started):
                self._on_device(said.device)
            elif isinstance(said, Note):
                self._notes.append(said.text)
            elif isinstance(said, Restarted):
                self._notes.append(f"its checkpoint does not fit ({said.cause}): the trial starts again")
                self._rows.clear()
            elif isinstance(said, RankFailed):
                self._failed.append(said)
            else:
                return said, attached

    def _end(self) -> None:
        """Note that the processes have ended; raises what ended them too early.

        A lost process comes first: the other ranks fail because of it. Then the rank that failed first.
        """
        self._returned = True
        if self._error is None:
            return
        if (lost := lost_worker(self._error)) is not None:
            raise lost
        for failed in self._failed:
            if failed.fault is not Fault.LOST:
                raise RankError(failed.rank, failed.fault, failed.text)
        cause = self._failed[0].text if self._failed else describe(self._error)
        raise RayActorError(error_msg=cause)


def fit_ranks(start: RankStart, workers: int, request: dict[str, float], folder: str) -> None:
    """Run ``workers`` processes to their end; ``folder`` is for the files that Ray Train insists on.

    Raises what ``TorchTrainer.fit`` raises.
    """
    for name, value in TRAIN_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Takes seconds; trials of a single worker do without.
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    trainer = TorchTrainer(
        run_rank,
        train_loop_config={"start": start},
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=request.get("GPU", 0.0) > 0,
            resources_per_worker={name: amount for name, amount in request.items() if amount > 0},
        ),
        run_config=RunConfig(
            name="ranks",
            storage_path=folder,
            failure_config=FailureConfig(max_failures=0),
        ),
    )
    with no_idle_cleaner():
        trainer.fit()
