"""The error of whole studies, looks, schedules and targets together, where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from analysis_samples import Sample
from numpy.typing import NDArray

from lrstudy.analysis.contest import Contest
from lrstudy.analysis.end_values import compare_ends, end_questions, ends_of
from lrstudy.analysis.families import END
from lrstudy.analysis.intervals import holm
from lrstudy.analysis.judgement import compare, judge
from lrstudy.analysis.open_comparisons import open_comparisons
from lrstudy.analysis.replicates import Replicates, difference, replicated_speedup
from lrstudy.analysis.study_contest import StudyContest, contest_of
from lrstudy.analysis.verdict import decide

NAMES, LOOKS, SEEDS, EPOCHS = ("fixed", "b", "c", "d"), (4, 8, 16), 2, 12
TARGETS = [0.9, 0.95]
# More than 10 of 100 come of an error of 5% once in 100 times; of an error of 15% in 9 of 10.
STUDIES, LIMIT = 100, 10
MARGIN = 0.05


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A study of 16 replicates whose curves are all the same."""
    budget = {"until": "decided", "replicates": LOOKS[0], "most": LOOKS[-1]}
    sample = Sample({name: {} for name in NAMES}, targets=TARGETS, epochs_budget=EPOCHS, budget=budget)
    for name in NAMES:
        for number in range(LOOKS[-1]):
            for place in range(SEEDS):
                sample.add(name, [0.5] * EPOCHS, seed=100 * number + place, replicate=number + 1)
    return sample


def curves(rng: np.random.Generator) -> NDArray[np.float64]:
    """Curves of schedules that differ by luck alone: of their tunings, splits and seeds."""
    shape = (len(NAMES), LOOKS[-1], SEEDS)
    luck = 0.3 * rng.standard_normal((*shape[:2], 1)) + 0.3 * rng.standard_normal((1, *shape[1:2], 1))
    times = 4 * np.exp(luck + 0.35 * rng.standard_normal(shape))[..., None]
    epochs = np.arange(1, EPOCHS + 1)
    values = np.where(epochs >= times, 0.96, np.where(epochs >= 0.6 * times, 0.92, 0.5))
    values[..., -1] += 0.004 * (luck + rng.standard_normal(shape))
    return np.asarray(values.ravel())


def false_verdicts(found: StudyContest, study: Any, values: NDArray[np.float64]) -> tuple[bool, bool]:
    """Run a study until it is decided; its report then, and the plain tests at any look, find a winner."""
    columns = replace(found.contest.columns, value=values, _first={})
    whole = replace(found.contest, columns=columns)
    now, naive, open_ = whole.until(LOOKS[0]), False, list(whole.others)
    for place, size in enumerate(LOOKS):
        naive |= plain(now, open_)
        open_ = open_comparisons(now, found.targets, size, found.further)
        if not open_ or size == LOOKS[-1]:
            break
        more = whole.until(LOOKS[place + 1]).runs
        grown = {"fixed", *open_}
        now = replace(now, runs={name: (more if name in grown else now.runs)[name] for name in NAMES})
    ends = compare_ends(now)
    further = end_questions(now, ends)
    judgement = judge(now, {target: compare(now, target) for target in found.targets}, further)
    end = ends_of(now, study, ends, {name: judgement.adjusted.get((END, name)) for name in NAMES})
    assert end is not None
    said = {*judgement.verdicts.values(), *(value.verdict for value in end.values)}
    return bool(said & {"faster", "slower", "better", "worse"}), naive


def plain(contest: Contest, names: Sequence[str]) -> bool:
    """Return True if an uncorrected test finds a difference."""
    tables = [contest.replicates(target, "epochs", EPOCHS) for target in TARGETS]
    found = [difference(table, name) for table in tables for name in names]
    return any(one is not None and one.p_value is not None and one.p_value <= 0.05 for one in found)


def test_a_study_without_a_difference_seldom_finds_one(sample: Sample) -> None:
    rng, found, study = np.random.default_rng(8), contest_of(sample), sample.study
    said = [false_verdicts(found, study, curves(rng)) for _ in range(STUDIES)]
    false, naive = (sum(each) for each in zip(*said, strict=True))
    assert false <= LIMIT
    # The check can fail: uncorrected, one in three of these studies finds a winner.
    assert naive > 2 * LIMIT


def equivalent(table: Replicates, looks: tuple[int, ...]) -> tuple[bool, bool]:
    """Return True if any schedule is called equivalent at a look; the same by the interval alone."""
    verdict, inside = False, False
    for size in looks:
        seen = table.until(size)
        found = [replicated_speedup(seen, name, looks, 0.95, hit=True, margin=MARGIN) for name in NAMES[1:]]
        equal = holm([one.equivalence_p for one in found])
        runs = {"hits": 1, "reference_hits": 1, "runs": 1}
        verdict |= "equivalent" in [
            decide(one, None, **runs, margin=MARGIN, p_equivalent=p)
            for one, p in zip(found, equal, strict=True)
        ]
        inside |= "equivalent" in [decide(one, None, **runs, margin=MARGIN) for one in found]
    return verdict, inside


def test_schedules_that_differ_by_the_margin_are_seldom_called_equivalent() -> None:
    rng, looks = np.random.default_rng(4), (4, 8, 16, 32)
    said = []
    for _ in range(STUDIES):
        logs = 0.045 * rng.standard_normal((len(NAMES), looks[-1]))
        logs[0] -= math.log1p(-MARGIN)
        said.append(equivalent(Replicates(NAMES, tuple(range(1, looks[-1] + 1)), logs, logs - 1e-6), looks))
    verdicts, inside = (sum(each) for each in zip(*said, strict=True))
    assert verdicts <= LIMIT
    # By the interval alone it would be one study in seven.
    assert inside > LIMIT


def test_a_schedule_that_does_not_differ_is_still_found_equivalent() -> None:
    rng = np.random.default_rng(4)
    logs = 0.02 * rng.standard_normal((len(NAMES), 16))
    table = Replicates(NAMES, tuple(range(1, 17)), logs, logs - 1e-6)
    assert equivalent(table, (4, 8, 16)) == (True, True)
