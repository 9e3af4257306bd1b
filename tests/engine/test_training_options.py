"""Clipping, accumulation, weight averages, smoothed labels, fp16, compilation: against loops written out."""

from __future__ import annotations

import io
import math
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from lrstudy.engine.lanes.eligibility import why_not
from lrstudy.engine.plain_step import PlainStep
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.engine.weight_average import WeightAverage
from lrstudy.errors import StudyFileError
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.spec import Study, parse_study, restore_study
from lrstudy.tasks import Precision, Seeds, TaskData, TrainingParts, assemble, load_data

CPU = torch.device("cpu")
CLOCKS = ("train_seconds", "estimate_seconds", "eval_seconds")
LR = 0.3


def study(metric: str = "val_accuracy", resources: dict[str, Any] | None = None, **task: Any) -> Study:
    given = {
        "dataset": "digits",
        "model": {"name": "mlp", "widths": [16]},
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "batch_size": 64,
        "epochs": 2,
    }
    return parse_study(
        {
            "name": "s",
            "task": given | task,
            "target": {"metric": metric},
            "schedules": {"fixed": {"lr": LR}},
            "resources": resources or {},
        },
        "test",
    )


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study().task, 0, None)


def trial(kind: str = "fixed", phase: Phase = Phase.TUNE, **params: Any) -> TrialConfig:
    return TrialConfig("t", phase, kind, kind, params or ({"lr": LR} if kind == "fixed" else {}), 3)


def train(study: Study, data: TaskData, config: TrialConfig) -> tuple[Training, list[EvaluationRecord]]:
    training = Training(study, data, config, CPU)
    return training, list(training.run())


def parts_of(study: Study, data: TaskData) -> TrainingParts:
    parts = assemble(study.task, data, CPU, Seeds.of_trial(3))
    for group in parts.optimizer.param_groups:
        group["lr"] = LR
    return parts


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def assert_equal(ones: list[torch.Tensor], others: list[torch.Tensor], rtol: float = 0.0) -> None:
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol)


def curve(records: list[EvaluationRecord]) -> list[dict[str, str]]:
    return [{k: repr(v) for k, v in asdict(record).items() if k not in CLOCKS} for record in records]


@pytest.mark.parametrize("clip_norm", [0.5, 1e9])
def test_a_gradient_is_clipped_as_torch_clips_it_and_the_share_is_recorded(
    data: TaskData, clip_norm: float
) -> None:
    spec = study(clip_norm=clip_norm)
    training, records = train(spec, data, trial())
    parts = parts_of(spec, data)
    for record in records:
        clipped = []
        for inputs, targets in parts.pipeline.train_batches(parts.order):
            parts.model.zero_grad()
            parts.loss(parts.model(inputs), targets).backward()
            norm = torch.cat([p.grad.flatten() for p in parts.model.parameters()]).double().norm()
            clipped.append(float(norm) > clip_norm)
            torch.nn.utils.clip_grad_norm_(parts.model.parameters(), clip_norm)
            parts.optimizer.step()
        assert record.metrics["clipped_share"] == sum(clipped) / len(clipped)
    assert_equal(weights(training.model), weights(parts.model))
    shares = [record.metrics["clipped_share"] for record in records]
    assert shares == [0.0, 0.0] if clip_norm == 1e9 else 0 < shares[1] < 1


def test_without_clipping_no_share_is_recorded(data: TaskData) -> None:
    assert train(study(), data, trial())[1][0].metrics == {}


@pytest.mark.parametrize("kind", ["fixed", "cosine"])
def test_accumulated_batches_train_as_one_batch_of_all_their_rows(data: TaskData, kind: str) -> None:
    config = trial(kind, lr=LR)
    one, whole = train(study(batch_size=256, precision="float64"), data, config)
    other, parts = train(study(batch_size=64, accumulate=4, precision="float64"), data, config)
    rows = len(data.train.targets)
    assert (
        [r.step for r in parts]
        == [r.step for r in whole]
        == [math.ceil(rows / 256), 2 * math.ceil(rows / 256)]
    )
    assert [r.samples for r in parts] == [r.samples for r in whole] == [rows, 2 * rows]
    assert rows % 256 % 64 != 0, "the last step has a smaller batch"
    assert_equal(weights(other.model), weights(one.model), rtol=1e-12)
    for mine, theirs in zip(parts, whole, strict=True):
        assert mine.lr == theirs.lr
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-12)
        assert mine.val_loss == pytest.approx(theirs.val_loss, rel=1e-12)


@pytest.mark.parametrize("measure", ["hook", "pass"])
def test_the_lipschitz_rule_sees_accumulated_batches_as_one(data: TaskData, measure: str) -> None:
    config = trial("lipschitz", measure=measure, initial_lr=0.1)
    _, whole = train(study(batch_size=256, precision="float64", epochs=3), data, config)
    _, parts = train(study(batch_size=64, accumulate=4, precision="float64", epochs=3), data, config)
    assert parts[0].lipschitz_constant is whole[0].lipschitz_constant is None
    for mine, theirs in zip(parts[1:], whole[1:], strict=True):
        assert mine.lipschitz_constant is not None
        assert mine.lipschitz_constant == pytest.approx(theirs.lipschitz_constant, rel=1e-9)


def test_the_average_of_the_weights_is_evaluated_as_a_second_curve(data: TaskData) -> None:
    decay, batch_norm = 0.9, {"name": "mlp", "widths": [16], "batch_norm": "last"}
    spec = study(ema=decay, model=batch_norm)
    _, records = train(spec, data, trial())
    plain, unaveraged = train(study(model=batch_norm), data, trial())
    for mine, theirs in zip(records, unaveraged, strict=True):
        assert (mine.val_loss, mine.train_loss) == (theirs.val_loss, theirs.train_loss)
    parts, average = parts_of(spec, data), None
    for record in records:
        parts.model.train()
        for inputs, targets in parts.pipeline.train_batches(parts.order):
            parts.model.zero_grad()
            parts.loss(parts.model(inputs), targets).backward()
            parts.optimizer.step()
            now = {name: value.clone() for name, value in parts.model.state_dict().items()}
            if average is None:
                average = now
            for name, value in now.items():
                if value.is_floating_point():
                    average[name] = decay * average[name] + (1 - decay) * value
        copy = assemble(spec.task, data, CPU).model.eval()
        copy.load_state_dict({**parts.model.state_dict(), **(average or {})})
        inputs, targets = next(parts.pipeline.batches("validation", 10**6))
        with torch.no_grad():
            outputs = copy(inputs)
        loss = float(functional.cross_entropy(outputs, targets))
        assert record.metrics["ema_val_loss"] == pytest.approx(loss, rel=1e-5)
        accuracy = float((outputs.argmax(1) == targets).double().mean())
        assert record.metrics["ema_val_accuracy"] == pytest.approx(accuracy, abs=1e-9)
        assert record.metrics["ema_val_loss"] != record.val_loss
    assert_equal(weights(plain.model), weights(parts.model))


def test_a_study_can_be_judged_by_the_averaged_weights(data: TaskData) -> None:
    spec = study("ema_val_accuracy", ema=0.95)
    training, records = train(spec, data, trial(phase=Phase.CONFIRM))
    outcome = training.outcome()
    assert outcome.best_val == max(record.metrics["ema_val_accuracy"] or 0 for record in records)
    average = training.state_dict()["average"]
    copy = assemble(spec.task, data, CPU)
    copy.model.load_state_dict({k.removeprefix("module."): v for k, v in average.items() if "module." in k})
    inputs, targets = next(copy.pipeline.batches("test", 10**6))
    if outcome.best_val == records[-1].metrics["ema_val_accuracy"] != records[0].metrics["ema_val_accuracy"]:
        chosen = copy.model.eval()(inputs).argmax(1)
        assert outcome.test["accuracy"] == pytest.approx(float((chosen == targets).double().mean()))


def test_whole_numbers_in_buffers_are_copied_and_not_averaged() -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("index", torch.arange(100))
    average = WeightAverage(model, 0.9)  # 0.9 · 3 + 0.1 · 3 is just below 3
    for _ in range(3):
        average.update(model)
    assert torch.equal(average.model.state_dict()["index"], torch.arange(100))


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    model = nn.Linear(2, 2)
    model.kept = model.weight * 1  # torch copies leaves only
    with pytest.raises(StudyFileError, match="cannot be copied"):
        WeightAverage(model, 0.9)


def test_labels_are_smoothed_in_training_only(data: TaskData) -> None:
    spec = study(loss={"name": "cross-entropy", "label_smoothing": 0.2}, epochs=1)
    training, (record,) = train(spec, data, trial())
    parts, losses = parts_of(spec, data), []
    for inputs, targets in parts.pipeline.train_batches(parts.order):
        parts.model.zero_grad()
        loss = nn.CrossEntropyLoss(label_smoothing=0.2)(parts.model(inputs), targets)
        loss.backward()
        parts.optimizer.step()
        losses += [loss.item()] * len(targets)
    assert_equal(weights(training.model), weights(parts.model))
    assert record.train_loss == pytest.approx(sum(losses) / len(losses))
    inputs, targets = next(parts.pipeline.batches("validation", 10**6))
    with torch.no_grad():
        loss = functional.cross_entropy(parts.model(inputs), targets)
    assert record.val_loss == pytest.approx(float(loss))


def test_the_lipschitz_rule_knows_of_smoothed_labels(data: TaskData) -> None:
    smoothed = study(loss={"name": "cross-entropy", "label_smoothing": 0.2})
    config = trial("lipschitz", bound="valid")
    constants = [train(spec, data, config)[1][-1].lipschitz_constant for spec in (study(), smoothed)]
    assert constants[0] is not None
    assert constants[1] is not None
    assert constants[0] != pytest.approx(constants[1], rel=1e-3)
    with pytest.raises(ValueError, match="smoothed labels"):
        Training(smoothed, data, trial("lipschitz"), CPU)


OPTIONS: list[dict[str, Any]] = [
    {"clip_norm": 0.5},
    {"accumulate": 3},
    {"ema": 0.9},
    {
        "accumulate": 3,
        "clip_norm": 0.5,
        "ema": 0.9,
        "model": {"name": "mlp", "dropout": 0.2, "batch_norm": "all"},
    },
]


@pytest.mark.parametrize("kind", ["fixed", "lipschitz"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_trial_continues_from_a_checkpoint_bit_by_bit(
    data: TaskData, options: dict[str, Any], kind: str
) -> None:
    spec, config = study(epochs=4, **options), trial(kind, Phase.CONFIRM)
    whole, records = train(spec, data, config)
    first = Training(spec, data, config, CPU)
    for _ in range(2):
        first.run_to_evaluation()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Training(spec, data, config, CPU)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert curve(list(second.run())) == curve(records[2:])
    assert repr(second.outcome()) == repr(whole.outcome())
    assert whole.outcome().status is Status.COMPLETED


def fp16_step(clip_norm: float | None = None) -> PlainStep:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    precision = Precision(torch.float32, False, False, "cpu", fp16=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return PlainStep(model, nn.CrossEntropyLoss(), precision, optimizer, clip_norm)


def test_a_scaled_step_is_the_step_and_an_overflow_is_skipped() -> None:
    torch.manual_seed(1)
    inputs, targets = torch.randn(8, 5), torch.randint(3, (8,))
    step, exact = fp16_step(clip_norm=0.1), fp16_step()
    exact.model.zero_grad()
    nn.CrossEntropyLoss()(exact.model(inputs), targets).backward()
    torch.nn.utils.clip_grad_norm_(exact.model.parameters(), 0.1)
    exact.optimizer.step()
    assert step.scaler is not None
    assert step.scaler.get_scale() > 1
    step(inputs, targets)
    assert_equal(weights(step.model), weights(exact.model), rtol=1e-3)
    before, scale = weights(step.model), step.scaler.get_scale()
    step(torch.full((8, 5), 6e4), targets)
    assert_equal(weights(step.model), before)
    assert step.scaler.get_scale() < scale
    again = fp16_step()
    again.load_state_dict(step.state_dict())
    assert again.scaler is not None
    assert again.scaler.get_scale() == step.scaler.get_scale()


def test_fp16_is_refused_on_a_cpu(data: TaskData) -> None:
    with pytest.raises(StudyFileError, match=r"resources\.gpus"):
        study(precision="fp16")
    spec = study(precision="fp16", resources={"gpus": 1})
    with pytest.raises(StudyFileError, match="for GPUs only"):
        Training(spec, data, trial(), CPU)  # a GPU that torch does not see


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"clip_norm": 0.0}, "task.clip_norm"),
        ({"accumulate": 0}, "task.accumulate"),
        ({"ema": 1.0}, "task.ema"),
        ({"loss": {"name": "cross-entropy", "label_smoothing": 1.0}}, "task.loss.label_smoothing"),
        ({"loss": {"name": "clipped-cross-entropy", "label_smoothing": 0.1}}, "task.loss.label_smoothing"),
        ({"compile": True, "resources": {"step": "captured"}}, "task.compile"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(options: dict[str, Any], place: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(**options)
    assert [problem.key for problem in caught.value.problems] == [place]


@pytest.mark.parametrize(
    "options", [{"clip_norm": 1.0}, {"accumulate": 2}, {"ema": 0.9}, {"compile": True}], ids=str
)
def test_lanes_are_refused_with_the_reason(data: TaskData, options: dict[str, Any]) -> None:
    (name,) = options
    assert f"(task.{name})" in (why_not(study(**options), data, ["fixed"]) or "")


def test_a_run_of_a_version_without_these_settings_stays_the_same_study() -> None:
    stored = study().to_json()
    for name in ("accumulate", "clip_norm", "ema", "compile", "evaluate_every", "metrics", "loader"):
        stored["task"].pop(name, None)
    for name in ("replicates", "until", "most", "common_seed", "select", "select_seeds", "stop"):
        del stored["budget"][name]
    # The digest of this study before they were added.
    assert restore_study(stored, "store").spec_hash == "b64af526e9d4010f"
    neutral = study(accumulate=1, compile=False)
    assert neutral.spec_hash == study().spec_hash != study(accumulate=2).spec_hash


def test_a_compiled_model_is_measured_whatever_was_compiled_before(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    spec = study(compile=True, model={"name": "mlp", "widths": [16], "dropout": 0.1})
    config = trial("lipschitz")
    train(spec, data, trial())  # without the hook
    _, records = train(spec, data, config)
    _, eager = train(study(model={"name": "mlp", "widths": [16], "dropout": 0.1}), data, config)
    assert records[1].kz == pytest.approx(eager[1].kz, rel=1e-3)
    assert curve(train(spec, data, config)[1]) == curve(records)
