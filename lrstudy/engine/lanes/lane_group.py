"""Several trials trained side by side: a ``Training`` for each, their steps taken together.

A lane's ``Training`` owns all parts of the trial: its model, optimizer, schedule, order of the rows and
record. The group only replaces the work of an epoch, for all lanes at once. The plain loop in ``trial``
defines the results; the tests compare lanes with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrstudy.engine.group import Pause
from lrstudy.engine.lanes.lane_losses import StackedLoss, StackedSums
from lrstudy.engine.lanes.lane_step import LaneStep, choose_lane_step
from lrstudy.engine.lanes.optimizer_step import StackedSteps, steps_together
from lrstudy.engine.lanes.stacked_model import stack
from lrstudy.engine.stretch import Stretch
from lrstudy.engine.trial import State, Training, TrialConfig
from lrstudy.records import EvaluationRecord
from lrstudy.rules.outcome import Outcome
from lrstudy.tasks import TaskData

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import Study


class LaneGroup:
    """Trials of one study in lanes, a ``TrialGroup``. Call ``why_not`` first.

    ``trainings[i]`` is the lane of ``configs[i]``. ``run_to_evaluation`` is one round of ``run``.
    """

    def __init__(
        self, study: Study, data: TaskData, configs: Sequence[TrialConfig], device: torch.device
    ) -> None:
        self.trainings = [Training(study, data, config, device) for config in configs]
        self._dropped: set[int] = set()
        self._stacked: tuple[int, ...] = ()
        loss = self.trainings[0].parts.loss
        self._losses, self._evaluated = StackedLoss(loss), StackedLoss(loss.evaluated())
        self._classes, self._device = data.classes, device
        self._how = study.resources.step

    @property
    def active(self) -> tuple[int, ...]:
        """The lanes that are neither finished nor dropped."""
        numbered = enumerate(self.trainings)
        return tuple(i for i, lane in numbered if not lane.finished and i not in self._dropped)

    def drop(self, i: int) -> None:
        """Stop training a lane; the others are stacked again before the next epoch."""
        self._dropped.add(i)

    def finish(self, i: int) -> None:
        """End a lane as if its budget were used up; the others are stacked again before the next epoch."""
        self.trainings[i].end()

    def run(self) -> Iterator[Pause]:
        """Train epoch by epoch until no lane is active."""
        while self.active:
            yield Pause(self.run_to_evaluation())

    def run_to_evaluation(self) -> dict[int, EvaluationRecord]:
        """Train every active lane to the next evaluation, an epoch later; return the records by lane.

        The seconds in a record are the lane's share of the group's.
        """
        if set(self.active) != set(self._stacked):
            self._stack(self.active)
        lanes = [self.trainings[i] for i in self._stacked]
        measured = [lane.schedule.measurement for lane in lanes]
        started = time.perf_counter()
        rates, train = self._train(lanes)
        shares = self._shares(time.perf_counter() - started)
        estimates = [lane.schedule.take_estimate_seconds() for lane in lanes]
        started = time.perf_counter()
        validation = self._evaluate(lanes)
        eval_seconds = (time.perf_counter() - started) / len(lanes)
        stretches = zip(rates, measured, train, validation, strict=True)
        return {
            i: lane.note_epoch(Stretch(*values, (share, estimate, eval_seconds)))
            for i, lane, share, estimate, values in zip(
                self._stacked, lanes, shares, estimates, stretches, strict=True
            )
        }

    def _shares(self, seconds: float) -> list[float]:
        """Return each lane's training seconds: the lanes that measure share that cost, all share the rest."""
        watching, watched = self._model.take_watch_seconds(), self._model.watched
        each = (seconds - watching) / len(self._stacked)
        return [
            each + (watching / len(watched) if place in watched else 0.0)
            for place in range(len(self._stacked))
        ]

    def state(self, i: int) -> State:
        """Return a lane's checkpoint; a plain ``Training`` of the trial or a lane can continue from it."""
        state: State = _own_memory(self.trainings[i].state_dict())
        return state

    def load(self, i: int, state: State) -> None:
        """Continue a lane from a checkpoint, its own or a plain trial's."""
        self.trainings[i].load_state_dict(state)
        self._stacked = ()  # the optimizer's buffers are new

    def outcome(self, i: int) -> Outcome:
        """Return the outcome of a finished lane; for a confirm trial, measures the test split."""
        return self.trainings[i].outcome()

    def notes(self, i: int) -> tuple[str, ...]:
        """Return the remark on the lanes' common step, if there is one."""
        return () if self._step.note is None else (self._step.note,)

    def close(self) -> None:
        """Remove the schedules' hooks from the models."""
        for lane in self.trainings:
            lane.close()

    def _stack(self, active: tuple[int, ...]) -> None:
        together = {i for i in active if self._steps_together(self.trainings[i])}
        self._stacked = tuple(sorted(active, key=lambda i: i not in together))
        lanes = [self.trainings[i] for i in self._stacked]
        self._model = stack([lane.model for lane in lanes])
        parameters: list[list[Tensor]] = [list(lane.model.parameters()) for lane in lanes]
        optimizers = [lane.optimizer for lane in lanes]
        steps = StackedSteps(self._model, optimizers, parameters, len(together))
        schedules = [lane.schedule for lane in lanes]
        plain = LaneStep(self._model, self._losses, steps, schedules)
        self._step = choose_lane_step(self._how, plain, self._device)

    @staticmethod
    def _steps_together(lane: Training) -> bool:
        # A schedule that needs the loss also needs the gradients on the parameters.
        return steps_together(lane.optimizer) and not lane.schedule.needs_loss

    def _train(self, lanes: Sequence[Training]) -> tuple[list[list[float]], list[dict[str, float]]]:
        for lane in lanes:
            if not lane.model.training:
                lane.model.train()
            lane.schedule.before_training()
        self._step.begin()
        sums = StackedSums(self._losses, len(lanes), self._classes, self._device)
        rates: list[list[float]] = []
        for inputs, targets in lanes[0].pipeline.stacked_batches([lane.order for lane in lanes]):
            rates.append([lane.schedule.rate for lane in lanes])
            outputs = self._step(inputs, targets)  # forward, losses' gradient, backward, update
            for place in self._step.need_loss:
                rates[-1][place] = lanes[place].schedule.rate
            for lane in lanes:
                lane.schedule.after_step()
            sums.update(outputs, targets)
        return [list(lane) for lane in zip(*rates, strict=True)], sums.result()

    @torch.no_grad()
    def _evaluate(self, lanes: Sequence[Training]) -> list[dict[str, float]]:
        for lane in lanes:
            lane.schedule.before_evaluation()
        sums = StackedSums(self._evaluated, len(lanes), self._classes, self._device)
        for inputs, targets in lanes[0].pipeline.batches("validation"):
            outputs = self._model(inputs.expand(len(lanes), *inputs.shape), training=False)
            sums.update(outputs, targets.expand(len(lanes), *targets.shape))
        return [{f"val_{name}": value for name, value in lane.items()} for lane in sums.result()]


def _own_memory(state: Any) -> Any:
    """Return a copy whose tensors share no memory: a saved view would contain all lanes."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, Mapping):
        return {key: _own_memory(value) for key, value in state.items()}
    return [_own_memory(value) for value in state] if isinstance(state, list) else state
