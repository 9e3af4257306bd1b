"""Readers of recorded logs, one for each kind of file: what a file is, is told from its content."""

from __future__ import annotations

from pathlib import Path

from lrstudy.store.log_formats.decoding import as_text, read_bytes
from lrstudy.store.log_formats.delimited import read_delimited
from lrstudy.store.log_formats.exports import without_export
from lrstudy.store.log_formats.fairseq_lines import is_fairseq
from lrstudy.store.log_formats.json_logs import looks_like_json, read_fairseq, read_json
from lrstudy.store.log_formats.numbers import COUNTS, is_number, read_numbers
from lrstudy.store.log_formats.parquet import MAGIC, read_parquet
from lrstudy.store.log_formats.scalar_downloads import VALUE
from lrstudy.store.log_formats.table import LogTable, printable

__all__ = ["COUNTS", "VALUE", "LogTable", "is_number", "printable", "read_log", "read_numbers"]


def read_log(file: Path) -> LogTable:
    """The table in a file; raises ``InputError`` for a file that holds none."""
    where = printable(file)
    content = read_bytes(where, file)
    if content.startswith(MAGIC):
        table = read_parquet(where, content)
    else:
        text = as_text(where, content, file.suffix.lower())
        if looks_like_json(text):
            table = read_json(where, text)
        else:
            table = read_fairseq(where, text) if is_fairseq(text) else read_delimited(where, text)
    return without_export(table)
