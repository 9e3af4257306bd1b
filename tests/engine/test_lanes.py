"""Lanes compute what plain trainings compute, keep to themselves, and hand over to plain trainings."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.engine.lanes import LaneGroup, choose_lanes, why_not
from lrstudy.engine.lanes.eligibility import neighbours_matter
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data
from lrstudy.tasks.splits import Split

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
CLOCKS = ("train_seconds", "estimate_seconds", "eval_seconds")
NORMED = {"name": "mlp", "widths": [16, 8], "batch_norm": "last"}

# At its full rate training is chaotic: it magnifies the last digit's rounding within 50 steps.
CALM: tuple[str, dict[str, Any]] = ("lipschitz", {"scale": 0.05})

# Every kind that can run in lanes, with what makes it move: 50 steps are 3 epochs.
LANES: list[tuple[str, dict[str, Any]]] = [
    ("fixed", {"lr": 0.1}),
    ("fixed", {"lr": 0.05, "warmup": 0.5}),
    ("step", {"lr": 0.1, "gamma": 0.5, "milestones": (0.3, 0.6)}),
    ("cyclic", {"max_lr": 0.3, "base_ratio": 0.1, "cycle_epochs": 2, "cycle_momentum": True}),
    ("one-cycle", {"max_lr": 0.3, "cycle_momentum": True}),
    ("cosine", {"lr": 0.2, "restarts": 1}),
    ("linear", {"lr": 0.2}),
    ("exponential", {"lr": 0.2, "gamma": 0.5}),
    ("polynomial", {"lr": 0.2}),
    ("inverse-time", {"lr": 0.2, "decay": 0.1}),
    ("plateau", {"lr": 0.2, "patience": 0}),
    ("lipschitz", {"measure": "hook", "scale": 0.1}),
    ("lipschitz", {"measure": "hook", "time_decay": 0.01, "scale": 0.1}),
    ("lipschitz", {"measure": "hook", "bound": "smoothness", "scale": 0.1}),
    ("lipschitz", {"measure": "pass", "scale": 0.1}),
    ("lipschitz", {"measure": "subset", "fraction": 0.2, "scale": 0.1}),
    ("lipschitz", {"bound": "network", "anneal": "cosine", "scale": 0.1}),
    ("lipschitz", {"bound": "secant", "cap": "last-good", "max_growth": 1.5, "anneal": "linear"}),
    ("prodigy", {"d_coef": 0.1}),
    ("d-adaptation", {"lr": 0.1}),
    ("schedule-free", {"lr": 0.1}),
    ("dog", {}),
    ("wsd", {"lr": 0.2, "warmup": 0.2}),
    ("inverse-sqrt", {"lr": 0.2}),
    ("rex", {"lr": 0.2}),
    ("power", {"lr": 0.2}),
    ("polyak", {"max_lr": 0.3, "c": 2.0}),
    ("polyak", {"c": 2.0, "smoothing": 2.0, "warmup": 0.3}),
    ("cosine", {"lr": 0.2, "weight_decay.from": 0.1, "weight_decay.to": 0.0, "momentum.to": 0.5}),
    ("polyak", {"max_lr": 0.3, "c": 2.0, "weight_decay.from": 0.01, "momentum.from": 0.5}),
]
if find_spec("pytorch_optimizer") is not None:  # the package that has AdamG
    LANES.append(("adamg", {"lr": 0.1}))


def study(**task: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {
                "dataset": "digits",
                "model": NORMED,
                "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
                "batch_size": 68,  # 17 steps an epoch, the last of them smaller
                "epochs": 3,
                "precision": "float64",
                **task,
            },
            "target": {"metric": "val_loss"},
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study().task, 0, None)


def configs(lanes: list[tuple[str, dict[str, Any]]], phase: Phase = Phase.TUNE) -> list[TrialConfig]:
    return [TrialConfig(f"t{i}", phase, kind, kind, params, i) for i, (kind, params) in enumerate(lanes)]


def run(group: LaneGroup) -> list[list[EvaluationRecord]]:
    records: list[list[EvaluationRecord]] = [[] for _ in group.trainings]
    while group.active:
        for lane, record in group.run_to_evaluation().items():
            records[lane].append(record)
    return records


def test_lanes_of_different_lengths_train_as_each_alone(data: TaskData) -> None:
    whole = study(epochs=3, lengths=[2])
    trials = [TrialConfig(name, Phase.TUNE, name, "fixed", {"lr": 0.1}, 0) for name in ("fixed", "fixed@2")]
    group = LaneGroup(whole, data, trials, CPU)
    together = run(group)
    assert [len(rows) for rows in together] == [3, 2]
    for rows, config in zip(together, trials, strict=True):
        training = Training(whole, data, config, CPU)
        assert_close(rows, list(training.run()))


def assert_close(lane: list[EvaluationRecord], plain: list[EvaluationRecord]) -> None:
    assert len(lane) == len(plain)
    for ours, theirs in zip(lane, plain, strict=True):
        for name, value in asdict(theirs).items():
            if name not in CLOCKS:
                wanted = None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)
                assert getattr(ours, name) == wanted, name


def assert_same_weights(one: Training, other: Training) -> None:
    for a, b in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def plain(study: Study, data: TaskData, config: TrialConfig) -> tuple[Training, list[EvaluationRecord]]:
    training = Training(study, data, config, CPU)
    records = []
    while not training.finished:
        records.append(training.run_to_evaluation())
    return training, records


def test_every_schedule_runs_in_a_lane_as_it_does_alone(data: TaskData) -> None:
    kinds = {kind for kind, _ in LANES}
    missing = set() if find_spec("pytorch_optimizer") is not None else {"adamg"}
    assert kinds | missing == {name for name in SCHEDULES if why_not(study(), data, [name]) is None}
    group = LaneGroup(study(), data, configs(LANES, Phase.CONFIRM), CPU)
    records = run(group)
    assert records[0][-1].step >= 50
    for lane, config in enumerate(configs(LANES, Phase.CONFIRM)):
        alone, wanted = plain(study(), data, config)
        assert_close(records[lane], wanted)
        assert_same_weights(group.trainings[lane], alone)
        ours, theirs = group.trainings[lane].outcome(), alone.outcome()
        assert ours.test == pytest.approx(theirs.test, rel=1e-9)
        assert (ours.best_evaluation, ours.status) == (theirs.best_evaluation, theirs.status)


@pytest.mark.parametrize(
    "task",
    [
        {"optimizer": {"name": "sgd", "momentum": 0.9, "dampening": 0.9}},
        {"optimizer": {"name": "sgd", "momentum": 0.0, "dampening": 0.5}},
        {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}},
        {"optimizer": {"name": "sgd", "weight_decay": 0.1, "weight_decay_on": "kernels"}},
        {"drop_last": True},
        {"optimizer": {"name": "adam", "lr": 0.01, "weight_decay": 0.01}},
        {"optimizer": {"name": "adamw", "lr": 0.01}},
        {"optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1, "weight_decay_on": "kernels"}},
        {"optimizer": {"name": "rmsprop", "lr": 0.01, "momentum": 0.5, "eps": 1e-3}},
        {"model": "softmax-regression", "loss": "clipped-cross-entropy"},
        {"dataset": "diabetes", "model": {"name": "mlp", "widths": [8]}, "loss": "least-squares"},
    ],
)
def test_optimizers_and_losses_are_those_of_the_plain_loop(task: dict[str, Any]) -> None:
    task.setdefault("optimizer", {"name": "sgd", "lr": 0.01})
    chosen = study(**task, epochs=2)
    rows = load_data(chosen.task, 0, None)
    lanes = [("fixed", {"lr": 0.01}), CALM, ("fixed", {"lr": 0.002})]
    if chosen.task.optimizer.name == "sgd":  # one that has a momentum where the others may have none
        lanes.append(("one-cycle", {"max_lr": 0.01, "cycle_momentum": True}))
    assert why_not(chosen, rows, [kind for kind, _ in lanes]) is None
    records = run(LaneGroup(chosen, rows, configs(lanes), CPU))
    for lane, config in enumerate(configs(lanes)):
        assert_close(records[lane], plain(chosen, rows, config)[1])


def test_a_lane_that_diverges_disturbs_no_other_and_leaves(data: TaskData) -> None:
    lanes = [("fixed", {"lr": 0.02}), ("fixed", {"lr": 1e30}), CALM, ("fixed", {"lr": 0.01})]
    group = LaneGroup(study(), data, configs(lanes), CPU)
    group.run_to_evaluation()
    assert group.trainings[1].outcome().status is Status.DIVERGED
    assert group.active == (0, 2, 3)
    records = run(group)
    assert records[1] == []
    for lane in (0, 2, 3):
        alone, wanted = plain(study(), data, configs(lanes)[lane])
        assert_close(records[lane], wanted[1:])
        assert_same_weights(group.trainings[lane], alone)


def test_a_dropped_lane_stays_where_it_is(data: TaskData) -> None:
    group = LaneGroup(study(), data, configs([("fixed", {"lr": 0.1})] * 3), CPU)
    group.run_to_evaluation()
    group.drop(1)
    assert set(group.run_to_evaluation()) == {0, 2}
    assert [lane.epoch for lane in group.trainings] == [2, 1, 2]


def saved(state: dict[str, Any]) -> tuple[dict[str, Any], int]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    size = buffer.tell()
    buffer.seek(0)
    return torch.load(buffer, weights_only=True), size


BASES = [
    {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    {"name": "adam", "lr": 0.01, "weight_decay": 0.01},
    {"name": "rmsprop", "lr": 0.01, "momentum": 0.5, "eps": 1e-3},
]


@pytest.mark.parametrize("optimizer", BASES)
@pytest.mark.parametrize("lane", [0, 1, 2])
def test_a_lane_goes_on_as_a_plain_trial(data: TaskData, lane: int, optimizer: dict[str, Any]) -> None:
    cycled = {"max_lr": 0.05, "cycle_momentum": optimizer["name"] == "adam"}
    lanes = [("cyclic", {"max_lr": 0.05}), CALM, ("one-cycle", cycled)]
    chosen = study(optimizer=optimizer)
    group = LaneGroup(chosen, data, configs(lanes), CPU)
    group.run_to_evaluation()
    state, size = saved(group.state(lane))
    alone = Training(chosen, data, configs(lanes)[lane], CPU)
    alone.load_state_dict(state)
    records = []
    while not alone.finished:
        records.append(alone.run_to_evaluation())
    assert_close(run(group)[lane], records)
    assert_same_weights(group.trainings[lane], alone)
    whole = sum(p.numel() for p in alone.model.parameters()) * 8
    assert size < 4 * whole + 40_000  # weights, averages and generators: not the other lanes'


@pytest.mark.parametrize("optimizer", BASES)
def test_a_plain_trial_goes_on_in_a_lane(data: TaskData, optimizer: dict[str, Any]) -> None:
    lanes = [("fixed", {"lr": 0.02}), CALM]
    chosen = study(optimizer=optimizer)
    group = LaneGroup(chosen, data, configs(lanes), CPU)
    alone = [Training(chosen, data, config, CPU) for config in configs(lanes)]
    for lane, training in enumerate(alone):
        training.run_to_evaluation()
        group.load(lane, saved(training.state_dict())[0])
    records = run(group)
    for lane, training in enumerate(alone):
        assert_close(records[lane], [training.run_to_evaluation(), training.run_to_evaluation()])
        assert_same_weights(group.trainings[lane], training)


@pytest.mark.parametrize(
    ("task", "kind", "reason"),
    [
        ({"precision": "bf16"}, "fixed", "bf16"),
        ({"model": {"name": "mlp", "widths": [8], "dropout": 0.5}}, "fixed", "Dropout"),
        ({"model": "paper-cnn"}, "fixed", "Dropout"),
        ({}, "some.module:Schedule", "user-defined"),
    ],
)
def test_what_cannot_run_in_lanes_is_told(
    data: TaskData, task: dict[str, Any], kind: str, reason: str
) -> None:
    assert reason in str(why_not(study(**task), data, ["step", kind]))


OWN = """
import torch
from torch import nn


class Sines(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.head = nn.Linear(64, 12), nn.BatchNorm1d(12), nn.Linear(12, 10)

    def forward(self, x):
        return self.head(self.norm(self.hidden(x.flatten(1)).sin()))


class Words(nn.Module):
    # 16 words of 4 numbers each: the last layer's rows are words, averaged behind it
    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.norm(x.reshape(len(x), 16, 4))).mean(1)


def activations():
    layers = [nn.Linear(64, 12)]
    for activation in (nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.LeakyReLU(0.2)):
        layers += [activation, nn.Linear(12, 12), nn.Identity()]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(12, 10))


class Doubled(Sines):
    def forward(self, x):
        found = super().forward(x)
        return found if self.training or found.max() < 0 else 2 * found


class Counting(Sines):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) / self.calls


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(64, 12), nn.Linear(12, 10)

    def forward(self, x):
        hidden = self.hidden(x.flatten(1)).relu()
        return self.head(hidden) + self.head(-hidden)


class NoLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 10) / 10)

    def forward(self, x):
        return (self.weight.T @ x.flatten(1).T).T


def clamped():
    model = plain()
    model[1].weight.register_hook(lambda gradient: gradient.clamp(-100, 100))
    return model


class Noisy(Sines):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))



def plain():
    layers = nn.Linear(64, 12), nn.ReLU(inplace=True), nn.Linear(12, 10, bias=False)
    return nn.Sequential(nn.Flatten(), *layers)


def frozen():
    model = plain()
    model[1].bias.requires_grad_(False)
    return model


def tied():
    same = nn.Linear(64, 64)
    return nn.Sequential(nn.Flatten(), same, nn.ReLU(), same, nn.Linear(64, 10))


def hooked():
    model = plain()
    model[1].register_forward_hook(lambda module, inputs, outputs: 2 * outputs)
    return model


def rows_of_rows():
    return nn.Sequential(nn.Linear(8, 4), nn.Flatten(), nn.Linear(32, 10))


def flat_by_halves():
    return nn.Sequential(nn.Flatten(2), nn.BatchNorm1d(1), nn.Flatten(), nn.Linear(64, 10))


def huge():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 140_000), nn.Linear(140_000, 10))
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("plain", None),
        ("Sines", None),
        ("Words", None),
        ("activations", None),
        ("Noisy", "random"),
        ("Doubled", "data-dependent"),
        ("frozen", "frozen"),
        ("tied", "stacked"),
        ("hooked", "hook"),
        ("clamped", "hook"),
        ("Counting", "stacked"),
        ("Twice", None),
        ("NoLinear", None),
        ("rows_of_rows", "stacked"),
        ("flat_by_halves", "stacked"),
        ("huge", "parameters"),
    ],
)
def test_a_users_model_is_tried_before_it_is_stacked(
    data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str | None
) -> None:
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    told = why_not(study(model=f"own_models:{name}"), data, ["fixed"])
    assert told is None if reason is None else reason in str(told)


@pytest.mark.parametrize("name", ["plain", "Sines", "Words", "activations"])
def test_a_users_model_trains_in_lanes_as_it_does_alone(
    data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    chosen = study(model=f"own_models:{name}")
    # The output of Words is an average of its head's, which therefore has to be named.
    calm = ("lipschitz", {**CALM[1], "head": "head"}) if name == "Words" else CALM
    lanes = configs([("cyclic", {"max_lr": 0.1}), calm, ("fixed", {"lr": 1e30}), ("dog", {}), calm])
    group = LaneGroup(chosen, data, lanes, CPU)
    records = run(group)
    assert group.trainings[2].outcome().status is Status.DIVERGED
    for lane in (0, 1, 3, 4):
        alone, wanted = plain(chosen, data, lanes[lane])
        assert_close(records[lane], wanted)
        assert_same_weights(group.trainings[lane], alone)
    assert any(row.kz is not None for row in records[1])


def test_no_compiler_is_imported_for_a_trial_alone_or_in_lanes() -> None:
    code = """
import sys, torch
from pathlib import Path
from lrstudy.engine.lanes import LaneGroup, choose_lanes
from lrstudy.records import Phase
from lrstudy.spec import load_study
from lrstudy.tasks import check_task, load_data
from lrstudy.engine.trial import Training, TrialConfig
study = load_study(Path("studies/digits.toml"), ["task.epochs=1"])
data = load_data(study.task, 0, None)
check_task(study.task, data)
assert choose_lanes(study, data).lanes > 0
configs = [TrialConfig(k, Phase.TUNE, k, k, {}, 0) for k in ("fixed", "step", "cyclic", "lipschitz")]
LaneGroup(study, data, configs, torch.device("cpu")).run_to_evaluation()
Training(study, data, configs[0], torch.device("cpu")).run_to_evaluation()
for optimizer in ("adam", "adamw", "rmsprop"):
    study = load_study(Path("studies/digits.toml"), ["task.epochs=1", f"task.optimizer={optimizer}"])
    Training(study, data, configs[0], torch.device("cpu")).run_to_evaluation()
assert "torch._dynamo" not in sys.modules, "a second of every process"
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_who_measures_pays_for_it(data: TaskData, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = [("fixed", {"lr": 0.1}), ("lipschitz", {"measure": "hook"}), ("fixed", {"lr": 0.2})]
    group = LaneGroup(study(), data, configs(lanes), CPU)
    group.run_to_evaluation()
    assert group._model.watched == {1}
    monkeypatch.setattr(group._model, "take_watch_seconds", lambda: 6.0)
    assert group._shares(9.0) == [1.0, 7.0, 1.0]


def test_a_records_share_of_the_time_adds_up(data: TaskData) -> None:
    group = LaneGroup(study(), data, configs([("fixed", {"lr": 0.1})] * 4), CPU)
    records = group.run_to_evaluation().values()
    assert len({record.train_seconds > 0 for record in records}) == 1
    assert all(math.isfinite(record.eval_seconds) for record in records)
    alone = next(Training(study(), data, configs([("fixed", {"lr": 0.1})])[0], CPU).run())
    assert alone.samples == next(iter(records)).samples


@pytest.mark.parametrize(
    "task",
    [
        {"model": {"name": "mlp", "widths": [32], "batch_norm": "last"}},
        {"optimizer": {"name": "adam", "lr": 0.01, "weight_decay": 0.01}},
        {"model": "own_models:activations"},  # whose rows of 12 numbers fill no processor's vectors
        {"model": {"name": "mlp", "widths": [20, 12], "batch_norm": "all"}},
    ],
)
def test_a_lanes_bits_do_not_depend_on_how_many_train_beside_it(
    data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: dict[str, Any]
) -> None:
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    chosen = study(precision="float32", batch_size=33, **task)
    measuring = [{"scale": 0.1}, {"bound": "smoothness", "scale": 0.1}]
    kinds = [("lipschitz", measuring[0]), ("cyclic", {"max_lr": 0.1}), ("lipschitz", measuring[1])]
    lanes = configs(kinds * 2)

    def measured(rows: list[EvaluationRecord]) -> list[dict[str, Any]]:
        return [{k: v for k, v in asdict(row).items() if k not in CLOCKS} for row in rows]

    together = run(LaneGroup(chosen, data, lanes, CPU))
    for some in ([0], [5], [1, 2], [3, 4, 5]):
        apart = run(LaneGroup(chosen, data, [lanes[number] for number in some], CPU))
        for number, rows in zip(some, apart, strict=True):
            assert measured(together[number]) == measured(rows)


@pytest.mark.parametrize("name", ["NoLinear", "Twice"])
def test_lanes_are_chosen_for_any_last_layer(
    data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    resources = study().resources.model_copy(update={"lanes": 4})
    assert choose_lanes(
        study(model=f"own_models:{name}").model_copy(update={"resources": resources}), data
    ).lanes


def test_a_choice_takes_batches_as_training_does(data: TaskData) -> None:
    # A last row by itself would be too little for batch-norm.
    for rows, size in ((257, 256), (9, 8), (5, 4)):
        few = replace(data, train=Split(data.train.inputs[:rows], data.train.targets[:rows]))
        assert "raised" not in choose_lanes(study(batch_size=size), few).reason


def test_a_choice_that_fails_is_a_study_without_lanes(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> bool:
        raise KeyError("here")

    monkeypatch.setattr("lrstudy.engine.lanes.auto_choice.neighbours_matter", broken)
    resources = study().resources.model_copy(update={"lanes": 4})
    found = choose_lanes(study().model_copy(update={"resources": resources}), data)
    assert (found.lanes, found.reason) == (0, "a trial in lanes raised KeyError: 'here'")


class Leaking(LaneGroup):
    """Lanes whose weights depend, in their last digit, on how many there are."""

    def run_to_evaluation(self) -> dict[int, EvaluationRecord]:
        records = super().run_to_evaluation()
        with torch.no_grad():
            for lane in self.trainings:
                next(lane.model.parameters()).mul_(1 + len(self.trainings) * 2e-7)
        return records


def test_lanes_whose_bits_depend_on_their_neighbours_are_not_chosen(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = study(precision="float32")
    assert not neighbours_matter(chosen, data)
    assert choose_lanes(chosen, data).lanes
    monkeypatch.setattr("lrstudy.engine.lanes.eligibility.LaneGroup", Leaking)
    assert neighbours_matter(chosen, data)
    declined = choose_lanes(chosen, data)
    assert (declined.lanes, "neighbours" in declined.reason) == (0, True)
    resources = chosen.resources.model_copy(update={"lanes": 4})
    asked = choose_lanes(chosen.model_copy(update={"resources": resources}), data)
    assert (asked.lanes, "neighbours" in asked.reason) == (4, True)
