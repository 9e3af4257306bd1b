"""Batches: every row once, in an order from the generator, in the task's precision, from shared tensors."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from task_specs import make_task
from torch.utils._python_dispatch import TorchDispatchMode

from lrstudy.errors import StudyFileError
from lrstudy.tasks import Pipeline, Split, TaskData, metric_sums
from lrstudy.tasks import pipeline as module
from lrstudy.tasks.precision import check_precision

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(rows: int) -> TaskData:
    """Row i holds the number i, and so does its target."""
    split = Split(np.arange(rows, dtype=np.float32)[:, None], np.arange(rows))
    return TaskData("numbered", split, split, split, classes=rows, image=False)


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 80), size=st.integers(1, 90), seed=st.integers(0, 2**31))
def test_an_epoch_holds_every_row_once_but_for_a_single_last_one(rows, size, seed) -> None:
    pipeline = Pipeline(numbered(rows), make_task(batch_size=size, normalize="none"), CPU)
    batches = list(pipeline.train_batches(generator(seed)))
    assert len(batches) == pipeline.steps_per_epoch
    seen = torch.cat([y for _, y in batches])
    dropped = 1 if rows % size == 1 and rows > 1 and size > 1 else 0
    assert len(seen) == rows - dropped
    assert len(set(seen.tolist())) == len(seen)
    for x, y in batches:
        assert torch.equal(x[:, 0], y.float())
        assert len(y) == min(size, len(seen)) or y is batches[-1][1]
    assert [len(y) for _, y in batches[:-1]] == [size] * (len(batches) - 1)


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 80), size=st.integers(1, 90), accumulate=st.integers(1, 4))
def test_an_epoch_that_drops_its_last_batch_has_whole_ones_of_the_same_rows(rows, size, accumulate) -> None:
    given_ = {"batch_size": size, "accumulate": accumulate, "normalize": "none"}
    task = make_task(**given_, drop_last=True)
    if rows < size:
        with pytest.raises(StudyFileError, match=rf"{rows} training rows, and drop_last leaves no batch"):
            Pipeline(numbered(rows), task, CPU)
        return
    pipeline, kept = (Pipeline(numbered(rows), spec, CPU) for spec in (task, make_task(**given_)))
    steps = list(pipeline.train_steps(generator()))
    batches = [y.tolist() for step in steps for _, y in step]
    assert [len(batch) for batch in batches] == [size] * (rows // size)
    assert batches == [y.tolist() for _, y in kept.train_batches(generator())][: rows // size]
    assert len(steps) == pipeline.steps_per_epoch
    assert pipeline.rows_per_epoch == rows // size * size


def test_the_order_comes_from_the_generator_and_goes_on(image_data, task) -> None:
    pipeline = Pipeline(numbered(50), task(batch_size=7, normalize="none"), CPU)

    def epochs(seed: int) -> list[list[int]]:
        g = generator(seed)
        return [[int(i) for _, y in pipeline.train_batches(g) for i in y] for _ in range(2)]

    torch.manual_seed(1)
    one = epochs(4)
    torch.manual_seed(2)
    assert epochs(4) == one
    assert epochs(5) != one
    assert one[0] != one[1]
    assert one[0] != sorted(one[0])


@pytest.mark.parametrize("size", [None, 1, 4, 1000])
def test_a_split_comes_whole_and_in_order(size, image_data, task) -> None:
    data = image_data()
    pipeline = Pipeline(data, task(augment=["flip", "crop:1"], normalize="none"), CPU)
    for name, split in data.splits.items():
        batches = list(pipeline.batches(name, size))
        assert np.array_equal(torch.cat([x for x, _ in batches]).numpy(), split.inputs.astype(np.float32))
        assert np.array_equal(torch.cat([y for _, y in batches]).numpy(), split.targets)
        assert size is None or all(len(y) == size for _, y in batches[:-1])


def test_augmentation_keeps_rows_and_targets_together(task) -> None:
    inputs = np.repeat(np.arange(200, dtype=np.uint8), 36).reshape(200, 1, 6, 6)
    split = Split(inputs, np.arange(200))
    data = TaskData("flat", split, split, split, classes=200, image=True)
    pipeline = Pipeline(data, task(augment=["flip", "shift:0.3", "rotate"], normalize="none"), CPU)
    for x, y in pipeline.train_batches(generator()):
        torch.testing.assert_close(x, y.float()[:, None, None, None].expand_as(x))


def test_chunks_do_not_show(image_data, task, monkeypatch) -> None:
    """Without augmentation a batch is the same, however many are prepared at once."""
    data = image_data(rows=100)
    spec = task(batch_size=9)
    many = list(Pipeline(data, spec, CPU).train_batches(generator()))
    monkeypatch.setitem(module._CHUNK, "cpu", 1)
    monkeypatch.setattr(module, "_NORMALIZED_BYTES", 0)
    single = list(Pipeline(data, spec, CPU).train_batches(generator()))
    assert len(many) == len(single)
    for (x, y), (other_x, other_y) in zip(many, single, strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("float64", torch.float64)])
def test_inputs_and_numeric_targets_have_the_precision_of_the_task(
    precision, dtype, table_data, task
) -> None:
    data = table_data(outputs=2)
    pipeline = Pipeline(data, task(loss="mse", precision=precision), CPU)
    for x, y in [*pipeline.batches("test"), *pipeline.train_batches(generator())]:
        assert x.dtype == y.dtype == dtype
        assert y.shape == (len(x), 2)


def test_channels_last_is_the_layout_and_nothing_else(image_data, task) -> None:
    data = image_data(channels=3)
    plain = Pipeline(data, task(augment=["flip"]), CPU).train_batches(generator())
    last = Pipeline(data, task(augment=["flip"], channels_last=True), CPU).train_batches(generator())
    for (x, _), (other, _) in zip(plain, last, strict=True):
        assert other.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(x, other)


def test_read_only_arrays_are_shared_not_copied(image_data, task) -> None:
    data = image_data()
    for split in data.splits.values():
        split.inputs.flags.writeable = split.targets.flags.writeable = False
    pipeline = Pipeline(data, task(augment=["flip"]), CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(pipeline.train_batches(generator()))
    resident = pipeline._resident("train", raw=True)
    assert resident.inputs.data_ptr() == data.train.inputs.ctypes.data


def test_tensors_are_made_once_per_data_set_and_die_with_it(image_data, task) -> None:
    gc.collect()  # other tests' data sets must not die in the middle of this one
    before = len(module._kept)
    data = image_data()
    one, two = Pipeline(data, task(), CPU), Pipeline(data, task(batch_size=5), CPU)
    list(one.train_batches(generator()))
    resident = one._resident("train", raw=False)
    assert two._resident("train", raw=False).inputs is resident.inputs
    other = Pipeline(data, task(normalize="none"), CPU)
    assert other._resident("train", raw=False).inputs is not resident.inputs
    assert len(module._kept) == before + 1
    del data, one, two, other
    gc.collect()
    assert len(module._kept) == before


@pytest.mark.parametrize("kept_normalized", [True, False])
@pytest.mark.parametrize("kind", ["images", "table"])
def test_training_does_not_change_the_data(
    kind, kept_normalized, image_data, table_data, task, monkeypatch
) -> None:
    if not kept_normalized:
        monkeypatch.setattr(module, "_NORMALIZED_BYTES", 0)
    data = image_data() if kind == "images" else table_data()
    copies = {name: split.inputs.copy() for name, split in data.splits.items()}
    augment = ["flip", "zoom"] if kind == "images" else []
    pipeline = Pipeline(data, task(normalize="standardize", augment=augment), CPU)
    list(pipeline.train_batches(generator()))
    for name in data.splits:
        list(pipeline.batches(name))
        assert np.array_equal(data.splits[name].inputs, copies[name])


def test_outputs_fit_the_loss(image_data, table_data, task) -> None:
    two = table_data(classes=2)
    assert Pipeline(two, task(loss="binary-cross-entropy"), CPU).outputs == 1
    assert Pipeline(two, task(), CPU).outputs == 2
    assert Pipeline(table_data(), task(loss="binary-cross-entropy"), CPU).outputs == 3
    assert Pipeline(table_data(outputs=4), task(loss="huber"), CPU).outputs == 4
    assert Pipeline(image_data(channels=3), task(), CPU).input_shape == (3, 8, 8)


def test_tables_cannot_be_augmented(table_data, task) -> None:
    with pytest.raises(StudyFileError, match="holds no images"):
        Pipeline(table_data(), task(augment=["flip"]), CPU)


class _NoFloat64(TorchDispatchMode):
    """Refuses float64 on the device that stands in for one without it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        assert not (isinstance(made, torch.Tensor) and made.is_meta and made.dtype == torch.float64), func
        return made


def test_a_device_without_float64_is_given_none(task, monkeypatch) -> None:
    def has_float64(device: torch.device) -> bool:
        return device.type != "meta"

    monkeypatch.setattr(module, "has_float64", has_float64)
    monkeypatch.setattr(metric_sums, "has_float64", has_float64)
    rows = np.random.default_rng(0).normal(1e6, 1, (40, 3))
    split = Split(rows, rows[:, :1])
    data = TaskData("wide", split, split, split, classes=None, image=False)
    with _NoFloat64():
        made = Pipeline(data, task(loss="mse", normalize="standardize"), torch.device("meta"))
        (inputs, targets) = next(iter(made.batches("validation")))
        sums = metric_sums.MetricSums(None, "meta")
        sums.update(inputs.sum(), inputs[:, :1], targets)
    assert inputs.dtype == targets.dtype == torch.float32


def test_float64_is_refused_where_the_device_has_none(task) -> None:
    check_precision(task(precision="float64"), CPU)
    with pytest.raises(StudyFileError, match="does not exist on Apple's GPUs"):
        check_precision(task(precision="float64"), torch.device("mps"))
