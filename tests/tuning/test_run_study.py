"""Whole studies on real Ray: every trial in the store, repeatable, resumable, honest about failures."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

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
"""


def study(text: str = STUDY) -> Study:
    return parse_study(tomllib.loads(text), "test")


def run(spec: Study, out: Path) -> None:
    with prepare(spec, str(out)) as ready:
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
    tune = [f"{name}-tune-{n:03d}" for name in ("fixed", "wild") for n in range(4)]
    confirm = [f"{name}-confirm-{n:03d}" for name in ("fixed", "lipschitz", "wild") for n in range(3)]
    assert ids == sorted([*tune, *confirm, "lipschitz-tune-000"])
    rows = (
        open_store(finished / "small")
        .pandas("evaluations")
        .groupby("trial_id")["epoch"]
        .agg(["count", "max"])
    )
    for record in records:
        assert tuple(rows.loc[record.trial_id]) == (record.evaluations_run, record.evaluations_run)
        assert (record.test_accuracy is not None) == (
            record.phase is Phase.CONFIRM and record.status is Status.COMPLETED
        )


def test_a_diverged_trial_is_recorded_with_its_epoch_and_the_study_goes_on(finished: Path) -> None:
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
    assert (again.steps_run, again.length, again.epochs_run) == (3 * 18, 3, 3.0)


def test_the_same_study_again_gives_the_same_curves_at_another_concurrency(
    finished: Path, tmp_path: Path
) -> None:
    run(study(STUDY + "\n[resources]\nmax_concurrent = 1\n"), tmp_path)
    pd.testing.assert_frame_equal(epochs(tmp_path), epochs(finished))


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path({folder!r})))
from test_run_study import run, study
run(study(), Path(sys.argv[1]))
"""


def test_a_killed_driver_loses_nothing_and_doubles_nothing(finished: Path, tmp_path: Path) -> None:
    code = KILLED.format(folder=str(Path(__file__).parent))
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], start_new_session=True)
    store = tmp_path / "small" / "trials"
    deadline = time.monotonic() + 120
    while not (store.is_dir() and any(store.glob("*.parquet"))):
        assert time.monotonic() < deadline, "no trial was stored in two minutes"
        assert child.poll() is None
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    run(study(), tmp_path)
    trials = open_store(tmp_path / "small").pandas("trials")
    assert not trials["trial_id"].duplicated().any()
    pd.testing.assert_frame_equal(epochs(tmp_path), epochs(finished))


def test_a_finished_study_trains_nothing(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "small").rglob("*.parquet")}
    with prepare(study(), str(finished)) as ready:
        assert ready.run.done
    assert {path: path.stat().st_mtime_ns for path in (finished / "small").rglob("*.parquet")} == before


def test_an_exception_in_a_users_schedule_marks_the_trial_failed_and_the_study_goes_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "fragile.py").write_text(
        "import torch\n"
        "from torch.optim.lr_scheduler import LambdaLR\n"
        "def make(optimizer, *, rate):\n"
        "    weights = optimizer.param_groups[0]['params'][0]\n"
        "    start = weights.detach().clone()\n"
        "    def factor(epoch):\n"
        "        if rate > 0.3 and not torch.equal(weights, start):\n"  # so in no dry run
        "            raise ZeroDivisionError('no such rate')\n"
        "        return 1.0\n"
        "    return LambdaLR(optimizer, factor)\n"
        "make.interval = 'epoch'\n"
    )
    text = STUDY.replace('[schedules.wild]\nkind = "fixed"', '[schedules.wild]\nkind = "fragile:make"')
    spec = study(text.replace("lr = { low = 1e20, high = 1e30, log = true }", "rate = [0.1, 0.5]"))
    with prepare(spec, str(tmp_path / "out"), search_path=[tmp_path]) as ready:
        ready.start(lambda: None)
        failures = ready.run.failures
        assert ready.run.done
    assert failures
    assert all(record.schedule == "wild" for record in failures)
    assert "ZeroDivisionError: no such rate" in (failures[0].error or "")
    assert "fragile.py" in (failures[0].error or "")
    assert "lrstudy" not in (failures[0].error or "").split("fragile.py")[0]


def test_what_ray_says_is_in_the_runs_log_and_not_on_the_screen(finished: Path) -> None:
    log = (finished / "small" / "run.log").read_text()
    assert "INFO lrstudy.tuning.driver.runner: workers write to" in log
