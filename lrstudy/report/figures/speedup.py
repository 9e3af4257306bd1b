"""Speedup against the reference: a forest plot with a panel for each target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Reach, Summary
from lrstudy.report.figures.common import by_name, measured, no_comparison, tunings
from lrstudy.report.figures.model import Axis, Estimate, Figure, Panel, Rule, Zone, table
from lrstudy.report.text import interval, level, metric_words, percent, ratio, span, time_words
from lrstudy.rules.counting import counted

KEY = "speedup"
_WIDEST = 1e4  # an axis that shows one enormous ratio shows no other

# The analysis's words in the order in which a sentence names them.
_WORDS = {
    "faster": "faster",
    "equivalent": "equivalent",
    "slower": "slower",
    "inconclusive": "inconclusive",
    "never": "never reached it",
    "stopped": "stopped by hand",
    "none": "without a run so far",
}

_Row = tuple[int, str, Reach]  # a schedule's index, its name, its way to the target


def speedup(study: Summary) -> Figure:
    """Each schedule's ratio of mean times to target, with its interval, for each target."""
    title = f"Speedup over {study.reference}"
    others = [(i, s) for i, s in enumerate(study.schedules) if s.name != study.reference]
    if not others:
        return Figure(KEY, title, "The reference is the only schedule: there is nothing to compare.", "")
    if why := no_comparison(study):
        return Figure(KEY, title, why, "")
    by_target = [
        (target, [(index, schedule.name, schedule.reach[place]) for index, schedule in others])
        for place, target in enumerate(study.targets)
    ]
    shown = [
        (target, rows)
        for target, rows in by_target
        if any(shown_ratio(row[2], row[2].speedup).value is not None for row in rows)
    ]
    ends = axis_range(
        shown_ratio(row[2], found)
        for _, rows in shown
        for row in rows
        for found in (row[2].speedup, row[2].speedup_tuned)
    )
    return Figure(
        KEY,
        title,
        _takeaway(study, by_target),
        _reading(study),
        tuple(_panel(study, target, rows, ends) for target, rows in shown),
        table(
            [
                "target",
                "schedule",
                "speedup",
                "low",
                "high",
                "low over tunings",
                "high over tunings",
                "p (Holm)",
                "verdict",
                "seeds that would decide",
                "replicates that would decide",
            ],
            [[target, *_cells(row)] for target, rows in by_target for row in rows],
        ),
        stacked=True,
    )


def axis_range(found: Iterable[Interval]) -> tuple[float, float]:
    """Return a logarithmic range that holds 1, all values and their finite ends, up to ``_WIDEST``.

    >>> low, high = axis_range([Interval(2.0, 1.5, 3.0)])
    >>> round(low, 2), round(high, 2)
    (0.7, 3.45)
    """
    values = [0.8, 1.25]
    for one in found:
        values += [value for value in measured((one.value, one.low, one.high)) if value > 0]
    return max(min(values) / 1.15, 1 / _WIDEST), min(max(values) * 1.15, _WIDEST)


def shown_ratio(reach: Reach, found: Interval) -> Interval:
    """Return the ratio to show: none for a schedule without a hit, whose time is only the budget."""
    return Interval(None, None, None) if reach.verdict == "never" or not reach.runs else found


def speedup_text(speedup: Interval) -> str:
    """A ratio with its interval in words.

    >>> speedup_text(Interval(1.8123, 1.41, 2.27)), speedup_text(Interval(1.8123, None, None))
    ('1.81× (1.41 to 2.27)', '1.81× (no interval)')
    """
    text = ratio(speedup.value, speedup.low, speedup.high)
    if speedup.low is None and speedup.high is None:
        return f"{text} (no interval)"
    return f"{text} ({interval(speedup.low, speedup.high)})"


def _panel(study: Summary, target: float, rows: Sequence[_Row], ends: tuple[float, float]) -> Panel:
    zone = Zone("x", 1 - study.margin, 1 / (1 - study.margin), "equivalent")
    marks = tuple(_estimate(row) for row in rows)
    return Panel(
        f"{metric_words(study.metric)} {level(study.metric, target)}",
        Axis(f"times as fast as {study.reference} (logarithmic)", log=True, range=ends),
        Axis("", categories=tuple(name for _, name, _ in rows)),
        (zone, Rule("x", 1.0), *marks),
    )


def _estimate(row: _Row) -> Estimate:
    index, name, reach = row
    found = shown_ratio(reach, reach.speedup)
    if found.value is None:
        words = (
            "no run yet"
            if not reach.runs
            else f"no ratio: {reach.hits} of {counted(reach.runs, 'run')} reached it"
        )
        return Estimate(index, name, None, None, None, words)
    return Estimate(index, name, *_ends(found), text=speedup_text(found), wide=_wide(reach))


def _wide(reach: Reach) -> tuple[float, float] | None:
    """The interval that allows for another tuning, where it is the wider one."""
    found = reach.speedup_tuned
    if found.low is None or found.high is None or len(measured((found.low, found.high))) < 2:
        return None
    return (
        None
        if (found.low, found.high) == (reach.speedup.low, reach.speedup.high)
        else (found.low, found.high)
    )


def _ends(speedup: Interval) -> tuple[float | None, float | None, float | None]:
    """Value and ends; an infinite end is drawn as one without limit."""
    low, high = (None if not measured([end]) else end for end in (speedup.low, speedup.high))
    return speedup.value, low, high


def _cells(row: _Row) -> list[object]:
    _, name, reach = row
    found, tuned = reach.speedup, reach.speedup_tuned
    return [
        name,
        found.value,
        found.low,
        found.high,
        tuned.low,
        tuned.high,
        reach.p_value,
        reach.verdict,
        reach.seeds_needed,
        reach.replicates_needed,
    ]


def _takeaway(study: Summary, by_target: Sequence[tuple[float, Sequence[_Row]]]) -> str:
    """Summarise the verdicts, target by target."""
    parts = []
    for target, rows in by_target:
        names: dict[str, list[str]] = {}
        for _, name, reach in rows:
            names.setdefault(reach.verdict if reach.runs else "none", []).append(name)
        said = [f"{by_name(names[word])} {words}" for word, words in _WORDS.items() if word in names]
        parts.append(f"at {level(study.metric, target)}: {', '.join(said) or 'no runs yet'}")
    return f"Against {study.reference}, {'; '.join(parts)}."


def _reading(study: Summary) -> str:
    budget = "the budget of " if study.clock == study.trial_clock else ""
    return (
        "Each mark is the ratio of mean times to target, reference over schedule, counted in "
        f"{time_words(study.clock)} up to {budget}{span(study.clock, study.length)} (restricted means): "
        f"above 1 the schedule is faster. {_lines(study)} The grey zone (a difference below "
        f"{percent(study.margin)}) counts as equivalent. An arrow marks an interval without a limit."
    )


def _lines(study: Summary) -> str:
    intervals = f"{percent(study.confidence)} intervals"
    if tunings(study) > 1:
        return f"Lines are {intervals} over replicates, each with its own tuning and seeds."
    if not any(schedule.tuned for schedule in study.schedules):
        return f"Lines are {intervals} over paired seeds."
    return (
        f"Thick lines are {intervals} over paired seeds, given the winners that tuning chose; thin lines "
        "also include the luck of that choice, and a verdict needs both."
    )
