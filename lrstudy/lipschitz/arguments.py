"""The arguments of ``LipschitzLR``: checked, and handed to what decides the rate and to what measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from lrstudy.lipschitz.constants import NEEDS_TARGETS, OF_ALL_LAYERS
from lrstudy.lipschitz.curvature import Objective
from lrstudy.lipschitz.head import known_head
from lrstudy.lipschitz.loss_functions import NamedObjective
from lrstudy.lipschitz.measure import head_by_pass
from lrstudy.lipschitz.meter_settings import Batches, MeterSettings
from lrstudy.lipschitz.rate import RateSettings
from lrstudy.lipschitz.refusals import Complaints
from lrstudy.lipschitz.settings import (
    RateChoices,
    check_batches,
    check_choices,
    check_numbers,
    needed_quantities,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of ``LipschitzLR`` that are neither objects of torch nor ranks, as given."""

    loss: str | nn.Module
    measure: str
    batches: Batches | None
    fraction: float
    policy: str
    initial_lr: float | None
    scale: float
    time_decay: float
    max_lr: float | None
    norms: str
    bound: str
    bias_correction: bool
    rule: str | None
    l2: float | None
    batch_size: int | None
    tau: float
    delta: float
    target_norm: float | None
    accumulate: int | None
    accumulated: str
    initial_k: float | None
    initial_k1: float
    initial_k2: float
    squares: str
    max_growth: float | None
    cap: str
    objective: Objective | None
    seed: int

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Arguments:
        """Return the arguments among the local variables of a function that has them all."""
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    def find_head(
        self, model: nn.Module, head: nn.Module | str | None, complaints: Complaints
    ) -> nn.Module | None:
        """Check everything, and return the last linear layer; None if a training pass must find it."""
        last_layer = known_head(model, head)
        check_choices(
            complaints,
            measure=self.measure,
            policy=self.policy,
            norms=self.norms,
            bound=self.bound,
            accumulated=self.accumulated,
            squares=self.squares,
            cap=self.cap,
        )
        self._check_numbers(complaints)
        usable = check_batches(complaints, self.batches, self.measure, self.bound)
        if last_layer is None and self.batches is not None and usable:
            batches = self.batches() if callable(self.batches) else self.batches
            return head_by_pass(model, batches)
        return last_layer

    def _check_numbers(self, complaints: Complaints) -> None:
        check_numbers(
            complaints,
            {
                "fraction": (self.fraction, 0, 1, "]"),
                "initial_lr": (self.initial_lr, 0, math.inf, ""),
                "scale": (self.scale, 0, math.inf, ""),
                "time_decay": (self.time_decay, 0, math.inf, "["),
                "max_lr": (self.max_lr, 0, math.inf, ""),
                "l2": (self.l2, 0, math.inf, "["),
                "batch_size": (self.batch_size, 1, math.inf, "["),
                "target_norm": (self.target_norm, 0, math.inf, "["),
                "initial_k": (self.initial_k, 0, math.inf, "["),
                "max_growth": (self.max_growth, 0, math.inf, ""),
                "initial_k1": (self.initial_k1, 0, math.inf, "["),
                "initial_k2": (self.initial_k2, 0, math.inf, "["),
                "accumulate": (self.accumulate, 1, math.inf, "["),
            },
        )

    def rate_choices(self) -> RateChoices:
        """Return what decides the rate."""
        return RateChoices(**{field.name: getattr(self, field.name) for field in fields(RateChoices)})

    def meter_settings(self, settings: RateSettings, model: nn.Module, *, steps: bool) -> MeterSettings:
        """Return what to measure; ``steps``: the optimizer's steps are counted."""
        shape = settings.loss
        return MeterSettings(
            names=needed_quantities(settings),
            way=self.measure,
            batches=self.batches,
            fraction=self.fraction,
            seed=self.seed,
            norms=self.norms,
            batch_size=self.batch_size,
            target_norm=self.target_norm,
            needs_targets=shape.name in NEEDS_TARGETS and self.bound in ("paper", "valid"),
            accumulate=1 if self.accumulate is None else self.accumulate,
            summed=self.accumulated == "sum" and not shape.summed,
            steps=steps,
            bound=self.bound,
            objective=self._objective(model),
        )

    def _objective(self, model: nn.Module) -> Objective | None:
        """Return the loss of a batch, if L is measured with the loss itself."""
        if self.bound not in OF_ALL_LAYERS:
            return None
        return self.objective or NamedObjective.of(self.loss, model, self.tau, self.delta)
