"""SQL over a store's tables, through duckdb (the extra ``query``)."""

from __future__ import annotations

from typing import Any

from lrstudy.errors import InputError, Problem
from lrstudy.store.reader import Store
from lrstudy.store.schema import SCHEMAS, TABLES


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
        for table in TABLES:
            connection.register(table, _dataset(store, table))
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


def _dataset(store: Store, table: str) -> Any:
    import pyarrow.dataset as ds  # here, for it imports pandas

    # A dataset, not a table: duckdb then reads only the columns that the query names.
    folder = store.location / table
    files = [(folder / name).path for name in store.files(table)]
    return ds.dataset(files, schema=SCHEMAS[table], filesystem=store.location.filesystem, format="parquet")
