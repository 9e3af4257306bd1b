"""Sentences on the money and the energy of a study, below its ledger."""

from __future__ import annotations

from collections.abc import Iterator

from lrstudy.analysis.summary import Summary
from lrstudy.report.text import listed
from lrstudy.rules.counting import counted
from lrstudy.rules.prices import energy, money


def money_notes(study: Summary) -> tuple[str, ...]:
    """Return the sentences; none for a study without prices and without energy."""
    return (*_money(study), *_energy(study))


def whole_cost(study: Summary) -> str:
    """Return a sentence on what the whole run has cost and used; empty where neither is known."""
    said = []
    if (found := study.money) is not None:
        text = f"cost {money(found.spent, found.currency)}"
        text += "" if found.limit is None else f" of at most {money(found.limit, found.currency)}"
        if found.attempts:
            text += f" ({money(found.attempts, found.currency)} of it in attempts without a result so far)"
        said.append(text)
    if study.energy is not None:
        how = ", estimated" if study.energy.estimated else ""
        said.append(f"used {energy(study.energy.kwh)}{how}")
    return f"The whole run has {listed(said)}." if said else ""


def _money(study: Summary) -> Iterator[str]:
    found = study.money
    if found is None:
        return
    currency = found.currency
    prices = listed([f"{name} {money(price, currency)}" for name, price in found.per_hour.items()])
    yield (
        f"Cost is the time for which all attempts at each trial held their devices (start, "
        f"training, evaluation), at the prices for an hour: {prices}. Time between trials is not counted; "
        "trials that trained side by side divide the time of their process."
    )
    if found.unpriced:
        devices = [f"{device} ({counted(count, 'trial')})" for device, count in found.unpriced.items()]
        yield (
            f"No price is named for {listed(devices)}: their cost is not part of any sum. To add it: lrstudy "
            "resume RUN --set cost.per_hour.NAME=PRICE."
        )
    if found.untimed:
        yield f"The time of {counted(found.untimed, 'trial')} is not known, nor is its cost."


def _energy(study: Summary) -> Iterator[str]:
    found = study.energy
    if found is None:
        return
    how = (
        "estimated by codecarbon: the processor's meter cannot be read, its rated power and use are known"
        if found.estimated
        else "measured by codecarbon; that of memory is estimated"
    )
    less = "" if found.trials == found.of else f", of {found.trials} of {found.of} trials"
    yield (
        f"Energy of the whole run: {energy(found.kwh)}{less}, {how}. Attempts that were lost told no energy; "
        "trials that trained side by side divide that of their process."
    )
