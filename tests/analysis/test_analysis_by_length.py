"""A study of several lengths: the longest is compared as ever, and all of them by their ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from analysis_samples import LR, Sample

from lrstudy.analysis import analyse
from lrstudy.analysis.summary import Summary
from lrstudy.report.sections.headline import headline
from lrstudy.store import StudyInfo

SEEDS = 8
ENDS = {
    "fixed": {10: 0.86, 20: 0.90, 40: 0.94},
    "cosine": {10: 0.89, 20: 0.93, 40: 0.97},
}


class Lengths(Sample):
    """A sample whose schedules named ``x@n`` are those named ``x`` in trainings of n epochs."""

    @property
    def study(self) -> StudyInfo:
        study = super().study
        for name, entry in study.spec["schedules"].items():
            own, _, length = name.partition("@")
            if length:
                entry.update(length=int(length), of=own, kind=own)
        return study


def sample(ends: dict[str, dict[int, float]], longest: int = 40, target: float = 0.92) -> Lengths:
    """Confirm runs that end at these values, give or take what depends on the seed."""
    names = {(own, n): own if n == longest else f"{own}@{n}" for own, each in ends.items() for n in each}
    found = Lengths({name: {} for name in names.values()}, targets=[target], epochs_budget=longest)
    found.confirm_seeds = SEEDS
    for (own, length), name in names.items():
        for seed in range(SEEDS):
            end = ends[own][length] + 0.002 * ((len(own) * seed) % 4 - 1.5)
            found.add(name, [0.5] * (length - 1) + [end], seed=seed)
    return found


@pytest.fixture(scope="module")
def summary() -> Summary:
    return analyse(sample(ENDS))


def test_only_the_longest_length_is_compared_in_time_and_at_the_end(summary: Summary) -> None:
    assert summary.names == ("fixed", "cosine")
    assert summary.end is not None
    assert (summary.end.length, summary.end.values[1].verdict) == (40, "better")
    assert [schedule.confirm_trials for schedule in summary.schedules] == [SEEDS, SEEDS]


def test_the_trials_of_all_lengths_are_counted(summary: Summary) -> None:
    assert summary.shorter_trials == 4 * SEEDS
    assert summary.ended == 6 * SEEDS


def test_the_shortest_training_that_ends_at_the_target_is_found_and_compared(summary: Summary) -> None:
    found = summary.by_length
    assert found is not None
    assert (found.lengths, found.unit, found.clock) == ((10, 20, 40), "seed", "epochs")
    fixed, cosine = found.verdicts[0]
    assert fixed.length.value == pytest.approx(20 * 2**0.5, rel=0.02)
    assert cosine.length.value == pytest.approx(10 * 2**0.75, rel=0.02)
    assert cosine.ratio.value == pytest.approx(2**0.75, rel=0.03)
    assert (fixed.verdict, cosine.verdict) == ("reference", "faster")
    assert cosine.p_value is not None
    assert cosine.p_value <= 0.05


def test_the_statement_does_not_depend_on_the_order_of_the_lengths(summary: Summary) -> None:
    turned = {name: dict(sorted(each.items(), reverse=True)) for name, each in ENDS.items()}
    assert analyse(sample(turned)).by_length == summary.by_length


def test_a_schedule_that_ends_there_at_no_length_never_does() -> None:
    found = analyse(sample({"fixed": ENDS["fixed"], "low": {10: 0.8, 20: 0.85, 40: 0.9}})).by_length
    assert found is not None
    assert found.verdicts[0][1].verdict == "never"
    assert found.verdicts[0][1].length.value is None


def test_a_reference_that_ends_there_at_no_length_is_shown_to_need_more() -> None:
    found = analyse(sample(ENDS, target=0.96)).by_length
    assert found is not None
    assert found.verdicts[0][1].verdict == "faster"
    assert found.verdicts[0][1].ratio.value is None


def test_runs_that_ended_early_or_diverged_are_no_ends_of_their_length() -> None:
    made = sample(ENDS)
    made.add("cosine@20", [0.5, 0.99], seed=20)
    made.add("cosine@20", [0.5], seed=21, status="diverged")
    means = analyse(made).by_length
    assert means is not None
    assert means.verdicts[0][1].note.startswith("1 run diverged")
    assert means.verdicts[0][1].means[1] == pytest.approx((8 * 0.93 + 0.857) / 9, abs=0.002)


def test_the_lengths_are_in_the_summary_for_programs(summary: Summary) -> None:
    data = json.loads(summary.to_json())["by_length"]
    assert (data["lengths"], data["paired_by"]) == ([10, 20, 40], "seed")
    assert [one["verdict"] for one in data["targets"][0]["schedules"]] == ["reference", "faster"]
    one = Lengths({"fixed": {}, "cosine": {}}).add("fixed", [0.5, 0.9]).add("cosine", [0.5, 0.9])
    assert json.loads(analyse(one).to_json())["by_length"] is None


def near(*, tuned: bool = False) -> Lengths:
    """A schedule whose runs end a little higher than the reference's, by less than seeds vary."""
    made = sample({"fixed": ENDS["fixed"], "near": {n: end + 0.01 for n, end in ENDS["fixed"].items()}})
    spread = {row["trial_id"]: (7 * place) % 5 - 2 for place, row in enumerate(made.trial_rows)}
    for row in made.epoch_rows:
        row["val_accuracy"] += 0.015 * spread[row["trial_id"]] * (row["val_accuracy"] > 0.5)
    if tuned:
        made.spaces = {name: {"lr": LR} for name in made.spaces}
    for name in made.spaces:
        for lr in (0.1, 0.2) if tuned else (0.1,):
            made.add(name, [0.5], phase="tune", params={"lr": lr})
    made.budget = {"trials": 2 if tuned else 1}
    return made


def test_the_sentence_and_the_verdict_are_on_the_primary_target() -> None:
    made = sample(ENDS)
    made.targets, made.target = [0.92, 0.96], {"primary": 0.92}
    found = analyse(made)
    assert found.by_length is not None
    assert found.targets[found.by_length.primary] == 0.92
    assert found.primary == found.by_length.primary
    assert "To end at 92% validation accuracy" in headline(found)


def test_an_open_length_has_a_next_step_that_counts_the_runs_of_all_lengths() -> None:
    step = analyse(near()).next_step
    assert step is not None
    assert (step.open, step.what) == (("near",), "confirm_seeds")
    more = (step.value or 0) - SEEDS
    assert (step.trials, step.time) == (6 * more, 2 * (10 + 20 + 40) * more)
    assert step.chances["near"] >= 0.5


def test_one_tuning_at_each_length_leads_to_more_tunings_without_a_chance() -> None:
    step = analyse(near(tuned=True)).next_step
    assert step is not None
    assert (step.what, step.value, step.one_tuning) == ("replicates", 8, True)
    # 7 more tunings at each length: 2 tuning trials of an epoch, and the confirm runs.
    assert step.trials == 7 * 6 * (2 + SEEDS)
    assert step.chances == {}


def replicated(looks: list[dict[str, Any]] | None = None) -> Lengths:
    """The runs of ``near`` as replicates with one run each."""
    made = near(tuned=True)
    made.confirm_seeds, made.budget = 1, {"trials": 2, "replicates": SEEDS}
    for row in made.trial_rows:
        if row["phase"] == "confirm":
            row["replicate"] = 1 + row["seed"] % 100
    tune = [row for row in made.trial_rows if row["phase"] == "tune"]
    for number in range(2, SEEDS + 1):
        for row in tune:
            made.add(row["schedule"], [0.5], phase="tune", params={"lr": 0.1 + number}, replicate=number)
    made.looks = looks or []
    return made


def test_several_tunings_are_extended_by_tunings_of_all_schedules_at_all_lengths() -> None:
    step = analyse(replicated()).next_step
    assert step is not None
    assert step.what == "replicates"
    assert step.trials == ((step.value or 0) - SEEDS) * 6 * 3


def test_a_look_before_an_extension_is_paid_for() -> None:
    def p_value(made: Lengths) -> float:
        found = analyse(made).by_length
        assert found is not None
        assert found.verdicts[0][1].p_value is not None
        return found.verdicts[0][1].p_value

    look = {"replicates": 4, "open": ["near"], "then": 4}
    assert p_value(replicated([look])) > p_value(replicated())
