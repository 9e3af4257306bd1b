"""One rank of a trial that several processes train together: rank 0 speaks for all of them.

Every rank runs the same function with its ``Trial``. They meet in ``trial.report`` and at the safe
pause after it, and at no other place: a pause by the clock could fall into different steps of different
ranks. What rank 0 reports holds for all, so that a schedule which follows the metric sets one rate, and a
divergence ends all ranks at one step.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

import torch.distributed as dist

from lrstudy.engine.function.function_call import call, check_end, keep_warning
from lrstudy.engine.function.random_states import seed_all
from lrstudy.engine.function.rank_meeting import Meeting
from lrstudy.engine.function.reports import Report
from lrstudy.engine.function.shared_values import from_rank_zero
from lrstudy.engine.function.trial_handle import Trial
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.engine.trial import State
from lrstudy.records import EvaluationRecord
from lrstudy.rules.seeding import derive_seed

# The parts of a checkpoint that differ between ranks.
_OF_A_RANK = ("random", "batches")


class Answer(StrEnum):
    """The group's answer to a pause."""

    CONTINUE = "continue"
    SAVE = "save"
    END = "end"


class Desk(Protocol):
    """The way from the ranks to the group of their trial; only rank 0 waits for answers."""

    def pause(self, row: EvaluationRecord | None, *, safe: bool, keeps: bool, reason: str | None) -> Answer:
        """Hand over an evaluation, or none, and wait for the answer."""
        ...

    def save(self, state: State) -> Answer:
        """Hand over a checkpoint and wait for the next answer."""
        ...

    def restart(self, cause: str) -> None:
        """Report that the checkpoint does not fit and that the trial starts again."""
        ...

    def note(self, text: str) -> None:
        """Hand over a line for the run's log."""
        ...


class RankCaller:
    """The caller of a rank's trial: rank 0 asks the group, and the others follow its answer."""

    def __init__(self, desk: Desk, rank: int) -> None:
        self._desk, self._rank = desk, rank
        self.trial: Trial | None = None
        self.ended = False
        """True once the group has ended the trial."""
        self.meeting: Meeting | None = None
        self._warned = False

    def pause(self, row: EvaluationRecord | None, *, safe: bool) -> bool:
        """Wait for the group's answer; save on request. Return True if the trial continues."""
        trial = self.trial
        assert trial is not None
        answer = None
        if self._rank == 0:
            self._warn(trial)
            answer = self._desk.pause(row, safe=safe, keeps=trial.keeps, reason=trial.reason)
        while (answer := from_rank_zero(answer)) is Answer.SAVE:
            state = _gather(trial.state())
            answer = None if state is None else self._desk.save(state)
        self.ended = answer is Answer.END
        return not self.ended

    def _warn(self, trial: Trial) -> None:
        if not self._warned and (warning := keep_warning(trial)) is not None:
            self._warned = True
            self.note(warning)

    def due(self) -> bool:
        """Return True if a pause is due between two steps: never, for ranks pause after reports alone."""
        return False

    def place(self) -> int:
        """Return the step of the trial, for the other ranks."""
        return 0 if self.trial is None else self.trial.place

    def share(self, report: Report, step: int) -> Report:
        """Return rank 0's report, once all ranks are at their report of this step."""
        assert self.meeting is not None
        self.meeting.report(step)
        return from_rank_zero(report)

    def note(self, text: str) -> None:
        """Hand over a line for the run's log, with the rank's number."""
        self._desk.note(text if self._rank == 0 else f"rank {self._rank}: {text}")


def train_rank(
    function: Callable[[Trial], Any],
    settings: Settings,
    desk: Desk,
    state: State | None,
    *,
    rank: int,
    world_size: int,
) -> None:
    """Train one rank of a trial to its end; torch's default process group has all of its ranks.

    Raises what the function raises, and ``ContractError`` if it breaks the contract.
    """
    while True:
        caller = RankCaller(desk, rank)
        trial = Trial(settings, caller, _for_rank(state, rank), rank=rank, world_size=world_size)
        caller.trial = trial
        caller.meeting = Meeting(rank, world_size, caller.place)
        returned = False
        seed_all(rank_seed(settings.seed, rank))
        try:
            call(function, trial)
            returned = True
            if trial.misfit is None:
                if not caller.ended:
                    check_end(function, trial)
                return
        finally:
            caller.meeting.end(returned=returned)
            trial.close()
        if rank == 0:
            desk.restart(str(trial.misfit))
        state = None


def rank_seed(seed: int, rank: int) -> int:
    """Return the seed of a rank's global random states; rank 0 has the trial's own, as a single worker."""
    return derive_seed(seed, "rank", rank) if rank else seed


def _gather(state: State | None) -> State | None:
    """Gather on rank 0 its checkpoint with the parts of all ranks; return None on the others."""
    own = None if state is None else {name: state[name] for name in _OF_A_RANK}
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    if dist.get_rank() != 0 or state is None:
        return None
    return state | {"ranks": parts}


def _for_rank(state: State | None, rank: int) -> State | None:
    return None if state is None else state | state["ranks"][rank]
