"""Batches that a DataLoader reads, in worker processes that stay from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lrstudy.errors import Problem, StudyFileError
from lrstudy.rules.seeding import derive_seed
from lrstudy.tasks.augment import Augmenter
from lrstudy.tasks.data_loaders import ItemLoader, StreamLoader
from lrstudy.tasks.iterable_streams import ItemStream
from lrstudy.tasks.pipeline import EVALUATION_ROWS, Batch, Pipeline, SplitName, outputs_of
from lrstudy.tasks.task_data import TaskData

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec

_LARGEST_SEED = 2**62


class LoaderPipeline(Pipeline):
    """The batches of a task whose items are read by a DataLoader; a ``Pipeline`` in all else.

    The order of an epoch and the random states of its items follow from one number that the trial's generator
    draws, so that a trial repeats with any number of workers, and an epoch can be entered at any step.
    Pictures (uint8) are scaled to [0, 1], whole numbers (tokens) and other inputs stay as they are.
    """

    def __init__(self, data: TaskData, task: TaskSpec, device: torch.device) -> None:
        if task.augment and not data.image:
            remedy = "Leave augment out."
            problem = Problem("task", "augment", f"{data.name!r} holds no images", remedy, list(task.augment))
            raise StudyFileError(problem)
        if task.normalize not in (None, "none", "scale"):
            message = "needs all rows in memory, and task.loader reads them batch by batch"
            remedy = "Leave it out, or normalise in the data set."
            raise StudyFileError(Problem("task", "normalize", message, remedy, task.normalize))
        self._data, self._device = data, device
        self._set_batches(task)
        self._augment = Augmenter(task.augment) if task.augment else None
        self._dtype = torch.float64 if task.precision == "float64" else torch.float32
        self._scale = 1 / 255 if task.normalize != "none" else 1.0
        self._channels_last = task.channels_last and data.image
        self._loaders: dict[tuple[str, int, int, str], ItemLoader | StreamLoader] = {}
        self._workers = 0 if task.loader is None else task.loader.workers
        self.input_shape: tuple[int, ...] = tuple(data.train.inputs.shape[1:])
        self.outputs = outputs_of(data, task.loss.name)

    def train_steps(self, generator: torch.Generator, start: int = 0) -> Iterator[list[Batch]]:
        """Yield the batches of each step of an epoch, from step ``start`` on; the others are not read."""
        yield from self._in_steps(self._train(generator, start * self._accumulate))

    def train_batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        yield from self._train(generator, 0)

    def stacked_batches(self, generators: Sequence[torch.Generator]) -> Iterator[Batch]:
        """Raise ``TypeError``: trials that read their items are not trained in lanes."""
        raise TypeError("the items of a DataLoader are not stacked")

    def _train(self, generator: torch.Generator, start: int) -> Iterator[Batch]:
        drawn = torch.randint(_LARGEST_SEED, (), generator=generator, device=generator.device)
        loader, seed = self._loader("train", self._batch_size, self._workers, "shuffled"), int(drawn)
        rows = loader.shuffled(seed, start * self._batch_size, self.rows_per_epoch)
        for number, (inputs, targets) in enumerate(rows, start=start):
            moved, wanted = inputs.to(self._device), targets.to(self._device)
            if self._augment is not None:
                own = torch.Generator(self._device).manual_seed(derive_seed(seed, "augment", number))
                moved = self._augment(moved, own)
            yield self._ready(moved), self._wanted(wanted)

    def batches(self, split: SplitName, size: int | None = None) -> Iterator[Batch]:
        """Yield a whole split in order; with ``size`` rows at a time, read in this process."""
        rows = max(self._batch_size, EVALUATION_ROWS if self._data.image else self._batch_size)
        loader = self._loader(split, size or rows, self._workers if size is None else 0, "in order")
        for inputs, targets in loader.in_order():
            yield self._ready(inputs.to(self._device)), self._wanted(targets.to(self._device))

    def _loader(self, split: str, size: int, workers: int, use: str) -> ItemLoader | StreamLoader:
        key = (split, size, workers, use)
        if key not in self._loaders:
            assert self._data.streams is not None
            items = self._data.streams.splits[split]
            if isinstance(items, ItemStream):
                self._loaders[key] = StreamLoader(items, size, workers, split, self._data.name)
            else:
                self._loaders[key] = ItemLoader(items, size, workers)
        return self._loaders[key]

    def _ready(self, inputs: Tensor) -> Tensor:
        if inputs.dtype == torch.uint8:
            inputs = inputs.to(self._dtype).mul_(self._scale)
        elif inputs.is_floating_point():
            inputs = inputs.to(self._dtype)
        if self._channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _wanted(self, targets: Tensor) -> Tensor:
        if self._data.classes is not None:
            return targets.long()
        return targets.to(self._dtype).reshape(len(targets), math.prod(targets.shape[1:]))
