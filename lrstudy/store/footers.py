"""The footer of a Parquet file: the study that it belongs to, the schema version, the columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lrstudy.errors import Problem, StoreError
from lrstudy.store import table_schema as schema
from lrstudy.store.location import Location
from lrstudy.store.schema_version_1 import SCHEMAS as VERSION_1
from lrstudy.store.schema_version_1 import is_version_1
from lrstudy.store.store_errors import reading
from lrstudy.store.study_info import StudyInfo, newer_version
from lrstudy.store.verified import DAMAGED_REMEDY, parquet_file, read_verified


def footer_problems(place: Location, table: str, study: StudyInfo) -> list[Problem]:
    """Return what is wrong with one Parquet file, from its footer alone.

    A footer that cannot be read or says the wrong thing may be damaged, or be replaced at this moment: then
    the whole file is read, whose checksum tells.
    """
    try:
        with reading(str(place)), place.filesystem.open_input_file(place.path) as file:
            found = pq.read_schema(file)
        if not any(_problems(place, table, study, found)):
            return []
    except (StoreError, ValueError, OverflowError):
        pass
    try:
        return read_verified(
            place, lambda content: list(_problems(place, table, study, parquet_file(content).schema_arrow))
        )
    except StoreError as error:
        return list(error.problems)


def _problems(place: Location, table: str, study: StudyInfo, found: Any) -> Iterator[Problem]:
    says = found.metadata or {}
    version = int(says.get(schema.SCHEMA_VERSION_KEY, b"1"))
    if version > schema.SCHEMA_VERSION:
        yield newer_version(str(place), version)
        return
    old = is_version_1(table, found, schema.SCHEMA_VERSION_KEY)
    for field in VERSION_1[table] if old else study.schema(table):
        if field.name not in found.names and field.name in schema.LATER_COLUMNS:
            continue
        if field.name not in found.names:
            yield Problem(str(place), field.name, "this column is missing", DAMAGED_REMEDY)
        elif not _same_kind(found.field(field.name).type, field.type):
            message = f"this column holds {found.field(field.name).type}, not {field.type}"
            yield Problem(str(place), field.name, message, DAMAGED_REMEDY)
    name = says.get(schema.STUDY_KEY, study.name.encode()).decode()
    spec_hash = says.get(schema.SPEC_HASH_KEY, study.spec_hash.encode()).decode()
    if name != study.name or spec_hash not in study.spec_hashes:
        message = (
            f"is of the study {name!r} ({spec_hash}) in the folder of {study.name!r} ({study.spec_hash}): "
            "two studies are mixed"
        )
        yield Problem(str(place), "", message, "Move each study's files to a separate folder")


def _same_kind(found: Any, wanted: Any) -> bool:
    """Return True if the values can be used as they are: other tools write other widths of the same kind."""
    if pa.types.is_floating(wanted) and pa.types.is_integer(found):
        return True  # whole numbers
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp)
    if pa.types.is_string(wanted):
        value = found.value_type if pa.types.is_dictionary(found) else found
        return bool(
            pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
        )
    return any(is_kind(found) and is_kind(wanted) for is_kind in kinds)
