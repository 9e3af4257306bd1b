"""Studies of several replicates: their verdicts, and the comparisons that are open after a round."""

from __future__ import annotations

import json

import numpy as np
import pytest
from analysis_samples import Sample, rising
from scipy import stats

from lrstudy.analysis import analyse
from lrstudy.analysis.open_comparisons import open_schedules

DECIDED = {"until": "decided", "replicates": 4, "most": 16}
FIXED = [[14, 15], [11, 13], [15, 16], [12, 12], [13, 15], [14, 12], [16, 14], [12, 15]]
FAST = [[4, 5], [4, 4], [5, 4], [4, 4], [4, 5], [5, 4], [5, 4], [4, 4]]
# Half are faster than the reference, half slower: more replicates may tell.
UNSURE = [[9, 9], [13, 15], [11, 12], [13, 13], [10, 11], [13, 14], [12, 13], [14, 15]]


def study(times: dict[str, list[list[int]]], **more: object) -> Sample:
    """A store whose confirm runs reach 0.9 at the given epochs, one list per replicate; 21: never."""
    sample = Sample({name: {} for name in times}, targets=[0.9], epochs_budget=20, **more)  # type: ignore[arg-type]
    for name, replicates in times.items():
        for number, hits in enumerate(replicates, start=1):
            for place, hit_at in enumerate(hits):
                seed = 100 * number + place
                sample.add(name, rising(hit_at, 20), seed=seed, replicate=number)
    return sample


def test_the_verdict_is_on_the_means_of_replicates() -> None:
    quick = [[8, 9], [6, 7], [10, 11], [7, 7], [9, 9], [6, 8], [10, 9], [7, 8]]
    reach = analyse(study({"fixed": FIXED, "quick": quick})).schedules[1].reach[0]
    means = [[sum(hits) / 2 for hits in runs] for runs in (FIXED, quick)]
    reference, schedule = np.log(means)
    golden = stats.ttest_rel(reference, schedule)
    assert reach.p_value == pytest.approx(golden.pvalue / 0.8)
    assert reach.speedup.value == pytest.approx(np.exp((reference - schedule).mean()))
    assert (reach.verdict, reach.replicates, reach.runs, reach.primary) == ("faster", 8, 16, True)
    assert reach.speedup_tuned == reach.speedup
    assert reach.seeds_needed is None


def test_a_decided_comparison_gets_no_more_replicates_and_an_open_one_does() -> None:
    sample = study({"fixed": FIXED[:4], "fast": FAST[:4], "unsure": UNSURE[:4]}, budget=DECIDED)
    assert open_schedules(sample, 4) == ["unsure"]


def test_rows_of_later_replicates_do_not_change_a_look() -> None:
    whole = study({"fixed": FIXED, "fast": FAST[:4], "unsure": UNSURE}, budget=DECIDED)
    assert open_schedules(whole, 4) == ["unsure"]
    early = study({"fixed": FIXED[:4], "fast": FAST[:4], "unsure": UNSURE[:4]}, budget=DECIDED)
    at_four, at_eight = (analyse(each).schedules[1].reach[0] for each in (early, whole))
    assert at_four.verdict == at_eight.verdict == "faster"
    assert at_four.speedup == at_eight.speedup
    assert (at_four.replicates, at_eight.replicates) == (4, 4)


def test_a_closed_comparison_stays_closed() -> None:
    whole = study({"fixed": FIXED, "fast": FAST[:4], "unsure": UNSURE}, budget=DECIDED)
    assert "fast" not in open_schedules(whole, 8)


def test_a_schedule_that_never_hits_is_closed() -> None:
    never = study({"fixed": FIXED[:4], "never": [[21, 21]] * 4, "unsure": UNSURE[:4]}, budget=DECIDED)
    assert open_schedules(never, 4) == ["unsure"]


def test_a_hopeless_comparison_is_closed_before_the_last_look() -> None:
    alike = [[hit + (-1) ** number for hit in hits] for number, hits in enumerate(FIXED)]
    times = {"fixed": FIXED, "alike": alike, "unsure": UNSURE}
    assert "alike" not in open_schedules(study(times, budget=DECIDED), 8)


def test_one_replicate_leaves_all_open() -> None:
    one = study({"fixed": FIXED[:1], "fast": FAST[:1]}, budget=DECIDED | {"replicates": 1})
    assert open_schedules(one, 1) == ["fast"]


def test_a_replicate_left_out_is_a_variant_of_stability() -> None:
    (sentence,) = analyse(study({"fixed": FIXED, "fast": FAST})).stability
    assert "each of 10 variants (one replicate left out, the target moved by 1%)" in sentence


def test_the_summary_tells_other_programs_the_replicates() -> None:
    summary = analyse(study({"fixed": FIXED, "unsure": UNSURE}))
    target = json.loads(summary.to_json())["schedules"][1]["targets"][0]
    assert target["primary"] is True
    assert target["replicates"] == 8
    assert target["verdict"] == "inconclusive"
    assert target["replicates_needed"] > 8
    assert target["seeds_needed"] is None


def test_the_summary_says_what_makes_times_vary() -> None:
    summary = analyse(study({"fixed": FIXED, "unsure": UNSURE}))
    assert summary.confirm_replicates == 8
    assert summary.components is not None
    assert summary.variation == summary.components.sentence(3)
    told = json.loads(summary.to_json())
    assert told["replicates"] == 8
    assert told["components"]["tuning"] == pytest.approx(summary.components.tuning)
    assert "between seeds" in told["variation"]


def test_an_undecided_comparison_that_was_given_up_is_not_taken_up_again() -> None:
    times = {"fixed": FIXED, "unsure": UNSURE[:4], "other": UNSURE}
    assert open_schedules(study({"fixed": FIXED[:4], "unsure": UNSURE[:4]}, budget=DECIDED), 4) == ["unsure"]
    assert "unsure" not in open_schedules(study(times, budget=DECIDED), 8)
