"""Opens a store, finished or still being written, and says clearly what is wrong with a damaged one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lrstudy.errors import InputError, Problem, StoreError, did_you_mean
from lrstudy.records import EpochRecord, TrialRecord
from lrstudy.store import schema
from lrstudy.store.location import Location, open_location
from lrstudy.store.problems import reading
from lrstudy.store.study_info import STUDY_FILE, StudyInfo, newer_version

if TYPE_CHECKING:
    import pandas as pd

# Reading from an object store waits on the network, not on the processor.
_READERS: Final = 8
_DAMAGED: Final = "Restore the file from a copy, or run the study again in another folder"


@dataclass(frozen=True)
class Store:
    """A study's store as it was when it was opened (``refreshed`` looks again)."""

    location: Location
    study: StudyInfo
    _files: Mapping[str, tuple[str, ...]]

    def __repr__(self) -> str:
        files = ", ".join(f"{table} in {len(self._files[table])} files" for table in schema.TABLES)
        return f"Store({str(self.location)!r}, study {self.study.name!r}: {files})"

    def trials(self, columns: Sequence[str] | None = None) -> Any:
        """The trials as a ``pyarrow.Table``, one row per trial that has ended; all columns unless named."""
        return self._table("trials", columns)

    def epochs(self, columns: Sequence[str] | None = None) -> Any:
        """The epochs as a ``pyarrow.Table``, one row per trial and epoch; all columns unless named."""
        return self._table("epochs", columns)

    def trial_records(self) -> list[TrialRecord]:
        """The trials as records."""
        return schema.trial_records(self.trials())

    def epoch_records(self) -> Iterator[tuple[schema.TrialKey, EpochRecord]]:
        """The epochs as records, each with its trial."""
        return schema.epoch_records(self.epochs())

    def pandas(self, table: str = "epochs", columns: Sequence[str] | None = None) -> pd.DataFrame:
        """``trials`` or ``epochs`` as a pandas data frame (in which null and NaN look alike).

        Raises ``InputError`` for another table, or when pandas is not installed.
        """
        if table not in schema.TABLES:
            remedy = did_you_mean(table, schema.TABLES)
            raise InputError(Problem(str(self.location), "table", "is not a table of a store", remedy, table))
        try:
            import pandas as _  # noqa: F401 # an optional extra: asked for here, used by to_pandas below
        except ImportError as error:
            remedy = "Install it: pip install 'lrstudy[query]'"
            raise InputError(Problem("pandas", "", "is not installed", remedy)) from error
        return self._table(table, columns).to_pandas()

    def files(self, table: str) -> tuple[str, ...]:
        """The names of a table's files."""
        return self._files[table]

    def read_file(self, table: str, name: str, columns: Sequence[str] | None = None) -> Any:
        """One of a table's files as a ``pyarrow.Table``."""
        wanted = schema.SCHEMAS[table]
        if columns is not None:
            wanted = pa.schema([wanted.field(column) for column in columns])
        place = self.location / table / name
        try:
            with reading(str(place)), self.location.filesystem.open_input_file(place.path) as file:
                return pq.ParquetFile(file).read(wanted.names).cast(wanted)
        except StoreError as error:
            message = error.problems[0].message.replace("cannot be read", "is damaged")
            raise StoreError(Problem(str(place), "", message, _DAMAGED)) from error

    def refreshed(self) -> Store:
        """The store as it is now."""
        return open_store(self.location)

    def _table(self, table: str, columns: Sequence[str] | None) -> Any:
        known = schema.SCHEMAS[table]
        for column in columns or ():
            if column not in known.names:
                raise StoreError(
                    Problem(
                        str(self.location / table),
                        column,
                        "no such column",
                        did_you_mean(column, known.names),
                    )
                )
        wanted = known if columns is None else pa.schema([known.field(column) for column in columns])
        with ThreadPoolExecutor(_READERS) as readers:
            parts = list(readers.map(lambda name: self.read_file(table, name, columns), self._files[table]))
        return pa.concat_tables([wanted.empty_table(), *parts])


def open_store(place: str | PathLike[str] | Location, endpoint: str | None = None) -> Store:
    """Open the store in a study's folder: a local path or a URI (see ``open_location``).

    Raises ``StoreError`` when it is not a store, when a later lrstudy wrote it, or when its files are
    damaged, lack a column or are not all of one study: every problem at once.
    """
    folder = open_location(place, endpoint)
    names = folder.names()
    if STUDY_FILE not in names:
        raise StoreError(_not_a_store(folder, names))
    file = folder / STUDY_FILE
    study = StudyInfo.from_json(file.read(), str(file))
    files = {
        table: tuple(
            name for name in (folder / table).names() if name.endswith(".parquet") and name[0] not in "._"
        )
        for table in schema.TABLES
    }
    problems = _table_problems(folder, files, study)
    if problems:
        raise StoreError(problems)
    store = Store(folder, study, files)
    _refuse_doubles(store)
    return store


def _not_a_store(folder: Location, names: Sequence[str]) -> Problem:
    if not names and not folder.exists():
        return Problem(str(folder), "", "does not exist", "Check the path")
    inside = [name for name in names[:50] if (folder / name / STUDY_FILE).exists()]
    remedy = "Give the folder of one study, as lrstudy run printed it"
    if inside:
        remedy = f"Name one of the studies in it: {', '.join(str(folder / name) for name in inside)}"
    return Problem(str(folder), "", f"is not a study's store: it has no {STUDY_FILE}", remedy)


def _table_problems(folder: Location, files: Mapping[str, Sequence[str]], study: StudyInfo) -> list[Problem]:
    places = [(folder / table / name, table) for table, names in files.items() for name in names]
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda item: list(_file_problems(item[0], item[1], study)), places)
    return [problem for problems in found for problem in problems]


def _file_problems(place: Location, table: str, study: StudyInfo) -> Iterator[Problem]:
    """What is wrong with one Parquet file, from its footer alone."""
    try:
        with reading(str(place)), place.filesystem.open_input_file(place.path) as file:
            found = pq.read_schema(file)
    except StoreError as error:
        message = error.problems[0].message.replace("cannot be read", "is damaged")
        yield Problem(str(place), "", message, _DAMAGED)
        return
    says = found.metadata or {}
    version = int(says.get(schema.SCHEMA_VERSION_KEY, b"1"))
    if version > schema.SCHEMA_VERSION:
        yield newer_version(str(place), version)
        return
    for field in schema.SCHEMAS[table]:
        if field.name not in found.names:
            yield Problem(str(place), field.name, "this column is missing", _DAMAGED)
        elif not _same_kind(found.field(field.name).type, field.type):
            message = f"this column holds {found.field(field.name).type}, not {field.type}"
            yield Problem(str(place), field.name, message, _DAMAGED)
    name = says.get(schema.STUDY_KEY, study.name.encode()).decode()
    spec_hash = says.get(schema.SPEC_HASH_KEY, study.spec_hash.encode()).decode()
    if (name, spec_hash) != (study.name, study.spec_hash):
        message = (
            f"is of the study {name!r} ({spec_hash}) in the folder of {study.name!r} ({study.spec_hash}): "
            "two studies are mixed"
        )
        yield Problem(str(place), "", message, "Move each study's files to a folder of its own")


def _same_kind(found: Any, wanted: Any) -> bool:
    """Whether the values can be used as they are: other tools write other widths of the same kind."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp)
    if pa.types.is_string(wanted):
        value = found.value_type if pa.types.is_dictionary(found) else found
        return bool(
            pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
        )
    return any(is_kind(found) and is_kind(wanted) for is_kind in kinds)


def _refuse_doubles(store: Store) -> None:
    ids = store.trials(["trial_id"])["trial_id"]
    counts = pc.value_counts(ids)
    doubles = [entry["values"] for entry in counts.to_pylist() if entry["counts"] > 1]
    if doubles:
        message = f"{len(doubles)} trials stand there more than once (the first: {doubles[0]!r})"
        remedy = "Remove the files that were copied in from another store"
        raise StoreError(Problem(str(store.location / "trials"), "", message, remedy))
