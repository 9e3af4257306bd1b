"""A study in lanes: the records of plain trials, the same bits each time, groups made for free workers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from lrstudy.engine.lanes import choose_lanes
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import Status
from lrstudy.spec import Study, parse_study
from lrstudy.store import open_store
from lrstudy.tasks import TaskData, load_data
from lrstudy.tuning import prepare
from lrstudy.tuning.repeat import repeat

CPU = torch.device("cpu")


SCHEDULES: dict[str, Any] = {
    "lipschitz": {"scale": 0.1},
    "fixed": {"lr": {"low": 0.01, "high": 0.1, "log": True}},
    "wild": {"kind": "fixed", "lr": {"low": 1e60, "high": 1e70, "log": True}},
}


def study(lanes: int | str = 4, **sections: Any) -> Study:
    content: dict[str, Any] = {
        "name": "small",
        "task": {
            "dataset": "digits",
            "model": {"name": "mlp", "widths": [8], "batch_norm": "last"},
            "batch_size": 64,
            "epochs": 3,
            "precision": "float64",
        },
        "budget": {"trials": 4, "confirm_seeds": 3, "search": "random", "objective": "best"},
        "target": {"values": [0.8], "reference": "fixed"},
        "schedules": SCHEDULES,
        "resources": {"lanes": lanes},
    }
    return parse_study(content | sections, "test")


def alone(spec: Study, data: TaskData, config: TrialConfig) -> tuple[Training, list[dict[str, Any]]]:
    training, rows = Training(spec, data, config, CPU), []
    while not training.finished:
        rows.append(values(training.run_to_evaluation()))
    return training, rows


def values(row: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if not name.endswith("seconds")}


def near(row: dict[str, Any]) -> dict[str, Any]:
    def close(value: Any) -> Any:
        return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)

    return {name: close(value) for name, value in row.items()}


@pytest.mark.cluster
def test_a_study_in_lanes_has_the_records_of_plain_trials(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # With an optimizer of its own among those that step together.
    spec = study(schedules=SCHEDULES | {"free": {"kind": "schedule-free", "lr": 0.1}})
    with prepare(spec, str(tmp_path)) as ready:
        ready.start(lambda: None)
        assert ready.run.done
    assert capfd.readouterr().out == "", "Tune prints nothing"
    store = open_store(tmp_path / "small")
    assert json.loads((tmp_path / "small" / "study.json").read_text())["lanes"] == 4
    assert "lanes: 4 (as asked for)" in (tmp_path / "small" / "run.log").read_text()
    assert ready.lanes_note == "lanes: up to 4 trials side by side in a worker (as asked for)"
    records = store.trial_records()
    assert len(records) == 1 + 4 + 4 + 1 + 4 * 3
    rows: dict[str, list[Any]] = {}
    for key, row in store.evaluation_records():
        rows.setdefault(key.trial_id, []).append(row)
    data = load_data(spec.task, spec.seed, None)
    for record in records:
        kind = spec.schedule(record.schedule).kind
        config = TrialConfig(record.trial_id, record.phase, record.schedule, kind, record.params, record.seed)
        training, wanted = alone(spec, data, config)
        assert [values(row) for row in rows[record.trial_id]] == [near(row) for row in wanted]
        outcome = training.outcome()
        assert (record.status, record.evaluations_run) == (outcome.status, outcome.evaluations)
        assert record.best_val == near({"": outcome.best_val})[""]
        assert record.test_loss == near({"": outcome.test.get("loss")})[""]
    assert {record.schedule for record in records if record.status is Status.DIVERGED} == {"wild"}
    for trial in ("lipschitz-confirm-001", "fixed-tune-002"):
        assert repeat(store, spec, trial).same


@pytest.mark.cluster
def test_lanes_that_a_pruner_gives_up_are_dropped_and_the_others_train_on_as_if_alone(tmp_path: Path) -> None:
    spec = study(
        budget={"trials": 6, "confirm_seeds": 2, "search": "random", "pruner": "asha", "reduction": 2}
    )
    with prepare(spec, str(tmp_path)) as ready:
        ready.start(lambda: None)
        assert ready.run.done
    store = open_store(tmp_path / "small")
    assert store.study.lanes == 4
    rows: dict[str, list[Any]] = {}
    for key, row in store.evaluation_records():
        rows.setdefault(key.trial_id, []).append(row)
    data = load_data(spec.task, spec.seed, None)
    lost = [record for record in store.trial_records() if record.status is Status.PRUNED]
    assert len({record.schedule for record in lost}) == 1, (
        "the wild one's all diverge: none is behind another"
    )
    assert 2 <= len(lost) < 6
    assert {record.evaluations_run for record in lost} <= {1, 2}
    for record in store.trial_records():
        assert len(rows[record.trial_id]) == record.evaluations_run
        kind = spec.schedule(record.schedule).kind
        config = TrialConfig(record.trial_id, record.phase, record.schedule, kind, record.params, record.seed)
        _, wanted = alone(spec, data, config)
        assert [values(row) for row in rows[record.trial_id]] == [near(r) for r in wanted][
            : record.evaluations_run
        ]


def test_a_study_that_goes_on_keeps_to_what_it_began_with(tmp_path: Path) -> None:
    for began, later in ((4, 0), (0, 4)):
        out = str(tmp_path / str(began))
        with prepare(study(began), out):
            pass
        with prepare(study(later), out) as ready:
            assert "cannot change" in ready.lanes_note
            assert open_store(ready.location).study.lanes == began


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"resources": {"gpus": 0.5}}, "GPU"),
        ({"task": study().to_json()["task"] | {"model": {"name": "mlp", "dropout": 0.5}}}, "Dropout"),
        ({"resources": {"lanes": 0}}, "resources.lanes"),
    ],
)
def test_what_cannot_run_in_lanes_runs_plain_and_says_why(changed: dict[str, Any], reason: str) -> None:
    spec = study(**changed)
    found = choose_lanes(spec, load_data(spec.task, 0, None))
    assert found.lanes == 0
    assert reason in found.reason
