"""From a store to a Summary, on studies small enough to work out by hand, and on the impossible ones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from analysis_samples import LR, NAN, Sample, generated, race, rising

from lrstudy.analysis import analyse
from lrstudy.analysis.summary import ScheduleSummary, Summary
from lrstudy.errors import InputError
from lrstudy.store import StoreWriter, open_store


def of(summary: Summary, name: str) -> ScheduleSummary:
    return next(schedule for schedule in summary.schedules if schedule.name == name)


def as_json(summary: Summary) -> Any:
    return json.loads(summary.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_times_to_target_worked_out_by_hand() -> None:
    reach = of(analyse(race({"fixed": [4, 6, 11]})), "fixed").reach[0]
    assert (reach.hits, reach.runs) == (2, 3)
    assert reach.mean_time.value == pytest.approx((4 + 6 + 10) / 3)
    assert reach.median_time == 6
    assert reach.ert == pytest.approx((4 + 6 + 10) / 2)
    assert reach.ert_seconds == pytest.approx(2 * (4 + 6 + 10) / 2)


def test_the_speedup_is_the_ratio_of_restricted_means_reference_over_schedule() -> None:
    reach = of(analyse(race({"fixed": [8, 8, 11], "fast": [4, 4, 2]})), "fast").reach[0]
    assert reach.speedup.value == pytest.approx((8 + 8 + 10) / (4 + 4 + 2))
    assert reach.speedup_seconds.value == pytest.approx(2.6)


def test_times_are_counted_along_every_axis() -> None:
    times = of(analyse(race({"fixed": [4, 6, 11]})), "fixed").reach[0].times
    # 100 steps, 3200 samples and 2 seconds an epoch.
    for axis, unit in (("epochs", 1), ("steps", 100), ("samples", 3200), ("seconds", 2)):
        assert times[axis].mean.value == pytest.approx(unit * (4 + 6 + 10) / 3)
        assert times[axis].median == unit * 6
        assert times[axis].ert == pytest.approx(unit * (4 + 6 + 10) / 2)


def test_ert_ratio_interquartile_mean_and_probability_of_being_sooner_by_hand() -> None:
    summary = analyse(race({"fixed": [8, 8, 6, 11], "fast": [4, 8, 2, 11]}))
    fixed, fast = (of(summary, name).reach[0] for name in ("fixed", "fast"))
    # ERTs of (8 + 8 + 6 + 10) / 3 and (4 + 8 + 2 + 10) / 3.
    assert fast.speedup_ert.value == pytest.approx(32 / 24)
    assert fast.speedup_ert.low is not None
    assert (fixed.iqm, fast.iqm) == (8, 6)
    # Sooner than the reference's 8, 8, 6 and never: 4 and 2 always; 8 draws with two eights and beats the
    # miss; a miss draws with the miss.
    assert fast.sooner == pytest.approx((4 + 4 + (1 + 2 * 0.5) + 0.5) / 16)
    assert (fixed.speedup_ert.value, fixed.sooner) == (None, None)


def test_without_a_hit_there_is_no_interquartile_mean_and_no_ratio_of_erts() -> None:
    never = of(analyse(race({"fixed": [4, 6, 5], "never": [11, 11, 11]})), "never").reach[0]
    assert (never.iqm, never.speedup_ert.value, never.sooner) == (None, None, 0)
    assert all(times.ert is None for times in never.times.values())


def test_runs_are_paired_by_seed_whatever_their_order() -> None:
    straight = race({"fixed": [8, 6, 4, 9], "fast": [4, 3, 2, 5]})
    mixed = race({"fixed": [8, 6, 4, 9], "fast": [4, 3, 2, 5]})
    mixed.trial_rows.reverse()
    mixed.epoch_rows.reverse()
    assert analyse(mixed).to_json() == analyse(straight).to_json()


def test_a_seed_that_only_one_schedule_ran_is_not_compared() -> None:
    sample = race({"fixed": [8, 8, 8], "fast": [4, 4, 4]}).add("fixed", rising(1), seed=7)
    assert of(analyse(sample), "fast").reach[0].speedup.value == pytest.approx(2.0)


def test_the_fixed_names_of_the_json() -> None:
    data = as_json(analyse(race({"fixed": [4, 6], "never": [11, 11]})))
    assert {"schema_version", "study", "metric", "reference", "targets", "schedules"} <= data.keys()
    schedule = data["schedules"][1]
    names = "name tune_trials confirm_trials pruned diverged failed best_params best_val test targets"
    assert set(names.split()) <= schedule.keys()
    assert schedule["best_val"].keys() == schedule["test"].keys() == {"mean", "low", "high"}
    way = schedule["targets"][0]
    names = "target hits runs ert median_time mean_time ert_seconds speedup verdict"
    assert set(names.split()) <= way.keys()
    assert {"ratio", "low", "high"} == way["speedup"].keys()
    assert (way["verdict"], way["ert"], way["ert_seconds"]) == ("never", None, None)
    assert data["schedules"][0]["targets"][0]["verdict"] == "reference"


def test_the_same_store_and_seed_give_the_same_bytes() -> None:
    store = generated(schedules=3, tune=6, confirm=5, epochs=20)
    assert analyse(store, seed=3).to_json() == analyse(store, seed=3).to_json()


def test_a_failed_run_is_left_out_and_counted() -> None:
    sample = race({"fixed": [4, 6]}).add("fixed", rising(1), seed=2, status="failed")
    summary = analyse(sample)
    assert (of(summary, "fixed").failed, of(summary, "fixed").reach[0].runs) == (1, 2)
    assert "fixed: 1 trial failed and is left out." in summary.warnings


def test_a_diverged_run_counts_as_the_whole_budget_even_without_an_epoch() -> None:
    sample = race({"fixed": [4, 6]}).add("fixed", [], seed=2, status="diverged", evaluations_run=1)
    summary = analyse(sample)
    reach = of(summary, "fixed").reach[0]
    assert (reach.hits, reach.runs) == (2, 3)
    assert reach.mean_time.value == pytest.approx((4 + 6 + 10) / 3)
    assert reach.ert == pytest.approx((4 + 6 + 1) / 2)
    assert "fixed: 1 of 3 confirm runs diverged; they count as never reaching a target." in summary.warnings


def test_a_trial_that_is_still_running_has_epochs_but_does_not_count_yet() -> None:
    sample = race({"fixed": [4, 6]})
    sample.trial_rows.pop()
    assert of(analyse(sample), "fixed").reach[0].runs == 1
    assert not analyse(sample).complete


def test_targets_given_replace_the_studys_own_and_are_checked() -> None:
    sample = race({"fixed": [4, 6]})
    assert analyse(sample, targets=[0.4, 0.95]).targets == (0.4, 0.95)
    with pytest.raises(InputError, match="outside the range of val_accuracy"):
        analyse(sample, targets=[1.2])


def test_targets_that_nobody_named_come_from_the_reference_by_a_stated_rule() -> None:
    sample = race({"fixed": [4, 6], "fast": [1, 1]})
    sample.targets = None
    summary = analyse(sample)
    assert summary.targets == (0.914, 0.9508)
    assert "of the reference's confirm runs" in summary.target_rule


def test_recorded_histories_have_no_seconds_and_say_nothing_of_them() -> None:
    sample = Sample({"fixed": {}, "fast": {}}, targets=[0.9], trials_budget=0, confirm_seeds=1)
    for name, hit_at in (("fixed", 6), ("fast", 3)):
        sample.add(name, rising(hit_at), imported=True, node=None, device=None, evaluations_run=None)
    summary = analyse(sample)
    fast = of(summary, "fast")
    assert fast.reach[0].speedup.value == 2
    assert (fast.reach[0].speedup.low, fast.reach[0].verdict) == (None, "inconclusive")
    assert (fast.reach[0].ert_seconds, fast.reach[0].speedup_seconds.value) == (None, None)
    assert set(fast.reach[0].shares) == {"epochs"}
    assert "fast: one run gives no interval." in summary.warnings
    as_json(summary)


def test_partly_recorded_seconds_are_told_and_not_used() -> None:
    sample = race({"fixed": [4, 6]}).add("fixed", rising(2), seconds=None, seed=2)
    summary = analyse(sample)
    assert of(summary, "fixed").reach[0].ert_seconds is None
    assert "Only some epochs recorded their seconds: times are not counted in seconds." in summary.warnings


def test_the_price_of_a_target_and_the_trials_that_beat_the_untuned_rule() -> None:
    sample = Sample({"fixed": {"lr": LR}, "rule": {}}, targets=[0.9])
    for place, hit_at in enumerate([11, 8, 2, 9]):
        sample.add("fixed", rising(hit_at), phase="tune", params={"lr": 0.01 * (place + 1)})
    sample.add("rule", rising(9), phase="tune")
    for seed in range(3):
        sample.add("fixed", rising(2), seed=seed).add("rule", rising(9), seed=seed)
    summary = analyse(sample)
    fixed, rule = of(summary, "fixed"), of(summary, "rule")
    assert fixed.price_of_target is not None
    assert fixed.price_of_target.trials == (1, 2, 3, 4)
    assert rule.price_of_target is not None
    assert rule.price_of_target.value == (9.0,)
    assert rule.break_even is None
    assert [trial.params["lr"] for trial in fixed.trials] == pytest.approx([0.01, 0.02, 0.03, 0.04])


def test_levels_are_compared_from_the_first_to_the_best_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    sample = Sample({"fixed": {}, "fast": {}}, targets=[0.9])
    for seed in range(6):
        slow = np.linspace(0.2, 0.9, 10) + rng.normal(0, 0.01)
        sample.add("fixed", slow.tolist(), seed=seed).add("fast", np.sqrt(slow).tolist(), seed=seed)
    levels = of(analyse(sample), "fast").levels
    assert levels is not None
    # At the median of the first epochs three of the reference's runs are there at epoch 1, three at 2.
    assert levels.value[0] == pytest.approx(1.5)
    middle = levels.value[20]
    assert middle is not None
    assert middle > 1.2
    bounded = zip(levels.low, levels.value, levels.high, strict=True)
    assert all(low <= value <= high for low, value, high in bounded if low and value and high)


IMPOSSIBLE = {
    "nothing at all": (
        Sample({"fixed": {}, "fast": {}}, targets=[0.9]),
        "No confirm run has ended yet: there is nothing to compare.",
    ),
    "only tuning so far": (
        Sample({"fixed": {"lr": LR}, "fast": {}}).add("fixed", rising(3), phase="tune", params={"lr": 0.1}),
        "No confirm run has ended yet: there is nothing to compare.",
    ),
    "no run of the reference": (
        Sample({"fixed": {}, "fast": {}}, targets=[0.9]).add("fast", rising(3)),
        "The reference fixed has no confirm run: there is no speedup.",
    ),
    "only failures": (
        Sample({"fixed": {}, "fast": {}}, targets=[0.9]).add("fast", rising(3), status="failed"),
        "All confirm runs that have ended have failed: there is nothing to compare.",
    ),
    "only diverged": (
        Sample({"fixed": {}}, targets=[0.9]).add("fixed", [0.95, NAN], status="diverged"),
        "fixed: every confirm run diverged; they count as never reaching a target.",
    ),
    "one schedule": (
        race({"fixed": [3, 4]}),
        "fixed is the only schedule: there is nothing to compare.",
    ),
    "a target nobody hits": (
        race({"fixed": [11, 11], "fast": [11, 11]}),
        "No run of any schedule reached the target 0.9.",
    ),
    "nothing but nan": (
        Sample({"fixed": {}, "fast": {}}).add("fixed", [NAN, NAN]).add("fast", [None, None]),
        "fast: one run gives no interval.",
    ),
    "no epochs": (
        Sample({"fixed": {}}, targets=[0.9]).add("fixed", []),
        "fixed: confirm runs without a recorded epoch are left out (1).",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_be_told_is_said_in_a_sentence(case: str) -> None:
    sample, sentence = IMPOSSIBLE[case]
    summary = analyse(sample)
    assert sentence in summary.warnings
    verdicts = {way["verdict"] for s in as_json(summary)["schedules"] for way in s["targets"]}
    assert not verdicts & {"faster", "slower", "equivalent"}


def test_an_ordinary_study_has_nothing_to_warn_of() -> None:
    sample = race({"fixed": [4, 6, 11], "fast": [2, 3, 4]})
    for name in sample.spaces:
        sample.add(name, rising(4), phase="tune")
    assert analyse(sample).warnings == ()


@pytest.mark.parametrize(("space", "expected"), [({}, 1), ({"lr": LR}, None)])
def test_only_a_schedule_with_nothing_to_search_is_an_untuned_rule(
    space: dict[str, Any], expected: int | None
) -> None:
    # The second schedule has one tuning trial and an ERT of 39 epochs; one trial of fixed costs 10 and its
    # winner needs 2 or so. With a space that one trial is only the first of a tuning that is going on.
    sample = Sample({"fixed": {"lr": LR}, "other": space}, targets=[0.9])
    for hit_at in (3, 2, 3):
        sample.add("fixed", rising(hit_at), phase="tune", params={"lr": 0.1 / hit_at})
    sample.add("fixed", rising(2)).add("other", rising(9), phase="tune", params={"lr": 0.1})
    for seed, hit_at in enumerate((11, 11, 11, 9)):
        sample.add("other", rising(hit_at), seed=seed)
    summary = analyse(sample)
    assert of(summary, "other").reach[0].ert == 39
    assert of(summary, "fixed").break_even == expected


def test_names_are_taken_as_they_are() -> None:
    name = '<img src=x onerror=alert(1)> "quoted"'
    sample = race({"fixed": [4, 6], name: [2, 3]})
    assert as_json(analyse(sample))["schedules"][1]["name"] == name


def test_a_real_store_reads_as_the_tables_in_memory(tmp_path: Any) -> None:
    sample = race({"fixed": [4, 6, 5], "fast": [2, 3, 2]})
    with StoreWriter.create_or_open(tmp_path / "sample", sample.study) as writer:
        writer.append_tables(sample.evaluations_table(), sample.trials())
    assert analyse(open_store(tmp_path / "sample")).to_json() == analyse(sample).to_json()


def test_best_and_test_accuracies_have_intervals_between_0_and_1() -> None:
    sample = Sample({"fixed": {}}, targets=[0.5])
    for seed, best in enumerate((0.9, 0.99, 1.0)):
        sample.add("fixed", [best], seed=seed)
    found = of(analyse(sample), "fixed")
    assert (found.best_val.high, found.test.high) == (1.0, 1.0)
    assert found.best_val.low is not None
    assert found.best_val.low < 0.9


def test_an_ended_range_test_counts_among_the_ended_trials_and_not_among_the_lost() -> None:
    sample = Sample({"fixed": {"lr": "range-test"}}, trials_budget=2, confirm_seeds=1, targets=[0.5])
    sample.add("fixed", [0.6], phase="range-test", status="diverged", params={"min_lr": 0.1, "max_lr": 1.0})
    sample.add("fixed", [0.6], phase="tune", params={"lr": 0.2})
    sample.add("fixed", [0.7])
    found = analyse(sample)
    assert (found.ended, found.planned, found.complete) == (3, 3, True)
    assert found.schedules[0].diverged == 0


def test_a_schedule_is_tuned_if_its_winner_was_chosen_among_several() -> None:
    sample = Sample({"fixed": {"lr": LR}, "rule": {}}, targets=[0.5])
    for lr in (0.1, 0.2):
        sample.add("fixed", [0.6], phase="tune", params={"lr": lr})
    sample.add("rule", [0.6], phase="tune")
    found = analyse(sample)
    assert [of(found, name).tuned for name in ("fixed", "rule")] == [True, False]
