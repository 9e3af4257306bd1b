"""Opens a store, finished or still being written, and says clearly what is wrong with a damaged one.

A store that is being written is seen as it was at one moment. The writer stores a trial's evaluations before
its row, so the reader takes the trials' rows first, once, and later only the evaluations of these trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pyarrow.fs import FileSelector

from lrstudy.errors import InputError, Problem, StoreError, did_you_mean
from lrstudy.records import EvaluationRecord, TrialRecord
from lrstudy.store import table_schema
from lrstudy.store.ended import EndedEvaluations
from lrstudy.store.footers import footer_problems
from lrstudy.store.location import Location, open_location
from lrstudy.store.store_errors import reading
from lrstudy.store.study_info import STUDY_FILE, StudyInfo
from lrstudy.store.table_files import narrowed, read_table_file, table_files
from lrstudy.store.tally import doubled_trials, rows_problem
from lrstudy.store.verified import read_until_stable

if TYPE_CHECKING:
    import pandas as pd

# Reading from an object store waits on the network, not on the processor.
_READERS: Final = 8


@dataclass(frozen=True)
class Store:
    """A study's store as it was when it was opened (``refreshed`` looks again): the trials that had ended."""

    location: Location
    study: StudyInfo
    _files: Mapping[str, tuple[str, ...]]
    _trials: Any = field(repr=False, compare=False)

    def __repr__(self) -> str:
        files = ", ".join(f"{table} in {len(self._files[table])} files" for table in table_schema.TABLES)
        return f"Store({str(self.location)!r}, study {self.study.name!r}: {files})"

    def trials(self, columns: Sequence[str] | None = None) -> Any:
        """The trials as a ``pyarrow.Table``, one row per trial that has ended; all columns unless named."""
        return self._trials.select(self._known("trials", columns))

    def evaluations(self, columns: Sequence[str] | None = None) -> Any:
        """The evaluations of these trials as a ``pyarrow.Table``, one row per trial and evaluation.

        All columns unless named. Raises ``StoreError`` where a file is damaged or a trial's evaluations are
        not all there once.
        """
        wanted = self._known("evaluations", columns)
        empty = narrowed(self.schema("evaluations"), wanted).empty_table()
        with ThreadPoolExecutor(_READERS) as readers:
            return pa.concat_tables([empty, *self._evaluations().tables(wanted, readers.map)])

    def epochs(self, columns: Sequence[str] | None = None) -> Any:
        """The same as ``evaluations``, whose name this was when each epoch had one."""
        return self.evaluations(columns)

    def schema(self, table: str) -> Any:
        """The Arrow schema of ``trials`` or ``evaluations``, with the study's declared metrics."""
        return self.study.schema(table)

    def tables(self, table: str) -> Iterator[Any]:
        """The rows of ``trials`` or ``evaluations`` in parts, so that one file is in memory at a time."""
        if table == "trials":
            yield self._trials
        else:
            yield from self._evaluations().tables(self.schema("evaluations").names, map)

    def evaluation_contents(self) -> Iterator[bytes]:
        """The rows of ``evaluations`` as the contents of Parquet files, all of one schema."""
        return self._evaluations().contents()

    def trial_records(self) -> list[TrialRecord]:
        """The trials as records."""
        return table_schema.trial_records(self.trials())

    def evaluation_records(self) -> Iterator[tuple[table_schema.TrialKey, EvaluationRecord]]:
        """The evaluations as records, each with its trial."""
        return table_schema.evaluation_records(self.evaluations())

    def pandas(self, table: str = "evaluations", columns: Sequence[str] | None = None) -> pd.DataFrame:
        """``trials`` or ``evaluations`` as a pandas data frame (in which null and NaN look alike).

        Raises ``InputError`` for another table, or when pandas is not installed.
        """
        if table not in (*table_schema.TABLES, *table_schema.ALIASES):
            remedy = did_you_mean(table, table_schema.TABLES)
            raise InputError(Problem(str(self.location), "table", "is not a table of a store", remedy, table))
        try:
            import pandas as _  # noqa: F401 # an optional extra: asked for here, used by to_pandas below
        except ImportError as error:
            remedy = "Install it: pip install 'lrstudy[query]'"
            raise InputError(Problem("pandas", "", "is not installed", remedy)) from error
        return (self.trials if table == "trials" else self.evaluations)(columns).to_pandas()

    def files(self, table: str) -> tuple[str, ...]:
        """The places of a table's files in the store, such as ``trials/00000.parquet``."""
        return self._files[table]

    def read_file(self, table: str, name: str, columns: Sequence[str] | None = None) -> Any:
        """One of a table's files as a ``pyarrow.Table``, with the rows of trials that have not ended."""
        wanted = self.schema(table)
        wanted = wanted if columns is None else narrowed(wanted, columns)
        return read_table_file(self.location / name, table, wanted)

    def refreshed(self) -> Store:
        """The store as it is now."""
        return open_store(self.location)

    def fingerprint(self) -> frozenset[tuple[str, int, int]]:
        """The store's files with their sizes and times, as they are now: equal while none has changed."""
        files, folders = self.location.filesystem, (self.location, self.location / "trials")
        with reading(self.location.shown):
            infos = [
                info
                for folder in folders
                for info in files.get_file_info(FileSelector(folder.path, allow_not_found=True))
            ]
        kept = (STUDY_FILE, ".parquet")
        return frozenset((info.path, info.size, info.mtime_ns) for info in infos if info.path.endswith(kept))

    def _known(self, table: str, columns: Sequence[str] | None) -> list[str]:
        known = self.schema(table).names
        for column in columns or ():
            if column not in known:
                remedy = did_you_mean(column, known)
                raise StoreError(Problem(str(self.location / table), column, "no such column", remedy))
        return list(known if columns is None else columns)

    def _evaluations(self) -> EndedEvaluations:
        rows, files = self.schema("evaluations"), self._files["evaluations"]
        return EndedEvaluations(self.location, rows, self._trials, files, gaps=self.study.imported)


def open_store(place: str | PathLike[str] | Location, endpoint: str | None = None) -> Store:
    """Open the store in a study's folder: a local path or a URI (see ``open_location``).

    Raises ``StoreError`` when it is not a store, when a later lrstudy wrote it, or when its files are
    damaged, lack a column or are not all of one study: every problem at once.
    """
    folder = open_location(place, endpoint)
    return read_until_stable(folder, lambda: _open(folder))


def read_study(folder: Location) -> StudyInfo:
    """Return what ``study.json`` in this folder says; raises ``StoreError`` where there is none."""
    names = folder.names()
    if STUDY_FILE not in names:
        raise StoreError(_not_a_store(folder, names))
    file = folder / STUDY_FILE
    return read_until_stable(file, lambda: StudyInfo.from_json(file.read(), str(file)))


def _open(folder: Location) -> Store:
    study = read_study(folder)
    trial_files = table_files(folder, "trials")
    problems = _footer_problems(folder, "trials", trial_files, study)
    # Once the trials' rows are read, the files of evaluations hold all those of these trials.
    trials = None if problems else _read_trials(folder, trial_files)
    evaluation_files = table_files(folder, "evaluations")
    problems += _footer_problems(folder, "evaluations", evaluation_files, study)
    if problems:
        raise StoreError(problems)
    if doubles := doubled_trials(trials):
        have = "rows that are stored more than once"
        raise StoreError(rows_problem(str(folder / "trials"), doubles, have, str(folder)))
    return Store(folder, study, {"trials": trial_files, "evaluations": evaluation_files}, trials)


def _read_trials(folder: Location, names: Sequence[str]) -> Any:
    with ThreadPoolExecutor(_READERS) as readers:
        parts = readers.map(
            lambda name: read_table_file(folder / name, "trials", table_schema.TRIALS_SCHEMA), names
        )
        return pa.concat_tables([table_schema.TRIALS_SCHEMA.empty_table(), *parts])


def _footer_problems(folder: Location, table: str, names: Sequence[str], study: StudyInfo) -> list[Problem]:
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda name: footer_problems(folder / name, table, study), names)
        return [problem for problems in found for problem in problems]


def _not_a_store(folder: Location, names: Sequence[str]) -> Problem:
    if not names and not folder.exists():
        return Problem(str(folder), "", "does not exist", "Check the path")
    inside = [name for name in names[:50] if (folder / name / STUDY_FILE).exists()]
    remedy = "Give the folder of one study, as lrstudy run printed it"
    if inside:
        remedy = f"Name one of the studies in it: {', '.join(str(folder / name) for name in inside)}"
    return Problem(str(folder), "", f"is not a study's store: it has no {STUDY_FILE}", remedy)
