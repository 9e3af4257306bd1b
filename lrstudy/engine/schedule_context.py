"""The training of a trial as its schedule sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lrstudy.rules.seeding import derive_seed
from lrstudy.schedules import ScheduleContext
from lrstudy.tasks import TrainingParts
from lrstudy.tasks.pipeline import Batch

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import Study


def context_of(study: Study, parts: TrainingParts, kind: str, seed: int) -> ScheduleContext:
    """Return the context of a schedule of this kind, in a trial with this seed."""
    task = study.built_in

    def batches() -> Iterator[Batch]:
        own = ":" in kind  # a user-defined schedule gets copies: it may write into them
        for inputs, targets in parts.pipeline.batches("train", task.batch_size):
            yield (inputs.clone(), targets.clone()) if own else (inputs, targets)

    return ScheduleContext(
        optimizer=parts.optimizer,
        model=parts.model,
        loss_name=parts.loss.for_constants,
        loss_options=dict(task.loss.options),
        epochs=task.epochs,
        steps_per_epoch=parts.pipeline.steps_per_epoch,
        batches=batches,
        seed=derive_seed(seed, "schedule"),
        higher_is_better=study.metric.higher_is_better,
        accumulate=task.accumulate,
    )
