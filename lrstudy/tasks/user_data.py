"""Users' data sets read into arrays: once for the whole study, and a second time to compare."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from lrstudy.rules.user_modules import cause_of
from lrstudy.tasks.item_columns import Columns, ItemError, pair_of

SPLITS: Final = ("train", "validation", "test")
# So many items of a map-style data set are read a second time: an augmentation that changes one in fifty
# escapes in 4 of 100,000 tries.
_READ_AGAIN: Final = 256

Complain = Callable[[str, str], None]
Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Reading:
    """One split as it was read. ``digest`` is of arrays alone: the items of a data set are read again."""

    pair: Pair
    digest: str | None

    def differs(self, value: Any, named: Columns = None) -> str | None:
        """Return how ``value``, read now, differs from what was read before; None if it does not."""
        if self.digest is None:
            return _differing_item(value, self.pair, named)
        problems: list[str] = []
        again = read_split("the split", value, lambda message, _: problems.append(message))
        if again is None:
            return problems[0]
        return None if again.digest == self.digest else "it has other rows"


def by_split(made: Any, complain: Complain) -> Mapping[str, Any]:
    """The splits by name; a data set that is no mapping is the training split."""
    if not isinstance(made, Mapping):
        return {"train": made}
    unknown = [str(key) for key in made if key not in SPLITS]
    if unknown or "train" not in made:
        remedy = 'Use "train", "validation" and "test"' + (
            ', and "classes" only where the rows are read batch by batch: [task] loader = { workers = 1 }.'
            if "classes" in unknown
            else "."
        )
        complain(f"returned a mapping with the keys {list(made)}", remedy)
        return {}
    return {name: made[name] for name in SPLITS if made.get(name) is not None}


def read_split(split: str, value: Any, complain: Complain, named: Columns = None) -> Reading | None:
    """Read one split; complains of what cannot be read and then returns None.

    ``named`` are the columns of input and target in items that are mappings.
    """
    items = False
    columns: Sequence[Any] | None
    if isinstance(value, tuple | list) and len(value) == 2:
        columns = value
    elif (reason := _unreadable(value)) is not None:
        complain(f"{split} is a {type(value).__name__}{reason[0]}", reason[1])
        return None
    else:
        items, columns = True, _read_items(split, value, complain, named)
    if columns is None:
        return None
    if (text := _misaligned(columns)) is not None:
        complain(f"{split} {text}", "Give both one index, or reset_index(drop=True) on both.")
        return None
    arrays: list[NDArray[Any]] = []
    for name, column in zip(("inputs", "targets"), columns, strict=True):
        try:
            arrays.append(_array(column))
        except Exception as error:  # noqa: BLE001 - ragged rows, sparse or unknown objects: each has its own
            remedy = "Return arrays of one shape and type, without masked values."
            complain(f"{split} {name}: does not become an array: {str(error).rstrip('.')}", remedy)
    if len(arrays) < 2:
        return None
    inputs, targets = arrays
    return Reading((inputs, targets), None if items else _digest(inputs, targets))


def differing_item(value: Any, reading: Reading, named: Columns = None) -> str | None:
    """Return how a map-style data set read again differs from its ``reading``; None if it does not.

    Nothing is seeded in between: an item that draws from any random state differs.
    """
    return None if reading.digest is not None else _differing_item(value, reading.pair, named)


def _unreadable(value: Any) -> tuple[str, str] | None:
    """The reason and the remedy for what is no sequence of rows."""
    if isinstance(value, IterableDataset):
        remedy = "Read it batch by batch: [task] loader = { workers = 1 }. Or return a map-style data set."
        return ": a stream, whose items have no numbers", remedy
    if isinstance(value, DataLoader):
        return "", "Return its data set, loader.dataset: rows are shuffled and batched here."
    if not hasattr(value, "__getitem__"):
        return "", "Return (inputs, targets)."
    if not hasattr(value, "__len__"):
        return " without a length", "Give it __len__, or return (inputs, targets)."
    return None


def _read_items(
    split: str, items: Any, complain: Complain, named: Columns
) -> list[list[NDArray[Any]]] | None:
    """The columns of a map-style data set. Items are copied: the next read may refill their memory."""
    columns: list[list[NDArray[Any]]] = [[], []]
    index = -1
    try:
        for index in range(len(items)):
            for column, value in zip(columns, pair_of(items[index], named), strict=True):
                column.append(_array(value).copy())
    except ItemError as error:
        message = f"is not a sequence of (input, target) pairs: item {index} {error.message}"
        complain(f"{split} {message}", error.remedy)
        return None
    except Exception as error:  # noqa: BLE001 - reading runs the user's code
        place = "its length" if index < 0 else f"item {index}"
        message = f"{split}: reading {place} raised {cause_of(error)}"
        complain(message, "Correct the data set, or return (inputs, targets).")
        return None
    if not columns[0]:
        complain(f"{split} is empty", "Return at least one row, or leave the split out.")
        return None
    return columns


def _differing_item(value: Any, pair: Pair, named: Columns) -> str | None:
    try:
        if len(value) != len(pair[1]):
            return f"it has {len(value)} items instead of {len(pair[1])}"
        count = min(len(value), _READ_AGAIN)
        for index in np.unique(np.linspace(0, len(value) - 1, count).astype(int)).tolist():
            for name, found, before in zip(
                ("input", "target"), pair_of(value[index], named), pair, strict=True
            ):
                if not np.array_equal(_array(found), before[index], equal_nan=before.dtype.kind == "f"):
                    return f"the {name} of item {index} differed at the second read"
    except Exception as error:  # noqa: BLE001 - reading runs the user's code
        return f"reading it again raised {cause_of(error)}"
    return None


def _misaligned(columns: Sequence[Any]) -> str | None:
    """Return the problem with pandas objects whose rows are not in one order, or None."""
    if not all(hasattr(column, "iloc") for column in columns):
        return None
    inputs, targets = columns
    if len(inputs) != len(targets) or inputs.index.equals(targets.index):
        return None
    return "inputs and targets have different pandas indexes, and rows are paired by position"


def _array(value: Any) -> NDArray[Any]:
    """Any array-like as an array, of float64 at most."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        found: NDArray[Any] = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        return found
    parts = value if isinstance(value, list | tuple) else [value]
    masked = sum(int(np.ma.getmaskarray(part).sum()) for part in parts if isinstance(part, np.ma.MaskedArray))
    if masked:
        raise ValueError(f"{masked} of its values are masked")
    if hasattr(value, "toarray") and not hasattr(value, "__array__"):
        raise ValueError("it is sparse; .toarray() gives an array")
    array = np.asarray(value)
    if array.dtype.kind != "f" or array.dtype.itemsize <= 8:
        return array
    with np.errstate(over="ignore"):  # infinity is refused later
        return array.astype(np.float64)


def _digest(*arrays: NDArray[Any]) -> str:
    """A digest of arrays of any type, their shapes and the order of their values."""
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype.str} {array.shape}".encode())
        plain = array.dtype.kind in "biufc" and array.size > 0
        found.update(np.ascontiguousarray(array).data if plain else repr(array).encode())
    return found.hexdigest()
