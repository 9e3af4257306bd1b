"""Metrics of torchmetrics over a split, chosen by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from lrstudy.catalog.metric_kinds import EXTRA, MetricKind, metric_kind
from lrstudy.errors import Problem, StudyFileError
from lrstudy.lipschitz.loss_functions import as_rows


class NamedMetrics:
    """Some metrics of one pass over a split.

    ``classes`` is the number of classes, None for a regression. Raises ``StudyFileError`` where torchmetrics
    is not installed or a metric does not fit.
    """

    def __init__(self, names: Sequence[str], classes: int | None, loss: str, device: torch.device) -> None:
        self._classes, self._loss = classes, loss
        self._metrics = {name: _build(name, classes).to(device) for name in names}

    @torch.no_grad()
    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch: raw outputs (m, n) and targets (m,) or (m, n)."""
        if not self._metrics:
            return
        given, targets = as_rows(outputs.detach(), targets)
        given = given.float() if given.dtype.itemsize < 4 else given
        if self._classes is not None:
            given = class_scores(given, self._loss)
        elif given.shape[1] == 1:
            given, targets = given[:, 0], targets[:, 0]
        for metric in self._metrics.values():
            metric.update(given, targets)

    def result(self) -> dict[str, float]:
        """Return the values by column, without the split's name: ``macro_f1``."""
        return {name.replace("-", "_"): float(metric.compute()) for name, metric in self._metrics.items()}


def class_scores(outputs: Tensor, loss: str) -> Tensor:
    """Return a probability per class, (m, classes), from a model's raw outputs for ``loss``."""
    if loss != "binary-cross-entropy":
        return torch.softmax(outputs, 1)
    scores = torch.sigmoid(outputs)
    return torch.cat([1 - scores, scores], 1) if scores.shape[1] == 1 else scores


def _build(name: str, classes: int | None) -> Any:
    kind = metric_kind(name)
    assert kind is not None, name
    if kind.classification != (classes is not None):
        message = (
            f"is a metric of {'classes' if kind.classification else 'numbers'}, and the targets are none"
        )
        raise StudyFileError(Problem("task", "metrics", message, "Leave it out, or choose another.", name))
    if kind.options.get("top_k", 1) > (classes or 1):
        message = f"needs more classes than the data has, {classes}"
        raise StudyFileError(Problem("task", "metrics", message, "Choose a smaller number.", name))
    number = {} if classes is None else {"num_classes": classes}
    return _class_of(kind)(**kind.options, **number)


def _class_of(kind: MetricKind) -> Any:
    module, _, attribute = kind.attribute.rpartition(".")
    try:
        return getattr(import_module(f"torchmetrics.{module}"), attribute)
    except ImportError as error:
        message = "needs the package torchmetrics, which is not installed"
        remedy = f"pip install 'lrstudy[{EXTRA}]'"
        raise StudyFileError(Problem("task", "metrics", message, remedy, kind.name)) from error
