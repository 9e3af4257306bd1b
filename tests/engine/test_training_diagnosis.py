"""Measurements of a training that say why it explodes, and disturb nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.compat.torch import make_optimizer
from lrstudy.engine.lanes.eligibility import unsupported
from lrstudy.engine.stability_limit import limit_times_curvature
from lrstudy.engine.training_diagnosis import layer_names
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.errors import StudyFileError
from lrstudy.records import Phase
from lrstudy.rules.diagnostics import COLUMNS
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
DIAGNOSE = ["gradients", "stability"]
RULE = {parameter.name: parameter.default for parameter in SCHEDULES["lipschitz"].parameters} | {
    "measure": "hook"
}


def study(diagnose: list[str] | None = None, *, target: dict[str, Any] | None = None, **task: Any) -> Study:
    given = {
        "dataset": "iris",
        "model": {"name": "mlp", "widths": [8], "batch_norm": "all", "dropout": 0.3},
        "batch_size": 16,
        "epochs": 2,
        "diagnose": DIAGNOSE if diagnose is None else diagnose,
    }
    given = {name: value for name, value in (given | task).items() if value is not None}
    schedules: dict[str, Any] = {"fixed": {"lr": 0.1}, "lipschitz": {}}
    whole = {"name": "s", "task": given, "schedules": schedules, "target": target or {}}
    return parse_study(whole, "test")


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study().built_in, 0, None)


def training(spec: Study, data: TaskData, kind: str = "fixed", **params: Any) -> Training:
    return Training(spec, data, TrialConfig("t", Phase.TUNE, kind, kind, params, 7), CPU)


def rows(trained: Training) -> list[dict[str, Any]]:
    found = [asdict(row) for row in trained.run()]
    trained.close()
    return found


def undiagnosed(row: dict[str, Any]) -> dict[str, str]:
    metrics = {name: value for name, value in row["metrics"].items() if name not in COLUMNS}
    row = row | {"metrics": metrics}
    return {name: repr(value) for name, value in row.items() if not name.endswith("_seconds")}


@pytest.mark.parametrize(("kind", "params"), [("lipschitz", RULE), ("fixed", {"lr": 0.1})])
def test_a_diagnosed_trial_has_the_bits_of_one_that_is_not(
    data: TaskData, kind: str, params: dict[str, Any]
) -> None:
    plain, diagnosed = (training(study(which), data, kind, **params) for which in ([], None))
    states = []
    for trained in (plain, diagnosed):
        torch.manual_seed(3)
        states.append([undiagnosed(row) for row in rows(trained)])
    assert states[0] == states[1]
    ours, theirs = (trained.model.state_dict() for trained in (diagnosed, plain))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert torch.equal(diagnosed.order.get_state(), plain.order.get_state())


def test_the_hessian_of_a_linear_regression_is_that_of_the_batch() -> None:
    task = {"dataset": "diabetes", "model": "linear-regression", "loss": "least-squares", "epochs": 1}
    spec = study(["stability"], target={"metric": "val_r2"}, batch_size=400, **task)
    data = load_data(spec.built_in, 0, None)
    trained = training(spec, data, lr=0.1)
    (row,) = rows(trained)
    inputs = torch.cat([x for x, _ in trained.pipeline.batches("train")]).double()
    with_ones = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
    largest = float(torch.linalg.eigvalsh(with_ones.T @ with_ones / len(inputs))[-1])
    assert row["metrics"]["curvature"] == pytest.approx(largest, rel=1e-3)
    assert row["metrics"]["rate_over_limit"] == pytest.approx(0.1 * largest / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("momentum", "dampening", "nesterov"),
    [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.9, False), (0.8, 0.0, True)],
)
@pytest.mark.parametrize("share", [0.98, 1.02])
def test_a_quadratic_is_left_just_beyond_the_limit(
    momentum: float, dampening: float, nesterov: bool, share: float
) -> None:
    weight, curvature = nn.Parameter(torch.ones(1, dtype=torch.float64)), 3.0
    optimizer = make_optimizer(
        SGD, [weight], lr=1.0, momentum=momentum, dampening=dampening, nesterov=nesterov
    )
    limit = limit_times_curvature(optimizer)
    assert limit is not None
    optimizer.param_groups[0]["lr"] = share * limit / curvature
    for _ in range(2000):
        weight.grad = curvature * weight.detach()
        optimizer.step()
    assert (float(weight.detach().abs()) < 1e-3) == (share < 1)


def test_there_is_no_limit_for_optimizers_with_norms_and_for_several_rates() -> None:
    one, other = (nn.Parameter(torch.ones(1)) for _ in range(2))
    assert limit_times_curvature(make_optimizer(Adam, [one])) is None
    groups = [{"params": [one], "lr": 0.1}, {"params": [other], "lr": 0.2}]
    assert limit_times_curvature(make_optimizer(SGD, groups, lr=0.1)) is None


def test_the_layer_with_the_largest_gradient_is_named(data: TaskData) -> None:
    spec = study(["gradients"], model={"name": "mlp", "widths": [8]})
    trained = training(spec, data, lr=0.1)
    # The first layer's gradient is the product with the last one's weights.
    with torch.no_grad():
        list(trained.model.parameters())[2].mul_(1000)
    (row, *_) = rows(trained)
    assert row["metrics"]["gradient_ratio"] < 1
    assert row["metrics"]["largest_gradient_layer"] == 1
    assert len(layer_names(spec.built_in, data)) == 2
    (row, *_) = rows(training(study(["gradients"], model="softmax-regression"), data, lr=0.1))
    assert row["metrics"] == {"gradient_ratio": None, "largest_gradient_layer": 1}


def test_a_trial_that_explodes_has_the_measurements_before_it(data: TaskData) -> None:
    spec = study(["stability"], model={"name": "mlp", "widths": [8]}, epochs=3)
    found = rows(training(spec, data, lr=1e12))
    assert len(found) < 3  # it diverged
    assert found[-1]["metrics"]["rate_over_limit"] > 1e6


def test_a_resumed_trial_measures_the_same(data: TaskData) -> None:
    whole = rows(training(study(), data, lr=0.1))
    first = training(study(), data, lr=0.1)
    first.run_to_evaluation()
    again = training(study(), data, lr=0.1)
    again.load_state_dict(first.state_dict())
    (row,) = rows(again)
    assert row["metrics"] == whole[1]["metrics"]


def test_the_weights_that_train_are_measured_not_their_average(data: TaskData) -> None:
    plain, averaged = (rows(training(study(ema=ema), data, lr=0.1)) for ema in (None, 0.5))
    assert [row["val_loss"] for row in plain] == [row["val_loss"] for row in averaged]
    for one, other in zip(plain, averaged, strict=True):
        assert {name: one["metrics"][name] for name in COLUMNS} == {
            name: other["metrics"][name] for name in COLUMNS
        }


def test_the_time_is_that_of_evaluation(data: TaskData) -> None:
    ticks = iter(range(1000))
    config = TrialConfig("t", Phase.TUNE, "fixed", "fixed", {"lr": 0.1}, 7)
    seconds = []
    for which in ([], DIAGNOSE):
        trained = Training(study(which), data, config, CPU, clock=lambda: float(next(ticks)))
        row = trained.run_to_evaluation()
        seconds.append((row.train_seconds, row.eval_seconds))
        trained.close()
    assert seconds[1] == (seconds[0][0], seconds[0][1] + 1)


def test_diagnosed_trials_have_no_lanes() -> None:
    assert unsupported(study().built_in) == "the training is diagnosed (task.diagnose)"


def test_measurements_judge_no_study_and_need_the_built_in_task() -> None:
    with pytest.raises(StudyFileError, match="is not a validation metric"):
        study(target={"metric": "curvature"})
    task = {"train": "mine:train", "steps": 5, "metrics": {"loss": "min"}, "diagnose": ["stability"]}
    with pytest.raises(StudyFileError, match="is for the built-in task") as caught:
        parse_study({"name": "s", "task": task, "schedules": {"fixed": {"lr": 0.1}}}, "test")
    assert "report such values" in caught.value.problems[0].remedy
