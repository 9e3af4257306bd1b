"""The cost of a run so far: the sum over its trials, and over attempts that have no result yet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lrstudy.records import TrialRecord
from lrstudy.rules.prices import Held, Prices, money


@dataclass(frozen=True, slots=True)
class Spending:
    """The cost of a run so far, in the currency of its prices, and its energy.

    ``unpriced`` are the GPUs that have no price, with the number of their trials, and ``untimed`` the number
    of trials whose time was not recorded: neither is part of ``spent``.
    """

    prices: Prices
    spent: float
    unpriced: Mapping[str, int] = field(default_factory=dict)
    untimed: int = 0

    @property
    def passed(self) -> bool:
        """Return True if the limit is reached, or cannot be watched as a device has no price."""
        return self.prices.limit is not None and (self.spent >= self.prices.limit or bool(self.unpriced))

    def __str__(self) -> str:
        limit, currency = self.prices.limit, self.prices.currency
        text = money(self.spent, currency)
        text += "" if limit is None else f" of at most {money(limit, currency)}"
        return text + "".join(f", without those on {device}" for device in self.unpriced)

    def to_json(self) -> dict[str, Any]:
        """Return the cost as plain data."""
        return {
            "currency": self.prices.currency,
            "spent": self.spent,
            "limit": self.prices.limit,
            "unpriced": dict(self.unpriced),
            "untimed_trials": self.untimed,
        }


def spending_of(prices: Prices, held: Iterable[tuple[Held, float | None]]) -> Spending:
    """Return the cost of trials and attempts, each with the seconds for which it held its devices.

    A GPU whose name no report has told yet costs as much as the most expensive of those that have a price.
    """
    costs: list[float] = []
    unpriced: Counter[str] = Counter()
    untimed = 0
    for each, seconds in held:
        if seconds is None:
            untimed += 1
            continue
        hourly = prices.hourly(each)
        if hourly is None and not each.device:
            hourly = prices.at_most(each.gpus, each.workers, each.cpus)
        if hourly is None:
            unpriced[each.device] += 1
        else:
            costs.append(hourly * seconds / 3600)
    return Spending(prices, math.fsum(costs), dict(unpriced), untimed)


def seconds_held(record: TrialRecord, *, shared: bool) -> float | None:
    """Return the seconds for which a trial held its devices.

    A store of an earlier version has the time from its start to its end; where trials ``shared`` a process,
    that is no trial's own.
    """
    if record.slot_seconds is not None or shared or record.started_at is None or record.ended_at is None:
        return record.slot_seconds
    return (record.ended_at - record.started_at).total_seconds()
