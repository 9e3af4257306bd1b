"""The comparisons that are still open after a round of replicates, from the rows of a store."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.families import ALPHA, Comparison, shares
from lrstudy.analysis.judgement import Judgement, compare, judge
from lrstudy.analysis.replicates import Difference, difference
from lrstudy.analysis.sequential_test import FEWEST_REPLICATES, chance_to_decide, levels
from lrstudy.analysis.study_contest import StoreLike, contest_of

# A comparison with a smaller chance to be decided by the last look gets no more replicates.
FUTILE = 0.10


def open_schedules(store: StoreLike, replicates: int) -> list[str]:
    """Return the schedules whose primary comparison is undecided after so many replicates.

    It depends on the rows of these replicates alone. A comparison is closed once it has a verdict, or so
    small a chance of one by the last look that more replicates would be wasted (``FUTILE``).
    """
    found = contest_of(store, replicates=replicates)
    return open_comparisons(found.contest, found.targets, replicates, found.further)


def open_comparisons(
    contest: Contest,
    targets: tuple[float, ...],
    replicates: int,
    further: Mapping[Comparison, float | None],
) -> list[str]:
    """Return the open schedules of a contest that holds the runs of the first ``replicates``.

    ``further`` questions share the error with the targets.
    """
    if not isinstance(contest.primary, float):
        return []
    if replicates < FEWEST_REPLICATES:
        return list(contest.others)
    compared = {target: compare(contest, target) for target in targets}
    judgement = judge(contest, compared, further)
    before = max((look for look in contest.looks if look < replicates), default=0)
    latest = {name: max((run.replicate for run in contest.runs[name]), default=0) for name in contest.others}
    return [
        name
        for name in contest.others
        # Closed comparisons got no runs after the look that closed them.
        if latest[name] > before
        and judgement.verdicts[contest.primary, name] == "inconclusive"
        and not _futile(contest, contest.primary, name, replicates, judgement)
    ]


def _futile(contest: Contest, target: float, name: str, replicates: int, judgement: Judgement) -> bool:
    table = contest.replicates(target, contest.timing.clock, contest.timing.horizon)
    found = difference(table, name)
    undecided = [
        each for each in contest.others if (p := judgement.adjusted[target, each]) is None or p > ALPHA
    ]
    share = shares([question for question, _ in judgement.adjusted], contest.primary)[target]
    level = ALPHA * share / max(1, len(undecided))
    return found is not None and futile(found, replicates, contest.looks, level, contest.margin)


def futile(found: Difference, replicates: int, looks: tuple[int, ...], level: float, margin: float) -> bool:
    """Return True if the last look will hardly decide a comparison, by what it shows after ``replicates``.

    ``level`` is that of the comparison over all looks, ``margin`` that of equivalence.
    """
    if found.error is None or found.degrees is None or not looks or replicates >= looks[-1]:
        return False
    chance = chance_to_decide(
        found.effect,
        found.error,
        found.degrees,
        replicates / looks[-1],
        levels(looks, level)[-1],
        -math.log1p(-margin),
    )
    return chance < FUTILE
