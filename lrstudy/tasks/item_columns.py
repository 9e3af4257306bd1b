"""An item of a data set as a pair (input, target): a pair itself, or two named columns of a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from lrstudy.errors import with_article

Columns = tuple[str, str] | None


class ItemError(ValueError):
    """An item that is no pair; ``key`` is the setting to change, ``remedy`` what to write."""

    def __init__(self, message: str, remedy: str = "", key: str = "dataset") -> None:
        super().__init__(message)
        self.message, self.remedy, self.key = message, remedy, key


def pair_of(item: Any, columns: Columns) -> tuple[Any, Any]:
    """Return the input and the target of an item; ``columns`` name them in a mapping.

    Raises ``ItemError`` for an item that is neither, and for columns that it does not have.
    """
    if isinstance(item, Mapping):
        return _named(item, columns)
    if not isinstance(item, tuple | list) or len(item) != 2:
        size = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise ItemError(f"is {with_article(type(item).__name__)}{size}", "Return (inputs, targets).")
    if columns is not None:
        raise ItemError("is a pair, whose parts have no names", "Leave columns out.", "columns")
    return item[0], item[1]


def _named(item: Mapping[Any, Any], columns: Columns) -> tuple[Any, Any]:
    names = [str(key) for key in item]
    has = f"is a {type(item).__name__} with the columns {', '.join(names) or 'none'}"
    if columns is None:
        example = f'["{names[0]}", "{names[-1]}"]' if len(names) > 1 else '["INPUT", "TARGET"]'
        raise ItemError(has, f"Name those of input and target: [task] columns = {example}.")
    if missing := [name for name in columns if name not in item]:
        raise ItemError(f"{has}, not {missing[0]}", "Name two of its columns.", "columns")
    return _plain(item[columns[0]]), _plain(item[columns[1]])


def _plain(value: Any) -> Any:
    """Return a picture as uint8 (channels, height, width) and a list as an array; anything else as it is."""
    if callable(getattr(value, "getbands", None)):  # of PIL, which a mapping of plain values does not need
        grey = value.mode in ("1", "L") or value.mode.startswith("I")
        pixels = np.asarray(value.convert("L" if grey else "RGB"))
        rows = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1).copy())
        return rows.permute(2, 0, 1).contiguous()
    return np.asarray(value) if isinstance(value, list | tuple) else value


class Pairs(Dataset[tuple[Any, Any]]):
    """The items of a map-style data set as pairs."""

    def __init__(self, items: Any, columns: Columns) -> None:
        self._items, self._columns = items, columns

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return pair_of(self._items[index], self._columns)
