"""The tables of the winners of the tuning, and of the cost of each schedule."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import ScheduleSummary, Spent, Summary
from lrstudy.report.figures.common import tunings, tunings_in_words
from lrstudy.report.page_model import Cell, Column, Group, NumberTable
from lrstudy.report.sections.money_notes import money_notes
from lrstudy.report.text import NO_VALUE, duration, listed, metric_words, params, share, share_interval, trim
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.prices import amount, energy


def winners_table(study: Summary) -> NumberTable:
    """Each schedule's winner of the tuning, and its quality at its best evaluation."""
    words = metric_words(study.metric)
    _, _, kind = study.metric.name.partition("_")
    tested = _has_test(study)
    columns = (
        Column("schedule", number=False),
        Column(f"best {words}"),
        *((Column(f"test {kind} at best {study.moment}"),) if tested else ()),
        Column("parameters", number=False),
        Column("tuning trials"),
        Column("diverged"),
        Column("pruned"),
        Column("failed"),
    )
    rows = tuple(_winner_row(study, index, schedule) for index, schedule in enumerate(study.schedules))
    only_there = "; the test split is evaluated only there" if tested else ""
    note = (
        f"Means over confirm runs, each at the {study.moment} of its best {words}{only_there}. Diverged, "
        "pruned and failed count tuning and confirm trials; a failed trial raised an error and is no result."
    )
    methods = [
        f"{schedule.name} is {schedule.kind} with {listed(schedule.own_parts)}"
        for schedule in study.schedules
        if schedule.own_parts
    ]
    parts = [
        key for key in ("optimizer", "loss") if any(getattr(schedule, key) for schedule in study.schedules)
    ]
    if tunings(study) > 1:
        many = tunings_in_words(study)
        note += f" Parameters are the median and the range over {many} tunings; summary.json has all of them."
    others = f"{listed(methods)}; the others train with the task's {listed(parts)}."
    notes = (note, others) if methods else (note,)
    return NumberTable("Winners", columns, (Group("", rows),), notes)


def _has_test(study: Summary) -> bool:
    """Return True if the metric has a twin on the test split; one that a study declares has none."""
    return study.metric.test_column is not None or study.metric.column in METRICS


def _winner_row(study: Summary, index: int, schedule: ScheduleSummary) -> tuple[Cell, ...]:
    # Nothing is known of the tuning of recorded runs: their columns are left out.
    recorded = schedule.kind == "recorded"
    parameters = _parameters(schedule)
    tuned, pruned = (
        NO_VALUE if recorded else f"{count:,}" for count in (schedule.tune_trials, schedule.pruned)
    )
    return (
        Cell(schedule.name, schedule=index),
        _quality(study, schedule.best_val),
        *((_quality(study, schedule.test),) if _has_test(study) else ()),
        Cell(NO_VALUE if recorded and parameters == "none" else parameters),
        *(
            Cell(count, number=True)
            for count in (tuned, f"{schedule.diverged:,}", pruned, f"{schedule.failed:,}")
        ),
    )


def _parameters(schedule: ScheduleSummary) -> str:
    """Return the winner's parameters; of several tunings the median and the range of each."""
    if len(schedule.winners) < 2:
        return params(schedule.best_params)
    names = dict.fromkeys(name for winner in schedule.winners for name in winner.params)
    each = {name: [one.params[name] for one in schedule.winners if name in one.params] for name in names}
    return params({name: _over_tunings(values) for name, values in each.items()})


def _over_tunings(values: Sequence[object]) -> object:
    """Return what the values of a parameter have in common over tunings.

    >>> _over_tunings([0.1, 0.4, 0.2]), _over_tunings(["a", "b", "a"]), _over_tunings([3, 3])
    ('0.2 (0.1 to 0.4)', 'a (2 of 3)', 3)
    """
    if all(value == values[0] for value in values):
        return values[0]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        most = max(values, key=values.count)
        return f"{most} ({values.count(most)} of {len(values)})"
    # The middle of an even number is a value that was chosen, whatever the scale that was searched.
    middle = sorted(numbers)[(len(numbers) - 1) // 2]
    return f"{trim(middle, 3)} ({trim(min(numbers), 3)} to {trim(max(numbers), 3)})"


def _quality(study: Summary, found: Interval) -> Cell:
    text = share(study.metric, found.value, found.low, found.high)
    known = found.low is not None and found.high is not None
    return Cell(text, share_interval(study.metric, found.low, found.high) if known else "", number=True)


def ledger_table(study: Summary) -> NumberTable:
    """Cost of finding and of confirming each winner, phase by phase."""
    spent = [
        s for each in study.schedules for s in (each.price.range_test, each.price.tune, each.price.confirm)
    ]
    counts = [
        name
        for name in ("epochs", "steps", "samples", "tokens")
        if name in ("steps", "samples") or any(getattr(one, name) for one in spent)
    ]
    columns = (
        Column("schedule", number=False),
        Column("trials"),
        *(Column(name) for name in counts),
        Column("training"),
        Column("of which estimating L"),
        Column("evaluation"),
        Column("device time"),
        *((Column(f"cost, {study.money.currency}"),) if study.money else ()),
        *((Column("energy"),) if study.energy else ()),
    )
    phases = (
        ("Range tests, before the search", [s.price.range_test for s in study.schedules]),
        ("Tuning", [s.price.tune for s in study.schedules]),
        ("Confirm runs", [s.price.confirm for s in study.schedules]),
    )
    groups = tuple(
        Group(
            title,
            tuple(
                (Cell(study.schedules[index].name, schedule=index), *_spent_cells(study, spent, counts))
                for index, spent in enumerate(spents)
                if spent.trials or title == "Tuning"
            ),
        )
        for title, spents in phases
        if any(spent.trials for spent in spents)
    )
    times = (
        "Training, evaluation and device time are sums over trials, not elapsed time. Training includes "
        "estimating L and excludes evaluation. Device time runs from a trial's start to its end: it includes "
        "preparing data and model, and for a worker's first trial the start of the worker."
    )
    notes = ["Times are sums over runs, as their logs give them."] if study.imported else [times]
    if (many := tunings(study)) > 1:
        each = [
            f"{s.name} {s.price.tune.epochs / len(s.winners):,.0f}"
            for s in study.schedules
            if s.price.tune.epochs and s.winners
        ]
        mean = f" One tuning took, in epochs: {listed(each)}." if each else ""
        notes.append(f"The cost is that of all tunings, up to {many} of each schedule.{mean}")
    if tested := [s.name for s in study.schedules if s.price.range_test.trials]:
        rule = "a range test set the range of rates to search and took the place of one tuning configuration"
        notes.append(f"{listed(tested)}: {rule}.")
    return NumberTable("Ledger", columns, groups, (*notes, *money_notes(study)))


def _spent_cells(study: Summary, spent: Spent, counts: Sequence[str]) -> tuple[Cell, ...]:
    texts = (
        f"{spent.trials:,}",
        *(_count(getattr(spent, name)) for name in counts),
        duration(spent.seconds),
        duration(spent.estimate_seconds or None),
        duration(spent.eval_seconds),
        duration(spent.device_seconds),
        *((NO_VALUE if spent.money is None else amount(spent.money),) if study.money else ()),
        *((NO_VALUE if spent.energy_kwh is None else energy(spent.energy_kwh),) if study.energy else ()),
    )
    return tuple(Cell(text, number=True) for text in texts)


def _count(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.1f}"
