"""SQL over a store's tables, through duckdb (the extra ``query``)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from lrstudy.errors import InputError, Problem
from lrstudy.store.reader import Store
from lrstudy.store.table_schema import SCHEMAS, TABLES


def query_store(store: Store, sql: str) -> Any:
    """The result of one query over the views ``trials`` and ``epochs``, as a ``pyarrow.Table``.

    Nothing can be changed and nothing outside the store can be read: the query sees the views alone.
    Raises ``InputError`` for a query that duckdb refuses or when duckdb is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        remedy = "Install it: pip install 'lrstudy[query]'"
        raise InputError(Problem("duckdb", "", "is not installed", remedy)) from error
    connection = duckdb.connect(":memory:")
    try:
        connection.register("trials", store.trials())
        connection.register("epochs", _epochs_dataset(store))
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        result = connection.sql(sql) if sql.strip() else None
        if result is not None:
            return result.to_arrow_table()
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        columns = "; ".join(f"{table}: {', '.join(SCHEMAS[table].names)}" for table in TABLES)
        raise InputError(
            Problem("query", "", message, f"The tables and their columns are {columns}")
        ) from error
    finally:
        connection.close()
    raise InputError(Problem("query", "", "gives no rows", "Write one SELECT over trials and epochs"))


def _epochs_dataset(store: Store) -> Any:
    """The epochs as a dataset over the files' checked bytes: duckdb decodes only the columns it needs."""
    import pyarrow.dataset as ds  # here, because it imports pandas

    files = ds.ParquetFileFormat()
    fragments = [files.make_fragment(pa.BufferReader(content)) for content in store.epoch_contents()]
    return ds.FileSystemDataset(fragments, SCHEMAS["epochs"], files)
