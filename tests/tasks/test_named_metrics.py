"""Metrics of torchmetrics by name: scikit-learn's values, columns, direction and range, and refusals."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from lrstudy.catalog.metric_kinds import METRIC_KINDS
from lrstudy.engine.lanes.eligibility import unsupported
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.errors import StudyFileError
from lrstudy.records import Phase
from lrstudy.spec import Study, parse_study, restore_study
from lrstudy.tasks import TaskData, check_task, load_data
from lrstudy.tasks.named_metrics import NamedMetrics, class_scores

CPU = torch.device("cpu")


def study(*names: str, metric: str = "val_accuracy", **task: Any) -> Study:
    given = {"dataset": "wine", "model": "softmax-regression", "batch_size": 32, "epochs": 2}
    return parse_study(
        {
            "name": "s",
            "task": given | {"metrics": list(names)} | task,
            "target": {"metric": metric},
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study().task, 0, None)


class MacroF1:
    """Stands in for torchmetrics' class where the package is not installed."""

    def __init__(self, num_classes: int, average: str) -> None:
        assert average == "macro"
        self.classes, self.rows = num_classes, []

    def to(self, device: torch.device) -> MacroF1:
        return self

    def update(self, given: torch.Tensor, targets: torch.Tensor) -> None:
        self.rows.append((given.argmax(1), targets))

    def compute(self) -> torch.Tensor:
        chosen, targets = (torch.cat(part).numpy() for part in zip(*self.rows, strict=True))
        return torch.tensor(sk.f1_score(targets, chosen, average="macro", labels=range(self.classes)))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", SimpleNamespace())
    module = SimpleNamespace(MulticlassF1Score=MacroF1)
    monkeypatch.setitem(sys.modules, "torchmetrics.classification", module)


@pytest.mark.usefixtures("stand_in")
def test_a_metric_is_a_column_and_a_study_can_be_judged_by_it(data: TaskData) -> None:
    spec = study("macro-f1", metric="val_macro_f1")
    assert spec.metric.higher_is_better
    assert (spec.metric.low, spec.metric.high) == (0.0, 1.0)
    training = Training(spec, data, TrialConfig("t", Phase.CONFIRM, "f", "fixed", {"lr": 0.1}, 0), CPU)
    records = list(training.run())
    inputs, targets = next(training.pipeline.batches("validation", 10**6))
    chosen = training.model.eval()(inputs).argmax(1)
    assert records[-1].metrics == {
        "val_macro_f1": pytest.approx(sk.f1_score(targets, chosen, average="macro"))
    }
    best = max(record.metrics["val_macro_f1"] or 0.0 for record in records)
    assert training.outcome().best_val == best


def test_a_stored_study_is_restored_with_its_metrics() -> None:
    spec = study("macro-f1", "top-2", metric="val_top_2", clip_norm=1.0, ema=0.9)
    stored = spec.to_json()
    assert set(stored["task"]["metrics"]) == {
        "clipped_share", "ema_val_loss", "ema_val_accuracy", "val_macro_f1", "val_top_2",
    }  # fmt: skip
    again = restore_study(stored, "store")
    assert again == spec
    assert again.spec_hash == spec.spec_hash != study("macro-f1").spec_hash


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ({"metrics": ["macro-f2"]}, "is not a known metric"),
        ({"metrics": ["macro-f1", "macro-f1"]}, "is there already"),
        ({"metrics": ["rmse"]}, "is not measured with the loss 'cross-entropy'"),
        ({"metrics": ["macro-f1"], "loss": "mse"}, "is not measured with the loss 'mse'"),
        ({"metrics": {"val_f1": "max"}}, "must be a list"),
    ],
)
def test_what_cannot_be_measured_is_refused(task: dict[str, Any], says: str) -> None:
    with pytest.raises(StudyFileError, match=says):
        study(metric="val_loss", **task)


def test_a_metric_that_is_not_asked_for_is_no_target() -> None:
    with pytest.raises(StudyFileError, match="is not a validation metric"):
        study(metric="val_macro_f1")
    with pytest.raises(StudyFileError, match="is not a validation metric"):
        study(metric="clipped_share", clip_norm=1.0)


def test_a_missing_package_is_named_with_the_extra(data: TaskData, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("torchmetrics.")]:
        monkeypatch.delitem(sys.modules, name)  # of earlier tests
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(StudyFileError, match=r"pip install 'lrstudy\[metrics\]'"):
        check_task(study("macro-f1").task, data)


def test_more_places_than_classes_are_refused(data: TaskData) -> None:
    with pytest.raises(StudyFileError, match="more classes than the data has, 3"):
        check_task(study("top-5").task, data)


def test_lanes_are_refused_with_the_reason() -> None:
    assert "(task.metrics)" in (unsupported(study("macro-f1").task) or "")


def test_a_sigmoid_of_one_output_gives_two_probabilities() -> None:
    scores = class_scores(torch.tensor([[0.0], [2.0]]), "binary-cross-entropy")
    torch.testing.assert_close(scores, torch.tensor([[0.5, 0.5], [0.1192, 0.8808]]), rtol=0, atol=1e-4)


def reference(name: str, scores: np.ndarray, targets: np.ndarray) -> float:
    """The value of scikit-learn, or a formula where it has none."""
    chosen = scores.argmax(1)
    match name.partition("-"):
        case ("macro" | "weighted" as average, _, kind):
            function = {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}[kind]
            return float(function(targets, chosen, average=average))
        case ("top", _, k):
            return float(sk.top_k_accuracy_score(targets, scores, k=int(k)))
        case ("auroc", *_):
            return float(sk.roc_auc_score(targets, scores, multi_class="ovr"))
        case ("average", *_):
            wanted = np.eye(scores.shape[1])[targets]
            return float(sk.average_precision_score(wanted, scores, average="macro"))
        case ("cohen", *_):
            return float(sk.cohen_kappa_score(targets, chosen))
        case ("matthews", *_):
            return float(sk.matthews_corrcoef(targets, chosen))
    confidence, hit = scores.max(1), chosen == targets
    bins = np.minimum((confidence * 15).astype(int), 14)
    return sum(
        abs(hit[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins)
    )


@pytest.mark.parametrize(
    "name", [*(name for name, kind in METRIC_KINDS.items() if kind.classification), "top-2"]
)
def test_values_of_classes_are_those_of_scikit_learn(name: str) -> None:
    pytest.importorskip("torchmetrics")
    torch.manual_seed(0)
    outputs, targets = torch.randn(400, 4), torch.randint(4, (400,))
    found = NamedMetrics([name], 4, "cross-entropy", CPU)
    for rows, wanted in zip(outputs.split(64), targets.split(64), strict=True):
        found.update(rows, wanted)
    (value,) = found.result().values()
    scores = torch.softmax(outputs.double(), 1).numpy()
    assert value == pytest.approx(reference(name, scores, targets.numpy()), abs=1e-5)
    kind = METRIC_KINDS.get(name)
    assert kind is None or (kind.low or 0.0) <= value <= (kind.high or 1.0)


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("name", [name for name, kind in METRIC_KINDS.items() if not kind.classification])
def test_values_of_numbers_are_those_of_scikit_learn(name: str, targets: int) -> None:
    pytest.importorskip("torchmetrics")
    torch.manual_seed(0)
    outputs, wanted = torch.randn(400, targets), torch.randn(400, targets)
    found = NamedMetrics([name], None, "mse", CPU)
    for rows, some in zip(outputs.split(64), wanted.split(64), strict=True):
        found.update(rows, some)
    function = {
        "mae": sk.mean_absolute_error,
        "rmse": lambda y, a: sk.mean_squared_error(y, a) ** 0.5,
        "explained-variance": sk.explained_variance_score,
    }[name]
    (value,) = found.result().values()
    assert value == pytest.approx(float(function(wanted.numpy(), outputs.numpy())), abs=1e-5)
