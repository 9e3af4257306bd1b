"""Values at the end of the training: their table, and the sentence beside the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.summary import Ends, EndValue, Summary
from lrstudy.report.change_text import change, change_interval, change_unit
from lrstudy.report.figures.common import by_name, runs_each
from lrstudy.report.figures.model import table
from lrstudy.report.page_model import Cell, Column, DataFile, Group, NumberTable
from lrstudy.report.text import NO_VALUE, listed, metric_words, share, share_interval, span
from lrstudy.rules.counting import counted

_SIGNS = {
    "better": "▲ better",
    "worse": "▼ worse",
    "equivalent": "= equivalent",
    "inconclusive": "? inconclusive",
    "unknown": "– unknown",
    "stopped": "■ stopped",
    "reference": "● reference",
}
AS_TUNED = "That is true of these configurations: another tuning might find others."
_Named = tuple[str, EndValue]


def end_table(study: Summary) -> tuple[NumberTable, ...]:
    """Return the table of the values at the end, the best mean first; none without a confirm run."""
    end = study.end
    if end is None:
        return ()
    after = f"{metric_words(study.metric)} after {span(end.clock, end.length)}"
    columns = (
        Column("schedule", number=False),
        Column("verdict", number=False),
        Column("mean"),
        Column(f"difference to {study.reference}{_unit(study)}"),
    )
    rows = sorted(enumerate(end.values), key=lambda row: _rank(study, row[1]))
    group = Group(after, tuple(_row(study, index, value) for index, value in rows))
    return (NumberTable("Value at the end", columns, (group,), _notes(study, end)),)


def end_values_of_runs(study: Summary) -> tuple[DataFile, ...]:
    """Return the file with the value at the end of each confirm run, without rows if there is none."""
    columns = ["schedule", "replicate", "seed", "outcome", study.metric.name]
    runs = () if study.end is None else study.end.runs
    rows = [[run.schedule, run.replicate, run.seed, run.outcome, run.value] for run in runs]
    return (DataFile("end-values", "Values at the end of all runs", table(columns, rows)),)


def _unit(study: Summary) -> str:
    unit = change_unit(study.metric)
    return f",{unit}" if unit else ""


def _rank(study: Summary, value: EndValue) -> tuple[bool, float]:
    mean = value.value.value
    if mean is None:
        return True, 0.0
    return False, -mean if study.metric.higher_is_better else mean


def _row(study: Summary, index: int, end: EndValue) -> tuple[Cell, ...]:
    name = Cell(study.names[index], schedule=index)
    if not end.runs:
        return name, Cell("no run yet"), Cell(NO_VALUE, number=True), Cell(NO_VALUE, number=True)
    value, difference = end.value, end.difference
    said = Cell(_SIGNS.get(end.verdict, end.verdict), verdict=end.verdict, range=_runs_without(end))
    ends = (value.value, value.low, value.high)
    moved = (difference.value, difference.low, difference.high)
    return (
        name,
        said,
        Cell(share(study.metric, *ends), _range(share_interval(study.metric, *ends[1:])), number=True),
        Cell(change(study.metric, *moved), _range(change_interval(study.metric, *moved[1:])), number=True),
    )


def _range(text: str) -> str:
    return "" if text == NO_VALUE else text


def _runs_without(end: EndValue) -> str:
    """Return the second line of a verdict: how many runs have no value, and why."""
    if end.short:
        return f"{end.short} of {counted(end.runs, 'run')} ended before"
    return f"{end.diverged} of {counted(end.runs, 'run')} diverged" if end.diverged else ""


def _notes(study: Summary, end: Ends) -> tuple[str, ...]:
    what = "means of replicates" if end.unit == "replicate" else "runs with the same seed"
    short = any(value.short for value in end.values)
    trained = f"trained for {span(end.clock, end.length)}; the last evaluation counts"
    said = (
        f"{'The runs with a value' if short else 'All runs'} {trained}. Differences are "
        f"between {what}, verdicts by a paired t-test, corrected for the number of comparisons (Holm)."
    )
    notes = [said]
    if end.margin is not None:
        within = change(study.metric, end.margin).removeprefix("+")
        notes.append(
            f"Equivalent: the whole interval of the difference is within {within}{change_unit(study.metric)}."
        )
    if any(value.diverged for value in end.values):
        notes.append(
            "A run that diverged counts as worse than every other: where there is one, the test is on ranks, "
            "and mean and difference are over the runs that have a value."
        )
    if short:
        notes.append(
            "Unknown: runs of the schedule or of the reference ended before: they were stopped at their "
            "target or cut short."
        )
    return tuple(notes)


def end_sentence(study: Summary) -> str:
    """Return the verdicts on the values at the end in one sentence, empty where there is nothing to say."""
    end = study.end
    if end is None or runs_each(study) < 2:
        return ""
    groups: dict[str, list[_Named]] = {}
    for name, value in zip(study.names, end.values, strict=True):
        if value.runs and value.verdict != "reference":
            groups.setdefault(value.verdict, []).append((name, value))
    if not groups.keys() - {"unknown", "stopped"}:
        return ""
    lead = f"At the end, after {span(end.clock, end.length)},"
    where = f"{study.reference} in {metric_words(study.metric)}"
    parts = [_moved(study, word, groups[word]) for word in ("better", "worse") if word in groups]
    if parts:
        parts[0] += f" than {where}"
    if "equivalent" in groups:
        parts.append(f"{_were(groups['equivalent'])} equivalent" + ("" if parts else f" to {where}"))
    if not parts:
        return f"{lead} no schedule was shown to differ from {where}."
    if "inconclusive" in groups:
        parts.append(f"{_were(groups['inconclusive'])} inconclusive")
    tuned = end.unit == "seed" and any(schedule.tuned for schedule in study.schedules)
    return f"{lead} {'; '.join(parts)}." + (f" {AS_TUNED}" if tuned else "")


def _were(ways: Sequence[_Named]) -> str:
    return f"{by_name([name for name, _ in ways])} {'was' if len(ways) == 1 else 'were'}"


def _moved(study: Summary, word: str, ways: Sequence[_Named]) -> str:
    said = listed([_with_difference(study, *way) for way in ways])
    return f"{said} {'was' if len(ways) == 1 else 'were'} {word}"


def _with_difference(study: Summary, name: str, end: EndValue) -> str:
    found = end.difference
    if found.value is None:
        return name
    moved = f"{change(study.metric, found.value, found.low, found.high)}{change_unit(study.metric)}"
    if found.low is None or found.high is None:
        return f"{name} ({moved})"
    limits = change_interval(study.metric, found.low, found.high)
    return f"{name} ({moved}, {limits})"
