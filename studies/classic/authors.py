"""The data and the model of the paper's classical table, as the authors' notebooks prepare them.

Source: github.com/yrahul3910/lipschitz-learning-rate, "Logistic regression.ipynb". A column of ones is
        added to
the measurements and each column is scaled to sum to 1; all rows are trained on, and accuracy and loss are
theirs. So here the training rows are the validation and the test rows as well.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_iris
from torch import nn

Rows = tuple[np.ndarray, np.ndarray]


def scaled(inputs: np.ndarray) -> np.ndarray:
    """Return (m, h) inputs with a column of ones, each column divided by its sum: (m, h + 1), float64."""
    with_ones = np.column_stack([np.ones(len(inputs)), inputs])
    return with_ones / with_ones.sum(axis=0)


def breast_cancer_rows() -> Rows:
    """Return all 569 rows."""
    inputs, classes = load_breast_cancer(return_X_y=True)
    return scaled(inputs), classes


def iris_rows() -> Rows:
    """Return the 100 rows of classes 0 and 1; the scale is taken from these alone."""
    inputs, classes = load_iris(return_X_y=True)
    kept = classes < 2
    return scaled(inputs[kept]), classes[kept]


def breast_cancer() -> dict[str, Rows]:
    """Return the breast cancer rows as training, validation and test rows."""
    return dict.fromkeys(("train", "validation", "test"), breast_cancer_rows())


def iris_pair() -> dict[str, Rows]:
    """Return two classes of Iris as training, validation and test rows."""
    return dict.fromkeys(("train", "validation", "test"), iris_rows())


class NormalStart(nn.Module):
    """A linear layer without a bias, whose weights start at N(0, 1): (m, *input_shape) to (m, outputs)."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(input_shape[0], outputs, bias=False)
        nn.init.normal_(self.head.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x)
