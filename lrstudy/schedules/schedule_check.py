"""The check of a study's schedules before any trial starts: users' own are walked over the training."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import torch
from torch import nn

from lrstudy.catalog.moved_options import MOMENTUM, names_moved
from lrstudy.compat.torch import make_optimizer
from lrstudy.errors import InputError, Problem
from lrstudy.rules.surroundings import random_states_kept
from lrstudy.rules.user_modules import UserCode, load
from lrstudy.schedules.dry_run import STATE_REMEDY, DryRun, continues, dry_run, is_random
from lrstudy.schedules.option_moves import split_moves
from lrstudy.schedules.protocol import ScheduleContext
from lrstudy.schedules.samples import sample_configurations
from lrstudy.schedules.schedule_registry import build_schedule
from lrstudy.spec import FunctionTask, Range, ScheduleSpec, Study
from lrstudy.tasks import Pipeline, TaskData, assemble

STEPS: Final = 100_000
"""The most steps that a schedule of users' own is walked, all of its configurations together."""

_TORCH: Final = "torch.optim.lr_scheduler:"
_ROWS: Final = 4
_CLASSES: Final = 3
_STEPS_PER_EPOCH: Final = 10  # of a user's training, where only its loader knows


@dataclass(slots=True)
class Findings:
    """Problems that keep a study from running, and warnings of what its author may not have meant."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def check_schedules(study: Study, data: TaskData | None, *, sound: bool) -> Findings:
    """Build each schedule with sampled configurations of its space on the study's model and optimizer.

    Users' own are walked over the training's steps as well, the middle of their space first, until ``STEPS``
    are spent. Without ``data`` their modules are loaded and no more; a task that is not ``sound`` is replaced
    by a linear model, for users' own alone.
    """
    found = Findings()
    make = None if data is None else _contexts(study, data, sound=sound)
    if (function := study.function) is not None:
        make, sound = _function_contexts(study, function), True
    for schedule in study.schedules:
        check = _Check(study, schedule, found)
        if ":" in schedule.kind:
            check.run(lambda check=check: check.own(make))  # type: ignore[misc]
        elif make is not None and sound:
            check.built_in(make)
    return found


_Make = Callable[[], ScheduleContext]


def _contexts(study: Study, data: TaskData, *, sound: bool) -> _Make:
    """Return a function that makes a new optimizer at each call, over one model that has gradients."""
    task, cpu = study.built_in, torch.device("cpu")
    model: nn.Module
    optimizer: Callable[[], torch.optim.Optimizer]
    if sound:
        parts = assemble(task, data, cpu)
        pipeline, model, optimizer = parts.pipeline, parts.model, parts.new_optimizer
        batch = next(pipeline.batches("train", min(task.batch_size, _ROWS)))
        with random_states_kept(), parts.precision.autocast():  # dropout draws from torch's
            loss = parts.loss(model(batch[0]), batch[1])
        loss.backward()
    else:
        pipeline, model = Pipeline(data, task, cpu), nn.Linear(1, 1)
        batch = next(pipeline.batches("train", min(task.batch_size, _ROWS)))
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer = partial(make_optimizer, torch.optim.SGD, list(model.parameters()))

    def make() -> ScheduleContext:
        return ScheduleContext(
            optimizer=optimizer(),
            model=model,
            loss_name=task.loss.name,
            loss_options=dict(task.loss.options),
            epochs=task.epochs,
            steps_per_epoch=pipeline.steps_per_epoch,
            batches=lambda: [batch],
            seed=0,
            higher_is_better=study.metric.higher_is_better,
            accumulate=task.accumulate,
        )

    return make


def _function_contexts(study: Study, task: FunctionTask) -> _Make:
    """Return a function that makes stand-ins for what a user's training gives its schedule."""
    model = nn.Linear(1, _CLASSES)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    per_epoch = task.steps_per_epoch or task.evaluate_every or _STEPS_PER_EPOCH
    epochs = task.epochs if task.steps is None else math.ceil(task.steps / per_epoch)
    assert epochs is not None

    def make() -> ScheduleContext:
        return ScheduleContext(
            optimizer=make_optimizer(torch.optim.SGD, list(model.parameters()), lr=task.lr, momentum=0.9),
            model=model,
            loss_name="cross-entropy",
            loss_options={},
            epochs=epochs,
            steps_per_epoch=per_epoch,
            batches=lambda: [(torch.zeros(_ROWS, 1), torch.zeros(_ROWS, dtype=torch.int64))],
            seed=0,
            higher_is_better=study.metric.higher_is_better,
            steps=task.steps,
        )

    return make


class _Check:
    """The check of one schedule, which adds to the findings."""

    def __init__(self, study: Study, schedule: ScheduleSpec, found: Findings) -> None:
        self._schedule, self._found = schedule, found
        self._where = f"schedules.{schedule.name}"
        self._samples = sample_configurations(schedule, ends=study.budget.search == "grid")
        self._keys: set[str] = set()
        self._warned: set[str] = set()

    def run(self, step: Callable[[], None], params: Mapping[str, Any] | None = None) -> bool:
        """Return True if the step raised no ``InputError``; its problems are kept, one for each key."""
        try:
            step()
        except InputError as error:
            for problem in error.problems:
                self._add(problem, params)
            return False
        return True

    def built_in(self, make: _Make) -> None:
        """Build every sampled configuration."""
        for params in self._samples:
            self.run(lambda params=params: self._build(make(), params), params)  # type: ignore[misc]

    def _build(self, context: ScheduleContext, params: Mapping[str, Any]) -> None:
        schedule = build_schedule(self._schedule.kind, params, context)
        schedule.close()

    def own(self, make: _Make | None) -> None:
        """Load it, hold its parameters to what they are declared to be, and walk it."""
        code = UserCode(self._schedule.kind, self._where, "kind")
        factory = load(code)
        problems = list(_type_problems(self._where, self._schedule, factory))
        if problems:
            raise InputError(problems)
        if make is None:
            return
        left = STEPS
        for place, params in enumerate(self._samples):
            context = make()
            steps = min(context.total_steps, max(left, 1))
            left -= steps
            walked: list[DryRun] = []
            if not self.run(lambda: walked.append(dry_run(code, params, make, steps)), params):  # noqa: B023
                continue
            self._judge(code, walked[0], params, context)
            if split_moves(params)[1]:
                self.run(lambda params=params: self._build(make(), params), params)  # type: ignore[misc]
            if place == 0:
                self.run(lambda: self._repeat(code, walked[0], params, make, steps))  # noqa: B023

    def _repeat(
        self, code: UserCode, run: DryRun, params: Mapping[str, Any], make: _Make, steps: int
    ) -> None:
        if is_random(run, lambda: dry_run(code, params, make, steps)):
            message = (
                "gives other rates at each call: it draws from the random state of Python or numpy, "
                "or keeps state between calls"
            )
            remedy = "Draw from the schedule's own generator with a fixed seed, or from torch; keep nothing."
        elif run.bad is None and not continues(run, code, params, make):
            message = "gives other rates where it continues from its saved state"
            remedy = STATE_REMEDY
        else:
            return
        self._add(Problem(self._where, "kind", message, remedy, code.name))

    def _judge(
        self, code: UserCode, run: DryRun, params: Mapping[str, Any], context: ScheduleContext
    ) -> None:
        for message, remedy in _unusable(run, context):
            self._add(Problem(self._where, "kind", message, remedy, code.name), params)
        if run.momentum is not None:
            before, after = run.momentum
            message = f"changes the momentum of the optimizer from {before:g} to {after:g}"
            if MOMENTUM in names_moved(params):
                remedy = "Leave the study file's momentum out, or let the schedule leave it unchanged."
                self._add(Problem(self._where, MOMENTUM, message, remedy), params)
            elif code.name.startswith(_TORCH) and "cycle_momentum" not in params:
                remedy = "Add cycle_momentum = false, or cycle_momentum = true if that is intended."
                self._add(Problem(self._where, "kind", message, remedy, code.name), params)
            else:
                remedy = "Leave the momentum unchanged: the comparison is of learning rates only."
                self._warn("momentum", message, remedy, params)
        for message, remedy in _unlikely(run, context):
            self._warn("rates", message, remedy, params)

    def _add(self, problem: Problem, params: Mapping[str, Any] | None = None) -> None:
        key, message = problem.key, problem.message
        if not problem.where.startswith("schedule"):  # its state, or its optimizer
            key, message = "kind", f"{problem.where}, {problem.key}: {message}"
        if key in self._keys:  # the same again for another configuration
            return
        self._keys.add(key)
        message = self._with_tried(message, params or {})
        self._found.problems.append(replace(problem, where=self._where, key=key, message=message))

    def _warn(self, about: str, message: str, remedy: str, params: Mapping[str, Any]) -> None:
        if about not in self._warned:  # once for all configurations
            self._warned.add(about)
            message = self._with_tried(message, params)
            self._found.warnings.append(Problem(self._where, "kind", message, remedy, self._schedule.kind))

    def _with_tried(self, message: str, params: Mapping[str, Any]) -> str:
        """Add the searched values that the message is true of."""
        searched = {name: value for name, value in params.items() if name in self._schedule.space}
        told = ", ".join(f"{name} = {value!r}" for name, value in searched.items())
        return f"{message} (tried with {told})" if told else message


def _unusable(run: DryRun, context: ScheduleContext) -> Iterator[tuple[str, str]]:
    if run.bad is not None:
        step, rate = run.bad
        message = f"gives the rate {rate:g} at step {step} of {context.total_steps}"
        yield message, "Every rate must be finite and at least 0: correct the schedule or its parameters."
    elif run.zero_from is not None:
        idle = len(run.rates) - run.zero_from
        if idle > max(context.steps_per_epoch, context.total_steps // 10) or run.zero_from == 0:
            message = f"gives the rate 0 from step {run.zero_from} of {context.total_steps} on"
            yield message, "A rate of 0 trains nothing: make the schedule last as long as the training."


def _unlikely(run: DryRun, context: ScheduleContext) -> Iterator[tuple[str, str]]:
    rates = run.rates
    if run.bad is not None or len(rates) < context.total_steps or len(rates) < 2:
        return
    if min(rates) == max(rates):
        message = f"keeps the rate {rates[0]:g} over all {len(rates)} steps"
        yield message, "If that is not intended, check its parameters and its interval."
    elif max(rates) == rates[-1] and rates == sorted(rates):
        message = f"still rises at the end of the training, to {rates[-1]:g}"
        yield message, "If that is not intended, check its parameters and its interval."


def _type_problems(where: str, schedule: ScheduleSpec, factory: Callable[..., Any]) -> Iterator[Problem]:
    """Whole numbers where real ones are declared, and the other way round."""
    for name, kind in _declared(factory).items():
        span, value = schedule.space.get(name), schedule.fixed.get(name)
        if isinstance(span, Range) and span.integer and kind == "float":
            remedy = f"Write {{ low = {span.low}.0, high = {span.high}.0 }} to search real numbers."
            yield Problem(where, name, "is a real number, searched over whole ones", remedy, span.to_json())
        elif isinstance(span, Range) and not span.integer and not span.names and kind == "int":
            remedy = "Write low and high without a decimal point."
            yield Problem(where, name, "is a whole number, searched over real ones", remedy, span.to_json())
        elif isinstance(value, float) and not value.is_integer() and kind == "int":
            yield Problem(where, name, "must be a whole number", "Write it without a decimal point.", value)


def _declared(factory: Callable[..., Any]) -> dict[str, str]:
    """The parameters that are annotated as int or float, or have a float for a default."""
    try:
        parameters = inspect.signature(factory).parameters
    except (ValueError, TypeError):  # some callables written in C have no signature
        return {}
    found = {}
    for name, parameter in parameters.items():
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
        if text in ("int", "float"):
            found[name] = text
        elif isinstance(parameter.default, float) or text.startswith(("float |", "Union[float")):
            found[name] = "float"
    return found
