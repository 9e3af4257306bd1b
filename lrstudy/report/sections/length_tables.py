"""A study of several lengths: the table of the shortest lengths that end at a target, and a sentence."""

from __future__ import annotations

from lrstudy.analysis.summary import ByLength, LengthVerdict, Summary
from lrstudy.report.figures.common import by_name
from lrstudy.report.page_model import Cell, Column, Group, NumberTable
from lrstudy.report.sections.end_tables import AS_TUNED
from lrstudy.report.sections.verdict_tables import SIGNS
from lrstudy.report.text import (
    interval,
    level,
    listed,
    metric_words,
    number,
    ratio,
    share,
    span,
)

_Named = tuple[str, LengthVerdict]


def length_table(study: Summary) -> tuple[NumberTable, ...]:
    """Return the table with a group for each target, the shortest length first; none for one length."""
    found = study.by_length
    if found is None:
        return ()
    columns = (
        Column("schedule", number=False),
        Column("verdict", number=False),
        Column(f"shortest training, {found.clock}"),
        Column(f"{study.reference}'s over it"),
        *(Column(f"mean after {span(found.clock, length)}") for length in found.lengths),
    )
    places = sorted(range(len(study.targets)), key=lambda place: place != found.primary)
    groups = tuple(_group(study, found, place) for place in places)
    return (NumberTable("By length of training", columns, groups, _notes(study, found)),)


def _group(study: Summary, found: ByLength, place: int) -> Group:
    rows = sorted(enumerate(found.verdicts[place]), key=lambda row: _rank(row[1]))
    title = f"{metric_words(study.metric)} {level(study.metric, study.targets[place])} at the end"
    return Group(title, tuple(_row(study, found, index, each) for index, each in rows))


def _rank(one: LengthVerdict) -> tuple[bool, float]:
    return (one.length.value is None, one.length.value or 0.0)


def _row(study: Summary, found: ByLength, index: int, one: LengthVerdict) -> tuple[Cell, ...]:
    length, times = one.length, one.ratio
    if length.value is None:
        shown = Cell(_needs(found, one), number=True)
    else:
        beyond = length.high is None or length.high > length.value
        limits = _range(length.low, length.high) if beyond and length.low is not None else ""
        shown = Cell(_needs(found, one), limits, number=True)
    return (
        Cell(study.names[index], schedule=index),
        Cell(SIGNS.get(one.verdict, one.verdict), verdict=one.verdict),
        shown,
        Cell(ratio(times.value, times.low, times.high), _range(times.low, times.high), number=True),
        *(Cell(share(study.metric, mean), number=True) for mean in one.means),
    )


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None and high is None else interval(low, high)


def _notes(study: Summary, found: ByLength) -> tuple[str, ...]:
    unit = "replicates" if found.unit == "replicate" else "seeds"
    said = (
        "Every schedule was laid out, tuned and confirmed at each length. Shortest training: the length "
        "whose end reaches the target in the mean, from the means made monotone in the length and "
        f"interpolated on a log scale; intervals are from a bootstrap over {unit}. Above 1×, the schedule "
        "needs a shorter training than the reference."
    )
    notes = [said]
    for target, each in zip(study.targets, found.verdicts, strict=True):
        whose: dict[str, list[str]] = {}
        for name, one in zip(study.names, each, strict=True):
            if one.note:
                whose.setdefault(one.note, []).append(name)
        at = level(study.metric, target)
        notes += [f"{listed(names)} at {at}: {note}" for note, names in whose.items()]
    return tuple(notes)


def length_sentence(study: Summary) -> str:
    """Return the verdict on the shortest training that ends at the primary target; empty for one length."""
    found = study.by_length
    if found is None or not study.targets:
        return ""
    goal = f"{level(study.metric, study.targets[found.primary])} {metric_words(study.metric)}"
    groups: dict[str, list[_Named]] = {}
    for name, one in zip(study.names, found.verdicts[found.primary], strict=True):
        groups.setdefault(one.verdict, []).append((name, one))
    *others, longest = found.lengths
    shown = listed([*(number(length) for length in others), span(found.clock, longest)])
    base = f"{study.reference} ({_needs(found, groups['reference'][0][1])} {found.clock})"
    parts = [
        f"{listed([_with_ratio(*way) for way in groups[word]])} "
        f"{'needs' if len(groups[word]) == 1 else 'need'} {less} training than {base}"
        for word, less in (("faster", "less"), ("slower", "more"))
        if word in groups
    ]
    if not parts:
        parts = [f"no schedule was shown to need more or less than {base}"]
    elif "inconclusive" in groups:
        names = [name for name, _ in groups["inconclusive"]]
        parts.append(f"{by_name(names)} {'was' if len(names) == 1 else 'were'} inconclusive")
    if "never" in groups:
        parts.append(f"{by_name([name for name, _ in groups['never']])} did not get there")
    decided = groups.keys() & {"faster", "slower"}
    tuned = found.unit == "seed" and any(schedule.tuned for schedule in study.schedules)
    text = f"To end at {goal}, of trainings of {shown}, {'; '.join(parts)}."
    return f"{text} {AS_TUNED}" if decided and tuned else text


def _needs(found: ByLength, one: LengthVerdict) -> str:
    if one.length.value is None:
        return f"more than {number(found.lengths[-1])}"
    if one.at_most:
        return f"at most {number(one.length.value)}"
    return number(one.length.value, one.length.low, one.length.high)


def _with_ratio(name: str, one: LengthVerdict) -> str:
    times = ratio(one.ratio.value, one.ratio.low, one.ratio.high)
    limits = _range(one.ratio.low, one.ratio.high)
    return f"{name} ({times}, {limits})" if limits else f"{name} ({times})"
