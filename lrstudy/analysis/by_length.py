"""A study of several lengths: which schedule needs the shortest training to end at a target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.end_values import REPLICATE, SEED
from lrstudy.analysis.families import ALPHA, Comparison
from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.judgement import REFERENCE, STOPPED
from lrstudy.analysis.length_to_target import Ends, LengthRatio, LengthToTarget, length_to_target
from lrstudy.analysis.results import ByLength, LengthVerdict
from lrstudy.analysis.sequential_test import overall_p
from lrstudy.analysis.trial_table import Trial
from lrstudy.records import Phase, Status
from lrstudy.rules.counting import counted

_NONE: Final = Interval(None, None, None)
# The question of the shortest length for a target, among those that share the study's error.
_QUESTION: Final = "length to {!r}"
# By target.
Compared = Mapping[float, tuple[dict[str, LengthToTarget], dict[str, LengthRatio]]]


def question(target: float) -> str:
    """Return the name of the question which schedule needs the shortest training for a target."""
    return _QUESTION.format(target)


def has_lengths(study: Any) -> bool:
    """Return True if a study trains its schedules to several lengths."""
    return len(study.compared) < len(study.schedules)


def compare_lengths(
    contest: Contest, study: Any, targets: tuple[float, ...], look: int | None = None
) -> Compared:
    """Return the lengths to each target and their ratios; empty for a study of one length.

    ``look``: of the first so many replicates only.
    """
    if not has_lengths(study):
        return {}
    ends = _ends(contest, study, look)
    return {
        target: length_to_target(
            ends,
            contest.reference,
            target,
            contest.metric,
            seed=contest.seed,
            confidence=contest.confidence,
        )
        for target in targets
    }


def length_questions(contest: Contest, study: Any, compared: Compared) -> dict[Comparison, float | None]:
    """Return the p-values of the ratios, uncorrected, with those of earlier looks at the study counted in."""
    if not compared or not contest.replicated or len(contest.looks) < 2:
        return _p_values(compared)
    seen = [_p_values(compare_lengths(contest, study, tuple(compared), look)) for look in contest.looks]
    return {
        (asked, name): overall_p(
            [each.get((asked, name)) for each in seen[: len(contest.looks_of(name))]], contest.looks
        )
        for asked, name in _p_values(compared)
    }


def _p_values(compared: Compared) -> dict[Comparison, float | None]:
    return {
        (question(target), name): ratio.p_value
        for target, (_, ratios) in compared.items()
        for name, ratio in ratios.items()
    }


def by_length(
    contest: Contest, study: Any, compared: Compared, adjusted: Mapping[Comparison, float | None]
) -> ByLength | None:
    """Return the verdicts on the length to each target; ``adjusted`` are the p-values after correction."""
    if not compared:
        return None
    lengths = sorted({study.length, *(info.length for info in study.schedules if info.length is not None)})
    ends = _ends(contest, study, None)
    lost = {
        name: sum(math.isnan(end) for unit in units.values() for runs in unit.values() for end in runs)
        for name, units in ends.items()
    }
    verdicts = tuple(
        tuple(
            _without_verdict(verdict) if name in contest.stopped else verdict
            for name in contest.runs
            for verdict in [
                _verdict(found[name], ratios.get(name), adjusted.get((question(target), name)), lost[name])
            ]
        )
        for target, (found, ratios) in compared.items()
    )
    primary = next((at for at, target in enumerate(compared) if question(target) == contest.primary), 0)
    known = tuple(float(length) for length in lengths)
    return ByLength(study.clock, known, _unit(contest), verdicts, primary)


def _without_verdict(found: LengthVerdict) -> LengthVerdict:
    """Return the result of a schedule that was stopped by hand."""
    return replace(found, verdict=STOPPED)


def _verdict(
    found: LengthToTarget, ratio: LengthRatio | None, p_adjusted: float | None, lost: int
) -> LengthVerdict:
    if ratio is None:
        verdict = REFERENCE
    elif not any(mean is not None for mean in found.means):
        verdict = "inconclusive"
    elif found.length.value is None:
        verdict = "never"
    else:
        verdict = _decided(ratio, p_adjusted)
    return LengthVerdict(
        means=found.means,
        length=found.length,
        at_most=found.at_most,
        ratio=_NONE if ratio is None else ratio.ratio,
        p_value=p_adjusted,
        verdict=verdict,
        note=" ".join(filter(None, [_lost(lost), "" if ratio is None else ratio.note])),
    )


def _lost(runs: int) -> str:
    what = f"{counted(runs, 'run')} diverged, which {'counts' if runs == 1 else 'count'}"
    return f"{what} as the worst end of any run." if runs else ""


def _decided(ratio: LengthRatio, p_adjusted: float | None) -> str:
    if ratio.shorter is None or p_adjusted is None or p_adjusted > ALPHA:
        return "inconclusive"
    return "faster" if ratio.shorter else "slower"


def _unit(contest: Contest) -> str:
    return REPLICATE if contest.replicated else SEED


def _ends(contest: Contest, study: Any, look: int | None) -> dict[str, Ends]:
    """Return the last values of the confirm runs of each schedule, by unit and length."""
    found: dict[str, dict[int, dict[float, list[float]]]] = {name: {} for name in contest.runs}
    for info in study.schedules:
        length = study.length if info.length is None else info.length
        for trial in contest.columns.of(info.name, Phase.CONFIRM):
            if look is not None and trial.replicate > look:
                continue
            value = _end(contest, study.clock, trial, length)
            if value is not None:
                unit = trial.replicate if contest.replicated else trial.seed
                found[info.of or info.name].setdefault(unit, {}).setdefault(float(length), []).append(value)
    return dict(found)


def _end(contest: Contest, clock: str, trial: Trial, length: float) -> float | None:
    """Return a run's value after its whole length, NaN if it diverged; None if it ended before."""
    if trial.status is Status.DIVERGED:
        return math.nan
    columns = contest.columns
    if trial.end == trial.begin:
        return None
    times = columns.times.get(clock)
    value = float(columns.value[trial.end - 1])
    whole = times is None or times[trial.end - 1] >= length * (1 - 1e-9)
    return value if whole and not np.isnan(value) else None
