"""Tables in text: the separator and the header are found first, then every row is held against them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lrstudy.store.columns import is_known
from lrstudy.store.log_formats.numbers import is_number
from lrstudy.store.log_formats.table import LogTable, column_names, refusal

_SEPARATORS: Final = (",", ";", "\t", "|")
_BLANK: Final = " "
_COMMENT: Final = re.compile(r"\s*(#|//|%)\s*")
_EXCEL: Final = re.compile(r"sep=(.)", re.IGNORECASE)
_LOOK_AT: Final = 100  # lines in which a header is looked for
# Words in CSV that mean "not measured". Not "NaN", which may be a measured value.
_NULLS: Final = frozenset(("", "null", "NULL", "None", "NA", "N/A", "<NA>"))
_SEPARATOR_NAMES: Final = {"\t": "tabs", " ": "spaces"}


@dataclass(frozen=True, slots=True)
class _Header:
    """The line on which the header is, the fields in it, and what separates them."""

    line: int
    fields: Sequence[str]
    separator: str


def read_delimited(where: str, text: str) -> LogTable:
    """A table of texts; raises ``InputError`` for a row that does not fit the header, with its line."""
    header = _find_header(where, text)
    notes = _skipped(where, text, header)
    fields = list(header.fields)
    while len(fields) > 1 and not fields[-1].strip():
        fields.pop()
    names = column_names(where, fields)
    title = [field.strip() for field in fields]
    rows: list[list[str | None]] = []
    lines: list[int | None] = []
    headers: list[int] = []
    for line, row in _records(where, text, header):
        while len(row) > len(names) and not row[-1].strip():
            row.pop()
        if not any(cell.strip() for cell in row) or (_is_comment(row) and len(row) != len(names)):
            continue
        if row[0].strip() == title[0] and [cell.strip() for cell in row] == title:
            headers.append(line)
            notes.append(f"{where}:{line}: the header is repeated: a log that was continued")
            continue
        _check_width(where, line, row, names, header.separator)
        rows.append([None if cell in _NULLS else cell for cell in row])
        lines.append(line)
    if not rows:
        raise refusal(where, "has no rows", "Give a file with one row per epoch or evaluation")
    columns = {name: list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}
    return LogTable(where, columns, lines, is_text=True, headers=headers, notes=notes)


def _find_header(where: str, text: str) -> _Header:
    """The first line that holds at least two names of a log's columns, else the first line of all."""
    first: tuple[int, str] | None = None
    comment: _Header | None = None
    forced: str | None = None
    for number, raw in enumerate(islice(io.StringIO(text, newline=""), _LOOK_AT), start=1):
        line = raw.rstrip("\r\n")
        excel = _EXCEL.fullmatch(line.strip())
        if excel:
            forced = excel[1]
        elif mark := _COMMENT.match(line):
            comment = _candidate(number, line[mark.end() :], forced) or comment
        elif line.strip():
            found = _candidate(number, line, forced)
            if found is None and comment is not None and first is None:
                cells = _split(line, comment.separator)
                if len(cells) == len(comment.fields) and all(is_number(cell) for cell in cells if cell):
                    return comment  # numpy.savetxt writes its header as a comment
            if found is not None:
                return found
            first = first or (number, line)
    if first is None:
        raise refusal(
            where,
            "cannot be read (it is empty)",
            "Give a CSV or Parquet file with one row per epoch or evaluation",
        )
    separator = forced or max(_SEPARATORS, key=lambda each: len(_split(first[1], each)))
    fields = _split(first[1], separator)
    if all(is_number(field) for field in fields):
        remedy = "Write the columns' names on the first line: epoch,val_loss,…"
        raise refusal(where, "has no header", remedy, first[0])
    return _Header(first[0], fields, separator)


def _candidate(number: int, line: str, forced: str | None) -> _Header | None:
    best: tuple[int, _Header] | None = None
    for separator in [forced] if forced else [*_SEPARATORS, _BLANK]:
        fields = _split(line, separator)
        known = sum(map(is_known, fields))
        if known >= 2 and (best is None or known > best[0]):
            best = known, _Header(number, fields, separator)
    return best and best[1]


def _split(line: str, separator: str) -> list[str]:
    if separator == _BLANK:
        return line.split()
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _skipped(where: str, text: str, header: _Header) -> list[str]:
    before = list(islice(io.StringIO(text, newline=""), header.line - 1))
    lines = []
    for number, line in enumerate(before, start=1):
        if not line.strip() or _COMMENT.match(line) or _EXCEL.fullmatch(line.strip()):
            continue
        cells = _split(line.rstrip("\r\n"), header.separator)
        if len(cells) == len(header.fields) and any(map(is_number, cells)):
            remedy = f"Delete what is above the header on line {header.line}, or split the file there"
            raise refusal(where, "holds values above the header", remedy, number)
        lines.append(number)
    if not lines:
        return []
    which = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} to {lines[-1]}"
    return [f"{where}: {which} before the header skipped"]


def _records(where: str, text: str, header: _Header) -> Iterator[tuple[int, list[str]]]:
    """Each record below the header, with the line on which it begins."""
    stream = io.StringIO(text, newline="")
    for _ in islice(stream, header.line):
        pass
    if header.separator == _BLANK:
        yield from ((number, line.split()) for number, line in enumerate(stream, start=header.line + 1))
        return
    reader = csv.reader(stream, delimiter=header.separator, skipinitialspace=True, strict=True)
    while True:
        line = header.line + reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = "a quote is never closed" if "unexpected end" in str(error) else str(error)
            raise refusal(where, f"cannot be read ({what})", "Correct the line", line) from error
        yield line, row


def _is_comment(row: Sequence[str]) -> bool:
    return bool(_COMMENT.match(row[0]))


def _check_width(where: str, line: int, row: Sequence[str], names: Sequence[str], separator: str) -> None:
    fits = len(row) == len(names)
    if fits and any(cell[:1].isdigit() for cell in row):
        return
    if sum(map(is_known, row)) >= 2:
        remedy = "Split the file at this line, or bring both parts into the same columns"
        raise refusal(where, "is another header, with other columns", remedy, line)
    if fits:
        return
    remedy = "Correct the line, or delete it where the log was cut off"
    if len(row) > len(names) and separator == ",":
        remedy = "Correct the line; numbers with decimal commas need another separator, or quotes"
    between = _SEPARATOR_NAMES.get(separator, f"{separator!r}")
    message = (
        f"cannot be read (fields: {len(row)}, where the header has {len(names)}, separated by {between})"
    )
    raise refusal(where, message, remedy, line)
