"""The section ``[cost]`` of a study file: prices of devices, a limit, and whether energy is measured."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from lrstudy.rules.clocks import CLOCKS, COST
from lrstudy.rules.prices import CPU
from lrstudy.spec.space import Trouble
from lrstudy.spec.study_sections import Resources, Section

_CURRENCY: Final = re.compile(r"[^\W\d_]{1,8}|[^\w\s]")


class Cost(Section):
    """Prices of devices for an hour, the most that a run may cost, and whether its energy is measured.

    A key of ``per_hour`` is ``cpu``, for a core, or a part of a GPU's name.
    """

    currency: str = ""
    per_hour: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default={})
    limit: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    energy: bool = False


def check_cost(cost: Cost, resources: Resources, troubles: list[Trouble]) -> None:
    """Check that what trials hold has a price, and that a limit can be compared with one."""
    _check_currency(cost, troubles)
    if not cost.per_hour:
        if cost.limit is not None:
            remedy = 'Give the prices too: per_hour = { "H100" = 2.5, "cpu" = 0.04 }.'
            message = "cannot be compared with anything: cost.per_hour is not given"
            troubles.append(Trouble("cost.limit", message, remedy, cost.limit))
        return
    for key in cost.per_hour:
        if not key.strip():
            remedy = 'Name a GPU, or a part of its name, or "cpu".'
            troubles.append(Trouble("cost.per_hour", "has an empty name", remedy, key))
    spellings: dict[str, str] = {}
    for key in cost.per_hour:
        if (first := spellings.setdefault(key.casefold(), key)) != key:
            message = f"has two prices for one name: {first} and {key}"
            remedy = "Leave one out: the case of letters does not count."
            troubles.append(Trouble("cost.per_hour", message, remedy, cost.per_hour))
    gpus = [key for key in cost.per_hour if key.casefold() != CPU]
    if resources.gpus and not gpus:
        message = f"has no price for a GPU, and a trial holds resources.gpus = {resources.gpus:g}"
        remedy = 'Add its name, or a part of it: per_hour = { "H100" = 2.5 }.'
        troubles.append(Trouble("cost.per_hour", message, remedy, cost.per_hour))
    if not resources.gpus and len(gpus) == len(cost.per_hour):
        message = "has no price for a CPU core, and trials hold nothing else"
        remedy = f'Add it: per_hour = {{ "cpu" = 0.04 }}. A trial holds resources.cpus = {resources.cpus}.'
        troubles.append(Trouble("cost.per_hour", message, remedy, cost.per_hour))


def _check_currency(cost: Cost, troubles: list[Trouble]) -> None:
    if not cost.currency:
        if cost.per_hour:
            remedy = 'Write for example currency = "EUR".'
            troubles.append(Trouble("cost.currency", "is not given, and cost.per_hour is", remedy, ""))
    elif not _CURRENCY.fullmatch(cost.currency) or cost.currency in (*CLOCKS, COST):
        message = "is not a currency: letters, at most 8, or one sign"
        troubles.append(Trouble("cost.currency", message, 'Write for example "EUR".', cost.currency))
