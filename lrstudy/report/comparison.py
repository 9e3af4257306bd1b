"""Several studies side by side, from their summaries: what the page of a comparison shows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.profiles import R_MAX, performance_profiles
from lrstudy.analysis.summary import EndValue, Reach, Summary
from lrstudy.report.text import level, listed, metric_words
from lrstudy.rules.arrival import stay_of
from lrstudy.rules.metrics import METRICS, Metric
from lrstudy.rules.prices import energy, money

NONE: Final = Interval(None, None, None)


@dataclass(frozen=True, slots=True)
class Profile:
    """A performance profile: ``share`` of studies solved from each time ratio in ``ratios`` on."""

    ratios: tuple[float, ...]
    share: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A schedule in one study of a comparison: its ERT to that study's target, speedup and verdict.

    ``time`` is None for a schedule that never reached the target or was not in the study (then ``present``
    is False). ``fastest`` marks the study's shortest time. ``end`` is the verdict on its value at the end of
    the training, empty if there is none, and ``end_difference`` that value minus the reference's.
    """

    present: bool
    time: float | None
    hits: int
    runs: int
    speedup: Interval
    verdict: str
    fastest: bool
    end: str = ""
    end_difference: Interval = NONE


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One study of a comparison, timed in its ``clock``; ``places`` in the order of the schedules.

    ``metric`` is that of the targets and of the values at the end.
    """

    name: str
    goal: str
    reference: str
    places: tuple[Place, ...]
    clock: str = "epochs"
    metric: Metric = METRICS["val_accuracy"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several studies side by side.

    ``profiles`` hold for each schedule the fraction of its studies that it solves within a time ratio of the
    fastest; ``scores`` their normalised integral up to ``largest_ratio``. None for a schedule without a
    study so far.
    """

    studies: tuple[ComparedStudy, ...]
    schedules: tuple[str, ...]
    reference: str | None
    profiles: tuple[Profile | None, ...]
    scores: tuple[float | None, ...]
    largest_ratio: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """``comparison.json``: names, places, profiles and scores as plain JSON data."""
        data = {"schema_version": 2} | _finite(asdict(self))
        for study, shown in zip(self.studies, data["studies"], strict=True):
            shown["metric"] = study.metric.name
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Replace infinities by None: JSON has none, and an end without limit becomes null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def compare(summaries: Sequence[Summary]) -> Comparison:
    """Compare studies, each at its primary target, over all schedules by name.

    The time of a schedule in a study is its ERT in the study's clock (time of all runs over hits; a miss if
    none hit), and profiles and scores are AlgoPerf's (``analysis.profiles``). Raises ``ValueError`` for no
    summary.
    """
    if not summaries:
        raise ValueError("at least one study is needed")
    names = tuple(dict.fromkeys(name for summary in summaries for name in summary.names))
    pairs = zip(summaries, _unique(summaries), strict=True)
    studies = tuple(_compared(summary, name, names) for summary, name in pairs)
    times = [[math.inf if place.time is None else place.time for place in s.places] for s in studies]
    present = [[place.present for place in study.places] for study in studies]
    found = performance_profiles(times, took_part=present)
    ratios = tuple(float(ratio) for ratio in found.tau)
    somewhere = [any(places) for places in zip(*present, strict=True)]
    profiles = tuple(
        Profile(ratios, tuple(float(share) for share in row)) if here else None
        for row, here in zip(found.rho, somewhere, strict=True)
    )
    references = {summary.reference for summary in summaries}
    return Comparison(
        studies=studies,
        schedules=names,
        reference=references.pop() if len(references) == 1 else None,
        profiles=profiles,
        scores=tuple(
            float(score) if here else None for score, here in zip(found.score, somewhere, strict=True)
        ),
        largest_ratio=R_MAX,
        notes=tuple(_notes(summaries, studies)),
    )


def _unique(summaries: Sequence[Summary]) -> list[str]:
    """Return the studies' names; a repeated name gets a number."""
    seen: dict[str, int] = {}
    found = []
    for summary in summaries:
        seen[summary.name] = seen.get(summary.name, 0) + 1
        found.append(summary.name if seen[summary.name] == 1 else f"{summary.name} ({seen[summary.name]})")
    return found


def _compared(summary: Summary, name: str, schedules: Sequence[str]) -> ComparedStudy:
    reached: dict[str, Reach] = {}
    goal = "no target yet"
    if (primary := summary.primary) is not None:
        reached = {schedule.name: schedule.reach[primary] for schedule in summary.schedules}
        goal = f"{metric_words(summary.metric)} {level(summary.metric, summary.targets[primary])}"
        if (stay := stay_of(summary.arrival)) > 1:
            goal += f" for {stay} evaluations"
    times = [reach.ert for reach in reached.values() if reach.ert is not None]
    first = min(times, default=None)
    ends = {} if summary.end is None else dict(zip(summary.names, summary.end.values, strict=True))
    places = tuple(_place(reached.get(s), first, ends.get(s)) for s in schedules)
    return ComparedStudy(name, goal, summary.reference, places, summary.clock, summary.metric)


def _place(reach: Reach | None, first: float | None, end: EndValue | None) -> Place:
    if reach is None or not reach.runs:
        return Place(False, None, 0, 0, NONE, "", False)
    speedup = NONE if reach.verdict == "never" else reach.judged
    fastest = reach.ert is not None and reach.ert == first
    ends = ("", NONE) if end is None else (end.verdict, end.difference)
    return Place(True, reach.ert, reach.hits, reach.runs, speedup, reach.verdict, fastest, *ends)


def _cost(summary: Summary, name: str) -> str:
    """Return what a study has cost in money and energy; empty where neither is known."""
    said = [] if summary.money is None else [f"cost {money(summary.money.spent, summary.money.currency)}"]
    if summary.energy is not None:
        how = " (estimated)" if summary.energy.estimated else ""
        said.append(f"used {energy(summary.energy.kwh)}{how}")
    return f"{name} has {listed(said)}, tuning included." if said else ""


def _notes(summaries: Sequence[Summary], studies: Sequence[ComparedStudy]) -> list[str]:
    notes = []
    for summary, study in zip(summaries, studies, strict=True):
        if not summary.complete:
            far = f" ({summary.ended} of {summary.planned} trials so far)" if summary.planned else ""
            notes.append(f"{study.name} is not complete{far}: its numbers can change.")
        notes += filter(None, [_cost(summary, study.name)])
        if not any(place.present for place in study.places):
            notes.append(f"{study.name} has no confirm run with a target yet: it is left out.")
        elif not any(place.time is not None for place in study.places):
            notes.append(f"{study.name}: no schedule reached the target; it counts as unsolved for all.")
    ran = [study for study in studies if any(place.present for place in study.places)]
    if not all(place.present for study in ran for place in study.places):
        notes.append(
            "Not every schedule was in every study: each profile and score covers only its schedule's "
            "studies, so compare two of them only if they cover the same studies."
        )
    if len({summary.reference for summary in summaries}) > 1:
        notes.append("The studies have different references: do not compare speedups between studies.")
    return notes
