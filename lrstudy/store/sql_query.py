"""SQL over a store's tables, through duckdb (the extra ``query``)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from lrstudy.errors import InputError, Problem
from lrstudy.store.reader import Store
from lrstudy.store.table_schema import ALIASES, TABLES


def query_store(store: Store, sql: str) -> Any:
    """The result of one query over the views ``trials`` and ``evaluations``, as a ``pyarrow.Table``.

    ``epochs`` is another name of the second. Nothing can be changed and nothing outside the store can be
    read: the query sees the views alone. Raises ``InputError`` for a query that duckdb refuses or when duckdb
    is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        remedy = "Install it: pip install 'lrstudy[query]'"
        raise InputError(Problem("duckdb", "", "is not installed", remedy)) from error
    connection = duckdb.connect(":memory:")
    try:
        connection.register("trials", store.trials())
        evaluations = _evaluations_dataset(store)
        for name in ("evaluations", *ALIASES):
            connection.register(name, evaluations)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        result = connection.sql(sql) if sql.strip() else None
        if result is not None:
            return result.to_arrow_table()
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        columns = "; ".join(f"{table}: {', '.join(store.schema(table).names)}" for table in TABLES)
        raise InputError(
            Problem("query", "", message, f"The tables and their columns are {columns}")
        ) from error
    finally:
        connection.close()
    raise InputError(Problem("query", "", "gives no rows", "Write one SELECT over trials and evaluations"))


def _evaluations_dataset(store: Store) -> Any:
    """The evaluations as a dataset over checked bytes: duckdb decodes only the columns it needs."""
    import pyarrow.dataset as ds  # here, because it imports pandas

    files = ds.ParquetFileFormat()
    fragments = [files.make_fragment(pa.BufferReader(content)) for content in store.evaluation_contents()]
    return ds.FileSystemDataset(fragments, store.schema("evaluations"), files)
