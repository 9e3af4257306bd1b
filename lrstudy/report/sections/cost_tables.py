"""The tables of the winners of the tuning, and of the cost of each schedule."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import ScheduleSummary, Spent, Summary
from lrstudy.report.page_model import Cell, Column, Group, NumberTable
from lrstudy.report.text import NO_VALUE, duration, listed, metric_words, params, share, share_interval
from lrstudy.rules.metrics import METRICS


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
        f"{schedule.name} is {schedule.kind} with {schedule.optimizer}"
        for schedule in study.schedules
        if schedule.optimizer is not None
    ]
    notes = (note, f"{listed(methods)}; the others train with the task's optimizer.") if methods else (note,)
    return NumberTable("Winners", columns, (Group("", rows),), notes)


def _has_test(study: Summary) -> bool:
    """Return True if the metric has a twin on the test split; one that a study declares has none."""
    return study.metric.test_column is not None or study.metric.column in METRICS


def _winner_row(study: Summary, index: int, schedule: ScheduleSummary) -> tuple[Cell, ...]:
    return (
        Cell(schedule.name, schedule=index),
        _quality(study, schedule.best_val),
        *((_quality(study, schedule.test),) if _has_test(study) else ()),
        Cell(params(schedule.best_params)),
        *(
            Cell(f"{count:,}", number=True)
            for count in (schedule.tune_trials, schedule.diverged, schedule.pruned, schedule.failed)
        ),
    )


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
                (Cell(study.schedules[index].name, schedule=index), *_spent_cells(spent, counts))
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
    notes = [times]
    if tested := [s.name for s in study.schedules if s.price.range_test.trials]:
        rule = "a range test set the range of rates to search and took the place of one tuning configuration"
        notes.append(f"{listed(tested)}: {rule}.")
    return NumberTable("Ledger", columns, groups, tuple(notes))


def _spent_cells(spent: Spent, counts: Sequence[str]) -> tuple[Cell, ...]:
    texts = (
        f"{spent.trials:,}",
        *(_count(getattr(spent, name)) for name in counts),
        duration(spent.seconds),
        duration(spent.estimate_seconds or None),
        duration(spent.eval_seconds),
        duration(spent.device_seconds),
    )
    return tuple(Cell(text, number=True) for text in texts)


def _count(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.1f}"
