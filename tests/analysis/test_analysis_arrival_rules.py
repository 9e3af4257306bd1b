"""The rule of arrival in a whole analysis, and warnings where two rules disagree."""

from __future__ import annotations

import json

import pytest
from analysis_samples import Sample, race

from lrstudy.analysis import analyse
from lrstudy.errors import InputError


def touching() -> Sample:
    """Runs of ``fast`` touch 0.9 at evaluation 3 and hold it from 7 on; those of ``fixed`` from 5 on."""
    sample = Sample({"fixed": {}, "fast": {"lr": [1]}}, targets=[0.9])
    for seed in range(3):
        sample.add("fixed", [0.5] * 4 + [0.95] * 6, seed=seed)
        sample.add("fast", [0.5, 0.5, 0.95, 0.5, 0.5, 0.5] + [0.95] * 4, seed=seed)
        sample.add("fast", [0.5, 0.5, 0.95, 0.5, 0.5, 0.5] + [0.95] * 4, seed=seed, phase="tune")
    return sample


@pytest.mark.parametrize(("arrival", "time"), [("first", 3), ("stay:2", 7), ("stay:4", 7)])
def test_every_part_of_the_analysis_counts_arrival_by_the_same_rule(arrival: str, time: float) -> None:
    summary = analyse(touching(), arrival=arrival)
    fixed, fast = summary.schedules
    reach = fast.reach[0]
    assert summary.arrival == json.loads(summary.to_json())["arrival"] == arrival
    assert (reach.hits, reach.mean_time.value, reach.ert, reach.iqm) == (3, time, time, time)
    assert reach.speedup.value == pytest.approx(5 / time)
    assert reach.sooner == (1.0 if time < 5 else 0.0)
    assert fast.ecdf is not None
    assert fixed.ecdf is not None
    assert (fast.ecdf.area > fixed.ecdf.area) == (time < 5)
    assert fast.levels is not None
    assert fast.levels.value[-1] == pytest.approx(5 / time)
    assert fast.price_of_target is not None
    assert fast.price_of_target.value[-1] == 3 * 10 + time


def test_a_run_that_holds_its_target_too_late_does_not_count() -> None:
    summary = analyse(race({"fixed": [8, 8, 9], "late": [9, 9, 10]}), arrival="stay:3")
    assert [schedule.reach[0].hits for schedule in summary.schedules] == [2, 0]
    assert summary.schedules[1].reach[0].verdict == "never"


def test_a_study_without_a_rule_is_judged_by_the_first_evaluation() -> None:
    assert analyse(touching()).to_json() == analyse(touching(), arrival="first").to_json()


@pytest.mark.parametrize("arrival", ["stay", "stay:0", "last", "stay:x"])
def test_a_text_that_is_no_rule_is_refused_with_the_rules(arrival: str) -> None:
    with pytest.raises(InputError, match=r"is not a rule of arrival.*stay:3"):
        analyse(touching(), arrival=arrival)
