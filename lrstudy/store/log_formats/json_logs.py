"""JSON logs: the Trainer's state, a line of JSON per row, a list of rows, and Keras's ``History.history``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lrstudy.store.columns import is_known
from lrstudy.store.log_formats.fairseq_lines import fairseq_rows, has_updates, plain_row
from lrstudy.store.log_formats.numbers import parse
from lrstudy.store.log_formats.scalar_downloads import is_scalar_json, scalar_table
from lrstudy.store.log_formats.table import LogTable, column_names, printable, refusal

_SHAPES: Final = "Give a list of rows, a row per line, lists by column, or the Trainer's trainer_state.json"
_KERAS: Final = '"loss": […], "val_loss": […]'


def looks_like_json(text: str) -> bool:
    """Return True if a text begins as a JSON object, or as a list of them, does."""
    start = text[:1000].split()
    return bool(start) and (start[0][0] == "{" or "".join(start[:2])[:2] in ("[{", "[]", "[["))


def read_json(where: str, text: str) -> LogTable:
    """A table of typed values; what is nested becomes a column ``outer/inner``."""
    try:
        content, lines = _load(where, text)
    except RecursionError as error:
        raise refusal(where, "is nested too deeply", _SHAPES) from error
    if is_scalar_json(content):
        return scalar_table(where, content)
    if isinstance(content, dict) and isinstance(content.get("log_history"), list):
        content = content["log_history"]
    if isinstance(content, dict):
        content = _rows(where, content)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise refusal(where, "is JSON, but no log", _SHAPES)
    if not content:
        raise refusal(where, "has no rows", "Give a file with one row per epoch or evaluation")
    rows = [dict(_flat(row)) for row in content]
    if any(map(has_updates, rows)):
        rows = list(map(plain_row, rows))
    return _table(where, rows, lines or [None] * len(rows))


def read_fairseq(where: str, text: str) -> LogTable:
    """A table of the rows in fairseq's log."""
    found = list(fairseq_rows(where, text))
    return _table(where, [row for _, row in found], [line for line, _ in found])


def _table(where: str, rows: Sequence[Mapping[str, Any]], lines: list[int | None]) -> LogTable:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    names = column_names(where, keys)
    columns = {name: [row.get(key) for row in rows] for name, key in zip(names, keys, strict=True)}
    foreign = {
        name: "list" for name, values in columns.items() if any(isinstance(value, list) for value in values)
    }
    return LogTable(where, columns, lines, foreign=foreign)


def _load(where: str, text: str) -> tuple[Any, list[int | None]]:
    """The content, and the line of each row where a row has a line."""
    try:
        return _parse(text), []
    except json.JSONDecodeError as whole:
        rows, lines = [], list[int | None]()
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                rows.append(_parse(line))
            except ValueError as error:
                at = number if rows else whole.lineno
                message = f"is not JSON ({(error if rows else whole)!s})"
                raise refusal(where, message, "Correct it, or write a CSV", at) from error
            lines.append(number)
        return rows, lines
    except ValueError as error:
        raise refusal(where, f"cannot be read ({error})", "Correct it") from error


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=parse, parse_int=parse, object_pairs_hook=_unique)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        repeated = next(name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at]))
        raise ValueError(f"{printable(repeated)} is given twice")
    return content


def _rows(where: str, columns: Mapping[str, Any]) -> Sequence[Any]:
    """Rows from lists by column, epochs counted from 1; a single row from numbers.

    What is no list beside lists (a seed, a model's name) holds for each row; with its own epoch, the
    object is a single row.
    """
    lists = {name: values for name, values in columns.items() if isinstance(values, list)}
    others = {name: value for name, value in columns.items() if name not in lists}
    if lists.keys() <= {"epoch"} and "epoch" not in others and (inner := _inner_lists(others)) is not None:
        message = f"has its lists inside {printable(inner)!r}"
        raise refusal(where, message, f"Write that object alone, a file for each run: {{{_KERAS}, …}}")
    if not lists or "epoch" in others:
        return [columns]
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{printable(name)}: {length}" for name, length in lengths.items())
        raise refusal(where, f"has lists of different lengths ({told})", "Give one value per epoch in each")
    rows = [others | dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return rows if "epoch" in lists else [{"epoch": at} | row for at, row in enumerate(rows, start=1)]


def _inner_lists(columns: Mapping[str, Any]) -> str | None:
    """Return the name of the first object that holds lists of metrics, where a column is expected."""
    for name, value in columns.items():
        inner = value.items() if isinstance(value, dict) else ()
        if any(isinstance(each, list) and is_known(key) for key, each in inner):
            return name
    return None


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", value
