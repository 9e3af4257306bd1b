"""What a study measured of its trainings says why runs exploded."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from analysis_samples import NAN, Sample, rising

from lrstudy.analysis import analyse
from lrstudy.rules.diagnostics import DIAGNOSTICS
from lrstudy.store import StudyInfo


class Diagnosed(Sample):
    """A sample whose task measures gradients and stability; ``layers`` names two layers."""

    @property
    def study(self) -> StudyInfo:
        info = super().study
        info.spec["task"]["metrics"] = {k: v for columns in DIAGNOSTICS.values() for k, v in columns.items()}
        info.layers[:] = ["features.0", "head"]
        return info

    def evaluations_table(self) -> Any:
        return pa.Table.from_pylist(self.epoch_rows, schema=self.study.schema("evaluations"))

    def diverge(self, schedule: str, seed: int, ratios: list[float], gradient: float) -> None:
        """A run that diverges at its last evaluation, with the rate over the limit before each."""
        self.add(schedule, [0.1] * len(ratios[:-1]) + [NAN], seed=seed, status="diverged")
        for row, ratio in zip(self.epoch_rows[-len(ratios) :], ratios, strict=True):
            measured = {"curvature": ratio, "rate_over_limit": ratio, "gradient_ratio": gradient}
            row.update(measured, largest_gradient_layer=1.0 if gradient < 1 else 2.0)


def sample() -> Diagnosed:
    made = Diagnosed({"fixed": {}, "lipschitz": {}}, targets=[0.9])
    for seed in range(3):
        made.add("fixed", rising(3), seed=seed)
    made.diverge("lipschitz", 0, [0.5, 2.0, 8.0], 0.25)
    made.diverge("lipschitz", 1, [0.5, 4.0, 12.0], 0.5)
    made.diverge("lipschitz", 2, [0.5, 3.0, 40.0], 2.0)
    return made


def test_the_warning_on_diverged_runs_says_what_was_measured_before() -> None:
    (found,) = [text for text in analyse(sample()).warnings if "diverged" in text]
    assert found == (
        "lipschitz: every confirm run diverged; they count as never reaching a target. In the steps in which "
        "they diverged the rate was 12 times the stability limit (median; 8 to 40) where these began; the "
        "last layer's gradient was not the largest in 2 of 3."
    )


def test_the_curves_are_medians_with_their_range_and_the_shares_are_of_all_measurements() -> None:
    summary = analyse(sample())
    fixed, lipschitz = summary.schedules
    curve = lipschitz.curves["rate_over_limit"]
    assert (curve.value, curve.low, curve.high) == ((0.5, 3.0, 12.0), (0.5, 2.0, 8.0), (0.5, 4.0, 40.0))
    assert curve.runs == (3, 3, 3)
    assert fixed.diagnosed is None
    stored = json.loads(summary.to_json())["schedules"]
    assert "diagnosis" not in stored[0]
    assert stored[1]["diagnosis"] == {
        "share_above_stability_limit": 6 / 9,
        "share_last_layer_largest": 3 / 9,
        "largest_gradient_layer": "'features.0'",
        "medians": {"curvature": [0.5, 3, 12], "gradient_ratio": [0.5] * 3, "rate_over_limit": [0.5, 3, 12]},
    }


def test_they_are_no_metrics_of_the_study() -> None:
    assert analyse(sample()).declared == ()
