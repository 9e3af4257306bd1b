"""Evaluations in a log: those outside the training, those that were not made, and losses that diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lrstudy.store.columns import is_validation
from lrstudy.store.step_logs import Group, Place, Row, is_training, validates

_BEFORE: Final = "a validation before the training is left out"
_AFTER: Final = "a validation after the training is left out"


def drop_outside_training(
    groups: list[Group], *, is_trainer: bool
) -> tuple[list[Group], list[tuple[str, Place]]]:
    """Leave out an evaluation before the first epoch and one after the last, which trained nothing.

    The Trainer's ``evaluate`` after the training, often of its best weights, repeats the last step.
    """
    notes: list[tuple[str, Place]] = []
    if len(groups) > 1 and _is_before(groups, is_trainer):
        notes.append((_BEFORE, groups[0][0][0]))
        groups = groups[1:]
    elif _starts_untrained(groups[0]):
        places, rows = groups[0]
        notes.append((_BEFORE, places[0]))
        groups = [(places[1:], rows[1:]), *groups[1:]]
    if len(groups) > 1 and _is_after(groups):
        notes.append((_AFTER, groups[-1][0][0]))
        return groups[:-1], notes
    at = _evaluated_again(groups) if is_trainer else _after_last_row(groups)
    if at is not None:
        places, rows = groups[-1]
        notes.append((_AFTER, places[at]))
        groups = [*groups[:-1], (places[:at], rows[:at])]
    return groups, notes


def _is_before(groups: Sequence[Group], is_trainer: bool) -> bool:
    """Return True if epoch 0 only validates, and every later epoch trains, or it is the Trainer's step 0."""
    first = groups[0]
    if not _validates(first) or _trains(first) or first[1][0]["epoch"] != 0:
        return False
    return all(map(_trains, groups[1:])) or (is_trainer and _step(first) == 0)


def _starts_untrained(group: Group) -> bool:
    """Return True if the first row validates at step 0, and the next validation of its epoch is far off."""
    rows = group[1]
    steps = [row.get("step") for row in rows if validates(row)]
    if len(steps) < 2 or steps[0] != 0 or not validates(rows[0]) or _trains(([], rows[:1])):
        return False
    return steps[1] is not None and steps[1] > 1


def _is_after(groups: Sequence[Group]) -> bool:
    """Return True if the last epoch only validates, and its step does not continue from the epoch before."""
    last = groups[-1]
    if not _validates(last) or _trains(last):
        return False
    trained = all(map(_trains, groups[:-1]))
    steps = [_step(group) for group in groups]
    if steps[-1] is None or steps[-2] is None:
        return trained
    before = -1 if len(groups) == 2 else steps[-3]
    usual = 0 if before is None else steps[-2] - before
    stood_still = 0 <= steps[-1] - steps[-2] <= 1  # falling steps are another matter
    return stood_still and (usual > 1 or trained)


def _after_last_row(groups: Sequence[Group]) -> int | None:
    """The row of the last epoch that validates once more, one step after the training's own row."""
    places, rows = groups[-1]
    if len(rows) < 3 or any(_validates_last(group) for group in groups[:-1]):
        return None
    at = len(rows) - 1
    trained = [i for i, row in enumerate(rows) if _trains(([places[i]], [row]))]
    if not _validates_last(groups[-1]) or not trained or not _validates((places, rows[: trained[-1]])):
        return None
    step, before = rows[at].get("step"), rows[trained[-1]].get("step")
    return at if step is not None and before is not None and step == before + 1 else None


def _evaluated_again(groups: Sequence[Group]) -> int | None:
    """The last row of the last epoch, if it validates alone, for the second time at one step."""
    last = groups[-1][1]
    repeats = [_validations_of_last_step(group[1]) > 1 for group in groups]
    return len(last) - 1 if _validates_last(groups[-1]) and repeats[-1] and not any(repeats[:-1]) else None


def _validations_of_last_step(rows: Sequence[Row]) -> int:
    step = rows[-1].get("step")
    return sum(row.get("step") == step and _validates(([], [row])) for row in rows if step is not None)


def _validates_last(group: Group) -> bool:
    places, rows = group
    only = ([places[-1]], [rows[-1]])
    return _validates(only) and not _trains(only)


def _trains(group: Group) -> bool:
    return any(is_training(row, column) for row in group[1] for column in row)


def _validates(group: Group) -> bool:
    return any(map(validates, group[1]))


def _step(group: Group) -> int | None:
    return max((row["step"] for row in group[1] if row.get("step") is not None), default=None)


def null_unvalidated(rows: Sequence[Row]) -> None:
    """Turn NaN into null in epochs that were trained and not validated.

    In such an epoch every validation metric is NaN while the training loss is finite. An accuracy is never
    measured as NaN. Where only losses tell, the gaps between earlier validations do: a longer gap at
    the end is a loss that became NaN.
    """
    idle = [_is_idle(row) for row in rows]
    validated = [at for at, row in enumerate(rows) if _is_finite(row)]
    longest = _longest_gap(idle[: validated[-1]]) if validated else len(rows)
    for at, row in enumerate(rows):
        in_gap = not validated or at < validated[-1] or at - validated[-1] <= longest
        if idle[at] and (in_gap or row.get("val_accuracy") is not None):
            row |= {column: None for column in row if is_validation(column)}


def _is_idle(row: Row) -> bool:
    values = [row[column] for column in row if is_validation(column) and row[column] is not None]
    loss = row.get("train_loss")
    trained = loss if loss is not None else row.get("train_accuracy")
    is_trained = trained is not None and math.isfinite(trained)
    return bool(values) and all(map(math.isnan, values)) and is_trained


def _is_finite(row: Row) -> bool:
    values = [row[column] for column in row if is_validation(column) and row[column] is not None]
    return any(map(math.isfinite, values))


def _longest_gap(idle: Sequence[bool]) -> int:
    longest = length = 0
    for each in idle:
        length = length + 1 if each else 0
        longest = max(longest, length)
    return longest
