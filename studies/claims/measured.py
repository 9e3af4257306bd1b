"""Clauses on the kept studies: the rule's rates, speeds and ends, from ``summary.json`` and the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from kept_reports import LIPSCHITZ, Study, primary, said, word_of

from lrstudy.report.change_text import change, change_interval, change_unit
from lrstudy.report.text import share, share_interval
from lrstudy.rules.counting import counted

Schedule = dict[str, Any]
# What a constant rate is called in the kept studies, tuned or not.
CONSTANT = "fixed"
# Options of the rule that the paper does not have, and its rate that is computed once, with their defaults.
PLAIN = {
    "bound": "paper",
    "anneal": "none",
    "max_growth": None,
    "cap": "none",
    "warmup": 0.0,
    "policy": "adaptive",
}


def rules(studies: Sequence[Study]) -> Iterator[tuple[Study, Schedule]]:
    """The schedules that follow the paper's rule with nothing tuned, study by study."""
    for study in studies:
        for one in study.summary["schedules"]:
            if (
                one.get("kind", one["name"]) == LIPSCHITZ
                and not one.get("tuned")
                and _is_the_papers(study, one)
            ):
                yield study, one


def _is_the_papers(study: Study, schedule: Schedule) -> bool:
    """Return True if a schedule is the rule as the paper has it, and no control or mend of it."""
    tables = {**study.file.get("schedules", {}), **study.file.get("methods", {})}
    # A schedule whose trials all diverged has no best parameters: then the file alone has them.
    given = {**(schedule["best_params"] or {}), **tables.get(schedule["name"], {})}
    return "loss" not in given and all(given.get(name, value) == value for name, value in PLAIN.items())


def tuned_rules(studies: Sequence[Study]) -> Iterator[tuple[Study, Schedule]]:
    """The schedules that follow the rule with something tuned."""
    for study in studies:
        for one in study.summary["schedules"]:
            if one.get("kind") == LIPSCHITZ and one.get("tuned"):
                yield study, one


def rates(study: Study, schedule: Schedule) -> list[float]:
    """Return the computed rates, mean over runs, evaluation by evaluation."""
    rows = [row for row in study.table("learning-rates") if row["schedule"] == schedule["name"]]
    return [float(row["lr"]) for row in rows if row["lipschitz_constant"]]


def constant_rates(study: Study) -> list[float]:
    """Return the rates that the tunings of a constant rate chose; none where it is not tuned."""
    for one in study.summary["schedules"]:
        if one.get("kind") == CONSTANT and one.get("tuned"):
            return [params["lr"] for params in _winners(one)]
    return []


def rate(value: float) -> str:
    """Return a rate to three significant digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def trains(study: Study, schedule: Schedule) -> str:
    """Return the rates of the rule, how many runs reach the target and how many diverge."""
    found = rates(study, schedule)
    low, high = rate(min(found)), rate(max(found))
    target = primary(schedule)
    trials = schedule["tune_trials"] + schedule["confirm_trials"]
    limits = target["hit_rate"]  # of no run at all: none
    share_of_runs = (
        "" if limits["low"] is None else f" ({100 * limits['low']:.0f} to {100 * limits['high']:.0f}%)"
    )
    text = f"rates of {low}" if low == high else f"rates of {low} to {high}"
    return (
        f"{text}: {target['hits']} of {counted(target['runs'], 'run')} reach "
        f"{study.level(target)}{share_of_runs}, {schedule['diverged']} of {counted(trials, 'trial')} "
        f"diverge{at_end(study, schedule)}"
    )


def at_end(study: Study, schedule: Schedule) -> str:
    """Return the value at the end and its difference to the reference's; nothing in older reports."""
    rows = {one["name"]: one for one in study.summary.get("end", {}).get("schedules", ())}
    if schedule["name"] not in rows or rows[schedule["name"]]["value"]["mean"] is None:
        return ""
    own = rows[schedule["name"]]
    value, moved = own["value"], own["difference"]
    text = f"; at the end {share(study.metric, value['mean'], value['low'], value['high'])} "
    text += f"({share_interval(study.metric, value['low'], value['high'])})"
    if moved["mean"] is None:
        return text
    limits = (moved["low"], moved["high"])
    return (
        f"{text}, {change(study.metric, moved['mean'], *limits)}{change_unit(study.metric)} to "
        f"{study.summary['reference']} ({change_interval(study.metric, *limits)}, {word_of(own)})"
    )


def moves(study: Study, schedule: Schedule) -> str:
    """Return how the rule's rate moves from its first computed value to the end of training."""
    found = rates(study, schedule)
    first, last, top = found[0], found[-1], max(found)
    if max(found) - min(found) <= 1e-6 * top:
        return f"it stays at {rate(first)}"
    text = f"it goes from {rate(first)} to {rate(last)}, a factor of {last / first:.2f}"
    text += "" if top in (first, last) else f", by way of {rate(top)}"
    uncorrected = "adam" in task_of(study)[0] and not (schedule["best_params"] or {}).get("bias_correction")
    return f"{text}; its averages' bias is not corrected, which alone raises it" if uncorrected else text


def direction(study: Study, schedule: Schedule) -> str:
    """Return "falls", "rises" or "stays" for the rate from its first computed value to the end."""
    found = rates(study, schedule)
    if max(found) - min(found) <= 1e-6 * max(found):
        return "stays"
    return "falls" if found[-1] < found[0] else "rises"


def against_tuned(study: Study, schedule: Schedule) -> tuple[float, float, float] | None:
    """Return the median of the rule's rates, that of the tuned constant rates, and their quotient."""
    chosen, computed = constant_rates(study), rates(study, schedule)
    if not chosen or not computed:
        return None
    return median(computed), median(chosen), median(computed) / median(chosen)


def scales(schedule: Schedule) -> list[float]:
    """Return the factors on the rule's rate that its tunings chose."""
    return [params["scale"] for params in _winners(schedule) if "scale" in params]


def _winners(schedule: Schedule) -> list[dict[str, Any]]:
    """Return the parameters that tunings chose; a tuning that diverged throughout chose none."""
    return [winner["params"] for winner in schedule.get("winners", ()) if winner["params"]]


def verdict_word(schedule: Schedule) -> str:
    """Return the verdict at the primary target in words."""
    verdict = primary(schedule)["verdict"]
    return "never at the target" if verdict == "never" else word_of(primary(schedule))


def diagnosed(study: Study, schedule: Schedule, column: str) -> list[float]:
    """Return what a study with ``task.diagnose`` measured of the rule, a median over runs by evaluation."""
    rows = [row for row in study.table("rate-over-limit") if row["schedule"] == schedule["name"]]
    return [float(row[column]) for row in rows if row.get(column)]


def speed_of(study: Study, schedule: Schedule) -> str:
    """Return a schedule's speed as a clause; one tuning is said to be one."""
    once = "" if (study.summary.get("replicates") or 1) > 1 else ", one tuning"
    return f"{said(study, schedule)}{once}"


def task_of(study: Study) -> tuple[str, str]:
    """Return (optimizer, loss) of a study; a training function of one's own has those of its module."""
    task = study.file.get("task", {})
    if "train" in task:
        return OWN_TRAINING.get(task["train"], ("its own", "its own"))
    optimizer = task.get("optimizer", "sgd")
    options = optimizer if isinstance(optimizer, dict) else {"name": optimizer}
    name = "momentum" if options["name"] == "sgd" and options.get("momentum") else options["name"]
    loss = task.get("loss", "cross-entropy")
    return name, loss["name"] if isinstance(loss, dict) else loss


# Training functions under studies/: the optimizer and loss that their code names.
OWN_TRAINING = {"char_lm:train": ("adamw", "cross-entropy")}
