"""The verdict in one sentence, computed from the numbers, and the sentences shown beside it."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Reach, Summary
from lrstudy.report.figures.common import by_name, no_comparison, reference_runs, runs_each
from lrstudy.report.sections.end_tables import end_sentence
from lrstudy.report.sections.length_tables import length_sentence
from lrstudy.report.text import (
    arrival_words,
    interval,
    level,
    listed,
    metric_words,
    number,
    percent,
    point,
    shown_time,
    span,
    time_words,
)
from lrstudy.rules.counting import counted

# The rest of a sentence about the schedules with these verdicts.
_OTHERS = {
    "equivalent": "{0} {was} equivalent",
    "slower": "{0} {was} slower",
    "inconclusive": "{0} {was} inconclusive",
    "never": "{0} never reached it",
}

_Named = tuple[str, Reach]


def headline(study: Summary) -> str:
    """Return the verdict at the study's hardest target, in one sentence: on all lengths if it has several."""
    runs = sum(schedule.confirm_trials for schedule in study.schedules)
    if not runs:
        done = sum(schedule.tune_trials for schedule in study.schedules)
        if not done:
            return "No verdict yet: no trial has ended."
        return f"No verdict yet: {counted(done, 'tuning trial')} ended, and no confirm run has started."
    if study.hardest is None:
        return f"No verdict yet. {no_comparison(study)}"
    sentence = length_sentence(study) or _verdict(study, study.hardest)
    return sentence if study.complete else f"So far: {sentence}"


def remarks(study: Summary) -> tuple[str, ...]:
    """Return sentences on the other targets' verdicts and on the runs behind the numbers."""
    runs = sum(schedule.confirm_trials for schedule in study.schedules)
    sentences = []
    if not study.complete:
        far = f": {study.ended} of {study.planned} trials so far" if study.planned else ""
        sentences.append(f"The study is not complete{far}. Every number on this page can change.")
    if not runs or not study.targets:
        return (*sentences, *filter(None, [end_sentence(study)]))
    easier = [place for place in range(len(study.targets)) if place != study.hardest]
    if study.by_length is not None and study.hardest is not None:
        sentences.append(
            f"In trainings of {span(study.clock, study.length)}: {_verdict(study, study.hardest)}"
        )
    sentences += [_verdict(study, place) for place in easier[-2:]]
    sentences += filter(None, [end_sentence(study)])
    if runs_each(study) <= 1:
        sentences.append(
            "Each schedule has one confirm run: no interval can be given, and no schedule is called faster "
            "or slower."
        )
    elif (
        len(study.schedules) > 1
        and not no_comparison(study)
        and any(way.hits for s in study.schedules for way in s.reach)
    ):
        sentences.append(
            f"Intervals are {percent(study.confidence)} intervals over {_seeds(study)}. Verdicts are "
            f"corrected for comparing {counted(len(study.schedules) - 1, 'schedule')} with {study.reference} "
            f"(Holm). A schedule is equivalent if its whole interval is within {percent(study.margin)} of "
            "equal speed."
        )
        if _puzzling(study):
            sentences.append(
                "A verdict can be inconclusive although its interval excludes 1: the difference is then not "
                "significant after the correction for several comparisons, or it could be due to the luck of "
                "tuning."
            )
    return tuple(sentences)


def _seeds(study: Summary) -> str:
    """Return the number of pairs in words, or the largest of any schedule if they differ."""
    runs = {reach.runs for schedule in study.schedules for reach in schedule.reach}
    most = counted(runs_each(study), "paired seed")
    return most if len(runs) == 1 else f"up to {most}"


def _puzzling(study: Summary) -> bool:
    """Return True if an interval excludes 1 although its verdict is inconclusive."""
    return any(
        reach.verdict == "inconclusive"
        and reach.judged.low is not None
        and reach.judged.high is not None
        and (reach.judged.low > 1 or reach.judged.high < 1)
        for schedule in study.schedules
        for reach in schedule.reach
    )


def conditions(study: Summary) -> tuple[str, ...]:
    """List the conditions of the study, in a few words each."""
    said = [study.task] if study.task else []
    said.append(f"up to {span(study.trial_clock, study.trial_length)}")
    if study.clock != study.trial_clock:
        said.append(f"speed counted in {time_words(study.clock)}")
    if study.targets and (rule := arrival_words(study.arrival)):
        said.append(rule)
    if any(schedule.tune_trials > 1 for schedule in study.schedules):
        said.append(f"{counted(study.tune_budget, 'tuning trial')} per schedule that has something to tune")
    said.append(f"{counted(study.seeds, 'fresh seed')} each" if study.seeds > 1 else "one run each")
    return tuple(said)


def _verdict(study: Summary, place: int) -> str:
    """Return one sentence on one target."""
    goal = f"{level(study.metric, study.targets[place])} {metric_words(study.metric)}"
    ways = [
        (schedule.name, schedule.reach[place]) for schedule in study.schedules if schedule.reach[place].runs
    ]
    if not ways:
        return f"No confirm run that counts has ended: there is no result for {goal}."
    if not any(reach.hits for _, reach in ways):
        lost = sum(schedule.diverged for schedule in study.schedules)
        text = f"No schedule reached {goal} within {span(study.clock, study.length)}"
        return f"{text} ({lost} of all tuning and confirm trials diverged)." if lost else f"{text}."
    if not reference_runs(study) and len(ways) > 1:
        hits = [
            f"{name} ({reach.hits} of {counted(reach.runs, 'run')})" for name, reach in ways if reach.hits
        ]
        why = f"the reference {study.reference} has no confirm run to compare with"
        return f"{listed(hits)} reached {goal}; {why}."
    if len(ways) == 1:
        return _alone(study, goal, *ways[0])
    if runs_each(study) <= 1:
        return _single_runs(study.clock, goal, ways)
    return _compared(study, goal, ways)


def _alone(study: Summary, goal: str, name: str, reach: Reach) -> str:
    text = f"{name} reached {goal} in {reach.hits} of {counted(reach.runs, 'run')}"
    if reach.mean_time.value is not None:
        text += f", after {_mean(study.clock, reach.mean_time)} on average"
    why = "it is the only schedule" if len(study.schedules) == 1 else "no other schedule has a run yet"
    return f"{text}; {why}, so there is nothing to compare it with."


def _mean(clock: str, mean: Interval) -> str:
    text = shown_time(clock, mean.value)
    if mean.low is not None and mean.high is not None:
        text += f" ({shown_time(clock, mean.low)} to {shown_time(clock, mean.high)})"
    return text if clock == "seconds" else f"{text} {clock}"


def _single_runs(clock: str, goal: str, ways: Sequence[_Named]) -> str:
    reached = sorted(
        ((reach.median_time, name) for name, reach in ways if reach.hits and reach.median_time is not None)
    )
    first = [f"{name} at {point(clock, time)}" for time, name in reached[:3]]
    missed = [name for name, reach in ways if not reach.hits]
    text = (
        f"In one run each, {listed(first)} reached {goal}"
        if first
        else f"In one run each, {goal} was reached"
    )
    return f"{text}{f'; {by_name(missed)} did not' if missed else ''}: too few runs for a verdict."


def _compared(study: Summary, goal: str, ways: Sequence[_Named]) -> str:
    groups: dict[str, list[_Named]] = {}
    for name, reach in ways:
        if name != study.reference:
            groups.setdefault(reach.verdict, []).append((name, reach))
    faster = sorted(groups.pop("faster", []), key=lambda way: -(way[1].speedup.value or 0.0))
    if faster:
        text = _faster(study, goal, faster)
    else:
        text = f"No schedule was shown to reach {goal} faster than {study.reference}"
    rest = [
        said.format(
            by_name([name for name, _ in groups[word]]), was="was" if len(groups[word]) == 1 else "were"
        )
        for word, said in _OTHERS.items()
        if word in groups
    ]
    return f"{'; '.join([text, *rest])}."


def _faster(study: Summary, goal: str, faster: Sequence[_Named]) -> str:
    """List the schedules that were faster, the fastest first, each with its ratio and interval."""
    first, reach = faster[0]
    if len(faster) == 1 and reach.judged.value is not None:
        times = number(reach.judged.value, reach.judged.low, reach.judged.high)
        how = f"{times} times as fast as {study.reference}{_interval_words(study, reach.judged)}"
        return f"{first} reached {goal} {how}"
    if len(faster) > 3:
        named = f"{len(faster)} schedules, {_with_ratio(*faster[0])} first,"
    else:
        named = listed([_with_ratio(*way) for way in faster])
    return f"{named} reached {goal} faster than {study.reference}"


def _interval_words(study: Summary, found: Interval) -> str:
    if found.low is None and found.high is None:
        return ""
    return f" ({percent(study.confidence)} interval {interval(found.low, found.high)})"


def _with_ratio(name: str, reach: Reach) -> str:
    found = reach.judged
    if found.value is None:
        return name
    if found.low is None and found.high is None:
        return f"{name} ({number(found.value)}×)"
    return f"{name} ({number(found.value, found.low, found.high)}×, {interval(found.low, found.high)})"
