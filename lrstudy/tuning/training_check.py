"""The check of a study's training on a few of its steps, before the study is paid for.

The training runs several times: twice with one seed, once with another, once from a checkpoint, and once
with a rate that no training survives.
"""

from __future__ import annotations

import math
import os
import resource
from dataclasses import dataclass
from typing import Final, Literal

import torch

from lrstudy.engine.function.short_trial import RateWatch
from lrstudy.engine.function.start_function import train_code
from lrstudy.errors import InputError
from lrstudy.records import Status
from lrstudy.rules.user_line import defining_line
from lrstudy.rules.user_modules import cause_of, load
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.tasks import TaskData
from lrstudy.tuning.short_trainings import ShortRun, ShortTrainings, difference, through_a_file
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


class TrainingCheck:
    """The checks of one study's training; ``items`` are their results so far."""

    def __init__(self, study: Study, data: TaskData | None, device: torch.device, steps: int) -> None:
        self._study, self._device, self._count = study, device, steps
        self._short = ShortTrainings(study, data, device, steps)
        self.items: list[Item] = []
        self.step_seconds: float | None = None
        self.trial_seconds: float | None = None

    def run(self) -> None:
        """Run all checks; those that depend on a training that failed are left out."""
        first, *others = self._study.schedules
        watch = RateWatch()
        run = self._short.train(first, _SEEDS[0], watch=watch, save=True)
        if not self._accept(f"schedule {first.name}", run):
            return
        self._rates(watch)
        self._repeats(first, run)
        self._seeds_differ(first, run)
        self._continues(first, run)
        if self._study.function is not None:
            self._evaluation_time(run)
            self._divergence(first)
        for schedule in others:
            self._accept(f"schedule {schedule.name}", self._short.train(schedule, _SEEDS[0]))
        self._memory()
        self._time(run)

    def _accept(self, check: str, run: ShortRun) -> bool:
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

    def _repeats(self, schedule: ScheduleSpec, run: ShortRun) -> None:
        again = self._short.train(schedule, _SEEDS[0])
        if (text := difference(run.rows, again.rows)) is None:
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

    def _seeds_differ(self, schedule: ScheduleSpec, run: ShortRun) -> None:
        other = self._short.train(schedule, _SEEDS[1])
        if difference(run.rows, other.rows) is not None:
            self._add("seeds differ", "ok", "another seed gives another training")
            return
        message = f"another seed gives the same values{self._place}"
        remedy = "Use trial.seed, and no torch.manual_seed of a constant: verdicts need different seeds."
        self._add("seeds differ", "problem", message, remedy)

    def _continues(self, schedule: ScheduleSpec, run: ShortRun) -> None:
        if run.state is None:
            message = "nothing is kept: an interrupted trial starts again from step 1"
            remedy = "Call trial.keep(model=…, optimizer=…) before trial.steps or trial.epochs."
            self._add("checkpoint", "warning", message + self._place, remedy)
            return
        try:
            state = through_a_file(run.state)
        except Exception as error:  # noqa: BLE001 - pickle calls users' code
            remedy = "Keep objects whose state_dict has tensors and plain values."
            self._add("checkpoint", "problem", f"cannot be saved: {cause_of(error)}{self._place}", remedy)
            return
        continued = self._short.train(schedule, _SEEDS[0], state=state)
        step = run.rows[run.saved_after - 1].step if run.saved_after else 0
        where = f"from a checkpoint after step {step}" if step else "from a checkpoint"
        rest = continued.rows[run.saved_after :] if continued.from_start else continued.rows
        text = difference(run.rows[run.saved_after :], rest)
        if continued.error is not None:
            text = cause_of(continued.error)
        if text is None:
            self._add("checkpoint", "ok", f"continued bit by bit {where}")
        elif self._device.type == "cuda":
            self._add("checkpoint", "warning", f"continues differently {where}: {text}")
        else:
            remedy = "Keep all that changes in the training: trial.keep(model=…, optimizer=…, ema=…, …)."
            self._add("checkpoint", "problem", f"continues differently {where}: {text}{self._place}", remedy)

    def _evaluation_time(self, run: ShortRun) -> None:
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
        run = self._short.train(huge, _SEEDS[0])
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

    def _time(self, run: ShortRun) -> None:
        self.step_seconds = run.step_seconds()
        function = self._study.function
        if function is None:
            return  # lrstudy plan measures it
        length = function.steps
        if length is None:
            per_epoch = self._short.pass_length
            if per_epoch is None:
                return
            length = (function.epochs or 0) * per_epoch
        evaluations = math.ceil(length / function.evaluate_every) if function.evaluate_every else 1
        evaluations = function.evaluations or evaluations
        self.trial_seconds = length * self.step_seconds + evaluations * run.eval_seconds()

    @property
    def _place(self) -> str:
        task = self._study.function
        return "" if task is None else defining_line(load(train_code(task)))

    def _add(self, check: str, result: Result, message: str, remedy: str = "") -> None:
        self.items.append(Item(check, result, message, remedy))


def _memory_of_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gib(size: float) -> str:
    return f"{size / 2**30:.2g} GiB"
