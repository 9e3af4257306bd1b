"""A task's data as numpy arrays: loaded, reduced and split, everything from one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import ContractError, Problem, StudyFileError
from lrstudy.rules.seeding import derive_seed
from lrstudy.tasks.splits import RawData, Split

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec
    from lrstudy.tasks.item_streams import Streams

SPLITS: Final = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class TaskData:
    """The three splits of a data set. Compared and hashed by identity: a process keeps tensors per object.

    Inputs are uint8 or float32: (rows, channels, height, width) for images, else (rows, …). Targets are
    int64 (rows,) where there are ``classes``, else float32 (rows, outputs). A user's own inputs and targets
    may be float64. ``full_scale`` is what the normalisation ``scale`` divides by; None: the largest
    magnitude of the training split. Arrays may be read-only (they come out of Ray's object store).

    With ``streams`` rows are read batch by batch, and the splits here hold the first of them alone. These may
    be sequences: int64 inputs (rows, time) and targets (rows, time).

    ``raw`` is the data set before it was split, for ``resplit``; None where no other split will be needed, or
    where there is none.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int | None
    image: bool
    full_scale: float | None = None
    streams: Streams | None = None
    raw: RawData | None = None

    def resplit(self, spec: TaskSpec, seed: int) -> TaskData:
        """Return the same data set split by another seed, as ``load_data`` does; itself if it has no ``raw``.

        The data set is that of the study's seed: a user's own function is not called again.
        """
        return self if self.raw is None else _split_data(self.raw, spec, seed, keep_raw=True)

    def rows(self, split: str) -> int:
        """Return the number of rows of a split."""
        if self.streams is not None:
            return len(self.streams.splits[split])
        return len(self.splits[split].targets)

    @property
    def splits(self) -> Mapping[str, Split]:
        """The splits by name."""
        return MappingProxyType({"train": self.train, "validation": self.validation, "test": self.test})

    @property
    def description(self) -> str:
        """The numbers of rows, their shape, and the meaning given to the targets, in a line."""
        rows = ", ".join(f"{self.rows(name):,} {name}" for name in self.splits)
        inputs = self.train.inputs
        shape = "×".join(str(side) for side in inputs.shape[1:])
        kind = "images" if self.image else "features"
        if self.classes is not None:
            targets = f"{self.classes} classes"
        else:
            outputs = self.train.targets.shape[1]
            targets = f"{outputs} number{'s' if outputs > 1 else ''} per row (regression)"
        return f"{rows} rows; {shape} {kind}, {inputs.dtype}; targets: {targets}"

    @property
    def repeated_rows(self) -> str:
        """A sentence on validation and test rows that are training rows too; empty if none are."""
        if self.streams is not None:
            return ""
        known = set(_row_digests(self.train.inputs))
        counts = {
            name: sum(row in known for row in _row_digests(split.inputs))
            for name, split in self.splits.items()
            if name != "train"
        }
        told = [
            f"{count:,} of {len(self.splits[name].targets):,} {name} rows"
            for name, count in counts.items()
            if count
        ]
        return f"inputs that the training split holds too: {', '.join(told)}" if told else ""


def load_data(spec: TaskSpec, seed: int, root: Path | None = None, *, keep_raw: bool = False) -> TaskData:
    """Load a task's data set and split it; the same spec and seed always give the same rows.

    ``seed`` is the study's. Validation rows are carved from the training set; a data set's own test
    set is kept whole, from another data set ``spec.test`` of its rows are set aside first; both are one where
    ``spec.validation`` is ``"test"``. With
    ``spec.rows`` only that many training rows (validation included) are used. Classes keep their shares
    in every split. ``keep_raw`` keeps what ``TaskData.resplit`` needs.

    Raises ``DataError`` for a data set that is missing or damaged, ``ContractError`` for a user's own that
    breaks the contract, ``StudyFileError`` for sizes that cannot be had.
    """
    from lrstudy.tasks.datasets import load_raw

    if spec.streamed:
        return _streamed(spec, seed)
    return _split_data(load_raw(spec.dataset, seed, root, spec.columns), spec, seed, keep_raw=keep_raw)


def _split_data(raw: RawData, spec: TaskSpec, seed: int, *, keep_raw: bool) -> TaskData:
    own = raw.test is not None and (raw.validation is not None or spec.validation == "test")
    drawn = not own or spec.rows is not None
    train, validation, test = raw.train, raw.validation, raw.test
    split = _Splitter(seed, stratified=raw.classes is not None)
    if test is None:
        train, test = split(train, spec.test, "test")
    if spec.rows is not None:
        train = split.reduce(train, spec.rows)
    if spec.validation == "test":
        validation = test
    elif validation is None:
        train, validation = split(train, spec.validation, "validation")
    return TaskData(
        name=spec.dataset.name,
        train=train,
        validation=validation,
        test=test,
        classes=raw.classes,
        image=raw.image,
        full_scale=raw.full_scale,
        raw=raw if keep_raw and drawn else None,
    )


def _streamed(spec: TaskSpec, seed: int) -> TaskData:
    """Return the data of a task whose rows are read batch by batch, with the first rows of each split."""
    from lrstudy.tasks.item_streams import Streams

    streams = Streams(spec, seed)
    train, validation, test = (_sample(streams, name) for name in SPLITS)
    numbers = train.targets.dtype.kind == "f"
    if not numbers and streams.classes is None:
        remedy = 'Add "classes" to the mapping that is returned, or give the data set an attribute classes.'
        message = "does not tell the number of its classes"
        raise ContractError(Problem("task", "dataset", message, remedy, spec.dataset.name))
    image = train.inputs.ndim == 4
    classes = None if numbers else streams.classes
    return TaskData(spec.dataset.name, train, validation, test, classes, image, streams=streams)


def _sample(streams: Streams, split: str) -> Split:
    inputs, targets = streams.sample(split)
    return Split(inputs, targets.reshape(len(targets), -1) if targets.dtype.kind == "f" else targets)


class _Splitter:
    """Divides rows at random, class by class where there are classes."""

    def __init__(self, seed: int, *, stratified: bool) -> None:
        self._seed = seed
        self._stratified = stratified

    def __call__(self, data: Split, fraction: float, key: str) -> tuple[Split, Split]:
        """(the rest, ``fraction`` of the rows)."""
        rest, taken = self._divide(data, fraction, key)
        return _take(data, rest), _take(data, taken)

    def reduce(self, data: Split, rows: int) -> Split:
        """``rows`` of the rows."""
        available = len(data.targets)
        if rows > available:
            message = f"is more than the {available} training rows there are"
            raise StudyFileError(Problem("task", "rows", message, "Give fewer, or leave rows out.", rows))
        return data if rows == available else _take(data, self._divide(data, rows, "rows")[1])

    def _divide(self, data: Split, size: float, key: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        from sklearn.model_selection import train_test_split

        try:
            rest, taken = train_test_split(
                np.arange(len(data.targets)),
                test_size=size,
                random_state=derive_seed(self._seed, "split", key),
                stratify=data.targets if self._stratified else None,
            )
        except ValueError as error:  # too few rows, of a class or in all
            remedy = "Give more rows, or another size."
            if self._stratified and np.bincount(data.targets).min() < 2:
                remedy = "Give two rows of each class at least; for a regression give floating-point targets."
            problem = Problem("task", key, f"cannot be split off: {error}", remedy, size)
            raise StudyFileError(problem) from error
        return np.sort(rest), np.sort(taken)


def _row_digests(inputs: NDArray[Any]) -> Iterator[bytes]:
    return (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in inputs)


def _take(data: Split, rows: NDArray[np.intp]) -> Split:
    return Split(data.inputs[rows], data.targets[rows])
