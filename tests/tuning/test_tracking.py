"""What TensorBoard, MLflow and others get of a study, and that none of them can harm it."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec import Study, parse_study
from lrstudy.store import open_location
from lrstudy.tuning.driver import trackers as tracking
from lrstudy.tuning.driver.trackers import Tracking, check_tracking


def study(**logging: Any) -> Study:
    task = {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 2}
    return parse_study({"name": "s", "task": task, "logging": logging, "schedules": {"fixed": {}}}, "test")


def row(epoch: int) -> EvaluationRecord:
    values: dict[str, Any] = {field.name: None for field in fields(EvaluationRecord)}
    metrics = {"perplexity": 2.0 * epoch, "f1": None}
    return EvaluationRecord(**values | {"evaluation": epoch, "val_accuracy": 0.1 * epoch, "metrics": metrics})


CONFIG = TrialConfig("fixed-tune-000", Phase.TUNE, "fixed", "fixed", {"lr": 0.1}, 7)


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # of MLflow's own use of SQLAlchemy
def test_an_epoch_reaches_tensorboard_and_mlflow_once(tmp_path: Path) -> None:
    database = tmp_path / "runs.db"
    kept = Tracking(study(tensorboard=True, mlflow=f"sqlite:///{database}"), open_location(tmp_path / "run"))
    kept.add(CONFIG, [row(1)])
    kept.add(CONFIG, [row(1), row(2)])  # from its checkpoint again, after a lost machine
    kept.end(CONFIG, failed=False)
    kept.close()
    with sqlite3.connect(database) as tables:
        values = "SELECT step, value FROM metrics WHERE key = 'val_accuracy' ORDER BY step"
        assert tables.execute(values).fetchall() == [(1, 0.1), (2, 0.2)]
        values = "SELECT value FROM metrics WHERE key = 'perplexity' ORDER BY step"
        assert tables.execute(values).fetchall() == [(2.0,), (4.0,)], "a metric that the study declares"
        assert ("lr", "0.1") in tables.execute("SELECT key, value FROM params").fetchall()
        assert tables.execute("SELECT status, name FROM runs").fetchall() == [("FINISHED", "fixed-tune-000")]
    (events,) = (tmp_path / "run" / "tracking" / "fixed-tune-000").glob("events.out.tfevents.*")
    assert events.read_bytes().count(b"val_accuracy") == 3  # two epochs, and the last beside the parameters


class Broken:
    calls = 0

    def setup(self) -> None:
        pass

    def on_trial_start(self, *_: object) -> None:
        Broken.calls += 1
        raise ConnectionError("no server")

    on_trial_result = on_trial_complete = on_trial_start


def test_a_tracker_that_fails_is_told_once_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracking, "_trackers", lambda _: [Broken])
    kept = Tracking(study(), open_location(tmp_path))
    with caplog.at_level(logging.WARNING):
        kept.add(CONFIG, [row(1), row(2)])
        kept.end(CONFIG, failed=False)
        kept.close()
    assert Broken.calls == 1
    assert "Broken raised an error and was disabled: ConnectionError('no server')" in caplog.text


def test_off_it_starts_nothing(tmp_path: Path) -> None:
    kept = Tracking(study(), open_location(tmp_path))
    kept.add(CONFIG, [row(1)])
    kept.close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_work_is_refused_before_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    asked = study(tensorboard=True, mlflow="http://me:secret@host:5000", wandb="p")
    found = {p.key: str(p) for p in check_tracking(asked, open_location(tmp_path))}
    assert "pip install 'lrstudy[wandb]'" in found["logging.wandb"]
    assert "MLFLOW_TRACKING_PASSWORD" in found["logging.mlflow"]
    assert not any("secret" in text for text in found.values())


def test_what_tracks_a_study_does_not_make_it_another_one() -> None:
    assert study(mlflow="sqlite:///a.db").spec_hash == study().spec_hash
