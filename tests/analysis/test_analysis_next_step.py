"""The next step of a finished study: what would decide its open comparisons, at what cost and chance."""

from __future__ import annotations

import json
from typing import Any

from analysis_samples import LR, Sample, rising

from lrstudy.analysis import analyse
from lrstudy.analysis.summary import NextStep

FIXED = [[14, 15], [11, 13], [15, 16], [12, 12], [13, 15], [14, 12], [16, 14], [12, 15]]
FAST = [[4, 5], [4, 4], [5, 4], [4, 4], [4, 5], [5, 4], [5, 4], [4, 4]]
# Half are faster than the reference, half slower, a little faster in the mean.
UNSURE = [[9, 9], [13, 15], [11, 12], [13, 13], [10, 11], [13, 14], [12, 13], [14, 15]]
# As fast as the reference in the mean; runs of a replicate agree.
ALIKE = [[hit + (-1) ** number for hit in hits] for number, hits in enumerate(FIXED)]


def study(times: dict[str, list[list[int]]], tuned: bool = True, **more: Any) -> Sample:
    """A store whose confirm runs reach 0.9 at the given epochs, one list per replicate."""
    runs = len(next(iter(times.values())))
    budget = {"replicates": runs, "confirm_seeds": 2, "trials": 2} | more.pop("budget", {})
    spaces = {name: {"lr": LR} if tuned else {} for name in times}
    sample = Sample(spaces, targets=[0.9], epochs_budget=20, budget=budget, **more)
    for name, replicates in times.items():
        for number, hits in enumerate(replicates, start=1):
            for place in range(2 if tuned else 1):
                sample.add(
                    name, rising(9 + place, 5), phase="tune", replicate=number, params={"lr": 0.1 + place}
                )
            for place, hit_at in enumerate(hits):
                seed = 100 * number + place
                sample.add(name, rising(hit_at, 20), seed=seed, replicate=number, params={"lr": 0.1})
    return sample


def step_of(sample: Sample) -> NextStep:
    step = analyse(sample).next_step
    assert step is not None
    return step


def test_open_comparisons_get_more_replicates_with_cost_and_chance() -> None:
    step = step_of(study({"fixed": FIXED, "fast": FAST, "unsure": UNSURE}))
    assert step.open == ("unsure",)
    assert (step.what, step.value) == ("most", 64)
    # 56 more replicates of two schedules, each of 2 tuning and 2 confirm runs of 5 and 20 epochs.
    assert (step.trials, step.time) == (56 * 2 * 4, 56 * 2 * (2 * 5 + 2 * 20))
    assert 0.5 <= step.chances["unsure"] < 1
    assert step.command("runs/s") == "lrstudy extend runs/s --most 64"


def test_nothing_open_or_not_finished_means_no_next_step() -> None:
    assert analyse(study({"fixed": FIXED, "fast": FAST})).next_step is None
    unfinished = study({"fixed": FIXED[:4], "unsure": UNSURE[:4]}, budget={"replicates": 8})
    assert analyse(unfinished).next_step is None


def test_one_tuning_of_each_leads_to_more_tunings_and_never_to_seeds() -> None:
    summary = analyse(study({"fixed": FIXED[:1], "fast": UNSURE[:1]}))
    assert summary.next_step is not None
    assert summary.next_step.one_tuning
    assert summary.next_step.command("RUN") == "lrstudy extend RUN --replicates 8"
    assert summary.schedules[1].reach[0].seeds_needed is None


def test_without_tuning_more_seeds_are_the_next_step() -> None:
    seeds = {
        name: [[hit for hits in times for hit in hits]]
        for name, times in {"fixed": FIXED, "unsure": UNSURE}.items()
    }
    step = step_of(study(seeds, tuned=False, budget={"confirm_seeds": 16, "trials": 1}))
    assert (step.what, step.one_tuning) == ("confirm_seeds", False)
    assert step.trials == 2 * ((step.value or 0) - 16)


def test_where_replicates_dominate_seeds_are_not_the_cheapest() -> None:
    # No seeds differ within a replicate: all that varies is tuning.
    calm = [[9, 9], [15, 15], [11, 11], [13, 13], [10, 10], [14, 14], [12, 12], [14, 14]]
    base = [[hits[0], hits[0]] for hits in FIXED]
    assert step_of(study({"fixed": base, "calm": calm})).what == "most"


def test_a_study_that_nothing_decides_says_the_best_chance() -> None:
    step = step_of(study({"fixed": FIXED, "alike": ALIKE}, target={"margin": 0.001}))
    assert (step.what, step.value, step.command("RUN")) == (None, None, None)
    assert step.chances["alike"] < 0.5


def test_a_study_that_runs_until_it_is_decided_is_extended_by_its_most() -> None:
    decided = {"until": "decided", "replicates": 4, "most": 8}
    looks = [
        {"replicates": 4, "open": ["unsure"], "then": 8},
        {"replicates": 8, "open": ["unsure"], "then": 8},
    ]
    sample = study({"fixed": FIXED, "unsure": UNSURE}, budget=decided)
    plain = step_of(study({"fixed": FIXED, "unsure": UNSURE}))
    sample.looks = looks
    step = step_of(sample)
    assert step.what == "most"
    # More looks cost a little of the chance.
    assert step.chances["unsure"] < plain.chances["unsure"] or (step.value or 0) > (plain.value or 0)


def test_the_next_step_and_the_components_are_in_the_summary_for_other_programs() -> None:
    data = json.loads(analyse(study({"fixed": FIXED, "unsure": UNSURE})).to_json())
    assert data["next_step"]["command"].startswith("lrstudy extend runs/sample --most ")
    assert set(data["components"]) == {"seed", "tuning", "split", "replicates"}
