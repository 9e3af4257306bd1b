"""The settings of tuning and of verdicts: their checks, and defaults that depend on other settings."""

from __future__ import annotations

from lrstudy.rules.arrival import stay_of
from lrstudy.rules.goal import MANY_EVALUATIONS, default_arrival
from lrstudy.rules.objective import TARGET
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.models import Budget, Target, TaskSpec
from lrstudy.spec.space import Trouble


def complete_target(target: Target, task: TaskSpec | FunctionTask | None, troubles: list[Trouble]) -> Target:
    """Check the primary target and the arrival rule; fill in the rule where none is named."""
    if target.primary is not None and target.primary not in (target.values or ()):
        message = "is not one of target.values"
        remedy = "Name it in values too; primary says which of them the study is to decide."
        troubles.append(Trouble("target.primary", message, remedy, target.primary))
    if target.arrival is None:
        return target.model_copy(update={"arrival": default_arrival(evaluations_of(task))})
    try:
        stay_of(target.arrival)
    except ValueError:
        remedy = 'Write "first", or "stay:3" for three evaluations in a row.'
        troubles.append(Trouble("target.arrival", "is not an arrival rule", remedy, target.arrival))
        return target.model_copy(update={"arrival": "first"})
    return target


def evaluations_of(task: TaskSpec | FunctionTask | None) -> int | None:
    """Return the number of evaluations of a whole trial; None if only the training tells.

    A built-in task that is evaluated by steps has about this many at least: the rows are not known yet.
    """
    if isinstance(task, FunctionTask):
        return task.evaluations
    if task is None:
        return None
    return task.epochs if task.evaluate_every is None else max(task.epochs, MANY_EVALUATIONS)


def complete_budget(budget: Budget, target: Target | None, troubles: list[Trouble]) -> Budget:
    """Check the design of the study; fill in the objective, which runs stop, and the most replicates."""
    named = target is not None and bool(target.values)
    objective, stop, most = budget.objective, budget.stop, budget.most
    if objective == TARGET and not named:
        remedy = 'Name target.values, or tune for the best value: objective = "best".'
        troubles.append(Trouble("budget.objective", "needs a target to tune for", remedy, objective))
    if objective is None:
        objective = TARGET if named and budget.pruner == "none" else "best"
    if stop is None:
        stop = "tune" if objective == TARGET and budget.pruner == "none" else "never"
    elif stop != "never":
        _check_stop(budget, objective, stop, named, troubles)
    if budget.until == "decided":
        most = most or max(2, 8 * budget.replicates)
        _check_rounds(budget, most, troubles)
    elif most is not None:
        remedy = 'Write until = "decided" too; replicates is the number for a fixed design.'
        troubles.append(Trouble("budget.most", 'needs until = "decided"', remedy, most))
    if budget.first_trials is not None and budget.first_trials > budget.trials:
        message = f"is above trials, {budget.trials}"
        remedy = "Leave it out; only a study whose trials were raised later has it."
        troubles.append(Trouble("budget.first_trials", message, remedy, budget.first_trials))
    if budget.select == 1 or budget.select > budget.trials:
        remedy = "Give 2 finalists or more, at most budget.trials; 0 leaves the phase out."
        troubles.append(Trouble("budget.select", "leaves nothing to choose from", remedy, budget.select))
    return budget.model_copy(update={"objective": objective, "stop": stop, "most": most})


def _check_stop(budget: Budget, objective: str, stop: str, named: bool, troubles: list[Trouble]) -> None:
    """Check that a run that ends at the targets has all that tuning and pruning ask of it."""
    message, remedy = "", 'Write stop = "never".'
    if not named:
        message = "needs target.values: a run ends once it has reached them"
    elif objective != TARGET:
        message = f'does not go with objective = "{objective}", which needs whole runs'
        remedy = 'Write objective = "target", or stop = "never".'
    elif budget.pruner != "none":
        message = f'does not go with pruner = "{budget.pruner}", which compares runs at the same evaluations'
    if message:
        troubles.append(Trouble("budget.stop", message, remedy, stop))


def _check_rounds(budget: Budget, most: int, troubles: list[Trouble]) -> None:
    if budget.replicates < 2:
        remedy = "Give 2 or more; 4 to 8 is usual."
        message = 'leaves nothing to decide by: until = "decided" compares replicates'
        troubles.append(Trouble("budget.replicates", message, remedy, budget.replicates))
    if most < budget.replicates:
        remedy = "Give budget.replicates or more."
        troubles.append(Trouble("budget.most", f"is below replicates, {budget.replicates}", remedy, most))
