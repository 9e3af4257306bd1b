"""Logs of steps, as Lightning's CSV logger writes them: several rows make an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def with_epochs(lines: Sequence[int], rows: Sequence[Row]) -> tuple[list[int], list[Row]]:
    """The rows, each with its epoch, and their lines.

    Lightning logs a learning rate with its step alone, before that step's own row: it is of the next row's
    epoch. A last row in which nothing was measured is a test's, and is left out.
    """
    kept: list[tuple[int, Row]] = []
    following: Any = None
    for line, row in zip(reversed(lines), reversed(rows), strict=True):
        measured = {name for name, value in row.items() if value is not None} - {"epoch", "step"}
        if row["epoch"] is None and row.get("step") is not None and measured == {"lr"}:
            row["epoch"] = following if kept else _last_epoch(rows)
        elif not measured and row.get("step") is not None and not kept:
            continue
        following = row["epoch"]
        kept.append((line, row))
    kept.reverse()
    return [line for line, _ in kept], [row for _, row in kept]


def _last_epoch(rows: Sequence[Row]) -> Any:
    return next((row["epoch"] for row in reversed(rows) if row["epoch"] is not None), None)


def by_epoch(lines: Sequence[int], rows: Sequence[Row]) -> list[tuple[list[int], list[Row]]]:
    """Neighbouring rows of one epoch, with their lines."""
    groups: list[tuple[list[int], list[Row]]] = []
    for line, row in zip(lines, rows, strict=True):
        if not groups or groups[-1][1][0]["epoch"] != row["epoch"]:
            groups.append(([], []))
        groups[-1][0].append(line)
        groups[-1][1].append(row)
    return groups


def merged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One epoch from a log's rows: its one value of each column, the mean of rates and training metrics."""
    one: dict[str, Any] = {}
    for column in rows[0]:
        values = [row[column] for row in rows if row[column] is not None]
        logged_by_step = column == "lr" or column.startswith("train_")
        if not values:
            one[column] = None
        elif column == "step":
            one[column] = int(max(values)) + 1  # steps count from 0 in a log of steps
        elif logged_by_step:
            one[column] = math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values)
        elif column != "epoch" and len(values) > 1:
            one["repeated"] = column
        else:
            one[column] = values[-1]
        if column == "lr" and values:
            one |= {"lr_min": min(values), "lr_max": max(values)}
    return one
