"""Turns a store into one of schema version 1, which had a row for each trial and epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lrstudy.store.checksums import JSON_KEY, seal_json, seal_parquet

_TEXT, _NUMBER, _REAL, _MOMENT = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC")
_KEY = [("trial_id", _TEXT), ("phase", _TEXT), ("schedule", _TEXT), ("seed", _NUMBER)]
TRIALS = pa.schema(
    [
        *_KEY, ("params", _TEXT), ("status", _TEXT), ("error", _TEXT), ("epochs_run", _NUMBER),
        ("best_val", _REAL), ("best_epoch", _NUMBER), ("objective", _REAL), ("test_loss", _REAL),
        ("test_accuracy", _REAL), ("test_r2", _REAL), ("started_at", _MOMENT), ("ended_at", _MOMENT),
        ("node", _TEXT), ("device", _TEXT), ("attempt", _NUMBER),
    ]
)  # fmt: skip
EPOCHS = pa.schema(
    [
        *_KEY, ("epoch", _NUMBER), ("step", _NUMBER), ("samples", _NUMBER), ("train_seconds", _REAL),
        ("estimate_seconds", _REAL), ("eval_seconds", _REAL), ("lr", _REAL), ("lr_min", _REAL),
        ("lr_max", _REAL), ("train_loss", _REAL), ("train_accuracy", _REAL), ("train_r2", _REAL),
        ("val_loss", _REAL), ("val_accuracy", _REAL), ("val_r2", _REAL), ("lipschitz_constant", _REAL),
        ("kz", _REAL), ("weight_norm", _REAL),
    ]
)  # fmt: skip
_SOURCE = {"epochs_run": "evaluations_run", "best_epoch": "best_evaluation", "epoch": "evaluation"}


def as_version_1(folder: Path) -> Path:
    """Rewrite the store in this folder; it must have one evaluation in each epoch. Return the folder."""
    for file in folder.glob("trials/*.parquet"):
        _rewrite(file, file, TRIALS)
    (folder / "epochs").mkdir()
    for file in folder.glob("evaluations/*.parquet"):
        _rewrite(file, folder / "epochs" / file.name, EPOCHS)
        file.unlink()
    (folder / "evaluations").rmdir()
    data = json.loads((folder / "study.json").read_text())
    del data[JSON_KEY]
    (folder / "study.json").write_text(seal_json(data | {"schema_version": 1}))
    return folder


def _rewrite(source: Path, target: Path, schema: Any) -> None:
    table = pq.read_table(source)
    columns = [table[_SOURCE.get(field.name, field.name)].cast(field.type) for field in schema]
    metadata = {**table.schema.metadata, b"lrstudy.schema_version": b"1"}
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(columns, schema=schema.with_metadata(metadata)),
        sink,
        write_page_checksum=True,
    )
    target.write_bytes(seal_parquet(sink.getvalue().to_pybytes()))
