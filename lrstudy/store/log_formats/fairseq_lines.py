"""fairseq's log: lines of JSON behind a time and a name, whose numbers are texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lrstudy.store.log_formats.numbers import is_number, parse
from lrstudy.store.log_formats.table import refusal

_LINE: Final = re.compile(r"[^{]*\|\s*(?P<part>train_inner|train|valid\w*)\s*\|\s*(?P<json>\{.*\}?)\s*")
_LOOK_AT: Final = 2_000
_UPDATES: Final = "num_updates"


def is_fairseq(text: str) -> bool:
    """Return True if one of the first lines is one of fairseq's."""
    return any(_LINE.fullmatch(line) for line in text.split("\n", _LOOK_AT)[:_LOOK_AT])


def has_updates(row: Mapping[str, Any]) -> bool:
    """Return True if a row of JSON has fairseq's counter of steps."""
    return any(name == _UPDATES or name.endswith(f"_{_UPDATES}") for name in row)


def fairseq_rows(where: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows with their lines. An epoch's own means are left out beside those of its parts."""
    lines = [
        (number, match) for number, line in enumerate(text.split("\n"), 1) if (match := _LINE.fullmatch(line))
    ]
    in_parts = any(match["part"] == "train_inner" for _, match in lines)
    for number, match in lines:
        try:
            row = json.loads(match["json"])
        except (ValueError, RecursionError) as error:
            raise refusal(
                where, f"is not JSON ({error})", "Correct the line, or delete it", number
            ) from error
        if match["part"] == "train_inner":
            row = {name if name == "epoch" else f"train_{name}": value for name, value in row.items()}
        if match["part"] != "train" or not in_parts:
            yield number, plain_row(row)


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with numbers for texts, and one name for the counter of steps.

    >>> plain_row({"epoch": 1, "valid_loss": "7.5", "valid_num_updates": "400"})
    {'epoch': 1, 'valid_loss': 7.5, 'step': 400}
    """
    plain = {}
    for name, value in row.items():
        number = parse(value) if isinstance(value, str) and is_number(value) and "," not in value else value
        plain["step" if has_updates({name: None}) else name] = number
    return plain
