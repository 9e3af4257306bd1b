"""A run judged by another metric: what was recorded is read again, and nothing is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_samples import SPEC, epoch, study, trial

from lrstudy.analysis import analyse
from lrstudy.errors import StoreError
from lrstudy.records import Phase
from lrstudy.rules.extension import Extended, Extension
from lrstudy.store import Store, StoreWriter, StudyInfo, TrialKey, open_store
from lrstudy.store.judged_metric import check_judged


def store(place: Path, info: StudyInfo, **missing: Any) -> Store:
    """A run whose losses fall and whose accuracies do not rise; the first schedule's loss falls faster."""
    with StoreWriter.create_or_open(place, info) as writer:
        for schedule, speed in (("lipschitz", 2.0), ("fixed", 1.0)):
            for number in range(3):
                _, (record,) = trial(number)
                name = f"{schedule}-confirm-{number:03d}"
                key = TrialKey(name, Phase.CONFIRM, schedule, number)
                rows = [
                    (key, epoch(n, val_loss=1.0 / (1 + speed * n + number / 10), **missing))
                    for n in (1, 2, 3)
                ]
                record = replace(
                    record, trial_id=name, phase=Phase.CONFIRM, schedule=schedule, params={"lr": 0.1}
                )
                writer.append(rows, [record])
    return open_store(place)


def test_schedules_with_their_own_loss_are_not_judged_by_it(tmp_path: Path) -> None:
    own = {"kind": "lipschitz", "fixed": {}, "space": {}, "loss": {"name": "clipped-cross-entropy"}}
    info = study(spec={"schedules": SPEC["schedules"] | {"lipschitz": own}})
    with pytest.raises(StoreError, match="another quantity for 'lipschitz'"):
        check_judged(store(tmp_path / "run", info), "val_loss")


def test_a_run_is_judged_as_one_of_that_metric(tmp_path: Path) -> None:
    runs = store(tmp_path / "run", study())
    check_judged(runs, "val_loss")
    extended = Extended(
        Extension(metric="val_loss"), "abc123", {"judged.metric": ["val_accuracy", "val_loss"]}
    )
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("*/*.parquet")}
    StoreWriter.create_or_open(tmp_path / "run", study(), extended=extended).close()
    judged = open_store(tmp_path / "run")
    assert judged.study.metric.name == "val_loss"
    assert judged.study.goal.objective.metric.name == "val_accuracy"
    assert judged.study.targets is None
    assert judged.study.history[0]["changes"] == {"judged.metric": ["val_accuracy", "val_loss"]}
    assert {path: path.read_bytes() for path in (tmp_path / "run").glob("*/*.parquet")} == before
    mean_best = {
        name: sum(1.0 / (1 + 3 * speed + number / 10) for number in range(3)) / 3
        for name, speed in (("lipschitz", 2.0), ("fixed", 1.0))
    }
    target = {"metric": "val_loss", "values": None, "reference": "fixed", "margin": 0.1}
    planned = store(tmp_path / "planned", study(spec={"target": target}))
    actual, expected = (analyse(one, targets=[0.3]) for one in (judged, planned))
    assert actual.metric == expected.metric
    for one, other in zip(actual.schedules, expected.schedules, strict=True):
        assert one.reach == other.reach
        assert one.curves == other.curves
        assert one.best_val.value == pytest.approx(mean_best[one.name])


@pytest.mark.parametrize(
    ("metric", "target", "words"),
    [
        ("loss", {}, "is not a metric"),
        ("val_accuracy", {}, "already"),
        ("val_r2", {}, "is not recorded by every evaluation"),
        ("val_loss", {"end_margin": 0.01}, "target.end_margin"),
    ],
)
def test_a_metric_that_cannot_judge_is_refused(
    tmp_path: Path, metric: str, target: dict[str, Any], words: str
) -> None:
    runs = store(tmp_path / "run", study(spec={"target": SPEC["target"] | target}), val_r2=None)
    with pytest.raises(StoreError, match=words):
        check_judged(runs, metric)


def test_runs_that_ended_at_the_old_targets_are_not_judged(tmp_path: Path) -> None:
    runs = store(tmp_path / "run", study(spec={"budget": SPEC["budget"] | {"stop": "all"}}))
    with pytest.raises(StoreError, match="runs ended once they had reached the targets of val_accuracy"):
        check_judged(runs, "val_loss")
