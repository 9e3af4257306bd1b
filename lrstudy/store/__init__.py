"""The Parquet store of a study: schema, one writer, any number of readers. No statistics, no torch."""

from __future__ import annotations

from lrstudy.store.examination import Examination, examine
from lrstudy.store.location import Location, open_location, study_folder
from lrstudy.store.lock import holder_of as writer_of
from lrstudy.store.log_import import ImportedStudy, import_histories
from lrstudy.store.log_options import ImportOptions
from lrstudy.store.pooled_store import PooledStore, pool_stores
from lrstudy.store.reader import Store, open_store
from lrstudy.store.repair import Repair, repair
from lrstudy.store.sql_query import query_store
from lrstudy.store.study_info import ScheduleInfo, StudyInfo
from lrstudy.store.table_export import FORMATS, export_store
from lrstudy.store.table_schema import ALIASES, EVALUATIONS_SCHEMA, SCHEMA_VERSION, TRIALS_SCHEMA, TrialKey
from lrstudy.store.writer import StoreWriter

__all__ = [
    "ALIASES",
    "EVALUATIONS_SCHEMA",
    "FORMATS",
    "SCHEMA_VERSION",
    "TRIALS_SCHEMA",
    "Examination",
    "ImportOptions",
    "ImportedStudy",
    "Location",
    "PooledStore",
    "Repair",
    "ScheduleInfo",
    "Store",
    "StoreWriter",
    "StudyInfo",
    "TrialKey",
    "examine",
    "export_store",
    "import_histories",
    "open_location",
    "open_store",
    "pool_stores",
    "query_store",
    "repair",
    "study_folder",
    "writer_of",
]
