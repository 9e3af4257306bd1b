"""Columns of numbers with a mask of the cells that hold one: null is "not measured", NaN a measured value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """A column: its numbers (whole ones as 64-bit integers) and the mask of the cells that hold one."""

    values: NDArray[Any]
    known: Mask

    def __len__(self) -> int:
        return len(self.values)

    @property
    def floats(self) -> NDArray[np.float64]:
        """The numbers as floats, NaN where there is none."""
        values = self.values.astype(np.float64)
        values[~self.known] = np.nan
        return values

    @property
    def finite(self) -> Mask:
        """The mask of cells that hold a finite number."""
        finite: Mask = self.known & np.isfinite(self.values)
        return finite

    def take(self, index: Index | Mask) -> Cells:
        """Return the cells of these rows."""
        return Cells(self.values[index], self.known[index])

    def without(self, mask: Mask) -> Cells:
        """Return the cells with those of a mask turned into null."""
        return Cells(self.values, self.known & ~mask)

    def to_arrow(self, kind: Any) -> Any:
        """Return an Arrow array of a type, null where there is no number."""
        values = self.values
        if pa.types.is_integer(kind) and values.dtype.kind == "f":
            values = np.where(self.known, values, 0).astype(np.int64)
        return pa.array(values, mask=~self.known).cast(kind)


def cells_of(column: Any) -> Cells:
    """Return the cells of a log's column: a list with None, a numpy array that may be masked, or Arrow's.

    Raises ``OverflowError`` for a whole number beyond 64 bits.
    """
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return _of_arrow(column)
    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
        known = np.broadcast_to(~np.ma.getmaskarray(column), column.shape)
        return Cells(_plain(np.ma.getdata(column)), np.array(known, bool))
    cells = column.tolist() if isinstance(column, np.ndarray) else column
    known = np.fromiter((cell is not None for cell in cells), bool, len(cells))
    filled = [0 if cell is None else cell for cell in cells]
    whole = all(isinstance(cell, int) for cell in filled)
    return Cells(np.array(filled, np.int64 if whole else np.float64), known)


def _of_arrow(column: Any) -> Cells:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    known = column.is_valid().to_numpy(zero_copy_only=False)
    return Cells(_plain(column.fill_null(0).to_numpy(zero_copy_only=False)), known)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.int64 if values.dtype.kind in "iu" else np.float64, copy=False)


def none_of(rows: int) -> Cells:
    """Return a column in which nothing was measured."""
    return Cells(np.zeros(rows), np.zeros(rows, bool))


def joined(parts: Sequence[Cells]) -> Cells:
    """Return the cells of several columns, one below the other."""
    if len(parts) == 1:
        return parts[0]
    return Cells(
        np.concatenate([part.values for part in parts]), np.concatenate([part.known for part in parts])
    )


def is_array(column: Any) -> bool:
    """Return True if a column is a numpy or Arrow array, and no list of cells."""
    return isinstance(column, np.ndarray | pa.Array | pa.ChunkedArray)


def as_numbers(column: Any) -> Any:
    """Return an array of numbers as it is, any other as a list of its cells."""
    if isinstance(column, np.ndarray):
        return column if column.dtype.kind in "iuf" else column.tolist()
    kind = column.type
    return column if pa.types.is_integer(kind) or pa.types.is_floating(kind) else column.to_pylist()


def count_known(column: Any) -> int:
    """Return the number of cells that are not null."""
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return len(column) - int(column.null_count)
    if isinstance(column, np.ndarray):
        return len(column) - int(np.ma.getmaskarray(column).sum())
    return sum(cell is not None for cell in column)
