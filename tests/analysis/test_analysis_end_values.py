"""Values at the end of the training: equal to an independent computation, and what is known of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from analysis_samples import NAN, Sample
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lrstudy.analysis import analyse
from lrstudy.analysis.end_differences import EndDifference, decide_end, end_difference
from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.results import EndValue, RunEnd
from lrstudy.rules.metrics import METRICS
from lrstudy.store import ImportOptions, import_histories, open_store

ACCURACY, LOSS = METRICS["val_accuracy"], METRICS["val_loss"]
ENDS = {
    "fixed": [0.951, 0.962, 0.948, 0.957, 0.953, 0.960],
    "cosine": [0.972, 0.975, 0.969, 0.977, 0.971, 0.979],
    "step": [0.955, 0.958, 0.951, 0.956, 0.957, 0.955],
    "cyclic": [0.947, 0.958, 0.945, 0.953, 0.949, 0.955],
}


def ending(
    ends: dict[str, list[float]], metric: str = "val_accuracy", epochs: int = 4, **spec: object
) -> Sample:
    """Confirm runs that end at these values, one seed each; NaN: the run diverged."""
    sample = Sample({name: {} for name in ends}, metric=metric, targets=[0.9], epochs_budget=epochs)
    for name, values in ends.items():
        for seed, value in enumerate(values):
            status = "diverged" if np.isnan(value) else "completed"
            sample.add(name, [0.5] * (epochs - 1) + [value], seed=seed, status=status)
    return Judged(**vars(sample), more=spec) if spec else sample


class Judged(Sample):
    """A sample whose study file has further keys in its table of targets."""

    def __init__(self, more: dict[str, object], **values: object) -> None:
        super().__init__(**values)  # type: ignore[arg-type] # the fields of a sample
        self.more = more

    @property
    def study(self):  # type: ignore[no-untyped-def] # as the sample's
        study = super().study
        study.spec["target"].update(self.more)
        return study


def by_name(sample: Sample) -> dict[str, EndValue]:
    summary = analyse(sample)
    assert summary.end is not None
    return dict(zip(summary.names, summary.end.values, strict=True))


def holm_by_hand(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's rule written a second time, at the fifth of the error that the value at the end has."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    count = len(ordered)
    return {
        name: min(1.0, max((count - k) * p_values[ordered[k]] for k in range(place + 1)) / 0.2)
        for place, name in enumerate(ordered)
    }


def test_verdicts_equal_an_independent_computation() -> None:
    found = by_name(ending(ENDS))
    others = [name for name in ENDS if name != "fixed"]
    tests = {name: stats.ttest_rel(ENDS[name], ENDS["fixed"]) for name in others}
    adjusted = holm_by_hand({name: float(test.pvalue) for name, test in tests.items()})
    for name in others:
        limits = tests[name].confidence_interval(0.95)
        difference = np.mean(ENDS[name]) - np.mean(ENDS["fixed"])
        expected = (difference, limits.low, limits.high)
        end = found[name]
        assert (end.difference.value, end.difference.low, end.difference.high) == pytest.approx(expected)
        assert end.p_value == pytest.approx(adjusted[name])
        significant = adjusted[name] <= 0.05
        assert end.verdict == (("better" if difference > 0 else "worse") if significant else "inconclusive")
    assert [found[name].verdict for name in ENDS] == ["reference", "better", "inconclusive", "worse"]


def test_a_smaller_loss_is_better_and_its_difference_keeps_its_sign() -> None:
    found = by_name(ending({"fixed": [0.5, 0.6, 0.55, 0.52], "low": [0.3, 0.42, 0.35, 0.3]}, "val_loss"))
    assert found["low"].verdict == "better"
    assert found["low"].difference.value == pytest.approx(-0.2)


def test_replicates_are_compared_by_their_means() -> None:
    rng = np.random.default_rng(5)
    values = {name: rng.normal(centre, 0.004, (5, 3)) for name, centre in (("fixed", 0.94), ("cosine", 0.95))}
    sample = Sample({name: {} for name in values}, targets=[0.9], epochs_budget=4)
    for name, table in values.items():
        for (replicate, seed), value in np.ndenumerate(table):
            sample.add(name, [0.5, 0.5, 0.5, value], seed=10 * replicate + seed, replicate=replicate + 1)
    summary = analyse(sample)
    assert summary.end is not None
    assert summary.end.unit == "replicate"
    end = summary.end.values[1]
    test = stats.ttest_1samp(values["cosine"].mean(axis=1) - values["fixed"].mean(axis=1), 0)
    assert end.p_value == pytest.approx(test.pvalue / 0.2)
    limits = test.confidence_interval(0.95)
    assert (end.difference.low, end.difference.high) == pytest.approx((limits.low, limits.high))
    assert (end.pairs, end.runs) == (5, 15)


def test_equivalent_needs_a_margin_and_an_interval_inside_it() -> None:
    same = {"fixed": ENDS["step"], "other": [value + 0.0005 for value in reversed(ENDS["step"])]}
    assert by_name(ending(same))["other"].verdict == "inconclusive"
    assert by_name(ending(same, end_margin=0.01))["other"].verdict == "equivalent"
    assert by_name(ending(same, end_margin=0.0001))["other"].verdict == "inconclusive"


def test_a_run_that_diverged_is_worse_than_every_other() -> None:
    cosine = [*ENDS["cosine"][:3], NAN, NAN, NAN]
    found = by_name(ending({"fixed": ENDS["fixed"], "cosine": cosine, "lost": [NAN] * 6}, end_margin=0.9))
    assert (found["cosine"].diverged, found["cosine"].verdict) == (3, "inconclusive")
    assert found["cosine"].difference.value == pytest.approx(np.mean(cosine[:3]) - np.mean(ENDS["fixed"][:3]))
    ranks = stats.rankdata(np.nan_to_num([*ENDS["fixed"], *cosine], nan=0.0))
    both = [0.0] * 6
    lost = stats.rankdata([*ENDS["fixed"], *both])
    p_values = {
        "cosine": float(stats.ttest_rel(ranks[6:], ranks[:6]).pvalue),
        "lost": float(stats.ttest_rel(lost[6:], lost[:6]).pvalue),
    }
    adjusted = holm_by_hand(p_values)
    assert found["cosine"].p_value == pytest.approx(adjusted["cosine"])
    assert found["lost"].p_value == pytest.approx(adjusted["lost"])
    assert found["lost"].verdict == "worse"
    assert found["lost"].difference == Interval(None, None, None)


def test_runs_that_did_not_train_to_the_end_leave_the_verdict_unknown() -> None:
    sample = ending({"fixed": ENDS["fixed"], "cosine": ENDS["cosine"]})
    sample.add("early", [0.5, 0.99], seed=0)
    sample.spaces["early"] = {}
    found = by_name(sample)
    assert (found["early"].verdict, found["early"].short) == ("unknown", 1)
    assert found["early"].value == Interval(None, None, None)
    assert found["cosine"].verdict == "better"


def test_a_reference_that_was_stopped_leaves_every_verdict_unknown() -> None:
    sample = ending({"fixed": ENDS["fixed"], "cosine": ENDS["cosine"]})
    sample.add("fixed", [0.5, 0.99], seed=6)
    found = by_name(sample)
    assert [found[name].verdict for name in ("fixed", "cosine")] == ["reference", "unknown"]


def test_every_run_is_listed_with_its_value_or_why_it_has_none() -> None:
    sample = ending({"fixed": [0.5, 0.75], "cosine": [NAN, 0.625]})
    sample.add("early", [0.5, 0.99], seed=7)
    sample.spaces["early"] = {}
    end = analyse(sample).end
    assert end is not None
    assert end.runs == (
        RunEnd("fixed", 1, 0, "whole", 0.5),
        RunEnd("fixed", 1, 1, "whole", 0.75),
        RunEnd("cosine", 1, 0, "diverged", None),
        RunEnd("cosine", 1, 1, "whole", 0.625),
        RunEnd("early", 1, 7, "short", None),
    )


def test_the_end_is_in_the_summary_for_programs() -> None:
    data = json.loads(analyse(ending(ENDS, end_margin=0.01)).to_json())["end"]
    assert (data["clock"], data["length"], data["margin"], data["paired_by"]) == ("epochs", 4, 0.01, "seed")
    assert [one["name"] for one in data["schedules"]] == list(ENDS)
    assert data["schedules"][1]["verdict"] == "better"


def test_no_limit_of_a_share_is_outside_its_range() -> None:
    found = by_name(ending({"fixed": [0.0, 1.0], "other": [1.0, 0.0]}))
    for end in found.values():
        assert (end.value.low, end.value.high) == (0.0, 1.0)
    assert (found["other"].difference.low, found["other"].difference.high) == (-1.0, 1.0)


def test_differences_that_are_all_the_same_are_tested_by_sign_flips() -> None:
    fixed = [np.array([value]) for value in (0.5, 0.6, 0.7, 0.5, 0.6, 0.8)]
    better = end_difference(fixed, [unit + 0.1 for unit in fixed], ACCURACY, seed=0)
    assert better.p_value == pytest.approx(2 / 2**6)
    assert end_difference(fixed, fixed, ACCURACY, seed=0).p_value == 1.0


UNITS = st.lists(
    st.tuples(
        *[st.lists(st.one_of(st.floats(0.1, 1), st.just(NAN)), min_size=1, max_size=3).map(np.array)] * 2
    ),
    min_size=2,
    max_size=8,
)


@given(UNITS, st.sampled_from([ACCURACY, LOSS]))
def test_exchanging_the_two_reverses_the_sign_and_keeps_p(units, metric) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = [list(each) for each in zip(*units, strict=True)]
    one = end_difference(ours, theirs, metric, seed=0)
    other = end_difference(theirs, ours, metric, seed=0)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.advantage == pytest.approx(-other.advantage)
    if one.difference.value is not None:
        assert one.difference.value == pytest.approx(-other.difference.value)


def test_runs_that_diverged_cannot_turn_a_clear_difference_around() -> None:
    found = EndDifference(Interval(0.03, 0.02, 0.04), -2.0, 0.01, 10)
    assert decide_end(found, 0.01, ACCURACY, None, lost=True) == "inconclusive"
    assert decide_end(found, 0.01, LOSS, None, lost=True) == "worse"


def test_the_test_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.normal(0.95, 0.01, (2000, 2, 6))
    rejected = [
        (end_difference(list(r[:, None]), list(s[:, None]), ACCURACY, seed=0).p_value or 1.0) <= 0.05
        for r, s in pairs
    ]
    assert 0.04 <= np.mean(rejected) <= 0.06


def test_recorded_runs_of_unequal_length_are_compared_at_the_common_one(tmp_path: Path) -> None:
    """A run that went on is worth what it was worth when the others ended."""
    rows = ["schedule,seed,step,val_accuracy"]
    for schedule, every, shift in (("fixed", 100, 0.0), ("step", 110, 0.0)):
        rows += [
            f"{schedule},{seed},{step},{0.5 + step / 3000 + seed / 1000 + shift}"
            for seed in (1, 2, 3)
            for step in range(every, 1001, every)
        ]
    (tmp_path / "logs.csv").write_text("\n".join(rows) + "\n")
    options = ImportOptions(name="grids", seed_from="seed", clock="steps")
    (made,) = import_histories([tmp_path / "logs.csv"], tmp_path / "runs", options)
    end = analyse(open_store(made.location), targets=[0.6]).end
    assert end is not None
    assert (end.clock, end.length) == ("steps", 990)
    fixed, step = (value.value.value for value in end.values)
    assert fixed == pytest.approx(0.502 + 900 / 3000)  # not that of step 1,000
    assert step == pytest.approx(0.502 + 990 / 3000)
