"""Normalisation: against scikit-learn and plain numpy, from the training split alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from lrstudy.catalog.task_parts import NORMALIZATIONS
from lrstudy.errors import StudyFileError
from lrstudy.tasks import Pipeline, TaskData, load_data
from lrstudy.tasks.datasets import load_raw
from lrstudy.tasks.normalize import normalization_of, statistics

CPU = torch.device("cpu")


def whole(data, task, split: str) -> np.ndarray:
    return torch.cat([x for x, _ in Pipeline(data, task, CPU).batches(split)]).numpy()


def test_standardize_is_scikit_learns_scaler_fitted_on_train(table_data, task) -> None:
    data = table_data()
    scaler = StandardScaler().fit(data.train.inputs.astype(np.float64))
    for split, rows in data.splits.items():
        ours = whole(data, task(normalize="standardize", precision="float64"), split)
        np.testing.assert_allclose(ours, scaler.transform(rows.inputs.astype(np.float64)), atol=1e-9)


def test_standardize_takes_one_mean_and_deviation_per_channel_of_images(image_data, task) -> None:
    data = image_data(channels=3)
    ours = whole(data, task(normalize="standardize"), "train")
    np.testing.assert_allclose(ours.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(ours.std((0, 2, 3)), 1, atol=1e-5)


def test_scale_divides_by_the_full_scale(image_data, table_data, task) -> None:
    images, table = image_data(), table_data()
    ours = whole(images, task(normalize="scale"), "validation")
    np.testing.assert_allclose(ours, images.validation.inputs / np.float32(255), rtol=1e-6)
    sixteen = replace(images, full_scale=16.0)
    np.testing.assert_allclose(whole(sixteen, task(), "test"), images.test.inputs / np.float32(16), rtol=1e-6)
    ours = whole(table, task(normalize="scale"), "test")
    np.testing.assert_allclose(ours, table.test.inputs / np.abs(table.train.inputs).max(), rtol=1e-5)


def test_per_pixel_mean_is_the_cifar_example_of_keras(image_data, task) -> None:
    data = image_data(channels=3)
    ours = whole(data, task(normalize="per-pixel-mean"), "test")
    mean = (data.train.inputs / 255).mean(axis=0)
    np.testing.assert_allclose(ours, data.test.inputs / 255 - mean, atol=1e-6)


def test_sum_to_one_makes_every_training_column_sum_to_one(task) -> None:
    data = load_data(task(dataset="breast-cancer"), 0)
    ours = whole(data, task(dataset="breast-cancer", normalize="sum-to-one", precision="float64"), "train")
    np.testing.assert_allclose(ours.sum(axis=0), 1, rtol=1e-6)


def test_the_published_breast_cancer_rate(task) -> None:
    """1/L = 2m/‖X‖_F ≈ 4280 with each feature scaled to sum to 1 (arXiv 1902.07399), m all 569 rows."""
    spec = task(dataset="breast-cancer", normalize="sum-to-one")
    train = load_raw(spec.dataset, 0, None).train
    x = whole(TaskData("all", train, train, train, classes=2, image=False), spec, "train")
    assert 2 * len(x) / np.linalg.norm(x) == pytest.approx(4280, rel=0.03)


def test_none_leaves_the_values(image_data, table_data, task) -> None:
    for data in (image_data(), table_data()):
        ours = whole(data, task(normalize="none"), "train")
        assert ours.dtype == np.float32
        assert np.array_equal(ours, data.train.inputs.astype(np.float32))


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_only_the_training_split_counts(name, image_data) -> None:
    data = image_data()
    other = replace(data, validation=data.test, test=data.train)
    for ours, theirs in zip(statistics(name, data), statistics(name, other), strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_feature_that_does_not_vary_stays_finite(name, table_data, task) -> None:
    data = table_data()
    data.train.inputs[:, 2] = 0.0
    assert np.isfinite(whole(data, task(normalize=name), "test")).all()


def test_many_rows_are_summed_in_parts(table_data) -> None:
    data = table_data(rows=20_000)
    shift, factor = statistics("standardize", data)
    np.testing.assert_allclose(shift[0], data.train.inputs.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(1 / factor[0], data.train.inputs.astype(np.float64).std(0), rtol=1e-12)


def test_the_default_depends_on_the_kind_of_data(image_data, table_data) -> None:
    assert normalization_of(None, image_data()) == "scale"
    assert normalization_of(None, table_data()) == "standardize"
    with pytest.raises(StudyFileError, match="Did you mean 'standardize'"):
        normalization_of("standardise", image_data())
