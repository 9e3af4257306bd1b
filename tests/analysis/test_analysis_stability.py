"""Which verdicts change when a seed or a schedule is left out, or the target moves."""

from __future__ import annotations

from dataclasses import replace

from analysis_samples import Sample, race

from lrstudy.analysis import analyse
from lrstudy.analysis.reach import Contest, speedups_at, verdicts_at
from lrstudy.analysis.stability import _seeds
from lrstudy.metrics import METRICS
from lrstudy.records import Phase

STEADY = [6, 7, 8, 6, 7, 8, 6, 7, 8, 6]


def test_a_clear_difference_holds_in_every_variant() -> None:
    summary = analyse(race({"fixed": STEADY, "fast": [2, 3, 2, 3, 2, 3, 2, 3, 2, 3]}))
    assert [s.reach[0].verdict for s in summary.schedules] == ["reference", "faster"]
    # 10 seeds and both ways of the target; leaving out the only other schedule would leave no comparison.
    assert summary.stability == (
        "Target 0.9: all verdicts hold in each of 12 variants (one seed left out, the target moved by 1%).",
    )


def test_a_verdict_that_hangs_on_the_level_is_told_with_the_level() -> None:
    sample = race({"fixed": STEADY, "fast": [2] * 10})
    for row in sample.epoch_rows:
        if row["schedule"] == "fast" and row["val_accuracy"] > 0.9:
            row["val_accuracy"] = 0.905
    (sentence,) = analyse(sample).stability
    assert "fast (faster) becomes never with the target at 0.909" in sentence


def test_leaving_out_a_schedule_counts_where_another_remains() -> None:
    summary = analyse(race({"fixed": STEADY, "fast": [2] * 10, "slow": [10] * 10}))
    assert "each of 14 variants (one seed left out, one schedule left out, the" in summary.stability[0]


def test_two_seeds_or_one_schedule_leave_nothing_to_leave_out() -> None:
    assert analyse(race({"fixed": [3, 4], "fast": [2, 2]})).stability == ()
    assert analyse(race({"fixed": STEADY})).stability == ()


def test_a_target_is_not_moved_out_of_its_metrics_range() -> None:
    sample = race({"fixed": STEADY, "fast": [2] * 10})
    sample.targets = [1.0]
    assert "each of 11 variants" in analyse(sample).stability[0]


def test_a_verdict_that_needs_every_seed_is_told_with_each_of_them() -> None:
    # Six pairs are the fewest whose sign-flip test reaches 0.05 (2 / 2^6); five give 0.0625.
    (sentence,) = analyse(race({"fixed": [8, 9, 8, 9, 8, 9], "fast": [2, 3, 2, 3, 2, 3]})).stability
    lost = [f"inconclusive with seed {place} left out" for place in range(1, 7)]
    assert sentence == (
        f"Target 0.9: fast (faster) becomes {'; '.join(lost)}. The other verdicts hold in all 8 variants."
    )


def test_of_many_seeds_those_that_move_the_speedup_most_are_left_out() -> None:
    # 40 seeds, all alike but the last: it must be among the 30 that are tried.
    sample = race({"fixed": [8] * 40, "fast": [4, 5] * 19 + [4, 9]})
    (sentence,) = analyse(sample).stability
    assert "32 variants (one of the 30 most influential seeds left out, the target moved" in sentence
    contest = _contest(sample)
    assert 40 in [place for place, _ in _seeds(contest, 0.9)]


def test_leaving_out_a_schedule_gives_the_verdicts_of_a_study_without_it() -> None:
    times = {"fixed": [8, 9, 8, 9, 8, 9, 8], "fast": [6, 6, 6, 9, 7, 6, 6], "slow": [10] * 7}
    contest = _contest(race(times))
    kept = {name: s for name, s in speedups_at(contest, 0.9).items() if name != "slow"}
    less = replace(contest, runs={name: runs for name, runs in contest.runs.items() if name != "slow"})
    without = analyse(race({name: hits for name, hits in times.items() if name != "slow"}))
    expected = {schedule.name: schedule.reach[0].verdict for schedule in without.schedules}
    assert verdicts_at(less, 0.9, kept) == expected


def _contest(sample: Sample) -> Contest:
    columns = sample.columns()
    runs = {name: columns.of(name, Phase.CONFIRM) for name in sample.spaces}
    return Contest(columns, METRICS["val_accuracy"], "fixed", runs, 10, 0.05, 0.95, 0)
