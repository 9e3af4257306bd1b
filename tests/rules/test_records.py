"""The records: each metric has one place, and a point in a training its name."""

from __future__ import annotations

import pytest

from lrstudy.records import METRIC_FIELDS, EvaluationRecord
from lrstudy.rules.metrics import METRICS, metric_of
from lrstudy.rules.outcome import divergence

NUMBERS = dict.fromkeys(("train_seconds", "estimate_seconds", "eval_seconds", "lr", "lr_min", "lr_max"), 0.1)


def record(**values: object) -> EvaluationRecord:
    return EvaluationRecord(**NUMBERS | {"evaluation": 1, "step": 50} | values)


def test_a_declared_metric_that_has_a_field_is_in_the_field_alone() -> None:
    row = record(metrics={"val_loss": 0.5, "perplexity": 9.0})
    assert (row.val_loss, row.metrics) == (0.5, {"perplexity": 9.0})
    assert row == record(val_loss=0.5, metrics={"perplexity": 9.0})
    assert [row.value(name) for name in ("val_loss", "perplexity", "f1")] == [0.5, 9.0, None]
    assert row.values()["perplexity"] == 9.0
    assert "metrics" not in row.values()


def test_every_built_in_metric_has_a_field() -> None:
    assert {metric.column for metric in METRICS.values()} == METRIC_FIELDS


def test_a_declared_metric_comes_before_the_built_in_one_of_its_name() -> None:
    mine = METRICS["val_loss"]
    assert metric_of("val_error", {"val_error": mine}) is mine
    assert metric_of("val_error", {}) is METRICS["val_error"]
    with pytest.raises(KeyError):
        metric_of("bits", {})


@pytest.mark.parametrize(("epoch", "where"), [(3.0, "in epoch 3"), (2.5, "at step 50"), (None, "at step 50")])
def test_divergence_names_the_epoch_or_the_step(epoch: float | None, where: str) -> None:
    assert (
        divergence(record(epoch=epoch, train_loss=float("inf")), 1e9) == f"training loss became inf {where}"
    )
    assert (
        divergence(record(epoch=epoch, val_loss=2.0), 1.0) == f"validation loss 2 passed the bound 1 {where}"
    )
