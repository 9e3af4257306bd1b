"""Files of schema version 1, read as the current one.

That version had a row for each trial and epoch, in the folder ``epochs``: each is an evaluation, and its
number is that of the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

_KEY: Final = [
    ("trial_id", pa.string()),
    ("phase", pa.string()),
    ("schedule", pa.string()),
    ("seed", pa.int64()),
]
_MOMENT: Final = pa.timestamp("us", tz="UTC")

TRIALS: Final = pa.schema(
    [
        *_KEY,
        ("params", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("epochs_run", pa.int64()),
        ("best_val", pa.float64()),
        ("best_epoch", pa.int64()),
        *((name, pa.float64()) for name in ("objective", "test_loss", "test_accuracy", "test_r2")),
        *((name, _MOMENT) for name in ("started_at", "ended_at")),
        *((name, pa.string()) for name in ("node", "device")),
        ("attempt", pa.int64()),
    ]
)
EPOCHS: Final = pa.schema(
    [
        *_KEY,
        *((name, pa.int64()) for name in ("epoch", "step", "samples")),
        *((name, pa.float64()) for name in ("train_seconds", "estimate_seconds", "eval_seconds")),
        *((name, pa.float64()) for name in ("lr", "lr_min", "lr_max")),
        *((name, pa.float64()) for name in ("train_loss", "train_accuracy", "train_r2")),
        *((name, pa.float64()) for name in ("val_loss", "val_accuracy", "val_r2")),
        *((name, pa.float64()) for name in ("lipschitz_constant", "kz", "weight_norm")),
    ]
)
SCHEMAS: Final[Mapping[str, Any]] = {"trials": TRIALS, "evaluations": EPOCHS}
# By the name of a current column: the column that holds its values, or the value that all rows have.
_SOURCES: Final = {
    "trials": {"evaluations_run": "epochs_run", "best_evaluation": "best_epoch"},
    "evaluations": {"evaluation": "epoch"},
}
_CONSTANTS: Final = {"replicate": 1, "workers": 1}
_NEW: Final = {"trials": "evaluations_run", "evaluations": "evaluation"}
_OLD: Final = {"trials": "epochs_run", "evaluations": "epoch"}


def is_version_1(table: str, found: Any, version_key: bytes) -> bool:
    """Return True if a file of this schema is of version 1.

    Its metadata tell; other programs drop them, and then its columns tell.
    """
    says = (found.metadata or {}).get(version_key)
    if says is not None:
        return bool(says == b"1")
    return _NEW[table] not in found.names and _OLD[table] in found.names


def source_columns(table: str, wanted: Any) -> list[str]:
    """Return the columns to read from a file of version 1 for these columns of the current schema."""
    sources = (_SOURCES[table].get(name, name) for name in ("trial_id", *wanted.names))
    return [*dict.fromkeys(name for name in sources if name in SCHEMAS[table].names)]


def converted(table: str, rows: Any, wanted: Any) -> Any:
    """Return rows of version 1 as a table of these columns; what was not stored is null."""
    arrays = [_column(table, rows, field) for field in wanted]
    return pa.Table.from_arrays(arrays, schema=wanted)


def _column(table: str, rows: Any, field: Any) -> Any:
    source = _SOURCES[table].get(field.name, field.name)
    if source in rows.column_names:
        return rows[source].cast(field.type)
    value = pa.scalar(_CONSTANTS.get(field.name), field.type)
    return pa.repeat(value, rows.num_rows)
