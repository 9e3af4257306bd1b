"""The lengths of a study: every schedule is laid out, tuned and confirmed at each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.models import Budget, ScheduleSpec, TaskSpec
from lrstudy.spec.space import Trouble


def with_longest(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a ``[task]`` table with its longest length as ``epochs`` if it gives lengths alone."""
    lengths = task.get("lengths")
    if not isinstance(lengths, list) or task.get("epochs") is not None or task.get("steps") is not None:
        return task
    whole = [length for length in lengths if isinstance(length, int) and not isinstance(length, bool)]
    return {**task, "epochs": max(whole)} if whole and len(whole) == len(lengths) else task


def at_lengths(
    schedules: Sequence[ScheduleSpec], task: TaskSpec | FunctionTask | None, troubles: list[Trouble]
) -> list[ScheduleSpec]:
    """Return the schedules and, after them, the same at each length that is shorter than the study's."""
    if task is None or not task.lengths:
        return list(schedules)
    clock, longest = _length_of(task)
    for index, length in enumerate(task.lengths):
        if longest is not None and length > longest:
            remedy = f"Give at most so many; task.{clock} is the longest training."
            message = f"is more than task.{clock}, {longest}"
            troubles.append(Trouble(f"task.lengths[{index}]", message, remedy, length))
    shorter = sorted({length for length in task.lengths if longest is not None and length < longest})
    added = [spec.at_length(length) for length in shorter for spec in schedules]
    names = {spec.name for spec in schedules}
    for spec in added:
        if spec.name in names:
            message = f"is the name of {spec.of} at the length {spec.length}"
            troubles.append(Trouble(f"schedules.{spec.name}", message, "Give it another name.", None))
    return [*schedules, *added]


def _length_of(task: TaskSpec | FunctionTask) -> tuple[str, int | None]:
    steps = task.steps if isinstance(task, FunctionTask) else None
    return ("epochs", task.epochs) if steps is None else ("steps", steps)


def budget_of_lengths(
    budget: Budget, task: TaskSpec | FunctionTask | None, troubles: list[Trouble]
) -> Budget:
    """Check that every run trains to its end, which is what lengths are compared by; tune for that end."""
    if task is None or not task.lengths:
        return budget
    if budget.stop not in (None, "never"):
        message, remedy = (
            "does not go with task.lengths: the ends of runs are compared",
            'Write stop = "never".',
        )
        troubles.append(Trouble("budget.stop", message, remedy, budget.stop))
    if budget.until == "decided":
        remedy = 'Write until = "spent" and the number of replicates.'
        troubles.append(Trouble("budget.until", "does not go with task.lengths", remedy, budget.until))
    objective = budget.objective or ("final" if budget.pruner == "none" else None)
    return budget.model_copy(update={"objective": objective, "stop": "never"})
