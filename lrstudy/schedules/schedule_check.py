"""The check of a study's schedules before any trial starts: users' own are walked over the training."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lrstudy.catalog.moved_options import MOMENTUM, names_moved
from lrstudy.errors import InputError, Problem
from lrstudy.rules.user_modules import UserCode, load
from lrstudy.schedules.check_contexts import Contexts, MakeContext
from lrstudy.schedules.dry_run import STATE_REMEDY, DryRun, continues, dry_run, is_random
from lrstudy.schedules.option_moves import split_moves
from lrstudy.schedules.protocol import ScheduleContext
from lrstudy.schedules.samples import sample_configurations
from lrstudy.schedules.schedule_registry import build_schedule
from lrstudy.spec import Range, ScheduleSpec, Study
from lrstudy.spec.hyperparameters import schedule_params
from lrstudy.tasks import TaskData

STEPS: Final = 100_000
"""The most steps that a schedule of users' own is walked, all of its configurations together."""

_TORCH: Final = "torch.optim.lr_scheduler:"


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
    sound = sound or study.function is not None
    known = data is not None or study.function is not None
    contexts = Contexts(study, data, sound=sound) if known else None
    for schedule in study.schedules:
        check = _Check(study, schedule, found)
        if ":" in schedule.kind:
            check.run(lambda check=check: check.own(contexts))  # type: ignore[misc]
        elif contexts is not None and sound:
            check.built_in(contexts)
    return found


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

    def built_in(self, contexts: Contexts) -> None:
        """Build every sampled configuration."""
        for params in self._samples:
            self.run(lambda params=params: self._build(contexts, params), params)  # type: ignore[misc]

    def _build(self, contexts: Contexts, params: Mapping[str, Any]) -> None:
        if (make := contexts.of(self._schedule, params)) is not None:
            build_schedule(self._schedule.kind, schedule_params(params), make()).close()

    def own(self, contexts: Contexts | None) -> None:
        """Load it, hold its parameters to what they are declared to be, and walk it."""
        code = UserCode(self._schedule.kind, self._where, "kind")
        factory = load(code)
        problems = list(_type_problems(self._where, self._schedule, factory))
        if problems:
            raise InputError(problems)
        if contexts is None:
            return
        left, found = STEPS, list[MakeContext | None]()
        for place, params in enumerate(self._samples):
            if not self.run(lambda: found.append(contexts.of(self._schedule, params)), params):  # noqa: B023
                continue
            if (make := found.pop()) is not None:
                left -= self._walk(code, params, make, left, first=place == 0)

    def _walk(
        self, code: UserCode, tried: Mapping[str, Any], make: MakeContext, most: int, *, first: bool
    ) -> int:
        """Walk one configuration over up to ``most`` steps, at least one; return the number of steps."""
        context, params = make(), schedule_params(tried)
        steps = min(context.total_steps, max(most, 1))
        walked: list[DryRun] = []
        if self.run(lambda: walked.append(dry_run(code, params, make, steps)), tried):
            self._judge(code, walked[0], tried, context)
            if split_moves(params)[1]:
                self.run(lambda: build_schedule(code.name, params, make()).close(), tried)
            if first:
                self.run(lambda: self._repeat(code, walked[0], params, make, steps))
        return steps

    def _repeat(
        self, code: UserCode, run: DryRun, params: Mapping[str, Any], make: MakeContext, steps: int
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
        where, key, message = self._where, problem.key, problem.message
        if problem.where == "task" and key.partition(".")[0] not in self._schedule.own_parts:
            where = "task"  # one of the values tried with it
        elif problem.where != "task" and not problem.where.startswith("schedule") and not self._written(key):
            key, message = "kind", f"{problem.where}, {problem.key}: {message}"  # its state, or its optimizer
        if f"{where}.{key}" in self._keys:  # the same again for another configuration
            return
        self._keys.add(f"{where}.{key}")
        message = self._with_tried(message, params or {})
        if not any((known.where, known.key) == (where, key) for known in self._found.problems):
            self._found.problems.append(replace(problem, where=where, key=key, message=message))

    def _written(self, key: str) -> bool:
        """Return True if the key is one of the schedule's own lines in the file, fixed or searched."""
        return key in self._schedule.fixed or key in self._schedule.space

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
