"""The rule of arrival in a whole analysis, and warnings where two rules disagree."""

from __future__ import annotations

import json

import pytest
from analysis_samples import Sample, race

from lrstudy.analysis import analyse
from lrstudy.errors import InputError
from lrstudy.store import StudyInfo


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


def test_a_rule_that_stopped_runs_cannot_show_is_refused() -> None:
    sample = Stopped(**vars(touching()))
    assert analyse(sample, arrival="stay:2").arrival == "stay:2"
    with pytest.raises(InputError, match=r"stay:4.*stopped after 3 evaluations in a row"):
        analyse(sample, arrival="stay:4")


class Stopped(Sample):
    """A sample whose runs all end once they have stayed at the target for three evaluations."""

    @property
    def study(self) -> StudyInfo:
        study = super().study
        study.spec["target"]["arrival"] = "stay:3"
        study.spec["budget"]["stop"] = "all"
        return study


def long_run(
    hit_at: int, end: float = 0.95, touch: int | None = None, evaluations: int = 20
) -> list[float | None]:
    """A run at 0.95 from ``hit_at`` on and at ``touch``, else at 0.5; its last value is ``end``."""
    values: list[float | None] = [
        0.95 if place >= hit_at or place == touch else 0.5 for place in range(1, evaluations + 1)
    ]
    return [*values[:-1], end]


def judged(runs: dict[str, list[list[float | None]]], **target: object) -> tuple[str, ...]:
    """The warnings of a study of these confirm runs that speak of the rules of arrival."""
    sample = Sample({name: {} for name in runs}, targets=[0.9], epochs_budget=20)
    for name, each in runs.items():
        for seed, values in enumerate(each):
            sample.add(name, values, seed=seed)
    return tuple(said for said in analyse(sample).warnings if "rules of arrival" in said)


FIXED = [long_run(hit) for hit in (9, 10, 9, 10, 9, 10, 9, 10)]


def test_rules_that_give_different_verdicts_are_named_with_both() -> None:
    touching = [long_run(hit, touch=2) for hit in (10, 9, 10, 9, 10, 9, 10, 9)]
    (said,) = judged({"fixed": FIXED, "cosine": touching})
    assert said == (
        "Target 0.9: the rules of arrival disagree. cosine is faster by the first evaluation at it and "
        "inconclusive by 3 evaluations in a row."
    )


def test_rules_that_agree_give_no_warning() -> None:
    assert judged({"fixed": FIXED, "cosine": [long_run(hit) for hit in (3, 4, 3, 4, 3, 4, 3, 4)]}) == ()


def test_short_trials_are_not_judged_by_evaluations_in_a_row() -> None:
    sample = race({"fixed": [9, 10, 9, 10, 9, 10, 9, 10], "fast": [2] * 8})
    assert not [said for said in analyse(sample).warnings if "rules of arrival" in said]


def test_a_schedule_that_is_at_the_target_at_the_end_only_is_named() -> None:
    low = [long_run(hit, end=0.8 + hit / 1000) for hit in (9, 10, 9, 10, 9, 10, 9, 10)]
    (said,) = judged({"fixed": low, "cosine": FIXED})
    assert said == (
        "Target 0.9: the rules of arrival disagree. cosine is inconclusive in time to it, but after 20 "
        "epochs it is at it and the reference is not, in the mean."
    )


def test_a_fast_schedule_that_ends_below_the_target_is_named() -> None:
    fast = [long_run(hit, end=0.8 + hit / 1000) for hit in (3, 4, 3, 4, 3, 4, 3, 4)]
    (said,) = judged({"fixed": FIXED, "cosine": fast})
    assert said.endswith(
        "cosine is faster in time to it, but after 20 epochs the reference is at it and it is not, in the "
        "mean."
    )


def test_a_mean_whose_interval_holds_the_target_is_on_neither_side() -> None:
    wide = [long_run(hit, end=0.9 + (-1) ** hit * 0.05) for hit in (9, 10, 9, 10, 9, 10, 9, 10)]
    assert judged({"fixed": FIXED, "cosine": wide}) == ()
