"""The built-in curves, each made by the torch scheduler that has it."""

from __future__ import annotations

import math
from typing import Any, Final

from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
)

from lrstudy.errors import Problem, SchedulerError
from lrstudy.schedules.plan import Kind, Plan, Request

_BASE_RATIO: Final = 0.25


def _fixed(request: Request) -> Plan:
    return Plan(ConstantLR(request.carrier, factor=1.0, total_iters=0), "epoch")


def _step(request: Request) -> Plan:
    milestones = [round(fraction * request.total_steps) for fraction in request.params["milestones"]]
    scheduler = MultiStepLR(request.carrier, sorted(milestones), request.params["gamma"])
    return Plan(scheduler, moves=frozenset(milestones))


def _cyclic(request: Request) -> Plan:
    params = request.params
    base_lr = _base_lr(request)
    # A half cycle cut off at its top would end the training at the highest rate: fit whole cycles.
    epochs = request.epochs * request.steps / request.total_steps
    cycles = max(1, round(epochs / params["cycle_epochs"]))
    half: Any = request.steps / (2 * cycles)  # typed as a whole number, but torch computes with its float
    scheduler = CyclicLR(
        request.carrier,
        base_lr,
        request.rate,
        step_size_up=half,
        mode=params["mode"],
        gamma=params["gamma"],
        cycle_momentum=params["cycle_momentum"],
        base_momentum=params["base_momentum"],
        max_momentum=params["max_momentum"],
    )
    return Plan(scheduler, momentum=params["cycle_momentum"])


def _base_lr(request: Request) -> float:
    base_lr, ratio = request.params["base_lr"], request.params["base_ratio"]
    if base_lr is None:
        return float(request.rate * (_BASE_RATIO if ratio is None else ratio))
    if ratio is not None:
        message, remedy = "is given together with base_ratio", "Give one of the two."
        raise SchedulerError(Problem("schedule cyclic", "base_lr", message, remedy, base_lr))
    if base_lr >= request.rate:
        message = f"must be below max_lr ({request.rate:g})"
        remedy = "Lower base_lr, or give base_ratio, a fraction of max_lr."
        raise SchedulerError(Problem("schedule cyclic", "base_lr", message, remedy, base_lr))
    return float(base_lr)


def _one_cycle(request: Request) -> Plan:
    params = request.params
    # torch divides by the length of the rise: it and the fall need a step each.
    shortest = 2.0 / request.steps
    longest = 0.5 if params["three_phase"] else 1.0
    if request.steps < (6 if params["three_phase"] else 3):
        message = f"does not fit into a training of {request.steps} steps"
        raise SchedulerError(Problem("schedule one-cycle", "", message, "Train for longer."))
    if params["pct_start"] > longest:
        message, remedy = (
            "must be at most 0.5 with three_phase",
            "The fall takes as long as the rise: lower it.",
        )
        raise SchedulerError(Problem("schedule one-cycle", "pct_start", message, remedy, params["pct_start"]))
    scheduler = OneCycleLR(
        request.carrier,
        request.rate,
        total_steps=request.steps,
        pct_start=max(float(params["pct_start"]), shortest),
        anneal_strategy=params["anneal"],
        cycle_momentum=params["cycle_momentum"],
        base_momentum=params["base_momentum"],
        max_momentum=params["max_momentum"],
        div_factor=params["div_factor"],
        final_div_factor=params["final_div_factor"],
        three_phase=params["three_phase"],
    )
    return Plan(scheduler, momentum=params["cycle_momentum"])


def _cosine(request: Request) -> Plan:
    lowest = request.params["min_ratio"] * request.rate
    waves, factor = 1 + request.params["restarts"], request.params["restart_factor"]
    if waves == 1:
        return Plan(CosineAnnealingLR(request.carrier, request.steps, lowest))
    # The first wave's length T0 with T0·(1 + f + … + f^n) = T, rounded up: the training ends with a wave.
    first = math.ceil(request.steps / sum(factor**wave for wave in range(waves)))
    return Plan(CosineAnnealingWarmRestarts(request.carrier, first, factor, lowest))


def _linear(request: Request) -> Plan:
    return Plan(LinearLR(request.carrier, 1.0, request.params["end_ratio"], total_iters=request.steps))


def _exponential(request: Request) -> Plan:
    return Plan(ExponentialLR(request.carrier, request.params["gamma"]), "epoch")


def _polynomial(request: Request) -> Plan:
    return Plan(PolynomialLR(request.carrier, total_iters=request.steps, power=request.params["power"]))


def _inverse_time(request: Request) -> Plan:
    decay = request.params["decay"]
    return Plan(LambdaLR(request.carrier, lambda step: 1.0 / (1.0 + decay * step)))


def _plateau(request: Request) -> Plan:
    params = request.params
    scheduler = ReduceLROnPlateau(
        request.carrier,
        mode="max" if request.higher_is_better else "min",
        factor=params["factor"],
        patience=params["patience"],
        threshold=params["threshold"],
        threshold_mode=params["threshold_mode"],
        cooldown=params["cooldown"],
        min_lr=params["min_ratio"] * request.rate,
        eps=0.0,  # torch's 1e-8 would stop reductions at the rates that Adam is used with
    )
    return Plan(scheduler, "epoch")


KINDS: Final = {
    "fixed": Kind(_fixed),
    "step": Kind(_step),
    "cyclic": Kind(_cyclic, rate="max_lr", after_warmup=True),
    "one-cycle": Kind(_one_cycle, rate="max_lr", after_warmup=True),
    "cosine": Kind(_cosine, after_warmup=True),
    "linear": Kind(_linear, after_warmup=True),
    "exponential": Kind(_exponential),
    "polynomial": Kind(_polynomial, after_warmup=True),
    "inverse-time": Kind(_inverse_time),
    "plateau": Kind(_plateau),
}
