"""The built-in task of a study file, and its parts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from lrstudy.catalog.metric_kinds import metric_kind
from lrstudy.catalog.task_parts import CLASSIFICATION_LOSSES, STREAMED
from lrstudy.rules.diagnostics import DIAGNOSTICS
from lrstudy.rules.metrics import CLIPPED_SHARE
from lrstudy.spec.study_sections import Section, as_tuple


class ComponentSpec(Section):
    """A named part of a task with its options; in TOML a name or ``{ name = …, option = … }``."""

    name: str = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_users_own(self) -> bool:
        """Return True if it is given as ``module:attribute``."""
        return ":" in self.name

    def to_json(self) -> dict[str, Any]:
        """The form it has in a study file."""
        return {"name": self.name, **self.options}


def _component(raw: Any) -> Any:
    if isinstance(raw, str):
        return ComponentSpec(name=raw) if raw else raw
    if isinstance(raw, dict) and "options" not in raw and isinstance(raw.get("name"), str):
        return ComponentSpec(name=raw["name"], options={k: v for k, v in raw.items() if k != "name"})
    return raw


ComponentField = Annotated[SerializeAsAny[ComponentSpec], BeforeValidator(_component)]
"""The type of a field that a study file gives as a name or as a table with a name."""


def _metric_names(raw: Any) -> Any:
    """Return the names in a table of declared metrics, as a store keeps them; anything else as it is."""
    if isinstance(raw, dict) and all(isinstance(entry, dict) and "goal" in entry for entry in raw.values()):
        return tuple(entry["name"] for entry in raw.values() if "name" in entry)
    return as_tuple(raw)


ValidationField = Annotated[float, Field(gt=0, lt=1)] | Literal["test"]
"""Share of the training rows for validation; ``"test"``: none, the test rows are validated on."""


class Loader(Section):
    """A DataLoader that reads the rows batch by batch, instead of a tensor of all of them."""

    workers: int = Field(default=2, ge=0, le=256)


Lengths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_tuple)]
"""Lengths of trials besides that of the study, in its clock."""


class TaskSpec(Section):
    """The training task: data, model, loss, base optimizer and training length.

    ``lengths`` are shorter trainings in which every schedule is tuned and confirmed too.
    """

    dataset: ComponentField
    model: ComponentField
    loss: ComponentField = ComponentSpec(name="cross-entropy")
    optimizer: ComponentField = ComponentSpec(name="sgd", options={"lr": 0.1})
    batch_size: int = Field(ge=1)
    drop_last: bool = False
    epochs: int = Field(ge=1)
    lengths: Lengths = ()
    evaluate_every: int | None = Field(default=None, ge=1)
    validation: ValidationField = 0.2
    test: float = Field(default=0.2, gt=0, lt=1)
    rows: int | None = Field(default=None, ge=2)
    loader: Loader | None = None
    columns: Annotated[tuple[str, str] | None, BeforeValidator(as_tuple)] = None
    augment: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    normalize: str | None = None
    precision: Literal["float32", "bf16", "fp16", "tf32", "float64"] = "float32"
    accumulate: int = Field(default=1, ge=1)
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    ema: float | None = Field(default=None, gt=0, lt=1)
    compile: bool = False
    channels_last: bool = False
    deterministic: bool = False
    divergence: float = Field(default=1e9, gt=0)
    metrics: Annotated[tuple[str, ...], BeforeValidator(_metric_names)] = ()
    diagnose: Annotated[tuple[Literal["gradients", "stability"], ...], BeforeValidator(as_tuple)] = ()

    @property
    def streamed(self) -> bool:
        """Return True if rows are read batch by batch."""
        return self.loader is not None or self.dataset.name in STREAMED

    @property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The metrics that it measures beside the fixed ones, as a study declares them."""
        table: dict[str, dict[str, Any]] = {}
        if self.clip_norm is not None:
            table[CLIPPED_SHARE] = {"goal": "min", "low": 0.0, "high": 1.0}
        if self.ema is not None:
            table["ema_val_loss"] = {"goal": "min"}
            if self.loss.name in CLASSIFICATION_LOSSES or self.loss.is_users_own:
                table["ema_val_accuracy"] = {"goal": "max", "low": 0.0, "high": 1.0}
            if self.loss.name not in CLASSIFICATION_LOSSES:
                table["ema_val_r2"] = {"goal": "max", "high": 1.0}
        kinds = filter(None, map(metric_kind, self.metrics))
        table |= {kind.column: kind.declared for kind in kinds}
        for name in self.diagnose:
            table |= {column: dict(about) for column, about in DIAGNOSTICS[name].items()}
        return table
