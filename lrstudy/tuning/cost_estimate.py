"""The cost of a study before it runs, and the refusal of one that would pass its limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch

from lrstudy.errors import Problem
from lrstudy.rules.prices import Prices, for_seconds, money
from lrstudy.spec import Study
from lrstudy.tuning.time_estimate import Estimate, trials_at_once

# The start of a worker, which the first trial on it pays: the imports and the data.
WORKER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The cost of all trials of a study (None: unknown) at ``per_hour`` for each trial.

    ``bound``: it is more than the trials will cost, because they were timed on a CPU and run on GPUs.
    """

    prices: Prices
    amount: float | None
    per_hour: float
    bound: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as plain data."""
        return {
            "currency": self.prices.currency,
            "amount": self.amount,
            "trial_per_hour": self.per_hour,
            "upper_bound": self.bound,
            "limit": self.prices.limit,
        }


def estimate_cost(study: Study, estimate: Estimate) -> CostEstimate | None:
    """Return the cost of a study whose time is estimated; None if it names no prices.

    Of several GPUs with a price the one is meant that ``resources.accelerator`` or this machine names, else
    the most expensive.
    """
    prices = Prices.of(study.resolved())
    if prices is None:
        return None
    resources = study.resources
    names = [resources.accelerator] if resources.accelerator else _gpus_here()
    known = [price for name in names if (price := prices.of_gpu(name)) is not None]
    if resources.gpus and known:
        hourly = prices.sum_of(max(known), resources.cpus, resources.gpus, resources.workers)
    else:
        hourly = prices.at_most(resources.gpus, resources.workers, resources.cpus)
    if estimate.trial_seconds is None:
        return CostEstimate(prices, None, hourly)
    seconds = study.trials_of_whole_length * estimate.trial_seconds
    seconds += trials_at_once(study) * WORKER_SECONDS
    amount = for_seconds(hourly, seconds)
    return CostEstimate(prices, amount, hourly, bound=bool(resources.gpus) and not estimate.recorded)


def limit_problem(estimate: CostEstimate | None) -> Problem | None:
    """Return the problem of a study whose estimated cost passes its limit, None if it does not.

    A mere bound refuses nothing: the limit is watched while the study runs.
    """
    if estimate is None or estimate.amount is None or estimate.bound or estimate.prices.limit is None:
        return None
    limit, currency = estimate.prices.limit, estimate.prices.currency
    if estimate.amount <= limit:
        return None
    message = f"is below the estimated cost of the study, {money(estimate.amount, currency)}"
    remedy = (
        "Raise the limit, or plan less: fewer budget.trials, confirm_seeds or replicates, a smaller task."
    )
    return Problem("study", "cost.limit", message, remedy, limit)


def gpu_problems(study: Study) -> Iterator[Problem]:
    """Yield a problem for each GPU of this machine that a trial may get and that has no price."""
    prices = Prices.of(study.resolved())
    if prices is None or not study.resources.gpus or study.resources.accelerator:
        return
    for name in dict.fromkeys(_gpus_here()):
        if prices.of_gpu(name) is None:
            remedy = f'Add it, or a part of its name: per_hour = {{ "{name}" = 2.5 }}.'
            yield Problem("study", "cost.per_hour", f"has no price for the GPU {name}", remedy)


def _gpus_here() -> list[str]:
    return [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
