"""Which verdicts change when a seed or a schedule is left out, or the target moves."""

from __future__ import annotations

from analysis_samples import Sample, race

from lrstudy.analysis import analyse
from lrstudy.analysis.contest import Contest
from lrstudy.analysis.stability import _SEED, _seeds, _which
from lrstudy.records import Phase
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.objective import Objective

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


def test_a_verdict_that_needs_every_seed_is_told_with_their_number() -> None:
    # Six pairs are the fewest whose sign-flip test reaches 0.05 (2 / 2^6); five give 0.0625.
    (sentence,) = analyse(race({"fixed": [8, 9, 8, 9, 8, 9], "fast": [2, 3, 2, 3, 2, 3]})).stability
    assert sentence == (
        "Target 0.9: fast (faster) becomes inconclusive with any one of 6 of the 6 seeds left out. "
        "The other verdicts hold in all 8 variants."
    )


def test_few_seeds_that_change_a_verdict_are_named() -> None:
    assert _which(_SEED, ["4"], 10) == "with seed 4 left out"
    assert _which(_SEED, ["1", "4", "9"], 10) == "with seed 1, 4 or 9 left out"
    assert _which(_SEED, ["1", "2", "4", "9"], 10) == "with any one of 4 of the 10 seeds left out"


def test_of_many_seeds_those_that_move_the_speedup_most_are_left_out() -> None:
    # 40 seeds, all alike but the last: it must be among the 30 that are tried.
    sample = race({"fixed": [8] * 40, "fast": [4, 5] * 19 + [4, 9]})
    (sentence,) = analyse(sample).stability
    assert "32 variants (one of the 30 most influential seeds left out, the target moved" in sentence
    contest = _contest(sample)
    assert 40 in [place for place, _ in _seeds(contest, 0.9)]


def test_with_one_schedule_fewer_holm_corrects_for_one_fewer() -> None:
    # Eight seeds: p is at least 2 / 2^8, which six comparisons at 4% make 0.0586 and five 0.0488.
    dull = {name: [8, 7] * 4 for name in "abcde"}
    (sentence,) = analyse(race({"fixed": [7, 8] * 4, "fast": [2, 3] * 4, **dull})).stability
    assert "fast (inconclusive) becomes faster with a, b, c, d or e left out." in sentence


def _contest(sample: Sample) -> Contest:
    columns = sample.columns()
    runs = {name: columns.of(name, Phase.CONFIRM) for name in sample.spaces}
    metric = METRICS["val_accuracy"]
    objective = Objective("best", metric)
    return Contest(columns, metric, objective, "fixed", runs, sample.timing(), 0.05, 0.95, 0)
