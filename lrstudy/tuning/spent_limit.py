"""A run that has spent its cost limit: the refusal, and the command that continues it. Imports no torch."""

from __future__ import annotations

import shlex

from lrstudy.errors import Problem
from lrstudy.rules.prices import money
from lrstudy.rules.spending import Spending


def spent_problem(run: str, spending: Spending | None) -> Problem | None:
    """Return the problem of a run that has spent its limit, or cannot watch it; None of any other."""
    if spending is None or not spending.passed:
        return None
    if spending.unpriced:
        remedy = f"Add it to cost.per_hour: {resume_with(run, price_setting(spending))}"
        devices = ", ".join(spending.unpriced)
        message = f"cannot be watched: {devices} has no price in cost.per_hour"
    else:
        remedy = f"Raise it: {resume_with(run, limit_setting(spending))}"
        message = f"is spent: the run has cost {money(spending.spent, spending.prices.currency)} so far"
    return Problem("study", "cost.limit", message, remedy, spending.prices.limit)


def limit_setting(spending: Spending) -> str:
    """Return a ``--set`` that doubles the limit of a run, or what it has cost where that is more."""
    return f"cost.limit={2 * max(spending.prices.limit or 0.0, spending.spent):.3g}"


def price_setting(spending: Spending) -> str:
    """Return a ``--set`` that gives a price to the first GPU that has none; the figure is the user's."""
    device = next(iter(spending.unpriced))
    return f"cost.per_hour.'{device}'=PRICE"


def resume_with(run: str, setting: str) -> str:
    """Return the command line that continues a run with another setting."""
    return shlex.join(["lrstudy", "resume", run, "--set", setting])
