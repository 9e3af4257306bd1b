"""The power of a planned study: what its budget can show, and a better split of the same budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lrstudy.analysis.components import Components
from lrstudy.analysis.families import ALPHA, PRIMARY_LEVEL
from lrstudy.analysis.study_power import (
    EARLY_COST,
    TYPICAL,
    Design,
    Split,
    best_split,
    cheapest_for,
    shown_speedups,
)
from lrstudy.analysis.verdict import fewest_seeds
from lrstudy.records import Phase
from lrstudy.rules.counting import counted

if TYPE_CHECKING:
    from lrstudy.spec import Study
    from lrstudy.store import Store

_TWICE: Final = 2.0
# Another split is worth a line from so much smaller a speedup on.
_BETTER: Final = 0.95


@dataclass(frozen=True, slots=True)
class Measured:
    """The components of a finished study, and the part of a confirm run that its tuning runs took.

    ``source`` names the study.
    """

    components: Components
    trial_cost: float
    source: str


def measured_in(store: Store) -> Measured:
    """Return the components of a run at its primary target; typical ones where it has none."""
    from lrstudy.analysis.components import components_of
    from lrstudy.analysis.study_contest import contest_of

    contest = contest_of(store).contest
    found = components_of(contest, contest.primary) if isinstance(contest.primary, float) else TYPICAL
    filled = {
        name: getattr(TYPICAL if getattr(found, name) is None else found, name)
        for name in ("seed", "tuning", "split")
    }
    lengths = {
        phase: [trial.evaluations_run for trial in contest.columns.trials if trial.phase is phase]
        for phase in (Phase.TUNE, Phase.CONFIRM)
    }
    tune, confirm = (sum(each) / len(each) if each else 0.0 for each in lengths.values())
    cost = min(1.0, tune / confirm) if tune and confirm else 1.0
    return Measured(Components(**filled, replicates=found.replicates), cost, store.study.name)


def power_of(study: Study, like: Measured | None) -> dict[str, Any]:
    """Return the speedups that 4 of 5 studies of this plan find at the primary target, as plain data.

    A speedup of None is never shown. ``better`` is a split of the same cost that shows less, ``twice`` the
    cheapest that shows a speedup of 2 where the plan does not; None without one.
    """
    components = TYPICAL if like is None else like.components
    design = _design(study, like)
    first, last = shown_speedups(design, components)
    better = best_split(design, components) if design.most is None else None
    twice = cheapest_for(replace(design, most=None), components, _TWICE) if last > _TWICE else None
    spreads = (("seed", components.seed), ("tuning", components.tuning), ("split", components.split))
    return {
        "comparisons": design.comparisons,
        "fewest_seeds": fewest_seeds(design.comparisons, design.level),
        "tuned": design.tuned,
        "first_look": _finite(first),
        "speedup": _finite(last),
        "spreads": {name: None if each is None else round(math.sqrt(each), 3) for name, each in spreads},
        "source": None if like is None else like.source,
        "trial_cost": round(design.trial_cost, 3),
        "better": _split_of(design, better) if better and better.speedup < _BETTER * last else None,
        "twice": None if twice is None else _split_of(design, twice),
    }


def _design(study: Study, like: Measured | None) -> Design:
    budget, comparisons = study.budget, max(1, len(study.schedules) - 1)
    searched = [schedule for schedule in study.schedules if schedule.space]
    per_tuning = [
        sum(count for phase, count in study.planned(schedule).items() if phase is not Phase.CONFIRM)
        for schedule in searched
    ]
    early = EARLY_COST if budget.stop != "never" else 1.0
    # The values at the end are a further question, which shares the error, unless every run ends early.
    alone = len(study.target.values or ()) == 1 and budget.stop == "all"
    return Design(
        replicates=budget.replicates,
        trials=max(per_tuning, default=0) // budget.replicates,
        seeds=budget.confirm_seeds,
        comparisons=comparisons,
        tuned=any(count > budget.replicates for count in per_tuning),
        most=budget.most if budget.until == "decided" else None,
        trial_cost=early if like is None or budget.stop == "never" else like.trial_cost,
        level=ALPHA if alone else PRIMARY_LEVEL,
    )


def _split_of(design: Design, split: Split) -> dict[str, Any]:
    return {
        "replicates": split.replicates,
        "confirm_seeds": split.seeds,
        "speedup": _finite(split.speedup),
        "cost_ratio": round(split.cost / design.cost(design.replicates, design.seeds), 2),
        "trials_per_schedule": split.replicates * (design.trials + split.seeds),
    }


def _finite(ratio: float) -> float | None:
    return None if math.isinf(ratio) else round(ratio, 3)


def power_lines(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a plan can show and how its budget is better split, each with a label."""
    if len(plan["schedules"]) == 1:
        return [("shows", "no comparison: there is one schedule")]
    lines = [("shows", _shows(plan)), ("assumes", _assumes(plan))]
    if found := _better(plan):
        lines.insert(1, ("better", found))
    return lines


def _shows(plan: Mapping[str, Any]) -> str:
    power, seeds = plan["power"], plan["confirm_seeds"]
    against = f"{counted(power['comparisons'], 'schedule')} against the reference"
    if not power["tuned"] and plan["replicates"] == 1 and seeds < power["fewest_seeds"]:
        few = f"{against} on {counted(seeds, 'seed')} can show no difference however large"
        return f"nothing: {few}; {power['fewest_seeds']} seeds can"
    held = "at the primary target, corrected for comparing several (Holm)"
    if plan["most"]:
        most = plan["most"]["replicates"]
        looks = f"after {_tunings(plan, plan['replicates'])}", f"with all {most}"
        if power["speedup"] is None:
            return f"with {against}, {_found(None)}, even {looks[1]}; {held}"
        if power["first_look"] is None:
            first = f"{_found(None)} {looks[0]}, one of {power['speedup']:.3g}× is"
        else:
            first = f"{_found(power['first_look'])} {looks[0]}, of {power['speedup']:.3g}×"
        return f"with {against}, {first} {looks[1]}; {held}"
    if plan["replicates"] > 1:
        base = f"{against}, {_tunings(plan, plan['replicates'])} and {counted(seeds, 'seed')} each"
        return f"with {base}, {_found(power['speedup'])}; {held}"
    if not power["tuned"]:
        base = f"{against} on {counted(seeds, 'seed')}"
        return f"with {base}, {_found(power['speedup'])}; {held}, for this one split of the data"
    shown = power["speedup"]
    size = "no speedup, however large" if shown is None else f"only {shown:.3g}×"
    only = f"one tuning of each can show {size}, with {against}"
    why = "another tuning may find winners that are as good by the objective and faster or slower"
    return f"{only}: {why}, and no number of seeds tells; {held}"


def _tunings(plan: Mapping[str, Any], number: int) -> str:
    return f"{number} {'tunings of each' if plan['power']['tuned'] else 'replicates'}"


def _found(speedup: float | None) -> str:
    if speedup is None:
        return "no speedup, however large, is found in 4 of 5 studies"
    return f"4 of 5 studies find a speedup of {speedup:.3g}×"


def _better(plan: Mapping[str, Any]) -> str:
    power, said = plan["power"], []
    if split := power["better"]:
        said.append(f"at the same cost {_settings(split)} find {split['speedup']:.3g}×")
    if split := power["twice"]:
        trials = f"{split['trials_per_schedule']} trials a schedule, {split['cost_ratio']:.2g} times the cost"
        said.append(f"to find {split['speedup']:.3g}×: {_settings(split)} ({trials})")
    return "; ".join(said)


def _settings(split: Mapping[str, Any]) -> str:
    return f"budget.replicates = {split['replicates']} with confirm_seeds = {split['confirm_seeds']}"


def _assumes(plan: Mapping[str, Any]) -> str:
    power = plan["power"]
    spreads, source = power["spreads"], power["source"]
    basis = f"as in {source}" if source else "as in studies of digits; --like RUN takes a run of yours"
    said = (
        f"log times to target vary by {spreads['seed']:.2g} between seeds, {spreads['tuning']:.2g} between "
        f"tunings of a schedule and {spreads['split']:.2g} between splits of the data, which all schedules "
        f"of a replicate share ({basis})"
    )
    if power["trial_cost"] < 1:
        cost = f"{power['trial_cost']:.2g} of a confirm run"
        return f"{said}; a tuning run, which ends at the target, costs {cost}"
    return said
