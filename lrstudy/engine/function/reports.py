"""The values that a user's training reports: checked, and put into an ``EvaluationRecord``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import torch

from lrstudy.errors import NO_VALUE, ContractError, Problem, did_you_mean
from lrstudy.records import EvaluationRecord
from lrstudy.rules.user_line import calling_line

# Reported values that are counts, not metrics.
COUNTS: Final = ("samples", "tokens")
# Metrics that the record has a field for; all other declared ones are in its ``metrics``.
_FIELDS: Final = frozenset(field.name for field in fields(EvaluationRecord))


@dataclass(frozen=True, slots=True)
class Report:
    """A checked report: ``values`` by metric, all numbers; the counts where they were given."""

    values: dict[str, float]
    samples: int | None = None
    tokens: int | None = None

    def in_fields(self) -> dict[str, float]:
        """Return the metrics that have a field of the record."""
        return {name: value for name, value in self.values.items() if name in _FIELDS}

    def in_metrics(self) -> dict[str, float | None]:
        """Return the metrics that have none."""
        return {name: value for name, value in self.values.items() if name not in _FIELDS}


def refusal(message: str, remedy: str, value: Any = NO_VALUE) -> ContractError:
    """Return the error of a training that breaks its contract, with the line of its code that runs."""
    return ContractError(broken(message, remedy, value))


def broken(message: str, remedy: str, value: Any = NO_VALUE) -> Problem:
    """Return the problem of a training that breaks its contract, with the line of its code that runs."""
    return Problem("task", "train", message + calling_line(), remedy, value)


def read_report(given: Mapping[str, Any], declared: Sequence[str] | None) -> Report:
    """Check what ``trial.report`` was called with; raises ``ContractError`` with everything wrong with it.

    Without ``declared`` names, any metrics may be reported.
    """
    problems = [] if declared is None else list(_name_problems(given, declared))
    values: dict[str, float] = {}
    counts: dict[str, int | None] = dict.fromkeys(COUNTS)
    for name, raw in given.items():
        number = _number(raw)
        if number is None:
            message = f"trial.report: {name} is no number ({type(raw).__name__}{_shape(raw)})"
            problems.append(broken(message, f"Report one number: {name}=float(…)."))
        elif name not in COUNTS:
            values[name] = number
        elif not number.is_integer() or number < 0:  # NaN and infinity are no integers
            message, remedy = f"trial.report: {name} is no count", f"Give the total {name} since the start."
            problems.append(broken(message, remedy, number))
        else:
            counts[name] = int(number)
    if problems:
        raise ContractError(problems)
    return Report(values, counts["samples"], counts["tokens"])


def diverged(values: Mapping[str, float], judged: str, bound: float, where: str) -> str | None:
    """Return the reason why a report counts as diverged, or None.

    That is a loss (``loss`` is in its name), or the metric that the study is judged by, that is not finite;
    or a loss above the bound.
    """
    for name, value in values.items():
        is_loss = "loss" in name.lower()
        if not math.isfinite(value) and (is_loss or name == judged):
            return f"{name} became {value} {where}"
        if is_loss and value > bound:
            return f"{name} {value:.6g} passed the bound {bound:g} {where}"
    return None


def _name_problems(given: Mapping[str, Any], declared: Sequence[str]) -> Iterator[Problem]:
    known = [*declared, "train_loss", *COUNTS]
    for name in given:
        if name not in known:
            message = f"trial.report: {name} is not one of task.metrics"
            remedy = f'{did_you_mean(name, known)} Or declare it: metrics = {{ {name} = "min" }}.'
            yield broken(message, remedy)
    missing = [name for name in declared if name not in given]
    if missing:
        message = f"trial.report lacks {', '.join(missing)}, of task.metrics"
        yield broken(message, "Report every declared metric each time.")


def _number(raw: Any) -> float | None:
    if isinstance(raw, torch.Tensor):
        return float(raw.detach()) if raw.numel() == 1 and not raw.is_complex() else None
    if isinstance(raw, str | bytes) or raw is None:
        return None
    try:
        return float(raw)
    except (TypeError, ValueError):
        return None


def _shape(raw: Any) -> str:
    shape = getattr(raw, "shape", None)
    return f" of shape {tuple(shape)}" if shape is not None else ""
