"""The tables of the verdicts and of other measures of speed."""

from __future__ import annotations

import math

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Reach, Summary
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
    percent,
    ratio,
    shown_time,
    span,
    time_unit,
    time_words,
)
from lrstudy.rules.arrival import stay_of
from lrstudy.rules.counting import counted

SIGNS = {
    "faster": "▲ faster",
    "slower": "▼ slower",
    "equivalent": "= equivalent",
    "inconclusive": "? inconclusive",
    "never": "∅ never",
    "stopped": "■ stopped",
    "reference": "● reference",
}


_SEEDS_NEEDED = (
    "Seeds needed: with about that many confirm seeds, 4 in 5 studies reach a verdict if the ratio and the "
    "spread between seeds stay as measured."
)
_TUNINGS_NEEDED = (
    "{} needed: with about that many {} of each schedule in all, 4 in 5 studies reach a verdict if the ratio "
    "and the spread stay as measured. More confirm seeds alone do not, where winners of different tunings "
    "differ."
)


def verdict_table(study: Summary) -> NumberTable:
    """A group of rows for each target, the primary one first, and in each the fastest schedule first."""
    unit, in_seconds = time_words(study.clock), study.clock == "seconds"
    columns = [
        Column("schedule", number=False),
        Column("verdict", number=False),
        Column(f"times as fast as {study.reference}, in {time_unit(study.clock)}"),
        *(() if in_seconds else (Column("in training time"),)),
        Column("runs that reached it"),
        Column(f"mean {unit}, restricted"),
        Column(f"median {unit}"),
        Column(f"ERT, {unit}"),
        *(() if in_seconds else (Column("ERT, training time"),)),
    ]
    places = sorted(range(len(study.targets)), key=lambda place: place != study.primary)
    groups = tuple(_target_group(study, place) for place in places)
    return NumberTable("Verdicts", tuple(columns), groups, _verdict_notes(study))


def _target_group(study: Summary, place: int) -> Group:
    ways = [(index, schedule.reach[place]) for index, schedule in enumerate(study.schedules)]
    ways.sort(key=lambda way: (way[1].mean_time.value is None, way[1].mean_time.value or 0.0, way[0]))
    title = f"{metric_words(study.metric)} {level(study.metric, study.targets[place])}"
    if len(study.targets) > 1 and any(reach.primary for _, reach in ways):
        title += ", the primary target"
    return Group(title, tuple(_verdict_row(study, index, reach) for index, reach in ways))


def _verdict_row(study: Summary, index: int, reach: Reach) -> tuple[Cell, ...]:
    name, clock = Cell(study.names[index], schedule=index), study.clock
    in_seconds = clock == "seconds"
    if not reach.runs:
        return (
            name,
            Cell("no run yet"),
            *(Cell(NO_VALUE, number=True) for _ in range(5 if in_seconds else 7)),
        )
    said = SIGNS.get(reach.verdict, reach.verdict)
    verdict = Cell(said, verdict=reach.verdict, range=_decided_by(study, index, reach))
    return (
        name,
        verdict,
        _ratio(shown_ratio(reach, reach.judged)),
        *(() if in_seconds else (_ratio(shown_ratio(reach, reach.speedup_seconds)),)),
        Cell(f"{reach.hits} of {reach.runs}", _rate_range(reach), number=True),
        Cell(shown_time(clock, reach.mean_time.value), _time_range(clock, reach.mean_time), number=True),
        Cell(_or_never(clock, reach.median_time), number=True),
        Cell(_or_never(clock, reach.ert), number=True),
        *(() if in_seconds else (Cell(_training_time(reach), number=True),)),
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
        as_tuned = reach.speedup
        ends = interval(as_tuned.low, as_tuned.high, as_tuned.value)
        return f"{reach.given_winners} as tuned ({ends}); the tuning{of} may have been lucky"
    if reach.replicates_needed is not None and reach.seeds_needed is None:
        return f"about {reach.replicates_needed:,} {_replicates(study)} needed"
    if reach.replicates > 1:
        return ""
    if reach.seeds_needed is None:
        return f"more tuning{of} needed, not more seeds" if reach.speedup_tuned != reach.speedup else ""
    return f"about {counted(reach.seeds_needed, 'seed')} needed"


def _replicates(study: Summary) -> str:
    return "tunings" if any(schedule.tuned for schedule in study.schedules) else "replicates"


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


def _time_range(clock: str, found: Interval) -> str:
    if found.low is None or found.high is None:
        return ""
    return f"{shown_time(clock, found.low)} to {shown_time(clock, found.high)}"


def _or_never(clock: str, value: float | None) -> str:
    return "never" if value is None or math.isinf(value) else shown_time(clock, value)


def _training_time(reach: Reach) -> str:
    """Return the ERT in time; a dash if runs reached the target but their times were not recorded."""
    return duration(reach.ert_seconds) if reach.hits else "never"


def _verdict_notes(study: Summary) -> tuple[str, ...]:
    time = (
        "Time is that of the logs"
        if study.imported
        else "Time is training time: it includes estimating the Lipschitz constant and excludes evaluation"
    )
    if study.money is not None and study.clock == study.money.currency:
        time = "Time is money here: training and evaluation so far at the study's prices, without the start"
    terms = (
        f"Mean {time_words(study.clock)}, restricted: the mean time to the target, counting "
        f"{span(study.clock, study.length)} for a run that never reached it. ERT (expected running time): "
        f"the time of all runs, divided by the number that reached the target. {time}. A run that diverged "
        "counts as never reaching a target, even if it did so before."
    )
    notes = [terms]
    if study.targets:
        notes.append(_arrival_note(study.arrival))
    if runs_each(study) > 1:
        notes.append(f"Second lines of numbers are {percent(study.confidence)} intervals.")
    every = [reach for schedule in study.schedules for reach in schedule.reach]
    if any(reach.seeds_needed is not None for reach in every):
        notes.append(_SEEDS_NEEDED)
    if any(reach.replicates_needed is not None and reach.seeds_needed is None for reach in every):
        notes.append(_TUNINGS_NEEDED.format(_replicates(study).capitalize(), _replicates(study)))
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


def _arrival_note(arrival: str) -> str:
    stay = stay_of(arrival)
    if stay == 1:
        return "A run reaches a target at its first evaluation at it, even if later ones are below it."
    return (
        f"A run reaches a target if {stay} evaluations in a row are at it, at the first of them. A single "
        "evaluation can be at a target by chance: of the runs on scikit-learn's digits that touch 97%, two "
        "thirds are below it at the next evaluation."
    )


def measures_table(study: Summary) -> NumberTable:
    """Other measures of speed; none of them decides the verdict."""
    columns = (
        Column("schedule", number=False),
        Column(f"probability of being faster than {study.reference}"),
        Column("ratio of ERTs"),
        Column(f"interquartile mean, {time_words(study.clock)}"),
    )
    groups = tuple(
        Group(
            f"{metric_words(study.metric)} {level(study.metric, study.targets[place])}",
            tuple(
                (
                    Cell(schedule.name, schedule=index),
                    Cell(NO_VALUE if reach.sooner is None else percent(round(reach.sooner, 2)), number=True),
                    _ratio(shown_ratio(reach, reach.speedup_ert)),
                    Cell(_or_dash(study.clock, reach.iqm), number=True),
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


def _or_dash(clock: str, value: float | None) -> str:
    return NO_VALUE if value is None or math.isinf(value) else shown_time(clock, value)
