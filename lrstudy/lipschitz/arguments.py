"""The arguments of ``LipschitzLR``: checked, and handed to what decides the rate and to what measures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from lrstudy.lipschitz.constants import NEEDS_TARGETS
from lrstudy.lipschitz.head import known_head
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
    initial_k1: float
    initial_k2: float
    seed: int

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
        )
        self._check_numbers(complaints)
        usable = check_batches(complaints, self.batches, self.measure)
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
                "initial_k1": (self.initial_k1, 0, math.inf, "["),
                "initial_k2": (self.initial_k2, 0, math.inf, "["),
                "accumulate": (self.accumulate, 1, math.inf, "["),
            },
        )

    def rate_choices(self) -> RateChoices:
        """Return what decides the rate."""
        return RateChoices(
            loss=self.loss,
            tau=self.tau,
            delta=self.delta,
            rule=self.rule,
            l2=self.l2,
            bound=self.bound,
            policy=self.policy,
            initial_lr=self.initial_lr,
            scale=self.scale,
            max_lr=self.max_lr,
            bias_correction=self.bias_correction,
            initial_k1=self.initial_k1,
            initial_k2=self.initial_k2,
        )

    def meter_settings(self, settings: RateSettings, *, steps: bool) -> MeterSettings:
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
            needs_targets=shape.name in NEEDS_TARGETS and self.bound != "smoothness",
            accumulate=1 if self.accumulate is None else self.accumulate,
            summed=self.accumulated == "sum" and not shape.summed,
            steps=steps,
        )
