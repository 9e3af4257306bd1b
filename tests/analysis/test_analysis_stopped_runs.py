"""Runs that were stopped at their target give the numbers of whole runs, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from analysis_samples import LR, Sample

from lrstudy.analysis import analyse
from lrstudy.analysis.judgement import luck_of
from lrstudy.analysis.study_contest import contest_of
from lrstudy.errors import InputError

LENGTH = 24
# Epochs at which a run gets to 0.90; it gets to 0.95 four epochs later and to 0.97 after four more.
HITS = {"fixed": [6, 7, 8, 7, 6, 9, 8, 7], "step": [4, 5, 4, 6, 5, 4, 5, 6]}
STAY = 3


def curve(hit: int) -> list[float]:
    steps = ((hit + 8, 0.97), (hit + 4, 0.95), (hit, 0.9))
    return [next((value for begin, value in steps if epoch >= begin), 0.5) for epoch in range(1, LENGTH + 1)]


def study(stop: str, targets: tuple[float, ...] = (0.9, 0.95), **more: Any) -> Sample:
    """A study whose tuning trials stop at 0.9 and confirm runs at the last target, if they do."""
    budget = {"stop": stop, "objective": "target", "trials": 4, "confirm_seeds": 8}
    target = {"arrival": f"stay:{STAY}", "primary": targets[0]}
    made = Sample(
        {name: {"lr": LR} for name in HITS}, targets=[*targets], epochs_budget=LENGTH, budget=budget,
        target=target, **more,
    )  # fmt: skip
    for name, hits in HITS.items():
        for number in range(4):
            hit = hits[number] + number
            end = LENGTH if stop == "never" else hit + STAY - 1
            made.add(name, curve(hit)[:end], phase="tune", params={"lr": 0.1 + number}, objective=float(hit))
        for seed, hit in enumerate(hits):
            end = hit + (4 if 0.95 in targets else 0) + STAY - 1 if stop == "all" else LENGTH
            made.add(name, curve(hit)[:end], seed=seed, params={"lr": 0.1})
    return made


@pytest.mark.parametrize("clock", ["epochs", "samples"])
@pytest.mark.parametrize("arrival", [None, "first"])
def test_times_to_the_targets_are_those_of_whole_runs(clock: str, arrival: str | None) -> None:
    whole, stopped = (analyse(study(stop), clock=clock, arrival=arrival) for stop in ("tune", "all"))
    assert stopped.length == whole.length
    for one, other in zip(whole.schedules, stopped.schedules, strict=True):
        for a, b in zip(one.reach, other.reach, strict=True):
            assert (b.speedup, b.mean_time, b.hits, b.verdict) == (a.speedup, a.mean_time, a.hits, a.verdict)
            assert b.ert == a.ert
    assert stopped.priced == whole.priced == 0


def test_a_run_that_diverged_counts_for_the_whole_length_in_every_clock() -> None:
    made = {stop: study(stop) for stop in ("tune", "all")}
    for sample in made.values():
        sample.add("step", [0.5, 0.5], seed=8, status="diverged")
        sample.add("fixed", curve(6)[: LENGTH if sample is made["tune"] else 12], seed=8)
    whole, stopped = (analyse(sample, clock="samples") for sample in made.values())
    assert stopped.schedules[1].reach[0].mean_time == whole.schedules[1].reach[0].mean_time


def test_a_target_beyond_the_last_one_is_refused_if_runs_were_stopped_there() -> None:
    with pytest.raises(InputError, match=r"--target = 0\.96: is harder than 0\.95") as caught:
        analyse(study("all"), targets=[0.9, 0.96, 0.97])
    assert [problem.value for problem in caught.value.problems] == [0.96, 0.97]
    assert 'budget.stop = "tune"' in caught.value.problems[0].remedy
    assert analyse(study("all"), targets=[0.8]).schedules[1].reach[0].hits == 8
    assert analyse(study("tune"), targets=[0.97]).schedules[1].reach[0].hits == 8


def test_nothing_else_looks_beyond_the_last_target() -> None:
    whole, stopped = analyse(study("tune")), analyse(study("all"))
    step = stopped.schedules[1]
    assert step.levels is not None
    assert max(level for level in step.levels.levels if level is not None) <= 0.95
    # Moved by 1%, the last target is one that no stopped run could reach.
    assert "all verdicts hold in each of 10 variants" in whole.stability[1]
    assert "all verdicts hold in each of 9 variants" in stopped.stability[1]
    # The curve ends where the first run was stopped: the mean of the others would be that of the slow.
    assert len(step.curves["val_accuracy"].value) == 4 + 4 + STAY - 1
    assert step.curves["val_accuracy"].runs == (8,) * (4 + 4 + STAY - 1)
    assert any("16 of 16 confirm runs were stopped" in warning for warning in stopped.warnings)
    assert not any("were stopped" in warning for warning in whole.warnings)


def test_the_price_of_tuning_is_that_of_a_target_that_tuning_runs_could_reach() -> None:
    never, tune = analyse(study("never")), analyse(study("tune"))
    assert (never.priced, tune.priced) == (1, 0)
    assert tune.schedules[1].price_of_target is not None
    beyond = analyse(study("tune"), targets=[0.95])
    assert beyond.priced is None
    assert beyond.schedules[1].price_of_target is None


@pytest.mark.parametrize(("target", "arrival"), [(0.95, None), (0.9, "stay:5")])
def test_luck_that_tuning_runs_do_not_tell_is_the_spread_between_seeds(
    target: float, arrival: str | None
) -> None:
    contest = contest_of(study("tune"), arrival=arrival).contest
    luck = luck_of(contest, target)
    assert luck is not None
    spreads = [np.log(contest.hits(runs, target).restricted).var(ddof=1) for runs in contest.runs.values()]
    assert luck.variance == pytest.approx(np.mean(spreads))
