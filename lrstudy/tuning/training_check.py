"""The check of a study's training on a few of its steps, before the study is paid for.

The training runs several times: twice with one seed, once with another, once from a checkpoint, and once
with a rate that no training survives.
"""

from __future__ import annotations

import io
import math
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import torch

from lrstudy.engine.function.function_group import FunctionGroup
from lrstudy.engine.function.short_trial import RateWatch, shortened
from lrstudy.engine.function.start_function import settings_of, train_code
from lrstudy.engine.group import SoloGroup, TrialGroup
from lrstudy.engine.trial import State, Training, TrialConfig
from lrstudy.errors import InputError
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.outcome import Outcome
from lrstudy.rules.user_line import defining_line
from lrstudy.rules.user_modules import cause_of, load
from lrstudy.schedules.samples import sample_configurations
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.tasks import TaskData
from lrstudy.tuning.time_estimate import trials_at_once

Result = Literal["ok", "problem", "warning", "skipped"]
STEPS: Final = 20
# A rate at which a float32 training gives NaN or infinity within a few steps.
_HUGE: Final = 1e30
# An evaluation outside of ``trial.evaluating`` is worth a remark from this share of a trial's time on.
_SHARE: Final = 0.05
_SEEDS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Item:
    """One check and its result; ``remedy`` is empty unless something is to be changed."""

    check: str
    result: Result
    message: str
    remedy: str = ""


@dataclass(slots=True)
class _Run:
    """A short training: its rows, one state in mid-training, and where its time went."""

    rows: list[EvaluationRecord] = field(default_factory=list)
    state: State | None = None
    saved_after: int = 0
    outcome: Outcome | None = None
    error: BaseException | None = None
    unevaluated: float = 0.0  # seconds between the last step and the report, outside of ``evaluating``

    @property
    def steps(self) -> int:
        return self.rows[-1].step if self.rows else 0

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


class TrainingCheck:
    """The checks of one study's training; ``items`` are their results so far."""

    def __init__(self, study: Study, data: TaskData | None, device: torch.device, steps: int) -> None:
        self._study, self._data, self._device, self._count = study, data, device, steps
        self.items: list[Item] = []
        self.step_seconds: float | None = None
        self.trial_seconds: float | None = None

    def run(self) -> None:
        """Run all checks; those that depend on a training that failed are left out."""
        first, *others = self._study.schedules
        watch = RateWatch()
        run = self._train(first, _SEEDS[0], watch=watch, save=True)
        if not self._accept(f"schedule {first.name}", run):
            return
        self._rates(watch)
        self._repeats(first, run)
        self._seeds_differ(first, run)
        self._continues(first, run)
        if self._data is None:
            self._evaluation_time(run)
            self._divergence(first)
        for schedule in others:
            self._accept(f"schedule {schedule.name}", self._train(schedule, _SEEDS[0]))
        self._memory()
        self._time(run)

    def _accept(self, check: str, run: _Run) -> bool:
        """Add the result of a training by itself; return True if it came to its end."""
        if run.error is None:
            counted = f"{run.steps} steps, {len(run.rows)} evaluations"
            diverged = run.outcome is not None and run.outcome.status is Status.DIVERGED
            how = f"; it diverged: {run.outcome.error}" if diverged and run.outcome is not None else ""
            self._add(check, "ok", f"{counted}{how}")
            return bool(run.rows)
        if isinstance(run.error, InputError):
            for problem in run.error.problems:
                self._add(check, "problem", problem.message, problem.remedy)
        else:
            self._add(check, "problem", f"it raised {cause_of(run.error)}", "Correct that line.")
        return False

    def _rates(self, watch: RateWatch) -> None:
        if watch.schedule is None:
            return
        if watch.swapped:
            remedy = "Call optimizer.step() first, then schedule.step()."
            self._add("rates", "problem", f"schedule.step() precedes optimizer.step(){self._place}", remedy)
        elif watch.wrong is not None:
            step, given, taken = watch.wrong
            message = f"step {step} was taken at the rate {taken:g}, and the schedule had set {given:g}"
            remedy = "Remove what else sets the optimizer's rate, such as a second scheduler."
            self._add("rates", "problem", message + self._place, remedy)
        else:
            self._add("rates", "ok", "every step was taken at the schedule's rate")

    def _repeats(self, schedule: ScheduleSpec, run: _Run) -> None:
        again = self._train(schedule, _SEEDS[0])
        if (text := _difference(run.rows, again.rows)) is None:
            self._add("seed repeats", "ok", "two runs with one seed agree bit by bit")
            return
        if self._device.type == "cuda":
            remedy = "torch.use_deterministic_algorithms(True) makes them agree, where you need it."
            self._add("seed repeats", "warning", f"two runs with one seed differ: {text}", remedy)
            return
        remedy = (
            "Draw all random numbers from torch, numpy or random, or from generators seeded by trial.seed."
        )
        self._add("seed repeats", "problem", f"two runs with one seed differ: {text}{self._place}", remedy)

    def _seeds_differ(self, schedule: ScheduleSpec, run: _Run) -> None:
        other = self._train(schedule, _SEEDS[1])
        if _difference(run.rows, other.rows) is not None:
            self._add("seeds differ", "ok", "another seed gives another training")
            return
        message = f"another seed gives the same values{self._place}"
        remedy = "Use trial.seed, and no torch.manual_seed of a constant: verdicts need different seeds."
        self._add("seeds differ", "problem", message, remedy)

    def _continues(self, schedule: ScheduleSpec, run: _Run) -> None:
        if run.state is None:
            message = "nothing is kept: an interrupted trial starts again from step 1"
            remedy = "Call trial.keep(model=…, optimizer=…) before trial.steps or trial.epochs."
            self._add("checkpoint", "warning", message + self._place, remedy)
            return
        try:
            state = _through_a_file(run.state)
        except Exception as error:  # noqa: BLE001 - pickle calls users' code
            remedy = "Keep objects whose state_dict has tensors and plain values."
            self._add("checkpoint", "problem", f"cannot be saved: {cause_of(error)}{self._place}", remedy)
            return
        continued = self._train(schedule, _SEEDS[0], state=state)
        step = run.rows[run.saved_after - 1].step if run.saved_after else 0
        where = f"from a checkpoint after step {step}" if step else "from a checkpoint"
        rest = continued.rows[run.saved_after :] if self._from_start(continued) else continued.rows
        text = _difference(run.rows[run.saved_after :], rest)
        if continued.error is not None:
            text = cause_of(continued.error)
        if text is None:
            self._add("checkpoint", "ok", f"continued bit by bit {where}")
        elif self._device.type == "cuda":
            self._add("checkpoint", "warning", f"continues differently {where}: {text}")
        else:
            remedy = "Keep all that changes in the training: trial.keep(model=…, optimizer=…, ema=…, …)."
            self._add("checkpoint", "problem", f"continues differently {where}: {text}{self._place}", remedy)

    @staticmethod
    def _from_start(run: _Run) -> bool:
        return bool(run.rows) and run.rows[0].evaluation == 1

    def _evaluation_time(self, run: _Run) -> None:
        function = self._study.function
        assert function is not None
        gap, each = run.unevaluated, run.step_seconds()
        every = function.evaluate_every or self._count
        share = gap / max(gap + every * each, 1e-9)
        if gap < 0.01 or share < _SHARE:
            message = (
                f"an evaluation takes {run.eval_seconds() * 1e3:.3g} ms, which is not counted as training"
            )
            self._add("evaluation time", "ok", message)
            return
        message = (
            f"{gap:.2g} s between schedule.step() and trial.report() count as training ({share:.0%} of it)"
        )
        remedy = "Put the evaluation into `with trial.evaluating():`."
        self._add("evaluation time", "problem", message + self._place, remedy)

    def _divergence(self, schedule: ScheduleSpec) -> None:
        huge = ScheduleSpec(name=schedule.name, kind="fixed", fixed={"lr": _HUGE}, space={})
        run = self._train(huge, _SEEDS[0])
        if run.error is not None:
            message = f"at a rate of {_HUGE:g} it raised {cause_of(run.error)}"
            remedy = "Report a loss that is not finite before you compute with it: that counts as diverged."
            self._add("divergence", "problem", message, remedy)
        elif run.outcome is not None and run.outcome.status is Status.DIVERGED:
            self._add("divergence", "ok", f"at a rate of {_HUGE:g}: {run.outcome.error}")
        else:
            self._add("divergence", "skipped", f"not seen: a rate of {_HUGE:g} gave finite values")

    def _memory(self) -> None:
        # Of this process: with all that the checks have loaded, it has more than one trial.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        at_once, whole = trials_at_once(self._study), _memory_of_machine()
        message = f"a process takes {_gib(peak)}; {at_once} at once of {_gib(whole)}"
        if peak * at_once > whole:
            fit = max(1, int(whole * 0.9 / peak))
            remedy = f"Set resources.max_concurrent = {fit}, or make the batches smaller."
            self._add("memory", "problem", message, remedy)
        else:
            self._add("memory", "ok", message)
        if self._device.type != "cuda":
            return
        used, total = torch.cuda.max_memory_allocated(), torch.cuda.mem_get_info()[1]
        share = total * (self._study.resources.gpus or 1)
        message = f"a trial takes {_gib(used)} of its GPU; its share is {_gib(share)}"
        remedy = "Give each trial more of a GPU (resources.gpus), or make the batches smaller."
        self._add("GPU memory", *(("ok", message) if used < share else ("problem", message, remedy)))

    def _time(self, run: _Run) -> None:
        self.step_seconds = run.step_seconds()
        function = self._study.function
        if function is None:
            return  # lrstudy plan measures it
        length = function.steps
        if length is None:
            per_epoch = self._pass_length
            if per_epoch is None:
                return
            length = (function.epochs or 0) * per_epoch
        evaluations = math.ceil(length / function.evaluate_every) if function.evaluate_every else 1
        evaluations = function.evaluations or evaluations
        self.trial_seconds = length * self.step_seconds + evaluations * run.eval_seconds()

    _pass_length: int | None = None

    def _train(
        self,
        schedule: ScheduleSpec,
        seed: int,
        *,
        watch: RateWatch | None = None,
        state: State | None = None,
        save: bool = False,
    ) -> _Run:
        params = sample_configurations(schedule)[0]
        config = TrialConfig("check", Phase.TUNE, schedule.name, schedule.kind, params, seed)
        watch = RateWatch() if watch is None else watch
        run = _Run()
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
                        run.state = _through_a_file(run.state)
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
            self._pass_length = schedule.pass_length or self._pass_length
            watch.watch(schedule)

        settings = replace(settings, on_schedule=made)
        return FunctionGroup(load(train_code(task)), settings, _outcome, pause_seconds=0.0)

    def _short_study(self) -> Study:
        task = self._study.built_in
        short = task.model_copy(update={"epochs": 2 if task.evaluate_every is None else 1})
        return self._study.model_copy(update={"task": short})

    @property
    def _place(self) -> str:
        task = self._study.function
        return "" if task is None else defining_line(load(train_code(task)))

    def _add(self, check: str, result: Result, message: str, remedy: str = "") -> None:
        self.items.append(Item(check, result, message, remedy))


def _outcome(rows: list[EvaluationRecord], reason: str | None) -> Outcome:
    return Outcome(Status.COMPLETED if reason is None else Status.DIVERGED, len(rows), error=reason)


def _difference(one: Sequence[EvaluationRecord], other: Sequence[EvaluationRecord]) -> str | None:
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


def _through_a_file(state: State) -> State:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: State = torch.load(buffer, weights_only=True)
    return loaded


def _memory_of_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gib(size: float) -> str:
    return f"{size / 2**30:.2g} GiB"
