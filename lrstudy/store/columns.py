"""Which of the store's columns a recorded history's column is, whatever its library called it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from lrstudy.store.schema import EPOCHS_SCHEMA

_METRICS: Final[Mapping[str, str]] = {
    "loss": "loss",
    "acc": "accuracy",
    "accuracy": "accuracy",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "r2": "r2",
    "r2_score": "r2",
}
_SPLITS: Final[Mapping[str, str]] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
# The record's own columns; the four before them say which trial a row is of.
RECORDED: Final = tuple(EPOCHS_SCHEMA.names[4:])
# Lightning's LearningRateMonitor writes lr-SGD, lr-SGD-momentum, lr-SGD/pg2: the first group's rate is meant.
_LIGHTNING_RATE: Final = re.compile(r"lr-[^-/]+(/pg1)?")


def canonical(name: str) -> str | None:
    """The store's name for a history's column, or None for one that the store has no place for.

    Keras logs the training split without a prefix, Lightning appends ``_epoch`` to epoch means and
    ``_step`` to single steps.

    >>> [canonical(name) for name in ("acc", "val_acc", "train_loss_epoch", "lr-Adam", "learning_rate")]
    ['train_accuracy', 'val_accuracy', 'train_loss', 'lr', 'lr']
    >>> canonical("train_loss_step"), canonical("f1"), canonical("lr-SGD/pg2")
    (None, None, None)
    """
    text = name.strip()
    if _LIGHTNING_RATE.fullmatch(text) or text.lower() == "learning_rate":
        return "lr"
    text = re.sub(r"[/ .]", "_", text.lower())
    if text in RECORDED:
        return text
    text = text.removesuffix("_epoch")
    split, _, metric = text.partition("_")
    if split not in _SPLITS:
        split, metric = "train", text
    return f"{_SPLITS[split]}_{_METRICS[metric]}" if metric in _METRICS else None


def match_columns(names: Sequence[str]) -> tuple[dict[str, str], list[list[str]]]:
    """For each of the store's columns the history's column that gives it, and the groups that are in doubt.

    Where several could, one that has the store's own name wins, then one whose name ends in ``_epoch``.

    >>> match_columns(["loss", "train_loss", "acc", "accuracy"])
    ({'train_loss': 'train_loss'}, [['acc', 'accuracy']])
    """
    candidates: dict[str, list[str]] = {}
    for name in names:
        column = canonical(name)
        if column is not None:
            candidates.setdefault(column, []).append(name)
    found, doubts = {}, []
    for column, given in candidates.items():
        exact = [name for name in given if name == column]
        means = [name for name in given if name.endswith("_epoch")]
        best = exact or means or given
        if len(best) > 1:
            doubts.append(best)
        else:
            found[column] = best[0]
    return found, doubts
