"""Sentences on the way to a verdict: the units of its ranges, and the corrections that it passed."""

from __future__ import annotations

from lrstudy.analysis.families import ALPHA, PRIMARY_LEVEL
from lrstudy.analysis.summary import Summary
from lrstudy.report.figures.common import no_comparison, runs_each
from lrstudy.report.text import percent
from lrstudy.rules.counting import counted


def explanation(study: Summary) -> tuple[str, ...]:
    """Return sentences on how the verdicts were reached; none where nothing is compared."""
    compared = len(study.schedules) > 1 and not no_comparison(study)
    if not compared or runs_each(study) <= 1 or not _any_hit(study):
        return ()
    how = (
        f"Ranges are {percent(study.confidence)} intervals over {_units(study)}. Verdicts are corrected for "
        f"comparing {counted(len(study.schedules) - 1, 'schedule')} with {study.reference} "
        f"(Holm){_error_shares(study)}. A schedule is equivalent if its whole interval is within "
        f"{percent(study.margin)} of equal speed."
    )
    puzzle = (
        "A verdict can be inconclusive although its interval excludes 1: the difference is then not "
        "significant after the correction for several comparisons, or it could be due to the luck of tuning."
    )
    return (how, puzzle) if _puzzling(study) else (how,)


def _any_hit(study: Summary) -> bool:
    return any(reach.hits for schedule in study.schedules for reach in schedule.reach)


def _units(study: Summary) -> str:
    """Return the number of pairs in words, or the largest of any schedule if they differ."""
    replicates = {reach.replicates for schedule in study.schedules for reach in schedule.reach}
    if max(replicates) > 1:
        most = f"{max(replicates)} replicates of the study"
        what = "tuned and run with its own seeds and, where the task allows, its own split of the data"
        return f"{most if len(replicates) == 1 else f'up to {most}'}, each {what}"
    runs = {reach.runs for schedule in study.schedules for reach in schedule.reach}
    most = counted(runs_each(study), "paired seed")
    return most if len(runs) == 1 else f"up to {most}"


def _error_shares(study: Summary) -> str:
    """Return the part of the error that the primary target has, if others share it."""
    if len(study.targets) < 2 or study.primary is None:
        return ""
    return (
        f", so that a false one has a chance of at most {percent(PRIMARY_LEVEL)} at the primary target and "
        f"of {percent(ALPHA - PRIMARY_LEVEL)} in all other questions together"
    )


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
