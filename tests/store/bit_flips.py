"""Damages single bits of a store, and tells what its readers make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store_samples import study, trial

from lrstudy.errors import LrStudyError
from lrstudy.store import StoreWriter, open_store, query_store

SQL = "SELECT * FROM epochs JOIN trials USING (trial_id) ORDER BY ALL"


def write_store(folder: Path) -> None:
    """A small store of several files."""
    with StoreWriter.create_or_open(folder, study(), chunk_rows=16) as writer:
        for number in range(8):
            writer.append(*trial(number, 4, objective=number / 7, test_accuracy=0.1 * number))


def values(folder: Path) -> str:
    """Everything that the store's readers give, as text (in which NaN equals NaN)."""
    store = open_store(folder)
    queried = query_store(store, SQL).to_pylist()
    exported = [table.to_pylist() for table in store.tables("evaluations")]
    epochs = list(store.evaluation_records())
    return repr((store.study, store.trial_records(), epochs, exported, queried))


@contextmanager
def flipped(file: Path, bit: int) -> Iterator[None]:
    """A file with one bit the other way, for the length of the block."""
    before = file.read_bytes()
    content = bytearray(before)
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(before)


def outcome(folder: Path, good: str) -> str:
    """Return the effect of damage on a store's readers, in a word or two."""
    try:
        return "same values" if values(folder) == good else "OTHER VALUES"
    except LrStudyError as error:
        return "refused" if all(problem.remedy for problem in error.problems) else "NO REMEDY"
    except Exception as error:  # noqa: BLE001 - the very thing that is counted
        return f"TRACEBACK {type(error).__name__}"
