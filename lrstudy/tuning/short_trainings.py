"""Short trainings of a study, for its check: their rows, a state in mid-training, and their time."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from lrstudy.engine.function.function_group import FunctionGroup
from lrstudy.engine.function.short_trial import RateWatch, shortened
from lrstudy.engine.function.start_function import settings_of, train_code
from lrstudy.engine.group import SoloGroup, TrialGroup
from lrstudy.engine.trial import State, Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.outcome import Outcome
from lrstudy.rules.user_modules import load
from lrstudy.schedules.samples import sample_configurations
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.tasks import TaskData


@dataclass(slots=True)
class ShortRun:
    """A short training: its rows, one state in mid-training, and where its time went."""

    rows: list[EvaluationRecord] = field(default_factory=list)
    state: State | None = None
    saved_after: int = 0
    outcome: Outcome | None = None
    error: BaseException | None = None
    unevaluated: float = 0.0  # seconds between the last step and the report, outside of ``evaluating``

    @property
    def steps(self) -> int:
        """The number of steps up to the last evaluation."""
        return self.rows[-1].step if self.rows else 0

    @property
    def from_start(self) -> bool:
        """Return True if it did not continue from a state."""
        return bool(self.rows) and self.rows[0].evaluation == 1

    def step_seconds(self) -> float:
        """Return the seconds of a step: the least over the intervals, for the first one warms up."""
        before, each = 0, []
        for row in self.rows:
            each.append((row.train_seconds - self.unevaluated) / max(row.step - before, 1))
            before = row.step
        return max(min(each), 0.0)

    def eval_seconds(self) -> float:
        """Return the seconds of an evaluation."""
        return min(row.eval_seconds for row in self.rows) + max(self.unevaluated, 0.0)


class ShortTrainings:
    """Trains a study for a few steps, with one schedule and seed at a time.

    ``pass_length`` is the number of steps of a pass over the data, once a training of the user's has told it.
    """

    def __init__(self, study: Study, data: TaskData | None, device: torch.device, steps: int) -> None:
        self._study, self._data, self._device, self._count = study, data, device, steps
        self.pass_length: int | None = None

    def train(
        self,
        schedule: ScheduleSpec,
        seed: int,
        *,
        watch: RateWatch | None = None,
        state: State | None = None,
        save: bool = False,
    ) -> ShortRun:
        """Train from the start, or from ``state``; with ``save`` keep a state in mid-training."""
        params = sample_configurations(schedule)[0]
        config = TrialConfig("check", Phase.TUNE, schedule.name, schedule.kind, params, seed)
        watch = RateWatch() if watch is None else watch
        run = ShortRun()
        group: TrialGroup | None = None
        try:
            group = self._group(config, watch)
            if state is not None:
                group.load(0, state)
            for pause in group.run():
                now = time.perf_counter()
                for row in pause.rows.values():
                    run.rows.append(row)
                    if watch.stepped_at is not None:
                        run.unevaluated = now - watch.stepped_at - row.eval_seconds
                # The first state after the first evaluation: before it, little has happened.
                if save and run.rows and run.state is None and group.active:
                    run.state, run.saved_after = group.state(0), len(run.rows)
                    if run.state is not None:
                        run.state = through_a_file(run.state)
            if not group.active:
                run.outcome = group.outcome(0)
        except Exception as error:  # noqa: BLE001 - users' code may raise anything
            run.error = error
        finally:
            if group is not None:
                group.close()
        return run

    def _group(self, config: TrialConfig, watch: RateWatch) -> TrialGroup:
        if self._data is not None:
            return SoloGroup(Training(self._short_study(), self._data, config, self._device))
        task = self._study.function
        assert task is not None
        settings = shortened(settings_of(self._study, task, config, self._device), self._count)

        def made(schedule: Any) -> None:
            self.pass_length = schedule.pass_length or self.pass_length
            watch.watch(schedule)

        settings = replace(settings, on_schedule=made)
        return FunctionGroup(load(train_code(task)), settings, _outcome, pause_seconds=0.0)

    def _short_study(self) -> Study:
        task = self._study.built_in
        short = task.model_copy(update={"epochs": 2 if task.evaluate_every is None else 1})
        return self._study.model_copy(update={"task": short})


def _outcome(rows: list[EvaluationRecord], reason: str | None) -> Outcome:
    return Outcome(Status.COMPLETED if reason is None else Status.DIVERGED, len(rows), error=reason)


def difference(one: Sequence[EvaluationRecord], other: Sequence[EvaluationRecord]) -> str | None:
    """Return the first value in which two trainings differ; None if there is none. Clocks do not count."""
    for left, right in zip(one, other, strict=False):
        before, after = _values(left), _values(right)
        for name, value in before.items():
            if value != after[name] and not (value != value and after[name] != after[name]):
                return f"{name} {value!r} and {after[name]!r} at step {left.step}"
    return None if len(one) == len(other) else f"{len(one)} and {len(other)} evaluations"


def _values(row: EvaluationRecord) -> dict[str, Any]:
    values = {name: value for name, value in asdict(row).items() if not name.endswith("_seconds")}
    metrics: dict[str, Any] = values.pop("metrics")
    return metrics | values


def through_a_file(state: State) -> State:
    """Return a state as a checkpoint's file gives it back."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: State = torch.load(buffer, weights_only=True)
    return loaded
