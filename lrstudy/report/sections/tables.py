"""The tables that are always shown: verdicts, winners of the tuning, and the ledger."""

from __future__ import annotations

import math

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Reach, ScheduleSummary, Spent, Summary
from lrstudy.report.figures.common import runs_each
from lrstudy.report.figures.speedup import shown_ratio
from lrstudy.report.page_model import Cell, Column, Group, NumberTable
from lrstudy.report.text import (
    NO_VALUE,
    duration,
    interval,
    level,
    listed,
    metric_words,
    params,
    percent,
    ratio,
    share,
    share_interval,
    shown_epochs,
)
from lrstudy.rules.counting import counted

_SIGNS = {
    "faster": "▲ faster",
    "slower": "▼ slower",
    "equivalent": "= equivalent",
    "inconclusive": "? inconclusive",
    "never": "∅ never",
    "reference": "● reference",
}


_SEEDS_NEEDED = (
    "Seeds needed: with about that many confirm seeds, 4 in 5 studies reach a verdict if the ratio and the "
    "spread between seeds stay as measured."
)
_AS_TUNED = (
    " As tuned: for these winners, with the luck of tuning as estimated from this study's trials; another "
    "tuning may find winners with another ratio."
)


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
    said = _SIGNS.get(reach.verdict, reach.verdict)
    verdict = Cell(said, verdict=reach.verdict, range=_decided_by(study, index, reach))
    return (
        name,
        verdict,
        _ratio(shown_ratio(reach, reach.speedup)),
        _ratio(shown_ratio(reach, reach.speedup_seconds)),
        Cell(f"{reach.hits} of {reach.runs}", _rate_range(reach), number=True),
        Cell(shown_epochs(reach.mean_epochs.value), _epochs_range(reach.mean_epochs), number=True),
        Cell(_or_never(reach.median_epochs), number=True),
        Cell(_or_never(reach.ert_epochs), number=True),
        Cell(_training_time(reach), number=True),
    )


def _ratio(found: Interval) -> Cell:
    return Cell(ratio(found.value, found.low, found.high), _range(found), number=True)


def _decided_by(study: Summary, index: int, reach: Reach) -> str:
    """Return the second line of an inconclusive verdict: its cause, and what is needed to decide."""
    if reach.verdict != "inconclusive":
        return ""
    tuned = [s.name for place, s in enumerate(study.schedules) if s.tuned and _compares(study, place, index)]
    of = f" of {tuned[0]}" if len(tuned) == 1 else ""
    if reach.given_winners in ("faster", "slower"):
        over = reach.speedup_tuned
        ends = interval(over.low, over.high, over.value)
        return f"{reach.given_winners} as tuned; {ends} over tunings{of}"
    if reach.seeds_needed is None:
        return f"more tuning{of} needed, not more seeds" if reach.speedup_tuned != reach.speedup else ""
    return f"about {counted(reach.seeds_needed, 'seed')} needed{', as tuned' if tuned else ''}"


def _compares(study: Summary, place: int, index: int) -> bool:
    """Return True if the schedule at ``place`` is the one at ``index`` or the reference."""
    return place == index or study.names[place] == study.reference


def _rate_range(reach: Reach) -> str:
    rate = reach.hit_rate
    if rate.low is None or rate.high is None or reach.runs < 2:
        return ""
    return f"{100 * rate.low:.0f} to {100 * rate.high:.0f}%"


def _range(found: Interval) -> str:
    return "" if found.low is None and found.high is None else interval(found.low, found.high, found.value)


def _epochs_range(found: Interval) -> str:
    if found.low is None or found.high is None:
        return ""
    return f"{shown_epochs(found.low)} to {shown_epochs(found.high)}"


def _or_never(value: float | None) -> str:
    return "never" if value is None or math.isinf(value) else shown_epochs(value)


def _training_time(reach: Reach) -> str:
    """Return the ERT in time; a dash if runs reached the target but their times were not recorded."""
    return duration(reach.ert_seconds) if reach.hits else "never"


def _verdict_notes(study: Summary) -> tuple[str, ...]:
    terms = (
        f"Mean epochs, restricted: the mean time to the target, counting {counted(study.epochs, 'epoch')} "
        "for a run that never reached it. ERT (expected running time): the time of all runs, divided by the "
        "number that reached the target. Time is training time: it includes estimating the Lipschitz "
        "constant and excludes evaluation. A run that diverged counts as never reaching a target, even if it "
        "did so before."
    )
    notes = [terms]
    if runs_each(study) > 1:
        notes.append(f"Second lines of numbers are {percent(study.confidence)} intervals.")
    if any(reach.seeds_needed is not None for schedule in study.schedules for reach in schedule.reach):
        notes.append(_SEEDS_NEEDED + (_AS_TUNED if any(s.tuned for s in study.schedules) else ""))
    said: dict[str, dict[str, None]] = {}
    for schedule in study.schedules:
        for reach in schedule.reach:
            if reach.note:
                said.setdefault(reach.note, {})[schedule.name] = None
    notes += [f"{listed(list(names))}: {note}" for note, names in said.items()]
    if study.target_rule:
        notes.append(study.target_rule)
    if study.lanes:
        notes.append(
            f"Up to {study.lanes} trials were trained side by side in one process (lanes). The seconds of a "
            "lane depend on the other lanes, so schedules are not compared in seconds; set "
            "resources.lanes = 0 to compare them."
        )
    return tuple(notes)


def measures_table(study: Summary) -> NumberTable:
    """Other measures of speed; none of them decides the verdict."""
    columns = (
        Column("schedule", number=False),
        Column(f"probability of being faster than {study.reference}"),
        Column("ratio of ERTs"),
        Column("interquartile mean, epochs"),
    )
    groups = tuple(
        Group(
            f"{metric_words(study.metric)} {level(study.metric, study.targets[place])}",
            tuple(
                (
                    Cell(schedule.name, schedule=index),
                    Cell(NO_VALUE if reach.sooner is None else percent(round(reach.sooner, 2)), number=True),
                    _ratio(shown_ratio(reach, reach.speedup_ert)),
                    Cell(_or_dash(reach.iqm_epochs), number=True),
                )
                for index, schedule in enumerate(study.schedules)
                for reach in [schedule.reach[place]]
            ),
        )
        for place in reversed(range(len(study.targets)))
    )
    note = (
        f"Probability of being faster: that a run of the schedule reaches the target before a run of "
        f"{study.reference} does, a tie counting half (probability of improvement). Ratio of ERTs: the "
        "speedup by expected running times, which include the time of runs that never reach the target. "
        "Interquartile mean: the mean over the middle half of the runs; a dash if one of them never reached "
        "the target."
    )
    return NumberTable("By other measures", columns, groups, (note,))


def _or_dash(value: float | None) -> str:
    return NO_VALUE if value is None or math.isinf(value) else shown_epochs(value)


def winners_table(study: Summary) -> NumberTable:
    """Each schedule's winner of the tuning, and its quality at its best epoch."""
    words = metric_words(study.metric)
    _, _, kind = study.metric.partition("_")
    columns = (
        Column("schedule", number=False),
        Column(f"best {words}"),
        Column(f"test {kind} at best epoch"),
        Column("parameters", number=False),
        Column("tuning trials"),
        Column("diverged"),
        Column("pruned"),
        Column("failed"),
    )
    rows = tuple(_winner_row(study, index, schedule) for index, schedule in enumerate(study.schedules))
    note = (
        f"Means over confirm runs, each at the epoch of its best {words}; the test split is evaluated only "
        "there. Diverged, pruned and failed count tuning and confirm trials; a failed trial raised an error "
        "and is no result."
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
    """Cost of finding and of confirming each winner, phase by phase."""
    columns = (
        Column("schedule", number=False),
        Column("trials"),
        Column("epochs"),
        Column("steps"),
        Column("samples"),
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
                (Cell(study.schedules[index].name, schedule=index), *_spent_cells(spent))
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


def _spent_cells(spent: Spent) -> tuple[Cell, ...]:
    texts = (
        f"{spent.trials:,}",
        f"{spent.epochs:,}",
        *(NO_VALUE if count is None else f"{count:,}" for count in (spent.steps, spent.samples)),
        duration(spent.seconds),
        duration(spent.estimate_seconds or None),
        duration(spent.eval_seconds),
        duration(spent.device_seconds),
    )
    return tuple(Cell(text, number=True) for text in texts)
