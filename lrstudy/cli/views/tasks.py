"""The parts that a task can be made of: a table of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrstudy.cli.terminal_table import names, numbers, table, words

if TYPE_CHECKING:
    from rich.console import Console


def show_tasks(console: Console, parts: Mapping[str, Any]) -> None:
    """Print the parts that ``describe_tasks`` returned."""
    rows: list[tuple[str, ...]]
    for kind in ("datasets", "models", "losses", "optimizers"):
        if kind == "models":
            columns = [names(kind), numbers("parameters"), words("what it is")]
            rows = [(entry["name"], _count(entry), entry["doc"]) for entry in parts[kind]]
        else:
            columns = [names(kind), words("what it is")]
            rows = [(entry["name"], entry["doc"]) for entry in parts[kind]]
        console.print(table(columns, rows))
        console.print()
    console.print('Any torchvision classifier: "torchvision:resnet18". Your own: "my_module:make_model".')


def _count(model: Mapping[str, Any]) -> str:
    """Return a model's trainable parameters: one number, or the range over the data sets that it fits."""
    counts = sorted({count for count in model["parameters"].values() if count is not None})
    if not counts:
        return "–"
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} – {counts[-1]:,}"
