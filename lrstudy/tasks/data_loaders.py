"""DataLoaders of map-style and of iterable data sets, in worker processes that stay from pass to pass."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from lrstudy.errors import ContractError, Problem
from lrstudy.rules.seeding import derive_seed
from lrstudy.rules.surroundings import random_states_kept
from lrstudy.tasks.iterable_streams import Chunks, ItemStream, in_batches

Batch = tuple[Tensor, Tensor]


class SeededItems(Dataset[Any]):
    """Items by (index, seed): what an item draws at random depends on these alone, in any process."""

    def __init__(self, items: Any) -> None:
        self._items = items

    def __getitem__(self, key: tuple[int, int]) -> Any:
        index, seed = key
        own = get_worker_info() is not None  # a worker process has no other use for its random states
        kept: AbstractContextManager[None] = nullcontext() if own else random_states_kept()
        with kept:
            mixed = derive_seed(seed, "item", index)
            torch.default_generator.manual_seed(mixed)
            random.seed(mixed)
            np.random.seed(mixed % 2**32)  # noqa: NPY002 - users' transforms draw from it
            return self._items[index]


class Order(Sampler[tuple[int, int]]):
    """The items of a pass, each with the pass's seed; set ``indices`` and ``seed`` before each."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.seed = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        seed = self.seed
        return ((index, seed) for index in self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class ItemLoader:
    """A DataLoader of a map-style data set, whose order is set before each pass."""

    def __init__(self, items: Any, size: int, workers: int) -> None:
        self._items, self._order = items, Order()
        self.loader: DataLoader[Any] = DataLoader(
            SeededItems(items),
            batch_size=size,
            sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # the loader draws nothing from the trial's random state
        )

    def shuffled(self, seed: int, start: int, end: int) -> Iterator[Batch]:
        """Yield rows ``start`` to ``end`` of a pass in the order that the seed gives; no others are read."""
        order = torch.randperm(len(self._items), generator=torch.Generator().manual_seed(seed))
        yield from self._read(order[start:end].tolist(), seed)

    def in_order(self) -> Iterator[Batch]:
        """Yield all rows in order."""
        yield from self._read(list(range(len(self._items))), 0)

    def _read(self, indices: list[int], seed: int) -> Iterator[Batch]:
        self._order.indices, self._order.seed = indices, seed
        yield from self.loader


class StreamLoader:
    """A DataLoader of an iterable data set; its order is the data set's."""

    def __init__(self, stream: ItemStream, size: int, workers: int, split: str, name: str) -> None:
        self._stream, self._size, self._workers = stream, size, workers
        self._split, self._name = split, name
        self._chunks = Chunks(stream, size)
        self.loader: DataLoader[Any] = DataLoader(
            self._chunks,
            batch_size=None,  # the chunks are batches already
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),
        )

    def shuffled(self, seed: int, start: int, end: int) -> Iterator[Batch]:
        """Yield the batches of a pass from row ``start`` to ``end``; the rows before are read and dropped."""
        yield from islice(self._read(seed), start // self._size, -(-end // self._size))

    def in_order(self) -> Iterator[Batch]:
        """Yield a pass that is the same each time."""
        yield from self._read(0)

    def _read(self, seed: int) -> Iterator[Batch]:
        self._chunks.set_seed(seed)
        yield from in_batches(self.loader, self._size, self._stream, self._workers, self._refusal)

    def _refusal(self, message: str, remedy: str) -> ContractError:
        return ContractError(Problem("task", "dataset", f"{self._split} {message}", remedy, self._name))
