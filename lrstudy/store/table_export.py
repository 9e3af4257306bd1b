"""A store's tables as single files for other programs: CSV, Parquet or JSON."""

from __future__ import annotations

import json
import math
from datetime import datetime
from os import PathLike
from typing import Any, Final

import pyarrow.csv
import pyarrow.parquet as pq

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.store.location import Location, open_location
from lrstudy.store.reader import Store
from lrstudy.store.store_errors import writing
from lrstudy.store.table_schema import TABLES

FORMATS: Final = ("csv", "parquet", "json")


def export_store(
    store: Store, destination: str | PathLike[str] | Location, file_format: str, endpoint: str | None = None
) -> list[Location]:
    """Write ``trials.<format>`` and ``evaluations.<format>`` into a folder; returns them.

    Replaces such files.

    In CSV a null is an empty field and NaN is ``nan``. JSON is an array of one object per row, with params as
    an object, and NaN and infinities as the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``. One file of
    the store is in memory at a time. Raises ``InputError`` for another format, ``StoreError`` when the folder
    cannot be written.
    """
    if file_format not in FORMATS:
        remedy = did_you_mean(file_format, FORMATS)
        raise InputError(Problem("command line", "--format", "is not a format", remedy, file_format))
    folder = open_location(destination, endpoint)
    folder.create_folder()
    files = []
    for table in TABLES:
        file = folder / f"{table}.{file_format}"
        with writing(str(file)), file.replacing() as stream:
            _WRITERS[file_format](store, table, stream)
        files.append(file)
    return files


def _write_csv(store: Store, table: str, stream: Any) -> None:
    with pyarrow.csv.CSVWriter(stream, store.schema(table)) as writer:
        for chunk in store.tables(table):
            writer.write_table(chunk)


def _write_parquet(store: Store, table: str, stream: Any) -> None:
    schema = store.schema(table)
    with pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True) as writer:
        for chunk in store.tables(table):
            writer.write_table(chunk)


def _write_json(store: Store, table: str, stream: Any) -> None:
    separator = "[\n"
    for chunk in store.tables(table):
        for batch in chunk.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                stream.write((separator + json.dumps(_plain(row), allow_nan=False)).encode())
                separator = ",\n"
    stream.write(b"[]\n" if separator == "[\n" else b"\n]\n")


_WRITERS: Final = {"csv": _write_csv, "parquet": _write_parquet, "json": _write_json}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    plain = {name: _plain_value(value) for name, value in row.items()}
    if "params" in plain:
        plain["params"] = json.loads(plain["params"])
    return plain


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
