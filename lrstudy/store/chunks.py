"""A table in chunk files: the Parquet side that the writer and the reader share.

``00000.parquet``, ``00001.parquet``, …: appending encodes the whole current chunk again and replaces its
file in one step; a full chunk is never touched again. So a kill at any moment leaves whole files without
doubles, and few of them.
"""

from __future__ import annotations

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from lrstudy.store.checksums import seal_parquet
from lrstudy.store.location import Location
from lrstudy.store.study_info import StudyInfo
from lrstudy.store.table_files import decode, is_old, is_table_file
from lrstudy.store.table_schema import SCHEMA_VERSION, SCHEMA_VERSION_KEY, SPEC_HASH_KEY, STUDY_KEY
from lrstudy.store.verified import parquet_file, read_verified

# Encoding and writing 32,768 evaluations takes about 25 ms, so an append to a large store costs half of
# that on average. Chunks start small, so that the cost stays flat while a study is young, and grow, so that
# 10 million rows make about 320 files (10,000 rows: 7). tests/bench/store_append.py measures both.
CHUNK_ROWS: Final = 32_768
_FIRST_ROWS: Final = 1024
_CHUNKS_OF_A_SIZE: Final = 4

_CHUNK: Final = re.compile(r"\d{5,}\.parquet")


class ChunkWriter:
    """Appends to one table. Rows wait in ``pending`` until a flush has put them in a file."""

    def __init__(self, folder: Location, table: str, study: StudyInfo, chunk_rows: int = CHUNK_ROWS) -> None:
        self._folder, self._table, self._chunk_rows = folder, table, chunk_rows
        self._schema = study.schema(table).with_metadata(_metadata(study))
        self._chunk = self._pending = self._schema.empty_table()
        self._index = 0
        folder.create_folder()

    def resume(self) -> None:
        """Continue at the end of the files."""
        indices = [int(name.partition(".")[0]) for name in chunk_names(self._folder)]
        self._index = max(indices, default=-1) + 1
        if not indices:
            return
        last = self.read(chunk_name(max(indices)))
        if last.num_rows < self._capacity(max(indices)):
            self._index, self._chunk = max(indices), last

    def read(self, name: str) -> Any:
        """A chunk that is known to be sound, with this study's metadata."""
        place = self._folder / name
        return read_verified(place, lambda content: decode(content, self._table, self._schema))

    def upgrade(self) -> None:
        """Rewrite the chunks of an earlier schema version: all files of the folder have one schema."""
        for place in (self._folder / name for name in self._folder.names() if is_table_file(name)):
            if read_verified(place, lambda content: is_old(content, self._table)):
                place.write(_encode(self.read(place.name)))

    @property
    def waiting(self) -> bool:
        """Return True if there are rows that no file has."""
        return bool(self._pending.num_rows)

    def enqueue(self, table: Any) -> None:
        """Take rows, without writing them."""
        if table.num_rows:
            self._pending = pa.concat_tables([self._pending, table.cast(self._schema)])

    def flush(self) -> None:
        """Write what is pending, chunk by chunk; what could not be written stays pending."""
        while self._pending.num_rows:
            room = self._capacity(self._index) - self._chunk.num_rows
            grown = pa.concat_tables([self._chunk, self._pending.slice(0, room)]).combine_chunks()
            (self._folder / chunk_name(self._index)).write(_encode(grown))
            self._pending = self._pending.slice(room)
            self._chunk = grown
            if grown.num_rows >= self._capacity(self._index):
                self._index, self._chunk = self._index + 1, self._schema.empty_table()

    def _capacity(self, index: int) -> int:
        return min(self._chunk_rows, chunk_capacity(index))


def keep_rows(place: Location, mask: Any) -> None:
    """Rewrite a file with the rows of this mask, in the schema that it has; remove it when none are left."""
    kept = read_verified(place, lambda content: parquet_file(content).read()).filter(mask)
    if kept.num_rows:
        place.write(_encode(kept))
    else:
        place.delete()


def _encode(table: Any) -> Any:
    sink = pa.BufferOutputStream()
    words = [field.name for field in table.schema if field.type == pa.string()]
    pq.write_table(table, sink, compression="zstd", use_dictionary=[*words, "seed"], write_page_checksum=True)
    return seal_parquet(sink.getvalue().to_pybytes())


def chunk_capacity(index: int) -> int:
    """Return the number of rows that the chunk of that number takes.

    >>> [chunk_capacity(index) for index in (0, 3, 4, 8, 20, 300)]
    [1024, 1024, 2048, 4096, 32768, 32768]
    """
    return min(CHUNK_ROWS, _FIRST_ROWS << min(index // _CHUNKS_OF_A_SIZE, 16))


def chunk_name(index: int) -> str:
    """The name of a chunk's file."""
    return f"{index:05d}.parquet"


def chunk_names(folder: Location) -> list[str]:
    """The chunks that this writer may have made, in order."""
    names = [name for name in folder.names() if _CHUNK.fullmatch(name)]
    return sorted(names, key=lambda name: int(name.partition(".")[0]))


def _metadata(study: StudyInfo) -> dict[bytes, bytes]:
    return {
        STUDY_KEY: study.name.encode(),
        SPEC_HASH_KEY: study.spec_hash.encode(),
        SCHEMA_VERSION_KEY: str(SCHEMA_VERSION).encode(),
    }
