"""Batches from tensors that stay on the trial's device: no DataLoader, no worker processes.

The whole data set is on the device as it was loaded (images as uint8). Several batches are indexed,
augmented and normalised at a time, which saves kernel launches on a GPU and calls on a CPU.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrstudy.errors import Problem, StudyFileError
from lrstudy.tasks.augment import Augmenter
from lrstudy.tasks.normalize import normalization_of, statistics
from lrstudy.tasks.precision import has_float64
from lrstudy.tasks.task_data import TaskData

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec

SplitName = Literal["train", "validation", "test"]
Batch = tuple[Tensor, Tensor]

# Numbers in a chunk of batches: on a CPU they should stay in the cache, on a GPU launches dominate.
_CHUNK: Final = {"cpu": 1 << 18}
_CHUNK_ACCELERATOR: Final = 1 << 24
# Up to this many bytes a set is kept normalised, so that a batch is an index and nothing else.
_NORMALIZED_BYTES: Final = 64 << 20
# Rows of an evaluated batch, unless training batches are larger.
EVALUATION_ROWS: Final = 1024


@dataclass(frozen=True, slots=True)
class _Resident:
    """One split on a device: inputs as they are (``factor`` etc. still to apply) or already normalised."""

    inputs: Tensor
    targets: Tensor
    normalized: bool


class Pipeline:
    """A task's batches on ``device``, in the task's precision.

    Cheap to make again: the tensors are kept per process, data set and device. ``outputs`` is how many a
    model must have, ``input_shape`` the shape of one row. Raises ``StudyFileError`` where augmentation or
    normalisation do not fit the data.
    """

    def __init__(self, data: TaskData, task: TaskSpec, device: torch.device) -> None:
        if task.augment and not data.image:
            remedy = "Leave augment out."
            problem = Problem("task", "augment", f"{data.name!r} holds no images", remedy, list(task.augment))
            raise StudyFileError(problem)
        self._data, self._device = data, device
        self._set_batches(task)
        self._augment = Augmenter(task.augment) if task.augment else None
        self._dtype = torch.float64 if task.precision == "float64" else torch.float32
        # Float64 inputs are normalised first and rounded then: a shift may take their leading digits away.
        self._wide = data.train.inputs.dtype == np.float64
        # A user's model may write into its input, and the kept tensors are for all trials of a process.
        self._copies = task.model.is_users_own or task.loss.is_users_own
        self._channels_last = task.channels_last and data.image
        # Apple's GPUs have no float64: such rows are normalised on the CPU.
        self._host = torch.device("cpu") if self._wide and not has_float64(device) else device
        if self._augment is not None and self._host != device:
            message = "takes float64 images, which Apple's GPUs do not hold"
            remedy = "Give uint8 or float32 images, or resources.gpus = 0."
            raise StudyFileError(Problem("task", "augment", message, remedy, list(task.augment)))
        self._normalization = normalization_of(task.normalize, data)
        self._shift, self._factor = self._cached("statistics", self._statistics)
        self.input_shape: tuple[int, ...] = tuple(data.train.inputs.shape[1:])
        self.outputs = outputs_of(data, task.loss.name)

    def _set_batches(self, task: TaskSpec) -> None:
        """Take the sizes of batches and steps; raise ``StudyFileError`` if an epoch would have none."""
        self._batch_size, self._accumulate = task.batch_size, task.accumulate
        self._drop_last = task.drop_last
        rows = self._data.rows("train")
        if self._drop_last and rows < self._batch_size:
            message = f"is more than the {rows:,} training rows, and drop_last leaves no batch of an epoch"
            remedy = "Lower it, or leave drop_last out."
            raise StudyFileError(Problem("task", "batch_size", message, remedy, self._batch_size))

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of steps that ``train_steps`` gives."""
        return -(-self.batches_per_epoch // self._accumulate)

    @property
    def batches_per_epoch(self) -> int:
        """Return the number of batches that ``train_batches`` gives."""
        rows, size = self._data.rows("train"), self._batch_size
        return rows // size + (1 if self._keeps_rest(rows) else 0)

    @property
    def rows_per_epoch(self) -> int:
        """Return the number of rows that these batches hold."""
        rows = self._data.rows("train")
        return rows if self._keeps_rest(rows) else rows - rows % self._batch_size

    def _keeps_rest(self, rows: int) -> bool:
        # Batch-norm cannot train on a single row.
        rest = rows % self._batch_size
        return not self._drop_last and (rest > 1 or (rest == 1 and rows == 1))

    def train_steps(self, generator: torch.Generator, start: int = 0) -> Iterator[list[Batch]]:
        """Yield ``train_batches``, as many at a time as make a training step; the last may be fewer.

        The first ``start`` steps are left out.
        """
        yield from islice(self._in_steps(self.train_batches(generator)), start, None)

    def _in_steps(self, batches: Iterable[Batch]) -> Iterator[list[Batch]]:
        step: list[Batch] = []
        for batch in batches:
            step.append(batch)
            if len(step) == self._accumulate:
                yield step
                step = []
        if step:
            yield step

    def train_batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """The training split once, shuffled and augmented by ``generator`` (on the pipeline's device).

        A last, smaller batch is kept unless it would hold a single row, or the task drops it.
        """
        size = self._batch_size
        for inputs, targets in self._train_chunks(generator):
            yield from zip(torch.split(inputs, size), torch.split(targets, size), strict=True)

    def stacked_batches(self, generators: Sequence[torch.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """``train_batches`` of several generators side by side: (lanes, rows, …) and (lanes, rows, …)."""
        size = self._batch_size
        for inputs, targets in self._stacked_chunks(generators):
            yield from zip(torch.split(inputs, size, 1), torch.split(targets, size, 1), strict=True)

    def _stacked_chunks(self, generators: Sequence[torch.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        if self._augment is not None:
            for lanes in zip(*map(self._train_chunks, generators), strict=True):
                yield torch.stack([inputs for inputs, _ in lanes]), torch.stack([y for _, y in lanes])
            return
        # What is not augmented is indexed for all lanes at once.
        resident, count = self._resident("train", raw=False), len(generators)
        orders = torch.stack([self._order(generator) for generator in generators])
        for chunk in torch.split(orders, self._chunk_rows(count * self._batch_size) // count, 1):
            inputs = resident.inputs.index_select(0, chunk.reshape(-1))
            inputs = self._finish(inputs, normalized=resident.normalized)
            yield inputs.view(count, -1, *inputs.shape[1:]), resident.targets[chunk]

    def _order(self, generator: torch.Generator) -> Tensor:
        order = torch.randperm(len(self._data.train.targets), generator=generator, device=self._device)
        return order[: self.rows_per_epoch]

    def _train_chunks(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Several batches at a time, the last of them perhaps smaller."""
        resident = self._resident("train", raw=self._augment is not None)
        for chunk in torch.split(self._order(generator), self._chunk_rows(self._batch_size)):
            inputs = resident.inputs.index_select(0, chunk)
            if self._augment is not None:
                inputs = self._augment(inputs, generator)
            inputs = self._finish(inputs, normalized=resident.normalized)
            targets = resident.targets.index_select(0, chunk)
            yield inputs, targets

    def batches(self, split: SplitName, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """A whole split in order, not augmented; ``size`` rows at a time, by default many."""
        resident = self._resident(split, raw=False)
        rows = max(self._batch_size, EVALUATION_ROWS) if size is None else size
        for inputs, targets in zip(
            torch.split(resident.inputs, rows), torch.split(resident.targets, rows), strict=True
        ):
            if resident.normalized and self._copies:
                inputs = inputs.clone()
            yield self._finish(inputs, normalized=resident.normalized), targets

    def _chunk_rows(self, size: int) -> int:
        per_row = max(1, math.prod(self.input_shape))
        numbers = _CHUNK.get(self._device.type, _CHUNK_ACCELERATOR)
        return size * max(1, numbers // (size * per_row))

    def _finish(self, inputs: Tensor, *, normalized: bool) -> Tensor:
        """Normalise a chunk of rows and bring it into its layout."""
        if not normalized:
            inputs = self._normalize(inputs)
        if self._channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _normalize(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(torch.float64 if self._wide else self._dtype, copy=True)
        if self._shift is not None:
            inputs.sub_(self._shift)
        if self._factor is not None:
            inputs.mul_(self._factor)
        return inputs.to(self._dtype)

    def _resident(self, split: str, *, raw: bool) -> _Resident:
        source = self._data.splits[split]
        # Float64 takes no less memory as it is than normalised.
        small = self._wide or source.inputs.size * self._dtype.itemsize <= _NORMALIZED_BYTES
        targets = self._cached(f"{split} targets", lambda: self._targets(source.targets))
        if raw or not small:
            inputs = self._cached(f"{split} inputs", lambda: _on_device(source.inputs, self._device), "raw")
            return _Resident(inputs, targets, normalized=False)
        ready = self._cached(
            f"{split} normalized",
            lambda: self._normalize(_on_device(source.inputs, self._host)).to(self._device),
        )
        return _Resident(ready, targets, normalized=True)

    def _targets(self, targets: NDArray[Any]) -> Tensor:
        moved = _on_device(targets, self._device)
        return moved.to(self._dtype) if self._data.classes is None else moved

    def _statistics(self) -> tuple[Tensor | None, Tensor | None]:
        found = statistics(self._normalization, self._data)
        dtype = torch.float64 if self._wide else self._dtype
        shift, factor = (
            None
            if values is None
            else torch.from_numpy(values[0] if values.ndim else values).to(dtype).to(self._host)
            for values in found
        )
        return shift, factor

    def _cached(self, what: str, make: Any, form: str | None = None) -> Any:
        """Call ``make`` once per process, data set and device; ``form``: what else the result depends on."""
        form = f"{self._normalization} {self._dtype}" if form is None else form
        kept = _kept.setdefault(self._data, {})
        key = (str(self._device), form, what)
        if key not in kept:
            kept[key] = make()
        return kept[key]


# Dies with the data set that it belongs to.
_kept: WeakKeyDictionary[TaskData, dict[tuple[str, str, str], Any]] = WeakKeyDictionary()


def outputs_of(data: TaskData, loss: str) -> int:
    """Return a model's number of outputs: one per class or target; one for two classes behind a sigmoid."""
    if data.classes is None:
        return int(data.train.targets.shape[1])
    return 1 if loss == "binary-cross-entropy" and data.classes == 2 else data.classes


def _on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array as a tensor; on a CPU it shares the array's memory, and nothing here writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensor = torch.from_numpy(array)
    if tensor.dtype == torch.float64 and not has_float64(device):
        tensor = tensor.float()
    return tensor.to(device)
