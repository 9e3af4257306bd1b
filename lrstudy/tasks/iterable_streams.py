"""Iterable data sets, read from start to end by a DataLoader, in batches of one size.

As torch has it, each worker process iterates a copy, and the data set gives each a part of its items
(``torch.utils.data.get_worker_info``). Workers send the items in chunks, which are put together to batches
here: their number and sizes do not depend on the number of workers; the order of the items does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate, get_worker_info

from lrstudy.rules.seeding import derive_seed
from lrstudy.rules.surroundings import random_states_kept
from lrstudy.tasks.item_columns import Columns, pair_of

Batch = tuple[Tensor, Tensor]
Refuse = Callable[[str, str], Exception]


class ItemStream:
    """An iterable data set, of which a pass reads ``rows`` items; None: as many as its length says."""

    def __init__(self, items: Any, rows: int | None, columns: Columns) -> None:
        self._items, self._columns = items, columns
        self.whole = rows is None
        """True if a pass reads the whole stream, so that its length can be checked."""
        self._rows: int = len(items) if rows is None else rows

    def __len__(self) -> int:
        return self._rows

    def set_epoch(self, seed: int) -> None:
        """Give the seed of a pass to a data set with ``set_epoch`` (Hugging Face's, to shuffle).

        Call before the workers begin the pass: such a data set may keep it in memory that they share, and two
        that set it at once add up. A worker sets it only if its copy does not have it yet.
        """
        set_epoch = getattr(self._items, "set_epoch", None)
        if callable(set_epoch) and getattr(self._items, "epoch", None) != seed:
            set_epoch(seed)

    def begin(self, seed: int) -> Iterator[tuple[Any, Any]]:
        """Begin a pass."""
        self.set_epoch(seed)
        return (pair_of(item, self._columns) for item in self._items)


class Chunks(IterableDataset[Batch]):
    """The chunks of a process's part of a stream; what its items draw at random follows from the seed.

    The seed is in shared memory: workers that stay from pass to pass read it at the start of each.
    """

    def __init__(self, stream: ItemStream, size: int) -> None:
        self._stream, self._size = stream, size
        self._seed = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def set_seed(self, seed: int) -> None:
        """Set the seed of the next pass."""
        self._stream.set_epoch(seed)
        self._seed.fill_(seed)

    def __iter__(self) -> Iterator[Batch]:
        worker, seed = get_worker_info(), int(self._seed)
        states = _RandomStates(derive_seed(seed, "stream", 0 if worker is None else worker.id))
        with states.used():
            items = self._stream.begin(seed)
        while True:
            with states.used():
                chunk = list(islice(items, self._size))
                batch = default_collate(chunk) if chunk else None
            if batch is None:
                return
            yield batch[0], batch[1]


class _RandomStates:
    """Random states of a stream alone: the process that trains has others between two chunks."""

    def __init__(self, seed: int) -> None:
        self._seed: int | None = seed
        self._states: tuple[Any, Any, Any] | None = None

    @contextmanager
    def used(self) -> Iterator[None]:
        """Use them in the block, from where the last block left them."""
        with random_states_kept(self._seed):
            self._seed = None
            if self._states is not None:
                random.setstate(self._states[0])
                np.random.set_state(self._states[1])  # noqa: NPY002 - users' transforms draw from it
                torch.default_generator.set_state(self._states[2])
            yield
            draws = np.random.get_state()  # noqa: NPY002
            self._states = random.getstate(), draws, torch.default_generator.get_state()


def in_batches(
    chunks: Iterable[Batch], size: int, stream: ItemStream, workers: int, refuse: Refuse
) -> Iterator[Batch]:
    """Yield a pass over a stream in batches of ``size`` rows, the last perhaps smaller.

    Raises what ``refuse`` returns if the stream has fewer items than its length, or more, or gives two of its
    workers the same ones.
    """
    waiting: list[Batch] = []
    rows = 0
    for chunk in _counted(_divided(chunks, workers, refuse), stream, refuse):
        waiting.append(chunk)
        rows += len(chunk[1])
        if rows < size:
            continue
        inputs, targets = _joined(waiting)
        full = rows - rows % size
        yield from zip(torch.split(inputs[:full], size), torch.split(targets[:full], size), strict=True)
        waiting = [(inputs[full:], targets[full:])] if full < rows else []
        rows -= full
    if waiting:
        yield _joined(waiting)


def _joined(chunks: list[Batch]) -> Batch:
    if len(chunks) == 1:
        return chunks[0]
    return torch.cat([inputs for inputs, _ in chunks]), torch.cat([targets for _, targets in chunks])


def _divided(chunks: Iterable[Batch], workers: int, refuse: Refuse) -> Iterator[Batch]:
    """Yield the chunks; refuse a stream whose first two workers begin with the same one."""
    first: Batch | None = None
    for number, chunk in enumerate(chunks):
        if number == 0 and workers > 1:
            first = chunk
        elif number == 1 and first is not None and all(map(_equal, first, chunk)):
            remedy = (
                "Give each worker its part, by worker = torch.utils.data.get_worker_info(): "
                "islice(items, worker.id, None, worker.num_workers). Or read with loader = { workers = 1 }."
            )
            raise refuse("gives the same items to each of its workers", remedy)
        yield chunk


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one != one)).all())


def _counted(chunks: Iterator[Batch], stream: ItemStream, refuse: Refuse) -> Iterator[Batch]:
    """Yield the chunks of a pass, as many rows as the stream has; the last once no other follows."""
    rows, wanted = 0, len(stream)
    held: Batch | None = None
    remedy = "Give the exact number in __len__, for all of the workers' parts together."
    for inputs, targets in chunks:
        left = wanted - rows
        if stream.whole and len(targets) > left:
            raise refuse(f"gives more items than the {wanted} of its length", remedy)
        if held is not None:
            yield held
        held = inputs[:left], targets[:left]
        rows += len(held[1])
        if rows == wanted and not stream.whole:
            break
    if rows < wanted:
        if not stream.whole:
            remedy = "Lower rows, or let the data set begin again where it ends."
        raise refuse(f"gives {rows} items, fewer than the {wanted} of a pass", remedy)
    if held is not None:
        yield held
