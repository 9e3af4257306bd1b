"""The verdict in one sentence, computed from the numbers, and the sentences shown beside it."""

from __future__ import annotations

from collections.abc import Sequence

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Reach, Summary
from lrstudy.report.figures.common import (
    by_name,
    no_comparison,
    reference_runs,
    runs_each,
    searches,
    tunings,
    tunings_in_words,
)
from lrstudy.report.sections.end_tables import end_sentence
from lrstudy.report.sections.length_tables import length_sentence
from lrstudy.report.sections.next_step_words import next_step_sentence
from lrstudy.report.text import (
    arrival_words,
    interval,
    level,
    listed,
    metric_words,
    number,
    point,
    shown_time,
    span,
    time_unit,
)
from lrstudy.rules.arrival import stay_of
from lrstudy.rules.counting import counted

# The rest of a sentence about the schedules with these verdicts.
_OTHERS = {
    "slower": "{0} {was} slower",
    "equivalent": "{0} {was} equivalent",
    "inconclusive": "{0} {was} inconclusive",
    "never": "{0} never reached it",
    "stopped": "{0} {was} stopped by hand and {has} no verdict",
}

_Named = tuple[str, Reach]


def headline(study: Summary) -> str:
    """Return the ruling at the study's primary target, in one sentence: on all lengths if it has several."""
    runs = sum(schedule.confirm_trials for schedule in study.schedules)
    if not runs:
        done = sum(schedule.tune_trials for schedule in study.schedules)
        if not done:
            return "No verdict yet: no trial has ended."
        return f"No verdict yet: {counted(done, 'tuning trial')} ended, and no confirm run has started."
    if study.primary is None:
        return f"No verdict yet. {no_comparison(study)}"
    sentence = length_sentence(study) or _verdict(study, study.primary)
    return sentence if study.complete else f"So far: {sentence}"


def remarks(study: Summary) -> tuple[str, ...]:
    """Return sentences on what is next, on the other targets, and on the runs behind the numbers."""
    runs = sum(schedule.confirm_trials for schedule in study.schedules)
    sentences = []
    if not study.complete:
        far = f": {study.ended} of {study.planned} trials so far" if study.planned else ""
        sentences.append(f"The study is not complete{far}. Every number on this page can change.")
    if not runs or not study.targets:
        return (*sentences, *filter(None, [end_sentence(study)]))
    if step := next_step_sentence(study, study.run):
        sentences.append(step)
    others = [place for place in range(len(study.targets)) if place != study.primary]
    if study.by_length is not None and study.primary is not None:
        sentences.append(_verdict(study, study.primary))
    sentences += [_verdict(study, place) for place in others[-2:]]
    sentences += filter(None, [end_sentence(study)])
    if runs_each(study) <= 1:
        sentences.append(
            "Each schedule has one confirm run: no interval can be given, and no schedule is called faster "
            "or slower."
        )
    return tuple(sentences)


def conditions(study: Summary) -> tuple[str, ...]:
    """List the conditions of the study, in a few words each."""
    said = [study.task] if study.task else []
    named = _names_rules(study)
    if not named:
        said.append(f"up to {span(study.trial_clock, study.trial_length)}")
    if study.clock != study.trial_clock:
        said.append(f"speed counted in {time_unit(study.clock)}")
    if study.targets and not named and (rule := arrival_words(study.arrival)):
        said.append(rule)
    if any(map(searches, study.schedules)):
        many = tunings(study)
        if many > 1:
            said.append(f"{tunings_in_words(study)} tunings of each schedule that has something to tune")
        per = "a tuning" if many > 1 else "per schedule that has something to tune"
        said.append(f"{counted(study.tune_budget, 'tuning trial')} {per}")
    winner = "for each winner" if tunings(study) > 1 else "each"
    said.append(
        f"{counted(study.seeds, 'seed' if study.imported else 'fresh seed')} {winner}"
        if study.seeds > 1
        else f"one run {winner}"
    )
    return tuple(said)


def _names_rules(study: Summary) -> bool:
    """Return True if the headline names the length of a trial and the rule of arrival."""
    if study.by_length is not None or study.primary is None:
        return False
    return _is_compared(study, study.primary)


def _ways(study: Summary, place: int) -> list[_Named]:
    """Return the schedules that have runs, with their results at a target."""
    return [
        (schedule.name, schedule.reach[place]) for schedule in study.schedules if schedule.reach[place].runs
    ]


def _is_compared(study: Summary, place: int) -> bool:
    """Return True if schedules are compared at a target, over several runs."""
    ways = _ways(study, place)
    hit = any(reach.hits for _, reach in ways)
    return hit and len(ways) > 1 and bool(reference_runs(study)) and runs_each(study) > 1


def _verdict(study: Summary, place: int) -> str:
    """Return one sentence on one target; that on the primary names the length and the rule of arrival."""
    goal = f"{level(study.metric, study.targets[place])} {metric_words(study.metric)}"
    ways = _ways(study, place)
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
    if place != study.primary:
        return _compared(study, goal, ways)
    stay = stay_of(study.arrival)
    held = f" for {stay} evaluations in a row" if stay > 1 else ""
    said = _compared(study, f"{goal}{held}", ways)
    said = said if said.startswith(study.names) else f"{said[0].lower()}{said[1:]}"
    return f"In trainings of {span(study.trial_clock, study.trial_length)}, {said}"


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
    # The most extreme first.
    groups.get("faster", []).sort(key=lambda way: -(way[1].speedup.value or 0.0))
    groups.get("slower", []).sort(key=lambda way: way[1].speedup.value or 0.0)
    ruling = next((word for word in ("faster", "slower") if word in groups), None)
    if ruling is None:
        text = f"No schedule was shown to reach {goal} faster or slower than {study.reference}"
    else:
        text = _ruling(study, goal, ruling, groups.pop(ruling))
    rest = [
        said.format(
            _named(groups[word], ratios=word == "slower"),
            was="was" if len(groups[word]) == 1 else "were",
            has="has" if len(groups[word]) == 1 else "have",
        )
        for word, said in _OTHERS.items()
        if word in groups
    ]
    return f"{'; '.join([text, *rest])}."


def _ruling(study: Summary, goal: str, word: str, ways: Sequence[_Named]) -> str:
    """List the schedules with a verdict, the most extreme first, each with its ratio and interval."""
    first, reach = ways[0]
    if len(ways) == 1 and reach.judged.value is not None:
        times = number(reach.judged.value, reach.judged.low, reach.judged.high)
        how = f"{times} times as fast as {study.reference}{_interval_words(study, reach)}"
        return f"{first} reached {goal} {how}"
    return f"{_named(ways, ratios=True)} reached {goal} {word} than {study.reference}{_base(study, ways)}"


def _named(ways: Sequence[_Named], *, ratios: bool) -> str:
    if not ratios:
        return by_name([name for name, _ in ways])
    if len(ways) > 3:
        return f"{len(ways)} schedules, {_with_ratio(*ways[0])} first,"
    return listed([_with_ratio(*way) for way in ways])


def _interval_words(study: Summary, reach: Reach) -> str:
    found = reach.judged
    if found.low is None and found.high is None:
        return ""
    return f" ({interval(found.low, found.high)}, {_over(study, reach)})"


def _base(study: Summary, ways: Sequence[_Named]) -> str:
    """Return the units of several intervals: of those decided after different numbers, the range."""
    counts = [reach.replicates for _, reach in ways]
    if min(counts) == max(counts):
        return f" (intervals {_over(study, ways[0][1])})"
    return f" (intervals over {min(counts)} to {max(counts)} {_replicates(study)})"


def _over(study: Summary, reach: Reach) -> str:
    """Return the units of an interval in words."""
    if reach.replicates > 1:
        return f"over {reach.replicates} {_replicates(study)}"
    tuned = any(schedule.tuned for schedule in study.schedules)
    return "of one tuning" if tuned else f"over {counted(reach.runs, 'seed')}"


def _replicates(study: Summary) -> str:
    return "tunings" if any(schedule.tuned for schedule in study.schedules) else "replicates"


def _with_ratio(name: str, reach: Reach) -> str:
    found = reach.judged
    if found.value is None:
        return name
    if found.low is None and found.high is None:
        return f"{name} ({number(found.value)}×)"
    return f"{name} ({number(found.value, found.low, found.high)}×, {interval(found.low, found.high)})"
