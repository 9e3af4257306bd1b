"""Every metric of torchmetrics that a built-in task can measure beside its own, with direction and range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

EXTRA: Final = "metrics"
"""The extra that installs the package: ``pip install 'lrstudy[metrics]'``."""

_TOP: Final = re.compile(r"top-([1-9]\d*)")


@dataclass(frozen=True, slots=True)
class MetricKind:
    """A metric that a study file names, as ``macro-f1``.

    ``attribute`` is the class in torchmetrics and ``options`` are what it is built with, beside the number of
    classes or outputs. ``low`` and ``high`` bound its values (None: unbounded).
    """

    name: str
    doc: str
    attribute: str
    goal: Literal["min", "max"] = "max"
    low: float | None = 0.0
    high: float | None = 1.0
    classification: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """The column of the evaluations: ``val_macro_f1``."""
        return f"val_{self.name.replace('-', '_')}"

    @property
    def declared(self) -> dict[str, Any]:
        """The entry of the metric among those that a study declares."""
        bounds = {"low": self.low, "high": self.high}
        given = {name: value for name, value in bounds.items() if value is not None}
        return {"name": self.name, "goal": self.goal, **given}


def _of_classes(name: str, doc: str, attribute: str, average: str | None = None, **about: Any) -> MetricKind:
    options = {} if average is None else {"average": average}
    return MetricKind(name, doc, f"classification.Multiclass{attribute}", options=options, **about)


def _of_numbers(name: str, doc: str, attribute: str, **about: Any) -> MetricKind:
    return MetricKind(name, doc, f"regression.{attribute}", classification=False, **about)


METRIC_KINDS: Final[Mapping[str, MetricKind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _of_classes("macro-f1", "The mean of the classes' F1 scores.", "F1Score", "macro"),
            _of_classes("weighted-f1", "The same, weighted by the classes' rows.", "F1Score", "weighted"),
            _of_classes("macro-precision", "The mean of the classes' precisions.", "Precision", "macro"),
            _of_classes("macro-recall", "The mean of the classes' recalls.", "Recall", "macro"),
            _of_classes("auroc", "Area under the ROC curve, the mean of the classes'.", "AUROC", "macro"),
            _of_classes(
                "average-precision",
                "Mean of the classes' average precisions.",
                "AveragePrecision",
                "macro",
            ),
            _of_classes("cohen-kappa", "Agreement beyond chance.", "CohenKappa", low=-1.0),
            _of_classes("matthews", "Matthews' correlation coefficient.", "MatthewsCorrCoef", low=-1.0),
            _of_classes(
                "calibration-error", "Expected calibration error, 15 bins.", "CalibrationError", goal="min"
            ),
            _of_numbers("mae", "Mean absolute error.", "MeanAbsoluteError", goal="min", high=None),
            _of_numbers(
                "rmse",
                "Root of the mean squared error.",
                "MeanSquaredError",
                goal="min",
                high=None,
                options={"squared": False},
            ),
            _of_numbers(
                "explained-variance",
                "Mean explained variance of the targets.",
                "ExplainedVariance",
                low=None,
            ),
        )
    }
)


def metric_kind(name: str) -> MetricKind | None:
    """Return the metric of a name, or None; ``top-5`` is the share of rows with the label among five.

    >>> metric_kind("top-5").column
    'val_top_5'
    """
    match = _TOP.fullmatch(name)
    if match is None:
        return METRIC_KINDS.get(name)
    doc = f"The share of rows whose label is among the {match[1]} most probable."
    options = {"top_k": int(match[1]), "average": "micro"}
    return MetricKind(name, doc, "classification.MulticlassAccuracy", options=options)
