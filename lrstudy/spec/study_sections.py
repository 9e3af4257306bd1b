"""The sections of a study file beside its task and its schedules: budget, target, resources and the rest."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_REPLICATES: Final = 10_000


class Section(BaseModel):
    """A section of a study file: no other keys, and no values of another type than declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


def as_tuple(raw: Any) -> Any:
    """Return a list as a tuple, anything else as it is."""
    return tuple(raw) if isinstance(raw, list) else raw


class Budget(Section):
    """The budget of every schedule, the same for all.

    A schedule is tuned ``replicates`` times, each time with its own search, seeds and split of the data.
    ``trials`` configurations are tried, each on ``tune_seeds`` seeds; the best ``select`` of them run on
    ``select_seeds`` further ones, and the winner on ``confirm_seeds``. With ``until = "decided"`` the
    replicates of undecided schedules are doubled, again and again, up to ``most``.

    A trial with the objective ``target`` is worth its time to the primary target. ``stop`` says which
    runs end once they have reached all targets.

    The ``asha`` pruner asks after ``grace_epochs`` epochs and then at ``reduction`` times as many, again and
    again, which trials continue. ``extend`` adds ``extend_trials`` configurations, before each generation of
    which a range whose end holds the best value so far is widened.

    ``first_trials``: the search was laid out for so many configurations, and the others were added later.
    """

    replicates: int = Field(default=1, ge=1, le=MOST_REPLICATES)
    until: Literal["spent", "decided"] = "spent"
    most: int | None = Field(default=None, ge=2, le=MOST_REPLICATES)
    trials: int = Field(default=16, ge=1)
    first_trials: int | None = Field(default=None, ge=1)
    confirm_seeds: int = Field(default=10, ge=1)
    search: Literal["tpe", "random", "qmc", "grid"] = "tpe"
    tune_seeds: int = Field(default=1, ge=1)
    common_seed: bool = True
    select: int = Field(default=0, ge=0)
    select_seeds: int = Field(default=3, ge=1)
    pruner: Literal["none", "asha"] = "none"
    grace_epochs: int = Field(default=1, ge=1)
    reduction: int = Field(default=3, ge=2)
    objective: Literal["target", "best", "final", "mean"] | None = None
    stop: Literal["never", "tune", "all"] | None = None
    generation: int = Field(default=4, ge=1)
    extend: bool = False
    extend_trials: int = Field(default=8, ge=1)


class Target(Section):
    """The levels of the validation metric that count as converged, and the schedule to compare with.

    ``primary`` is the level that the study is to decide. A run has reached a level by the rule ``arrival``
    (``rules.arrival``). ``end_margin``: values at the end within it count as equivalent.
    """

    metric: str = "val_accuracy"
    values: Annotated[tuple[float, ...] | None, BeforeValidator(as_tuple)] = None
    primary: float | None = None
    arrival: str | None = None
    clock: Literal["epochs", "steps", "samples", "tokens", "seconds"] | None = None
    reference: str = ""
    margin: float = Field(default=0.05, gt=0, lt=1)
    end_margin: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Resources(Section):
    """CPUs and GPUs of each trial, and the number that run at once (0: as many as the cluster holds).

    ``workers``: the processes that train a trial together, each with ``cpus`` and ``gpus``; more than one
    only for a user's training function. ``gpus``: a worker trains on one GPU or a share of it.
    ``lanes``: up to how many trials share one worker, trained side by side; ``auto``: as many as a fixed
    rule gives for the model and the shapes of a step; 0: each has its own.
    ``step``: how a training step is computed, call by call or as one captured graph (on a GPU).
    """

    cpus: int = Field(default=1, ge=1)
    gpus: float = Field(default=0.0, ge=0, le=1)
    workers: int = Field(default=1, ge=1)
    accelerator: str = ""
    max_concurrent: int = Field(default=0, ge=0)
    lanes: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    step: Literal["eager", "captured"] = "eager"


class Faults(Section):
    """Checkpoints of a running trial, and the number of restarts for each kind of fault.

    A checkpoint is written after every ``checkpoint_epochs``-th epoch (0: never), but not within
    ``checkpoint_seconds`` of the last one or of the trial's start: short trials pay nothing. A trial that
    ends no epoch for ``epoch_seconds`` is stuck (0: a limit that follows from the epochs seen).
    """

    checkpoint_epochs: int = Field(default=10, ge=0)
    checkpoint_seconds: float = Field(default=10.0, ge=0)
    lost_node_retries: int = Field(default=3, ge=0)
    memory_retries: int = Field(default=1, ge=0)
    error_retries: int = Field(default=0, ge=0)
    epoch_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Logging(Section):
    """Trackers that get the epochs in addition to the store; all off by default."""

    tensorboard: bool = False
    mlflow: str = ""
    wandb: str = ""


class RangeTest(Section):
    """The sweep of a range test: its lowest and highest rate, its length (0: as ``plan_sweep`` says)."""

    low: float = Field(default=1e-5, gt=0, allow_inf_nan=False)
    high: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    epochs: int = Field(default=0, ge=0)
