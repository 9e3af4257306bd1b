"""A trial trains with its searched values and its method's own parts; lanes need equal ones."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.engine.lanes import LaneGroup, choose_lanes
from lrstudy.engine.start_group import start_group
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
EPOCHS = 3
MUON = {
    "name": "torch.optim:Muon",
    "lr": 0.02,
    "groups": [{"match": "*.bias", "optimizer": "adamw", "lr": 0.002}],
}
FUNCTION = """
def train(trial):
    trial.log(f"{trial.options} {trial.params}")
"""


def study(task: dict[str, Any] | None = None, **tables: Any) -> Study:
    given = {
        "dataset": "iris",
        "model": {"name": "mlp", "widths": [8]},
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "batch_size": 16,
        "epochs": EPOCHS,
    }
    schedules = {"schedules": {"fixed": {"lr": 0.1}, "cosine": {"lr": 0.1}}}
    return parse_study({"name": "s", "task": given | (task or {}), **schedules, **tables}, "test")


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study().built_in, 0, None)


def config(kind: str = "fixed", name: str = "", **params: Any) -> TrialConfig:
    named = {key.replace("__", "."): value for key, value in params.items()}
    return TrialConfig(f"{kind}-tune-000", Phase.TUNE, name or kind, kind, named, 7)


def curve(training: Training) -> list[dict[str, str]]:
    records: list[EvaluationRecord] = list(training.run())
    training.close()
    return [{k: repr(v) for k, v in asdict(one).items() if not k.endswith("_seconds")} for one in records]


def test_a_searched_value_trains_as_the_same_value_of_the_study_file(data: TaskData) -> None:
    values = {"optimizer__weight_decay": 1e-2, "task__batch_size": 8, "model__widths": (4, 4)}
    searched = Training(study(), data, config(lr=0.1, **values), CPU)
    written = study(
        {
            "model": {"name": "mlp", "widths": [4, 4]},
            "optimizer": {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-2},
            "batch_size": 8,
        }
    )
    assert curve(searched) == curve(Training(written, data, config(lr=0.1), CPU))


@pytest.mark.parametrize("batch_size", [8, 96])
def test_a_schedule_spans_the_steps_of_the_searched_batch_size(data: TaskData, batch_size: int) -> None:
    training = Training(study(), data, config("cosine", lr=0.1, task__batch_size=batch_size), CPU)
    records = list(training.run())
    steps = EPOCHS * -(-len(data.train.targets) // batch_size)
    assert records[-1].step == steps
    assert records[-1].samples == EPOCHS * len(data.train.targets)
    # The last rate of half a cosine wave over exactly these steps.
    last = 0.05 * (1 + torch.cos(torch.tensor(torch.pi * (steps - 1) / steps, dtype=torch.float64)))
    assert records[-1].lr_min == pytest.approx(float(last))


def test_a_method_trains_with_its_optimizer(data: TaskData) -> None:
    method = {"muon": {"schedule": "cosine", "lr": 0.05, "optimizer": MUON}}
    training = Training(study(methods=method), data, config("cosine", "muon", lr=0.05), CPU)
    kinds = [type(part).__name__ for part in training.optimizer.parts]
    assert kinds == ["Muon", "AdamW"]
    written = Training(study({"optimizer": MUON}), data, config("cosine", lr=0.05), CPU)
    assert curve(training) == curve(written)


def test_a_method_trains_with_its_loss_and_is_measured_by_it(data: TaskData) -> None:
    clipped = {"name": "clipped-cross-entropy", "epsilon": 0.1}
    method = {"clipped": {"schedule": "lipschitz", "loss": clipped}}
    params = {name: each.default for each in SCHEDULES["lipschitz"].parameters for name in [each.name]}
    training = Training(study(methods=method), data, config("lipschitz", "clipped", **params), CPU)
    written = Training(study({"loss": clipped}), data, config("lipschitz", **params), CPU)
    plain = Training(study(), data, config("lipschitz", **params), CPU)
    found = curve(training)
    assert found == curve(written)
    assert found != curve(plain)
    assert float(found[0]["val_loss"]) >= -math.log(0.9)  # no value of the clipped loss is below


def test_a_methods_loss_writes_the_columns_of_the_studys_own(data: TaskData) -> None:
    method = {"own": {"schedule": "fixed", "lr": 0.1, "loss": "torch.nn:CrossEntropyLoss"}}
    spec = study({"ema": 0.9}, methods=method)
    training = Training(spec, data, config("fixed", "own", lr=0.1), CPU)
    assert set(training.run_to_evaluation().metrics) == set(spec.declared_metrics)


def test_a_method_with_two_optimizers_continues_from_a_checkpoint(data: TaskData) -> None:
    spec = study({"optimizer": MUON})
    whole = curve(Training(spec, data, config("cosine", lr=0.05), CPU))
    first = Training(spec, data, config("cosine", lr=0.05), CPU)
    first.run_to_evaluation()
    state = first.state_dict()
    again = Training(spec, data, config("cosine", lr=0.05), CPU)
    again.load_state_dict(state)
    assert curve(again) == whole[1:]


def test_the_range_test_of_a_method_is_of_its_optimizer_and_its_fixed_values(data: TaskData) -> None:
    method = {
        "schedule": "cosine",
        "lr": "range-test",
        "optimizer": "adamw",
        "search": {"task.batch_size": 48},
    }
    spec = study(methods={"adam": method})
    test = TrialConfig("adam-range-test-000", Phase.RANGE_TEST, "adam", "cosine", {}, 1)
    group = start_group(spec, data, [test], CPU, in_lanes=False)
    training = group._training
    assert type(training.optimizer).__name__ == "AdamW"
    assert training.pipeline.steps_per_epoch == 2
    group.close()


SEARCH = {"optimizer.momentum": {"low": 0.0, "high": 0.9}}
NO_LANES = {
    "searched": (study(search=SEARCH), "trials of a group would differ in optimizer.momentum"),
    "fixed": (
        study(methods={"m": {"schedule": "fixed", "search": {"task.batch_size": 8}}}),
        "trials of a group would differ in task.batch_size",
    ),
    "a method": (study(methods={"m": {"schedule": "fixed", "optimizer": "adam"}}), "'m' has its own"),
    "a method's loss": (
        study(methods={"m": {"schedule": "fixed", "loss": "clipped-cross-entropy"}}),
        "trials of a group would differ in the loss: 'm' has its own",
    ),
    "own optimizer": (study({"optimizer": "torch.optim:NAdam"}), "'torch.optim:NAdam' is not one of"),
    "own loss": (study({"loss": "torch.nn:CrossEntropyLoss"}), "'torch.nn:CrossEntropyLoss' is not one of"),
    "two optimizers": (
        study({"optimizer": {"name": "sgd", "groups": [{"match": "*.bias", "optimizer": "adam"}]}}),
        "a group of parameters has its own optimizer",
    ),
}


@pytest.mark.parametrize("name", NO_LANES)
def test_trials_that_do_not_share_their_task_have_no_lanes(data: TaskData, name: str) -> None:
    spec, words = NO_LANES[name]
    choice = choose_lanes(spec, data)
    assert choice.lanes == 0
    assert words in choice.reason


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_groups_of_parameters_are_stepped_in_lanes_as_alone(data: TaskData, name: str) -> None:
    groups = [{"match": "*.bias", "weight_decay": 0.0, "lr": 0.05}]
    spec = study({"optimizer": {"name": name, "lr": 0.1, "weight_decay": 0.1, "groups": groups},
                  "precision": "float64"})  # fmt: skip
    assert choose_lanes(spec, data).lanes > 0
    configs = [config(lr=0.1), config("cosine", lr=0.05)]
    lanes = LaneGroup(spec, data, configs, CPU)
    rows = [pause.rows for pause in lanes.run()]
    for number, each in enumerate(configs):
        alone = list(Training(spec, data, each, CPU).run())
        for row, expected in zip(rows, alone, strict=True):
            assert row[number].train_loss == pytest.approx(expected.train_loss, rel=1e-9)
    lanes.close()


def test_a_users_function_gets_its_options_and_its_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "searched_function.py").write_text(FUNCTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    task = {
        "train": "searched_function:train",
        "steps": 4,
        "metrics": {"val_loss": "min"},
        "options": {"width": 4, "depth": 2},
    }
    search = {"weight_decay": [0.0, 0.1], "task.options.width": [4, 8]}
    spec = parse_study(
        {"name": "s", "task": task, "search": search, "schedules": {"fixed": {"lr": 0.1}}}, "test"
    )
    assert list(spec.schedules[0].space) == ["params.weight_decay", "task.options.width"]
    from lrstudy.engine.function.start_function import settings_of
    from lrstudy.spec.searched_values import study_of_trial

    each = config(lr=0.1, params__weight_decay=0.1, task__options__width=8)
    trial = study_of_trial(spec, each.schedule, each.params)
    assert trial.function is not None
    settings = settings_of(trial, trial.function, each, CPU)
    assert settings.params == {"weight_decay": 0.1}
    assert settings.options == {"width": 8, "depth": 2}
    assert settings.schedule_params == {"lr": 0.1}
