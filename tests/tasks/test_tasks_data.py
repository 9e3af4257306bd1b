"""Loading and splitting: every row once, classes in their shares, everything from the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets
from task_specs import make_task

from lrstudy.catalog.task_parts import DATASETS
from lrstudy.errors import StudyFileError
from lrstudy.tasks import load_data
from lrstudy.tasks.archives import ARCHIVES
from lrstudy.tasks.datasets import SHIPPED as LOADERS
from lrstudy.tasks.describe import SHAPES
from lrstudy.tasks.splits import RawData

SHIPPED = {"digits": 1797, "iris": 150, "wine": 178, "breast-cancer": 569, "diabetes": 442}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_data_set_has_the_declared_shape_and_all_its_rows(name, task) -> None:
    data = load_data(task(dataset=name), seed=0)
    shape, classes = SHAPES[name]
    assert data.classes == classes
    assert data.train.inputs.shape[1:] == shape
    assert sum(len(split.targets) for split in data.splits.values()) == SHIPPED[name]
    assert data.train.targets.dtype == (np.float32 if classes is None else np.int64)
    assert data.train.inputs.dtype == (np.uint8 if data.image else np.float32)


def test_every_declared_data_set_can_be_loaded_or_fetched() -> None:
    assert LOADERS.keys() | ARCHIVES.keys() == DATASETS.keys() == SHAPES.keys()


def test_digits_are_scikit_learns_values_in_other_order(task) -> None:
    data = load_data(task(), seed=3)
    bunch = datasets.load_digits()
    ours = [
        (*image.ravel().tolist(), target)
        for split in data.splits.values()
        for image, target in zip(split.inputs, split.targets, strict=True)
    ]
    theirs = [
        (*row.astype(int).tolist(), target) for row, target in zip(bunch.data, bunch.target, strict=True)
    ]
    assert sorted(ours) == sorted(theirs)


@settings(max_examples=25, deadline=None)
@given(
    validation=st.floats(0.05, 0.6),
    test=st.floats(0.05, 0.6),
    seed=st.integers(0, 2**31),
    rows=st.integers(60, 120),
)
def test_splits_have_their_sizes_and_shares(validation, test, seed, rows) -> None:
    spec = make_task(dataset="wine", validation=validation, test=test)
    available = len(load_data(spec, seed).train.targets) + len(load_data(spec, seed).validation.targets)
    if rows <= available - 3:
        spec = spec.model_copy(update={"rows": rows})
    data = load_data(spec, seed)
    counted = rows if spec.rows else available
    assert len(data.train.targets) + len(data.validation.targets) == counted
    assert len(data.validation.targets) == pytest.approx(counted * validation, abs=1)
    assert len(data.test.targets) == pytest.approx(178 * test, abs=1)
    whole = np.bincount(datasets.load_wine().target) / 178
    for split in data.splits.values():
        shares = np.bincount(split.targets, minlength=3)
        np.testing.assert_allclose(shares, whole * len(split.targets), atol=2.01)


def test_the_split_depends_on_the_seed_alone(task) -> None:
    one, again, other = (load_data(task(), seed) for seed in (5, 5, 6))
    assert np.array_equal(one.train.inputs, again.train.inputs)
    assert np.array_equal(one.test.targets, again.test.targets)
    assert not np.array_equal(one.train.inputs, other.train.inputs)


def test_fewer_training_rows_leave_the_test_split_alone(task) -> None:
    whole, part = load_data(task(), 0), load_data(task(rows=100), 0)
    assert len(part.train.targets) == 80
    assert len(part.validation.targets) == 20
    assert np.array_equal(whole.test.inputs, part.test.inputs)


def test_more_rows_than_there_are_is_refused(task) -> None:
    with pytest.raises(StudyFileError, match="more than the 1437 training rows"):
        load_data(task(rows=5000), 0)


def test_sizes_that_leave_a_split_empty_are_refused(task) -> None:
    with pytest.raises(StudyFileError, match=r"validation = 0\.001: cannot be split off"):
        load_data(task(dataset="iris", validation=0.001), 0)
    with pytest.raises(StudyFileError, match="cannot be split off"):
        load_data(task(dataset="iris", rows=2), 0)


def test_an_unknown_data_set_gets_a_suggestion(task) -> None:
    with pytest.raises(StudyFileError, match="Did you mean 'digits'"):
        load_data(task(dataset="digts"), 0)


def _equal(one, other) -> bool:
    return all(
        np.array_equal(getattr(one.splits[name], part), getattr(other.splits[name], part))
        for name in one.splits
        for part in ("inputs", "targets")
    )


@pytest.mark.parametrize("keys", [{}, {"dataset": "wine"}, {"dataset": "diabetes", "rows": 200}], ids=str)
def test_data_are_split_again_as_the_study_of_the_other_seed_splits_them(keys, task) -> None:
    spec = task(**keys)
    one, other = load_data(spec, 3, keep_raw=True), load_data(spec, 11)
    again = one.resplit(spec, 11)
    assert _equal(again, other)
    assert not _equal(again, one)
    assert _equal(again.resplit(spec, 3), one), "as often as there are replicates"
    assert (again.name, again.classes, again.image) == (one.name, one.classes, one.image)


def test_data_without_anything_to_draw_are_the_same_in_every_replicate(task, monkeypatch) -> None:
    parts = load_data(task(), 3)
    raw = RawData(parts.train, parts.classes, parts.image, test=parts.test, validation=parts.validation)
    monkeypatch.setattr("lrstudy.tasks.datasets.load_raw", lambda *_: raw)
    own = load_data(task(), 3, keep_raw=True)
    assert own.resplit(task(), 11) is own
    assert own.raw is None, "nothing is kept, or sent to workers, in vain"
    fewer = load_data(task(rows=100), 3, keep_raw=True)
    drawn = fewer.resplit(task(rows=100), 11)
    assert not _equal(drawn, fewer)
    assert np.array_equal(drawn.validation.inputs, parts.validation.inputs)
    assert load_data(task(), 3).raw is None
