"""Whole studies on real Ray: every trial in the store, repeatable, with its failures."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fault_studies import assert_same, run_without_ray

from lrstudy.records import Phase, Status
from lrstudy.spec import Study, parse_study
from lrstudy.store import open_store
from lrstudy.tuning import prepare

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "store"))

pytestmark = pytest.mark.cluster

STUDY = """
name = "small"
[task]
dataset = "digits"
model = "softmax-regression"
batch_size = 64
epochs = 3
[budget]
objective = "best"
trials = 4
confirm_seeds = 3
search = "random"
[target]
values = [0.8]
reference = "fixed"
[schedules.lipschitz]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
[schedules.wild]
kind = "fixed"
lr = { low = 1e20, high = 1e30, log = true }
[schedules.fragile]
kind = "fragile:make"
rate = [0.1, 0.5]
"""
FRAGILE = """
import torch
from torch.optim.lr_scheduler import LambdaLR

def make(optimizer, *, rate):
    weights = optimizer.param_groups[0]["params"][0]
    start = weights.detach().clone()
    def factor(epoch):
        if rate > 0.3 and not torch.equal(weights, start):  # so in no dry run
            raise ZeroDivisionError("no such rate")
        return 1.0
    return LambdaLR(optimizer, factor)

make.interval = "epoch"
"""


def study(text: str = STUDY) -> Study:
    return parse_study(tomllib.loads(text), "test")


def run(spec: Study, out: Path) -> None:
    (out / "fragile.py").write_text(FRAGILE)
    with prepare(spec, str(out), search_path=[out]) as ready:
        if not ready.run.done:
            ready.start(lambda: None)
        assert ready.run.done


def epochs(out: Path) -> pd.DataFrame:
    table = open_store(out / "small").pandas("evaluations")
    seconds = [column for column in table if column.endswith("_seconds")]
    return table.drop(columns=seconds).sort_values(["trial_id", "epoch"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    run(study(), out)
    return out


def test_every_trial_is_in_the_store(finished: Path) -> None:
    records = open_store(finished / "small").trial_records()
    ids = sorted(record.trial_id for record in records)
    searched = ("fixed", "wild", "fragile")
    tune = [f"{name}-tune-{n:03d}" for name in searched for n in range(4)]
    confirm = [f"{name}-confirm-{n:03d}" for name in ("lipschitz", *searched) for n in range(3)]
    assert ids == sorted([*tune, *confirm, "lipschitz-tune-000"])
    rows = (
        open_store(finished / "small")
        .pandas("evaluations")
        .groupby("trial_id")["epoch"]
        .agg(["count", "max"])
    )
    for record in records:
        if record.status is Status.FAILED:
            continue
        assert tuple(rows.loc[record.trial_id]) == (record.evaluations_run, record.evaluations_run)
        assert (record.test_accuracy is not None) == (
            record.phase is Phase.CONFIRM and record.status is Status.COMPLETED
        )


def test_a_diverged_trial_is_recorded_with_its_epoch_and_the_study_continues(finished: Path) -> None:
    wild = [r for r in open_store(finished / "small").trial_records() if r.schedule == "wild"]
    assert {record.status for record in wild} == {Status.DIVERGED}
    for record in wild:
        assert f"in epoch {record.evaluations_run}" in (record.error or "")
        assert record.objective is None


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core runs one trial at a time")
def test_short_trials_run_side_by_side(finished: Path) -> None:
    records = sorted(open_store(finished / "small").trial_records(), key=lambda record: record.started_at)
    overlaps = [b.started_at < a.ended_at for a, b in itertools.pairwise(records)]
    assert sum(overlaps) >= 3, "a second worker must be started however short the trials are"


def test_nothing_but_the_store_is_left_in_the_folder(finished: Path) -> None:
    left = sorted(path.name for path in (finished / "small").iterdir() if not path.name.startswith("."))
    assert left == ["evaluations", "run.log", "study.json", "trials"]


def test_a_run_of_schema_version_1_is_continued_to_the_same_values(finished: Path, tmp_path: Path) -> None:
    from version_1 import as_version_1

    place = as_version_1(Path(shutil.copytree(finished / "small", tmp_path / "small")))
    for file in place.glob("trials/*.parquet"):
        rows = pq.read_table(file)
        ended = [name != "fixed-confirm-001" for name in rows["trial_id"].to_pylist()]
        pq.write_table(rows.filter(ended), file)
    run(study(), tmp_path)
    pd.testing.assert_frame_equal(epochs(tmp_path), epochs(finished))
    records = open_store(place).trial_records()
    assert len({record.trial_id for record in records}) == len(records)
    (again,) = (record for record in records if record.trial_id == "fixed-confirm-001")
    assert (again.steps_run, again.length, again.evaluations_run) == (3 * 18, 3, 3.0)


def test_a_study_of_one_trial_after_the_other_without_ray_has_the_same_rows(
    finished: Path, tmp_path: Path
) -> None:
    run_without_ray(study(), tmp_path, [finished])
    assert_same(tmp_path, finished / "small", schedules=("lipschitz", "fixed", "wild"))


def test_a_finished_study_trains_nothing(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "small").rglob("*.parquet")}
    with prepare(study(), str(finished), search_path=[finished]) as ready:
        assert ready.run.done
    assert {path: path.stat().st_mtime_ns for path in (finished / "small").rglob("*.parquet")} == before


def test_an_exception_in_a_users_schedule_marks_the_trial_failed_and_the_study_continues(
    finished: Path,
) -> None:
    records = [r for r in open_store(finished / "small").trial_records() if r.schedule == "fragile"]
    failures = [record for record in records if record.status is Status.FAILED]
    assert failures
    assert all(record.params["rate"] == 0.5 for record in failures)
    assert all(record.status is Status.COMPLETED for record in records if record.params["rate"] == 0.1)
    for record in failures:
        assert "ZeroDivisionError: no such rate" in (record.error or "")
        assert "fragile.py" in (record.error or "")
        assert "lrstudy" not in (record.error or "").split("fragile.py")[0]


def test_what_ray_says_is_in_the_runs_log_and_not_on_the_screen(finished: Path) -> None:
    log = (finished / "small" / "run.log").read_text()
    assert "INFO lrstudy.tuning.driver.runner: workers write to" in log
