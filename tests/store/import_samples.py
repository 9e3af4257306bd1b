"""Imports of texts and bytes: what the store then holds, or what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrstudy.errors import InputError
from lrstudy.store import ImportedStudy, ImportOptions, Store, import_histories, open_store
from lrstudy.store.log_formats import LogTable

METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def written(folder: Path, **files: str | bytes) -> list[Path]:
    """Files of those names (``__`` stands for the dot) and contents."""
    paths = []
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths.append(path)
    return paths


def imported(folder: Path, options: ImportOptions | None = None, **files: str | bytes) -> ImportedStudy:
    """The one study that the files become."""
    (made,) = import_histories(written(folder, **files), folder / "out", options)
    return made


def store_of(made: ImportedStudy) -> Store:
    """Its store."""
    return open_store(made.location)


def values(made: ImportedStudy, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of its epochs, row by row."""
    return [tuple(row.values()) for row in store_of(made).evaluations(list(columns)).to_pylist()]


def refused(folder: Path, options: ImportOptions | None = None, **files: str | bytes) -> str:
    """What is said of the files, of which nothing is written."""
    paths = written(folder, **files)
    with pytest.raises(InputError) as refusal:
        import_histories(paths, folder / "out", options)
    assert refusal.value.exit_code == 2
    assert not (folder / "out").exists()
    return str(refusal.value).replace(f"{folder}/", "")


def from_tables(out: Path, *tables: LogTable, **options: Any) -> ImportedStudy:
    """The one study that a tracker's tables become."""
    (made,) = import_histories(["tracker"], out, ImportOptions(**options), lambda _: list(tables))
    return made


def run(name: str, constants: dict[str, Any] | None = None, **columns: Any) -> LogTable:
    """A tracker's table of one run; ``__`` in a column's name stands for a slash."""
    named = {column.replace("__", "/"): cells for column, cells in columns.items()}
    rows = len(next(iter(named.values())))
    return LogTable(name, named, [None] * rows, constants={"run.name": name, **(constants or {})})
