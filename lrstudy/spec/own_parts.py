"""Reads the parts of the task that a schedule or method has in place of the study's: optimizer and loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from lrstudy.catalog.task_parts import CLASSIFICATION_LOSSES, LOSSES
from lrstudy.errors import all_known
from lrstudy.rules.metrics import OF_THE_LOSS
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.models import ComponentSpec, ScheduleSpec, TaskSpec
from lrstudy.spec.part_checks import check_part
from lrstudy.spec.space import Trouble
from lrstudy.spec.task_spec import ComponentField

OWN_PARTS: Final = ("optimizer", "loss")
"""The keys of a schedule's table that replace a part of the task."""

_COMPONENT: Final[TypeAdapter[ComponentSpec]] = TypeAdapter(ComponentField)
_EXAMPLES: Final[Mapping[str, str]] = MappingProxyType({"optimizer": "sgd", "loss": "clipped-cross-entropy"})


class OwnPartsReader:
    """Reads the own parts of each schedule and adds what is wrong to ``troubles``.

    ``task`` is None if it is unusable; ``metric`` is the one that the study is judged by.
    """

    def __init__(self, task: TaskSpec | FunctionTask | None, metric: str, troubles: list[Trouble]) -> None:
        self._task, self._metric, self._troubles = task, metric, troubles

    def read(self, key: str, values: Mapping[str, Any]) -> dict[str, ComponentSpec]:
        """Return the sound parts of the table at ``key``."""
        found: dict[str, ComponentSpec] = {}
        for name in OWN_PARTS:
            if name in values and (part := self._part(f"{key}.{name}", name, values[name])) is not None:
                found[name] = part
        if "loss" in found:
            self._check_loss(f"{key}.loss", found["loss"])
        return found

    def _part(self, key: str, name: str, raw: Any) -> ComponentSpec | None:
        if isinstance(self._task, FunctionTask):
            does = "builds its optimizer" if name == "optimizer" else "computes its loss"
            remedy = "Pass what is to be compared by search = { … }: it is in trial.params."
            self._refuse(key, f"is not used: the training function {does}", remedy, raw)
            return None
        try:
            part = _COMPONENT.validate_python(raw, strict=True)
        except ValidationError:
            example = _EXAMPLES[name]
            remedy = f'Write {name} = "{example}" or {name} = {{ name = "{example}", … }}.'
            self._refuse(key, "must be a name or a table with a name", remedy, raw)
            return None
        check_part(key, name, part, self._troubles)
        return part

    def _check_loss(self, key: str, loss: ComponentSpec) -> None:
        """Refuse a loss by whose values the study is judged, and one of another kind than the task's."""
        if self._metric in OF_THE_LOSS:
            message = (
                f"makes {self._metric} another quantity than the other schedules', and it judges the study"
            )
            remedy = "Judge by a metric that no loss defines, such as val_accuracy or val_r2."
            self._refuse(key, message, remedy, loss.name)
        task = self._task
        if not isinstance(task, TaskSpec) or loss.name not in LOSSES or task.loss.name not in LOSSES:
            return  # only the data show whether a user's own fits
        classes = task.loss.name in CLASSIFICATION_LOSSES
        if (loss.name in CLASSIFICATION_LOSSES) != classes:
            kind = "classes" if classes else "numbers"
            fitting = [name for name in LOSSES if (name in CLASSIFICATION_LOSSES) == classes]
            message = f"does not fit the task, whose loss {task.loss.name!r} is of {kind}"
            self._refuse(key, message, all_known(fitting), loss.name)

    def _refuse(self, key: str, message: str, remedy: str, raw: Any) -> None:
        self._troubles.append(Trouble(key, message, remedy, raw))


def searched_by_none(shared: Mapping[str, Any], schedules: Sequence[ScheduleSpec]) -> Iterator[Trouble]:
    """Yield the trouble of a name in ``[search]`` that no schedule searches: each has its own such part."""
    for part in OWN_PARTS:
        lost = [name for name in shared if name.startswith(f"{part}.")]
        if lost and all(part in spec.own_parts for spec in schedules):
            message = f"is searched by no method: each has its own {part}"
            remedy = "Write it under search in the methods that it is meant for."
            yield Trouble(f"search.{lost[0]}", message, remedy, None)
