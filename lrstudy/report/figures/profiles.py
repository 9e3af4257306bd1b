"""Figures of a comparison of studies: performance profiles, and each study's speedups."""

from __future__ import annotations

from lrstudy.report.comparison import Comparison
from lrstudy.report.figures.model import STATIC, Axis, Estimate, Figure, Line, Panel, Points, Rule, table
from lrstudy.report.figures.speedup import axis_range, speedup_text
from lrstudy.report.text import listed, trim
from lrstudy.rules.counting import counted


def performance_profiles(compared: Comparison) -> Figure:
    """The share of studies that each schedule solves within a factor of the fastest one's time."""
    key, title = "profiles", "Performance profiles"
    lines, rows = [], []
    for index, (name, profile) in enumerate(zip(compared.schedules, compared.profiles, strict=True)):
        if profile is None:
            continue
        lines.append(Line(index, name, {STATIC: Points(profile.ratios, profile.share)}, step=True))
        rows += [[name, at, share] for at, share in zip(profile.ratios, profile.share, strict=True)]
    if not lines:
        return Figure(key, title, "No schedule reached a target in any of the studies.", "")
    x = Axis(
        "time over the fastest schedule's time", log=True, switch=True, range=(1.0, compared.largest_ratio)
    )
    y = Axis("share of studies solved", percent=True, range=(-0.02, 1.04))
    reading = (
        "For each factor on the horizontal axis: the share of its studies in which a schedule reached the "
        "target within that factor of the fastest schedule's expected time. At 1 it is the share in which it "
        "was the fastest; at the right end, the share that it solved at all. A study in which a schedule "
        "never reached the target counts as unsolved; a study without the schedule does not count. The score "
        f"is the area under the curve up to {trim(compared.largest_ratio)}."
    )
    panel = Panel("Share of studies solved within a factor of the fastest", x, y, tuple(lines))
    return Figure(
        key, title, _takeaway(compared), reading, (panel,), table(["schedule", "time ratio", "share"], rows)
    )


def _takeaway(compared: Comparison) -> str:
    taken = [
        sum(study.places[place].present for study in compared.studies)
        for place in range(len(compared.schedules))
    ]
    most = max(taken, default=0)
    # Scores over different studies do not compare: only those of the schedules that were in the most.
    scores = {
        name: score
        for name, score, count in zip(compared.schedules, compared.scores, taken, strict=True)
        if score is not None and count == most
    }
    if not scores:
        return "No schedule has a score."
    best = max(scores.values())
    names = [name for name, score in scores.items() if score == best]
    have = "has" if len(names) == 1 else "have"
    among = "" if most == len(compared.studies) else f" of the schedules that were in {most}"
    if len(scores) == 1 and len(compared.schedules) > 1:
        where = "all" if most == len(compared.studies) else str(most)
        return f"{names[0]}, alone in {where} of {_studies(compared)}, has the score {trim(best, 2)} of 1."
    score = f"the highest score{among}, {trim(best, 2)} of 1"
    return f"{listed(names)} {have} {score}, over {_studies(compared)}."


def _studies(compared: Comparison) -> str:
    return counted(len(compared.studies), "study", "studies")


def speedups_by_study(compared: Comparison) -> Figure:
    """A forest plot with a panel for each study."""
    key, title = "speedups", "Speedup over each study's reference"
    every = [place.speedup for study in compared.studies for place in study.places]
    ends = axis_range(every)
    panels, rows, bare = [], [], []
    for study in compared.studies:
        marks: list[Estimate] = []
        for index, (name, place) in enumerate(zip(compared.schedules, study.places, strict=True)):
            if not place.present or name == study.reference:
                continue
            rows.append(
                [study.name, name, place.speedup.value, place.speedup.low, place.speedup.high, place.verdict]
            )
            text = "never reached it" if place.speedup.value is None else speedup_text(place.speedup)
            marks.append(
                Estimate(index, name, place.speedup.value, place.speedup.low, place.speedup.high, text)
            )
        if marks and all(mark.value is None for mark in marks):
            bare.append(study.name)
        elif marks:
            axis = Axis("", categories=tuple(mark.row for mark in marks))
            x = Axis("times as fast as the reference (logarithmic)", log=True, range=ends)
            heading = f"{study.name}: {study.goal}, against {study.reference}"
            panels.append(Panel(heading, x, axis, (Rule("x", 1.0), *marks)))
    verdicts = [place.verdict for study in compared.studies for place in study.places if place.present]
    said = [
        f"{counted(verdicts.count(word), 'comparison')} {word}"
        for word in ("faster", "slower", "equivalent")
        if word in verdicts
    ]
    none = "no schedule was shown to be faster, slower or equivalent"
    takeaway = f"Over {_studies(compared)}: {listed(said) or none}."
    if bare:
        takeaway += f" No schedule has a speedup in {listed(bare)}."
    return Figure(
        key,
        title,
        takeaway,
        "Each mark is a schedule's ratio of mean times to its study's target, reference over schedule, "
        "with the interval of the study's own report; above 1 the schedule is faster.",
        tuple(panels),
        table(["study", "schedule", "speedup", "low", "high", "verdict"], rows),
        stacked=True,
    )
