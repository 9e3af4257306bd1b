"""The tables that are always in sight: verdicts, what tuning found, and the ledger."""

from __future__ import annotations

import math

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Reach, ScheduleSummary, Summary
from lrstudy.report.content import Cell, Column, Group, NumberTable
from lrstudy.report.figures.common import runs_each
from lrstudy.report.figures.speedup import shown_ratio
from lrstudy.report.text import (
    NO_VALUE,
    counted,
    duration,
    interval,
    level,
    listed,
    metric_words,
    number,
    params,
    percent,
    ratio,
    share,
    share_interval,
)

_SIGNS = {
    "faster": "▲ faster",
    "slower": "▼ slower",
    "equivalent": "= equivalent",
    "inconclusive": "? inconclusive",
    "never": "∅ never",
    "reference": "● reference",
}


def verdict_table(study: Summary) -> NumberTable:
    """A group of rows for each target, the fastest schedule first."""
    columns = [
        Column("schedule", number=False),
        Column("verdict", number=False),
        Column(f"times as fast as {study.reference}, in epochs"),
        Column("in training time"),
        Column("runs that reached it"),
        Column("mean epochs, restricted"),
        Column("median epochs"),
        Column("ERT, epochs"),
        Column("ERT, training time"),
    ]
    groups = tuple(_target_group(study, place) for place in reversed(range(len(study.targets))))
    return NumberTable("Verdicts", tuple(columns), groups, _verdict_notes(study))


def _target_group(study: Summary, place: int) -> Group:
    ways = [(index, schedule.reach[place]) for index, schedule in enumerate(study.schedules)]
    ways.sort(key=lambda way: (way[1].mean_epochs.value is None, way[1].mean_epochs.value or 0.0, way[0]))
    title = f"{metric_words(study.metric)} {level(study.metric, study.targets[place])}"
    return Group(title, tuple(_verdict_row(study, index, reach) for index, reach in ways))


def _verdict_row(study: Summary, index: int, reach: Reach) -> tuple[Cell, ...]:
    name = Cell(study.names[index], schedule=index)
    if not reach.runs:
        return (name, Cell("no run yet"), *(Cell(NO_VALUE, number=True) for _ in range(7)))
    verdict = Cell(_SIGNS.get(reach.verdict, reach.verdict), verdict=reach.verdict, range=_decided_by(reach))
    return (
        name,
        verdict,
        _ratio(shown_ratio(reach, reach.speedup)),
        _ratio(shown_ratio(reach, reach.speedup_seconds)),
        Cell(f"{reach.hits} of {reach.runs}", _rate_range(reach), number=True),
        Cell(_number(reach.mean_epochs), _range(reach.mean_epochs), number=True),
        Cell(_or_never(reach.median_epochs), number=True),
        Cell(_or_never(reach.ert_epochs), number=True),
        Cell(_training_time(reach), number=True),
    )


def _ratio(found: Interval) -> Cell:
    return Cell(ratio(found.value, found.low, found.high), _range(found), number=True)


def _decided_by(reach: Reach) -> str:
    if reach.verdict == "inconclusive" and reach.given_winners in ("faster", "slower"):
        tuned = reach.speedup_tuned
        return f"{reach.given_winners} as tuned; over tunings {interval(tuned.low, tuned.high, tuned.value)}"
    if reach.verdict != "inconclusive":
        return ""
    if reach.seeds_needed is None:
        return "more tuning, not more seeds, would tell" if reach.speedup_tuned != reach.speedup else ""
    return f"about {counted(reach.seeds_needed, 'seed')} would decide"


def _rate_range(reach: Reach) -> str:
    rate = reach.hit_rate
    if rate.low is None or rate.high is None or reach.runs < 2:
        return ""
    return f"{100 * rate.low:.0f} to {100 * rate.high:.0f}%"


def _number(found: Interval) -> str:
    return number(found.value, found.low, found.high)


def _range(found: Interval) -> str:
    return "" if found.low is None and found.high is None else interval(found.low, found.high, found.value)


def _or_never(value: float | None) -> str:
    return "never" if value is None or math.isinf(value) else number(value)


def _training_time(reach: Reach) -> str:
    """The ERT in time; a dash where runs got there but nobody measured how long it took."""
    return duration(reach.ert_seconds) if reach.hits else "never"


def _verdict_notes(study: Summary) -> tuple[str, ...]:
    terms = (
        f"Mean epochs, restricted: the mean time to the target, counting {counted(study.epochs, 'epoch')} "
        "for a run that never reached it. ERT, the expected running time: the time all runs spent, divided "
        "by the number that reached the target. Time is training time; evaluation is left out, estimating "
        "the Lipschitz constant is in. A run that diverged never reaches a target, whatever it had reached "
        "before."
    )
    notes = [terms]
    if runs_each(study) > 1:
        notes.append(f"Second lines are {percent(study.confidence)} intervals.")
    said: dict[str, dict[str, None]] = {}
    for schedule in study.schedules:
        for reach in schedule.reach:
            if reach.note:
                said.setdefault(reach.note, {})[schedule.name] = None
    notes += [f"{listed(list(names))}: {note}" for note, names in said.items()]
    if study.target_rule:
        notes.append(study.target_rule)
    return tuple(notes)


def winners_table(study: Summary) -> NumberTable:
    """What tuning found for each schedule, and how good its winner is at its best epoch."""
    words = metric_words(study.metric)
    _, _, kind = study.metric.partition("_")
    columns = (
        Column("schedule", number=False),
        Column(f"best {words}"),
        Column(f"test {kind} then"),
        Column("parameters", number=False),
        Column("tuning trials"),
        Column("diverged"),
        Column("pruned"),
        Column("failed"),
    )
    rows = tuple(_winner_row(study, index, schedule) for index, schedule in enumerate(study.schedules))
    note = (
        f"Means over confirm runs, each at the epoch of its best {words}; the test split was looked at "
        "once, there. Diverged, pruned and failed count tuning and confirm trials; a failed trial is an "
        "error in the code, not a result."
    )
    return NumberTable("Winners", columns, (Group("", rows),), (note,))


def _winner_row(study: Summary, index: int, schedule: ScheduleSummary) -> tuple[Cell, ...]:
    return (
        Cell(schedule.name, schedule=index),
        _quality(study, schedule.best_val),
        _quality(study, schedule.test),
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
    """What finding and confirming each winner cost."""
    tested = any(schedule.price.range_tests for schedule in study.schedules)
    columns = (
        Column("schedule", number=False),
        *((Column("range test epochs"), Column("range test time")) if tested else ()),
        Column("tuning trials"),
        Column("tuning epochs"),
        Column("tuning time"),
        Column("confirm runs"),
        Column("confirm epochs"),
        Column("confirm time"),
        Column("of it estimating L"),
        Column("evaluation, besides"),
    )
    rows = []
    for index, schedule in enumerate(study.schedules):
        price = schedule.price
        test = (f"{price.range_test_epochs:,}", duration(price.range_test_seconds or None))
        cells = (
            *(test if tested else ()),
            f"{price.tune_trials:,}",
            f"{price.tune_epochs:,}",
            duration(price.tune_seconds),
            f"{price.confirm_trials:,}",
            f"{price.confirm_epochs:,}",
            duration(price.confirm_seconds),
            duration(price.estimate_seconds or None),
            duration(price.eval_seconds),
        )
        rows.append((Cell(schedule.name, schedule=index), *(Cell(text, number=True) for text in cells)))
    return NumberTable("Ledger", columns, (Group("", tuple(rows)),))
