"""Data sets that need not fit into memory: items that a DataLoader reads, batch by batch.

Each process makes its own data sets: only their description travels to the workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, Subset

from lrstudy.errors import ContractError, DataError, Problem
from lrstudy.rules.seeding import derive_seed
from lrstudy.rules.surroundings import random_states_kept
from lrstudy.rules.user_modules import cause_of
from lrstudy.tasks.item_columns import ItemError, Pairs
from lrstudy.tasks.iterable_streams import ItemStream

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec

# Items that are read for the checks, and for the data's fingerprint.
SAMPLE: Final = 64
CLASSES: Final = "classes"

Pair = tuple[NDArray[Any], NDArray[Any]]


class Streams:
    """The data sets of a task by split, made at their first use in a process."""

    def __init__(self, task: TaskSpec, seed: int) -> None:
        self._task, self._seed = task, seed
        self._folder = Path.cwd()  # a worker's is another
        self._made: tuple[dict[str, Any], int | None] | None = None

    @property
    def splits(self) -> dict[str, Any]:
        """The data sets of (input, target) pairs: map-style ones, and ``ItemStream``s of iterable ones."""
        return self._make()[0]

    @property
    def classes(self) -> int | None:
        """The number of classes, None for a regression."""
        return self._make()[1]

    @property
    def divided(self) -> str:
        """The number of workers, where it decides the order of the items: between those of an iterable."""
        workers = 0 if self._task.loader is None else self._task.loader.workers
        streams = any(isinstance(items, ItemStream) for items in self.splits.values())
        return f" by {workers}" if streams and workers > 1 else ""

    def sample(self, split: str) -> Pair:
        """Return the first items of a split as arrays."""
        items = self.splits[split]
        arrays = self._first(split, items)
        if isinstance(items, ItemStream) and not _same(arrays, self._first(split, items)):
            remedy = (
                "Begin again in each __iter__, and draw from the random states of Python, numpy or torch, "
                "which are set before it."
            )
            raise ContractError(self._problem(f"{split} differs when it is read again", remedy))
        return arrays

    def _first(self, split: str, items: Any) -> Pair:
        try:
            with random_states_kept(0):
                if isinstance(items, ItemStream):
                    pairs = list(islice(items.begin(0), min(SAMPLE, len(items))))
                else:
                    pairs = [items[index] for index in range(min(SAMPLE, len(items)))]
            inputs, targets = zip(*pairs, strict=True)
            arrays = [np.stack([np.asarray(value) for value in part]) for part in (inputs, targets)]
        except ItemError as error:
            message = f"{split}: an item {error.message}, not an (input, target) pair"
            value = self._task.columns if error.key == "columns" else self._task.dataset.name
            raise ContractError(Problem("task", error.key, message, error.remedy, value)) from error
        except Exception as error:
            message = f"{split}: the first items do not become a batch: {cause_of(error)}"
            remedy = "Give (input, target) pairs of tensors of one shape."
            raise ContractError(self._problem(message, remedy)) from error
        return arrays[0], arrays[1]

    def _make(self) -> tuple[dict[str, Any], int | None]:
        if self._made is None:
            made = self._open()
            classes = made.pop(CLASSES, None)
            self._made = self._divided(made), classes
        return self._made

    def _open(self) -> dict[str, Any]:
        match self._task.dataset.name:
            case "tokens":
                return _tokens(self._task, self._folder)
            case "image-folder":
                return _image_folder(self._task, self._folder)
        return _users(self._task, self._seed)

    def _divided(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """Return all three splits; those that are missing are taken from the training split, by the seed."""
        found = {name: self._named(name, items) for name, items in made.items() if items is not None}
        if isinstance(found["train"], ItemStream):
            needed = ("test",) if self._task.validation == "test" else ("validation", "test")
            for name in needed:
                if name not in found:
                    remedy = 'Return a mapping of "train", "validation" and "test".'
                    raise ContractError(self._problem(f"train is a stream, and there is no {name}", remedy))
        elif self._task.rows is not None:
            found["train"] = self._part(found["train"], self._task.rows, "rows")[1]
        shares = {"test": self._task.test}
        if self._task.validation != "test":
            shares["validation"] = self._task.validation
        for name, share in shares.items():
            if name not in found:
                size = max(1, round(share * len(found["train"])))
                found["train"], found[name] = self._part(found["train"], size, name)
        if self._task.validation == "test":
            found["validation"] = found["test"]
        return {name: found[name] for name in ("train", "validation", "test")}

    def _named(self, split: str, items: Any) -> Any:
        """Return a split whose number of items is known; raises ``ContractError`` for another."""
        stream = isinstance(items, IterableDataset)
        rows = self._task.rows if stream and split == "train" else None
        length = _length(items)
        if rows is None and length is None:
            remedy = "Give it __len__" + (
                ", or set [task] rows, the number of items that an epoch reads."
                if stream and split == "train"
                else ", or return a map-style data set: list(items), say."
            )
            raise ContractError(self._problem(f"{split} has no length", remedy))
        if rows is not None and length is not None and rows > length:
            message = f"is more than the {length} items of a pass over train"
            raise ContractError(Problem("task", "rows", message, "Give fewer, or leave rows out.", rows))
        columns = self._task.columns
        if stream:
            return ItemStream(items, None if rows == length else rows, columns)
        return Pairs(items, columns) if self._task.dataset.is_users_own else items

    def _part(self, items: Any, size: int, key: str) -> tuple[Subset[Any], Subset[Any]]:
        if size >= len(items) + (key == "rows"):
            message = f"has {len(items)} training items, too few for {size} of {key}"
            raise ContractError(self._problem(message, "Give more items, or another size."))
        order = np.random.default_rng(derive_seed(self._seed, "split", key)).permutation(len(items))
        rest, taken = np.sort(order[size:]).tolist(), np.sort(order[:size]).tolist()
        return Subset(items, rest), Subset(items, taken)

    def _problem(self, message: str, remedy: str) -> Problem:
        return Problem("task", "dataset", message, remedy, self._task.dataset.name)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}


def _users(task: TaskSpec, seed: int) -> dict[str, Any]:
    from lrstudy.tasks.user_code import make_items

    made = make_items(task.dataset, seed)
    if CLASSES not in made and hasattr(made["train"], CLASSES):
        named = made["train"].classes
        made[CLASSES] = named if isinstance(named, int) else len(named)
    if CLASSES not in made and task.columns is not None:
        made[CLASSES] = _named_classes(made["train"], task.columns[1])
    return made


def _named_classes(items: Any, column: str) -> int | None:
    """Return the number of classes of a column with names for them (Hugging Face's ``ClassLabel``)."""
    features = getattr(items, "features", None)
    named = features.get(column) if isinstance(features, Mapping) else None
    return getattr(named, "num_classes", None)


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except (TypeError, NotImplementedError):
        return None


def _same(one: Pair, other: Pair) -> bool:
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True))


class TokenBlocks(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The blocks of a file of uint16 tokens that stays on the disk; a block's targets are the next tokens."""

    def __init__(self, file: Path, block: int) -> None:
        self._file, self._block = file, block
        self._tokens: NDArray[np.uint16] = np.memmap(file, dtype=np.uint16, mode="r")

    @property
    def largest(self) -> int:
        """The largest token."""
        step = 1 << 24
        return max(
            int(self._tokens[start : start + step].max()) for start in range(0, len(self._tokens), step)
        )

    def __len__(self) -> int:
        return max(0, (len(self._tokens) - 1) // self._block)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = index * self._block
        window = torch.from_numpy(self._tokens[start : start + self._block + 1].astype(np.int64))
        return window[:-1], window[1:]

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenBlocks, (self._file, self._block)


def _tokens(task: TaskSpec, folder: Path) -> dict[str, Any]:
    options = task.dataset.options
    root = folder / str(options.get("root") or ".")
    found: dict[str, Any] = {}
    for split in ("train", "validation", "test"):
        if (name := options.get(split)) is None:
            continue
        file = root / str(name)
        if not file.is_file() or file.stat().st_size < 4:
            message = f"{split}: there is no file of uint16 tokens at {file.absolute()}"
            raise DataError(
                Problem("task", "dataset", message, "Give the file, or root, its folder.", str(name))
            )
        found[split] = TokenBlocks(file.absolute(), int(options.get("block") or 128))
    vocabulary = options.get("vocabulary")
    classes = 1 + max(blocks.largest for blocks in found.values()) if vocabulary is None else int(vocabulary)
    return {**found, CLASSES: classes}


class _Image:
    """The transform of a picture to a uint8 tensor of the folder's size."""

    def __init__(self, size: int, *, grey: bool) -> None:
        self._size, self._mode = (size, size), "L" if grey else "RGB"

    def __call__(self, picture: Any) -> torch.Tensor:
        """Return (channels, size, size)."""
        pixels = np.asarray(picture.convert(self._mode).resize(self._size))
        return torch.from_numpy(pixels.copy()).reshape(*self._size, -1).permute(2, 0, 1).contiguous()


def _image_folder(task: TaskSpec, folder: Path) -> dict[str, Any]:
    from torchvision.datasets import ImageFolder

    options = task.dataset.options
    root = folder / str(options["root"])
    transform = _Image(int(options.get("size") or 64), grey=bool(options.get("grey")))
    folders = {name: root / name for name in ("train", "validation", "test") if (root / name).is_dir()}
    if "train" not in folders:
        folders = {"train": root}
    try:
        found: dict[str, Any] = {
            name: ImageFolder(str(folder), transform) for name, folder in folders.items()
        }
    except (OSError, RuntimeError) as error:
        remedy = "Give the folder that holds a folder of pictures for each class."
        problem = Problem("task", "dataset.root", f"is no image folder: {error}", remedy, str(root))
        raise DataError(problem) from error
    classes = found["train"].classes
    for name, items in found.items():
        if items.classes != classes:
            message = f"has other classes in {name} than in train: {', '.join(items.classes[:5])}"
            remedy = "Give each split a folder for every class."
            raise DataError(Problem("task", "dataset.root", message, remedy, str(root)))
    return {**found, CLASSES: len(classes)}
