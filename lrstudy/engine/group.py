"""The trial group: the trials that a worker trains, one or several side by side.

There are three kinds. A plain trial (``SoloGroup``) and lanes (``LaneGroup``) own the loop over the epochs:
``run`` trains one and yields. The third is the user's own training function, which owns its loop: a group of
one, whose function runs until it calls ``Trial.report`` (or requests its next batch) and waits inside that
call while ``run`` yields. Every request of the caller is handled in that call: ``state`` reads the state that
the function registered; ``drop`` and ``close`` make the call raise, so that the function unwinds. So ``run``
counts no epochs: it yields whenever a trial may be saved or ended, with records or without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lrstudy.engine.trial import State, Training
from lrstudy.errors import ContractError
from lrstudy.records import EvaluationRecord
from lrstudy.rules.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Pause:
    """A point where the whole group waits for its caller: nothing trains before ``run`` is resumed.

    ``rows`` are the evaluations since the last pause, by trial; none where only a step has ended.
    """

    rows: Mapping[int, EvaluationRecord] = field(default_factory=dict)


class TrialGroup(Protocol):
    """Trials in one process, numbered from 0.

    At a pause of ``run`` the caller may save (``state``) or end (``drop``, ``finish``) any active trial, send
    the records, or stop iterating. A trial has finished once it is neither active nor dropped: at a pause, or
    when ``run`` returns. ``close`` must be called in any case, and ends all active trials. An exception in
    the training propagates from ``run``; the group can then only be closed.
    """

    @property
    def active(self) -> tuple[int, ...]:
        """The trials that are neither finished nor dropped."""
        ...

    def run(self) -> Iterator[Pause]:
        """Train until no trial is active; call once."""
        ...

    def state(self, i: int) -> State | None:
        """Return a trial's checkpoint; None if the trial keeps no state and can only start again."""
        ...

    def load(self, i: int, state: State) -> None:
        """Continue a trial from a checkpoint; call before ``run``.

        Raises one of ``MISFITS`` for a checkpoint of another trial. The group is then unusable: part of the
        checkpoint may have been loaded.
        """
        ...

    def drop(self, i: int) -> None:
        """Stop training a trial."""
        ...

    def finish(self, i: int) -> None:
        """End a trial as if its budget were used up: it has finished, and has an outcome."""
        ...

    def outcome(self, i: int) -> Outcome:
        """Return the outcome of a finished trial; call once. For a confirm trial, measures the test split."""
        ...

    def notes(self, i: int) -> tuple[str, ...]:
        """Return the remarks on a trial's training since the last call, for the run's log."""
        ...

    def close(self) -> None:
        """Release the group's resources; nothing else may be called after it.

        Raises ``LeftoverError`` if users' code still runs: then the process must end.
        """
        ...


class LeftoverError(ContractError):
    """A user's function that does not end with its trial."""


# The exceptions that a checkpoint of another model, optimizer or schedule may raise.
MISFITS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)


class SoloGroup:
    """A group of one: a plain trial, or the training of a range test."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._dropped = False

    @property
    def active(self) -> tuple[int, ...]:
        """As in ``TrialGroup``."""
        return () if self._dropped or self._training.finished else (0,)

    def run(self) -> Iterator[Pause]:
        """Train epoch by epoch."""
        while self.active:
            yield Pause({0: self._training.run_to_evaluation()})

    def state(self, i: int) -> State:
        """As in ``TrialGroup``."""
        return self._training.state_dict()

    def load(self, i: int, state: State) -> None:
        """As in ``TrialGroup``."""
        self._training.load_state_dict(state)

    def drop(self, i: int) -> None:
        """As in ``TrialGroup``."""
        self._dropped = True

    def finish(self, i: int) -> None:
        """As in ``TrialGroup``."""
        self._training.end()

    def outcome(self, i: int) -> Outcome:
        """As in ``TrialGroup``."""
        return self._training.outcome()

    def notes(self, i: int) -> tuple[str, ...]:
        """As in ``TrialGroup``."""
        return () if self._training.note is None else (self._training.note,)

    def close(self) -> None:
        """As in ``TrialGroup``."""
        self._training.close()
