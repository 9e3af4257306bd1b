"""The page of a comparison: several studies side by side."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from lrstudy.report.change_text import change, change_unit
from lrstudy.report.comparison import ComparedStudy, Comparison, Place
from lrstudy.report.figures.profiles import performance_profiles, speedups_by_study
from lrstudy.report.page_model import Cell, Column, Group, NumberTable, Page, Section
from lrstudy.report.sections.page import closing_line
from lrstudy.report.text import NO_VALUE, listed, metric_words, shown_time, time_words, trim
from lrstudy.rules.counting import counted

# A headline names so many schedules and counts the others.
_NAMED: Final = 3


def comparison_page(compared: Comparison, made_at: datetime | None = None) -> Page:
    """Return the page of a comparison: wins and times first, then profiles and speedups."""
    sections = (
        Section(
            "wins",
            "Wins and times",
            tables=(wins_table(compared), times_table(compared), *ends_table(compared)),
        ),
        Section(
            "evidence",
            "Over all studies",
            figures=(performance_profiles(compared), speedups_by_study(compared)),
        ),
        Section(
            "notes",
            "Notes",
            intro=() if compared.notes else ("There are no notes.",),
            items=compared.notes,
        ),
    )
    count = counted(len(compared.studies), "study", "studies")
    conditions = (listed([study.name for study in compared.studies]),)
    return Page(
        f"Comparison of {count}",
        _headline(compared),
        conditions,
        (),
        sections,
        closing_line(made_at, "the studies' stores"),
    )


def _headline(compared: Comparison) -> str:
    wins = _wins(compared)
    studies = counted(len(compared.studies), "study", "studies")
    most = max(wins.values(), default=0)
    if not any(place.present for study in compared.studies for place in study.places):
        return f"Nothing to compare yet: no confirm run has ended in any of {studies}."
    if not most:
        return f"No schedule reached its target in any of {studies}."
    first = [name for name, count in wins.items() if count == most]
    who = listed(first) if len(first) <= _NAMED else f"{len(first)} schedules"
    text = f"{who} {'was' if len(first) == 1 else 'were each'} the fastest in {most} of {studies}"
    faster = {
        name: count
        for index, name in enumerate(compared.schedules)
        if (count := sum(study.places[index].verdict == "faster" for study in compared.studies))
    }
    if not faster:
        return f"{text}; no schedule was shown to be faster than a study's reference."
    said = [f"{name} in {count}" for name, count in sorted(faster.items(), key=lambda item: -item[1])]
    if len(said) > _NAMED:
        said = [*said[: _NAMED - 1], f"{len(said) - _NAMED + 1} others"]
    return f"{text}; shown to be faster than the study's reference: {listed(said)}."


def _wins(compared: Comparison) -> dict[str, int]:
    return {
        name: sum(study.places[index].fastest for study in compared.studies)
        for index, name in enumerate(compared.schedules)
    }


def wins_table(compared: Comparison) -> NumberTable:
    """Table of each schedule's wins, verdicts by kind, and score over the studies."""
    columns = (
        Column("schedule", number=False),
        Column("studies"),
        Column("fastest"),
        Column("reference"),
        Column("faster"),
        Column("equivalent"),
        Column("inconclusive"),
        Column("slower"),
        Column("never"),
        Column("profile score"),
    )
    wins = _wins(compared)
    rows = []
    for index, name in enumerate(compared.schedules):
        places = [study.places[index] for study in compared.studies if study.places[index].present]
        verdicts = [place.verdict for place in places]
        score = compared.scores[index]
        counts = [len(places), wins[name]]
        counts += [
            verdicts.count(word)
            for word in ("reference", "faster", "equivalent", "inconclusive", "slower", "never")
        ]
        cells = [Cell(str(count), number=True) for count in counts]
        last = Cell(NO_VALUE if score is None else trim(score, 2), number=True)
        rows.append((Cell(name, schedule=index), *cells, last))
    note = (
        "Fastest: the shortest expected time to the study's target, significant or not. From reference to "
        "never: the verdicts of the studies' own reports at that target. "
        "Score: the area under the performance profile below, 1 for a schedule that is always the fastest."
    )
    return NumberTable("Wins", columns, (Group("", tuple(rows)),), (note,))


def times_table(compared: Comparison) -> NumberTable:
    """Return the expected times to the target, a row for each study and a column for each schedule."""
    columns = (
        Column("study", number=False),
        Column("target", number=False),
        *(Column(name) for name in compared.schedules),
    )
    clocks = {study.clock for study in compared.studies}
    rows = tuple(
        (Cell(study.name), Cell(study.goal), *(_time(study, place, clocks) for place in study.places))
        for study in compared.studies
    )
    words = time_words(compared.studies[0].clock) if len(clocks) == 1 else "time"
    title = f"Expected {words} to the target (ERT)"
    note = (
        f"{words.capitalize()} of all runs divided by the number of runs that reached the target; "
        "that number is shown if not all did. A star marks the fastest; a dash, a schedule without a run in "
        "the study."
    )
    return NumberTable("Times", columns, (Group(title, rows),), (note,))


def _time(study: ComparedStudy, place: Place, clocks: Collection[str]) -> Cell:
    if not place.present:
        return Cell(NO_VALUE, number=True)
    if place.time is None:
        return Cell("never", number=True)
    text = shown_time(study.clock, place.time)
    # A table of studies in different clocks says which.
    text += f" {study.clock}" if len(clocks) > 1 and study.clock != "seconds" else ""
    text += " ★" if place.fastest else ""
    return Cell(text, "" if place.hits == place.runs else f"{place.hits} of {place.runs}", number=True)


def ends_table(compared: Comparison) -> tuple[NumberTable, ...]:
    """Return the differences at the end of the training; none if no study has a known end."""
    if not any(place.end_difference.value is not None for s in compared.studies for place in s.places):
        return ()
    columns = (
        Column("study", number=False),
        Column("metric", number=False),
        *(Column(name) for name in compared.schedules),
    )
    rows = tuple(
        (Cell(study.name), Cell(_end_metric(study)), *(_end(study, place) for place in study.places))
        for study in compared.studies
    )
    note = (
        "The value at the end of the training minus that of the study's reference, with the verdict of the "
        "study's own report; unknown where runs ended before, as runs do that are stopped at their target."
    )
    return (NumberTable("Ends", columns, (Group("Value at the end against the reference", rows),), (note,)),)


def _end_metric(study: ComparedStudy) -> str:
    unit = change_unit(study.metric)
    return f"{metric_words(study.metric)},{unit}" if unit else metric_words(study.metric)


def _end(study: ComparedStudy, place: Place) -> Cell:
    found = place.end_difference
    if found.value is None:
        return Cell("unknown" if place.end == "unknown" else NO_VALUE, number=True)
    return Cell(change(study.metric, found.value, found.low, found.high), place.end, number=True)
