"""The evaluations of ended trials, from files that may hold more and change during a read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lrstudy.errors import Problem, StoreError
from lrstudy.store.location import Location
from lrstudy.store.table_files import decode, is_old, narrowed, read_table_file, table_files
from lrstudy.store.table_schema import TRIALS_SCHEMA
from lrstudy.store.tally import COLUMNS, EvaluationTally, count_evaluations
from lrstudy.store.verified import pause, read_verified

# The pause, as an attempt, after which a file that is not there is gone for good.
_GONE: Final = 3
_T = TypeVar("_T")


@dataclass(frozen=True)
class EndedEvaluations:
    """The evaluations of ``trials`` (a table) in the ``files`` of a store, in this schema.

    What is read is compared with the trials' rows in the end: a ``StoreError`` where a trial has an
    evaluation twice or not at all. ``gaps`` is as for ``EvaluationTally``.
    """

    store: Location
    schema: Any
    trials: Any
    files: Sequence[str]
    gaps: bool

    def tables(self, columns: Sequence[str], each: Callable[..., Iterable[Any]]) -> Iterator[Any]:
        """The rows as tables, one for each file; ``each`` is ``map``, or one that reads several at a time."""
        return self._tallied(each(lambda name: self._table(name, columns), self.files))

    def contents(self) -> Iterator[bytes]:
        """The rows as contents of Parquet files."""
        return self._tallied(map(self._content, self.files))

    def _table(self, name: str, columns: Sequence[str]) -> tuple[Any, Any]:
        place = self.store / name
        wanted = narrowed(self.schema, [*dict.fromkeys([*columns, *COLUMNS])])
        rows = _unless_gone(
            place, lambda: read_table_file(place, "evaluations", wanted), wanted.empty_table()
        )
        rows, _ = self._without_others(rows)
        return rows.select(columns), count_evaluations(rows)

    def _content(self, name: str) -> tuple[bytes, Any]:
        place, counted = self.store / name, narrowed(self.schema, COLUMNS)
        try:
            content, rows = read_verified(
                place, lambda content: (content, decode(content, "evaluations", counted))
            )
        except StoreError:
            if place.exists():
                raise
            empty = self.schema.empty_table()
            content, rows = _encode(empty), empty
        rows, others = self._without_others(rows)
        if others or is_old(content, "evaluations"):
            content = _encode(self._without_others(decode(content, "evaluations", self.schema))[0])
        return content, count_evaluations(rows)

    def _without_others(self, rows: Any) -> tuple[Any, bool]:
        """The rows without those of other trials, and if there were any."""
        ended = pc.is_in(rows["trial_id"], value_set=self.trials["trial_id"].combine_chunks())
        if pc.all(ended).as_py() is not False:
            return rows, False
        return rows.filter(ended), True

    def _tallied(self, parts: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
        tally = EvaluationTally(self.trials, gaps=self.gaps)
        for part, counts in parts:
            tally.add(counts)
            yield part
        problems = tally.problems(str(self.store / "evaluations"), str(self.store))
        if problems and self._trials_were_removed():
            message = "trials were removed while it was read, as lrstudy retry does; it is not damaged"
            raise StoreError(Problem(str(self.store), "", message, "Run the command again"))
        if problems:
            raise StoreError(problems)

    def _trials_were_removed(self) -> bool:
        wanted, files = narrowed(TRIALS_SCHEMA, ["trial_id"]), table_files(self.store, "trials")
        parts = [read_table_file(self.store / name, "trials", wanted) for name in files]
        there = {name for part in parts for name in part["trial_id"].to_pylist()}
        return not there.issuperset(self.trials["trial_id"].to_pylist())


def _unless_gone(place: Location, read: Callable[[], _T], nothing: _T) -> _T:
    """Return what ``read`` does, or ``nothing`` where the file is gone.

    A resume removes a file that holds no trial that has ended. On HDFS a file is gone for a moment while it
    is replaced.
    """
    try:
        return read()
    except StoreError:
        if not place.exists():
            pause(_GONE)
            if not place.exists():
                return nothing
    return read()


def _encode(rows: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    return bytes(sink.getvalue().to_pybytes())
